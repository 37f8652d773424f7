//! The records of the recent past, by number and by time.

use nexus_protocol::{Record, Seq, Stamp};
use std::collections::VecDeque;

/// A gap in the sequence numbers: records that this model never saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Number of the first missing record.
    pub from: Seq,
    /// Number after the last missing one.
    pub to: Seq,
    /// When the last record before the gap was recorded; never if there is none.
    pub after: Stamp,
    /// When the first record behind the gap was recorded; never if there is none yet.
    pub before: Stamp,
}

impl Loss {
    /// How many records are missing.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.to.saturating_sub(self.from)
    }
}

/// The kept records of a runtime, ascending by number and by stamp.
#[derive(Debug, Default)]
pub struct History {
    records: VecDeque<Record>,
}

impl History {
    /// How many records are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether none are kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The oldest kept record.
    #[must_use]
    pub fn first(&self) -> Option<&Record> {
        self.records.front()
    }

    /// The latest record.
    #[must_use]
    pub fn last(&self) -> Option<&Record> {
        self.records.back()
    }

    /// The record with this number, if it is kept.
    #[must_use]
    pub fn get(&self, seq: Seq) -> Option<&Record> {
        self.records.get(self.index_of(seq)).filter(|record| record.seq == seq)
    }

    /// The records with stamps from `from` to `to`, both included, ascending.
    pub fn range(
        &self,
        from: Stamp,
        to: Stamp,
    ) -> impl DoubleEndedIterator<Item = &Record> + Clone {
        let start = self.records.partition_point(|record| record.at < from);
        let end = self.records.partition_point(|record| record.at <= to).max(start);
        self.records.range(start..end)
    }

    /// The records from number `seq` on, ascending.
    pub fn after(&self, seq: Seq) -> impl DoubleEndedIterator<Item = &Record> + Clone {
        self.records.range(self.index_of(seq)..)
    }

    /// The records before number `seq`, the latest one first.
    pub fn before(&self, seq: Seq) -> impl Iterator<Item = &Record> {
        self.records.range(..self.index_of(seq)).rev()
    }

    /// The index of the first record with number `seq` or above.
    pub(super) fn index_of(&self, seq: Seq) -> usize {
        self.records.partition_point(|record| record.seq < seq)
    }

    /// The index after the last record with stamp `at` or below.
    pub(super) fn index_at(&self, at: Stamp) -> usize {
        self.records.partition_point(|record| record.at <= at)
    }

    /// The record with this index, if there is one.
    pub(super) fn get_index(&self, index: usize) -> Option<&Record> {
        self.records.get(index)
    }

    /// The records with these indices.
    pub(super) fn slice(&self, indices: std::ops::Range<usize>) -> impl Iterator<Item = &Record> {
        self.records.range(indices)
    }

    pub(super) fn push(&mut self, record: Record) {
        self.records.push_back(record);
    }

    pub(super) fn pop(&mut self) -> Option<Record> {
        self.records.pop_front()
    }
}
