//! Which of many moments comes first: a heap that can also take out, or move, any of its entries.
//!
//! Knows moments and indices, nothing of clocks, timers or wakers. Moments are plain numbers, compared exactly; of equal
//! ones the first to be set comes first.
//!
//! Each entry has an index, chosen by the owner from a dense range, and `places` says where in the heap it is, so that
//! any entry is found in O(1) and taken out or moved in O(log n).
//!
//! What it costs is waiting for memory and guessing wrong at branches, so:
//! - an entry is one number, and which of several is the least is found without a branch;
//! - a node has four children, which lie in one cache line together. The root has a line of its own, in the last of its
//!   places, so that the children of place `p` are the line `p - 2`;
//! - places without an entry hold the greatest number there is, so that a line needs no length.

/// See the [module](self).
#[derive(Debug, Default)]
pub(super) struct Heap {
    lines: Vec<Line>,
    len: usize,
    /// Of each index: its place, if it is in the heap.
    places: Vec<u32>,
    /// Moments set since orders were last renewed.
    settings: u32,
}

/// A moment, the order among equal ones, and the index, from the highest bits to the lowest: 64, 32, 32.
type Entry = u128;

const NOTHING: Entry = Entry::MAX;

#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line([Entry; CHILDREN]);

const CHILDREN: usize = 4;
const ROOT: usize = CHILDREN - 1;

#[inline]
fn entry(at: u64, order: u32, index: u32) -> Entry {
    Entry::from(at) << 64 | Entry::from(order) << 32 | Entry::from(index)
}

#[inline]
fn at_of(entry: Entry) -> u64 {
    (entry >> 64) as u64
}

#[inline]
fn index_of(entry: Entry) -> u32 {
    entry as u32
}

impl Heap {
    /// The first moment, and the index that has it.
    #[inline]
    pub(super) fn first(&self) -> Option<(u64, u32)> {
        let first = self.lines.first()?.0[ROOT];
        (first != NOTHING).then_some((at_of(first), index_of(first)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an index that is not there. Must be below `u32::MAX`.
    pub(super) fn insert(&mut self, index: u32, at: u64) {
        let needed = index as usize + 1;
        if self.places.len() < needed {
            self.places.resize(needed, u32::MAX);
        }
        let entry = entry(at, self.next_order(), index);
        let place = ROOT + self.len;
        if place / CHILDREN == self.lines.len() {
            self.lines.push(Line([NOTHING; CHILDREN]));
        }
        self.len += 1;
        self.rise(place, entry);
    }

    /// Gives an index that is there another moment. Among equal ones it becomes the last.
    pub(super) fn change(&mut self, index: u32, at: u64) {
        let entry = entry(at, self.next_order(), index);
        self.settle(self.places[index as usize] as usize, entry);
    }

    /// Takes out an index that is there.
    pub(super) fn remove(&mut self, index: u32) {
        let place = self.places[index as usize] as usize;
        debug_assert_eq!(index_of(self.get(place)), index);
        self.len -= 1;
        let end = ROOT + self.len;
        let last = self.get(end);
        self.lines[end / CHILDREN].0[end % CHILDREN] = NOTHING;
        if place == end {
            return;
        }
        if place == ROOT {
            self.refill_root(last);
        } else {
            self.settle(place, last);
        }
    }

    #[inline]
    fn next_order(&mut self) -> u32 {
        if self.settings == u32::MAX {
            self.renew_orders();
        }
        self.settings += 1;
        self.settings
    }

    /// Numbers the entries from one, in the order in which they come. Sorted, they are a heap as well.
    #[cold]
    fn renew_orders(&mut self) {
        let mut entries: Vec<Entry> =
            (ROOT..ROOT + self.len).map(|place| self.get(place)).collect();
        entries.sort_unstable();
        self.settings = 0;
        for (place, old) in (ROOT..).zip(entries) {
            self.settings += 1;
            self.put(place, entry(at_of(old), self.settings, index_of(old)));
        }
    }

    #[inline]
    fn get(&self, place: usize) -> Entry {
        self.lines[place / CHILDREN].0[place % CHILDREN]
    }

    #[inline]
    fn put(&mut self, place: usize, entry: Entry) {
        self.lines[place / CHILDREN].0[place % CHILDREN] = entry;
        self.places[index_of(entry) as usize] = place as u32;
    }

    #[inline]
    fn parent(place: usize) -> usize {
        place / CHILDREN + 2
    }

    /// The least child and its place, if there is any.
    #[inline]
    fn first_child(&self, place: usize) -> Option<(usize, Entry)> {
        let line = place - 2;
        let Line([a, b, c, d]) = *self.lines.get(line)?;
        let (left, left_place) = if b < a { (b, 1) } else { (a, 0) };
        let (right, right_place) = if d < c { (d, 3) } else { (c, 2) };
        let (least, at) = if right < left { (right, right_place) } else { (left, left_place) };
        (least != NOTHING).then_some((line * CHILDREN + at, least))
    }

    /// Puts an entry into the heap, at this place or where it belongs above or below.
    fn settle(&mut self, place: usize, entry: Entry) {
        if place > ROOT && entry < self.get(Self::parent(place)) {
            self.rise(place, entry);
        } else {
            self.sink(place, entry);
        }
    }

    /// Puts an entry into the heap, at this place or above.
    fn rise(&mut self, mut place: usize, entry: Entry) {
        while place > ROOT {
            let parent = Self::parent(place);
            let above = self.get(parent);
            if above < entry {
                break;
            }
            self.put(place, above);
            place = parent;
        }
        self.put(place, entry);
    }

    /// Puts an entry into the heap, at this place or below.
    fn sink(&mut self, mut place: usize, entry: Entry) {
        while let Some((child, below)) = self.first_child(place) {
            if entry < below {
                break;
            }
            self.put(place, below);
            place = child;
        }
        self.put(place, entry);
    }

    /// Fills the root's place, with `last` taken from the end. Since that belongs near the leaves, almost surely, the gap
    /// is moved down there without comparing to it.
    fn refill_root(&mut self, last: Entry) {
        let mut gap = ROOT;
        while let Some((child, below)) = self.first_child(gap) {
            self.put(gap, below);
            gap = child;
        }
        self.rise(gap, last);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Heap {
        fn check(&self) {
            let end = ROOT + self.len;
            for place in ROOT..end {
                let entry = self.get(place);
                assert_ne!(entry, NOTHING);
                assert_eq!(self.places[index_of(entry) as usize] as usize, place);
                if place > ROOT {
                    assert!(
                        self.get(Self::parent(place)) < entry,
                        "a child comes before its parent"
                    );
                }
            }
            for place in (0..ROOT).chain(end..self.lines.len() * CHILDREN) {
                assert!(self.lines.is_empty() || self.get(place) == NOTHING);
            }
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(u32, u64),
        Remove(u32),
        Pop,
    }

    fn step() -> impl Strategy<Value = Step> {
        // Few indices and few moments, so that steps meet, and moments are equal.
        let at = prop_oneof![4 => 0..20_u64, 1 => any::<u64>()];
        prop_oneof![
            5 => (0..64_u32, at).prop_map(|(index, at)| Step::Set(index, at)),
            1 => (0..64_u32).prop_map(Step::Remove),
            2 => Just(Step::Pop),
        ]
    }

    proptest! {
        /// Against a list that is searched from end to end.
        #[test]
        fn the_first_is_the_earliest_and_of_equals_the_one_set_first(
            steps in proptest::collection::vec(step(), 0..400),
            settings in prop_oneof![Just(0), (u32::MAX - 400)..=u32::MAX],
        ) {
            // So that in some runs the orders are used up on the way.
            let mut heap = Heap { settings, ..Heap::default() };
            let mut list: Vec<(u64, u32)> = Vec::new();
            for step in steps {
                match step {
                    Step::Set(index, at) => {
                        let before = list.len();
                        list.retain(|&(_, other)| other != index);
                        if list.len() < before { heap.change(index, at) } else { heap.insert(index, at) }
                        list.push((at, index));
                    }
                    Step::Remove(index) if list.iter().any(|&(_, other)| other == index) => {
                        list.retain(|&(_, other)| other != index);
                        heap.remove(index);
                    }
                    Step::Remove(_) => {}
                    Step::Pop => {
                        if let Some((at, index)) = heap.first() {
                            heap.remove(index);
                            list.retain(|&entry| entry != (at, index));
                        }
                    }
                }
                heap.check();
                // `min_by_key` takes the first of equals.
                prop_assert_eq!(heap.first(), list.iter().copied().min_by_key(|&(at, _)| at));
                prop_assert_eq!(heap.is_empty(), list.is_empty());
            }
        }
    }
}
