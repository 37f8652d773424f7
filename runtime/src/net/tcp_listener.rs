//! A TCP socket that accepts connections.

use super::TcpStream;
use super::addresses::{ToSocketAddrs, first_of};
use super::listener::{Accept, Listener};
use crate::io::{SourceKind, Token};
use socket2::SockRef;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::Location;
use std::task::{Context, Poll};

/// Accepts TCP connections.
///
/// To set options before it listens, make it of a [`TcpSocket`](super::TcpSocket).
///
/// # Examples
///
/// ```no_run
/// use nexus_runtime::net::TcpListener;
///
/// # async fn serve() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:7007").await?;
/// loop {
///     let (stream, _peer) = listener.accept().await?;
///     nexus_runtime::spawn(async move { stream.write_all(b"hello\n").await });
/// }
/// # }
/// ```
pub struct TcpListener {
    inner: Listener<mio::net::TcpListener>,
    address: SocketAddr,
}

impl Accept for mio::net::TcpListener {
    type Stream = mio::net::TcpStream;
    type Address = SocketAddr;

    fn accept(&self) -> io::Result<(Self::Stream, SocketAddr)> {
        Self::accept(self)
    }
}

impl TcpListener {
    /// Listens on this address, with `SO_REUSEADDR`; on the first one that it can, if there are several. Port 0 lets the
    /// kernel choose one, see [`TcpListener::local_addr`].
    ///
    /// # Errors
    ///
    /// What the kernel says, such as an address in use; or no slot left. With several addresses, the last one's.
    ///
    /// # Panics
    ///
    /// When polled outside of `Runtime::block_on`.
    #[track_caller]
    pub fn bind(addresses: impl ToSocketAddrs) -> impl Future<Output = io::Result<Self>> {
        let location = Location::caller();
        let addresses = addresses.addresses();
        first_of(addresses, async move |address| {
            Self::registered(mio::net::TcpListener::bind(address)?, location)
        })
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
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Self::registered(mio::net::TcpListener::from_std(listener), Location::caller())
    }

    fn registered(
        listener: mio::net::TcpListener,
        location: &'static Location<'static>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let inner = Listener::new(listener, SourceKind::TcpListener, location)?;
        inner.io.note_addresses(Some(address.into()), None);
        Ok(Self { inner, address })
    }

    /// Deregisters it, for use without a runtime. It stays non-blocking.
    ///
    /// # Errors
    ///
    /// If the kernel would not deregister it.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
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
    pub fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> {
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
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
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
    pub fn try_accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accepted(self.inner.try_accept()?, Location::caller())
    }

    fn accepted(
        &self,
        (stream, peer): (mio::net::TcpStream, SocketAddr),
        location: &'static Location<'static>,
    ) -> io::Result<(TcpStream, SocketAddr)> {
        Ok((TcpStream::accepted(stream, self.address, peer, location)?, peer))
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// None at present: the address was found when it was registered.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    /// The error that the socket has kept for us, which is gone then.
    ///
    /// # Errors
    ///
    /// If the kernel can't be asked.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.options().take_error()
    }

    /// The time to live of packets over IPv4.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.options().ttl_v4()
    }

    /// Sets the time to live of packets over IPv4, which accepted connections inherit.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.options().set_ttl_v4(ttl)
    }

    /// Its token, as the inspector shows it.
    #[must_use]
    pub fn token(&self) -> Token {
        self.inner.io.token()
    }

    fn options(&self) -> SockRef<'_> {
        SockRef::from(self.inner.io.get())
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.io.get().as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.inner.io.get().as_raw_fd()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener")
            .field("address", &self.address)
            .field("token", &self.token())
            .finish()
    }
}
