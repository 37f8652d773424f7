//! The adapter for futures of other crates: what it adds is seen by the recorder only (see `tests/recorded`).

use crate::vocabulary::{Poller, block_on};
use nexus_runtime::task::counted;
use std::pin::pin;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::task::{Poll, Waker};
use std::thread;

#[test]
fn outputs_wakers_and_panics_pass_through() {
    assert_eq!(block_on(counted(async { 5 })), 5);
    let poller = Poller::new();
    let held = Mutex::new(None::<Waker>);
    let foreign =
        std::future::poll_fn(|cx| match held.lock().unwrap().replace(cx.waker().clone()) {
            None => Poll::Pending,
            Some(_) => Poll::Ready(()),
        });
    let mut counted_future = pin!(counted(foreign));
    assert!(poller.poll(counted_future.as_mut()).is_pending());
    held.lock().unwrap().as_ref().unwrap().wake_by_ref();
    assert_eq!(poller.wakes.count(), 1);
    assert!(poller.poll(counted_future).is_ready());
    let panics = std::panic::AssertUnwindSafe(|| block_on(counted(async { panic!("inside") })));
    assert!(std::panic::catch_unwind(panics).is_err());
}

#[test]
fn a_foreign_channel_works_through_it() {
    let (sender, receiver) = channel();
    let waker = std::sync::Arc::new(Mutex::new(None::<Waker>));
    let thread = thread::spawn({
        let waker = waker.clone();
        move || {
            let wake = || {
                if let Some(waker) = waker.lock().unwrap().take() {
                    waker.wake();
                }
            };
            for number in 0..100 {
                sender.send(number).unwrap();
                wake();
            }
            drop(sender);
            wake();
        }
    });
    let numbers = block_on(async move {
        let mut numbers = Vec::new();
        loop {
            let next = std::future::poll_fn(|cx| {
                *waker.lock().unwrap() = Some(cx.waker().clone());
                match receiver.try_recv() {
                    Ok(number) => Poll::Ready(Some(number)),
                    Err(std::sync::mpsc::TryRecvError::Empty) => Poll::Pending,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => Poll::Ready(None),
                }
            });
            match counted(next).await {
                Some(number) => numbers.push(number),
                None => return numbers,
            }
        }
    });
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    thread.join().unwrap();
}
