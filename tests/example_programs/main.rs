//! The examples, each as a process of its own with a real client against it.

mod chat;
mod graceful_shutdown;
mod http;
mod load;
mod logs;
mod mio_loop;
mod timers;
mod tls;
mod udp;
mod websocket;

use nexus_tests::PATIENCE;
use std::net::{SocketAddr, TcpStream};

/// A plain client that gives up in the end, should the server never answer.
fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}
