//! Intervals: ticks on time, by the schedule, and after a delay. Which tick follows which is tested with made-up times
//! beside the code.

use nexus_runtime::time::{
    Duration, Instant, Interval, MissedTickBehavior, interval, interval_at, sleep_until, timeout,
};
use nexus_runtime::{Runtime, spawn};
use std::future::{Future, poll_fn};
use std::panic::catch_unwind;
use std::task::Poll;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(future)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Whether the next tick has come already.
async fn is_due(interval: &mut Interval) -> bool {
    poll_fn(|cx| Poll::Ready(interval.poll_tick(cx).is_ready())).await
}

#[test]
fn ticks_come_at_once_and_then_by_the_schedule() {
    block_on(async {
        let before = Instant::now();
        let mut interval = interval(ms(2));
        let first = interval.tick().await;
        assert!(before <= first && first <= Instant::now());
        for number in 1..5 {
            let tick = interval.tick().await;
            assert_eq!(tick, first + number * ms(2), "counted from the schedule, so without drift");
            assert!(Instant::now() >= tick, "early");
        }
    });
}

#[test]
fn the_first_tick_can_be_put_off() {
    block_on(async {
        let start = Instant::now() + ms(3);
        let mut interval = interval_at(start, ms(500));
        assert_eq!(interval.period(), ms(500));
        assert_eq!(interval.tick().await, start);
        assert!(Instant::now() >= start);
    });
}

#[test]
fn missed_ticks_come_in_a_burst_unless_told_otherwise() {
    block_on(async {
        let start = Instant::now();
        let mut interval = interval_at(start, ms(10));
        assert_eq!(interval.missed_tick_behavior(), MissedTickBehavior::Burst);
        interval.tick().await;
        std::thread::sleep(ms(45));
        for number in 1..=4 {
            assert!(is_due(&mut interval).await, "tick {number} is overdue");
        }
    });
}

#[test]
fn missed_ticks_can_be_left_out_or_delay_the_others() {
    block_on(async {
        let start = Instant::now();
        let mut skipping = interval_at(start, ms(10));
        skipping.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut delaying = interval_at(start, ms(10));
        delaying.set_missed_tick_behavior(MissedTickBehavior::Delay);
        skipping.tick().await;
        delaying.tick().await;
        sleep_until(start + ms(35)).await;

        let before = Instant::now();
        assert_eq!(skipping.tick().await, start + ms(10), "the one that is overdue");
        let skipped = skipping.tick().await;
        assert!(skipped > before, "the others are left out");
        assert_eq!((skipped - start).as_nanos() % ms(10).as_nanos(), 0, "by the schedule");

        let before = Instant::now();
        assert_eq!(delaying.tick().await, start + ms(10));
        assert!(delaying.tick().await >= before + ms(10), "a period after the one that was late");
    });
}

#[test]
fn an_interval_can_start_anew() {
    block_on(async {
        let mut interval = interval(ms(3_600_000));
        interval.tick().await;
        assert!(!is_due(&mut interval).await);
        interval.reset_immediately();
        assert!(is_due(&mut interval).await);
        let before = Instant::now();
        interval.reset_after(ms(3));
        assert!(interval.tick().await >= before + ms(3));
        let moment = Instant::now() + ms(2);
        interval.reset_at(moment);
        assert_eq!(interval.tick().await, moment);
        interval.reset();
        assert!(!is_due(&mut interval).await, "an hour from now");
    });
}

#[test]
fn a_cancelled_wait_for_a_tick_loses_none() {
    block_on(async {
        let start = Instant::now() + ms(8);
        let mut interval = interval_at(start, ms(8));
        while timeout(ms(1), interval.tick()).await.is_err() {}
        assert_eq!(interval.tick().await, start + ms(8));
    });
}

#[test]
fn an_interval_far_below_what_the_machine_can_do_leaves_others_their_turn() {
    block_on(async {
        let greedy = spawn(async {
            let mut interval = interval(Duration::from_nanos(1));
            loop {
                interval.tick().await;
            }
        });
        sleep_until(Instant::now() + ms(2)).await;
        greedy.abort();
        assert!(greedy.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn a_period_of_zero_is_refused() {
    let refused = catch_unwind(|| interval(Duration::ZERO)).unwrap_err();
    let message = refused.downcast_ref::<&str>().copied().unwrap_or_default();
    assert_eq!(message, "the period of an interval must not be zero");
}

#[test]
fn a_period_of_centuries_ticks_once() {
    block_on(async {
        let mut interval = interval(Duration::MAX);
        interval.tick().await;
        assert!(!is_due(&mut interval).await);
    });
}
