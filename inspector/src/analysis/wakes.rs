//! Wakes that a poll will answer, and what was tried in a poll.

use super::world::side;
use nexus_protocol::event::{Cause, Operation, OperationResult, PollResult, Subject, Verdict};
use nexus_protocol::{Seq, Stamp, TaskId, TokenId};

/// Wakes told apart before one poll; of more, only their number is kept.
const MAX_WAKES: usize = 32;

/// Subjects told apart in one poll. A poll that tries more is not judged.
const MAX_TOUCHES: usize = 64;

/// A wake.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wake {
    pub(super) seq: Seq,
    pub(super) at: Stamp,
    pub(super) cause: Cause,
    /// Whether it put the task into the run queue.
    pub(super) queued: bool,
    /// Whether its kernel event said more than that a direction is ready: the end of the stream, or an error.
    pub(super) closing: bool,
}

/// The wakes since a task's last poll began.
#[derive(Clone, Debug, Default)]
pub(super) struct Pending {
    pub(super) wakes: Vec<Wake>,
    pub(super) redundant: u64,
    /// How long the thread had been in long polls when the task was queued.
    pub(super) long_before: u64,
    /// Whether these are all of them: false if records are missing since the last poll began.
    pub(super) complete: bool,
}

impl Pending {
    /// No wakes, and that is known.
    pub(super) fn known() -> Self {
        Self { complete: true, ..Self::default() }
    }

    pub(super) fn push(&mut self, wake: Wake) {
        self.redundant += u64::from(!wake.queued);
        if self.wakes.len() < MAX_WAKES {
            self.wakes.push(wake);
        }
    }

    /// The wake that put the task into the run queue.
    pub(super) fn queuing(&self) -> Option<&Wake> {
        self.wakes.iter().find(|wake| wake.queued)
    }

    /// Whether no wakes but those told apart have come.
    pub(super) fn all_told(&self) -> bool {
        self.complete && self.wakes.len() < MAX_WAKES
    }
}

/// What was tried of one subject in a poll.
#[derive(Clone, Copy, Debug)]
pub(super) struct Touch {
    pub(super) subject: Subject,
    /// Directions tried, for a token.
    pub(super) tried: [bool; 2],
    /// Directions in which something completed.
    pub(super) done: [bool; 2],
}

/// A poll under way, or just over.
#[derive(Clone, Debug)]
pub(super) struct Poll {
    pub(super) task: TaskId,
    pub(super) seq: Seq,
    pub(super) end_seq: Seq,
    pub(super) first: bool,
    pub(super) started: Stamp,
    pub(super) ended: Stamp,
    pub(super) result: PollResult,
    pub(super) verdict: Verdict,
    pub(super) progress: bool,
    pub(super) answers: Pending,
    pub(super) touches: Vec<Touch>,
    /// Tokens that were consumed without an operation: somebody has used them behind the recorder's back.
    pub(super) consumed: Vec<TokenId>,
    /// Whether it yielded, as tasks do that have had their share: what it did not try, it may try in the next poll.
    pub(super) yielded: bool,
    /// Whether all that happened in it is known.
    pub(super) whole: bool,
}

impl Poll {
    pub(super) fn start(task: TaskId, seq: Seq, at: Stamp, first: bool, answers: Pending) -> Self {
        Self {
            task,
            seq,
            end_seq: seq,
            first,
            started: at,
            ended: at,
            result: PollResult::Pending,
            verdict: Verdict::Progress,
            progress: false,
            answers,
            touches: Vec::new(),
            consumed: Vec::new(),
            yielded: false,
            whole: true,
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.ended.since(self.started)
    }

    /// Whether the wakes it answers and what it tried are all known.
    pub(super) fn can_be_judged(&self) -> bool {
        self.whole && self.answers.all_told() && self.touches.len() < MAX_TOUCHES
    }

    /// Whether it returned pending, without anything done and not for the first time.
    pub(super) fn fruitless(&self) -> bool {
        self.result == PollResult::Pending && !self.first && !self.progress
    }

    pub(super) fn touch(
        &mut self,
        operation: Operation,
        subject: Subject,
        result: OperationResult,
    ) {
        let done = result.is_progress();
        self.progress |= done;
        let directions = directions(operation);
        let known = self.touches.iter().position(|touch| touch.subject == subject);
        let at = known.unwrap_or(self.touches.len());
        if known.is_none() {
            if at == MAX_TOUCHES {
                return;
            }
            self.touches.push(Touch { subject, tried: [false; 2], done: [false; 2] });
        }
        let touch = &mut self.touches[at];
        for (at_side, used) in directions.into_iter().enumerate() {
            touch.tried[at_side] |= used;
            touch.done[at_side] |= used && done;
        }
    }

    /// What was tried of this subject.
    pub(super) fn touched(&self, subject: Subject) -> Option<&Touch> {
        self.touches.iter().find(|touch| touch.subject == subject)
    }
}

/// Which directions of a token an operation uses. Waiting for readiness may be for either.
pub(super) fn directions(operation: Operation) -> [bool; 2] {
    let mut used = [false; 2];
    match operation {
        Operation::Ready => used = [true; 2],
        operation => used[side(operation.direction())] = true,
    }
    used
}
