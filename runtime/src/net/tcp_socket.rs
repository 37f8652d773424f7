//! A TCP socket that is neither connected nor listening yet, for options that must be set before it is.

use super::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::panic::Location;

/// Options of TCP sockets and connections. A part of an `impl` block of a type that has `options()`, a `SockRef`.
macro_rules! options {
    () => {
        /// Whether small writes go out at once, instead of being gathered.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn nodelay(&self) -> std::io::Result<bool> {
            self.options().tcp_nodelay()
        }

        /// Sets whether small writes go out at once (`TCP_NODELAY`).
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn set_nodelay(&self, nodelay: bool) -> std::io::Result<()> {
            self.options().set_tcp_nodelay(nodelay)
        }

        /// Whether the kernel probes a silent peer.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn keepalive(&self) -> std::io::Result<bool> {
            self.options().keepalive()
        }

        /// Sets whether the kernel probes a silent peer (`SO_KEEPALIVE`).
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn set_keepalive(&self, keepalive: bool) -> std::io::Result<()> {
            self.options().set_keepalive(keepalive)
        }

        /// How long closing waits for data that is still to be sent.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn linger(&self) -> std::io::Result<Option<std::time::Duration>> {
            self.options().linger()
        }

        /// Sets how long closing waits for data that is still to be sent (`SO_LINGER`). Zero resets the connection;
        /// anything longer makes the thread, and with it every task, wait where the connection is dropped.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn set_linger(&self, linger: Option<std::time::Duration>) -> std::io::Result<()> {
            self.options().set_linger(linger)
        }

        /// Bytes of the kernel's buffer for sending.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn send_buffer_size(&self) -> std::io::Result<usize> {
            self.options().send_buffer_size()
        }

        /// Bytes of the kernel's buffer for receiving.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn recv_buffer_size(&self) -> std::io::Result<usize> {
            self.options().recv_buffer_size()
        }

        /// The type of service of packets over IPv4.
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn tos(&self) -> std::io::Result<u32> {
            self.options().tos_v4()
        }

        /// Sets the type of service of packets over IPv4 (`IP_TOS`).
        ///
        /// # Errors
        ///
        /// What the kernel says.
        pub fn set_tos(&self, tos: u32) -> std::io::Result<()> {
            self.options().set_tos_v4(tos)
        }
    };
}

pub(super) use options;

/// A TCP socket that becomes a [`TcpStream`] or a [`TcpListener`] when its options are set.
///
/// It takes no slot before that, and needs no runtime.
///
/// # Examples
///
/// Two sockets of one port, between which the kernel divides the connections:
///
/// ```
/// use nexus_runtime::net::TcpSocket;
///
/// # nexus_runtime::Runtime::new()?.block_on(async {
/// let first = TcpSocket::new_v4()?;
/// first.set_reuseport(true)?;
/// first.bind("127.0.0.1:0".parse().unwrap())?;
/// let first = first.listen(1024)?;
///
/// let second = TcpSocket::new_v4()?;
/// second.set_reuseport(true)?;
/// second.bind(first.local_addr()?)?;
/// let second = second.listen(1024)?;
/// # drop(second);
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TcpSocket(Socket);

impl TcpSocket {
    /// A socket for IPv4.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn new_v4() -> io::Result<Self> {
        Self::new(Domain::IPV4)
    }

    /// A socket for IPv6.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn new_v6() -> io::Result<Self> {
        Self::new(Domain::IPV6)
    }

    fn new(domain: Domain) -> io::Result<Self> {
        Socket::new(domain, Type::STREAM.nonblocking(), Some(Protocol::TCP)).map(Self)
    }

    /// Takes over a socket that was made elsewhere and is neither connected nor listening. It becomes non-blocking.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn from_std_stream(socket: std::net::TcpStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self(socket.into()))
    }

    fn options(&self) -> SockRef<'_> {
        SockRef::from(&self.0)
    }

    options!();

    /// Whether an address may be bound that connections of a socket before it still use.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.0.reuse_address()
    }

    /// Sets whether an address may be bound that connections of a socket before it still use (`SO_REUSEADDR`).
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_reuseaddr(&self, reuse: bool) -> io::Result<()> {
        self.0.set_reuse_address(reuse)
    }

    /// Whether several sockets may be bound to the same address.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn reuseport(&self) -> io::Result<bool> {
        self.0.reuse_port()
    }

    /// Sets whether several sockets may be bound to the same address (`SO_REUSEPORT`), all of which have to set it.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_reuseport(&self, reuse: bool) -> io::Result<()> {
        self.0.set_reuse_port(reuse)
    }

    /// Sets the size of the kernel's buffer for sending. The kernel doubles it, and has limits.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_send_buffer_size(&self, bytes: usize) -> io::Result<()> {
        self.0.set_send_buffer_size(bytes)
    }

    /// Sets the size of the kernel's buffer for receiving. The kernel doubles it, and has limits. Connections that are
    /// accepted have their listener's.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn set_recv_buffer_size(&self, bytes: usize) -> io::Result<()> {
        self.0.set_recv_buffer_size(bytes)
    }

    /// The network device it is bound to.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        self.0.device()
    }

    /// Uses one network device only, named as in `lo` (`SO_BINDTODEVICE`); none removes the restriction.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn bind_device(&self, device: Option<&[u8]>) -> io::Result<()> {
        self.0.bind_device(device)
    }

    /// The address it is bound to.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.0.local_addr()?;
        address.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// The error that the socket has kept for us, which is gone then.
    ///
    /// # Errors
    ///
    /// If the kernel can't be asked.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.take_error()
    }

    /// Binds it to an address.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as an address in use.
    pub fn bind(&self, address: SocketAddr) -> io::Result<()> {
        self.0.bind(&address.into())
    }

    /// Connects it.
    ///
    /// # Errors
    ///
    /// What the kernel says, such as a refused connection; or no slot left.
    ///
    /// # Panics
    ///
    /// When polled outside of `Runtime::block_on`.
    #[track_caller]
    pub fn connect(self, address: SocketAddr) -> impl Future<Output = io::Result<TcpStream>> {
        let location = Location::caller();
        async move {
            match self.0.connect(&address.into()) {
                Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => return Err(error),
                _ => {}
            }
            let stream = mio::net::TcpStream::from_std(self.0.into());
            TcpStream::connecting(stream, address, location).await
        }
    }

    /// Makes it a listener, in whose queue so many connections may wait to be accepted. The kernel has a limit of its
    /// own, `net.core.somaxconn`.
    ///
    /// # Errors
    ///
    /// What the kernel says; or no slot left.
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.0.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        TcpListener::from_std(self.0.into())
    }
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
