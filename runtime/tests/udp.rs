//! UDP, with and without a peer.

use nexus_runtime::io::{Interest, IoHandle, Readiness};
use nexus_runtime::net::UdpSocket;
use nexus_runtime::time::{Duration, timeout};
use nexus_runtime::{Runtime, spawn, task};
use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Waker};

/// Nothing here takes nearly as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let patient = async { timeout(PATIENCE, future).await.expect("it does not hang") };
    Runtime::new().unwrap().block_on(patient)
}

async fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Two sockets that are each other's peers.
async fn connected() -> (UdpSocket, UdpSocket) {
    let ((left, left_address), (right, right_address)) = (socket().await, socket().await);
    left.connect(right_address).await.unwrap();
    right.connect(left_address).await.unwrap();
    (left, right)
}

#[test]
fn datagrams_say_where_they_come_from() {
    block_on(async {
        let ((left, left_address), (right, right_address)) = (socket().await, socket().await);
        assert_eq!(left.send_to(b"ping", right_address).await.unwrap(), 4);
        let mut buffer = [0; 32];
        assert_eq!(right.peek_from(&mut buffer).await.unwrap(), (4, left_address));
        assert_eq!(right.try_peek_from(&mut buffer).unwrap(), (4, left_address));
        assert_eq!(right.recv_from(&mut buffer).await.unwrap(), (4, left_address));
        assert_eq!(&buffer[..4], b"ping");
        let (host, port) = ("localhost".to_owned(), left_address.port());
        assert_eq!(right.send_to(b"pong!", (host, port)).await.unwrap(), 5);
        assert_eq!(left.recv_from(&mut buffer).await.unwrap(), (5, right_address));
        assert_eq!(right.try_send_to(b"", left_address).unwrap(), 0);
        assert_eq!(left.recv_from(&mut buffer).await.unwrap(), (0, right_address), "no end");
        let sent = poll_fn(|cx| right.poll_send_to(cx, b"!", left_address)).await.unwrap();
        let got = poll_fn(|cx| left.poll_recv_from(cx, &mut buffer)).await.unwrap();
        assert_eq!((sent, got), (1, (1, right_address)));
    });
}

#[test]
fn a_peer_is_the_only_one_that_is_heard() {
    block_on(async {
        let (left, right) = connected().await;
        let (stranger, _) = socket().await;
        let address = left.local_addr().unwrap();
        assert_eq!(right.peer_addr().unwrap(), address);
        stranger.send_to(b"from a stranger", address).await.unwrap();
        assert_eq!(right.send(b"hello").await.unwrap(), 5);
        let mut buffer = [0; 32];
        assert_eq!(left.peek(&mut buffer).await.unwrap(), 5);
        assert_eq!(left.recv(&mut buffer).await.unwrap(), 5);
        assert_eq!(left.try_recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(left.try_send(b"x").unwrap(), 1);
        assert_eq!(poll_fn(|cx| right.poll_recv(cx, &mut buffer)).await.unwrap(), 1);
        assert_eq!(poll_fn(|cx| right.poll_send(cx, b"yz")).await.unwrap(), 2);
        poll_fn(|cx| left.poll_recv_ready(cx)).await.unwrap();
        poll_fn(|cx| left.poll_send_ready(cx)).await.unwrap();
        assert_eq!(left.try_recv_from(&mut buffer).unwrap().0, 2);
    });
}

#[test]
fn a_short_datagram_says_nothing_of_the_next_one() {
    block_on(async {
        let (left, right) = connected().await;
        for length in [3, 2, 1] {
            left.send(&[7; 8][..length]).await.unwrap();
        }
        right.readable().await.unwrap();
        let readiness = || IoHandle::current().readiness(right.token()).unwrap();
        let mut buffer = [0; 32];
        for length in [3, 2, 1] {
            assert_eq!(right.try_recv(&mut buffer).unwrap(), length);
            assert_eq!(readiness(), Readiness::READABLE);
        }
        assert_eq!(right.try_recv(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(readiness(), Readiness::EMPTY);
        assert!(timeout(Duration::from_millis(20), right.readable()).await.is_err());
    });
}

#[test]
fn nobody_there_is_an_error_that_passes() {
    block_on(async {
        let ((left, left_address), (gone, address)) = (socket().await, socket().await);
        left.connect(address).await.unwrap();
        drop(gone);
        left.send(b"anybody?").await.unwrap();
        let mut buffer = [0; 32];
        let error = left.recv(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        // The token is in error for ever, but that does not make a receive worth trying for ever.
        let mut cx = Context::from_waker(Waker::noop());
        let mut pending = 0;
        for _ in 0..100 {
            pending += usize::from(left.poll_recv_ready(&mut cx).is_pending());
            let _ = left.try_recv(&mut buffer);
            task::yield_now().await;
        }
        assert!(pending >= 90, "it spins: {pending} of 100 polls wait");
        // Somebody comes after all.
        let Ok(back) = UdpSocket::bind(address).await else { return };
        back.send_to(b"me", left_address).await.unwrap();
        assert_eq!(left.recv(&mut buffer).await.unwrap(), 2);
    });
}

#[test]
fn two_tasks_and_a_poll_lose_no_datagram() {
    // As many as the kernel keeps for us if we are slow.
    const DATAGRAMS: usize = 100;
    block_on(async {
        let (socket, address) = socket().await;
        let socket = Rc::new(socket);
        let mut receiving: Vec<_> = (0..2)
            .map(|_| {
                let socket = socket.clone();
                spawn(async move {
                    let mut received = 0;
                    while socket.recv(&mut [0; 8]).await.unwrap() > 0 {
                        received += 1;
                    }
                    received
                })
            })
            .collect();
        receiving.push(spawn(async move {
            let mut received = 0;
            let mut buffer = [0; 8];
            while poll_fn(|cx| socket.poll_recv(cx, &mut buffer)).await.unwrap() > 0 {
                received += 1;
            }
            received
        }));
        let sending = std::thread::spawn(move || {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            for _ in 0..DATAGRAMS {
                socket.send_to(b"x", address).unwrap();
                std::thread::yield_now();
            }
            for _ in 0..3 {
                socket.send_to(b"", address).unwrap();
            }
        });
        let mut received = 0;
        for task in receiving {
            received += task.await.unwrap();
        }
        sending.join().unwrap();
        assert_eq!(received, DATAGRAMS);
    });
}

#[test]
fn options_are_what_was_set() {
    block_on(async {
        let (socket, _) = socket().await;
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        socket.set_ttl(19).unwrap();
        assert_eq!(socket.ttl().unwrap(), 19);
        socket.set_multicast_ttl_v4(3).unwrap();
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 3);
        socket.set_multicast_loop_v4(false).unwrap();
        assert!(!socket.multicast_loop_v4().unwrap());
        assert!(socket.take_error().unwrap().is_none());
    });
}

#[test]
fn a_multicast_group_is_joined_and_left() {
    block_on(async {
        let group = Ipv4Addr::new(239, 255, 71, 7);
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        socket.join_multicast_v4(&group, &Ipv4Addr::LOCALHOST).unwrap();
        let sender =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        sender.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
        let sender = UdpSocket::from_std(sender.into()).unwrap();
        sender.send_to(b"all", (group, port)).await.unwrap();
        assert_eq!(socket.recv(&mut [0; 8]).await.unwrap(), 3);
        socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST).unwrap();
        assert!(socket.leave_multicast_v4(&group, &Ipv4Addr::LOCALHOST).is_err());
    });
}

#[test]
fn to_std_and_back() {
    block_on(async {
        let (socket, address) = socket().await;
        let token = socket.token();
        let plain = socket.into_std().unwrap();
        assert!(IoHandle::current().readiness(token).is_err());
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"meanwhile", address).unwrap();
        let socket = UdpSocket::from_std(plain).unwrap();
        assert_eq!(socket.recv(&mut [0; 32]).await.unwrap(), 9);
    });
}

#[test]
fn foreign_io_goes_by_the_readiness() {
    block_on(async {
        let (left, right) = connected().await;
        let mut buffer = [0; 8];
        let flags = rustix::net::RecvFlags::empty();
        let mut receive = || Ok(rustix::net::recv(&left, &mut buffer[..], flags)?.1);
        let error = left.try_io(Interest::READABLE, &mut receive).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        right.send(b"abc").await.unwrap();
        assert_eq!(left.async_io(Interest::READABLE, &mut receive).await.unwrap(), 3);
        let ready = left.ready(Interest::WRITABLE).await.unwrap();
        assert_eq!(ready, Readiness::WRITABLE);
    });
}
