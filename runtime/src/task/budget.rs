//! How much one poll may do.
//!
//! A task whose sockets, channels and timers are always ready never has a reason to return pending, and would keep all
//! others and the kernel waiting. So each poll has a budget of operations that may complete; when it is spent, the next
//! operation returns pending, and wakes the task as an explicit yield would. The idea is tokio's cooperative scheduling.

use std::cell::Cell;

/// See the [module](self).
pub(crate) struct Budget {
    full: u32,
    left: Cell<u32>,
}

impl Budget {
    /// A budget of this many operations a poll.
    pub(crate) fn new(full: u32) -> Self {
        Self { full, left: Cell::new(u32::MAX) }
    }

    /// A poll begins.
    #[inline]
    pub(super) fn refill(&self) {
        self.left.set(self.full);
    }

    /// The poll is over. What is done outside of one, in a drop for example, is not limited.
    #[inline]
    pub(super) fn lift(&self) {
        self.left.set(u32::MAX);
    }

    /// An operation has completed.
    #[inline]
    pub(crate) fn spend(&self) {
        self.left.set(self.left.get().saturating_sub(1));
    }

    /// Whether the poll under way has had its share.
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        self.left.get() == 0
    }
}
