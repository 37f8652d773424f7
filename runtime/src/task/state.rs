//! The state of a task: one packed word, and every change of it as a named transition.
//!
//! | bits | name | meaning |
//! | --- | --- | --- |
//! | 0 | `QUEUED` | the task is in the run queue or in the inbox, or is being put there |
//! | 1 | `COMPLETE` | its future is gone; no poll will come |
//! | 8–63 | references | how many own the allocation |
//!
//! Whoever turns `QUEUED` on has to put the task into a queue, unless `COMPLETE` was on already. The entry of a queue is
//! not a reference of its own: it lives on the registry's, which [`State::complete`] hands over to the entry if there
//! is one at that moment. So a wake is a single read-modify-write.

use crate::primitives::atomic::{AtomicU64, Ordering};

const QUEUED: u64 = 1 << 0;
const COMPLETE: u64 = 1 << 1;
const REFERENCE: u64 = 1 << 8;

/// See the [module](self).
pub(crate) struct State(AtomicU64);

/// What a wake has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Wake {
    /// The task is now marked as queued: put it into a queue.
    Enqueue,
    /// It was queued already.
    Redundant,
    /// It has ended.
    Dead,
}

/// What to do with a task taken from a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Dequeue {
    /// Poll it.
    Poll,
    /// It ended while it was queued: drop the reference that the entry has inherited.
    Release,
}

/// Who has the registry's reference after a task has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Complete {
    /// The caller: drop it.
    Release,
    /// The entry in a queue.
    HandedOver,
}

impl State {
    /// The state of a new task that nobody has woken yet, with this many references.
    pub(crate) fn new(references: u64) -> Self {
        Self(AtomicU64::new(references * REFERENCE))
    }

    /// Any thread that holds a reference: the waker was fired.
    ///
    /// Acquire and release, so that what the waker's thread did before happens before the poll that answers it, also if
    /// the wake is redundant.
    pub(crate) fn wake(&self) -> Wake {
        let before = self.0.fetch_or(QUEUED, Ordering::AcqRel);
        if before & COMPLETE != 0 {
            Wake::Dead
        } else if before & QUEUED != 0 {
            Wake::Redundant
        } else {
            Wake::Enqueue
        }
    }

    /// The runtime thread has taken the task from a queue. Wakes from now on queue it again.
    pub(crate) fn dequeue(&self) -> Dequeue {
        let before = self.0.fetch_and(!QUEUED, Ordering::AcqRel);
        debug_assert!(before & QUEUED != 0, "a task in a queue is marked as queued");
        if before & COMPLETE != 0 { Dequeue::Release } else { Dequeue::Poll }
    }

    /// The runtime thread has dropped the future, or taken its result.
    pub(crate) fn complete(&self) -> Complete {
        let before = self.0.fetch_or(COMPLETE, Ordering::AcqRel);
        debug_assert!(before & COMPLETE == 0, "a task ends once");
        if before & QUEUED != 0 { Complete::HandedOver } else { Complete::Release }
    }

    /// Whether the task has ended.
    pub(crate) fn is_complete(&self) -> bool {
        self.0.load(Ordering::Acquire) & COMPLETE != 0
    }

    /// Whoever holds a reference takes another one.
    pub(crate) fn reference(&self) {
        // Relaxed is enough: the new reference is made from one that keeps the allocation alive.
        let before = self.0.fetch_add(REFERENCE, Ordering::Relaxed);
        assert!(before < u64::MAX / 2, "too many wakers of one task");
    }

    /// Gives a reference back. Whether it was the last one: then the caller frees the allocation.
    #[must_use]
    pub(crate) fn release(&self) -> bool {
        let before = self.0.fetch_sub(REFERENCE, Ordering::AcqRel);
        debug_assert!(before >= REFERENCE, "a reference is given back once");
        before / REFERENCE == 1
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_wake_queues_once_until_dequeued() {
        let state = State::new(1);
        assert_eq!(state.wake(), Wake::Enqueue);
        assert_eq!(state.wake(), Wake::Redundant);
        assert_eq!(state.dequeue(), Dequeue::Poll);
        assert_eq!(state.wake(), Wake::Enqueue);
    }

    #[test]
    fn the_registrys_reference_goes_to_the_queue_entry_if_there_is_one() {
        let idle = State::new(2);
        assert_eq!(idle.complete(), Complete::Release);
        assert!(!idle.release());
        assert_eq!(idle.wake(), Wake::Dead);
        assert!(idle.release());

        let queued = State::new(1);
        assert_eq!(queued.wake(), Wake::Enqueue);
        assert_eq!(queued.complete(), Complete::HandedOver);
        assert_eq!(queued.wake(), Wake::Dead);
        assert_eq!(queued.dequeue(), Dequeue::Release);
        assert!(queued.release());
    }
}

#[cfg(all(test, loom))]
mod loom_models {
    use super::*;
    use crate::primitives::atomic::AtomicUsize;
    use loom::sync::Arc;
    use loom::thread;

    /// A wake that races with a poll is never lost: the value it published is seen by that poll, or a further poll
    /// comes.
    #[test]
    fn loom_a_wake_is_never_lost() {
        loom::model(|| {
            let task = Arc::new((State::new(2), AtomicUsize::new(0)));
            assert_eq!(task.0.wake(), Wake::Enqueue);
            let other = task.clone();
            let waker = thread::spawn(move || {
                other.1.store(1, Ordering::Relaxed);
                other.0.wake() == Wake::Enqueue
            });
            assert_eq!(task.0.dequeue(), Dequeue::Poll);
            let seen = task.1.load(Ordering::Relaxed);
            let requeued = waker.join().unwrap();
            assert!(seen == 1 || requeued, "the poll saw nothing and no further poll comes");
        });
    }

    /// When a wake races with the task's end, its registry reference is given back exactly once.
    #[test]
    fn loom_one_side_gets_the_registrys_reference() {
        loom::model(|| {
            let state = Arc::new(State::new(2));
            let other = state.clone();
            let waker = thread::spawn(move || {
                let wake = other.wake();
                // The entry, once queued, is taken out by someone; here at once, by the waker's thread.
                let inherited = wake == Wake::Enqueue && other.dequeue() == Dequeue::Release;
                (inherited, other.release())
            });
            let released = state.complete() == Complete::Release;
            let (inherited, last) = waker.join().unwrap();
            // An entry dequeued before the end was no heir, and then the end itself releases.
            assert!(released ^ inherited, "exactly one of the two has the reference");
            assert!(!last);
            assert!(state.release(), "nothing else holds the task");
        });
    }
}
