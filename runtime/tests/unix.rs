//! Unix streams, listeners and datagrams.

use nexus_runtime::io::{Interest, IoHandle, Readiness};
use nexus_runtime::net::unix::SocketAddr;
use nexus_runtime::net::{UnixDatagram, UnixListener, UnixStream};
use nexus_runtime::time::{Duration, timeout};
use nexus_runtime::{Runtime, spawn, task};
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::rc::Rc;

/// Nothing here takes nearly as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let patient = async { timeout(PATIENCE, future).await.expect("it does not hang") };
    Runtime::new().unwrap().block_on(patient)
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// An abstract address that only this process uses.
fn abstract_address(name: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(format!("nexus-test-{}-{name}", std::process::id())).unwrap()
}

#[test]
fn a_listener_serves_plain_clients() {
    block_on(async {
        let directory = directory();
        let path = directory.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(path.as_path()));
        let client = std::thread::spawn(move || {
            let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
            let mut buffer = [0; 5];
            for _ in 0..1_000 {
                stream.write_all(b"hello").unwrap();
                stream.read_exact(&mut buffer).unwrap();
                assert_eq!(&buffer, b"hello");
            }
        });
        let (stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 64];
        let mut total = 0;
        loop {
            let bytes = stream.read(&mut buffer).await.unwrap();
            if bytes == 0 {
                break;
            }
            total += bytes;
            stream.write_all(&buffer[..bytes]).await.unwrap();
        }
        assert_eq!(total, 5_000);
        client.join().unwrap();
    });
}

#[test]
fn connections_are_made_by_path_and_by_abstract_name() {
    block_on(async {
        let directory = directory();
        let path = directory.path().join("socket");
        let nobody = UnixStream::connect(&path).await.unwrap_err();
        assert_eq!(nobody.kind(), ErrorKind::NotFound);
        let listener = UnixListener::bind(&path).unwrap();
        assert!(listener.take_error().unwrap().is_none());
        assert_eq!(UnixListener::bind(&path).unwrap_err().kind(), ErrorKind::AddrInUse);
        assert_eq!(listener.try_accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        let client = UnixStream::connect(&path).await.unwrap();
        assert_eq!(client.peer_addr().unwrap().as_pathname(), Some(path.as_path()));
        let (server, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        client.write_all(b"x").await.unwrap();
        assert_eq!(server.read(&mut [0; 4]).await.unwrap(), 1);

        let address = abstract_address("connect");
        let listener = UnixListener::bind_addr(&address).unwrap();
        let client = UnixStream::connect_addr(&address).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        drop(client);
        assert_eq!(server.read(&mut [0; 4]).await.unwrap(), 0);
    });
}

#[test]
fn a_full_queue_is_waited_for() {
    block_on(async {
        let directory = directory();
        let path = directory.path().join("socket");
        let socket =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        socket.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
        socket.listen(1).unwrap();
        let listener = UnixListener::from_std(socket.into()).unwrap();
        let connecting: Vec<_> = (0..6)
            .map(|_| {
                let path = path.clone();
                spawn(async move { UnixStream::connect(path).await })
            })
            .collect();
        task::yield_now().await;
        assert!(connecting.iter().any(|task| !task.is_finished()), "the queue is full");
        for _ in 0..6 {
            listener.accept().await.unwrap();
        }
        for task in connecting {
            task.await.unwrap().unwrap();
        }
    });
}

#[test]
fn a_pair_is_a_byte_stream() {
    block_on(async {
        let (left, right) = UnixStream::pair().unwrap();
        assert_eq!(left.try_read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let data = [IoSlice::new(b"pi"), IoSlice::new(b"ng")];
        assert_eq!(left.write_vectored(&data).await.unwrap(), 4);
        let mut buffer = [0; 8];
        assert_eq!(right.peek(&mut buffer).await.unwrap(), 4);
        assert_eq!(poll_fn(|cx| right.poll_read(cx, &mut buffer)).await.unwrap(), 4);
        let readiness = IoHandle::current().readiness(right.token()).unwrap();
        assert_eq!(readiness, Readiness::EMPTY, "a short read has emptied it");
        let both = Interest::READABLE | Interest::WRITABLE;
        assert_eq!(right.ready(both).await.unwrap(), Readiness::WRITABLE);
        left.write_all(b"last words").await.unwrap();
        left.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        assert_eq!(right.read_to_end(&mut rest).await.unwrap(), 10);
        assert_eq!(rest, b"last words");
    });
}

#[test]
fn halves_work_in_two_tasks_and_become_a_whole_again() {
    const BYTES: usize = 2 << 20;
    block_on(async {
        let (left, right) = UnixStream::pair().unwrap();
        let (reader, writer) = left.into_split();
        let echo = spawn(async move {
            let (reader, writer) = right.split();
            let mut buffer = vec![0; 10_000];
            loop {
                let bytes = reader.read(&mut buffer).await.unwrap();
                if bytes == 0 {
                    return;
                }
                writer.write_all(&buffer[..bytes]).await.unwrap();
            }
        });
        let writing = spawn(async move {
            writer.write_all(&vec![5; BYTES]).await.unwrap();
            writer
        });
        let mut received = vec![0; BYTES];
        reader.read_exact(&mut received).await.unwrap();
        assert!(received.iter().all(|&byte| byte == 5));
        let whole = reader.reunite(writing.await.unwrap()).unwrap();
        whole.shutdown(Shutdown::Write).unwrap();
        echo.await.unwrap();
    });
}

#[test]
fn the_peer_has_credentials() {
    block_on(async {
        let (left, _right) = UnixStream::pair().unwrap();
        let peer = left.peer_cred().unwrap();
        assert_eq!(peer.pid(), Some(std::process::id() as i32));
        assert_eq!(peer.uid(), rustix::process::geteuid().as_raw());
        assert_eq!(peer.gid(), rustix::process::getegid().as_raw());
    });
}

#[test]
fn to_std_and_back() {
    block_on(async {
        let (left, right) = UnixStream::pair().unwrap();
        let token = right.token();
        let right = right.into_std().unwrap();
        assert!(IoHandle::current().readiness(token).is_err());
        left.write_all(b"meanwhile").await.unwrap();
        let right = UnixStream::from_std(right).unwrap();
        assert_eq!(right.read(&mut [0; 32]).await.unwrap(), 9);

        let address = abstract_address("std");
        let listener = UnixListener::bind_addr(&address).unwrap().into_std().unwrap();
        let listener = UnixListener::from_std(listener).unwrap();
        let _client = UnixStream::connect_addr(&address).await.unwrap();
        listener.accept().await.unwrap();

        let (left, right) = UnixDatagram::pair().unwrap();
        let right = UnixDatagram::from_std(right.into_std().unwrap()).unwrap();
        left.send(b"abc").await.unwrap();
        assert_eq!(right.recv(&mut [0; 8]).await.unwrap(), 3);
    });
}

#[test]
fn datagrams_go_by_path_and_by_abstract_name() {
    block_on(async {
        let directory = directory();
        let path = directory.path().join("server");
        let server = UnixDatagram::bind(&path).unwrap();
        let client = UnixDatagram::bind(directory.path().join("client")).unwrap();
        assert_eq!(client.send_to(b"one", &path).await.unwrap(), 3);
        assert_eq!(client.try_send_to(b"", &path).unwrap(), 0);
        assert_eq!(poll_fn(|cx| client.poll_send_to(cx, b"three", &path)).await.unwrap(), 5);
        let mut buffer = [0; 16];
        for bytes in [3, 0, 5] {
            let (got, from) = server.recv_from(&mut buffer).await.unwrap();
            assert_eq!(got, bytes);
            assert!(from.as_pathname().unwrap().ends_with("client"));
        }
        let unbound = UnixDatagram::unbound().unwrap();
        unbound.connect(&path).unwrap();
        unbound.send(b"nameless").await.unwrap();
        let (_, from) = server.recv_from(&mut buffer).await.unwrap();
        assert!(from.is_unnamed());

        let address = abstract_address("datagram");
        let server = UnixDatagram::bind_addr(&address).unwrap();
        client.send_to_addr(b"abstract", &address).await.unwrap();
        assert_eq!(server.peek(&mut buffer).await.unwrap(), 8);
        assert_eq!(server.recv(&mut buffer).await.unwrap(), 8);
        client.connect_addr(&address).unwrap();
        assert!(client.send_to(b"nobody", directory.path().join("nobody")).await.is_err());
    });
}

#[test]
fn a_full_receiver_makes_senders_wait() {
    const DATAGRAMS: usize = 2_000;
    block_on(async {
        let (left, right) = UnixDatagram::pair().unwrap();
        let left = Rc::new(left);
        let sending: Vec<_> = (0..2)
            .map(|_| {
                let left = left.clone();
                spawn(async move {
                    for _ in 0..DATAGRAMS / 2 {
                        left.send(&[9; 100]).await.unwrap();
                    }
                })
            })
            .collect();
        task::yield_now().await;
        assert!(sending.iter().any(|task| !task.is_finished()));
        for _ in 0..DATAGRAMS {
            assert_eq!(right.recv(&mut [0; 200]).await.unwrap(), 100);
        }
        for task in sending {
            task.await.unwrap();
        }
        right.shutdown(Shutdown::Both).unwrap();
        assert!(left.send(b"x").await.is_err());
    });
}

#[test]
fn a_short_datagram_says_nothing_of_the_next_one() {
    block_on(async {
        let (left, right) = UnixDatagram::pair().unwrap();
        left.send(b"ab").await.unwrap();
        left.send(b"c").await.unwrap();
        right.readable().await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(right.try_recv(&mut buffer).unwrap(), 2);
        let readiness = || IoHandle::current().readiness(right.token()).unwrap();
        assert_eq!(readiness(), Readiness::READABLE);
        assert_eq!(right.try_recv(&mut buffer).unwrap(), 1);
        assert_eq!(right.try_recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(readiness(), Readiness::EMPTY);
    });
}
