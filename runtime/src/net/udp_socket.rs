//! A UDP socket.

use super::addresses::{ToSocketAddrs, first_of};
use super::datagram::{datagram, datagrams, peek, peeked};
use crate::io::source::{Registered, Transfer};
use crate::io::{Direction, Interest, SourceKind};
use nexus_protocol::event::Operation;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::Location;
use std::task::{Context, Poll};

/// A UDP socket, with or without a peer of its own.
///
/// All operations take `&self`, and any number of tasks may wait in them at the same time. For options beyond those that
/// have a method here, make a `socket2::SockRef` of it.
///
/// # Examples
///
/// ```
/// use nexus_runtime::net::UdpSocket;
///
/// # nexus_runtime::Runtime::new()?.block_on(async {
/// let socket = UdpSocket::bind("127.0.0.1:0").await?;
/// let other = UdpSocket::bind("127.0.0.1:0").await?;
/// other.send_to(b"hello", socket.local_addr()?).await?;
/// let mut buffer = [0; 1500];
/// let (bytes, from) = socket.recv_from(&mut buffer).await?;
/// assert_eq!(&buffer[..bytes], b"hello");
/// assert_eq!(from, other.local_addr()?);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UdpSocket {
    io: Registered<std::net::UdpSocket>,
}

impl UdpSocket {
    /// Binds a socket to this address; to the first one that it can, if there are several. Port 0 lets the kernel choose
    /// one.
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
            Self::registered(std::net::UdpSocket::bind(address)?, location)
        })
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
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        Self::registered(socket, Location::caller())
    }

    fn registered(
        socket: std::net::UdpSocket,
        location: &'static Location<'static>,
    ) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let io = Registered::new(socket, SourceKind::UdpSocket, Interest::READABLE, location)?;
        let socket = Self { io };
        socket.note_addresses();
        Ok(socket)
    }

    fn note_addresses(&self) {
        let (local, peer) = (self.local_addr().ok(), self.peer_addr().ok());
        self.io.note_addresses(local.map(Into::into), peer.map(Into::into));
    }

    /// Makes this address its peer: it sends there, and receives from there only. The first one that is possible, if
    /// there are several; this asks nobody.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub async fn connect(&self, addresses: impl ToSocketAddrs) -> io::Result<()> {
        first_of(addresses.addresses(), async |address| self.io.get().connect(address)).await?;
        self.note_addresses();
        Ok(())
    }

    datagrams!(SocketAddr, std::net::UdpSocket);

    /// Sends a datagram to this address; to the first one, if there are several.
    ///
    /// # Errors
    ///
    /// What the kernel says; this may be about a datagram that was sent before.
    pub async fn send_to(&self, data: &[u8], target: impl ToSocketAddrs) -> io::Result<usize> {
        let target = target.addresses().first().await?;
        self.io.operate(Operation::Send, |io| Ok(datagram(io.send_to(data, target)?))).await
    }

    /// Sends a datagram to this address without waiting.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if the kernel takes none now, or what it says.
    pub fn try_send_to(&self, data: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.io.try_operate(Operation::Send, |io| Ok(datagram(io.send_to(data, target)?)))
    }

    /// Sends a datagram to this address, or leaves the waker as [`poll_send`](Self::poll_send) does.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        data: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.io.poll_operate(cx, Operation::Send, |io| Ok(datagram(io.send_to(data, target)?)))
    }

    /// Waits for a datagram and copies it, but leaves it to be received; says from whom it is.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.operate(Operation::Ready, |io| Ok(peeked(io.peek_from(buffer)?))).await
    }

    /// Copies a datagram that is there, but leaves it to be received; says from whom it is.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none, or what the kernel says.
    pub fn try_peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io.try_operate(Operation::Ready, |io| Ok(peeked(io.peek_from(buffer)?)))
    }

    /// Copies a datagram, but leaves it to be received; or leaves the waker as [`poll_recv`](Self::poll_recv) does.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.io.poll_operate(cx, Operation::Ready, |io| Ok(peeked(io.peek_from(buffer)?)))
    }
}

/// Options of UDP sockets, each as std's socket has it.
macro_rules! options {
    ($($(#[$meta:meta])* $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        impl UdpSocket {
            $(
                $(#[$meta])*
                ///
                /// # Errors
                ///
                /// What the kernel says.
                pub fn $name(&self, $($argument: $type),*) -> io::Result<$result> {
                    self.io.get().$name($($argument),*)
                }
            )*
        }
    };
}

options! {
    /// Whether datagrams may be sent to broadcast addresses.
    broadcast() -> bool;
    /// Sets whether datagrams may be sent to broadcast addresses (`SO_BROADCAST`).
    set_broadcast(broadcast: bool) -> ();
    /// The time to live of datagrams over IPv4.
    ttl() -> u32;
    /// Sets the time to live of datagrams over IPv4.
    set_ttl(ttl: u32) -> ();
    /// Whether this host receives its own multicasts over IPv4.
    multicast_loop_v4() -> bool;
    /// Sets whether this host receives its own multicasts over IPv4.
    set_multicast_loop_v4(received: bool) -> ();
    /// The time to live of multicasts over IPv4.
    multicast_ttl_v4() -> u32;
    /// Sets the time to live of multicasts over IPv4, which is one at first: they stay in the local network.
    set_multicast_ttl_v4(ttl: u32) -> ();
    /// Whether this host receives its own multicasts over IPv6.
    multicast_loop_v6() -> bool;
    /// Sets whether this host receives its own multicasts over IPv6.
    set_multicast_loop_v6(received: bool) -> ();
    /// Joins a multicast group, at the interface with this address; the unspecified address lets the kernel choose one.
    join_multicast_v4(group: &Ipv4Addr, interface: &Ipv4Addr) -> ();
    /// Joins a multicast group, at the interface with this index; zero lets the kernel choose one.
    join_multicast_v6(group: &Ipv6Addr, interface: u32) -> ();
    /// Leaves a multicast group that was joined.
    leave_multicast_v4(group: &Ipv4Addr, interface: &Ipv4Addr) -> ();
    /// Leaves a multicast group that was joined.
    leave_multicast_v6(group: &Ipv6Addr, interface: u32) -> ();
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.get().as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.io.get().as_raw_fd()
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket")
            .field("token", &self.token())
            .field("local", &self.local_addr().ok())
            .field("peer", &self.peer_addr().ok())
            .finish()
    }
}
