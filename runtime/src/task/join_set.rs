//! Many tasks, awaited in the order in which they end.

use super::join::{JoinError, JoinHandle};
use super::{TaskId, spawn_on};
use crate::context;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Spawned tasks of one output type, whose results come in the order in which they end.
///
/// Adding a task and taking a result are O(1). Dropping the set ends all tasks that are still in it.
///
/// # Examples
///
/// ```
/// use nexus_runtime::task::JoinSet;
/// use nexus_runtime::time::sleep;
/// use std::time::Duration;
///
/// nexus_runtime::Runtime::new()?.block_on(async {
///     let mut set = JoinSet::new();
///     for ms in [20, 1] {
///         set.spawn(async move {
///             sleep(Duration::from_millis(ms)).await;
///             ms
///         });
///     }
///     assert_eq!(set.join_next().await.unwrap().unwrap(), 1);
///     assert_eq!(set.join_next().await.unwrap().unwrap(), 20);
///     assert!(set.join_next().await.is_none());
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct JoinSet<T> {
    tasks: Slab<JoinHandle<T>>,
    finished: Rc<Finished>,
}

/// What the tasks of a set leave for it when they end.
#[derive(Default)]
pub(super) struct Finished {
    /// Their keys, oldest end first.
    keys: RefCell<VecDeque<usize>>,
    waiter: Cell<Option<Waker>>,
}

/// A task's place in its set.
pub(super) struct Membership {
    set: Rc<Finished>,
    key: usize,
}

impl Membership {
    /// The task has ended. The waker, if somebody waits for that.
    pub(super) fn finished(&self) -> Option<Waker> {
        self.set.keys.borrow_mut().push_back(self.key);
        self.set.waiter.take()
    }
}

impl<T: 'static> JoinSet<T> {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self { tasks: Slab::new(), finished: Rc::default() }
    }

    /// Spawns a task of the current runtime and adds it.
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    #[track_caller]
    pub fn spawn(&mut self, future: impl Future<Output = T> + 'static) -> TaskId {
        let location = Location::caller();
        self.add(context::with(|core| spawn_on(core, future, location, None)))
    }

    /// Adds a task that was spawned in another way, such as with [`Builder`](super::Builder).
    pub fn add(&mut self, handle: JoinHandle<T>) -> TaskId {
        let id = handle.id();
        let entry = self.tasks.vacant_entry();
        let membership = Membership { set: Rc::clone(&self.finished), key: entry.key() };
        let waiter = handle.join_set(membership);
        entry.insert(handle);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        id
    }

    /// How many tasks are in the set, those that have ended and were not taken included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there is no task in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits for the next task that ends, and takes it out. `None` if the set is empty.
    ///
    /// Nothing is lost if the wait is dropped.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        /// Leaves no waker behind when it is dropped.
        struct Wait<'a, T>(&'a mut JoinSet<T>);
        impl<T> Drop for Wait<'_, T> {
            fn drop(&mut self) {
                drop(self.0.finished.waiter.take());
            }
        }
        let wait = Wait(self);
        poll_fn(|cx| wait.0.poll_join_next(cx)).await
    }

    /// Like [`JoinSet::join_next`], for futures written by hand. The waker of the last call is the one that is fired.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        if self.tasks.is_empty() {
            return Poll::Ready(None);
        }
        match self.try_join_next() {
            Some(result) => Poll::Ready(Some(result)),
            None => {
                self.finished.waiter.set(Some(cx.waker().clone()));
                Poll::Pending
            }
        }
    }

    /// Takes a task out that has ended, if there is one.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        let key = self.finished.keys.borrow_mut().pop_front()?;
        Some(self.tasks.remove(key).into_result())
    }

    /// Asks all tasks to end; each yields an error, unless it has ended by itself.
    pub fn abort_all(&mut self) {
        self.tasks.iter().for_each(|(_, task)| task.abort());
    }

    /// Ends all tasks, and waits until they have.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Waits for all tasks, and returns their outputs in the order in which they ended.
    ///
    /// # Panics
    ///
    /// With the panic of a task that has panicked, and if one was aborted.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut outputs = Vec::with_capacity(self.len());
        while let Some(result) = self.join_next().await {
            match result {
                Ok(output) => outputs.push(output),
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    Err(error) => panic!("{error}"),
                },
            }
        }
        outputs
    }

    /// Lets go of all tasks: they run on by themselves.
    pub fn detach_all(&mut self) {
        self.tasks.clear();
        self.finished.keys.borrow_mut().clear();
    }
}

impl<T: 'static> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.tasks.iter().for_each(|(_, task)| task.abort());
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.tasks.len()).finish_non_exhaustive()
    }
}

impl<T: 'static> Extend<JoinHandle<T>> for JoinSet<T> {
    fn extend<I: IntoIterator<Item = JoinHandle<T>>>(&mut self, handles: I) {
        handles.into_iter().for_each(|handle| {
            self.add(handle);
        });
    }
}
