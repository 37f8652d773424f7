//! `chat`: who is told what.

use crate::connect;
use nexus_tests::programs::{Sandbox, example};
use nexus_tests::wait_until;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Someone who chats.
struct Person {
    stream: BufReader<TcpStream>,
}

impl Person {
    /// Enters, and finds these others.
    fn enter(address: SocketAddr, name: &str, others: &[&str]) -> Self {
        let mut person = Self { stream: BufReader::new(connect(address)) };
        person.say(name);
        let greeting = person.hear();
        let mut found: Vec<_> = greeting
            .strip_prefix("* with you here: ")
            .unwrap_or_else(|| panic!("no greeting: {greeting}"))
            .split(", ")
            .collect();
        found.sort_unstable();
        assert_eq!(found, others);
        person
    }

    fn say(&mut self, line: &str) {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("something is said");
        line.trim_end().to_owned()
    }
}

#[test]
fn everyone_else_hears_what_one_says() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("chat"));
    let mut ada = Person::enter(server.address, "Ada", &["nobody"]);
    let mut bob = Person::enter(server.address, "Bob", &["Ada"]);
    assert_eq!(ada.hear(), "* Bob is here");
    let mut eve = Person::enter(server.address, "Eve", &["Ada", "Bob"]);
    assert_eq!(ada.hear(), "* Eve is here");
    assert_eq!(bob.hear(), "* Eve is here");

    ada.say("good morning");
    assert_eq!(bob.hear(), "Ada: good morning");
    assert_eq!(eve.hear(), "Ada: good morning");
    bob.say("hello\r\nand hello again");
    for line in ["Bob: hello", "Bob: and hello again"] {
        assert_eq!(ada.hear(), line, "in order, and not said to Bob himself");
        assert_eq!(eve.hear(), line);
    }

    drop(bob);
    assert_eq!(ada.hear(), "* Bob has left");
    assert_eq!(eve.hear(), "* Bob has left");
    eve.say("just us now");
    assert_eq!(ada.hear(), "Eve: just us now");
}

#[test]
fn a_line_without_an_end_is_not_kept_for_ever() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("chat"));
    let mut stream = connect(server.address);
    // The server may close while this is being written.
    let _ = stream.write_all(&[b'x'; 64 * 1024]);
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => assert_eq!(rest, b""),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn who_does_not_listen_is_sent_away() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("chat"));
    let mut ada = Person::enter(server.address, "Ada", &["nobody"]);
    let mut mute = Person::enter(server.address, "Mute", &["Ada"]);
    assert_eq!(ada.hear(), "* Mute is here");
    // What the kernel's buffers and the server's take, and then some: until the one who does not read is gone.
    let lines = (("x".repeat(1000)) + "\n").repeat(400);
    let stream = ada.stream.get_mut();
    stream.set_nonblocking(true).unwrap();
    let mut heard = Vec::new();
    wait_until("the one who does not listen is gone", || {
        // Where it ends does not matter: the rest of a line and the next one are short enough together.
        let _ = stream.write(lines.as_bytes());
        let mut buffer = [0; 256];
        if let Ok(bytes) = stream.read(&mut buffer) {
            heard.extend_from_slice(&buffer[..bytes]);
        }
        String::from_utf8_lossy(&heard).contains("* Mute has left").then_some(())
    });
    match mute.stream.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}
