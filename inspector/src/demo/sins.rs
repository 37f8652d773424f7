//! Three deliberate mistakes, each the kind that runs for years before somebody looks.
//!
//! | task | sin | where it shows |
//! | --- | --- | --- |
//! | `quote-reader` | only reads, but is registered for writable as well, so that each acknowledgement that its peer takes in wakes it for nothing | spurious polls, caused by writable of its token |
//! | `price-watch` | asks again and again instead of waiting: it wakes itself | self-wakes, spurious polls |
//! | `session-cache` | keeps connections that nobody uses any more | tokens of one claim location that only grow older and more |

use super::{loopback, spawn};
use mio::net::UnixStream;
use nexus_runtime::io::{Direction, Interest, IoHandle, Operation, SourceKind, Token};
use nexus_runtime::net::{TcpListener, TcpStream};
use nexus_runtime::time::{Duration, Instant, sleep};
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::task::{Context, Poll, Waker};

pub(super) async fn start() -> io::Result<()> {
    let (quotes, reader) = UnixStream::pair()?;
    spawn("quote-writer", write_quotes(quotes));
    spawn("quote-reader", read_quotes(reader));
    spawn("price-watch", watch_price());
    cache_sessions().await
}

/// A Unix stream on the raw handle.
struct Raw {
    io: IoHandle,
    token: Token,
    stream: UnixStream,
}

impl Raw {
    #[track_caller]
    fn new(mut stream: UnixStream, interest: Interest) -> io::Result<Self> {
        let io = IoHandle::current();
        let token = io.register_fd(&mut stream, SourceKind::UnixStream, interest, Waker::noop())?;
        Ok(Self { io, token, stream })
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.attempt(self.token, Operation::Read, || self.stream.read(buffer))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.io.attempt(self.token, Operation::Write, || self.stream.write(bytes))
    }

    /// Reads until there is no more. Whether the peer has gone.
    fn drain(&mut self) -> io::Result<(usize, bool)> {
        let mut buffer = [0; 512];
        let mut reads = 0;
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return Ok((reads, true)),
                Ok(_) => reads += 1,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok((reads, false)),
                Err(error) => return Err(error),
            }
        }
    }

    fn wake_when(&self, direction: Direction, cx: &Context<'_>) -> io::Result<()> {
        Ok(self.io.set_waker(self.token, direction, cx.waker().clone())?)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The runtime has nothing left to do for a token that it refuses.
        let _ = self.io.deregister(self.token, &mut self.stream);
    }
}

/// Writes a quote now and then and takes in the acknowledgements.
async fn write_quotes(stream: UnixStream) -> io::Result<()> {
    let mut raw = Raw::new(stream, Interest::READABLE)?;
    loop {
        raw.write(&[1; 48])?;
        sleep(Duration::from_micros(900)).await;
        // This makes the reader's socket writable, and that is an event of its own if nothing is written meanwhile.
        raw.drain()?;
        sleep(Duration::from_micros(900)).await;
    }
}

/// The first sin: interest in writable, and one waker for both directions, for a task that waits for quotes only.
async fn read_quotes(stream: UnixStream) -> io::Result<()> {
    let mut raw = Raw::new(stream, Interest::READABLE | Interest::WRITABLE)?;
    poll_fn(move |cx| match raw.drain() {
        Ok((_, true)) => Poll::Ready(Ok(())),
        Ok((reads, false)) => {
            if reads > 0
                && let Err(error) = raw.write(&[1])
                && error.kind() != ErrorKind::WouldBlock
            {
                return Poll::Ready(Err(error));
            }
            let waiting =
                raw.wake_when(Direction::Readable, cx).and(raw.wake_when(Direction::Writable, cx));
            waiting.map_or_else(|error| Poll::Ready(Err(error)), |()| Poll::Pending)
        }
        Err(error) => Poll::Ready(Err(error)),
    })
    .await
}

/// The second sin: instead of waiting for a price it asks until there is one.
async fn watch_price() -> io::Result<()> {
    const ASKED_AT_MOST: u32 = 60;
    loop {
        sleep(Duration::from_millis(8)).await;
        let there = Instant::now() + Duration::from_millis(1);
        let mut asked = 0;
        poll_fn(|cx| {
            asked += 1;
            if asked > ASKED_AT_MOST || Instant::now() >= there {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// The third sin: sessions that are kept "for later". Clients say hello once and are never heard of again.
async fn cache_sessions() -> io::Result<()> {
    const CACHED_AT_MOST: usize = 48;
    let listener = TcpListener::bind(loopback()).await?;
    let address = listener.local_addr()?;
    spawn("session-cache", async move {
        let mut cache = Vec::new();
        while cache.len() < CACHED_AT_MOST {
            let (stream, _) = listener.accept().await?;
            stream.read(&mut [0; 64]).await?;
            cache.push(stream);
        }
        std::future::pending().await
    });
    spawn("silent-clients", async move {
        let mut clients = Vec::new();
        while clients.len() < CACHED_AT_MOST {
            let stream = TcpStream::connect(address).await?;
            stream.write_all(b"hello").await?;
            clients.push(stream);
            sleep(Duration::from_millis(if clients.len() < 6 { 50 } else { 2_500 })).await;
        }
        std::future::pending().await
    });
    Ok(())
}
