//! What a loop gives control to, and why.

use super::Loop;
use crate::record::clock::Clock;
use crate::record::{Noted, TaskProbe};
use crate::task::waker::thread_id;
use nexus_protocol::event::{Cause, PollResult, TaskOutcome, WakeOutcome};
use nexus_protocol::{Stamp, TaskId};
use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;

/// Something that the loop gives control to: the handler of one or several sources, of timers, or of messages.
///
/// Clones are handles to the same task, which ends when the last of them is dropped.
#[derive(Clone)]
pub struct Task {
    spawned: Rc<Spawned>,
}

struct Spawned {
    observed: Rc<Loop>,
    id: TaskId,
    probe: TaskProbe,
    queued: Cell<bool>,
    panicked: Cell<bool>,
}

/// When and on which thread a wake was sent that travels to the loop by the program's own means: in its channel, beside
/// the message.
#[derive(Clone, Copy, Debug)]
pub struct RemoteWake {
    woken: Stamp,
    thread: u32,
}

impl RemoteWake {
    /// A wake that is sent now, from this thread.
    #[must_use]
    pub fn now() -> Self {
        Self { woken: Clock::of_process().now(), thread: thread_id() }
    }
}

impl Task {
    pub(super) fn spawn(
        observed: &Rc<Loop>,
        location: &'static Location<'static>,
        name: Option<&str>,
    ) -> Self {
        let id = observed.next_task_id();
        let probe = observed.recorder.task_spawned(id, location, name);
        let spawned = Spawned {
            observed: Rc::clone(observed),
            id,
            probe,
            queued: Cell::new(false),
            panicked: Cell::new(false),
        };
        Self { spawned: Rc::new(spawned) }
    }

    /// Its number, as the inspector shows it.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.spawned.id
    }

    /// The task is going to be polled because this thread has found something for it to do: during another task's poll,
    /// because of that one; during its own, because it yields.
    pub fn wake(&self) {
        let recorder = &self.spawned.observed.recorder;
        if recorder.current_task() == Some(self.spawned.id) {
            // What a loop puts off to its next turn is no fault, as a future that wakes itself may be one.
            recorder.with_cause(Cause::Yield, || self.queue());
        } else {
            self.queue();
        }
    }

    fn queue(&self) {
        let outcome = self.spawned.queue();
        self.spawned.observed.recorder.wake(&self.spawned.probe, outcome);
    }

    /// The task is going to be polled because another thread has sent it something.
    pub fn wake_remote(&self, wake: RemoteWake) {
        let outcome = self.spawned.queue();
        let noted = Noted { woken: wake.woken, thread: wake.thread, through: None };
        self.spawned.observed.recorder.wake_remote(&self.spawned.probe, noted, outcome);
    }

    pub(super) fn wake_for(&self, cause: Cause) {
        self.spawned.observed.recorder.with_cause(cause, || self.queue());
    }

    /// Gives control to the task: runs `body` as one of its polls.
    ///
    /// Within another poll of the same loop, `body` belongs to that one.
    pub fn poll<R>(&self, body: impl FnOnce() -> R) -> R {
        let Loop { recorder, polling, queued, .. } = &*self.spawned.observed;
        if polling.replace(true) {
            return body();
        }
        if self.spawned.queued.replace(false) {
            queued.set(queued.get() - 1);
        }
        // Between two polls of ours nothing happens; between those of a foreign loop, anything may.
        recorder.time_has_passed();
        recorder.poll_start(&self.spawned.probe);
        let under_way = UnderWay { task: &self.spawned, returned: Cell::new(false) };
        let result = body();
        under_way.returned.set(true);
        result
    }
}

impl Spawned {
    fn queue(&self) -> WakeOutcome {
        if self.queued.replace(true) {
            return WakeOutcome::Redundant;
        }
        self.observed.queued.set(self.observed.queued.get() + 1);
        WakeOutcome::Queued
    }
}

/// The end of a poll, also if it panics.
struct UnderWay<'a> {
    task: &'a Spawned,
    returned: Cell<bool>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let Spawned { observed, probe, panicked, .. } = self.task;
        let result = if self.returned.get() {
            PollResult::Pending
        } else {
            panicked.set(true);
            PollResult::Panicked
        };
        observed.recorder.judge_by_operations_only();
        observed.recorder.poll_end(probe, result);
        observed.recorder.polled();
        observed.polling.set(false);
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if self.queued.get() {
            self.observed.queued.set(self.observed.queued.get() - 1);
        }
        let outcome =
            if self.panicked.get() { TaskOutcome::Panicked } else { TaskOutcome::Completed };
        self.observed.recorder.task_finished(&self.probe, outcome);
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task").field("id", &self.spawned.id.0).finish_non_exhaustive()
    }
}
