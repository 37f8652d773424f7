//! Orders: a service that answers each request on a connection of its own.

use super::{Random, loopback, spawn};
use nexus_runtime::net::{TcpListener, TcpStream};
use nexus_runtime::time::{Duration, sleep};
use std::io;
use std::net::{Shutdown, SocketAddr};

const REQUEST_BYTES: usize = 64;

/// How long each steady client waits between two requests, in microseconds.
const PAUSES_MICROS: [u64; 9] =
    [900, 1_700, 3_000, 6_000, 12_000, 25_000, 60_000, 200_000, 700_000];

pub(super) async fn start() -> io::Result<()> {
    let listener = TcpListener::bind(loopback()).await?;
    let address = listener.local_addr()?;
    spawn("order-listener", serve(listener));
    for pause in PAUSES_MICROS {
        spawn("order-client", steady_client(address, Duration::from_micros(pause)));
    }
    spawn("walk-in-clients", walk_in_clients(address));
    Ok(())
}

async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        spawn("order-session", session(stream));
    }
}

async fn session(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut order = [0; 4096];
    loop {
        let bytes = stream.read(&mut order).await?;
        if bytes == 0 {
            return Ok(());
        }
        stream.write_all(&order[..bytes]).await?;
    }
}

async fn exchange(stream: &TcpStream) -> io::Result<()> {
    stream.write_all(&[7; REQUEST_BYTES]).await?;
    stream.read_exact(&mut [0; REQUEST_BYTES]).await
}

async fn steady_client(address: SocketAddr, pause: Duration) -> io::Result<()> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    loop {
        exchange(&stream).await?;
        sleep(pause).await;
    }
}

/// Clients that come, ask a few things and go, so that slots are reused under new generations.
async fn walk_in_clients(address: SocketAddr) -> io::Result<()> {
    let mut random = Random(11);
    loop {
        sleep(Duration::from_millis(20 + random.below(120))).await;
        let requests = 1 + random.below(6);
        let pause = Duration::from_millis(random.below(60));
        spawn("walk-in", async move {
            let stream = TcpStream::connect(address).await?;
            for _ in 0..requests {
                exchange(&stream).await?;
                sleep(pause).await;
            }
            stream.shutdown(Shutdown::Write)
        });
    }
}
