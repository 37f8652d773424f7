//! All tasks of a runtime that have not ended.
//!
//! The registry's reference is the one that keeps a task alive while nobody else knows it, and the one that a queue
//! entry lives on.

use super::cell::{Entry, TaskRef};

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

    /// Any one of the tasks.
    pub(super) fn any(&self) -> Option<Entry> {
        self.tasks.iter().next().map(|(_, task)| task.entry())
    }

    /// How many tasks there are.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }
}
