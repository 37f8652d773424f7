//! A TCP server that says what it does, through `tracing`: `cargo run --example logs -- 127.0.0.1:7007`.
//!
//! It sends each line back. What it says goes to the recorder, filtered by a second argument (such as `debug`, or
//! `warn,logs=debug`) or `NEXUS_LOG`: attach with `nexus-inspect logs`, and the timeline marks it in the lane of the task that
//! said it. Other layers, such as `tracing-subscriber`'s `fmt`, can be put beside it.

use nexus_runtime::layer::RecorderLayer;
use nexus_runtime::net::{TcpListener, TcpStream};
use nexus_runtime::{Builder, spawn};
use std::io;
use std::net::SocketAddr;
use tracing::{Instrument, debug, info, info_span, warn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().and_then(|argument| argument.parse().ok());
    let address =
        address.ok_or_else(|| io::Error::other("usage: logs ADDRESS:PORT [DIRECTIVES]"))?;
    let layer = match arguments.next() {
        Some(directives) => RecorderLayer::filtered(&directives),
        None => RecorderLayer::from_env(),
    };
    let layer = layer.map_err(io::Error::other)?;
    tracing_subscriber::registry().with(layer).init();
    Builder::new().name("logs").build()?.block_on(serve(address))
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept().await?;
        let served = async move {
            if let Err(error) = echo(&stream).await {
                warn!(%error, "the connection failed");
            }
        };
        spawn(served.instrument(info_span!("connection", %peer)));
    }
}

async fn echo(stream: &TcpStream) -> io::Result<()> {
    info!("connected");
    let mut buffer = [0; 16 * 1024];
    loop {
        let bytes = stream.read(&mut buffer).await?;
        if bytes == 0 {
            info!("closed");
            return Ok(());
        }
        debug!(bytes, "sending back");
        stream.write_all(&buffer[..bytes]).await?;
    }
}
