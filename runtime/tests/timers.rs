//! Timers: never early, never lost, gone when dropped.

#![allow(clippy::async_yields_async, reason = "one test carries a timer out of block_on")]

use nexus_runtime::time::{Duration, Instant, sleep, sleep_until, timeout};
use nexus_runtime::{Runtime, spawn, task};
use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(future)
}

#[test]
fn a_sleep_is_never_early() {
    block_on(async {
        for micros in [0, 1, 50, 300, 999, 1_000, 1_300, 1_700, 5_000] {
            let duration = Duration::from_micros(micros);
            let start = Instant::now();
            sleep(duration).await;
            assert!(start.elapsed() >= duration, "{micros} µs took {:?}", start.elapsed());
            let deadline = Instant::now() + duration;
            sleep_until(deadline).await;
            assert!(Instant::now() >= deadline);
        }
    });
}

#[test]
fn timers_fire_in_the_order_of_their_deadlines() {
    // A deadline that is over before its first poll needs no timer, so an attempt counts only if none was.
    for _ in 0..100 {
        let order = Rc::new(RefCell::new(Vec::new()));
        let start = Instant::now() + Duration::from_millis(5);
        let armed = block_on(async {
            let handles: Vec<_> = [5u64, 1, 4, 2, 3]
                .into_iter()
                .map(|number| {
                    let order = order.clone();
                    spawn(async move {
                        sleep_until(start + Duration::from_micros(number * 100)).await;
                        order.borrow_mut().push(number);
                    })
                })
                .collect();
            task::yield_now().await;
            let armed = Instant::now();
            for handle in handles {
                handle.await.unwrap();
            }
            armed
        });
        if armed < start {
            assert_eq!(*order.borrow(), [1, 2, 3, 4, 5]);
            return;
        }
    }
    panic!("the machine never let five tasks run within 5 ms");
}

#[test]
fn many_timers_all_fire() {
    block_on(async {
        let handles: Vec<_> = (0..10_000u64)
            .map(|number| {
                spawn(async move { sleep(Duration::from_micros(number * 7 % 5_000)).await })
            })
            .collect();
        for handle in handles {
            handle.await.unwrap();
        }
    });
}

#[test]
fn a_timer_fires_while_other_tasks_keep_the_loop_busy() {
    block_on(async {
        let busy = spawn(async {
            loop {
                task::yield_now().await;
            }
        });
        sleep(Duration::from_millis(3)).await;
        busy.abort();
    });
}

#[test]
fn a_timeout_lets_what_is_ready_pass_and_ends_what_is_not() {
    block_on(async {
        assert_eq!(
            timeout(Duration::ZERO, async { 5 }).await,
            Ok(5),
            "polled before the clock is asked"
        );
        let error = timeout(Duration::from_millis(1), pending::<()>()).await.unwrap_err();
        assert_eq!(error.to_string(), "the time limit was reached");
        assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::TimedOut);
    });
}

#[test]
fn a_dropped_timer_wakes_nobody() {
    block_on(async {
        let mut polls = 0;
        let mut dropped = Some(Box::pin(sleep(Duration::from_millis(1))));
        let mut end = pin!(sleep(Duration::from_millis(4)));
        poll_fn(|cx| {
            polls += 1;
            if let Some(mut timer) = dropped.take() {
                let _ = timer.as_mut().poll(cx);
            }
            end.as_mut().poll(cx)
        })
        .await;
        assert_eq!(polls, 2, "the first poll, and the one that the second timer woke");
    });
}

#[test]
fn a_reset_timer_has_only_its_new_deadline() {
    block_on(async {
        let start = Instant::now();
        let mut timer = sleep(Duration::from_secs(3600));
        let mut pinned = std::pin::Pin::new(&mut timer);
        assert!(poll_fn(|cx| Poll::Ready(pinned.as_mut().poll(cx).is_pending())).await);
        timer.reset(start + Duration::from_millis(2));
        (&mut timer).await;
        assert!(start.elapsed() >= Duration::from_millis(2));
        let again = Instant::now() + Duration::from_millis(1);
        timer.reset(again);
        (&mut timer).await;
        assert!(Instant::now() >= again, "a timer that has fired can be used again");
    });
}

#[test]
fn timers_may_outlive_their_runtime() {
    let runtime = Runtime::new().unwrap();
    let timer = runtime.block_on(async {
        let mut timer = Box::pin(sleep(Duration::from_secs(3600)));
        assert!(poll_fn(|cx| Poll::Ready(timer.as_mut().poll(cx).is_pending())).await);
        timer
    });
    drop(runtime);
    drop(timer);
}
