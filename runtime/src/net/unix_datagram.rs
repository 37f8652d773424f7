//! A Unix datagram socket.

use super::datagram::{datagram, datagrams, peek, peeked};
use super::unix::SocketAddr;
use crate::io::source::{Registered, Transfer};
use crate::io::{Direction, Interest, SourceKind};
use nexus_protocol::event::Operation;
use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net;
use std::panic::Location;
use std::path::Path;
use std::task::{Context, Poll};

/// A Unix datagram socket. Datagrams arrive whole and in order.
///
/// Sending waits when the receiver's queue is full. If it is full of what others have sent, only a connected socket learns
/// when there is room again: the kernel tells an unconnected one when a datagram of its own was received.
///
/// # Examples
///
/// ```
/// use nexus_runtime::net::UnixDatagram;
///
/// # nexus_runtime::Runtime::new()?.block_on(async {
/// let (left, right) = UnixDatagram::pair()?;
/// left.send(b"hello").await?;
/// let mut buffer = [0; 16];
/// assert_eq!(right.recv(&mut buffer).await?, 5);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixDatagram {
    io: Registered<net::UnixDatagram>,
}

impl UnixDatagram {
    /// Makes a socket at this path, where nothing may be yet.
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
        Self::registered(net::UnixDatagram::bind(path)?, Location::caller())
    }

    /// Makes a socket with this address, which may be an abstract one.
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
        Self::registered(net::UnixDatagram::bind_addr(address)?, Location::caller())
    }

    /// Makes a socket without an address, to which nobody can reply.
    ///
    /// # Errors
    ///
    /// What the kernel says; or no slot left.
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    #[track_caller]
    pub fn unbound() -> io::Result<Self> {
        Self::registered(net::UnixDatagram::unbound()?, Location::caller())
    }

    /// Two sockets, connected with each other.
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
        let (left, right) = net::UnixDatagram::pair()?;
        Ok((Self::registered(left, location)?, Self::registered(right, location)?))
    }

    /// Registers a socket that was made elsewhere. It becomes non-blocking.
    ///
    /// # Errors
    ///
    /// What the kernel says; or no slot left.
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    #[track_caller]
    pub fn from_std(socket: net::UnixDatagram) -> io::Result<Self> {
        Self::registered(socket, Location::caller())
    }

    fn registered(
        socket: net::UnixDatagram,
        location: &'static Location<'static>,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let io = Registered::new(socket, SourceKind::UnixDatagram, Interest::READABLE, location)?;
        let socket = Self { io };
        socket.note_addresses();
        Ok(socket)
    }

    fn note_addresses(&self) {
        let (local, peer) = (self.local_addr().ok(), self.peer_addr().ok());
        self.io.note_addresses(local.as_ref().map(Into::into), peer.as_ref().map(Into::into));
    }

    /// Makes the socket at this path its peer: it sends there, and receives from there only.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as that there is none.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Makes the socket with this address, which may be an abstract one, its peer.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as that there is none.
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        self.io.get().connect_addr(address)?;
        self.note_addresses();
        Ok(())
    }

    datagrams!(SocketAddr, net::UnixDatagram);

    /// Sends a datagram to the socket at this path.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as that there is none.
    pub async fn send_to(&self, data: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let path = path.as_ref();
        self.io.operate(Operation::Send, |io| Ok(datagram(io.send_to(data, path)?))).await
    }

    /// Sends a datagram to the socket with this address, which may be an abstract one.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as that there is none.
    pub async fn send_to_addr(&self, data: &[u8], address: &SocketAddr) -> io::Result<usize> {
        let send = |io: &net::UnixDatagram| Ok(datagram(io.send_to_addr(data, address)?));
        self.io.operate(Operation::Send, send).await
    }

    /// Sends a datagram to the socket at this path without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if its queue is full, or what the kernel says.
    pub fn try_send_to(&self, data: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let path = path.as_ref();
        self.io.try_operate(Operation::Send, |io| Ok(datagram(io.send_to(data, path)?)))
    }

    /// Sends a datagram to the socket at this path, or leaves the waker as [`poll_send`](Self::poll_send) does.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        data: &[u8],
        path: impl AsRef<Path>,
    ) -> Poll<io::Result<usize>> {
        let path = path.as_ref();
        self.io.poll_operate(cx, Operation::Send, |io| Ok(datagram(io.send_to(data, path)?)))
    }

    /// Closes one direction, or both.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get().shutdown(how)
    }
}

impl AsFd for UnixDatagram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.get().as_fd()
    }
}

impl AsRawFd for UnixDatagram {
    fn as_raw_fd(&self) -> RawFd {
        self.io.get().as_raw_fd()
    }
}

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixDatagram")
            .field("token", &self.token())
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish()
    }
}
