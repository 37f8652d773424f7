//! What a [`Sleep`](super::Sleep) consists of: a deadline, and the ids under which it is armed.
//!
//! Ids only, so an alarm is `Send` and `Sync`, which traits of other libraries ask of a sleep. It works where it can
//! find a runtime: it is armed in the one that its thread is inside of when it is polled, and disarmed on that runtime's
//! thread. Dropped or reset on another thread it can't reach what it has armed, and one wake for nothing will come at
//! the old deadline. [`Sleep`](super::Sleep) stays on its thread, and so has no such case.

use super::clock::{instant_of, now_ns, ns, ns_of};
use crate::context;
use crate::runtime::Core;
use nexus_protocol::event::{
    Operation, OperationResult, Subject, TimerAction, WaitFor, WaitOutcome,
};
use nexus_protocol::{RuntimeId, TimerId};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// See the [module](self). Armed by its first poll, disarmed when dropped.
#[derive(Debug)]
pub(crate) struct Alarm {
    deadline_ns: u64,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// No runtime knows of it.
    Idle,
    /// This runtime will wake whoever has polled it last, or has done so already.
    Armed { runtime: RuntimeId, timer: TimerId },
    /// Somebody was told that the deadline was reached.
    Elapsed,
}

impl Alarm {
    /// An alarm at this time from now.
    pub(crate) fn after(duration: Duration) -> Self {
        Self::at(now_ns().saturating_add(ns(duration)))
    }

    /// An alarm at this moment.
    pub(crate) fn until(deadline: Instant) -> Self {
        Self::at(ns_of(deadline))
    }

    fn at(deadline_ns: u64) -> Self {
        Self { deadline_ns, state: State::Idle }
    }

    pub(crate) fn deadline(&self) -> Instant {
        instant_of(self.deadline_ns)
    }

    /// Whether the deadline has been reached.
    pub(crate) fn is_elapsed(&self) -> bool {
        matches!(self.state, State::Elapsed) || now_ns() >= self.deadline_ns
    }

    /// Gives it another deadline, also if the last one was reached.
    pub(crate) fn reset(&mut self, deadline: Instant) {
        let old_ns = std::mem::replace(&mut self.deadline_ns, ns_of(deadline));
        if let State::Armed { runtime, timer } = self.state {
            let moved = context::with_runtime(runtime, |core| {
                let moved = core.timers.move_to(timer, old_ns, self.deadline_ns);
                if moved {
                    core.recorder.timer(timer, TimerAction::Reset, self.deadline_ns);
                }
                moved
            });
            if moved == Some(true) {
                return;
            }
        }
        // It has fired, or its runtime is gone: the next poll arms a new timer.
        self.state = State::Idle;
    }

    /// Ready once the deadline is reached, and from then on. Until then the waker of the last poll will be fired.
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        context::with(|core| self.poll_on(core, cx))
    }

    fn poll_on(&mut self, core: &Core, cx: &mut Context<'_>) -> Poll<()> {
        let record = |timer, result| {
            core.recorder.operation(Operation::Timer, Subject::Timer(timer), result)
        };
        match self.state {
            State::Elapsed => return Poll::Ready(()),
            State::Armed { runtime, timer } if runtime == core.id => {
                if core.timers.refresh(timer, self.deadline_ns, cx.waker()) {
                    record(timer, OperationResult::NotReady);
                    return Poll::Pending;
                }
                self.state = State::Elapsed;
                record(timer, OperationResult::Done(0));
                return Poll::Ready(());
            }
            // Its task has moved to another runtime, or its own is gone.
            State::Armed { .. } => self.disarm(),
            State::Idle => {}
        }
        let timer = core.timers.next_id();
        if self.is_elapsed() {
            self.state = State::Elapsed;
            record(timer, OperationResult::Done(0));
            return Poll::Ready(());
        }
        self.state = State::Armed { runtime: core.id, timer };
        core.recorder.timer(timer, TimerAction::Armed, self.deadline_ns);
        record(timer, OperationResult::NotReady);
        let wait = core.recorder.wait_begin(WaitFor::Timer(timer));
        core.timers.arm(timer, self.deadline_ns, cx.waker().clone(), wait);
        Poll::Pending
    }

    /// Leaves nothing behind that could still wake.
    fn disarm(&mut self) {
        let State::Armed { runtime, timer } = std::mem::replace(&mut self.state, State::Idle)
        else {
            return;
        };
        context::with_runtime(runtime, |core| {
            if let Some(wait) = core.timers.disarm(timer, self.deadline_ns) {
                core.recorder.timer(timer, TimerAction::Cancelled, self.deadline_ns);
                core.recorder.wait_end(wait, WaitFor::Timer(timer), WaitOutcome::Dropped);
            }
        });
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Alarm::poll(&mut self, cx)
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.disarm();
    }
}

const _: () = {
    const fn is_send_sync_unpin<T: Send + Sync + Unpin>() {}
    is_send_sync_unpin::<Alarm>();
};
