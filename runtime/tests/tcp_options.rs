//! TCP beyond reading and writing: options, several buffers, peeking, halves and wholes, to std and back.

use nexus_runtime::io::{Direction, Interest, IoHandle, Readiness};
use nexus_runtime::net::{TcpListener, TcpSocket, TcpStream};
use nexus_runtime::time::{Duration, timeout};
use nexus_runtime::{Runtime, spawn, task};
use rustix::net::{RecvFlags, SendFlags};
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Nothing here takes nearly as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let patient = async { timeout(PATIENCE, future).await.expect("it does not hang") };
    Runtime::new().unwrap().block_on(patient)
}

fn loopback() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A connection, as seen from both ends.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = spawn(async move { listener.accept().await.unwrap().0 });
    let client = TcpStream::connect(address).await.unwrap();
    (client, accepting.await.unwrap())
}

/// A connection whose other end is a plain one, for a thread.
async fn with_std() -> (TcpStream, std::net::TcpStream) {
    let listener = TcpListener::bind(loopback()).await.unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().await.unwrap().0, client)
}

#[test]
fn options_are_what_was_set() {
    block_on(async {
        let (stream, _peer) = connection().await;
        for on in [true, false] {
            stream.set_nodelay(on).unwrap();
            assert_eq!(stream.nodelay().unwrap(), on);
            stream.set_keepalive(on).unwrap();
            assert_eq!(stream.keepalive().unwrap(), on);
        }
        for linger in [Some(Duration::ZERO), Some(Duration::from_secs(3)), None] {
            stream.set_linger(linger).unwrap();
            assert_eq!(stream.linger().unwrap(), linger);
        }
        stream.set_ttl(17).unwrap();
        assert_eq!(stream.ttl().unwrap(), 17);
        stream.set_tos(0x10).unwrap();
        assert_eq!(stream.tos().unwrap(), 0x10);
        assert!(stream.take_error().unwrap().is_none());
        let listener = TcpListener::bind(loopback()).await.unwrap();
        listener.set_ttl(18).unwrap();
        assert_eq!(listener.ttl().unwrap(), 18);
        assert!(listener.take_error().unwrap().is_none());
    });
}

#[test]
fn a_socket_keeps_its_options_when_it_connects_and_listens() {
    block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.set_reuseport(true).unwrap();
        assert!(socket.reuseaddr().unwrap() && socket.reuseport().unwrap());
        socket.set_recv_buffer_size(20_000).unwrap();
        assert!(socket.recv_buffer_size().unwrap() >= 20_000);
        socket.set_nodelay(true).unwrap();
        socket.bind(loopback()).unwrap();
        let listener = socket.listen(16).unwrap();
        let address = listener.local_addr().unwrap();
        let twin = TcpSocket::new_v4().unwrap();
        twin.set_reuseport(true).unwrap();
        twin.bind(address).unwrap();

        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(20_000).unwrap();
        socket.set_keepalive(true).unwrap();
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        assert_eq!(socket.device().unwrap(), None);
        socket.bind(loopback()).unwrap();
        let bound = socket.local_addr().unwrap();
        let client = socket.connect(address).await.unwrap();
        assert_eq!(client.local_addr().unwrap(), bound);
        assert!(client.keepalive().unwrap());
        let (server, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, bound);
        assert!(server.nodelay().unwrap(), "inherited from the listener");
        // A linger of zero resets the connection.
        drop(client);
        let error = server.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_bound_socket_that_does_not_listen_refuses() {
    block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(loopback()).unwrap();
        let address = socket.local_addr().unwrap();
        let error = TcpSocket::new_v4().unwrap().connect(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let second = TcpSocket::new_v4().unwrap();
        assert_eq!(second.bind(address).unwrap_err().kind(), ErrorKind::AddrInUse);
    });
}

#[test]
fn a_socket_from_std_listens() {
    block_on(async {
        let made = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = TcpSocket::from_std_stream(made.unwrap().into()).unwrap();
        socket.bind(loopback()).unwrap();
        let listener = socket.listen(1).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        assert_eq!(listener.accept().await.unwrap().1, client.local_addr().unwrap());
    });
}

#[test]
fn several_buffers_go_in_one_call() {
    block_on(async {
        let (client, server) = connection().await;
        let sent = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
        assert_eq!(client.write_vectored(&sent).await.unwrap(), 5);
        let (mut first, mut second) = ([0; 3], [0; 8]);
        let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(server.read_vectored(&mut buffers).await.unwrap(), 5);
        assert_eq!((&first, &second[..2]), (b"abc", &b"de"[..]));
        assert_eq!(client.try_write_vectored(&sent).unwrap(), 5);
        server.readable().await.unwrap();
        let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(server.try_read_vectored(&mut buffers).unwrap(), 5);
        let mut buffers = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        let error = server.try_read_vectored(&mut buffers).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn more_buffers_than_the_kernel_takes_in_one_call_are_no_short_write() {
    block_on(async {
        let (client, server) = connection().await;
        // Who is subscribed to writable goes by the readiness.
        client.writable().await.unwrap();
        let many = vec![IoSlice::new(b"x"); 3_000];
        let taken = client.write_vectored(&many).await.unwrap();
        assert!(taken < many.len(), "the kernel has taken all of it");
        let writing = client.write_vectored(&many[taken..]);
        let mut writing = pin!(writing);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(writing.as_mut().poll(cx).is_ready(), "it was taken for a full buffer");
        drop(server);
    });
}

#[test]
fn peeking_takes_nothing() {
    block_on(async {
        let (client, server) = connection().await;
        assert_eq!(server.try_peek(&mut [0; 4]).unwrap_err().kind(), ErrorKind::WouldBlock);
        client.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 16];
        for _ in 0..3 {
            assert_eq!(server.peek(&mut buffer).await.unwrap(), 5);
        }
        assert_eq!(server.try_peek(&mut buffer[..2]).unwrap(), 2);
        assert_eq!(server.read(&mut buffer).await.unwrap(), 5);
        assert_eq!(&buffer[..5], b"hello");
    });
}

#[test]
fn reading_to_the_end_appends_everything() {
    const BYTES: usize = 1_000_000;
    block_on(async {
        let (server, mut client) = with_std().await;
        let writing = std::thread::spawn(move || {
            for chunk in (0..BYTES).map(|index| index as u8).collect::<Vec<_>>().chunks(7_001) {
                client.write_all(chunk).unwrap();
            }
        });
        let mut buffer = b"before".to_vec();
        assert_eq!(server.read_to_end(&mut buffer).await.unwrap(), BYTES);
        writing.join().unwrap();
        assert_eq!(&buffer[..6], b"before");
        assert!(buffer[6..].iter().enumerate().all(|(index, byte)| *byte == index as u8));
        assert_eq!(server.read_to_end(&mut buffer).await.unwrap(), 0, "it stays at its end");
    });
}

#[test]
fn a_read_to_the_end_that_is_dropped_keeps_what_came() {
    block_on(async {
        let (client, server) = connection().await;
        client.write_all(b"first").await.unwrap();
        let mut buffer = Vec::new();
        let reading = server.read_to_end(&mut buffer);
        assert!(timeout(Duration::from_millis(20), reading).await.is_err());
        client.write_all(b" second").await.unwrap();
        drop(client);
        server.read_to_end(&mut buffer).await.unwrap();
        assert_eq!(buffer, b"first second");
    });
}

#[test]
fn halves_become_a_whole_again() {
    block_on(async {
        let (client, server) = connection().await;
        let (other, _server) = connection().await;
        let (reader, writer) = client.into_split();
        let (other_reader, other_writer) = other.into_split();
        assert_eq!(reader.peer_addr().unwrap(), server.local_addr().unwrap());
        assert_eq!(writer.token(), reader.token());
        let error = reader.reunite(other_writer).unwrap_err();
        let client = writer.reunite(error.0).unwrap();
        other_reader.reunite(error.1).unwrap();
        // Nothing was closed on the way.
        client.write_all(b"x").await.unwrap();
        assert_eq!(server.read(&mut [0; 4]).await.unwrap(), 1);
        let (reader, writer) = client.into_split();
        writer.forget();
        server.write_all(b"y").await.unwrap();
        assert_eq!(reader.read(&mut [0; 4]).await.unwrap(), 1);
        let mut buffer = [0; 4];
        let mut waiting = pin!(server.read(&mut buffer));
        let waits = poll_fn(|cx| Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await;
        assert!(waits, "a forgotten half leaves its direction open");
        drop(reader);
        assert_eq!(waiting.await.unwrap(), 0);
    });
}

#[test]
fn a_dropped_half_closes_its_direction_only() {
    block_on(async {
        let (client, server) = connection().await;
        let (reader, writer) = client.into_split();
        drop(writer);
        assert_eq!(server.read(&mut [0; 4]).await.unwrap(), 0);
        server.write_all(b"still here").await.unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        let mut buffer = Vec::new();
        reader.read_to_end(&mut buffer).await.unwrap();
        assert_eq!(buffer, b"still here");
    });
}

#[test]
fn to_std_and_back() {
    block_on(async {
        let (client, server) = connection().await;
        let token = server.token();
        let io = IoHandle::current();
        assert!(io.readiness(token).is_ok());
        let mut plain = server.into_std().unwrap();
        assert!(io.readiness(token).is_err(), "its token was given back");
        client.write_all(b"while it was away").await.unwrap();
        plain.set_nonblocking(false).unwrap();
        let mut buffer = [0; 5];
        plain.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"while");
        // What has come before it is registered is reported all the same.
        let server = TcpStream::from_std(plain).unwrap();
        let mut rest = [0; 32];
        assert_eq!(server.read(&mut rest).await.unwrap(), 12);
        assert_eq!(server.try_read(&mut rest).unwrap_err().kind(), ErrorKind::WouldBlock);

        let listener = TcpListener::bind(loopback()).await.unwrap();
        let listener = TcpListener::from_std(listener.into_std().unwrap()).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        listener.accept().await.unwrap();
    });
}

#[test]
fn a_listener_can_be_polled_and_tried() {
    block_on(async {
        let listener = Rc::new(TcpListener::bind(loopback()).await.unwrap());
        let address = listener.local_addr().unwrap();
        assert_eq!(listener.try_accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        let polling = spawn({
            let listener = listener.clone();
            async move { poll_fn(|cx| listener.poll_accept(cx)).await.unwrap().1 }
        });
        let awaiting = spawn({
            let listener = listener.clone();
            async move { listener.accept().await.unwrap().1 }
        });
        task::yield_now().await;
        let clients = [(); 2].map(|()| std::net::TcpStream::connect(address).unwrap());
        let mut accepted = [polling.await.unwrap(), awaiting.await.unwrap()];
        let mut expected = clients.map(|client| client.local_addr().unwrap());
        accepted.sort();
        expected.sort();
        assert_eq!(accepted, expected);
        let client = std::net::TcpStream::connect(address).unwrap();
        let (stream, peer) = listener.try_accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        drop(client);
        assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
    });
}

#[test]
fn ready_says_in_which_direction() {
    block_on(async {
        let (client, server) = connection().await;
        let both = Interest::READABLE | Interest::WRITABLE;
        let ready = server.ready(both).await.unwrap();
        assert_eq!(ready, Readiness::WRITABLE);
        client.write_all(b"x").await.unwrap();
        assert_eq!(server.ready(Interest::READABLE).await.unwrap(), Readiness::READABLE);
        assert_eq!(server.ready(both).await.unwrap(), Readiness::READABLE | Readiness::WRITABLE);
        let (reader, writer) = server.split();
        assert!(reader.ready(Interest::READABLE).await.unwrap().is_ready(Direction::Readable));
        assert!(writer.ready(Interest::WRITABLE).await.unwrap().is_ready(Direction::Writable));
        let error = server.ready(Interest::EMPTY).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn a_wait_for_either_direction_is_woken_by_either() {
    block_on(async {
        let (client, server) = connection().await;
        let chunk = vec![0; 1 << 20];
        // The peer's kernel takes in what it can meanwhile.
        while timeout(Duration::from_millis(20), server.write(&chunk)).await.is_ok() {}
        let server = Rc::new(server);
        let both = Interest::READABLE | Interest::WRITABLE;
        let waiting = spawn({
            let server = server.clone();
            async move { server.ready(both).await.unwrap() }
        });
        task::yield_now().await;
        client.write_all(b"x").await.unwrap();
        assert!(waiting.await.unwrap().contains(Readiness::READABLE));
        server.read(&mut [0; 8]).await.unwrap();
        let waiting = spawn(async move { server.ready(both).await.unwrap() });
        task::yield_now().await;
        let mut buffer = vec![0; 1 << 20];
        while !waiting.is_finished() {
            client.read(&mut buffer).await.unwrap();
            task::yield_now().await;
        }
        assert!(waiting.await.unwrap().contains(Readiness::WRITABLE));
    });
}

#[test]
fn foreign_io_goes_by_the_readiness() {
    block_on(async {
        let (client, server) = connection().await;
        let mut buffer = [0; 8];
        let mut receive = || Ok(rustix::net::recv(&server, &mut buffer[..], RecvFlags::empty())?.1);
        let error = server.try_io(Interest::READABLE, &mut receive).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        let send = || Ok(rustix::net::send(&client, b"abc", SendFlags::empty())?);
        assert_eq!(client.async_io(Interest::WRITABLE, send).await.unwrap(), 3);
        assert_eq!(server.async_io(Interest::READABLE, &mut receive).await.unwrap(), 3);
        // It is not known to have been short, so the next attempt finds out.
        let both = Interest::READABLE | Interest::WRITABLE;
        let io = IoHandle::current();
        assert!(io.readiness(server.token()).unwrap().contains(Readiness::READABLE));
        let waiting = timeout(Duration::from_millis(20), server.async_io(both, &mut receive));
        assert!(waiting.await.is_err());
        assert!(!io.readiness(server.token()).unwrap().contains(Readiness::READABLE));
        client.async_io(Interest::WRITABLE, send).await.unwrap();
        assert_eq!(server.async_io(both, &mut receive).await.unwrap(), 3);
    });
}

#[test]
fn urgent_data_can_be_waited_for() {
    block_on(async {
        let (client, server) = connection().await;
        assert_eq!(rustix::net::send(&client, b"!", SendFlags::OOB).unwrap(), 1);
        let ready = server.ready(Interest::PRIORITY).await.unwrap();
        assert!(ready.contains(Readiness::PRIORITY), "{ready}");
    });
}
