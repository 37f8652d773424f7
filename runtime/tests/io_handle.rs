//! The raw handle: tokens, readiness, wakers by direction, and everything that may be done wrong with them.

use nexus_runtime::io::{
    Direction, Interest, IoHandle, Operation, Readiness, RefusalReason, Token,
};
use nexus_runtime::time::{Duration, sleep};
use nexus_runtime::{Builder, Runtime, task};
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};

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

/// Two connected Unix streams; the first one is for the runtime.
fn pair() -> (mio::net::UnixStream, std::os::unix::net::UnixStream) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (mio::net::UnixStream::from_std(ours), theirs)
}

/// Lets the loop turn until the condition holds.
async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..5_000 {
        if condition() {
            return;
        }
        sleep(Duration::from_millis(1)).await;
    }
    panic!("waited in vain");
}

async fn turns() {
    for _ in 0..200 {
        task::yield_now().await;
    }
}

#[test]
fn readiness_is_recorded_and_the_waker_of_its_direction_fires_once() {
    Runtime::new().unwrap().block_on(async {
        let io = IoHandle::current();
        let (mut source, mut peer) = pair();
        let (readable, read_waker) = Counter::pair();
        let (writable, write_waker) = Counter::pair();
        let token = io.register(&mut source, Interest::READABLE, &read_waker).unwrap();
        io.set_waker(token, Direction::Writable, write_waker).unwrap();
        assert_eq!(io.readiness(token), Ok(Readiness::EMPTY));

        peer.write_all(b"x").unwrap();
        until(|| readable.count() == 1).await;
        assert_eq!(io.readiness(token), Ok(Readiness::READABLE));
        peer.write_all(b"y").unwrap();
        turns().await;
        assert_eq!(
            (readable.count(), writable.count()),
            (1, 0),
            "a waker fires once, and for its direction only"
        );

        io.set_waker(token, Direction::Readable, read_waker).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(source.read(&mut buffer).unwrap(), 2);
        assert_eq!(source.read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        io.clear_readable(token).unwrap();
        assert_eq!(io.readiness(token), Ok(Readiness::EMPTY));
        drop(peer);
        until(|| readable.count() == 2).await;
        assert!(io.readiness(token).unwrap().contains(Readiness::READ_CLOSED));
        assert_eq!(writable.count(), 1, "a closed peer wakes both directions");
        io.clear_readable(token).unwrap();
        assert!(
            io.readiness(token).unwrap().contains(Readiness::READ_CLOSED),
            "nothing clears closed"
        );
        io.deregister(token, &mut source).unwrap();
    });
}

#[test]
fn a_token_is_refused_once_it_was_released() {
    Runtime::new().unwrap().block_on(async {
        let io = IoHandle::current();
        let (mut source, _peer) = pair();
        let waker = Waker::noop();
        let token = io.register(&mut source, Interest::READABLE, waker).unwrap();
        io.deregister(token, &mut source).unwrap();
        for refused in [
            io.readiness(token).unwrap_err(),
            io.set_waker(token, Direction::Readable, waker.clone()).unwrap_err(),
            io.clear_readable(token).unwrap_err(),
            io.clear_writable(token).unwrap_err(),
        ] {
            assert_eq!(refused.reason, RefusalReason::Stale);
        }
        let next = io.register(&mut source, Interest::READABLE, waker).unwrap();
        assert_eq!(next.id().slot, token.id().slot);
        let error = io.deregister(token, &mut source).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(io.readiness(next), Ok(Readiness::EMPTY), "the new owner has noticed nothing");
        io.deregister(next, &mut source).unwrap();
    });
}

#[test]
fn a_foreign_token_is_refused() {
    let other = Runtime::new().unwrap();
    let (mut source, _peer) = pair();
    let token: Token = other.block_on(async {
        IoHandle::current().register(&mut source, Interest::READABLE, Waker::noop()).unwrap()
    });
    Runtime::new().unwrap().block_on(async {
        let io = IoHandle::current();
        assert_eq!(io.readiness(token).unwrap_err().reason, RefusalReason::Foreign);
        assert!(io.deregister(token, &mut source).is_err());
    });
    other.block_on(async { IoHandle::current().deregister(token, &mut source).unwrap() });
}

#[test]
fn a_failed_registration_gives_the_slot_back() {
    Builder::new().initial_slots(0).max_slots(2).build().unwrap().block_on(async {
        let io = IoHandle::current();
        // The kernel can't poll regular files.
        let file = tempfile::tempfile().unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        for _ in 0..10 {
            let error = io
                .register(&mut mio::unix::SourceFd(&fd), Interest::READABLE, Waker::noop())
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        }
        let (mut source, _peer) = pair();
        assert!(io.register(&mut source, Interest::EMPTY, Waker::noop()).is_err());
        let token = io.register(&mut source, Interest::READABLE, Waker::noop()).unwrap();
        let (mut second, _other) = pair();
        io.register(&mut second, Interest::READABLE, Waker::noop()).unwrap();
        let (mut third, _another) = pair();
        let full = io.register(&mut third, Interest::READABLE, Waker::noop()).unwrap_err();
        assert!(full.to_string().contains("all 2 slots are in use"), "{full}");
        io.deregister(token, &mut source).unwrap();
        io.register(&mut third, Interest::READABLE, Waker::noop()).unwrap();
    });
}

#[test]
fn a_source_that_does_not_deregister_gives_its_slot_back_all_the_same() {
    Builder::new().max_slots(1).build().unwrap().block_on(async {
        let io = IoHandle::current();
        let (mut source, _peer) = pair();
        let token = io.register(&mut source, Interest::READABLE, Waker::noop()).unwrap();
        let (mut wrong, _other) = pair();
        let error = io.deregister(token, &mut wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "the kernel does not know that one");
        io.register(&mut wrong, Interest::READABLE, Waker::noop()).unwrap();
    });
}

#[test]
fn an_event_for_a_released_token_reaches_nobody() {
    Builder::new().max_slots(1).build().unwrap().block_on(async {
        let io = IoHandle::current();
        let (mut first, mut first_peer) = pair();
        let (stale, stale_waker) = Counter::pair();
        let token = io.register(&mut first, Interest::READABLE, &stale_waker).unwrap();
        // Deregistering the wrong source leaves the first one with the kernel, whose events carry the old generation.
        let (mut second, mut second_peer) = pair();
        io.deregister(token, &mut second).unwrap_err();
        let (fresh, fresh_waker) = Counter::pair();
        let next = io.register(&mut second, Interest::READABLE, &fresh_waker).unwrap();
        first_peer.write_all(b"x").unwrap();
        turns().await;
        assert_eq!(io.readiness(next), Ok(Readiness::EMPTY));
        second_peer.write_all(b"x").unwrap();
        until(|| fresh.count() == 1).await;
        assert_eq!(stale.count(), 0);
    });
}

#[test]
fn handles_outlive_their_runtime_harmlessly() {
    let (mut source, _peer) = pair();
    let runtime = Runtime::new().unwrap();
    let (io, token) = runtime.block_on(async {
        let io = IoHandle::current();
        (io, io.register(&mut source, Interest::READABLE, Waker::noop()).unwrap())
    });
    assert!(io.readiness(token).is_ok(), "also outside of block_on");
    drop(runtime);
    assert!(io.readiness(token).is_err());
    assert!(io.deregister(token, &mut source).is_err());
}

#[test]
fn a_future_by_hand_reads_what_comes() {
    Runtime::new().unwrap().block_on(async {
        let io = IoHandle::current();
        let (mut source, mut peer) = pair();
        let token = io.register(&mut source, Interest::READABLE, Waker::noop()).unwrap();
        let writer = std::thread::spawn(move || {
            for _ in 0..100 {
                peer.write_all(&[9; 100]).unwrap();
            }
        });
        let mut total = 0;
        poll_fn(|cx| {
            let mut buffer = [0; 64];
            loop {
                match source.read(&mut buffer) {
                    Ok(0) => return Poll::Ready(()),
                    Ok(bytes) => total += bytes,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        io.clear_readable(token).unwrap();
                        io.set_waker(token, Direction::Readable, cx.waker().clone()).unwrap();
                        return Poll::Pending;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        })
        .await;
        assert_eq!(total, 10_000);
        writer.join().unwrap();
        io.deregister(token, &mut source).unwrap();
    });
}

#[test]
fn an_attempt_that_would_block_clears_its_direction() {
    Runtime::new().unwrap().block_on(async {
        let io = IoHandle::current();
        let (mut source, mut peer) = pair();
        let token = io.register(&mut source, Interest::READABLE, Waker::noop()).unwrap();
        peer.write_all(b"abc").unwrap();
        until(|| io.readiness(token).unwrap().contains(Readiness::READABLE)).await;
        let mut buffer = [0; 8];
        assert_eq!(io.attempt(token, Operation::Read, || source.read(&mut buffer)).unwrap(), 3);
        assert_eq!(io.readiness(token), Ok(Readiness::READABLE));
        let error = io.attempt(token, Operation::Read, || source.read(&mut buffer)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert_eq!(io.readiness(token), Ok(Readiness::EMPTY));
        io.deregister(token, &mut source).unwrap();
        assert!(io.attempt(token, Operation::Read, || unreachable!("the token is stale")).is_err());
    });
}

/// A waker that asks for its token whenever it is cloned, fired or dropped.
struct Nosy(Cell<Option<Token>>);

impl Nosy {
    const VTABLE: RawWakerVTable = RawWakerVTable::new(
        |nosy| {
            Self::ask(nosy);
            RawWaker::new(nosy, &Self::VTABLE)
        },
        Self::ask,
        Self::ask,
        Self::ask,
    );

    fn waker(&'static self) -> Waker {
        // SAFETY: the functions only read a static of the one thread that uses the waker.
        unsafe { Waker::new(std::ptr::from_ref(self).cast(), &Self::VTABLE) }
    }

    fn ask(nosy: *const ()) {
        // SAFETY: it was made from a static reference in `waker`.
        let nosy = unsafe { &*nosy.cast::<Self>() };
        if let Some(token) = nosy.0.get() {
            let _ = IoHandle::current().readiness(token);
            let _ = IoHandle::current().clear_readable(token);
        }
    }
}

#[test]
fn wakers_may_come_back_whenever_they_are_touched() {
    Runtime::new().unwrap().block_on(async {
        let io = IoHandle::current();
        let (mut source, mut peer) = pair();
        let token = io.register(&mut source, Interest::READABLE, Waker::noop()).unwrap();
        let nosy: &'static Nosy = Box::leak(Box::new(Nosy(Cell::new(Some(token)))));
        // It lives for ever, and a leak detector shall find it here.
        static KEPT: AtomicPtr<Nosy> = AtomicPtr::new(std::ptr::null_mut());
        KEPT.store(std::ptr::from_ref(nosy).cast_mut(), Ordering::Relaxed);
        io.set_waker(token, Direction::Readable, nosy.waker()).unwrap();
        io.set_waker(token, Direction::Readable, Waker::noop().clone()).unwrap();
        io.set_waker(token, Direction::Readable, nosy.waker()).unwrap();
        peer.write_all(b"x").unwrap();
        turns().await;
        io.set_waker(token, Direction::Writable, nosy.waker()).unwrap();
        io.deregister(token, &mut source).unwrap();

        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let stream = nexus_runtime::net::UnixStream::from_std(ours).unwrap();
        nosy.0.set(Some(stream.token()));
        let mut buffer = [0; 8];
        let waker = nosy.waker();
        let mut reading = Box::pin(stream.read(&mut buffer));
        for waker in [&waker, Waker::noop(), &waker] {
            assert!(reading.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        }
        drop(reading);
        assert!(stream.poll_read(&mut Context::from_waker(&waker), &mut buffer).is_pending());
        drop(stream);
    });
}
