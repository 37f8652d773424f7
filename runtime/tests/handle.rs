//! Handles, and driving the I/O driver by hand.

#![allow(clippy::async_yields_async, reason = "some tests carry a handle out of block_on")]

use nexus_runtime::time::sleep;
use nexus_runtime::{Builder, Handle, Runtime, spawn, task};
use std::cell::Cell;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[test]
fn a_handle_spawns_before_inside_and_between() {
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle();
    let early = handle.spawn(async { 1 });
    assert_eq!((handle.tasks(), handle.is_alive()), (1, true));
    let late = runtime.block_on(async {
        assert_eq!(early.await.unwrap(), 1);
        assert_eq!(Handle::current().id(), handle.id());
        handle.spawn(async { 2 }).await.unwrap();
        handle.spawn(async { 3 })
    });
    let own = runtime.spawn(async { 4 });
    assert_eq!(runtime.block_on(async { (late.await.unwrap(), own.await.unwrap()) }), (3, 4));
}

#[test]
fn a_handle_outlives_its_runtime_and_says_so() {
    assert!(Handle::try_current().is_none());
    let runtime = Runtime::new().unwrap();
    let handle = runtime.handle();
    drop(runtime);
    assert_eq!((handle.tasks(), handle.is_alive()), (0, false));
    let caught = catch_unwind(|| drop(handle.spawn(async {})));
    let message = *caught.unwrap_err().downcast::<&'static str>().unwrap();
    assert_eq!(message, "the runtime of this handle is gone");
}

#[test]
fn two_runtimes_of_a_thread_are_told_apart() {
    let (one, two) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let ran = Rc::new(Cell::new(false));
    let inside = ran.clone();
    let other = two.handle();
    one.block_on(async {
        drop(other.spawn(async move { inside.set(true) }));
        task::yield_now().await;
        task::yield_now().await;
    });
    assert!(!ran.get(), "it is the other runtime's task");
    two.block_on(task::yield_now());
    two.block_on(task::yield_now());
    assert!(ran.get());
}

#[test]
fn a_poll_by_hand_fires_what_is_due() {
    let runtime = Runtime::new().unwrap();
    assert_eq!(runtime.poll_io(Some(Duration::ZERO)).unwrap(), 0);
    let slept = runtime.block_on(async {
        let slept = spawn(sleep(Duration::from_millis(5)));
        task::yield_now().await;
        slept
    });
    let mut fired = 0;
    while fired == 0 {
        fired = runtime.poll_io(None).unwrap();
    }
    assert_eq!(fired, 1);
    runtime.block_on(slept).unwrap();
}

#[test]
fn a_poll_by_hand_waits_no_longer_than_it_is_told() {
    let runtime = Runtime::new().unwrap();
    let start = Instant::now();
    assert_eq!(runtime.poll_io(Some(Duration::from_millis(20))).unwrap(), 0);
    assert!(start.elapsed() >= Duration::from_millis(19));
}

#[test]
fn a_poll_by_hand_is_woken_by_another_thread() {
    let runtime = Runtime::new().unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let inside = done.clone();
    let (send, receive) = std::sync::mpsc::channel();
    drop(runtime.spawn(std::future::poll_fn(move |cx| {
        send.send(cx.waker().clone()).unwrap();
        if inside.load(Ordering::Acquire) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })));
    runtime.block_on(task::yield_now());
    let waker = receive.recv().unwrap();
    let other = std::thread::spawn(move || {
        done.store(true, Ordering::Release);
        waker.wake();
    });
    // Blocks until the wake, without a limit: a wake that is lost would hang here.
    runtime.poll_io(None).unwrap();
    other.join().unwrap();
    runtime.block_on(task::yield_now());
    assert_eq!(runtime.handle().tasks(), 0);
}

#[test]
fn a_poll_by_hand_inside_is_refused() {
    let runtime = Rc::new(Runtime::new().unwrap());
    let inside = runtime.clone();
    let caught = catch_unwind(std::panic::AssertUnwindSafe(|| {
        runtime.block_on(async move { inside.poll_io(None) })
    }));
    assert!(caught.is_err());
}

#[test]
fn a_spinning_runtime_notices_sockets_timers_and_threads() {
    use nexus_runtime::net::{TcpListener, TcpStream};
    let spins = [
        Builder::new().spin(Duration::from_micros(50)),
        Builder::new().spin(Duration::from_secs(3600)),
        Builder::new().busy_poll(),
    ];
    for builder in spins {
        builder.build().unwrap().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = spawn(async move {
                let (stream, _) = listener.accept().await?;
                sleep(Duration::from_millis(2)).await;
                stream.write_all(b"hello").await
            });
            let client = TcpStream::connect(address).await.unwrap();
            let mut greeting = [0; 5];
            client.read_exact(&mut greeting).await.unwrap();
            server.await.unwrap().unwrap();
            for _ in 0..100 {
                let (send, receive) = std::sync::mpsc::channel::<std::task::Waker>();
                let set = Arc::new(AtomicBool::new(false));
                let setter = set.clone();
                let thread = std::thread::spawn(move || {
                    let waker = receive.recv().unwrap();
                    setter.store(true, Ordering::Release);
                    waker.wake();
                });
                std::future::poll_fn(|cx| {
                    let _ = send.send(cx.waker().clone());
                    if set.load(Ordering::Acquire) {
                        std::task::Poll::Ready(())
                    } else {
                        std::task::Poll::Pending
                    }
                })
                .await;
                thread.join().unwrap();
            }
        });
    }
}
