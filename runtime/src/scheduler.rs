//! The run queue of the runtime thread, and the part of a runtime that other threads may touch.
//!
//! Knows tasks as queue entries only; who they are and what polling them means is the business of [`task`](crate::task).

pub(crate) mod inbox;
pub(crate) mod parker;

use crate::io::bell::Bell;
use crate::record::RemoteProbe;
use crate::task::Header;
use inbox::Inbox;
use parker::Parker;
use std::ptr::NonNull;

/// What wakers on other threads need of a runtime. Outlives the runtime for as long as a waker does.
pub(crate) struct Shared {
    pub(crate) inbox: Inbox<Header>,
    pub(crate) parker: Parker,
    pub(crate) remote: RemoteProbe,
    bell: Bell,
}

impl Shared {
    pub(crate) fn new(bell: Bell, remote: RemoteProbe) -> Self {
        Self { inbox: Inbox::new(), parker: Parker::new(), remote, bell }
    }

    /// Queues a task from a thread that is not inside the runtime. `false` if the runtime is gone: then the caller has
    /// inherited the entry's reference.
    ///
    /// # Safety
    ///
    /// The caller has turned the task's `REMOTE` bit on.
    pub(crate) unsafe fn queue_remote(&self, task: NonNull<Header>) -> bool {
        // SAFETY: the registry's reference, or the one handed over by `State::complete`, keeps a queued task allocated
        // until it is dequeued, and the bit makes sure that it is in one queue only.
        if unsafe { self.inbox.push(task) }.is_err() {
            return false;
        }
        if self.parker.notify()
            && let Err(error) = self.bell.ring()
        {
            // An eventfd refuses only when its counter is full, and then the loop wakes anyway.
            tracing::error!(target: "nexus::runtime", %error, "cannot wake the runtime thread");
        }
        true
    }
}
