//! The halves of a TCP connection, see [`TcpStream::split`] and [`TcpStream::into_split`].

use super::TcpStream;
use std::net::SocketAddr;

super::split::halves!(TcpStream, mio::net::TcpStream, SocketAddr);
