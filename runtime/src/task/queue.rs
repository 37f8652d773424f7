//! The run queue: tasks that are to be polled, oldest wake first.
//!
//! They are linked through their headers, so that queueing allocates nothing and touches little memory that the next poll
//! does not need anyway.

use super::cell::{Entry, Queued};
use std::cell::Cell;

/// See the [module](self).
#[derive(Default)]
pub(crate) struct RunQueue {
    first: Cell<Option<Entry>>,
    last: Cell<Option<Entry>>,
    len: Cell<usize>,
}

impl RunQueue {
    /// Adds a task at the end, and notes in it how it has come here.
    ///
    /// # Safety
    ///
    /// Runtime thread; the task is not in the queue (its `Local::queued` says so), and stays allocated until it has been
    /// popped: see `cell` for what takes care of that.
    #[inline]
    pub(super) unsafe fn push(&self, entry: Entry, how: Queued) {
        // SAFETY: by the caller's word.
        unsafe { entry.header() }.local.queued.set(how);
        match self.last.replace(Some(entry)) {
            // SAFETY: in the queue, so allocated, by the word of whoever pushed it.
            Some(last) => unsafe { last.header() }.local.next.set(Some(entry)),
            None => self.first.set(Some(entry)),
        }
        self.len.set(self.len.get() + 1);
    }

    /// Takes the first task out. To be followed by [`Entry::dequeue`].
    #[inline]
    pub(crate) fn pop(&self) -> Option<Entry> {
        let first = self.first.get()?;
        // SAFETY: in the queue, so allocated, by the word of whoever pushed it.
        let next = unsafe { first.header() }.local.next.take();
        self.first.set(next);
        if next.is_none() {
            self.last.set(None);
        }
        self.len.set(self.len.get() - 1);
        Some(first)
    }

    /// How many tasks are queued.
    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    /// Whether there is nothing to poll.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.get().is_none()
    }
}
