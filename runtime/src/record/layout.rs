//! Where the parts of a recording lie in its memory, private or mapped: offsets and sizes, nothing else.
//!
//! | offset | bytes | what |
//! | --- | --- | --- |
//! | 0 | 8,192 | the [header](super::header), of zeros in private memory |
//! | 8,192 | 4,096 | the ring's indices, the board's totals and marks |
//! | 12,288 | records × 32 | the ring |
//! | then, from a page's beginning | rows × 256 | the board's tokens |
//! | then, from a page's beginning | rows × 192 | the board's tasks |
//! | then, from a page's beginning | words × 8 | the strings, none in private memory |
//!
//! The byte order is the machine's, and so are the sizes of rows: a recording is read by the version that wrote it, which
//! its header says.

use super::memory::PAGE;
use super::row::Row;
use nexus_protocol::board::{task_word, token_word};
use std::ops::Range;

/// Words in a record.
pub(crate) const RECORD_WORDS: usize = 4;

/// Words in the header.
pub(crate) const HEADER_WORDS: usize = 1024;

/// Where the ring's indices are.
pub(crate) const INDICES: usize = HEADER_WORDS * 8;

/// Where the board's totals are: not on the cache line of the indices, nor on the one that is fetched with it.
pub(crate) const TOTALS: usize = INDICES + 256;

/// Where the ring is.
const RING: usize = INDICES + PAGE;

/// The most records a ring has: 128 GiB of them.
const MAX_RECORDS: usize = 1 << 32;

/// The most rows of a kind: more than there are tokens and tasks on any machine.
const MAX_ROWS: usize = 1 << 26;

/// The sizes of a recording, from which all offsets follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Records in the ring; a power of two.
    pub(crate) records: usize,
    /// Rows for tokens, and as many for tasks.
    pub(crate) rows: usize,
    /// Words for strings.
    pub(crate) string_words: usize,
}

impl Layout {
    /// The layout with what was asked for, brought within bounds.
    pub(crate) fn new(records: usize, rows: usize, string_words: usize) -> Self {
        let records = records.clamp(2, MAX_RECORDS).next_power_of_two();
        Self { records, rows: rows.min(MAX_ROWS), string_words }
    }

    /// The layout that a header states, if it is one.
    pub(crate) fn stated(records: u64, rows: u64, string_words: u64) -> Option<Self> {
        let within =
            |size: u64, most: usize| usize::try_from(size).ok().filter(|&size| size <= most);
        let stated = Self {
            records: within(records, MAX_RECORDS)?,
            rows: within(rows, MAX_ROWS)?,
            string_words: within(string_words, 1 << 32)?,
        };
        let made = Self::new(stated.records, stated.rows, stated.string_words);
        (stated == made).then_some(stated)
    }

    /// The ring's bytes.
    pub(crate) fn ring(&self) -> Range<usize> {
        RING..RING + self.records * RECORD_WORDS * 8
    }

    /// The bytes of the board's tokens.
    pub(crate) fn tokens(&self) -> Range<usize> {
        after(self.ring(), self.rows * size_of::<Row<{ token_word::COUNT }>>())
    }

    /// The bytes of the board's tasks.
    pub(crate) fn tasks(&self) -> Range<usize> {
        after(self.tokens(), self.rows * size_of::<Row<{ task_word::COUNT }>>())
    }

    /// The bytes of the strings.
    pub(crate) fn strings(&self) -> Range<usize> {
        after(self.tasks(), self.string_words * 8)
    }

    /// Bytes in all.
    pub(crate) fn bytes(&self) -> usize {
        self.strings().end.next_multiple_of(PAGE)
    }
}

fn after(before: Range<usize>, bytes: usize) -> Range<usize> {
    let start = before.end.next_multiple_of(PAGE);
    start..start + bytes
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn parts_follow_each_other_and_stated_sizes_are_checked() {
        let layout = Layout::new(100, 3, 5);
        assert_eq!(layout.records, 128);
        let ranges = [layout.ring(), layout.tokens(), layout.tasks(), layout.strings()];
        for (one, next) in ranges.iter().zip(&ranges[1..]) {
            assert!(one.end <= next.start && next.start.is_multiple_of(PAGE));
        }
        assert_eq!(ranges.clone().map(|range| range.len()), [128 * 32, 3 * 256, 3 * 192, 40]);
        assert_eq!(layout.bytes(), ranges[3].start + PAGE);
        assert_eq!(Layout::stated(128, 3, 5), Some(layout));
        for (records, rows, words) in
            [(100, 3, 5), (0, 3, 5), (1 << 33, 3, 5), (128, 1 << 27, 5), (128, 3, u64::MAX)]
        {
            assert_eq!(Layout::stated(records, rows, words), None);
        }
        assert_eq!(Layout::new(usize::MAX, usize::MAX, 0).rows, MAX_ROWS);
    }
}
