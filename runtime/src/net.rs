//! Sockets, and the way from names to addresses.
//!
//! All operations take `&self`: any number of tasks may use one socket at the same time, in either direction, and each
//! is woken. Sockets are registered for what they need: a stream that only reads never subscribes to writable.

mod addresses;
mod datagram;
mod listener;
mod split;
mod stream;
pub mod tcp;
mod tcp_listener;
mod tcp_socket;
mod tcp_stream;
mod udp_socket;
pub mod unix;
mod unix_datagram;
mod unix_listener;
mod unix_stream;

pub(crate) use self::stream::transferred;
pub use addresses::{ToSocketAddrs, lookup_host};
pub use tcp_listener::TcpListener;
pub use tcp_socket::TcpSocket;
pub use tcp_stream::TcpStream;
pub use udp_socket::UdpSocket;
pub use unix_datagram::UnixDatagram;
pub use unix_listener::UnixListener;
pub use unix_stream::UnixStream;
