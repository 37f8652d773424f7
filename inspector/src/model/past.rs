//! The state of a runtime now and at any kept moment.
//!
//! Three things are kept beside the [`Log`]: the state at its end, a second one that follows two seconds behind, for
//! rates, and checkpoints, from which any other moment is reached by applying a bounded number of records. A
//! checkpoint is a copy of a state and holds no news; the one before the oldest kept record is the base on which all
//! others stand.

use super::correction::Correction;
use super::limits::Limits;
use super::log::{Cursor, Log, Position};
use super::rollback;
use super::state::State;
use super::view::Rates;
use nexus_protocol::board::Snapshot;
use nexus_protocol::{Record, Stamp};
use std::collections::VecDeque;

/// Records from one checkpoint to the next, as long as memory allows.
const INTERVAL: u64 = 16_384;

/// Fewest checkpoints to which a full history is thinned.
const CHECKPOINTS: u64 = 8;

/// The states of one runtime over time.
#[derive(Debug)]
pub(super) struct Past {
    limits: Limits,
    log: Log,
    /// Whether a snapshot has been taken in.
    based: bool,
    /// The earliest moment of which the state is known.
    epoch: Stamp,
    now: Stamp,
    live: Cursor,
    trail: Cursor,
    checkpoints: VecDeque<Cursor>,
    checkpoint_rows: usize,
    interval: u64,
    /// Work since the last checkpoint, in records.
    since_checkpoint: u64,
}

impl Past {
    pub(super) fn new(limits: Limits) -> Self {
        let start = Cursor::nothing();
        Self {
            limits,
            log: Log::default(),
            based: false,
            epoch: Stamp::NEVER,
            now: Stamp::NEVER,
            live: start.clone(),
            trail: start.clone(),
            checkpoints: VecDeque::from([start]),
            checkpoint_rows: 0,
            interval: INTERVAL.min(limits.records as u64 / CHECKPOINTS).max(1),
            since_checkpoint: 0,
        }
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// Whether a snapshot has been taken in.
    pub(super) fn is_based(&self) -> bool {
        self.based
    }

    /// The latest moment anything is known of.
    pub(super) fn now(&self) -> Stamp {
        self.now
    }

    /// The earliest moment whose state is known.
    pub(super) fn epoch(&self) -> Stamp {
        self.epoch
    }

    /// The state before the oldest kept record.
    pub(super) fn base(&self) -> &State {
        &self.checkpoints[0].state
    }

    /// The state at the end of the log.
    pub(super) fn live(&self) -> &State {
        &self.live.state
    }

    /// The state from which rates at the end of the log are counted, and its moment.
    pub(super) fn trail(&self) -> (&State, Stamp) {
        (&self.trail.state, self.trail_moment(self.now))
    }

    /// The state from which rates at `at` are counted.
    pub(super) fn trail_moment(&self, at: Stamp) -> Stamp {
        Stamp(at.0.saturating_sub(Rates::WINDOW_NS)).max(self.epoch)
    }

    /// The state at `at`.
    pub(super) fn state_at(&self, at: Stamp) -> State {
        self.restore(self.log.position_at(at)).state
    }

    /// Takes in the next record. [`Past::settle`] has to follow, after the last one of a batch.
    pub(super) fn push(&mut self, record: Record) {
        self.now = self.now.max(record.at);
        if self.epoch.is_never() {
            self.epoch = record.at;
        }
        self.log.history.push(record);
    }

    /// Brings everything up to date with the log, and forgets what is too much.
    pub(super) fn settle(&mut self) {
        self.catch_up();
        self.trim();
        self.follow();
    }

    /// Takes in a snapshot, all records below whose number have arrived or are lost. One that belongs before what is
    /// kept, or before an earlier one, is ignored.
    pub(super) fn snapshot(&mut self, snapshot: &Snapshot) {
        if !self.based {
            self.rebase(snapshot);
        }
        let next_seq = snapshot.totals.recorded;
        let base = self.checkpoints.front().map_or(0, |base| base.state.next_seq);
        if next_seq < base.max(self.log.last_correction()) {
            return;
        }
        let place = self.log.place_of(next_seq);
        let mut restored =
            (self.live.position.records > place.records).then(|| self.restore(place));
        if restored.is_none() {
            self.catch_up_to(place);
        }
        let cursor = restored.as_ref().unwrap_or(&self.live);
        let correction = Correction::between(&cursor.state, snapshot, &self.limits);
        self.now = self.now.max(snapshot.taken);
        if correction.is_needed() {
            self.since_checkpoint += 4 * correction.rows() as u64;
            self.drop_checkpoints_behind(place);
            if let Some(restored) = restored.take() {
                self.live = restored;
            }
            self.log.correct(correction);
            self.log.advance(&mut self.live, self.log.place_of(next_seq), &self.limits);
            if self.trail.position.records > place.records {
                self.trail = self.checkpoints[0].clone();
            }
        }
        self.settle();
    }

    /// Works everything out anew from the first snapshot.
    fn rebase(&mut self, snapshot: &Snapshot) {
        let records = self.log.history.after(0);
        let has_past = records.clone().next().is_some_and(|r| r.seq < snapshot.totals.recorded);
        let state = rollback::rollback(snapshot, records, &self.limits);
        self.epoch = if has_past { state.at } else { snapshot.taken };
        self.log.clear_corrections();
        let base = Cursor { position: self.log.first(), state };
        self.live = base.clone();
        self.trail = base.clone();
        self.checkpoint_rows = base.state.rows();
        self.checkpoints = VecDeque::from([base]);
        self.since_checkpoint = 0;
        self.based = true;
        if has_past {
            self.catch_up_to(self.log.place_of(snapshot.totals.recorded));
        }
    }

    /// The cursor at `position`, from the nearest checkpoint.
    fn restore(&self, position: Position) -> Cursor {
        let after = self.checkpoints.partition_point(|checkpoint| {
            checkpoint.position.records <= position.records
                && checkpoint.position.corrections <= position.corrections
        });
        let mut cursor = self.checkpoints[after.saturating_sub(1)].clone();
        self.log.advance(&mut cursor, position, &self.limits);
        cursor
    }

    fn catch_up(&mut self) {
        self.catch_up_to(self.log.end());
    }

    fn catch_up_to(&mut self, end: Position) {
        while self.live.position != end {
            let step = self.interval.saturating_sub(self.since_checkpoint).max(1);
            let records = (self.live.position.records + step).min(end.records);
            let to = if records == end.records {
                end
            } else {
                Position { records, corrections: self.live.position.corrections }
            };
            self.since_checkpoint += records - self.live.position.records;
            self.log.advance(&mut self.live, to, &self.limits);
            if self.since_checkpoint >= self.interval {
                self.checkpoint();
            }
        }
    }

    fn checkpoint(&mut self) {
        self.since_checkpoint = 0;
        self.checkpoint_rows += self.live.state.rows();
        self.checkpoints.push_back(self.live.clone());
        let longest = (self.limits.records as u64 / CHECKPOINTS).max(1);
        if self.checkpoint_rows > self.limits.checkpoint_rows && self.interval < longest {
            self.interval = (self.interval * 2).min(longest);
            let mut index = 0;
            self.checkpoints.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.count_checkpoint_rows();
        }
    }

    fn count_checkpoint_rows(&mut self) {
        self.checkpoint_rows = self.checkpoints.iter().map(|cursor| cursor.state.rows()).sum();
    }

    fn drop_checkpoints_behind(&mut self, place: Position) {
        while self.checkpoints.len() > 1
            && self.checkpoints.back().is_some_and(|last| last.position.records > place.records)
        {
            self.checkpoints.pop_back();
        }
        self.count_checkpoint_rows();
    }

    fn trim(&mut self) {
        let too_much = |log: &Log, limits: &Limits| {
            log.history.len() > limits.records || log.correction_rows() > limits.checkpoint_rows
        };
        while too_much(&self.log, &self.limits) {
            if self.checkpoints.len() < 2 {
                self.checkpoint();
            }
            let Some(oldest) = self.checkpoints.pop_front() else { return };
            self.checkpoint_rows = self.checkpoint_rows.saturating_sub(oldest.state.rows());
            let base = &self.checkpoints[0];
            if base.position == oldest.position {
                return;
            }
            self.epoch = self.epoch.max(base.state.at);
            self.log.forget(base.position);
        }
    }

    /// Lets the trailing cursor follow.
    fn follow(&mut self) {
        let moment = self.trail_moment(self.now);
        let position = self.log.position_at(moment);
        let base = self.log.first();
        let behind = self.trail.position.records < base.records
            || self.trail.position.corrections < base.corrections;
        let ahead = self.trail.position.records > position.records
            || self.trail.position.corrections > position.corrections;
        if behind || ahead {
            self.trail = self.restore(position);
        } else {
            self.log.advance(&mut self.trail, position, &self.limits);
        }
    }
}
