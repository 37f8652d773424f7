//! `udp`: datagrams come back as they were.

use nexus_tests::programs::{Sandbox, example};
use nexus_tests::{PATIENCE, wait_until};
use std::net::{SocketAddr, UdpSocket};

fn socket(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

#[test]
fn each_datagram_goes_back_to_its_sender() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("udp"));
    let sockets = [socket(server.address), socket(server.address)];
    let mut buffer = vec![0; 65_535];
    for length in [0, 1, 1500, 9000, 65_507] {
        for (number, socket) in sockets.iter().enumerate() {
            let sent = vec![number as u8; length];
            socket.send(&sent).unwrap();
            let received = socket.recv(&mut buffer).expect("on loopback, nothing is lost");
            assert!(buffer[..received] == sent, "{length} bytes of socket {number}");
        }
    }
}

#[test]
fn a_peer_that_has_gone_does_not_disturb_the_others() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("udp"));
    for _ in 0..10 {
        socket(server.address).send(b"do not answer").unwrap();
    }
    let socket = socket(server.address);
    socket.set_nonblocking(true).unwrap();
    wait_until("an answer", || {
        let _ = socket.send(b"answer");
        socket.recv(&mut [0; 16]).ok()
    });
}
