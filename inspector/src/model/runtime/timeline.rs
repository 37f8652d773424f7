//! What happened when: questions to a runtime about stretches of time.
//!
//! Answers come from the indices beside the records, and cost in the order of what is asked for; where one walks through
//! the history, it says so.

use super::Runtime;
use crate::model::chain::{Chain, Explainer};
use crate::model::lane::{Lane, LaneCell, LaneIndex, Poll, Wait, Wake, borders};
use crate::model::occupancy::OccupancyCell;
use nexus_protocol::event::{Cause, Event, Subject, WaitFor, WakeOutcome};
use nexus_protocol::{Record, Seq, Stamp, TaskId, TokenId};

impl Runtime {
    /// The tasks that have anything on the timeline between two stamps, by id.
    #[must_use]
    pub fn tasks_between(&self, from: Stamp, to: Stamp) -> Vec<TaskId> {
        self.lane_sums(from, to).into_iter().map(|(task, _)| task).collect()
    }

    /// The tasks that have anything on the timeline between two stamps, by id, each with its sums over that time.
    #[must_use]
    pub fn lane_sums(&self, from: Stamp, to: Stamp) -> Vec<(TaskId, LaneCell)> {
        let (end, now) = (Stamp(to.0.saturating_add(1)), self.now());
        self.lanes
            .iter()
            .map(|(&task, lane)| (task, lane.cell(from, end, now)))
            .filter(|(_, sums)| sums.polls > 0 || sums.wake_count() > 0)
            .collect()
    }

    /// The lane of a task between two stamps, in `cells` cells of equal width. Costs in the order of the cells, not
    /// of the records.
    #[must_use]
    pub fn lane(&self, task: TaskId, from: Stamp, to: Stamp, cells: usize) -> Lane {
        let empty = LaneIndex::default();
        let index = self.lanes.get(&task).unwrap_or(&empty);
        self.cells_of(index, task, from, to, cells)
    }

    fn cells_of(
        &self,
        lane: &LaneIndex,
        task: TaskId,
        from: Stamp,
        to: Stamp,
        cells: usize,
    ) -> Lane {
        let now = self.now();
        let ends = borders(from, to, cells).skip(1);
        let cells = borders(from, to, cells)
            .zip(ends)
            .map(|(begin, end)| {
                // What happens at the very end is in the last cell.
                let end = if end == to { Stamp(end.0.saturating_add(1)) } else { end };
                lane.cell(begin, end, now)
            })
            .collect();
        Lane { task, from, to, cells }
    }

    /// The polls of a task that touch the time between two stamps, ascending; at most `limit` of them.
    #[must_use]
    pub fn polls(&self, task: TaskId, from: Stamp, to: Stamp, limit: usize) -> Vec<Poll> {
        let lane = self.lanes.get(&task);
        lane.into_iter().flat_map(|lane| lane.polls(from, to, self.now())).take(limit).collect()
    }

    /// The wakes of a task between two stamps, ascending; at most `limit` of them.
    #[must_use]
    pub fn wakes(&self, task: TaskId, from: Stamp, to: Stamp, limit: usize) -> Vec<Wake> {
        let Some(lane) = self.lanes.get(&task) else { return Vec::new() };
        let numbers = lane.wakes(from, to, limit).into_iter();
        numbers
            .filter_map(|seq| match *self.history().get(seq)? {
                Record { at, event: Event::Wake { cause, outcome, .. }, .. } => {
                    Some(Wake { seq, at, cause, outcome })
                }
                Record { at, event: Event::Repeats { cycle, .. }, .. } => {
                    let (cause, outcome) = (cycle.cause(), WakeOutcome::Queued);
                    Some(Wake { seq, at, cause, outcome })
                }
                _ => None,
            })
            .collect()
    }

    /// The waits of a task that touch the time between two stamps: those that ended by their end, then those under
    /// way; at most `limit` of them.
    #[must_use]
    pub fn waits(&self, task: TaskId, from: Stamp, to: Stamp, limit: usize) -> Vec<Wait> {
        let lane = self.lanes.get(&task);
        lane.into_iter().flat_map(|lane| lane.waits(from, to)).take(limit).collect()
    }

    /// The runtime thread's own lane: `busy` is the part of each cell in which it slept in the kernel, `polls` the
    /// turns that touch it.
    #[must_use]
    pub fn parked(&self, from: Stamp, to: Stamp, cells: usize) -> Lane {
        self.cells_of(&self.turns, TaskId(0), from, to, cells)
    }

    /// The last `limit` wakes that a token caused up to `at`, the latest one first.
    #[must_use]
    pub fn token_wakes(&self, token: TokenId, at: Stamp, limit: usize) -> Vec<Record> {
        let is_wake = |record: &&Record| matches!(record.event, Event::Wake { cause: Cause::Io { token: by, .. }, .. } if by == token);
        let records = self.history().range(Stamp::NEVER, at).rev();
        records.filter(is_wake).take(limit).copied().collect()
    }

    /// The last `limit` records about a token, a timer or a task up to `at`, the latest one first. Looks through the
    /// history backwards: for what was idle for long, that takes some milliseconds.
    #[must_use]
    pub fn recent(&self, subject: Subject, at: Stamp, limit: usize) -> Vec<Record> {
        let records = self.history().range(Stamp::NEVER, at).rev();
        records.filter(|record| concerns(&record.event, subject)).take(limit).copied().collect()
    }

    /// The occupancy of the slot table between two stamps, in `cells` cells of equal width. Reaches back further than
    /// the records.
    #[must_use]
    pub fn occupancy(&self, from: Stamp, to: Stamp, cells: usize) -> Vec<OccupancyCell> {
        self.occupancy.cells(from, to, cells, self.now())
    }

    /// The earliest moment of which the occupancy is known.
    #[must_use]
    pub fn occupancy_since(&self) -> Option<Stamp> {
        self.occupancy.first()
    }

    /// Why the poll happened that the record with this number belongs to: its start, its end, an operation or anything
    /// else in it, a wake that it answers, or the event behind that wake. None if there is no such poll in the history.
    #[must_use]
    pub fn explain(&self, seq: Seq) -> Option<Chain> {
        Explainer { history: self.history(), lanes: &self.lanes }.explain(seq)
    }
}

/// Whether an event is about this token, timer or task.
fn concerns(event: &Event, subject: Subject) -> bool {
    match subject {
        Subject::Task(task) => event.task() == Some(task),
        Subject::Token(token) => match *event {
            Event::TokenClaimed { token: about, .. }
            | Event::TokenRegistered { token: about, .. }
            | Event::TokenReleased { token: about, .. }
            | Event::ReleaseRefused { token: about, .. }
            | Event::Transition { token: about, .. }
            | Event::StaleEvent { token: about, .. }
            | Event::Wake { cause: Cause::Io { token: about, .. }, .. }
            | Event::Operation { subject: Subject::Token(about), .. }
            | Event::WaitBegin { target: WaitFor::Token(about, _), .. }
            | Event::WaitEnd { target: WaitFor::Token(about, _), .. } => about == token,
            _ => false,
        },
        Subject::Timer(timer) => match *event {
            Event::Timer { timer: about, .. }
            | Event::Wake { cause: Cause::Timer { timer: about, .. }, .. }
            | Event::Operation { subject: Subject::Timer(about), .. }
            | Event::WaitBegin { target: WaitFor::Timer(about), .. }
            | Event::WaitEnd { target: WaitFor::Timer(about), .. } => about == timer,
            _ => false,
        },
        Subject::Primitive(primitive) => match *event {
            Event::Wake { cause: Cause::Primitive { primitive: about, .. }, .. }
            | Event::Operation { subject: Subject::Primitive(about), .. }
            | Event::WaitBegin { target: WaitFor::Primitive(about), .. }
            | Event::WaitEnd { target: WaitFor::Primitive(about), .. } => about == primitive,
            _ => false,
        },
    }
}
