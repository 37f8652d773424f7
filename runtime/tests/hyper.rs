//! What hyper asks of a runtime, used by hyper itself: HTTP/1 between a server and a client on one runtime, timers, and
//! reads into memory that nobody has initialized.
#![cfg(feature = "hyper")]

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1 as client;
use hyper::rt::{Executor as _, Read, ReadBuf, Timer as _};
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response};
use nexus_runtime::hyper::{Executor, Timer};
use nexus_runtime::net::{TcpListener, TcpStream, UnixStream};
use nexus_runtime::time::timeout;
use nexus_runtime::{Runtime, spawn};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Nothing here takes nearly as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let bounded = async { timeout(PATIENCE, future).await.expect("it ends") };
    Runtime::new().unwrap().block_on(bounded)
}

/// A connection, as seen from both ends.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = spawn(async move { listener.accept().await.unwrap().0 });
    let client = TcpStream::connect(address).await.unwrap();
    (client, accepting.await.unwrap())
}

/// Answers with what it was sent.
async fn echo(request: Request<Incoming>) -> Result<Response<Incoming>, Infallible> {
    Ok(Response::new(request.into_body()))
}

/// A server of any number of connections.
async fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let serving = server::Builder::new()
                .timer(Timer::new())
                .serve_connection(stream, service_fn(echo));
            drop(spawn(serving));
        }
    }));
    address
}

async fn connect(address: SocketAddr) -> client::SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = client::handshake(stream).await.unwrap();
    drop(spawn(connection));
    sender
}

async fn ask(sender: &mut client::SendRequest<Full<Bytes>>, body: Bytes) -> Bytes {
    sender.ready().await.unwrap();
    let request = Request::post("/").header("host", "localhost").body(Full::new(body)).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body().collect().await.unwrap().to_bytes()
}

#[test]
fn a_server_answers_many_requests_on_one_connection() {
    block_on(async {
        let mut sender = connect(serve().await).await;
        for number in 0..100 {
            let body = Bytes::from(format!("request {number}"));
            assert_eq!(ask(&mut sender, body.clone()).await, body);
        }
    });
}

#[test]
fn bodies_larger_than_the_kernels_buffers_go_through() {
    block_on(async {
        let mut sender = connect(serve().await).await;
        let numbers: Vec<u8> = (0..251).collect();
        let body = Bytes::from(numbers.repeat(64 * 1024));
        assert!(ask(&mut sender, body.clone()).await == body);
    });
}

#[test]
fn many_connections_are_served_at_once() {
    block_on(async {
        let address = serve().await;
        let clients: Vec<_> = (0..50)
            .map(|number| {
                spawn(async move {
                    let mut sender = connect(address).await;
                    for round in 0..10 {
                        let body = Bytes::from(format!("{number}/{round}"));
                        assert_eq!(ask(&mut sender, body.clone()).await, body);
                    }
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    });
}

#[test]
fn it_is_spoken_over_unix_streams_too() {
    block_on(async {
        let (left, right) = UnixStream::pair().unwrap();
        drop(spawn(server::Builder::new().serve_connection(right, service_fn(echo))));
        let (mut sender, connection) = client::handshake(left).await.unwrap();
        drop(spawn(connection));
        assert_eq!(ask(&mut sender, Bytes::from_static(b"hello")).await, "hello");
    });
}

#[test]
fn a_client_that_sends_no_request_is_closed_by_the_timer() {
    block_on(async {
        let (client, stream) = connection().await;
        let mut http = server::Builder::new();
        http.timer(Timer::new()).header_read_timeout(Duration::from_millis(20));
        let start = Instant::now();
        let ended = http.serve_connection(stream, service_fn(echo)).await;
        assert!(ended.unwrap_err().is_timeout());
        assert!(start.elapsed() >= Duration::from_millis(20), "never early");
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn a_sleep_can_be_moved_in_both_directions() {
    block_on(async {
        let timer = Timer::new();
        let start = Instant::now();
        let far = start + Duration::from_secs(3600);
        let mut sleep = timer.sleep(Duration::from_secs(3600));
        // Armed, so that there is something to move.
        assert!(poll_fn(|cx| std::task::Poll::Ready(sleep.as_mut().poll(cx).is_pending())).await);
        timer.reset(&mut sleep, start + Duration::from_millis(20));
        sleep.as_mut().await;
        assert!(start.elapsed() >= Duration::from_millis(20), "never early");
        timer.reset(&mut sleep, far);
        assert!(poll_fn(|cx| std::task::Poll::Ready(sleep.as_mut().poll(cx).is_pending())).await);
        timer.reset(&mut sleep, start);
        sleep.await;
        timer.sleep_until(start).await;
        assert!(timer.now() >= start);
    });
}

#[test]
fn the_executor_spawns_what_is_not_send() {
    block_on(async {
        let ran = Rc::new(Cell::new(false));
        let executor = Executor::new();
        executor.execute({
            let ran = ran.clone();
            async move { ran.set(true) }
        });
        while !ran.get() {
            nexus_runtime::task::yield_now().await;
        }
    });
}

#[test]
#[should_panic(expected = "called outside Runtime::block_on")]
fn the_executor_needs_a_runtime() {
    Executor::new().execute(async {});
}

#[test]
fn a_read_fills_what_is_free_and_no_more() {
    block_on(async {
        let (client, mut server) = connection().await;
        let mut read = async |buffer: &mut ReadBuf<'_>| {
            poll_fn(|cx| Pin::new(&mut server).poll_read(cx, buffer.unfilled())).await
        };
        let mut memory = [MaybeUninit::uninit(); 8];
        let mut buffer = ReadBuf::uninit(&mut memory);
        client.write_all(b"abc").await.unwrap();
        read(&mut buffer).await.unwrap();
        assert_eq!(buffer.filled(), b"abc");
        client.write_all(b"defghijk").await.unwrap();
        read(&mut buffer).await.unwrap();
        assert_eq!(buffer.filled(), b"abcdefgh");
        read(&mut buffer).await.unwrap();
        assert_eq!(buffer.filled(), b"abcdefgh", "there is no room, which is not an end");
        let mut memory = [MaybeUninit::uninit(); 8];
        let mut buffer = ReadBuf::uninit(&mut memory);
        read(&mut buffer).await.unwrap();
        assert_eq!(buffer.filled(), b"ijk");
        drop(client);
        read(&mut buffer).await.unwrap();
        assert_eq!(buffer.filled(), b"ijk", "the end brings nothing");
    });
}
