//! A TCP connection.

use super::addresses::{ToSocketAddrs, first_of};
use super::stream::ByteStream;
use super::stream::methods::{connection, either, reading, writing};
use super::tcp;
use super::tcp_socket::options;
use crate::io::source::Attempt;
use crate::io::{Interest, SourceKind};
use nexus_protocol::event::{Operation, OperationResult};
use socket2::SockRef;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::Location;

/// A TCP connection.
///
/// All operations take `&self`, and any number of tasks may wait in them at the same time. For options beyond those that
/// have a method here, make a `socket2::SockRef` of it.
///
/// # Examples
///
/// ```no_run
/// use nexus_runtime::net::TcpStream;
///
/// # async fn ask() -> std::io::Result<()> {
/// let stream = TcpStream::connect("127.0.0.1:7007").await?;
/// stream.write_all(b"ping").await?;
/// let mut answer = [0; 4];
/// stream.read_exact(&mut answer).await?;
/// # Ok(())
/// # }
/// ```
pub struct TcpStream(pub(super) ByteStream<mio::net::TcpStream>);

impl TcpStream {
    /// Connects to this address; if there are several, to the first one that answers.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as a refused connection; or no slot left. With several addresses, the last one's.
    ///
    /// # Panics
    ///
    /// When polled outside of `Runtime::block_on`.
    #[track_caller]
    pub fn connect(addresses: impl ToSocketAddrs) -> impl Future<Output = io::Result<Self>> {
        let location = Location::caller();
        let addresses = addresses.addresses();
        first_of(addresses, async move |address| {
            Self::connecting(mio::net::TcpStream::connect(address)?, address, location).await
        })
    }

    /// Waits until a connection that has been begun is made.
    pub(super) async fn connecting(
        stream: mio::net::TcpStream,
        peer: SocketAddr,
        location: &'static Location<'static>,
    ) -> io::Result<Self> {
        // The kernel reports a connection that is made, or has failed, as writable.
        let stream = ByteStream::new(stream, SourceKind::TcpStream, Interest::WRITABLE, location)?;
        stream.io.note_addresses(None, Some(peer.into()));
        let local = stream.io.operate(Operation::Connect, try_connected).await?;
        stream.io.note_addresses(Some(local.into()), Some(peer.into()));
        stream.io.set_interest(Interest::READABLE)?;
        Ok(Self(stream))
    }

    /// A connection that a listener on `listening` has accepted.
    pub(super) fn accepted(
        stream: mio::net::TcpStream,
        listening: SocketAddr,
        peer: SocketAddr,
        location: &'static Location<'static>,
    ) -> io::Result<Self> {
        // Only a listener on all addresses has to ask which one the peer used.
        let local = if listening.ip().is_unspecified() {
            stream.local_addr().ok()
        } else {
            Some(listening)
        };
        Self::registered(stream, local, Some(peer), location)
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
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (local, peer) = (stream.local_addr().ok(), stream.peer_addr().ok());
        Self::registered(mio::net::TcpStream::from_std(stream), local, peer, Location::caller())
    }

    fn registered(
        stream: mio::net::TcpStream,
        local: Option<SocketAddr>,
        peer: Option<SocketAddr>,
        location: &'static Location<'static>,
    ) -> io::Result<Self> {
        let stream = ByteStream::new(stream, SourceKind::TcpStream, Interest::READABLE, location)?;
        stream.io.note_addresses(local.map(Into::into), peer.map(Into::into));
        Ok(Self(stream))
    }

    fn stream(&self) -> &ByteStream<mio::net::TcpStream> {
        &self.0
    }

    fn options(&self) -> SockRef<'_> {
        self.0.options()
    }

    reading!();
    writing!();
    either!(SocketAddr);
    connection!(tcp, std::net::TcpStream);
    options!();

    /// The time to live of packets over IPv4.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn ttl(&self) -> io::Result<u32> {
        self.options().ttl_v4()
    }

    /// Sets the time to live of packets over IPv4.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.options().set_ttl_v4(ttl)
    }
}

/// Whether a connection attempt has ended, and how: our address if it is made.
fn try_connected(stream: &mio::net::TcpStream) -> io::Result<Attempt<SocketAddr>> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(Attempt {
            value: stream.local_addr()?,
            result: OperationResult::Done(0),
            short: false,
        }),
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        Err(error) => Err(error),
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.get().as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.0.get().as_raw_fd()
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpStream")
            .field("token", &self.token())
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish()
    }
}
