//! What belongs to Unix sockets: the halves of a connection, see [`UnixStream::split`] and [`UnixStream::into_split`];
//! who is at its other end; addresses.

mod credentials;

pub use credentials::UCred;
pub use std::os::unix::net::SocketAddr;

use super::UnixStream;

super::split::halves!(UnixStream, mio::net::UnixStream, SocketAddr);
