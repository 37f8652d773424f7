//! `websocket`, against the blocking client of the library that it does not use.

use crate::connect;
use async_tungstenite::tungstenite::{self, Error, Message, WebSocket};
use nexus_tests::programs::{Sandbox, example};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

fn open(address: SocketAddr) -> WebSocket<TcpStream> {
    tungstenite::client(format!("ws://{address}/"), connect(address)).expect("a handshake").0
}

#[test]
fn messages_come_back_and_pings_are_answered() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("websocket"));
    let mut socket = open(server.address);
    let text = Message::text("grüß dich");
    // Far more than the kernel takes at once.
    let binary = Message::binary(vec![7; 4 * 1024 * 1024]);
    for message in [text, Message::text(""), binary] {
        socket.send(message.clone()).unwrap();
        assert!(socket.read().unwrap() == message);
    }
    socket.send(Message::Ping("are you there?".into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong("are you there?".into()));
    socket.close(None).unwrap();
    assert!(matches!(socket.read(), Ok(Message::Close(_))));
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
}

#[test]
fn one_that_speaks_no_websocket_disturbs_nobody() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("websocket"));
    let mut quiet = open(server.address);
    let mut wrong = connect(server.address);
    wrong.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    // Refused with an answer or without one, but the connection ends.
    let _ = wrong.read_to_string(&mut answer);
    assert!(!answer.contains("101"), "{answer}");
    drop(open(server.address));
    quiet.send(Message::text("still here")).unwrap();
    assert_eq!(quiet.read().unwrap(), Message::text("still here"));
}
