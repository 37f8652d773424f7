//! A row of words that one thread changes while others copy it: a sequence lock without fences.
//!
//! The writer makes the version odd, stores words with Release, and makes the version even again with Release. A reader
//! loads the version with Acquire, copies the words, each with Acquire, and loads the version again. If it saw a word
//! of a later change, it synchronised with that word's store, before which the version had become odd: the second load
//! sees that, or something later, and differs from the first. So two equal, even versions around a copy mean that the
//! copy is one moment's. `loom_` tests below check it.

use super::memory::Plain;
use crate::primitives::atomic::{AtomicU64, Ordering};

/// How often a copy is tried before it is given out as *changing*.
const ATTEMPTS: usize = if cfg!(loom) { 1 } else { 32 };

/// `N` words that change together. All changes must come from one thread.
#[repr(C, align(64))]
pub(crate) struct Row<const N: usize> {
    version: AtomicU64,
    words: [AtomicU64; N],
    side: Side,
}

/// Words beside a row, where the writer keeps accounts of its own. No part of copies.
pub(crate) struct Side([AtomicU64; 3]);

impl Side {
    #[cfg(any(test, loom))]
    fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    /// A word. For the writer's thread.
    #[inline]
    pub(crate) fn get(&self, word: usize) -> u64 {
        self.0[word].load(Ordering::Relaxed)
    }

    /// Changes a word. For the writer's thread.
    #[inline]
    pub(crate) fn set(&self, word: usize, value: u64) {
        self.0[word].store(value, Ordering::Relaxed);
    }
}

// SAFETY: atomics alone, with padding at the end for the alignment, which nobody reads.
unsafe impl<const N: usize> Plain for Row<N> {
    #[cfg(loom)]
    fn zeroed() -> Self {
        Self::new()
    }
}

/// The writer's access to a row, within [`Row::change`].
pub(crate) struct Words<'row, const N: usize>(&'row [AtomicU64; N]);

/// A copy of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Copied<const N: usize> {
    /// The words.
    pub(crate) words: [u64; N],
    /// The row changed during every attempt: the words may be of different moments.
    pub(crate) changing: bool,
}

impl<const N: usize> Row<N> {
    /// A row of zeros, by itself.
    #[cfg(any(test, loom))]
    pub(crate) fn new() -> Self {
        let words = std::array::from_fn(|_| AtomicU64::new(0));
        Self { version: AtomicU64::new(0), words, side: Side::new() }
    }

    /// Changes some words. Readers see all of the changes, or none, or that the row is changing.
    #[inline]
    pub(crate) fn change(&self, change: impl FnOnce(Words<'_, N>)) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        change(Words(&self.words));
        self.version.store(version + 2, Ordering::Release);
    }

    /// What the writer keeps beside the row.
    #[inline]
    pub(crate) fn side(&self) -> &Side {
        &self.side
    }

    /// A word as the writer left it. For the writer's thread.
    #[inline]
    pub(crate) fn own(&self, word: usize) -> u64 {
        self.words[word].load(Ordering::Relaxed)
    }

    /// Copies the row, trying a bounded number of times to get it whole. For any thread.
    pub(crate) fn copy(&self) -> Copied<N> {
        for _ in 0..ATTEMPTS {
            let copied = self.try_copy();
            if !copied.changing {
                return copied;
            }
            std::hint::spin_loop();
        }
        self.try_copy()
    }

    /// Marks this copy of a row as changing if it is not what a later copy shows, to the last change.
    pub(crate) fn confirm(&self, later: &Self) {
        let version = self.version.load(Ordering::Relaxed);
        if version != later.version.load(Ordering::Relaxed) {
            self.version.store(version | 1, Ordering::Relaxed);
        }
    }

    fn try_copy(&self) -> Copied<N> {
        let before = self.version.load(Ordering::Acquire);
        let words = std::array::from_fn(|word| self.words[word].load(Ordering::Acquire));
        let after = self.version.load(Ordering::Relaxed);
        Copied { words, changing: !before.is_multiple_of(2) || before != after }
    }
}

impl<const N: usize> Words<'_, N> {
    /// The word as it is.
    #[inline]
    pub(crate) fn get(&self, word: usize) -> u64 {
        self.0[word].load(Ordering::Relaxed)
    }

    /// Changes a word.
    #[inline]
    pub(crate) fn set(&self, word: usize, value: u64) {
        self.0[word].store(value, Ordering::Release);
    }

    /// Adds to a word; a sum beyond `u64` wraps.
    #[inline]
    pub(crate) fn add(&self, word: usize, amount: u64) {
        self.set(word, self.get(word).wrapping_add(amount));
    }

    /// Sets every word to zero.
    pub(crate) fn clear(&self) {
        for word in self.0 {
            word.store(0, Ordering::Release);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn a_copy_under_a_busy_writer_is_whole_or_marked() {
        let row = Arc::new(Row::<8>::new());
        let stop = Arc::new(AtomicBool::new(false));
        let writer = {
            let (row, stop) = (Arc::clone(&row), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    row.change(|words| (0..8).for_each(|word| words.add(word, 1)));
                }
            })
        };
        let (mut whole, mut last) = (0, 0);
        while whole < 1000 {
            let copy = row.copy();
            if !copy.changing {
                assert_eq!(copy.words, [copy.words[0]; 8]);
                assert!(copy.words[0] >= last, "rows do not run backwards");
                last = copy.words[0];
                whole += 1;
            }
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    }

    #[test]
    fn a_row_in_the_middle_of_a_change_is_marked() {
        let row = Row::<2>::new();
        row.change(|words| {
            words.set(0, 7);
            assert!(row.copy().changing);
        });
        assert_eq!(row.copy(), Copied { words: [7, 0], changing: false });
        row.change(|words| words.clear());
        assert_eq!(row.copy().words, [0, 0]);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;

    /// A row is given to another task while it is read: the copy is the old one's, the new one's, or marked.
    #[test]
    fn loom_row_reused_while_it_is_read() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(3));
        builder.check(|| {
            let row = Arc::new(Row::<2>::new());
            row.change(|words| (0..2).for_each(|word| words.set(word, 1)));
            let writer = {
                let row = Arc::clone(&row);
                loom::thread::spawn(move || {
                    row.change(|words| words.clear());
                    row.change(|words| (0..2).for_each(|word| words.set(word, 2)));
                })
            };
            let copy = row.try_copy();
            assert!(copy.changing || copy.words[0] == copy.words[1], "{copy:?} is mixed");
            writer.join().unwrap();
            assert_eq!(row.try_copy(), Copied { words: [2, 2], changing: false });
        });
    }
}
