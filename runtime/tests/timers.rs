//! Timers: never early, never lost, gone when dropped.

#![allow(clippy::async_yields_async, reason = "one test carries a timer out of block_on")]

use nexus_runtime::time::{Duration, Instant, Sleep, sleep, sleep_until, timeout, timeout_at};
use nexus_runtime::{Runtime, spawn, task};
use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

const HOUR: Duration = Duration::from_secs(3600);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(future)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Polls a sleep with this waker.
fn poll(sleep: &mut Sleep, waker: &Waker) -> Poll<()> {
    Pin::new(sleep).poll(&mut Context::from_waker(waker))
}

/// Polls a sleep with the waker of the current task.
async fn poll_once(sleep: &mut Sleep) -> Poll<()> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *sleep).poll(cx))).await
}

/// A waker that is not the runtime's: counts how often it is fired, and does something.
struct Foreign {
    fired: AtomicUsize,
    act: fn(),
}

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        self.fired.fetch_add(1, Ordering::Relaxed);
        (self.act)();
    }
}

impl Foreign {
    fn new(act: fn()) -> Arc<Self> {
        Arc::new(Self { fired: AtomicUsize::new(0), act })
    }

    fn waker(self: &Arc<Self>) -> Waker {
        self.clone().into()
    }

    fn fired(&self) -> usize {
        self.fired.load(Ordering::Relaxed)
    }
}

thread_local! {
    /// What a foreign waker lays hands on.
    static WITHIN_REACH: RefCell<Vec<Sleep>> = const { RefCell::new(Vec::new()) };
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
fn a_timeout_has_a_deadline_and_gives_back_what_it_bounds() {
    block_on(async {
        let deadline = Instant::now() + ms(2);
        assert!(timeout_at(deadline, pending::<()>()).await.is_err());
        assert!(Instant::now() >= deadline);
        assert_eq!(timeout_at(deadline, async { 5 }).await, Ok(5), "ready, though it is late");
        let mut bounded = timeout(HOUR, std::future::ready(1));
        *bounded.get_mut() = std::future::ready(2);
        assert_eq!(bounded.into_inner().await, 2);
    });
}

#[test]
fn a_timeout_ends_a_future_that_is_always_ready_to_go_on() {
    block_on(async {
        // Each poll ends because the task has had its share, so that the limit finds nothing of it left.
        let greedy = async {
            loop {
                sleep(Duration::ZERO).await;
            }
        };
        let late: Result<(), _> = timeout(ms(5), greedy).await;
        assert!(late.is_err());
    });
}

#[test]
fn timers_that_are_always_due_leave_others_their_turn() {
    block_on(async {
        let greedy = spawn(async {
            loop {
                sleep_until(Instant::now()).await;
            }
        });
        task::yield_now().await;
        sleep(ms(2)).await;
        greedy.abort();
    });
}

#[test]
fn a_deadline_in_the_past_is_ready_at_once() {
    block_on(async {
        let now = Instant::now();
        for past in [now, now - ms(1), now - 24 * HOUR.min(now.elapsed() + ms(1))] {
            let mut sleep = sleep_until(past);
            assert_eq!(sleep.deadline(), past);
            assert!(sleep.is_elapsed());
            assert_eq!(poll_once(&mut sleep).await, Poll::Ready(()));
            assert_eq!(poll_once(&mut sleep).await, Poll::Ready(()), "and stays so");
        }
        assert_eq!(poll_once(&mut sleep(Duration::ZERO)).await, Poll::Ready(()));
    });
}

#[test]
fn centuries_wait_for_ever() {
    block_on(async {
        let mut sleeps = [
            sleep(Duration::MAX),
            sleep(Duration::from_secs(500 * 365 * 24 * 3600)),
            sleep_until(Instant::now() + Duration::from_secs(1 << 60)),
        ];
        for sleep in &mut sleeps {
            assert!(poll_once(sleep).await.is_pending());
            assert!(sleep.deadline() > Instant::now() + 24 * 365 * 100 * HOUR);
        }
        sleep(ms(2)).await;
        for sleep in &mut sleeps {
            assert!(poll_once(sleep).await.is_pending());
        }
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
        let mut timer = sleep(HOUR);
        assert!(poll_once(&mut timer).await.is_pending());
        timer.reset(start + ms(2));
        assert_eq!(timer.deadline(), start + ms(2));
        (&mut timer).await;
        assert!(start.elapsed() >= ms(2));
        let again = Instant::now() + ms(1);
        timer.reset(again);
        assert!(!timer.is_elapsed() || Instant::now() >= again);
        (&mut timer).await;
        assert!(Instant::now() >= again, "a timer that has fired can be used again");
    });
}

#[test]
fn a_timer_that_is_put_off_does_not_wake_at_its_old_deadline() {
    block_on(async {
        let foreign = Foreign::new(|| ());
        let start = Instant::now();
        let mut timer = sleep_until(start + ms(3));
        let armed = poll(&mut timer, &foreign.waker()).is_pending();
        timer.reset(start + HOUR);
        sleep_until(start + ms(6)).await;
        assert_eq!(foreign.fired(), 0);
        timer.reset(start);
        // Set to the past, it fires in the next turn; if it was too late to arm it at all, nobody waits for it.
        while armed && foreign.fired() == 0 {
            task::yield_now().await;
        }
        assert_eq!(poll(&mut timer, &foreign.waker()), Poll::Ready(()));
        timer.reset(start + HOUR);
        assert!(poll(&mut timer, &foreign.waker()).is_pending());
        timer.reset(start);
        assert_eq!(poll(&mut timer, &foreign.waker()), Poll::Ready(()), "nor need one wait for it");
    });
}

#[test]
fn the_last_poll_says_who_is_woken() {
    block_on(async {
        let (old, new) = (Foreign::new(|| ()), Foreign::new(|| ()));
        let mut timer = sleep(ms(2));
        assert!(poll(&mut timer, &old.waker()).is_pending());
        assert!(poll(&mut timer, &new.waker()).is_pending());
        while new.fired() == 0 {
            task::yield_now().await;
        }
        assert_eq!(old.fired(), 0);
        assert_eq!(Arc::strong_count(&old), 1, "the old waker is gone");
        assert_eq!(Arc::strong_count(&new), 1, "and so is the one that was fired");
    });
}

#[test]
fn a_foreign_waker_may_arm_reset_and_drop_timers() {
    block_on(async {
        let idle = Foreign::new(|| ());
        let start = Instant::now();
        let meddler = Foreign::new(|| {
            let mut timers = WITHIN_REACH.take();
            // Due in this very turn, perhaps: neither may fire.
            timers[0].reset(Instant::now() + HOUR);
            drop(timers.remove(1));
            // These are due at once.
            timers[1].reset(Instant::now() - ms(1));
            let mut new = sleep_until(Instant::now() + Duration::from_micros(10));
            let _ = poll(&mut new, Waker::noop());
            timers.push(new);
            WITHIN_REACH.set(timers);
        });
        let moved = Foreign::new(|| ());
        // Armed for certain, and then all due in the same turn, the meddler first.
        let mut timers: Vec<Sleep> = Vec::new();
        for (waker, deadline) in [(&meddler, 2), (&idle, 2), (&idle, 2), (&moved, 3_600_000)] {
            let mut timer = sleep(HOUR);
            assert!(poll(&mut timer, &waker.waker()).is_pending());
            timer.reset(start + ms(deadline));
            timers.push(timer);
        }
        let first = timers.remove(0);
        WITHIN_REACH.set(timers);
        while meddler.fired() == 0 || moved.fired() == 0 {
            task::yield_now().await;
        }
        sleep(ms(3)).await;
        assert_eq!((meddler.fired(), idle.fired(), moved.fired()), (1, 0, 1));
        assert!(first.is_elapsed());
        WITHIN_REACH.take();
    });
}

#[test]
fn a_waker_that_panics_takes_nothing_with_it() {
    block_on(async {
        let bad = Foreign::new(|| panic!("a panic on purpose, in a waker"));
        let start = Instant::now();
        let mut timers = [0; 3].map(|_| sleep_until(start + ms(2)));
        let armed = timers
            .iter_mut()
            .map(|timer| poll(timer, &bad.waker()))
            .filter(Poll::is_pending)
            .count();
        sleep_until(start + ms(2)).await;
        sleep(ms(1)).await;
        assert_eq!(bad.fired(), armed);
        for timer in &mut timers {
            assert_eq!(poll(timer, Waker::noop()), Poll::Ready(()));
        }
    });
}

#[test]
fn timers_may_outlive_their_runtime() {
    let runtime = Runtime::new().unwrap();
    let timer = runtime.block_on(async {
        let mut timer = sleep(HOUR);
        assert!(poll_once(&mut timer).await.is_pending());
        timer
    });
    drop(runtime);
    drop(timer);
}

#[test]
fn a_timer_whose_runtime_is_gone_goes_on_in_the_next_one() {
    let old = Foreign::new(|| ());
    let deadline = Instant::now() + ms(5);
    let mut timer = Runtime::new().unwrap().block_on(async {
        let mut timer = sleep_until(deadline);
        let _ = poll(&mut timer, &old.waker());
        timer
    });
    assert_eq!(Arc::strong_count(&old), 1, "the runtime has dropped the waker");
    timer.reset(deadline);
    block_on(timer);
    assert!(Instant::now() >= deadline);
    assert_eq!(old.fired(), 0);
}

#[test]
fn a_timer_leaves_its_runtime_from_within_another_one() {
    let (first, second) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let waker = Foreign::new(|| ());
    let start = Instant::now();
    let mut timers = [0; 3].map(|_| sleep_until(start + ms(5)));
    first.block_on(async {
        for timer in &mut timers {
            let _ = poll(timer, &waker.waker());
        }
    });
    let [dropped, mut reset, polled] = timers;
    second.block_on(async {
        drop(dropped);
        reset.reset(start + HOUR);
        polled.await;
        assert!(start.elapsed() >= ms(5));
    });
    first.block_on(sleep_until(start + ms(10)));
    assert_eq!(waker.fired(), 0);
    first.block_on(async { assert!(poll(&mut reset, Waker::noop()).is_pending()) });
}

#[test]
fn a_runtime_is_dropped_with_timers_armed() {
    /// Its last waker drops timers, and it may be the runtime that drops that.
    struct Last;
    impl Wake for Last {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Last {
        fn drop(&mut self) {
            WITHIN_REACH.take();
        }
    }
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        for _ in 0..3 {
            drop(spawn(async {
                let mut timers = [sleep(HOUR), sleep(Duration::MAX)];
                for timer in &mut timers {
                    assert!(poll_once(timer).await.is_pending());
                }
                pending::<()>().await;
            }));
        }
        task::yield_now().await;
        let waker = Waker::from(Arc::new(Last));
        let mut timers: Vec<Sleep> = (0..3).map(|_| sleep(HOUR)).collect();
        assert!(timers.iter_mut().all(|timer| poll(timer, &waker).is_pending()));
        WITHIN_REACH.set(timers);
    });
    assert_eq!(WITHIN_REACH.with_borrow(Vec::len), 3);
    drop(runtime);
    assert_eq!(WITHIN_REACH.with_borrow(Vec::len), 0, "the wakers of armed timers are gone");
}

#[test]
fn a_waker_that_is_replaced_may_drop_timers() {
    /// Drops a timer when it is dropped, which happens as another waker takes its place.
    struct Dropping;
    impl Wake for Dropping {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Dropping {
        fn drop(&mut self) {
            WITHIN_REACH.take();
        }
    }
    block_on(async {
        let (mut kept, mut other) = (sleep(HOUR), sleep(HOUR));
        assert!(poll(&mut other, Waker::noop()).is_pending());
        WITHIN_REACH.set(vec![other]);
        assert!(poll(&mut kept, &Waker::from(Arc::new(Dropping))).is_pending());
        assert!(poll(&mut kept, Waker::noop()).is_pending());
        assert_eq!(WITHIN_REACH.with_borrow(Vec::len), 0);
    });
}
