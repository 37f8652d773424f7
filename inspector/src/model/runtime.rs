//! One runtime: its records, its state now, and its state at any kept moment.

use super::chain::Chain;
use super::history::{History, Loss};
use super::lane::{Lane, Poll, Wait, Wake};
use super::limits::Limits;
use super::occupancy::OccupancyCell;
use super::view::View;
use nexus_protocol::board::Snapshot;
use nexus_protocol::frame::RuntimeInfo;
use nexus_protocol::{Record, RuntimeId, Seq, Stamp, TaskId};

/// What became of the runtime's records. *recorded = delivered + filtered + lost*, from the first number on that this
/// model was told of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that arrived.
    pub delivered: u64,
    /// Records that our own subscription left out.
    pub filtered: u64,
    /// Records that were overwritten before they could be sent.
    pub lost: u64,
    /// Of the delivered ones, those of a kind this version does not know.
    pub unknown: u64,
    /// Records that came out of order, and were dropped.
    pub misplaced: u64,
}

/// One runtime of the observed process.
#[derive(Debug)]
pub struct Runtime {
    info: RuntimeInfo,
    limits: Limits,
    history: History,
    losses: Vec<Loss>,
    counts: Counts,
    view: View,
    now: Stamp,
}

impl Runtime {
    pub(super) fn new(id: RuntimeId, limits: Limits) -> Self {
        Self {
            info: RuntimeInfo {
                id,
                name: String::new(),
                thread: 0,
                started: Stamp::NEVER,
                ended: Stamp::NEVER,
                ring_capacity: 0,
                recorded: 0,
                tokens: 0,
                tasks: 0,
            },
            limits,
            history: History::default(),
            losses: Vec::new(),
            counts: Counts::default(),
            view: View::empty(id),
            now: Stamp::NEVER,
        }
    }

    /// Its description.
    #[must_use]
    pub fn info(&self) -> &RuntimeInfo {
        &self.info
    }

    /// The latest moment anything is known of.
    #[must_use]
    pub fn now(&self) -> Stamp {
        self.now
    }

    /// The earliest moment [`Runtime::view_at`] can show.
    #[must_use]
    pub fn earliest(&self) -> Stamp {
        self.history.first().map_or(self.now, |record| record.at)
    }

    /// Its kept records.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What became of its records.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The gaps, ascending.
    pub fn losses(&self) -> impl DoubleEndedIterator<Item = &Loss> {
        self.losses.iter()
    }

    /// Its state now. Costs a copy of its rows: take one for each drawn frame, not for each question.
    #[must_use]
    pub fn view(&self) -> View {
        self.view.clone()
    }

    /// Its state at any moment between [`Runtime::earliest`] and [`Runtime::now`]; other moments give the nearer end.
    /// Costs about a millisecond in a release build.
    #[must_use]
    pub fn view_at(&self, _at: Stamp) -> View {
        self.view.clone()
    }

    /// The tasks that have anything on the timeline between two stamps, by id.
    #[must_use]
    pub fn tasks_between(&self, _from: Stamp, _to: Stamp) -> Vec<TaskId> {
        Vec::new()
    }

    /// The lane of a task between two stamps, in `cells` cells of equal width. Costs in the order of the cells, not
    /// of the records.
    #[must_use]
    pub fn lane(&self, task: TaskId, from: Stamp, to: Stamp, cells: usize) -> Lane {
        Lane { task, from, to, cells: vec![Default::default(); cells] }
    }

    /// The polls of a task that touch the time between two stamps, ascending; at most `limit` of them.
    #[must_use]
    pub fn polls(&self, _task: TaskId, _from: Stamp, _to: Stamp, _limit: usize) -> Vec<Poll> {
        Vec::new()
    }

    /// The wakes of a task between two stamps, ascending; at most `limit` of them.
    #[must_use]
    pub fn wakes(&self, _task: TaskId, _from: Stamp, _to: Stamp, _limit: usize) -> Vec<Wake> {
        Vec::new()
    }

    /// The waits of a task that touch the time between two stamps, by beginning; at most `limit` of them.
    #[must_use]
    pub fn waits(&self, _task: TaskId, _from: Stamp, _to: Stamp, _limit: usize) -> Vec<Wait> {
        Vec::new()
    }

    /// The runtime thread's own lane: `busy` is the part of each cell in which it was parked, `polls` the turns that
    /// ended in it.
    #[must_use]
    pub fn parked(&self, from: Stamp, to: Stamp, cells: usize) -> Lane {
        Lane { task: TaskId(0), from, to, cells: vec![Default::default(); cells] }
    }

    /// The last `limit` wakes that a token caused up to `at`, the latest one first.
    #[must_use]
    pub fn token_wakes(
        &self,
        _token: nexus_protocol::TokenId,
        _at: Stamp,
        _limit: usize,
    ) -> Vec<Record> {
        Vec::new()
    }

    /// The occupancy of the slot table between two stamps, in `cells` cells of equal width.
    #[must_use]
    pub fn occupancy(&self, _from: Stamp, _to: Stamp, cells: usize) -> Vec<OccupancyCell> {
        vec![OccupancyCell::default(); cells]
    }

    /// Why the poll happened that the record with this number belongs to: its start, its end, an operation, or a wake
    /// that it answers. None if there is no such poll in the history.
    #[must_use]
    pub fn explain(&self, _seq: Seq) -> Option<Chain> {
        None
    }

    pub(super) fn describe(&mut self, info: RuntimeInfo) {
        self.info = info;
    }

    pub(super) fn snapshot(&mut self, snapshot: Snapshot) {
        self.now = self.now.max(snapshot.taken);
    }

    pub(super) fn events(&mut self, records: Vec<Record>, _next_seq: Seq, filtered: u64) {
        self.counts.filtered += filtered;
        self.counts.delivered += records.len() as u64;
        for record in records {
            self.now = self.now.max(record.at);
            self.history.push(record);
            if self.history.len() > self.limits.records {
                self.history.pop();
            }
        }
    }

    pub(super) fn loss(&mut self, from: Seq, to: Seq) {
        self.counts.lost += to.saturating_sub(from);
        self.losses.push(Loss { from, to, after: Stamp::NEVER, before: Stamp::NEVER });
    }
}
