//! What I/O leaves in the records: how many system calls, which waits, which addresses.

#[path = "support/recording.rs"]
mod recording;

use nexus_protocol::event::{Address, Event, Operation, OperationResult, WaitFor, WaitOutcome};
use nexus_runtime::io::{Direction, Interest, Token};
use nexus_runtime::net::unix::SocketAddr;
use nexus_runtime::net::{TcpListener, TcpStream, UnixDatagram, UnixListener, UnixStream};
use nexus_runtime::{Runtime, spawn};
use recording::Recording;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// A waker like no other.
fn waker() -> Waker {
    struct Silent;
    impl Wake for Silent {
        fn wake(self: Arc<Self>) {}
    }
    Arc::new(Silent).into()
}

/// The waits for one direction of a token, as `None` where one begins and its outcome where it ends.
fn waits(recording: &Recording, token: Token, direction: Direction) -> Vec<Option<WaitOutcome>> {
    let of_interest = WaitFor::Token(token.id(), direction);
    let find = |event: &Event| match *event {
        Event::WaitBegin { target, .. } if target == of_interest => Some(None),
        Event::WaitEnd { target, outcome, .. } if target == of_interest => Some(Some(outcome)),
        _ => None,
    };
    recording.events.iter().filter_map(find).collect()
}

async fn connection() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().await.unwrap().0, client)
}

/// Echoes lock-step round trips with a server that reads and writes as given, and checks what they cost.
fn assert_an_echo_costs_two_calls(
    read: impl AsyncFn(&TcpStream, &mut [u8]) -> usize,
    write: impl AsyncFn(&TcpStream, &[u8]),
) {
    const ROUND_TRIPS: usize = 200;
    let runtime = Runtime::new().unwrap();
    let token = runtime.block_on(async {
        let (server, mut client) = connection().await;
        let talking = std::thread::spawn(move || {
            for _ in 0..ROUND_TRIPS {
                client.write_all(&[7; 64]).unwrap();
                client.read_exact(&mut [0; 64]).unwrap();
            }
        });
        let mut buffer = [0; 1024];
        loop {
            match read(&server, &mut buffer).await {
                0 => break,
                bytes => write(&server, &buffer[..bytes]).await,
            }
        }
        talking.join().unwrap();
        server.token().id()
    });
    let recording = Recording::of(runtime.id());
    let tried = |kind| {
        let mut results = recording.results(token, kind);
        results.retain(|result| *result != OperationResult::NotReady);
        results
    };
    let mut reads = tried(Operation::Read);
    assert_eq!(reads.pop(), Some(OperationResult::EndOfFile));
    assert_eq!(
        reads,
        [OperationResult::Done(64); ROUND_TRIPS],
        "one call a read, none that blocks"
    );
    assert_eq!(tried(Operation::Write), [OperationResult::Done(64); ROUND_TRIPS]);
    let turns = recording.events.iter().filter(|event| matches!(event, Event::Turn { .. })).count();
    // The start and the end take a few.
    assert!(turns <= ROUND_TRIPS + 10, "{turns} turns");
}

#[test]
fn an_asynchronous_echo_costs_a_read_and_a_write() {
    assert_an_echo_costs_two_calls(
        async |stream, buffer| stream.read(buffer).await.unwrap(),
        async |stream, data| stream.write_all(data).await.unwrap(),
    );
}

#[test]
fn a_polled_echo_costs_a_read_and_a_write() {
    assert_an_echo_costs_two_calls(
        async |stream, buffer| poll_fn(|cx| stream.poll_read(cx, buffer)).await.unwrap(),
        async |stream, data| {
            assert_eq!(poll_fn(|cx| stream.poll_write(cx, data)).await.unwrap(), data.len());
        },
    );
}

#[test]
fn a_wait_of_polls_is_recorded_once() {
    let runtime = Runtime::new().unwrap();
    let token = runtime.block_on(async {
        let (server, mut client) = connection().await;
        let mut buffer = [0; 8];
        let mut polls = 0;
        let bytes = poll_fn(|cx| {
            polls += 1;
            if polls < 10 {
                cx.waker().wake_by_ref();
            } else if polls == 10 {
                client.write_all(b"x").unwrap();
            }
            server.poll_read(cx, &mut buffer)
        });
        assert_eq!(bytes.await.unwrap(), 1);
        server.token()
    });
    let recording = Recording::of(runtime.id());
    let waits = waits(&recording, token, Direction::Readable);
    assert_eq!(waits, [None, Some(WaitOutcome::Done)]);
}

#[test]
fn waits_that_are_displaced_or_lose_their_source_are_dropped() {
    let runtime = Runtime::new().unwrap();
    let token = runtime.block_on(async {
        let (server, _client) = connection().await;
        for waker in [waker(), waker()] {
            let mut cx = Context::from_waker(&waker);
            assert!(server.poll_read(&mut cx, &mut [0; 8]).is_pending());
        }
        server.token()
    });
    let recording = Recording::of(runtime.id());
    let dropped = Some(WaitOutcome::Dropped);
    let waits = waits(&recording, token, Direction::Readable);
    assert_eq!(waits, [None, dropped, None, dropped]);
}

#[test]
fn nothing_is_left_of_dropped_waits() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let (server, _client) = connection().await;
        let server = std::rc::Rc::new(server);
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let server = server.clone();
                spawn(async move { server.read(&mut [0; 8]).await })
            })
            .collect();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(server.poll_read_ready(&mut cx).is_pending());
        nexus_runtime::task::yield_now().await;
        let waiters = |recording: &Recording| {
            let row = recording.board.tokens.iter().find(|row| row.token == server.token().id());
            row.expect("a row").waiters_readable
        };
        assert_eq!(waiters(&Recording::of(runtime.id())), 11);
        for task in &tasks {
            task.abort();
        }
        for task in tasks {
            assert!(task.await.is_err());
        }
        assert_eq!(waiters(&Recording::of(runtime.id())), 1, "that of the poll");
        assert!(matches!(server.poll_read_ready(&mut cx), Poll::Pending));
    });
}

#[test]
fn interest_is_what_was_needed() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        server.write_all(b"hello").await.unwrap();
        client.read_exact(&mut [0; 5]).await.unwrap();
        let interest = |token: Token| {
            let board = Recording::of(runtime.id()).board;
            board.tokens.iter().find(|row| row.token == token.id()).expect("a row").interest
        };
        assert_eq!(interest(listener.token()), Interest::READABLE);
        assert_eq!(interest(client.token()), Interest::READABLE, "also after connecting");
        assert_eq!(interest(server.token()), Interest::READABLE, "there was room for all it wrote");
        let mut cx = Context::from_waker(Waker::noop());
        while server.try_write(&[0; 1 << 16]).is_ok() {}
        assert!(server.poll_write(&mut cx, &[0; 1 << 16]).is_pending());
        assert_eq!(interest(server.token()), Interest::READABLE | Interest::WRITABLE);
    });
}

#[test]
fn addresses_of_unix_sockets_are_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("recorded.sock");
    let name = format!("nexus-test-{}-recorded", std::process::id());
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let datagrams = UnixDatagram::bind_addr(&address).unwrap();
        let recording = Recording::of(runtime.id());
        let addresses = |token: Token| {
            let row = recording.board.tokens.iter().find(|row| row.token == token.id());
            let row = row.expect("a row");
            [row.local, row.peer].map(|address| match address {
                Some(Address::Unix(path)) => recording.string(path),
                Some(other) => panic!("{other:?} is no address of a Unix socket"),
                None => "",
            })
        };
        let (path, name) = (path.to_str().unwrap(), format!("@{name}"));
        assert_eq!(addresses(listener.token()), [path, ""]);
        assert_eq!(addresses(client.token()), ["", path]);
        assert_eq!(addresses(server.token()), [path, ""]);
        assert_eq!(addresses(datagrams.token()), [name.as_str(), ""]);
        let connects = recording.results(client.token().id(), Operation::Connect);
        assert_eq!(connects, [OperationResult::Done(0)]);
    });
}
