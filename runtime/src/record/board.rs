//! The board: what every token and task is right now, for other threads to read while the runtime thread goes on, or
//! hangs.
//!
//! There is a place for every row that there may be from the start, which costs nothing until it is used: places are
//! neither moved nor freed while the board lives, so that a reader needs no lock to walk them. Their number is limited:
//! what lies beyond has an id, but no row, and is counted.
//!
//! Knows words and rows; what the words mean is `nexus_protocol::board`'s, and what changes them the probes' business.

use super::layout::{Layout, TOTALS};
use super::memory::{Memory, Part, Plain};
use super::ring::Ring;
use super::row::{Copied, Row};
use crate::primitives::atomic::{AtomicU64, Ordering};
use nexus_protocol::board::{Activity, task_word, token_word, total_word};
use nexus_protocol::ids::{Seq, Stamp};
use std::ops::Range;
use std::sync::Arc;

/// How often the totals are copied before they are taken as they come.
const ATTEMPTS: usize = 64;

/// In place of a number when nothing is put off.
const NOTHING: u64 = u64::MAX;

const POLLING_SHIFT: u32 = 60;

/// Which of the two tables.
#[derive(Clone, Copy)]
enum Which {
    Tokens,
    Tasks,
}

/// Rows at stable addresses.
#[derive(Clone)]
pub(crate) struct Table<const N: usize> {
    rows: Part<[Row<N>]>,
    words: Part<Words>,
    which: Which,
}

impl<const N: usize> Table<N> {
    fn within(
        memory: &Arc<Memory>,
        place: Range<usize>,
        words: &Part<Words>,
        which: Which,
    ) -> Self {
        // A page that is touched is used sooner or later in the ring, but hardly in the tables.
        memory.keep_small(place.clone());
        let rows = memory.slice(place.start, place.len() / size_of::<Row<N>>());
        Self { rows, words: words.clone(), which }
    }

    /// The place of a row, of zeros if it was never in use; `None` beyond the limit.
    #[inline]
    pub(crate) fn row(&self, index: usize) -> Option<&Row<N>> {
        self.rows.get(index)
    }

    /// The row, counted among those that were in use from now on; `None` beyond the limit. For the runtime thread.
    pub(crate) fn make(&self, index: usize) -> Option<&Row<N>> {
        let row = self.rows.get(index)?;
        let used = &self.words.used[self.which as usize];
        if index as u64 >= used.load(Ordering::Relaxed) {
            used.store(index as u64 + 1, Ordering::Release);
        }
        Some(row)
    }

    /// Marks rows of a copy as changing whose versions, when the original was looked at again, were others.
    pub(crate) fn confirm(&self, later: &Self) {
        for (row, again) in self.rows[..self.used()].iter().zip(later.rows.iter()) {
            row.confirm(again);
        }
    }

    /// How many rows were ever in use: those from here on are free.
    pub(crate) fn used(&self) -> usize {
        let used = self.words.used[self.which as usize].load(Ordering::Acquire);
        usize::try_from(used).map_or(self.rows.len(), |used| used.min(self.rows.len()))
    }

    /// Copies all rows that were ever in use, one after the other.
    pub(crate) fn copies(&self) -> impl Iterator<Item = Copied<N>> {
        self.rows[..self.used()].iter().map(Row::copy)
    }
}

/// Totals as other threads see them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TotalsCopy {
    /// The words, as in [`total_word`], with `RECORDED` filled in.
    pub(crate) words: [u64; total_word::COUNT],
    /// What the runtime thread does.
    pub(crate) activity: Activity,
    /// Since when, in ticks.
    pub(crate) since: Stamp,
}

/// The board of one runtime. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Board {
    words: Part<Words>,
    /// Tokens, by slot.
    pub(crate) tokens: Table<{ token_word::COUNT }>,
    /// Tasks, in no particular order.
    pub(crate) tasks: Table<{ task_word::COUNT }>,
}

/// What the board holds beside its rows.
#[repr(C)]
struct Words {
    now: Now,
    totals: [AtomicU64; total_word::COUNT],
    /// One more than the first record that the board does not take into account yet; zero if all that are committed are.
    put_off: AtomicU64,
    /// Wakes of finished tasks by other threads, added to by these.
    remote_dead: AtomicU64,
    /// Rows of each table that were ever in use.
    used: [AtomicU64; 2],
}

/// What the runtime thread is doing: changed at every poll and turn, so on a cache line of its own.
#[repr(C, align(64))]
struct Now {
    /// The activity's code from bit 60 up, its task below.
    activity: AtomicU64,
    since: AtomicU64,
}

// SAFETY: atomics, with padding between them that nobody reads.
unsafe impl Plain for Words {
    #[cfg(loom)]
    fn zeroed() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            now: Now { activity: zero(), since: zero() },
            totals: std::array::from_fn(|_| zero()),
            put_off: zero(),
            remote_dead: zero(),
            used: [zero(), zero()],
        }
    }
}

impl Board {
    /// The board in this memory.
    pub(crate) fn within(memory: &Arc<Memory>, layout: &Layout) -> Self {
        let words = memory.part(TOTALS);
        let tokens = Table::within(memory, layout.tokens(), &words, Which::Tokens);
        let tasks = Table::within(memory, layout.tasks(), &words, Which::Tasks);
        Self { words, tokens, tasks }
    }

    /// A board in memory of its own.
    #[cfg(test)]
    pub(crate) fn new(rows: usize) -> Self {
        let layout = Layout::new(0, rows, 0);
        Self::within(&Arc::new(Memory::private(layout.bytes()).unwrap()), &layout)
    }

    /// Says that the board stands at record `seq` until further notice: neither it nor the next ones change anything. For
    /// the runtime thread, between [`Ring::reserve`] and [`Ring::commit`] of that record.
    #[inline]
    pub(crate) fn put_off(&self, seq: Seq) {
        self.words.put_off.store(seq + 1, Ordering::Release);
    }

    /// Says that the board is up to date from now on. For the runtime thread, before it brings it up to date, between
    /// [`Ring::reserve`] and [`Ring::commit`] of some record.
    #[inline]
    pub(crate) fn put_off_nothing(&self) {
        self.words.put_off.store(0, Ordering::Release);
    }

    /// The record that the board stands at; [`NOTHING`] if nothing is put off.
    fn put_off_at(&self) -> u64 {
        self.words.put_off.load(Ordering::Acquire).wrapping_sub(1)
    }

    /// A total as it is. For the runtime thread.
    #[inline]
    pub(crate) fn total(&self, word: usize) -> u64 {
        self.words.totals[word].load(Ordering::Relaxed)
    }

    /// Changes a total. For the runtime thread, between [`Ring::reserve`] and [`Ring::commit`] of the record that
    /// tells of it, if there is one.
    #[inline]
    pub(crate) fn set_total(&self, word: usize, value: u64) {
        self.words.totals[word].store(value, Ordering::Release);
    }

    /// Adds to a total, as [`Board::set_total`].
    #[inline]
    pub(crate) fn add(&self, word: usize, amount: u64) {
        self.set_total(word, self.total(word).wrapping_add(amount));
    }

    /// Takes from a total, as [`Board::set_total`]; not below zero.
    #[inline]
    pub(crate) fn subtract(&self, word: usize, amount: u64) {
        self.set_total(word, self.total(word).saturating_sub(amount));
    }

    /// Counts a wake of a finished task by another thread. For any thread.
    pub(crate) fn count_remote_dead(&self) {
        self.words.remote_dead.fetch_add(1, Ordering::Relaxed);
    }

    /// Says what the runtime thread does from now on. For the runtime thread.
    #[inline]
    pub(crate) fn set_activity(&self, activity: Activity, since: Stamp) {
        let (code, task) = activity.words();
        self.words.now.since.store(since.0, Ordering::Release);
        self.words.now.activity.store(code << POLLING_SHIFT | task, Ordering::Release);
    }

    /// What the runtime thread does, and since when.
    pub(crate) fn activity(&self) -> (Activity, Stamp) {
        let mut seen = self.words.now.activity.load(Ordering::Acquire);
        for _ in 0..ATTEMPTS {
            let since = self.words.now.since.load(Ordering::Acquire);
            let again = self.words.now.activity.load(Ordering::Acquire);
            if seen == again {
                return (activity_from(seen), Stamp(since));
            }
            seen = again;
        }
        (activity_from(seen), Stamp(self.words.now.since.load(Ordering::Acquire)))
    }

    /// The first record that the board may not take into account yet: where one has to go on from a copy made later.
    pub(crate) fn stands_at(&self, ring: &Ring) -> Seq {
        let committed = ring.committed();
        committed.min(self.put_off_at())
    }

    /// Copies the totals. The ring's two indices serve as their sequence lock, since every change belongs to a record:
    /// if no record was begun during the copy, it is exact; likewise if the same records were put off before and after
    /// it, since totals change only when nothing is. Under a storm of records the bounded attempts may all
    /// fail; then some words are younger than `RECORDED` says, or older, by the few records of one attempt.
    pub(crate) fn totals(&self, ring: &Ring) -> TotalsCopy {
        for _ in 0..ATTEMPTS {
            let (copy, exact) = self.try_totals(ring);
            if exact {
                return copy;
            }
            std::hint::spin_loop();
        }
        self.try_totals(ring).0
    }

    fn try_totals(&self, ring: &Ring) -> (TotalsCopy, bool) {
        // First what is committed: whoever sees a record that is put off then sees that it is.
        let committed = ring.committed();
        let put_off = self.put_off_at();
        let recorded = if put_off == NOTHING { committed } else { put_off };
        let mut words = std::array::from_fn(|word| self.words.totals[word].load(Ordering::Acquire));
        let (activity, since) = self.activity();
        let unchanged = self.put_off_at() == put_off;
        let exact = unchanged && (put_off != NOTHING || ring.reserved() == committed);
        words[total_word::RECORDED] = recorded;
        let dead = self.words.remote_dead.load(Ordering::Relaxed);
        for word in [total_word::DEAD, total_word::REMOTE] {
            words[word] = words[word].wrapping_add(dead);
        }
        (TotalsCopy { words, activity, since }, exact)
    }
}

fn activity_from(word: u64) -> Activity {
    Activity::from_words(word >> POLLING_SHIFT, word & ((1 << POLLING_SHIFT) - 1))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use nexus_protocol::TaskId;

    #[test]
    fn a_table_has_places_up_to_its_limit() {
        let table = Board::new(600).tasks;
        let marked = |index: usize| table.row(index).map(|row| row.copy().words[1]);
        assert_eq!((marked(0), table.used(), table.copies().count()), (Some(0), 0, 0));
        table.make(3).unwrap().change(|words| words.set(1, 9));
        assert_eq!((marked(3), table.used(), table.copies().count()), (Some(9), 4, 4));
        assert!(table.make(599).is_some());
        assert!(table.make(600).is_none() && marked(600).is_none(), "beyond the limit");
        assert!(table.make(7).is_some());
        assert_eq!(table.copies().count(), 600);
    }

    #[test]
    fn tables_do_not_overlap() {
        let board = Board::new(300);
        (0..300).for_each(|index| {
            board.tokens.make(index).unwrap().change(|words| words.set(0, index as u64));
            board.tasks.make(index).unwrap().change(|words| words.set(0, 1000 + index as u64));
        });
        assert!(board.tokens.copies().map(|row| row.words[0]).eq(0..300));
        assert!(board.tasks.copies().map(|row| row.words[0]).eq(1000..1300));
    }

    #[test]
    fn a_table_without_rows_makes_none() {
        assert!(Board::new(0).tokens.make(0).is_none());
    }

    #[test]
    fn activity_keeps_its_task() {
        let board = Board::new(0);
        assert_eq!(board.activity(), (Activity::Outside, Stamp::NEVER));
        for activity in [Activity::Polling(TaskId::MAX), Activity::Parked, Activity::Turning] {
            board.set_activity(activity, Stamp(5));
            assert_eq!(board.activity(), (activity, Stamp(5)));
        }
    }

    #[test]
    fn totals_name_the_record_they_stand_at() {
        let (board, ring) = (Board::new(0), Ring::new(2));
        for seq in 0..3 {
            ring.reserve(seq);
            board.add(total_word::WAKES, 1);
            assert!(!board.try_totals(&ring).1, "a record is under way");
            ring.commit(seq);
        }
        board.count_remote_dead();
        let (copy, exact) = board.try_totals(&ring);
        assert!(exact);
        assert_eq!(copy.words[total_word::RECORDED], 3);
        assert_eq!(copy.words[total_word::WAKES], 3);
        assert_eq!((copy.words[total_word::DEAD], copy.words[total_word::REMOTE]), (1, 1));
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;

    /// A poll of two records: its start, which is put off, and its end, which changes a total.
    fn poll(board: &Board, ring: &Ring, start: Seq) {
        ring.reserve(start);
        board.put_off(start);
        ring.commit(start);
        ring.reserve(start + 1);
        board.put_off_nothing();
        board.add(total_word::POLLS, 1);
        ring.commit(start + 1);
    }

    /// A copy that says it is exact holds what the records before its place come to, wherever the writer is.
    #[test]
    fn loom_an_exact_copy_of_the_totals_is_exact() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(3));
        builder.check(|| {
            let shared = Arc::new((Board::new(0), Ring::new(2)));
            let other = Arc::clone(&shared);
            let writer = loom::thread::spawn(move || {
                poll(&other.0, &other.1, 0);
                poll(&other.0, &other.1, 2);
            });
            let (copy, exact) = shared.0.try_totals(&shared.1);
            let (recorded, polls) =
                (copy.words[total_word::RECORDED], copy.words[total_word::POLLS]);
            assert!(!exact || polls == recorded / 2, "{polls} polls at record {recorded}");
            assert!(shared.0.stands_at(&shared.1) >= recorded);
            writer.join().unwrap();
        });
    }

    /// The table grows while it is copied: a row is there as it was made, or is empty, or is marked.
    #[test]
    fn loom_a_reader_during_growth_finds_no_half_made_row() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = builder.preemption_bound.or(Some(3));
        builder.check(|| {
            let shared = Arc::new(Board::new(2));
            let other = Arc::clone(&shared);
            let writer = loom::thread::spawn(move || {
                for index in 0..2 {
                    let row = other.tasks.make(index).unwrap();
                    row.change(|words| (0..2).for_each(|word| words.set(word, 1 + index as u64)));
                }
            });
            let check = |is_over: bool| {
                let mut rows = 0;
                for (index, row) in shared.tasks.copies().enumerate() {
                    let made = 1 + index as u64;
                    let seen = (row.words[0], row.words[1]);
                    let is_whole = seen == (made, made) || !is_over && seen == (0, 0);
                    assert!(row.changing || is_whole, "row {index} is {seen:?}");
                    rows += 1;
                }
                assert!(rows <= 2 && (!is_over || rows == 2));
            };
            check(false);
            writer.join().unwrap();
            check(true);
        });
    }
}
