//! A task's lane on the timeline: its polls, wakes and waits, in any stretch of time at any resolution.

use nexus_protocol::event::{Cause, PollResult, Verdict, WaitFor, WaitOutcome, WakeOutcome};
use nexus_protocol::{Seq, Stamp, TaskId};

/// How many causes of a wake there are, code zero (none) included.
pub const CAUSES: usize = Cause::NAMES.len();

/// One poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poll {
    /// Number of its `PollStart`, unless that record is not known.
    pub start_seq: Option<Seq>,
    /// Number of its `PollEnd`; none while it is under way.
    pub end_seq: Option<Seq>,
    /// When it began.
    pub start: Stamp,
    /// When it ended; the runtime's latest stamp while it is under way.
    pub end: Stamp,
    /// What it returned; none while it is under way.
    pub result: Option<PollResult>,
    /// How it was judged; none while it is under way.
    pub verdict: Option<Verdict>,
}

/// One wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    /// Number of its record.
    pub seq: Seq,
    /// When it was recorded.
    pub at: Stamp,
    /// Why.
    pub cause: Cause,
    /// What came of it.
    pub outcome: WakeOutcome,
}

/// One wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What for.
    pub target: WaitFor,
    /// When it began; never if that was before the history.
    pub begin: Stamp,
    /// When it ended; never while it is under way.
    pub end: Stamp,
    /// How it ended; none while it is under way.
    pub outcome: Option<WaitOutcome>,
}

/// What happened in one cell of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LaneCell {
    /// Nanoseconds of the cell spent in polls.
    pub busy_ns: u64,
    /// Part of the cell spent in polls, from 0 to 1.
    pub busy: f32,
    /// Polls that touch the cell.
    pub polls: u32,
    /// Of those that ended in it: spurious ones.
    pub spurious: u32,
    /// Of those that ended in it: unattributed ones.
    pub unattributed: u32,
    /// Of those that ended in it: excused ones.
    pub excused: u32,
    /// Wakes by code of their cause.
    pub wakes: [u32; CAUSES],
}

impl LaneCell {
    /// The verdict to draw: the worst one of the polls in the cell. None if there was no poll.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Self { polls: 0, .. } => None,
            Self { spurious: 1.., .. } => Some(Verdict::Spurious),
            Self { unattributed: 1.., .. } => Some(Verdict::Unattributed),
            Self { excused: 1.., .. } => Some(Verdict::Excused),
            _ => Some(Verdict::Progress),
        }
    }

    /// How many wakes there were.
    #[must_use]
    pub fn wake_count(&self) -> u32 {
        self.wakes.iter().sum()
    }

    /// The code of the cause to draw: the rarest kind of news first, so that a wake by a thread is not hidden by a
    /// thousand by I/O. None if there was no wake.
    #[must_use]
    pub fn cause(&self) -> Option<u8> {
        // shutdown, spawn, thread, outside, task, join, timer, I/O, self, yield
        const ORDER: [u8; CAUSES - 1] = [10, 7, 8, 9, 4, 3, 2, 1, 5, 6];
        ORDER.into_iter().find(|&code| self.wakes[usize::from(code)] > 0)
    }
}

/// A task's lane between two stamps, in cells of equal width.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// Whose.
    pub task: TaskId,
    /// Where the first cell begins.
    pub from: Stamp,
    /// Where the last cell ends.
    pub to: Stamp,
    /// The cells.
    pub cells: Vec<LaneCell>,
}
