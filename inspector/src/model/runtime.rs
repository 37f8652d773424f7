//! One runtime: its records, its state now, and its state at any kept moment.
//!
//! Takes frames apart and passes them to what each is for: the [`Past`] for states, the lanes and the occupancy for
//! the timeline, and its own books for what was delivered, filtered out and lost.

mod timeline;

use super::history::{History, Loss};
use super::lane::LaneIndex;
use super::limits::Limits;
use super::occupancy::{Occupancy, OccupancySeries};
use super::past::Past;
use super::rollback;
use super::view::{Certainty, View};
use nexus_protocol::board::{Activity, Snapshot};
use nexus_protocol::event::{Event, PollResult, TurnMode, Verdict};
use nexus_protocol::frame::RuntimeInfo;
use nexus_protocol::{Record, RuntimeId, Seq, Stamp, TaskId};
use std::collections::{BTreeMap, VecDeque};

/// Snapshots that wait for the records before them; of more, the oldest is dropped.
const PENDING: usize = 8;

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
    /// Of the lost ones, those that the ring had overwritten before anything was told: it begins with a later record.
    pub before: u64,
    /// Of the delivered ones, those of a kind this version does not know.
    pub unknown: u64,
    /// Records that came out of order, and were dropped. Not counted in `delivered`.
    pub misplaced: u64,
}

/// One runtime of the observed process.
#[derive(Debug)]
pub struct Runtime {
    info: RuntimeInfo,
    limits: Limits,
    past: Past,
    /// Number of the first record this model was told of.
    first: Option<Seq>,
    /// Number after the last record accounted for.
    next: Seq,
    /// Snapshots whose place has not been reached, ascending.
    pending: VecDeque<Box<Snapshot>>,
    losses: VecDeque<Loss>,
    counts: Counts,
    lanes: BTreeMap<TaskId, LaneIndex>,
    turns: LaneIndex,
    occupancy: OccupancySeries,
    /// Number of the oldest kept record when the lanes were last pruned.
    pruned: Seq,
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
            past: Past::new(limits),
            first: None,
            next: 0,
            pending: VecDeque::new(),
            losses: VecDeque::new(),
            counts: Counts::default(),
            lanes: BTreeMap::new(),
            turns: LaneIndex::default(),
            occupancy: OccupancySeries::default(),
            pruned: 0,
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
        match self.pending.back() {
            Some(snapshot) if !self.past.is_based() => self.past.now().max(snapshot.taken),
            _ => self.past.now(),
        }
    }

    /// The earliest moment [`Runtime::view_at`] can show.
    #[must_use]
    pub fn earliest(&self) -> Stamp {
        self.past.epoch()
    }

    /// Whether its recorder is off: nothing was told of it, and nothing will be.
    #[must_use]
    pub fn is_off(&self) -> bool {
        let is_announced = !self.info.started.is_never();
        is_announced && !self.info.is_recorded() && self.next == 0 && self.pending.is_empty()
    }

    /// Its kept records.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.past.log().history
    }

    /// What became of its records.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The numbers of the records this model was told of, delivered or not: from the first one, up to but without the
    /// last of the pair.
    #[must_use]
    pub fn accounted(&self) -> (Seq, Seq) {
        (self.first.unwrap_or(self.next), self.next)
    }

    /// The gaps, ascending.
    pub fn losses(&self) -> impl DoubleEndedIterator<Item = &Loss> {
        self.losses.iter()
    }

    /// Its state now. Costs a copy of its rows: take one for each drawn frame, not for each question.
    #[must_use]
    pub fn view(&self) -> View {
        if let Some(snapshot) = self.pending.back()
            && !self.past.is_based()
        {
            // The records before the first snapshot are still on their way; it can be shown meanwhile.
            let state = rollback::at_snapshot(snapshot, &self.limits);
            return View::between(self.info.id, snapshot.taken, &state, &state, snapshot.taken);
        }
        let (trail, since) = self.past.trail();
        let mut view = View::between(self.info.id, self.now(), self.past.live(), trail, since);
        if self.next > view.next_seq && self.past.is_based() && view.certainty == Certainty::Exact {
            let after = self.past.live().at;
            let (from, to) = (view.next_seq, self.next);
            view.certainty = Certainty::Stale(Loss { from, to, after, before: Stamp::NEVER });
        }
        view
    }

    /// Its state at any moment between [`Runtime::earliest`] and [`Runtime::now`]; other moments give the nearer end.
    /// Costs about a millisecond in a release build.
    #[must_use]
    pub fn view_at(&self, at: Stamp) -> View {
        if at >= self.now() {
            return self.view();
        }
        let at = at.max(self.past.epoch());
        let state = self.past.state_at(at);
        let since = self.past.trail_moment(at);
        let trail = self.past.state_at(since);
        let mut view = View::between(self.info.id, at, &state, &trail, since);
        // That the thread slept is recorded when it wakes up.
        let next = self.history().get_index(self.history().index_at(at));
        if let Some(Record { event: Event::Turn { mode: TurnMode::Park, parked, .. }, .. }) = next
            && *parked <= at
        {
            (view.activity, view.since) = (Activity::Parked, *parked);
        }
        view
    }

    pub(super) fn describe(&mut self, info: RuntimeInfo) {
        self.info = info;
    }

    pub(super) fn snapshot(&mut self, snapshot: Box<Snapshot>) {
        let newest = self.pending.back().map_or(0, |last| last.totals.recorded);
        if snapshot.totals.recorded < newest {
            return;
        }
        if self.pending.len() == PENDING {
            self.pending.pop_front();
        }
        if self.first.is_none() && snapshot.totals.recorded == 0 {
            self.first = Some(0);
        }
        self.pending.push_back(snapshot);
        self.settle();
    }

    pub(super) fn events(&mut self, records: Vec<Record>, next_seq: Seq, filtered: u64) {
        let after = |record: &Record| record.seq.saturating_add(1);
        let next_seq = records.last().map_or(next_seq, |last| next_seq.max(after(last)));
        if let Some(first) = records.first().filter(|_| filtered == 0 && self.first.is_some()) {
            // A gap of which no frame told is a gap all the same.
            self.loss(self.next, first.seq);
        }
        let told = filtered.saturating_add(records.len() as u64);
        let begin = self.first.map_or(next_seq.saturating_sub(told), |_| self.next);
        self.first.get_or_insert(begin);
        self.next = self.next.max(begin);
        let span = next_seq.saturating_sub(self.next);
        let mut delivered = 0;
        for record in records {
            if record.seq < self.next || record.seq == Seq::MAX {
                self.counts.misplaced += 1;
                continue;
            }
            self.next = record.seq + 1;
            delivered += 1;
            self.record(record);
        }
        self.next = self.next.max(next_seq);
        self.counts.delivered += delivered;
        // Numbers that the frame passes over without having filtered them are missing without a reason given.
        let filtered = filtered.min(span - delivered.min(span));
        self.counts.filtered = self.counts.filtered.saturating_add(filtered);
        let lost = span.saturating_sub(delivered.saturating_add(filtered));
        self.counts.lost = self.counts.lost.saturating_add(lost);
        self.settle();
    }

    pub(super) fn loss(&mut self, from: Seq, to: Seq) {
        let from = self.first.map_or(from, |_| from.max(self.next));
        if to <= from {
            return;
        }
        let is_first = self.first.is_none();
        let begin = *self.first.get_or_insert(from);
        let lost = to.saturating_sub(self.next.max(begin));
        if is_first && from == 0 {
            self.counts.before = lost;
        }
        self.counts.lost = self.counts.lost.saturating_add(lost);
        self.next = to;
        let after = self.latest();
        if self.limits.losses > 0 {
            while self.losses.len() >= self.limits.losses {
                self.losses.pop_front();
            }
            self.losses.push_back(Loss { from, to, after, before: Stamp::NEVER });
        }
        self.settle();
    }

    /// No more records will come: shows what is left.
    pub(super) fn end(&mut self) {
        if let Some(needs) = self.pending.back().map(|last| rollback::needs(last)) {
            self.first.get_or_insert(needs);
            self.next = self.next.max(needs);
            self.settle();
        }
    }

    /// The stamp of the latest record.
    fn latest(&self) -> Stamp {
        self.history().last().map_or(Stamp::NEVER, |record| record.at)
    }

    fn record(&mut self, mut record: Record) {
        // Stamps never run backwards; a stream that breaks this rule is shown as if they stood still.
        record.at = record.at.max(self.latest());
        self.counts.unknown += u64::from(matches!(record.event, Event::Unknown { .. }));
        if let Some(loss) = self.losses.back_mut()
            && loss.before.is_never()
        {
            loss.before = record.at;
        }
        self.index(&record);
        self.past.push(record);
    }

    /// Enters a record into the lanes and the occupancy.
    fn index(&mut self, record: &Record) {
        let &Record { seq, at, ref event } = record;
        self.occupancy.record(record, self.limits.occupancy);
        match *event {
            Event::Turn { mode, parked, .. } => {
                let start = if mode == TurnMode::Park { parked } else { at };
                let judged = (PollResult::Pending, Verdict::Progress);
                self.turns.poll_end(seq, (start, at), judged.0, judged.1);
            }
            Event::PollStart { task, .. } => self.lane_of(task).poll_start(seq, at),
            Event::PollEnd { task, started, result, verdict, .. } => {
                self.lane_of(task).poll_end(seq, (started, at), result, verdict);
            }
            Event::Wake { task, cause, .. } => self.lane_of(task).wake(seq, at, cause.code()),
            Event::Repeats { task, cycle, count, first, busy, .. } => {
                let lane = self.lane_of(task);
                lane.repeats(seq, (first, at), (count, busy), cycle.verdict());
                lane.wake(seq, at, cycle.cause().code());
            }
            Event::Log { level, task: Some(task), .. } => self.lane_of(task).log(seq, at, level),
            Event::WaitBegin { task: Some(task), target } => {
                self.lane_of(task).wait_begin(at, target);
            }
            Event::WaitEnd { task: Some(task), target, outcome } => {
                self.lane_of(task).wait_end(at, target, outcome);
            }
            _ => {}
        }
    }

    fn lane_of(&mut self, task: TaskId) -> &mut LaneIndex {
        self.lanes.entry(task).or_default()
    }

    /// Brings the past up to date, with the snapshots whose place has been reached.
    fn settle(&mut self) {
        while let Some(snapshot) = self.pending.front() {
            let needs = if self.past.is_based() {
                snapshot.totals.recorded
            } else {
                rollback::needs(snapshot)
            };
            // Nothing of the stream before the first frame is on its way.
            if self.next < needs {
                break;
            }
            let Some(snapshot) = self.pending.pop_front() else { break };
            let first = !self.past.is_based();
            self.past.snapshot(&snapshot);
            if first {
                self.begin_occupancy();
            }
            self.note_occupancy(&snapshot);
        }
        self.past.settle();
        self.prune();
    }

    /// Draws the occupancy anew, now that it is known how it began.
    fn begin_occupancy(&mut self) {
        let slots = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let totals = &self.past.base().totals;
        let (live, capacity) = (slots(totals.live), slots(totals.capacity));
        let at = self.past.epoch();
        let mut series = OccupancySeries::default();
        series.push(Occupancy { at, live, capacity }, self.limits.occupancy);
        for record in self.history().after(0) {
            series.record(record, self.limits.occupancy);
        }
        self.occupancy = series;
    }

    fn note_occupancy(&mut self, snapshot: &Snapshot) {
        let slots = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let (live, capacity) = (slots(snapshot.totals.live), slots(snapshot.totals.capacity));
        let at = snapshot.taken;
        self.occupancy.push(Occupancy { at, live, capacity }, self.limits.occupancy);
    }

    /// Drops from the lanes what was dropped from the history.
    fn prune(&mut self) {
        let Some((seq, at)) = self.history().first().map(|first| (first.seq, first.at)) else {
            return;
        };
        if seq == self.pruned {
            return;
        }
        self.pruned = seq;
        self.turns.forget(seq, at);
        let tasks = &self.past.live().tasks;
        self.lanes.retain(|task, lane| lane.forget(seq, at) || tasks.contains_key(task));
    }
}
