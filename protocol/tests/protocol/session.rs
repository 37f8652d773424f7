//! Sessions over real sockets: the order of hellos, and peers that are not ours.

use nexus_protocol::frame::{
    ClientFrame, Goodbye, KindFilter, Process, RuntimeInfo, ServerFrame, Subscribe, VERSION,
};
use nexus_protocol::session::{Client, Received, Server, SessionError};
use nexus_protocol::{RuntimeId, Stamp};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

fn hello() -> ServerFrame {
    ServerFrame::Hello {
        version: VERSION,
        process: Process {
            pid: 4711,
            start_time: 99,
            program: "echo".into(),
            command_line: "echo 127.0.0.1:7007".into(),
            started: Stamp(1),
            wall_offset_ns: -5,
            clock: "tsc".into(),
        },
        runtimes: vec![RuntimeInfo {
            id: RuntimeId(1),
            name: "main".into(),
            thread: 4711,
            started: Stamp(2),
            ended: Stamp::NEVER,
            ring_capacity: 1 << 17,
            recorded: 10,
            tokens: 2,
            tasks: 3,
        }],
    }
}

const SUBSCRIBE: Subscribe =
    Subscribe { history: true, kinds: KindFilter::ALL, snapshot_every_ms: 100 };

/// Both ends of a connection, ours non-blocking; the client's reads give up after a second.
fn pair() -> (UnixStream, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    (near, far)
}

/// Calls `receive` until there is something, for as long as it takes.
fn wait<S: Read + Write>(server: &mut Server<S>) -> Result<ClientFrame, SessionError> {
    loop {
        if let Some(frame) = server.receive()? {
            return Ok(frame);
        }
        thread::yield_now();
    }
}

/// What a client makes of a peer that reads the hello, answers with `bytes`, and then waits for the client to leave.
fn answered_with(bytes: Vec<u8>) -> Result<Client<UnixStream>, SessionError> {
    let (mut near, far) = UnixStream::pair().unwrap();
    far.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let peer = thread::spawn(move || {
        let mut hello = [0; 13];
        near.read_exact(&mut hello).unwrap();
        near.write_all(&bytes).unwrap();
        near.shutdown(std::net::Shutdown::Write).unwrap();
        let _ = near.read(&mut hello);
    });
    let result = Client::new(far);
    if let Ok(client) = &result {
        client.stream().shutdown(std::net::Shutdown::Both).unwrap();
    } else {
        peer.join().unwrap();
    }
    result
}

#[test]
fn a_whole_conversation() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("1-1.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let endpoint = thread::spawn(move || {
        let stream = listener.accept().unwrap().0;
        stream.set_nonblocking(true).unwrap();
        let mut server = Server::new(stream);
        assert_eq!(wait(&mut server).unwrap(), ClientFrame::Hello { version: VERSION });
        server.queue(&hello());
        assert!(server.queued_bytes() > 0);
        assert!(server.flush().unwrap());
        assert_eq!(server.queued_bytes(), 0);
        assert_eq!(wait(&mut server).unwrap(), ClientFrame::Subscribe(SUBSCRIBE));
        assert_eq!(wait(&mut server).unwrap(), ClientFrame::Finish);
        server.queue(&ServerFrame::Goodbye(Goodbye::Finished));
        assert!(server.flush().unwrap());
    });
    let mut client = Client::connect_unix(&path, Duration::from_secs(30)).unwrap();
    assert_eq!(client.hello().0.pid, 4711);
    assert_eq!(client.hello_frame(), hello());
    client.subscribe(SUBSCRIBE).unwrap();
    client.finish().unwrap();
    let goodbye = Received::Frame(ServerFrame::Goodbye(Goodbye::Finished));
    assert_eq!(client.next().unwrap(), goodbye);
    assert_eq!(client.next().unwrap(), Received::Closed);
    endpoint.join().unwrap();
}

#[test]
fn a_client_says_when_there_is_nothing() {
    let (near, far) = pair();
    let endpoint = thread::spawn(move || {
        let mut server = Server::new(near);
        wait(&mut server).unwrap();
        server.queue(&hello());
        assert!(server.flush().unwrap());
        server
    });
    let mut client = Client::new(far).unwrap();
    let server = endpoint.join().unwrap();
    client.stream().set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    assert_eq!(client.next().unwrap(), Received::Idle);
    drop(server);
    assert_eq!(client.next().unwrap(), Received::Closed);
}

#[test]
fn sockets_of_other_programs_are_told_apart() {
    for bytes in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"220 mail.example ESMTP\r\n",
        b"\x05\x00\x00\x00",
        b"\x00\x00\x00\x00\x07",
    ] {
        let error = answered_with(bytes.to_vec()).unwrap_err();
        assert!(matches!(error, SessionError::NotNexus(_)), "{error:?}");
        assert!(error.to_string().contains("does not speak the nexus protocol"));
    }
    // An echo server sends our own hello back.
    let mut own = Vec::new();
    nexus_protocol::encode::client(&ClientFrame::Hello { version: VERSION }, &mut own);
    assert!(matches!(answered_with(own).unwrap_err(), SessionError::NotNexus(_)));
}

#[test]
fn a_peer_that_says_nothing_does_not_hold_a_client() {
    let (near, far) = UnixStream::pair().unwrap();
    far.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    assert!(matches!(Client::new(far).unwrap_err(), SessionError::NoHello));
    drop(near);
}

#[test]
fn refusals_reach_the_client_in_words() {
    let refused = |goodbye| {
        let mut bytes = Vec::new();
        nexus_protocol::encode::server(&ServerFrame::Goodbye(goodbye), &mut bytes);
        answered_with(bytes).unwrap_err()
    };
    assert!(matches!(refused(Goodbye::Busy), SessionError::Refused(Goodbye::Busy)));
    let error = refused(Goodbye::Version { server: 9 });
    assert!(matches!(error, SessionError::Version { peer: 9, own: VERSION }), "{error:?}");
    assert!(matches!(answered_with(Vec::new()).unwrap_err(), SessionError::Closed));
}

/// What a server makes of these bytes, and the goodbye that the client gets for them.
fn server_gets(bytes: &[u8]) -> (SessionError, Vec<u8>) {
    let (near, mut far) = pair();
    let mut server = Server::new(near);
    far.write_all(bytes).unwrap();
    let error = loop {
        match server.receive() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(!server.is_open());
    assert!(server.flush().unwrap());
    drop(server);
    let mut answer = Vec::new();
    far.read_to_end(&mut answer).unwrap();
    (error, answer)
}

#[test]
fn clients_that_break_the_rules_are_told_which() {
    let bytes = |frames: &[ClientFrame]| {
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| nexus_protocol::encode::client(frame, &mut bytes));
        bytes
    };
    let said_hello = ClientFrame::Hello { version: VERSION };
    for (bytes, text) in [
        (b"GET / HTTP/1.1\r\n".to_vec(), "the limit is"),
        (bytes(&[ClientFrame::Finish]), "not a hello"),
        (bytes(&[said_hello.clone(), said_hello]), "second hello"),
    ] {
        let (_, answer) = server_gets(&bytes);
        let mut decoder = nexus_protocol::decode::Decoder::<ServerFrame>::new();
        decoder.feed(&answer);
        match decoder.next().unwrap() {
            Some(ServerFrame::Goodbye(Goodbye::ProtocolError(said))) => {
                assert!(said.contains(text), "{said}");
            }
            other => panic!("{other:?}"),
        }
    }
    let (error, answer) = server_gets(&bytes(&[ClientFrame::Hello { version: 0 }]));
    assert!(matches!(error, SessionError::Version { peer: 0, own: VERSION }));
    assert!(answer.ends_with(&[5, 1, 0]));
}

#[test]
fn what_a_slow_client_does_not_take_stays_in_the_queue() {
    let (near, mut far) = pair();
    let mut server = Server::new(near);
    let strings = ServerFrame::Strings {
        first: nexus_protocol::StringId(1),
        strings: vec!["x".repeat(1000); 4000],
    };
    server.queue(&strings);
    let queued = server.queued_bytes();
    assert!(!server.flush().unwrap(), "no socket takes four megabytes at once");
    assert!(server.queued_bytes() < queued);
    let reader = thread::spawn(move || {
        let mut decoder = nexus_protocol::decode::Decoder::<ServerFrame>::new();
        let (mut buffer, mut count) = (vec![0; 10_000], 0);
        while count < 4000 {
            let read = far.read(&mut buffer).unwrap();
            decoder.feed(&buffer[..read]);
            while let Some(ServerFrame::Strings { first, strings }) = decoder.next().unwrap() {
                assert_eq!(first.0 as usize, count + 1);
                count += strings.len();
            }
        }
    });
    while !server.flush().unwrap() {
        thread::yield_now();
    }
    reader.join().unwrap();
}
