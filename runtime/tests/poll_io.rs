//! The `poll_*` methods: one waker a direction, beside the asynchronous methods' waits.

use nexus_runtime::io::{Direction, IoHandle};
use nexus_runtime::net::{TcpListener, TcpStream};
use nexus_runtime::time::{Duration, timeout};
use nexus_runtime::{Runtime, spawn, task};
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Nothing here takes nearly as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let patient = async { timeout(PATIENCE, future).await.expect("it does not hang") };
    Runtime::new().unwrap().block_on(patient)
}

/// A connection, as seen from both ends.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = spawn(async move { listener.accept().await.unwrap().0 });
    let client = TcpStream::connect(address).await.unwrap();
    (client, accepting.await.unwrap())
}

#[derive(Default)]
struct Counter(AtomicUsize);

impl Counter {
    fn pair() -> (Arc<Self>, Waker) {
        let counter = Arc::new(Self::default());
        (counter.clone(), counter.into())
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn reads_and_writes_by_poll() {
    block_on(async {
        let (client, server) = connection().await;
        let data = [IoSlice::new(b"pi"), IoSlice::new(b"ng")];
        assert_eq!(poll_fn(|cx| client.poll_write_vectored(cx, &data)).await.unwrap(), 4);
        let mut buffer = [0; 16];
        assert_eq!(poll_fn(|cx| server.poll_peek(cx, &mut buffer)).await.unwrap(), 4);
        poll_fn(|cx| server.poll_read_ready(cx)).await.unwrap();
        assert_eq!(poll_fn(|cx| server.poll_read(cx, &mut buffer)).await.unwrap(), 4);
        assert_eq!(&buffer[..4], b"ping");
        poll_fn(|cx| server.poll_write_ready(cx)).await.unwrap();
        assert_eq!(poll_fn(|cx| server.poll_write(cx, b"pong!")).await.unwrap(), 5);
        let (reader, _writer) = client.into_split();
        assert_eq!(poll_fn(|cx| reader.poll_read(cx, &mut buffer)).await.unwrap(), 5);
        drop(server);
        assert_eq!(poll_fn(|cx| reader.poll_read(cx, &mut buffer)).await.unwrap(), 0);
    });
}

#[test]
fn the_last_waker_of_a_direction_is_woken_and_only_that() {
    block_on(async {
        let (client, server) = connection().await;
        let (first, first_waker) = Counter::pair();
        let (second, second_waker) = Counter::pair();
        let mut buffer = [0; 16];
        for waker in [&first_waker, &second_waker, &second_waker] {
            assert!(server.poll_read(&mut Context::from_waker(waker), &mut buffer).is_pending());
        }
        client.write_all(b"x").await.unwrap();
        server.readable().await.unwrap();
        assert_eq!((first.count(), second.count()), (0, 1));
    });
}

#[test]
fn a_poll_that_is_ready_leaves_no_waker_behind() {
    block_on(async {
        let (client, server) = connection().await;
        client.write_all(b"x").await.unwrap();
        server.readable().await.unwrap();
        let (counter, waker) = Counter::pair();
        let mut cx = Context::from_waker(&waker);
        // The raw handle may set a waker whatever the readiness.
        IoHandle::current().set_waker(server.token(), Direction::Readable, waker.clone()).unwrap();
        assert!(matches!(server.poll_read(&mut cx, &mut [0; 8]), Poll::Ready(Ok(1))));
        drop(client);
        server.readable().await.unwrap();
        assert_eq!(counter.count(), 0);
    });
}

#[test]
fn a_dropped_source_lets_go_of_the_waker() {
    block_on(async {
        let (_client, server) = connection().await;
        let (counter, waker) = Counter::pair();
        let mut cx = Context::from_waker(&waker);
        assert!(server.poll_read(&mut cx, &mut [0; 8]).is_pending());
        assert_eq!(Arc::strong_count(&counter), 3, "ours, the waker's and its clone's");
        drop(server);
        assert_eq!(Arc::strong_count(&counter), 2);
        assert_eq!(counter.count(), 0);
    });
}

#[test]
fn a_poll_and_an_asynchronous_read_in_two_tasks_lose_no_wake() {
    block_on(async {
        let (client, server) = connection().await;
        let server = Rc::new(server);
        let polling = spawn({
            let server = server.clone();
            async move {
                let mut bytes = 0;
                let mut buffer = [0; 3];
                loop {
                    match poll_fn(|cx| server.poll_read(cx, &mut buffer)).await.unwrap() {
                        0 => return bytes,
                        more => bytes += more,
                    }
                }
            }
        });
        let awaiting = spawn(async move {
            let mut bytes = 0;
            let mut buffer = [0; 2];
            loop {
                match server.read(&mut buffer).await.unwrap() {
                    0 => return bytes,
                    more => bytes += more,
                }
            }
        });
        for round in 0..1_000 {
            client.write_all(&[7; 10][..round % 10 + 1]).await.unwrap();
            if round % 3 == 0 {
                task::yield_now().await;
            }
        }
        drop(client);
        assert_eq!(polling.await.unwrap() + awaiting.await.unwrap(), 5_500);
    });
}

#[test]
fn halves_in_two_tasks_are_polled_each_in_its_direction() {
    const BYTES: usize = 4 << 20;
    block_on(async {
        let (client, server) = connection().await;
        let (reader, writer) = server.into_split();
        let echoing = spawn(async move {
            let mut buffer = vec![0; 30_000];
            loop {
                let bytes = poll_fn(|cx| reader.poll_read(cx, &mut buffer)).await.unwrap();
                if bytes == 0 {
                    return;
                }
                let mut written = 0;
                while written < bytes {
                    let rest = &buffer[written..bytes];
                    written += poll_fn(|cx| writer.poll_write(cx, rest)).await.unwrap();
                }
            }
        });
        let (reader, writer) = client.into_split();
        let writing = spawn(async move { writer.write_all(&vec![3; BYTES]).await.unwrap() });
        let mut received = 0;
        let mut buffer = vec![0; 50_000];
        while received < BYTES {
            received += poll_fn(|cx| reader.poll_read(cx, &mut buffer)).await.unwrap();
        }
        writing.await.unwrap();
        echoing.await.unwrap();
    });
}

#[test]
fn a_full_buffer_of_a_half_closed_connection_does_not_call_itself_writable() {
    block_on(async {
        let (client, server) = connection().await;
        client.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
        let chunk = vec![0; 1 << 20];
        while server.try_write(&chunk).is_ok() {}
        let mut writable = pin!(server.writable());
        let mut refused = 0;
        poll_fn(|cx| match writable.as_mut().poll(cx) {
            // The peer's kernel may still make room by itself.
            Poll::Ready(ready) => {
                ready.unwrap();
                let full =
                    server.try_write(&chunk).is_err_and(|e| e.kind() == ErrorKind::WouldBlock);
                refused += usize::from(full);
                writable.set(server.writable());
                cx.waker().wake_by_ref();
                if refused < 1_000 { Poll::Pending } else { Poll::Ready(()) }
            }
            Poll::Pending => Poll::Ready(()),
        })
        .await;
        assert!(refused < 1_000, "the end of the peer's direction says nothing of ours");
        let mut drained = vec![0; 1 << 20];
        let mut wanted = pin!(server.writable());
        let reading = async { while client.read(&mut drained).await.unwrap() > 0 {} };
        let mut reading = pin!(reading);
        poll_fn(|cx| {
            let _ = reading.as_mut().poll(cx);
            wanted.as_mut().poll(cx)
        })
        .await
        .unwrap();
    });
}
