//! From names and texts to addresses.

use nexus_runtime::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host};
use nexus_runtime::{Runtime, spawn};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(future)
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn a_name_is_looked_up() {
    block_on(async {
        let (listener, address) = listener().await;
        let port = address.port();
        let found: Vec<_> = lookup_host(format!("localhost:{port}")).await.unwrap().collect();
        assert!(!found.is_empty());
        assert!(found.iter().all(|found| found.ip().is_loopback() && found.port() == port));
        // One of them may be of IPv6, where nobody listens.
        let accepting = spawn(async move { listener.accept().await.map(|(_, peer)| peer) });
        let client = TcpStream::connect(("localhost", port)).await.unwrap();
        assert_eq!(accepting.await.unwrap().unwrap(), client.local_addr().unwrap());
    });
}

/// What a look-up finds without asking anybody.
fn at_once(host: impl ToSocketAddrs) -> Vec<SocketAddr> {
    let looking = pin!(lookup_host(host));
    match looking.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(found) => found.unwrap().collect(),
        Poll::Pending => panic!("it asks the resolver"),
    }
}

#[test]
fn what_is_an_address_is_not_looked_up() {
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, 80));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 80));
    assert_eq!(at_once("127.0.0.1:80"), [v4]);
    assert_eq!(at_once("[::1]:80".to_owned()), [v6]);
    assert_eq!(at_once(("::1", 80)), [v6]);
    assert_eq!(at_once(("127.0.0.1".to_owned(), 80)), [v4]);
    assert_eq!(at_once((IpAddr::from(Ipv4Addr::LOCALHOST), 80)), [v4]);
    assert_eq!(at_once(&[v4, v6][..]), [v4, v6]);
}

#[test]
fn a_text_without_a_port_and_an_unknown_name_are_errors() {
    block_on(async {
        let error = TcpStream::connect("localhost").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        // RFC 6761: this one exists nowhere.
        assert!(lookup_host("nobody.invalid:80").await.is_err());
        let error = TcpListener::bind(&[] as &[SocketAddr]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn several_addresses_are_tried_in_turn() {
    block_on(async {
        // Bound, so that nobody else gets the address, but not listening.
        let bound = TcpSocket::new_v4().unwrap();
        bound.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let refusing = bound.local_addr().unwrap();
        let (listener, serving) = listener().await;
        let accepting = spawn(async move { listener.accept().await.map(|(_, peer)| peer) });
        let client = TcpStream::connect([refusing, serving]).await.unwrap();
        assert_eq!(client.peer_addr().unwrap(), serving);
        accepting.await.unwrap().unwrap();
        let error = TcpStream::connect(vec![refusing, refusing]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "the last failure");
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let taken = first.local_addr().unwrap();
        let second = TcpListener::bind([taken, "127.0.0.1:0".parse().unwrap()]).await.unwrap();
        assert_ne!(second.local_addr().unwrap(), taken);
    });
}
