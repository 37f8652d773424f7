//! What a [`Sleep`](super::Sleep) consists of: a deadline, and the ids under which it is armed.
//!
//! Ids only, so an alarm is `Send` and `Sync`, which traits of other libraries ask of a sleep. It works where it can
//! find a runtime: it is armed in the one that its thread is inside of when it is polled, and disarmed on that runtime's
//! thread. Dropped or reset on another thread it can't reach what it has armed, and one wake for nothing will come at
//! the old deadline. [`Sleep`](super::Sleep) stays on its thread, and so has no such case.

use super::clock::{instant_of, now_ns, ns, ns_of};
use super::queue::{Key, Sleeper};
use crate::context;
use crate::runtime::Core;
use crate::task;
use nexus_protocol::event::{
    Operation, OperationResult, Subject, TimerAction, WaitFor, WaitOutcome,
};
use nexus_protocol::{RuntimeId, TimerId};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// See the [module](self). Armed by its first poll, disarmed when dropped.
#[derive(Debug)]
pub(crate) struct Alarm {
    deadline_ns: u64,
    state: State,
}

/// From this length on, a sleep reads the clock only when it is made, and not again at its first poll. Should that come
/// after the deadline, the sleep is armed all the same, and fires at the next turn.
const FAR: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug)]
enum State {
    /// No runtime knows of it. If it is far, the first poll takes it for granted that the deadline lies ahead.
    Idle { far: bool },
    /// This runtime will wake whoever has polled it last, or has done so already. After a reset the next poll looks at the
    /// clock, since the new deadline may be over.
    Armed { runtime: RuntimeId, timer: Key, reset: bool },
    /// Somebody was told that the deadline was reached.
    Elapsed,
}

impl Alarm {
    /// An alarm at this time from now.
    pub(crate) fn after(duration: Duration) -> Self {
        let deadline_ns = now_ns().saturating_add(ns(duration));
        Self { deadline_ns, state: State::Idle { far: duration >= FAR } }
    }

    /// An alarm at this moment.
    pub(crate) fn until(deadline: Instant) -> Self {
        Self { deadline_ns: ns_of(deadline), state: State::Idle { far: false } }
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
        self.deadline_ns = ns_of(deadline);
        if let State::Armed { runtime, timer, ref mut reset } = self.state {
            *reset = true;
            let moved = context::with_runtime(runtime, |core| {
                let moved = core.timers.move_to(timer, self.deadline_ns);
                if moved {
                    core.recorder.timer(timer.id, TimerAction::Reset, self.deadline_ns);
                }
                moved
            });
            if moved == Some(true) {
                return;
            }
        }
        // It has fired, or its runtime is gone: the next poll arms a new timer.
        self.state = State::Idle { far: false };
    }

    /// Ready once the deadline is reached, and from then on. Until then the waker of the last poll will be fired.
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        context::with(|core| self.poll_on(core, cx, true))
    }

    /// The same, for the limit on what another future may take: that may have spent the whole budget of the poll, and then
    /// the limit must be reached all the same.
    pub(super) fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        context::with(|core| self.poll_on(core, cx, false))
    }

    fn poll_on(&mut self, core: &Core, cx: &mut Context<'_>, budgeted: bool) -> Poll<()> {
        let mut look = true;
        match self.state {
            State::Elapsed => return Poll::Ready(()),
            State::Armed { runtime, timer, reset }
                if runtime == core.id && !(reset && self.is_elapsed()) =>
            {
                self.state = State::Armed { runtime, timer, reset: false };
                if !core.timers.refresh(timer, cx.waker()) {
                    return self.complete(core, cx, timer.id, budgeted);
                }
                record(core, timer.id, OperationResult::NotReady);
                return Poll::Pending;
            }
            // It was reset to the past; or its task has moved to another runtime, or its own is gone.
            State::Armed { .. } => self.disarm(),
            State::Idle { far } => look = !far,
        }
        let id = core.timers.next_id();
        if look && self.is_elapsed() {
            return self.complete(core, cx, id, budgeted);
        }
        let waker = cx.waker().clone();
        core.recorder.timer(id, TimerAction::Armed, self.deadline_ns);
        record(core, id, OperationResult::NotReady);
        let wait = core.recorder.wait_begin(WaitFor::Timer(id));
        let timer = core.timers.arm(id, self.deadline_ns, Sleeper { waker, wait });
        self.state = State::Armed { runtime: core.id, timer, reset: false };
        Poll::Pending
    }

    fn complete(
        &mut self,
        core: &Core,
        cx: &mut Context<'_>,
        id: TimerId,
        budgeted: bool,
    ) -> Poll<()> {
        if budgeted {
            ready!(task::poll_budget(core, cx));
            core.budget.spend();
        }
        self.state = State::Elapsed;
        record(core, id, OperationResult::Done(0));
        Poll::Ready(())
    }

    /// Leaves nothing behind that could still wake.
    fn disarm(&mut self) {
        let State::Armed { runtime, timer, .. } =
            std::mem::replace(&mut self.state, State::Idle { far: false })
        else {
            return;
        };
        context::with_runtime(runtime, |core| {
            if let Some(sleeper) = core.timers.disarm(timer) {
                core.recorder.timer(timer.id, TimerAction::Cancelled, self.deadline_ns);
                let target = WaitFor::Timer(timer.id);
                core.recorder.wait_end(sleeper.wait, target, WaitOutcome::Dropped);
            }
        });
    }
}

fn record(core: &Core, id: TimerId, result: OperationResult) {
    core.recorder.operation(Operation::Timer, Subject::Timer(id), result);
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
