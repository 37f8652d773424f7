//! Who is to be woken when a task ends.
//!
//! As a rule that is another task of the same runtime. Its place in the registry is enough to find it then, or to find
//! that it has ended, which saves both sides the atomic operations of a waker's reference.

use super::cell::Entry;
use super::registry::Place;
use super::{wake_contained, waker};
use crate::runtime::Core;
use crate::scheduler::Shared;
use std::task::Waker;

/// See the [module](self).
pub(super) enum Sleeper {
    /// A task of the same runtime.
    Own(Place),
    /// Any other waker.
    Other(Waker),
}

impl Sleeper {
    /// The one whom this waker wakes, as seen from a task of the runtime with this shared part, on its thread. Foreign code
    /// runs only if the waker is foreign.
    #[inline]
    pub(super) fn of(waker: &Waker, shared: &Shared) -> Self {
        match own_place(waker, shared) {
            Some(place) => Self::Own(place),
            None => Self::Other(waker.clone()),
        }
    }

    /// Whether this waker would wake the same one.
    #[inline]
    pub(super) fn is_woken_by(&self, waker: &Waker, shared: &Shared) -> bool {
        match self {
            Self::Own(place) => own_place(waker, shared).as_ref() == Some(place),
            Self::Other(own) => own.will_wake(waker),
        }
    }

    /// Wakes, on the runtime's thread.
    #[inline]
    pub(super) fn wake(self, core: &Core) {
        match self {
            Self::Own(place) => {
                if let Some(entry) = core.find_task(place) {
                    // SAFETY: found, so it has not ended, and the registry or the root holds a reference.
                    unsafe { entry.wake_local(core) };
                }
            }
            Self::Other(waker) => wake_contained(waker),
        }
    }
}

/// The place of the task that the waker wakes, if it is one of the runtime with this shared part.
#[inline]
fn own_place(waker: &Waker, shared: &Shared) -> Option<Place> {
    let entry = Entry(waker::task_of(waker)?);
    // SAFETY: the waker that is borrowed holds a reference.
    let header = unsafe { entry.header() };
    std::ptr::eq(&*header.shared, shared).then(|| Place {
        key: header.local.key.get(),
        task: header.local.id,
        entry,
    })
}
