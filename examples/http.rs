//! An HTTP server on hyper: `cargo run --release --example http -- 127.0.0.1:7007`.
//!
//! It speaks HTTP/1.1 and HTTP/2 on the same port; a client says which by its first bytes:
//!
//! ```text
//! curl http://127.0.0.1:7007/
//! curl --http2-prior-knowledge http://127.0.0.1:7007/count/10
//! curl --data 'say it again' http://127.0.0.1:7007/echo
//! ```
//!
//! hyper asks its runtime for a few traits, which ours has with the cargo feature `hyper`: streams that can be read and
//! written, an executor and a timer.

use http_body_util::{Full, StreamBody};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::server::conn::auto;
use nexus_runtime::hyper::{Executor, Timer};
use nexus_runtime::net::{TcpListener, TcpStream};
use nexus_runtime::time::sleep;
use nexus_runtime::{Builder, spawn};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

/// The most lines that `/count` gives.
const COUNT_MAX: u32 = 100_000;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let Some(address) = argument.and_then(|argument| argument.parse().ok()) else {
        eprintln!(
            "usage: http ADDRESS:PORT, such as 127.0.0.1:7007 (port 0 lets the system choose)"
        );
        return ExitCode::from(2);
    };
    match Builder::new().name("http").build().and_then(|runtime| runtime.block_on(serve(address))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("http: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let mut http = auto::Builder::new(Executor::new());
    // With a timer, hyper closes connections whose request does not come.
    http.http1().timer(Timer::new()).header_read_timeout(Duration::from_secs(30));
    http.http2().timer(Timer::new()).keep_alive_interval(Duration::from_secs(30));
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => drop(spawn(connection(http.clone(), stream, peer))),
            Err(error) => eprintln!("accept: {error}"),
        }
    }
}

async fn connection(http: auto::Builder<Executor>, stream: TcpStream, peer: SocketAddr) {
    // Answers are written whole: to gather small writes would only delay them.
    let _ = stream.set_nodelay(true);
    if let Err(error) = http.serve_connection(stream, service_fn(answer)).await {
        eprintln!("{peer}: {error}");
    }
}

/// Any body: they come from different places. Nothing here has to be `Send`.
type AnyBody = Pin<Box<dyn Body<Data = Bytes, Error = hyper::Error>>>;

async fn answer(request: Request<Incoming>) -> Result<Response<AnyBody>, Infallible> {
    let path = request.uri().path();
    let count = path.strip_prefix("/count/").and_then(|count| count.parse().ok());
    let (status, body) = match (request.method(), path, count) {
        (&Method::GET, "/", _) => (StatusCode::OK, text("hello\n")),
        // What comes in goes out again, piece by piece, however long it is.
        (&Method::POST, "/echo", _) => (StatusCode::OK, Box::pin(request.into_body()) as AnyBody),
        (&Method::GET, _, Some(count)) if count <= COUNT_MAX => (StatusCode::OK, counting(count)),
        (_, "/" | "/echo", _) => (StatusCode::METHOD_NOT_ALLOWED, text("not with this method\n")),
        _ => (StatusCode::NOT_FOUND, text("there is nothing here\n")),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    Ok(response)
}

fn text(text: &'static str) -> AnyBody {
    use http_body_util::BodyExt;
    Box::pin(Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {}))
}

/// A body that is made while it is sent: a line each millisecond.
fn counting(lines: u32) -> AnyBody {
    Box::pin(StreamBody::new(futures_util::stream::unfold(0, move |line| async move {
        if line == lines {
            return None;
        }
        sleep(Duration::from_millis(1)).await;
        Some((Ok(Frame::data(Bytes::from(format!("{line}\n")))), line + 1))
    })))
}
