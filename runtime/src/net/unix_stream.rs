//! A Unix stream connection.

use super::stream::ByteStream;
use super::stream::methods::{connection, either, reading, writing};
use super::unix::{self, SocketAddr, UCred};
use crate::io::source::Attempt;
use crate::io::{Interest, SourceKind};
use crate::time::sleep;
use nexus_protocol::event::{Operation, OperationResult};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::Location;
use std::path::Path;
use std::time::Duration;

/// How long to wait before a connection that a full listener did not take is tried again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// A Unix stream connection.
///
/// All operations take `&self`, and any number of tasks may wait in them at the same time.
///
/// # Examples
///
/// ```
/// use nexus_runtime::net::UnixStream;
///
/// # nexus_runtime::Runtime::new()?.block_on(async {
/// let (left, right) = UnixStream::pair()?;
/// left.write_all(b"hello").await?;
/// drop(left);
/// let mut heard = Vec::new();
/// right.read_to_end(&mut heard).await?;
/// assert_eq!(heard, b"hello");
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixStream(pub(super) ByteStream<mio::net::UnixStream>);

impl UnixStream {
    /// Connects to the socket at this path.
    ///
    /// The kernel does not say when a listener whose queue is full has room again, so that is tried from time to time,
    /// for as long as the future is awaited.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as a path where nobody listens; or no slot left.
    ///
    /// # Panics
    ///
    /// When polled outside of `Runtime::block_on`.
    #[track_caller]
    pub fn connect(path: impl AsRef<Path>) -> impl Future<Output = io::Result<Self>> {
        let location = Location::caller();
        let address = SocketAddr::from_pathname(path);
        async move { Self::connected(&address?, location).await }
    }

    /// Connects to this address, which may be an abstract one.
    ///
    /// # Errors
    ///
    /// As for [`UnixStream::connect`].
    ///
    /// # Panics
    ///
    /// When polled outside of `Runtime::block_on`.
    #[track_caller]
    pub fn connect_addr(address: &SocketAddr) -> impl Future<Output = io::Result<Self>> {
        let location = Location::caller();
        let address = address.clone();
        async move { Self::connected(&address, location).await }
    }

    async fn connected(
        address: &SocketAddr,
        location: &'static Location<'static>,
    ) -> io::Result<Self> {
        let (mut pause, longest) = PAUSES;
        let stream = loop {
            match mio::net::UnixStream::connect_addr(address) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(pause).await,
                connected => break connected?,
            }
            pause = (2 * pause).min(longest);
        };
        let stream = Self::registered(stream, None, Some(address), location)?;
        // Unix sockets connect at once, before there is a token on which to record it.
        let attempt =
            |_: &_| Ok(Attempt { value: (), result: OperationResult::Done(0), short: false });
        stream.0.io.try_operate(Operation::Connect, attempt)?;
        Ok(stream)
    }

    /// Two streams, connected with each other.
    ///
    /// # Errors
    ///
    /// What the kernel says; or no slot left.
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    #[track_caller]
    pub fn pair() -> io::Result<(Self, Self)> {
        let location = Location::caller();
        let (left, right) = mio::net::UnixStream::pair()?;
        let register = |stream| Self::registered(stream, None, None, location);
        Ok((register(left)?, register(right)?))
    }

    /// Registers a connection that was made elsewhere. It becomes non-blocking.
    ///
    /// # Errors
    ///
    /// What the kernel says; or no slot left.
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    #[track_caller]
    pub fn from_std(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (local, peer) = (stream.local_addr().ok(), stream.peer_addr().ok());
        let stream = mio::net::UnixStream::from_std(stream);
        Self::registered(stream, local.as_ref(), peer.as_ref(), Location::caller())
    }

    pub(super) fn registered(
        stream: mio::net::UnixStream,
        local: Option<&SocketAddr>,
        peer: Option<&SocketAddr>,
        location: &'static Location<'static>,
    ) -> io::Result<Self> {
        let stream = ByteStream::new(stream, SourceKind::UnixStream, Interest::READABLE, location)?;
        stream.io.note_addresses(local.map(Into::into), peer.map(Into::into));
        Ok(Self(stream))
    }

    fn stream(&self) -> &ByteStream<mio::net::UnixStream> {
        &self.0
    }

    reading!();
    writing!();
    either!(SocketAddr);
    connection!(unix, std::os::unix::net::UnixStream);

    /// Who is at the other end.
    ///
    /// # Errors
    ///
    /// If the kernel can't be asked.
    pub fn peer_cred(&self) -> io::Result<UCred> {
        UCred::of_peer(self)
    }
}

impl AsFd for UnixStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get().as_fd()
    }
}

impl AsRawFd for UnixStream {
    fn as_raw_fd(&self) -> RawFd {
        self.0.get().as_raw_fd()
    }
}

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixStream")
            .field("token", &self.token())
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish()
    }
}
