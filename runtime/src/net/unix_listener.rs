//! A Unix socket that accepts connections.

use super::UnixStream;
use super::listener::{Accept, Listener};
use super::unix::SocketAddr;
use crate::io::{SourceKind, Token};
use socket2::SockRef;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::Location;
use std::path::Path;
use std::task::{Context, Poll};

/// Accepts Unix stream connections.
///
/// The socket's file stays where it is when the listener is dropped.
///
/// # Examples
///
/// ```no_run
/// use nexus_runtime::net::UnixListener;
///
/// # async fn serve() -> std::io::Result<()> {
/// let listener = UnixListener::bind("/run/gateway.sock")?;
/// loop {
///     let (stream, _peer) = listener.accept().await?;
///     nexus_runtime::spawn(async move { stream.write_all(b"hello\n").await });
/// }
/// # }
/// ```
pub struct UnixListener {
    inner: Listener<mio::net::UnixListener>,
    address: SocketAddr,
}

impl Accept for mio::net::UnixListener {
    type Stream = mio::net::UnixStream;
    type Address = SocketAddr;

    fn accept(&self) -> io::Result<(Self::Stream, SocketAddr)> {
        Self::accept(self)
    }
}

impl UnixListener {
    /// Makes a socket at this path, where nothing may be yet, and listens on it.
    ///
    /// # Errors
    ///
    /// What the kernel says; or no slot left.
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::registered(mio::net::UnixListener::bind(path)?, Location::caller())
    }

    /// Listens on this address, which may be an abstract one.
    ///
    /// # Errors
    ///
    /// What the kernel says; or no slot left.
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    #[track_caller]
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        Self::registered(mio::net::UnixListener::bind_addr(address)?, Location::caller())
    }

    /// Registers a listener that was made elsewhere. It becomes non-blocking.
    ///
    /// # Errors
    ///
    /// What the kernel says; or no slot left.
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    #[track_caller]
    pub fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Self::registered(mio::net::UnixListener::from_std(listener), Location::caller())
    }

    fn registered(
        listener: mio::net::UnixListener,
        location: &'static Location<'static>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let inner = Listener::new(listener, SourceKind::UnixListener, location)?;
        inner.io.note_addresses(Some((&address).into()), None);
        Ok(Self { inner, address })
    }

    /// Deregisters it, for use without a runtime. It stays non-blocking.
    ///
    /// # Errors
    ///
    /// If the kernel would not deregister it.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixListener> {
        let (listener, deregistered) = self.inner.io.into_inner();
        deregistered.map(|()| listener.into())
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// What the kernel says. If it is that there is no descriptor left, the next call first waits for a tenth of a
    /// second, so that a loop that ignores the error does not spin; the connection is kept meanwhile.
    #[track_caller]
    pub fn accept(&self) -> impl Future<Output = io::Result<(UnixStream, SocketAddr)>> {
        let location = Location::caller();
        async move { self.accepted(self.inner.accept().await?, location) }
    }

    /// Accepts a connection, or leaves the waker to be woken when there is one: the last waker of those that polled.
    /// Tasks that wait in [`accept`](Self::accept) are woken besides.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    #[track_caller]
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let location = Location::caller();
        let polled = self.inner.poll_accept(cx);
        polled.map(|accepted| accepted.and_then(|accepted| self.accepted(accepted, location)))
    }

    /// Accepts a connection that is there.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none, or what the kernel says.
    #[track_caller]
    pub fn try_accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        self.accepted(self.inner.try_accept()?, Location::caller())
    }

    fn accepted(
        &self,
        (stream, peer): (mio::net::UnixStream, SocketAddr),
        location: &'static Location<'static>,
    ) -> io::Result<(UnixStream, SocketAddr)> {
        let stream = UnixStream::registered(stream, Some(&self.address), Some(&peer), location)?;
        Ok((stream, peer))
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// None at present: the address was found when it was registered.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address.clone())
    }

    /// The error that the socket has kept for us, which is gone then.
    ///
    /// # Errors
    ///
    /// If the kernel can't be asked.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        SockRef::from(self).take_error()
    }

    /// Its token, as the inspector shows it.
    #[must_use]
    pub fn token(&self) -> Token {
        self.inner.io.token()
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.io.get().as_fd()
    }
}

impl AsRawFd for UnixListener {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.io.get().as_raw_fd()
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixListener")
            .field("address", &self.address)
            .field("token", &self.token())
            .finish()
    }
}
