//! The part of a task's state that other threads touch: one packed word, and every change of it as a named transition.
//!
//! | bits | name | meaning |
//! | --- | --- | --- |
//! | 0 | `REMOTE` | another thread has woken the task, and no poll has begun since: it is on its way through the inbox, or has come from there to the run queue |
//! | 1 | `COMPLETE` | its future is gone; no poll will come |
//! | 8–63 | references | how many own the allocation |
//!
//! Wakes on the runtime's own thread don't come here: they set a plain flag (`Local::queued`), which is why most wakes and
//! polls make no atomic operation. Whoever turns `REMOTE` on has to put the task into the inbox, unless `COMPLETE` was on
//! already. An entry of the inbox is not a reference of its own: it lives on the registry's, which [`State::complete`]
//! hands over if it finds one. So a wake from another thread is a single read-modify-write.

use crate::primitives::atomic::{AtomicU64, Ordering};

const REMOTE: u64 = 1 << 0;
const COMPLETE: u64 = 1 << 1;
const REFERENCE: u64 = 1 << 8;

/// See the [module](self).
pub(crate) struct State(AtomicU64);

/// What a wake by another thread has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Wake {
    /// The task is now marked as woken: put it into the inbox.
    Enqueue,
    /// It was marked already.
    Redundant,
    /// It has ended.
    Dead,
}

impl State {
    /// The state of a new task that nobody has woken yet, with this many references.
    pub(crate) fn new(references: u64) -> Self {
        Self(AtomicU64::new(references * REFERENCE))
    }

    /// Another thread that holds a reference has fired the waker.
    ///
    /// Acquire and release, so that what the waker's thread did before happens before the poll that answers it, also if
    /// the wake is redundant.
    pub(crate) fn wake_remote(&self) -> Wake {
        let before = self.0.fetch_or(REMOTE, Ordering::AcqRel);
        if before & COMPLETE != 0 {
            Wake::Dead
        } else if before & REMOTE != 0 {
            Wake::Redundant
        } else {
            Wake::Enqueue
        }
    }

    /// The runtime thread is about to poll a task that has come through the inbox. Wakes by other threads from now on
    /// queue it again.
    pub(crate) fn answer_remote(&self) {
        let before = self.0.fetch_and(!REMOTE, Ordering::AcqRel);
        debug_assert!(before & REMOTE != 0, "a task from the inbox is marked as woken");
    }

    /// The runtime thread has dropped the future, or taken its result. Whether `REMOTE` was on.
    ///
    /// `owned` references are the runtime thread's own: if there are no more, no other thread knows the task, and plain
    /// loads and stores do.
    #[must_use]
    pub(crate) fn complete(&self, owned: u64) -> bool {
        // Acquire, to see all that those did who have given their references back.
        let alone = self.0.load(Ordering::Acquire) == owned * REFERENCE;
        let before = if alone {
            self.0.store((owned * REFERENCE) | COMPLETE, Ordering::Release);
            0
        } else {
            self.0.fetch_or(COMPLETE, Ordering::AcqRel)
        };
        debug_assert!(before & COMPLETE == 0, "a task ends once");
        before & REMOTE != 0
    }

    /// Whether the task has ended.
    #[inline]
    pub(crate) fn is_complete(&self) -> bool {
        self.0.load(Ordering::Acquire) & COMPLETE != 0
    }

    /// Whoever holds a reference takes another one.
    #[inline]
    pub(crate) fn reference(&self) {
        // Relaxed is enough: the new reference is made from one that keeps the allocation alive.
        let before = self.0.fetch_add(REFERENCE, Ordering::Relaxed);
        assert!(before < u64::MAX / 2, "too many wakers of one task");
    }

    /// Gives a reference of a task that has ended back, by plain loads and stores, if there are only `others` more and
    /// those are the runtime thread's own, so that no other thread can change the word meanwhile. `false` if there are
    /// more, and nothing has changed.
    #[inline]
    #[must_use]
    pub(crate) fn release_beside(&self, others: u64) -> bool {
        debug_assert!(others > 0, "the last one has to be released");
        // Acquire, and release, for the sake of whoever frees: this is a link of the chain of releases.
        let alone = self.0.load(Ordering::Acquire) == ((others + 1) * REFERENCE) | COMPLETE;
        if alone {
            self.0.store((others * REFERENCE) | COMPLETE, Ordering::Release);
        }
        alone
    }

    /// Gives a reference back. Whether it was the last one: then the caller frees the allocation.
    #[inline]
    #[must_use]
    pub(crate) fn release(&self) -> bool {
        // The only reference there is can be neither cloned nor given back by anybody else. Acquire, to see what those
        // did who gave theirs back before.
        if self.0.load(Ordering::Acquire) / REFERENCE == 1 {
            return true;
        }
        let before = self.0.fetch_sub(REFERENCE, Ordering::AcqRel);
        debug_assert!(before >= REFERENCE, "a reference is given back once");
        before / REFERENCE == 1
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_wake_from_elsewhere_queues_once_until_answered() {
        let state = State::new(1);
        assert_eq!(state.wake_remote(), Wake::Enqueue);
        assert_eq!(state.wake_remote(), Wake::Redundant);
        state.answer_remote();
        assert_eq!(state.wake_remote(), Wake::Enqueue);
    }

    #[test]
    fn the_end_tells_whether_an_entry_is_under_way() {
        let idle = State::new(2);
        assert!(!idle.complete(2));
        assert!(idle.is_complete());
        assert!(!idle.release());
        assert_eq!(idle.wake_remote(), Wake::Dead);
        assert!(idle.release());

        let woken = State::new(2);
        assert_eq!(woken.wake_remote(), Wake::Enqueue);
        assert!(woken.complete(1));
        assert_eq!(woken.wake_remote(), Wake::Dead);
        assert!(!woken.release());
        assert!(woken.release());
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
            assert_eq!(task.0.wake_remote(), Wake::Enqueue);
            let other = task.clone();
            let waker = thread::spawn(move || {
                other.1.store(1, Ordering::Relaxed);
                other.0.wake_remote() == Wake::Enqueue
            });
            task.0.answer_remote();
            let seen = task.1.load(Ordering::Relaxed);
            let requeued = waker.join().unwrap();
            assert!(seen == 1 || requeued, "the poll saw nothing and no further poll comes");
        });
    }

    /// When a wake races with the task's end, either both sides know of an entry in the inbox, or neither does.
    #[test]
    fn loom_both_sides_agree_on_the_entry_in_the_inbox() {
        loom::model(|| {
            let state = Arc::new(State::new(2));
            let other = state.clone();
            let waker = thread::spawn(move || (other.wake_remote(), other.release()));
            let entry = state.complete(1);
            let (wake, last) = waker.join().unwrap();
            assert_eq!(wake == Wake::Enqueue, entry);
            assert_eq!(wake == Wake::Dead, !entry);
            assert!(!last);
            assert!(state.release(), "nothing else holds the task");
        });
    }

    /// A waker is given back elsewhere while the task ends: exactly one side is the last, and what the other thread
    /// wrote before is seen by whoever frees.
    #[test]
    fn loom_one_side_frees_and_sees_everything() {
        loom::model(|| {
            let task = Arc::new((State::new(2), AtomicUsize::new(0)));
            let other = task.clone();
            let waker = thread::spawn(move || {
                other.1.store(1, Ordering::Relaxed);
                other.0.release()
            });
            let entry = task.0.complete(1);
            assert!(!entry);
            let last = task.0.release();
            if last {
                assert_eq!(task.1.load(Ordering::Relaxed), 1, "freed before the last use was seen");
            }
            assert!(last ^ waker.join().unwrap(), "freed once");
        });
    }
}
