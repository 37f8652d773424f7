//! What the runtime promises and no other file is about: that nothing leaves its thread or dangles, what becomes of troubles
//! with tokens. CONTRIBUTING.md says which tests hold which promise.

#[path = "support/recording.rs"]
#[allow(dead_code, reason = "others look closer")]
mod recording;

use nexus_protocol::event::{Event, TaskOutcome};
use nexus_runtime::io::{AsyncFd, Interest, IoHandle, Readiness, RefusalReason, Token};
use nexus_runtime::net::{
    TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream,
};
use nexus_runtime::task::{JoinHandle, JoinSet};
use nexus_runtime::time::{Duration, Interval, Sleep, Timeout, sleep, timeout};
use nexus_runtime::{Builder, Handle, Runtime, spawn, task};
use recording::Recording;
use std::cell::RefCell;
use std::future::{Future, Ready, poll_fn};
use std::io::{ErrorKind, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

/// Does not compile if one of the types has the property, since there would be two traits to choose from.
macro_rules! none_is {
    ($property:ident: $($kind:ty),* $(,)?) => {$(
        const _: fn() = || {
            trait Ambiguous<A> {
                fn choose() {}
            }
            struct HasIt;
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $property> Ambiguous<HasIt> for T {}
            <$kind as Ambiguous<_>>::choose()
        };
    )*};
}

// What belongs to a thread does not leave it.
none_is! { Send: Runtime, Handle, JoinHandle<()>, JoinSet<()>, IoHandle, Sleep, Interval, Timeout<Ready<()>> }
none_is! { Send: TcpStream, TcpListener, UdpSocket, UnixStream, UnixListener, UnixDatagram, AsyncFd<std::fs::File> }
none_is! { Send: nexus_runtime::net::tcp::OwnedReadHalf, nexus_runtime::net::tcp::OwnedWriteHalf }
none_is! { Sync: Runtime, Handle, JoinHandle<()>, JoinSet<()>, IoHandle, Sleep, Interval, Timeout<Ready<()>> }
none_is! { Sync: TcpStream, TcpListener, UdpSocket, UnixStream, UnixListener, UnixDatagram, AsyncFd<std::fs::File> }

async fn turns() {
    for _ in 0..200 {
        task::yield_now().await;
    }
}

/// Lets the loop turn until the condition holds.
async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if condition() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("waited in vain");
}

#[test]
fn a_runtime_is_moved_with_all_that_is_in_it() {
    let mut runtimes: Vec<_> = (0..3).map(|_| Runtime::new().unwrap()).collect();
    let work: Vec<_> = runtimes
        .iter()
        .map(|runtime| {
            runtime.block_on(async {
                let (ours, theirs) = UnixStream::pair().unwrap();
                let reader = spawn(async move {
                    let mut buffer = [0; 5];
                    ours.read_exact(&mut buffer).await.unwrap();
                    buffer
                });
                let sleeper = spawn(sleep(Duration::from_millis(2)));
                task::yield_now().await;
                (reader, sleeper, theirs)
            })
        })
        .collect();
    runtimes.reverse();
    runtimes.shrink_to_fit();
    let boxed: Vec<Box<Runtime>> = runtimes.drain(..).map(Box::new).collect();
    for ((reader, sleeper, theirs), runtime) in work.into_iter().zip(boxed.into_iter().rev()) {
        let runtime = *runtime;
        runtime.block_on(async {
            theirs.write_all(b"moved").await.unwrap();
            assert_eq!(&reader.await.unwrap(), b"moved");
            sleeper.await.unwrap();
        });
    }
}

#[test]
fn a_dropped_join_wakes_nobody() {
    struct Counter(AtomicU32);
    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let counter = Arc::new(Counter(AtomicU32::new(0)));
    let waker = counter.clone().into();
    Runtime::new().unwrap().block_on(async {
        let mut handle = spawn(task::yield_now());
        assert!(Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending());
        drop(handle);
        turns().await;
        assert_eq!(Arc::strong_count(&counter), 2, "no waker is left behind");

        // The same for a task of the same runtime that waits.
        let polls = Arc::new(AtomicU32::new(0));
        let mut awaited = Some(spawn(task::yield_now()));
        let counted = polls.clone();
        let waits = spawn(poll_fn(move |cx| {
            counted.fetch_add(1, Ordering::Relaxed);
            if let Some(mut handle) = awaited.take() {
                assert!(Pin::new(&mut handle).poll(cx).is_pending());
            }
            Poll::<()>::Pending
        }));
        turns().await;
        assert_eq!(polls.load(Ordering::Relaxed), 1);
        waits.abort();
    });
    assert_eq!(counter.0.load(Ordering::Relaxed), 0);
}

#[test]
fn accepting_clears_nothing() {
    Runtime::new().unwrap().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let clients: Vec<_> =
            (0..3).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        let io = IoHandle::current();
        until(|| io.readiness(listener.token()).unwrap().contains(Readiness::READABLE)).await;
        turns().await;
        // All of them came in with events that have been taken; none will come for the second and the third.
        for client in &clients {
            let accepted = timeout(Duration::from_secs(60), listener.accept());
            let (_, peer) = accepted.await.expect("it is in the queue").unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
        assert_eq!(listener.try_accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(io.readiness(listener.token()), Ok(Readiness::EMPTY));
    });
}

#[test]
fn a_try_that_would_block_clears_its_direction() {
    Runtime::new().unwrap().block_on(async {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let io = IoHandle::current();
        ours.writable().await.unwrap();
        theirs.write_all(b"12345678").await.unwrap();
        ours.readable().await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(ours.try_read(&mut buffer).unwrap(), 8);
        assert!(io.readiness(ours.token()).unwrap().contains(Readiness::READABLE), "not short");
        assert_eq!(ours.try_read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(!io.readiness(ours.token()).unwrap().contains(Readiness::READABLE));
        while ours.try_write(&[0; 4096]).is_ok() {}
        assert_eq!(ours.try_write(&[0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(!io.readiness(ours.token()).unwrap().contains(Readiness::WRITABLE));
    });
}

#[test]
fn a_panic_is_recorded() {
    let runtime = Runtime::new().unwrap();
    let id = runtime.block_on(async {
        let handle = spawn(async { panic!("on purpose") });
        let id = handle.id();
        handle.await.unwrap_err();
        id
    });
    let outcomes = Recording::of(runtime.id()).events.into_iter().filter_map(|event| match event {
        Event::TaskFinished { task, outcome } if task == id => Some(outcome),
        _ => None,
    });
    assert_eq!(outcomes.collect::<Vec<_>>(), [TaskOutcome::Panicked]);
}

#[test]
fn troubles_with_tokens_are_counted() {
    let other = Runtime::new().unwrap();
    let (mut elsewhere, _far) = pair();
    let foreign = other.block_on(async { register(&mut elsewhere) });
    let runtime = Builder::new().max_slots(1).build().unwrap();
    runtime.block_on(async {
        let io = IoHandle::current();
        let (mut first, mut first_peer) = pair();
        let (mut second, _second_peer) = pair();
        let token = register(&mut first);
        // One that fails to deregister, and so stays with the kernel: its event is stale.
        assert_eq!(io.deregister(token, &mut second).unwrap_err().kind(), ErrorKind::NotFound);
        let next = register(&mut second);
        first_peer.write_all(b"x").unwrap();
        turns().await;
        // Two that are refused: one was handed back before, and one is of another runtime.
        assert!(io.deregister(token, &mut first).is_err());
        assert!(io.deregister(foreign, &mut elsewhere).is_err());
        io.deregister(next, &mut second).unwrap();
    });
    let recording = Recording::of(runtime.id());
    let totals = recording.board.totals;
    assert_eq!((totals.stale, totals.deregister_failures, totals.releases_refused), (1, 1, 2));
    let events = recording.events.iter();
    let refusals = events.filter_map(|event| match event {
        Event::ReleaseRefused { reason, .. } => Some(*reason),
        _ => None,
    });
    assert_eq!(refusals.collect::<Vec<_>>(), [RefusalReason::Stale, RefusalReason::Foreign]);
    other.block_on(async { IoHandle::current().deregister(foreign, &mut elsewhere).unwrap() });
}

/// Two connected Unix streams; the first one is for the runtime.
fn pair() -> (mio::net::UnixStream, std::os::unix::net::UnixStream) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (mio::net::UnixStream::from_std(ours), theirs)
}

fn register(source: &mut mio::net::UnixStream) -> Token {
    IoHandle::current().register(source, Interest::READABLE, Waker::noop()).unwrap()
}

/// A source that no kernel knows: there may be more of them than descriptors.
struct Nothing;

impl mio::event::Source for Nothing {
    fn register(
        &mut self,
        _: &mio::Registry,
        _: mio::Token,
        _: mio::Interest,
    ) -> std::io::Result<()> {
        Ok(())
    }

    fn reregister(
        &mut self,
        _: &mio::Registry,
        _: mio::Token,
        _: mio::Interest,
    ) -> std::io::Result<()> {
        Ok(())
    }

    fn deregister(&mut self, _: &mio::Registry) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_runtime_is_dropped_with_everything_alive() {
    let runtime = Runtime::new().unwrap();
    let (io, handle, waker) = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let slot = Rc::new(RefCell::new(None));
        let inside = slot.clone();
        let handle = spawn(async move {
            let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
            inside.replace(Some(waker));
            let accepting = timeout(Duration::from_secs(3600), listener.accept());
            accepting.await.unwrap_err()
        });
        task::yield_now().await;
        (IoHandle::current(), handle, slot.take().unwrap())
    });
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let waker = waker.clone();
            thread::spawn(move || (0..100).for_each(|_| waker.wake_by_ref()))
        })
        .collect();
    let beyond = runtime.handle();
    drop(runtime);
    assert!(handle.is_finished() && !beyond.is_alive());
    assert!(io.register(&mut Nothing, Interest::READABLE, Waker::noop()).is_err());
    waker.wake();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let error = Runtime::new().unwrap().block_on(handle).unwrap_err();
    assert!(error.is_cancelled());
}
