//! What timers leave in the recorder's ring, and on its board.

use super::{Duration, Instant, sleep, sleep_until};
use crate::record::Recorder;
use crate::{Builder, Runtime, context};
use nexus_protocol::TimerId;
use nexus_protocol::event::{Cause, Event, Operation, Subject, TimerAction, WaitFor};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

const HOUR: Duration = Duration::from_secs(3600);
const FIRST: TimerId = TimerId(1);

fn runtime() -> Runtime {
    Builder::new().ring_records(4096).endpoint(false).build().unwrap()
}

fn recorder<R>(look: impl FnOnce(&Recorder) -> R) -> R {
    context::with(|core| look(&core.recorder))
}

/// What was recorded of a timer, in short.
fn story(of: TimerId) -> Vec<String> {
    let short = |event| match event {
        Event::Timer { timer, action, .. } if timer == of => Some(format!("{action:?}")),
        Event::Operation { subject: Subject::Timer(timer), operation, result, .. }
            if timer == of =>
        {
            assert_eq!(operation, Operation::Timer);
            Some(format!("{result:?}"))
        }
        Event::WaitBegin { target, task: Some(_) } if target == WaitFor::Timer(of) => {
            Some("wait".into())
        }
        Event::WaitEnd { target, task: Some(_), outcome } if target == WaitFor::Timer(of) => {
            Some(format!("wait {outcome:?}"))
        }
        Event::Wake { cause: Cause::Timer { timer, fired: Some(_) }, .. } if timer == of => {
            Some("wake".into())
        }
        _ => None,
    };
    recorder(Recorder::events).into_iter().filter_map(short).collect()
}

#[test]
fn a_sleep_is_armed_and_fires() {
    runtime().block_on(async {
        sleep(Duration::from_millis(1)).await;
        let story = story(FIRST);
        assert_eq!(story, ["Armed", "NotReady", "wait", "Fired", "wait Done", "wake", "Done(0)"]);
        let totals = recorder(Recorder::totals);
        assert_eq!((totals.timers, totals.timers_fired), (0, 1));
    });
}

#[test]
fn a_dropped_sleep_ends_its_wait() {
    runtime().block_on(async {
        let mut timer = sleep(HOUR);
        let once = poll_fn(|cx| Poll::Ready(Pin::new(&mut timer).poll(cx).is_pending()));
        assert!(once.await);
        assert_eq!(recorder(Recorder::totals).timers, 1);
        timer.reset(Instant::now() + 2 * HOUR);
        drop(timer);
        assert_eq!(
            story(FIRST),
            ["Armed", "NotReady", "wait", "Reset", "Cancelled", "wait Dropped"]
        );
        let totals = recorder(Recorder::totals);
        assert_eq!((totals.timers, totals.timers_fired), (0, 0));
    });
}

#[test]
fn a_deadline_that_is_over_arms_nothing() {
    runtime().block_on(async {
        sleep_until(Instant::now()).await;
        assert_eq!(story(FIRST), ["Done(0)"]);
        assert_eq!(recorder(Recorder::totals).timers, 0);
    });
}

#[test]
fn a_sleep_found_over_after_a_reset_is_cancelled_before_it_is_done() {
    runtime().block_on(async {
        let mut timer = pin!(sleep(HOUR));
        let mut polls = 0;
        poll_fn(|cx| {
            polls += 1;
            assert!(timer.as_mut().poll(cx).is_pending());
            timer.reset(Instant::now());
            timer.as_mut().poll(cx)
        })
        .await;
        assert_eq!(polls, 1);
        assert_eq!(
            story(FIRST),
            ["Armed", "NotReady", "wait", "Reset", "Cancelled", "wait Dropped"]
        );
        assert_eq!(recorder(Recorder::totals).timers, 0);
        assert_eq!(story(TimerId(2)), ["Done(0)"], "each attempt to arm has an id of its own");
    });
}

/// The recorder must hear of every deadline, so that it can be compared with the time of the wake.
#[test]
fn deadlines_are_recorded_exactly_also_if_they_are_over() {
    runtime().block_on(async {
        let past = Instant::now();
        // So that the queue has fired something after that.
        sleep(Duration::from_millis(1)).await;
        let mut timer = sleep(HOUR);
        poll_fn(|cx| Poll::Ready(Pin::new(&mut timer).poll(cx).is_pending())).await;
        timer.reset(past);
        while recorder(Recorder::totals).timers > 0 {
            crate::task::yield_now().await;
        }
        let deadlines: Vec<u64> = recorder(Recorder::events)
            .into_iter()
            .filter_map(|event| match event {
                Event::Timer {
                    action: TimerAction::Reset | TimerAction::Fired,
                    deadline_ns,
                    timer,
                    ..
                } if timer != FIRST => Some(deadline_ns),
                _ => None,
            })
            .collect();
        let past_ns = super::clock::ns_of(past);
        assert_eq!(deadlines, [past_ns, past_ns]);
    });
}
