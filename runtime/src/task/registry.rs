//! All tasks of a runtime that have not ended.
//!
//! The registry's reference is the one that keeps a task alive while nobody else knows it, and the one that a queue
//! entry lives on.

use super::cell::{Entry, TaskRef};
use nexus_protocol::TaskId;

/// Where a task is in the registry, and which one it is, since places are used again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// `usize::MAX` for a root, which is in no registry.
    pub(super) key: usize,
    pub(super) task: TaskId,
    pub(super) entry: Entry,
}

impl Place {
    /// Which task it is, wherever it is.
    #[inline]
    pub(crate) fn id(self) -> (TaskId, Entry) {
        (self.task, self.entry)
    }
}

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Registry {
    tasks: slab::Slab<TaskRef>,
}

impl Registry {
    /// Adds a task and tells it its place.
    pub(super) fn add(&mut self, task: TaskRef) {
        let entry = self.tasks.vacant_entry();
        task.header().local.key.set(entry.key());
        entry.insert(task);
    }

    /// Hands the registry's reference to a task out, as the task ends.
    pub(super) fn remove(&mut self, key: usize) -> TaskRef {
        self.tasks.remove(key)
    }

    /// The task at this place, if it is still that one.
    #[inline]
    pub(crate) fn get(&self, place: Place) -> Option<Entry> {
        let task = self.tasks.get(place.key)?;
        (task.header().local.id == place.task).then(|| task.entry())
    }

    /// The first task at this place or behind it, with its place.
    pub(super) fn from(&self, key: usize) -> Option<(usize, Entry)> {
        // `capacity` bounds the places, used or not.
        let mut places = key..self.tasks.capacity();
        places.find_map(|key| self.tasks.get(key).map(|task| (key, task.entry())))
    }

    /// How many tasks there are.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }
}
