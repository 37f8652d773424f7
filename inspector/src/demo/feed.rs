//! Market data: each subscriber has a publisher that writes bursts of quotes to it.

use super::{Random, loopback, spawn};
use nexus_runtime::net::{TcpListener, TcpStream};
use nexus_runtime::time::{Duration, sleep};
use std::io;

/// How long a burst's gaps are for each subscriber at most, in milliseconds, and how large its writes.
const SUBSCRIBERS: [(u64, usize); 5] = [(4, 200), (6, 1_500), (12, 400), (40, 16_000), (180, 64)];

pub(super) async fn start() -> io::Result<()> {
    let listener = TcpListener::bind(loopback()).await?;
    let address = listener.local_addr()?;
    spawn("feed-listener", async move {
        for (index, (gap_millis, bytes)) in SUBSCRIBERS.into_iter().enumerate() {
            let (stream, _) = listener.accept().await?;
            spawn("publisher", publish(stream, gap_millis, bytes, Random(index as u64)));
        }
        // Nobody else is expected, but the socket stays open.
        listener.accept().await.map(drop)
    });
    for _ in SUBSCRIBERS {
        spawn("subscriber", async move { subscribe(TcpStream::connect(address).await?).await });
    }
    Ok(())
}

async fn publish(
    stream: TcpStream,
    gap_millis: u64,
    bytes: usize,
    mut random: Random,
) -> io::Result<()> {
    let quotes = vec![0x51; bytes];
    loop {
        for _ in 0..=random.below(8) {
            stream.write_all(&quotes).await?;
            sleep(Duration::from_micros(300 + random.below(600))).await;
        }
        sleep(Duration::from_millis(random.below(gap_millis) + 1)).await;
    }
}

async fn subscribe(stream: TcpStream) -> io::Result<()> {
    let mut quotes = vec![0; 8_192];
    while stream.read(&mut quotes).await? > 0 {}
    Ok(())
}
