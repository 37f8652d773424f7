//! What the records of a batch are told relative to: the records before it in the same batch.
//!
//! Both sides start a batch with [`Context::new`] and change it by the same rules, which stand in SPEC.md, section
//! "Events". So a batch can be understood alone: whatever was lost, filtered out or cut off before it does not matter.
//! Nothing here decides how a field is written; it only says what both sides expect it to be. Wrapping arithmetic
//! throughout: any value survives, an expected one is short.

use crate::ids::{Seq, TaskId, TokenId};

/// Tasks that are remembered, by their number modulo this.
const TASKS: usize = 256;

/// The values that the next record of a batch is told relative to.
#[derive(Debug)]
pub(crate) struct Context {
    /// Stamp of the last record.
    pub(crate) at: u64,
    /// Number of the last turn.
    pub(crate) turn: u64,
    /// The task named last.
    pub(crate) task: u64,
    /// The task spawned last.
    pub(crate) spawned: u64,
    /// The task named last as one whose end others wait for.
    pub(crate) joined: u64,
    /// The timer named last.
    pub(crate) timer: u64,
    /// The timer armed last.
    pub(crate) armed: u64,
    /// The primitive named last.
    pub(crate) primitive: u64,
    /// The thread named last.
    pub(crate) thread: u32,
    /// The span named last.
    pub(crate) span: u64,
    /// The token named last.
    pub(crate) token: TokenId,
    /// The last transition.
    pub(crate) transition: Option<Seq>,
    /// The last firing of a timer.
    pub(crate) fired: Option<Seq>,
    /// The last poll.
    pub(crate) poll: Poll,
    tasks: [Remembered; TASKS],
}

/// The poll that began last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Poll {
    /// Its record, until it ends.
    pub(crate) seq: Option<Seq>,
    /// Its task.
    pub(crate) task: u64,
    /// When it began.
    pub(crate) started: u64,
    /// Operations told as part of it.
    pub(crate) operations: u16,
    /// Those of them that completed.
    pub(crate) progress: u16,
}

/// What is remembered of one task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remembered {
    task: u64,
    /// Number of its last poll; zero if none has been told.
    pub(crate) polls: u64,
    /// The last wake that queued it, or repeats that ended with one.
    pub(crate) wake: Option<Seq>,
}

impl Context {
    /// What is expected at the beginning of a batch.
    pub(crate) fn new() -> Self {
        Self {
            at: 0,
            turn: 0,
            task: 0,
            spawned: 0,
            joined: 0,
            timer: 0,
            armed: 0,
            primitive: 0,
            thread: 0,
            span: 0,
            token: TokenId { slot: 0, generation: 0 },
            transition: None,
            fired: None,
            poll: Poll { seq: None, task: 0, started: 0, operations: 0, progress: 0 },
            tasks: [Remembered { task: 0, polls: 0, wake: None }; TASKS],
        }
    }

    /// What is remembered of a task. One that takes another's place is remembered anew.
    #[inline]
    pub(crate) fn remembered(&mut self, task: u64) -> &mut Remembered {
        let place = &mut self.tasks[task as usize % TASKS];
        if place.task != task {
            *place = Remembered { task, polls: 0, wake: None };
        }
        place
    }

    /// The task that is being polled.
    #[inline]
    pub(crate) fn polled(&self) -> Option<TaskId> {
        self.poll.seq.and_then(|_| TaskId::from_word(self.poll.task))
    }

    /// Takes in that a poll begins.
    #[inline]
    pub(crate) fn poll_started(&mut self, seq: Seq, task: u64, number: u64) {
        self.remembered(task).polls = number;
        self.poll = Poll { seq: Some(seq), task, started: self.at, operations: 0, progress: 0 };
    }

    /// Takes in a wake.
    #[inline]
    pub(crate) fn woken(&mut self, seq: Seq, task: u64, outcome_code: u8) {
        if outcome_code == OUTCOME_QUEUED {
            self.remembered(task).wake = Some(seq);
        }
    }

    /// Takes in polls that were not told one by one.
    #[inline]
    pub(crate) fn repeated(&mut self, seq: Seq, task: u64, count: u32) {
        let known = self.remembered(task);
        known.polls = known.polls.wrapping_add(u64::from(count));
        known.wake = Some(seq);
    }

    /// Takes in an operation of the task being polled, if one is. `result_code` may be one of a later version.
    #[inline]
    pub(crate) fn operated(&mut self, result_code: u8) {
        if self.poll.seq.is_none() {
            return;
        }
        self.task = self.polled().map_or(self.task, |task| task.0);
        self.poll.operations = self.poll.operations.wrapping_add(1);
        let completed = RESULTS_OF_PROGRESS.contains(&result_code);
        self.poll.progress = self.poll.progress.wrapping_add(u16::from(completed));
    }
}

/// The outcome of a wake that puts its task into the run queue.
const OUTCOME_QUEUED: u8 = 1;

/// Results of operations that completed: done, end of file, error. Codes of later versions are not among them.
const RESULTS_OF_PROGRESS: std::ops::RangeInclusive<u8> = 1..=3;

/// The action of a timer that is armed.
pub(crate) const ACTION_ARMED: u8 = 1;

/// The action of a timer that fires.
pub(crate) const ACTION_FIRED: u8 = 4;

/// The tag that announces missing numbers instead of a record.
pub(crate) const TAG_GAP: u8 = 0;

/// The tag that moves the stamp of what follows, instead of a record.
pub(crate) const TAG_CLOCK: u8 = 0x20;

/// The tag's kind that says that the kind follows in a byte of its own.
pub(crate) const TAG_OTHER: u8 = 31;

/// Bits of the tag that hold the kind.
pub(crate) const TAG_KIND: u8 = 0x1F;

/// Where the body's length begins in the tag.
pub(crate) const TAG_LENGTH_SHIFT: u32 = 5;

/// The length in the tag that says that the length follows as a number.
pub(crate) const LENGTH_FOLLOWS: usize = 7;

/// Where the bit lies, in the first byte of an operation, that says that task and poll are told.
pub(crate) const OPERATION_ELSEWHERE: u8 = 0x80;

/// Where the bit lies, in the first byte of a wait, that says that the task is told.
pub(crate) const WAIT_ELSEWHERE: u8 = 0x08;

/// Whether records of this kind begin with their stamp. All others have the stamp of the record before, or that which
/// [`TAG_CLOCK`] has moved it to.
#[inline]
pub(crate) const fn is_stamped(kind: u8) -> bool {
    use crate::event::kind::{POLL_END, POLL_START, REPEATS, TURN};
    matches!(kind, TURN | POLL_START | POLL_END | REPEATS)
}
