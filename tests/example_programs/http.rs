//! `http`, against a client that writes HTTP/1.1 by hand. Clients on hyper, of both versions, are those of `load`.

use crate::connect;
use nexus_tests::programs::{Sandbox, example};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A connection that is kept alive.
struct Client {
    stream: BufReader<TcpStream>,
}

/// Status and body.
type Answer = (u16, Vec<u8>);

impl Client {
    fn new(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(connect(address)) }
    }

    fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Answer {
        let status = self.line();
        let status = status.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let mut length = None;
        let mut chunked = false;
        loop {
            let header = self.line().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            chunked |= header == "transfer-encoding: chunked";
            length = header.strip_prefix("content-length: ").map(str::to_owned).or(length);
        }
        let mut body = Vec::new();
        if chunked {
            while let bytes @ 1.. = usize::from_str_radix(&self.line(), 16).expect("a length") {
                self.take(bytes, &mut body);
                assert_eq!(self.line(), "");
            }
            assert_eq!(self.line(), "");
        } else {
            self.take(length.expect("a length").parse().unwrap(), &mut body);
        }
        (status.expect("a status"), body)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("an answer");
        line.strip_suffix("\r\n").expect("a whole line").to_owned()
    }

    fn take(&mut self, bytes: usize, body: &mut Vec<u8>) {
        let start = body.len();
        body.resize(start + bytes, 0);
        self.stream.read_exact(&mut body[start..]).unwrap();
    }
}

#[test]
fn its_routes_answer_on_one_connection() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("http"));
    let mut client = Client::new(server.address);
    assert_eq!(client.ask("GET", "/", b""), (200, b"hello\n".to_vec()));
    assert_eq!(client.ask("POST", "/echo", b"say it again"), (200, b"say it again".to_vec()));
    assert_eq!(client.ask("GET", "/count/3", b""), (200, b"0\n1\n2\n".to_vec()));
    assert_eq!(client.ask("POST", "/", b"").0, 405);
    assert_eq!(client.ask("GET", "/nowhere", b"").0, 404);
    assert_eq!(client.ask("GET", "/count/many", b"").0, 404);
    assert_eq!(client.ask("GET", "/", b"").0, 200, "still the same connection");
}

#[test]
fn a_large_body_comes_back_while_it_is_still_being_sent() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("http"));
    let numbers: Vec<u8> = (0..251).collect();
    let body = numbers.repeat(64 * 1024);
    let mut client = Client::new(server.address);
    let mut writer = client.stream.get_ref().try_clone().unwrap();
    let answer = std::thread::scope(|scope| {
        // Neither the server nor the kernel holds so much: unless somebody reads meanwhile, this never ends.
        scope.spawn(|| {
            let head = format!(
                "POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            writer.write_all(head.as_bytes()).unwrap();
            writer.write_all(&body).unwrap();
        });
        client.answer()
    });
    assert_eq!(answer.0, 200);
    assert!(answer.1 == body);
}

#[test]
fn a_body_is_sent_while_it_is_made() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("http"));
    let mut client = Client::new(server.address);
    // It takes a hundred seconds to make all of it, and the client does not wait so long.
    client
        .stream
        .get_mut()
        .write_all(b"GET /count/100000 HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    while !client.line().is_empty() {}
    assert_eq!(client.line(), "2", "the length of the first piece");
    let mut piece = Vec::new();
    client.take(2, &mut piece);
    assert_eq!(piece, b"0\n");
    drop(client);
    assert_eq!(Client::new(server.address).ask("GET", "/", b"").0, 200);
}

#[test]
fn nonsense_is_refused_and_disturbs_nobody() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("http"));
    let mut quiet = Client::new(server.address);
    assert_eq!(quiet.ask("GET", "/", b"").0, 200);
    let mut wrong = connect(server.address);
    wrong.write_all(b"this is no HTTP\r\n\r\n").unwrap();
    let mut answer = String::new();
    wrong.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(quiet.ask("GET", "/", b"").0, 200);
}
