//! The ring: a flight recorder of fixed size with one writer, any number of readers, and exact knowledge of loss.
//!
//! Knows positions and four-word records, not what they mean. The writer never waits, allocates or makes a system call,
//! and does the same whether anybody reads or not: readers write nothing.
//!
//! # Why a torn record is never delivered
//!
//! Record `s` lies in slot `s mod capacity`. To write it, the writer
//!
//! 1. stores `s + 1` to `reserved`,
//! 2. stores the four words, each with Release,
//! 3. stores `s + 1` to `committed` with Release.
//!
//! A reader loads `committed` with Acquire, copies the words of some earlier record `r`, each with Acquire, and then
//! loads `reserved`. Suppose that one of the words it saw came from a later record `r + n * capacity`. Its Acquire load
//! then synchronised with step 2 of that record, so step 1 of it happened before, and the load of `reserved` that
//! follows sees at least `r + n * capacity + 1`. Conversely, the load of `committed` made all of record `r` visible, so
//! no word can be from an earlier one. Hence: if `reserved` is at most `r + capacity`, the copy is record `r`, whole;
//! else the record is gone, and the reader knows exactly which ones are.
//!
//! No fence is needed, which ThreadSanitizer would not understand, and on x86-64 all of this is plain stores and loads.
//! `loom_` tests below check it.

use super::layout::{INDICES, Layout, RECORD_WORDS as WORDS};
use super::memory::{Memory, Part, Plain};
use crate::primitives::atomic::{AtomicU64, Ordering};
use nexus_protocol::ids::Seq;
use nexus_protocol::record::Words;
use std::ops::Range;
use std::sync::Arc;

/// The ring. Clones are the same one. Only one thread may call [`Ring::reserve`], [`Ring::write`] and [`Ring::commit`]: a
/// second one could do no harm to memory, but would mix records.
#[derive(Clone)]
pub(crate) struct Ring {
    indices: Part<Indices>,
    /// Records begin with pages, so that none lies in two cache lines.
    words: Part<[AtomicU64]>,
    mask: u64,
}

/// What the writer changes with every record, on a cache line of its own.
#[repr(C, align(64))]
struct Indices {
    reserved: AtomicU64,
    committed: AtomicU64,
}

// SAFETY: two atomics.
unsafe impl Plain for Indices {
    #[cfg(loom)]
    fn zeroed() -> Self {
        Self { reserved: AtomicU64::new(0), committed: AtomicU64::new(0) }
    }
}

/// What [`Ring::read`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Records that were asked for and are overwritten. Empty if there are none.
    pub(crate) lost: Range<Seq>,
    /// Number of the first record that was copied; the others follow without a gap.
    pub(crate) first: Seq,
}

impl Ring {
    /// The ring in this memory.
    pub(crate) fn within(memory: &Arc<Memory>, layout: &Layout) -> Self {
        Self {
            indices: memory.part(INDICES),
            words: memory.slice(layout.ring().start, layout.records * WORDS),
            mask: layout.records as u64 - 1,
        }
    }

    /// A ring in memory of its own.
    #[cfg(test)]
    pub(crate) fn new(records: usize) -> Self {
        let layout = Layout::new(records, 0, 0);
        Self::within(&Arc::new(Memory::private(layout.bytes()).unwrap()), &layout)
    }

    /// How many records it holds.
    pub(crate) fn capacity(&self) -> u64 {
        self.mask + 1
    }

    /// How many records were written so far: the number of the next one.
    pub(crate) fn committed(&self) -> Seq {
        self.indices.committed.load(Ordering::Acquire)
    }

    /// Like [`Ring::committed`], with the record that is being written. To be read after what it is to guard.
    pub(crate) fn reserved(&self) -> Seq {
        self.indices.reserved.load(Ordering::Relaxed)
    }

    /// Number of the oldest record that is still there.
    pub(crate) fn oldest(&self) -> Seq {
        self.committed().saturating_sub(self.capacity())
    }

    /// Says that record `seq` is going to be written: the slot's old content is gone.
    #[inline]
    pub(crate) fn reserve(&self, seq: Seq) {
        self.indices.reserved.store(seq + 1, Ordering::Relaxed);
    }

    /// Writes record `seq`, which must have been reserved.
    #[inline]
    pub(crate) fn write(&self, seq: Seq, record: Words) {
        for (word, value) in self.slot(seq).iter().zip(record) {
            word.store(value, Ordering::Release);
        }
    }

    /// Shows record `seq`, which must have been written, to readers.
    #[inline]
    pub(crate) fn commit(&self, seq: Seq) {
        self.indices.committed.store(seq + 1, Ordering::Release);
    }

    /// Says what a copy of a ring found when its original was looked at again: records that were overwritten meanwhile.
    ///
    /// # Errors
    ///
    /// If no writer could have left the indices like this.
    pub(crate) fn confirm(&self, reserved: Seq) -> Result<(), &'static str> {
        let committed = self.committed();
        if committed > 1 << 60 || self.reserved() > 1 << 60 || reserved > 1 << 60 {
            return Err("it counts more records than anybody could have written");
        }
        self.indices.reserved.store(reserved.max(self.reserved()), Ordering::Relaxed);
        if self.reserved() < committed { Err("its ring is ahead of itself") } else { Ok(()) }
    }

    /// Copies up to `limit` records from number `from` on into `out`, whose content is replaced.
    ///
    /// If the writer overtook the reader during the copy so that nothing of it remained, a second attempt starts a
    /// quarter of the ring further on: at the very tail a reader would be overtaken for ever.
    pub(crate) fn read(&self, from: Seq, limit: usize, out: &mut Vec<Words>) -> Batch {
        let batch = self.read_from(from, self.oldest(), limit, out);
        if !out.is_empty() || batch.lost.is_empty() {
            return batch;
        }
        let ahead = self.committed().saturating_sub(self.capacity() - self.capacity() / 4);
        self.read_from(from, ahead.max(batch.first), limit, out)
    }

    fn read_from(&self, from: Seq, oldest: Seq, limit: usize, out: &mut Vec<Words>) -> Batch {
        out.clear();
        let committed = self.committed();
        let start = from.max(oldest).min(committed.max(from));
        let end = committed.min(start.saturating_add(limit as u64)).max(start);
        out.extend((start..end).map(|seq| self.load(seq)));
        let intact = self.reserved().saturating_sub(self.capacity()).clamp(start, end);
        out.drain(..(intact - start) as usize);
        Batch { lost: from..intact, first: intact }
    }

    fn load(&self, seq: Seq) -> Words {
        let slot = self.slot(seq);
        std::array::from_fn(|word| slot[word].load(Ordering::Acquire))
    }

    #[inline]
    fn slot(&self, seq: Seq) -> &[AtomicU64] {
        let at = (seq & self.mask) as usize * WORDS;
        debug_assert!(at + WORDS <= self.words.len());
        // SAFETY: `words` has `(mask + 1) * WORDS` elements: see `Ring::within`, after which neither changes.
        unsafe { self.words.get_unchecked(at..at + WORDS) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    /// A record that shows in each word which one it is.
    fn marked(seq: Seq) -> Words {
        std::array::from_fn(|word| seq.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ word as u64)
    }

    fn push(ring: &Ring, seq: Seq) {
        ring.reserve(seq);
        ring.write(seq, marked(seq));
        ring.commit(seq);
    }

    #[test]
    fn a_reader_that_keeps_up_gets_everything() {
        let (ring, mut out) = (Ring::new(8), Vec::new());
        assert_eq!(ring.read(0, 100, &mut out), Batch { lost: 0..0, first: 0 });
        assert!(out.is_empty());
        for seq in 0..8 {
            push(&ring, seq);
        }
        assert_eq!(ring.read(0, 5, &mut out), Batch { lost: 0..0, first: 0 });
        assert_eq!(out, (0..5).map(marked).collect::<Vec<_>>());
        assert_eq!(ring.read(5, 5, &mut out), Batch { lost: 5..5, first: 5 });
        assert_eq!(out, (5..8).map(marked).collect::<Vec<_>>());
    }

    #[test]
    fn a_lapped_reader_is_told_what_it_missed() {
        let (ring, mut out) = (Ring::new(8), Vec::new());
        for seq in 0..21 {
            push(&ring, seq);
        }
        assert_eq!(ring.oldest(), 13);
        assert_eq!(ring.read(3, 100, &mut out), Batch { lost: 3..13, first: 13 });
        assert_eq!(out, (13..21).map(marked).collect::<Vec<_>>());
    }

    #[test]
    fn a_record_being_overwritten_is_lost() {
        let (ring, mut out) = (Ring::new(8), Vec::new());
        for seq in 0..8 {
            push(&ring, seq);
        }
        ring.reserve(8);
        assert_eq!(ring.read(0, 100, &mut out), Batch { lost: 0..1, first: 1 });
        assert_eq!(out.len(), 7);
    }

    #[test]
    fn a_record_lies_in_one_cache_line() {
        let ring = Ring::new(16);
        for seq in 0..16 {
            let slot = ring.slot(seq).as_ptr().addr();
            assert_eq!(slot / 64, (slot + 31) / 64, "record {seq}");
        }
    }

    #[test]
    fn at_full_speed_every_record_is_delivered_whole_or_reported_lost() {
        const RECORDS: Seq = 500_000;
        let ring = Arc::new(Ring::new(1024));
        let done = Arc::new(AtomicBool::new(false));
        let readers: Vec<_> = (0..2)
            .map(|stall| {
                let (ring, done) = (Arc::clone(&ring), Arc::clone(&done));
                std::thread::spawn(move || {
                    let (mut cursor, mut delivered, mut lost) = (0, 0_u64, 0_u64);
                    let mut out = Vec::new();
                    loop {
                        let finished = done.load(Ordering::Acquire);
                        let batch = ring.read(cursor, 300, &mut out);
                        assert_eq!(batch.lost.start, cursor);
                        assert_eq!(batch.lost.end, batch.first);
                        for (seq, words) in (batch.first..).zip(&out) {
                            assert_eq!(*words, marked(seq), "record {seq} is torn");
                        }
                        lost += batch.lost.end - batch.lost.start;
                        delivered += out.len() as u64;
                        cursor = batch.first + out.len() as u64;
                        if finished && cursor == ring.committed() {
                            return (delivered, lost);
                        }
                        for _ in 0..stall {
                            std::thread::yield_now();
                        }
                    }
                })
            })
            .collect();
        for seq in 0..RECORDS {
            push(&ring, seq);
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            let (delivered, lost) = reader.join().unwrap();
            assert_eq!(delivered + lost, RECORDS);
            assert!(delivered >= 1, "the last lap is always there");
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;

    fn push(ring: &Ring, seq: Seq) {
        ring.reserve(seq);
        ring.write(seq, [seq + 1; WORDS]);
        ring.commit(seq);
    }

    fn check(ring: &Ring, from: Seq, out: &mut Vec<Words>) -> Seq {
        let batch = ring.read_from(from, ring.oldest(), 2, out);
        assert_eq!((batch.lost.start, batch.lost.end), (from, batch.first));
        for (seq, words) in (batch.first..).zip(&*out) {
            assert_eq!(*words, [seq + 1; WORDS], "record {seq} is torn");
        }
        batch.first + out.len() as u64
    }

    fn model(body: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(3));
        builder.check(body);
    }

    /// The writer goes around once while a reader copies.
    #[test]
    fn loom_ring_wraps_around_under_a_reader() {
        model(|| {
            let ring = Arc::new(Ring::new(2));
            let writer = {
                let ring = Arc::clone(&ring);
                loom::thread::spawn(move || (0..3).for_each(|seq| push(&ring, seq)))
            };
            let mut out = Vec::new();
            let cursor = check(&ring, 0, &mut out);
            writer.join().unwrap();
            let mut cursor = cursor;
            while cursor < 3 {
                cursor = check(&ring, cursor, &mut out);
            }
            assert_eq!(cursor, 3);
        });
    }

    /// The ring was full before, and the writer laps the reader: what the reader gets is whole, the rest is lost.
    #[test]
    fn loom_ring_laps_a_reader() {
        model(|| {
            let ring = Arc::new(Ring::new(2));
            push(&ring, 0);
            push(&ring, 1);
            let writer = {
                let ring = Arc::clone(&ring);
                loom::thread::spawn(move || (2..5).for_each(|seq| push(&ring, seq)))
            };
            let mut out = Vec::new();
            check(&ring, 0, &mut out);
            writer.join().unwrap();
        });
    }
}
