//! A future that is ready at a point in time.

use super::queue::now_ns;
use crate::context;
use crate::runtime::Core;
use nexus_protocol::event::{
    Operation, OperationResult, Subject, TimerAction, WaitFor, WaitOutcome,
};
use nexus_protocol::{RuntimeId, TimerId};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Waits for at least this long, counted from the call.
///
/// Never early; late by what the kernel and the loop take, some 50 µs on an idle machine. Durations of centuries wait
/// for ever.
///
/// # Panics
///
/// When polled outside of `Runtime::block_on`.
#[must_use]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::at(now_ns().saturating_add(ns(duration)))
}

/// Waits until this moment.
///
/// # Panics
///
/// When polled outside of `Runtime::block_on`.
#[must_use]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::at(ns_of(deadline))
}

/// See [`sleep`]. Armed by its first poll, cancelled when dropped.
#[derive(Debug)]
pub struct Sleep {
    deadline_ns: u64,
    timer: Option<(RuntimeId, TimerId)>,
    /// Its runtime is found through the thread.
    not_send: PhantomData<*const ()>,
}

impl Sleep {
    fn at(deadline_ns: u64) -> Self {
        Self { deadline_ns, timer: None, not_send: PhantomData }
    }

    /// Whether the deadline has been reached.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        now_ns() >= self.deadline_ns
    }

    /// Gives it another deadline, also if the last one was reached.
    pub fn reset(&mut self, deadline: Instant) {
        let deadline_ns = ns_of(deadline);
        let old_ns = std::mem::replace(&mut self.deadline_ns, deadline_ns);
        let Some((runtime, timer)) = self.timer else { return };
        let moved = context::with_runtime(runtime, |core| {
            let moved = core.timers.move_to(timer, old_ns, deadline_ns);
            if moved {
                core.recorder.timer(timer, TimerAction::Reset, deadline_ns);
            }
            moved
        });
        if moved != Some(true) {
            // It has fired: the next poll arms a new timer.
            self.timer = None;
        }
    }

    fn poll_on(&mut self, core: &Core, cx: &mut Context<'_>) -> Poll<()> {
        let record = |timer, result| {
            core.recorder.operation(Operation::Timer, Subject::Timer(timer), result)
        };
        if let Some((_, timer)) = self.timer {
            let armed = core.timers.refresh(timer, self.deadline_ns, cx.waker());
            record(timer, if armed { OperationResult::NotReady } else { OperationResult::Done(0) });
            return if armed { Poll::Pending } else { Poll::Ready(()) };
        }
        let timer = core.timers.next_id();
        self.timer = Some((core.id, timer));
        if self.is_elapsed() {
            record(timer, OperationResult::Done(0));
            return Poll::Ready(());
        }
        core.recorder.timer(timer, TimerAction::Armed, self.deadline_ns);
        record(timer, OperationResult::NotReady);
        let wait = core.recorder.wait_begin(WaitFor::Timer(timer));
        core.timers.arm(timer, self.deadline_ns, cx.waker().clone(), wait);
        Poll::Pending
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        context::with(|core| self.poll_on(core, cx))
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Some((runtime, timer)) = self.timer else { return };
        context::with_runtime(runtime, |core| {
            if let Some(wait) = core.timers.disarm(timer, self.deadline_ns) {
                core.recorder.timer(timer, TimerAction::Cancelled, self.deadline_ns);
                core.recorder.wait_end(wait, WaitFor::Timer(timer), WaitOutcome::Dropped);
            }
        });
    }
}

pub(crate) fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// An instant in nanoseconds of `CLOCK_MONOTONIC`, at most a few microseconds late and never early.
fn ns_of(instant: Instant) -> u64 {
    static ANCHOR: OnceLock<(Instant, u64)> = OnceLock::new();
    let &(anchor, anchor_ns) = ANCHOR.get_or_init(anchor);
    match instant.checked_duration_since(anchor) {
        Some(after) => anchor_ns.saturating_add(ns(after)),
        None => anchor_ns.saturating_sub(ns(anchor.duration_since(instant))),
    }
}

/// One moment as an `Instant` and in nanoseconds. The thread may be preempted between the two readings, so the closest
/// of several pairs is taken; reading the nanoseconds second makes them late rather than early.
fn anchor() -> (Instant, u64) {
    let pairs = (0..16).map(|_| {
        let before = now_ns();
        let instant = Instant::now();
        let after = now_ns();
        (after - before, (instant, after))
    });
    pairs.min_by_key(|(gap, _)| *gap).map(|(_, pair)| pair).expect("there are sixteen")
}
