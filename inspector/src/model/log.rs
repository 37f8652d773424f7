//! Records and corrections in one order, and the way along them.
//!
//! A correction stands before the first record that its snapshot does not know of. Positions count records and
//! corrections from the beginning of the model, not from the oldest one kept, so that they stay valid when old ones
//! are forgotten.

use super::correction::Correction;
use super::history::History;
use super::limits::Limits;
use super::state::State;
use nexus_protocol::{Seq, Stamp};
use std::collections::VecDeque;

/// A place in the log: how many records, and how many corrections, lie before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) records: u64,
    pub(super) corrections: u64,
}

/// A state and its place.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    pub(super) position: Position,
    pub(super) state: State,
}

impl Cursor {
    /// The state before anything is known.
    pub(super) fn nothing() -> Self {
        Self { position: Position::default(), state: State::unknown(0) }
    }
}

struct Placed {
    /// How many records lie before it.
    records: u64,
    correction: Correction,
}

impl std::fmt::Debug for Placed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "correction at {}", self.records)
    }
}

/// The kept records and corrections.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) history: History,
    corrections: VecDeque<Placed>,
    /// Place of the oldest kept record and correction.
    first: Position,
    correction_rows: usize,
}

impl Log {
    /// The place before everything kept.
    pub(super) fn first(&self) -> Position {
        self.first
    }

    /// The place after everything.
    pub(super) fn end(&self) -> Position {
        Position {
            records: self.first.records + self.history.len() as u64,
            corrections: self.first.corrections + self.corrections.len() as u64,
        }
    }

    /// How many rows all corrections hold.
    pub(super) fn correction_rows(&self) -> usize {
        self.correction_rows
    }

    /// The number before which the last correction stands.
    pub(super) fn last_correction(&self) -> Seq {
        self.corrections.back().map_or(0, |placed| placed.correction.next_seq)
    }

    /// The place after everything that had happened at `at`. A snapshot that was taken later counts if a record behind it
    /// does: records share the stamp of the one before them, so that some seem older than they are.
    pub(super) fn position_at(&self, at: Stamp) -> Position {
        let records = self.first.records + self.history.index_at(at) as u64;
        let corrections = self.corrections.partition_point(|placed| {
            placed.records < records || placed.records == records && placed.correction.taken <= at
        });
        Position { records, corrections: self.first.corrections + corrections as u64 }
    }

    /// The place of a correction with this number, behind all corrections there are.
    pub(super) fn place_of(&self, next_seq: Seq) -> Position {
        let records = self.first.records + self.history.index_of(next_seq) as u64;
        Position { records, corrections: self.end().corrections }
    }

    /// Adds a correction at [`Log::place_of`] its number, which must not be below that of the last one.
    pub(super) fn correct(&mut self, correction: Correction) {
        let records = self.place_of(correction.next_seq).records;
        self.correction_rows += correction.rows();
        self.corrections.push_back(Placed { records, correction });
    }

    /// Drops all corrections, when everything is worked out anew.
    pub(super) fn clear_corrections(&mut self) {
        self.first.corrections = self.end().corrections;
        self.corrections.clear();
        self.correction_rows = 0;
    }

    /// Moves a cursor forward to `to`. Costs some tens of nanoseconds a record.
    pub(super) fn advance(&self, cursor: &mut Cursor, to: Position, limits: &Limits) {
        let Cursor { position, state } = cursor;
        while position.corrections < to.corrections {
            let next = &self.corrections[(position.corrections - self.first.corrections) as usize];
            self.advance_records(position, state, next.records.min(to.records), limits);
            next.correction.apply(state, limits);
            position.corrections += 1;
        }
        self.advance_records(position, state, to.records, limits);
    }

    fn advance_records(
        &self,
        position: &mut Position,
        state: &mut State,
        to: u64,
        limits: &Limits,
    ) {
        if position.records < to {
            let first = self.first.records;
            let indices = (position.records - first) as usize..(to - first) as usize;
            for record in self.history.slice(indices) {
                state.apply(record, limits);
            }
            position.records = to;
        }
    }

    /// Forgets what lies before `to`.
    pub(super) fn forget(&mut self, to: Position) {
        while self.first.records < to.records && self.history.pop().is_some() {
            self.first.records += 1;
        }
        while self.first.corrections < to.corrections {
            let Some(placed) = self.corrections.pop_front() else { break };
            self.correction_rows -= placed.correction.rows();
            self.first.corrections += 1;
        }
    }
}
