//! Which runtime this thread is inside of, and which ones live on it.
//!
//! Handles and futures hold ids; this is where an id becomes a runtime, or turns out to be of one that is gone. That is
//! why nothing dangles when a handle outlives its runtime.

use crate::primitives::per_thread;
use crate::record::Through;
use crate::runtime::Core;
use crate::scheduler::Shared;
use nexus_protocol::RuntimeId;
use nexus_protocol::event::Cause;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

per_thread! {
    /// The runtime whose `block_on` (or drop) this thread is inside of. Set by [`Enter`] only.
    static CURRENT: Cell<*const Core> = const { Cell::new(ptr::null()) };
    /// The runtimes that were built on this thread and not dropped.
    static LIVE: RefCell<Vec<Rc<Core>>> = const { RefCell::new(Vec::new()) };
    /// Through what this thread wakes tasks of other threads right now, as [`Through::word`].
    static THROUGH: Cell<u64> = const { Cell::new(0) };
}

/// While this lives, the thread is inside the runtime.
pub(crate) struct Enter<'a> {
    outer: *const Core,
    inner: PhantomData<&'a Rc<Core>>,
}

/// Enters a runtime.
pub(crate) fn enter(core: &Rc<Core>) -> Enter<'_> {
    let core = Rc::as_ptr(core);
    Enter { outer: CURRENT.with(|current| current.replace(core)), inner: PhantomData }
}

impl Drop for Enter<'_> {
    fn drop(&mut self) {
        CURRENT.with(|current| current.set(self.outer));
    }
}

/// The runtime whose `block_on` this thread is inside of, or null.
#[inline]
fn current() -> *const Core {
    CURRENT.with(Cell::get)
}

/// Whether this thread is inside a runtime.
pub(crate) fn is_entered() -> bool {
    !current().is_null()
}

/// Calls `body` with the runtime this thread is inside of, if it is inside of one.
#[inline]
pub(crate) fn try_with<R>(body: impl FnOnce(&Core) -> R) -> Option<R> {
    // SAFETY: the pointer is null or was set by an `Enter` that still lives, since those are made and dropped in nested
    // order, and that borrows an `Rc` of the core.
    unsafe { current().as_ref() }.map(body)
}

/// Calls `body` with the runtime this thread is inside of.
///
/// # Panics
///
/// If there is none.
#[inline]
#[track_caller]
pub(crate) fn with<R>(body: impl FnOnce(&Core) -> R) -> R {
    match try_with(body) {
        Some(result) => result,
        None => panic!("called outside Runtime::block_on"),
    }
}

/// Calls `body` with the runtime this thread is inside of, if it is the one with this shared part.
#[inline]
pub(crate) fn with_shared<R>(shared: &Arc<Shared>, body: impl FnOnce(&Core) -> R) -> Option<R> {
    try_with(|core| Arc::ptr_eq(&core.shared, shared).then(|| body(core))).flatten()
}

/// A task that was freed does not need its reference to the shared part any more. On the runtime's thread, the next task
/// takes it over, which saves both of them an atomic operation.
#[inline]
pub(crate) fn give_back_shared(shared: Arc<Shared>) {
    // SAFETY: as in `try_with`.
    match unsafe { current().as_ref() } {
        Some(core) if Arc::ptr_eq(&core.shared, &shared) => core.keep_shared(shared),
        _ => drop(shared),
    }
}

/// Calls `body` with the runtime that has this id, whether the thread is inside of it or not. `None` if it is gone, or
/// lives on another thread.
#[inline]
pub(crate) fn with_runtime<R>(id: RuntimeId, body: impl FnOnce(&Core) -> R) -> Option<R> {
    // SAFETY: as in `try_with`.
    if let Some(core) = unsafe { current().as_ref() }
        && core.id == id
    {
        return Some(body(core));
    }
    let find =
        |live: &RefCell<Vec<Rc<Core>>>| live.borrow().iter().find(|core| core.id == id).cloned();
    let core = LIVE.try_with(find).ok().flatten()?;
    Some(body(&core))
}

/// Runs `body` with all wakes in it attributed to `cause`, if the thread is inside a runtime.
#[inline]
pub(crate) fn with_cause<R>(cause: Cause, body: impl FnOnce() -> R) -> R {
    // SAFETY: as in `try_with`.
    match unsafe { current().as_ref() } {
        Some(core) => core.recorder.with_cause(cause, body),
        None => body(),
    }
}

/// Runs `body`, which fires wakers that wait for a primitive of ours, or for a shutdown: the wakes are attributed to
/// it, also if the tasks are those of another thread.
pub(crate) fn with_through<R>(through: Through, body: impl FnOnce() -> R) -> R {
    if !cfg!(feature = "recorder") {
        return body();
    }
    /// Restores the word also if `body` panics.
    struct Restore(u64);
    impl Drop for Restore {
        fn drop(&mut self) {
            THROUGH.with(|word| word.set(self.0));
        }
    }
    let _restore = Restore(THROUGH.with(|word| word.replace(through.word())));
    if is_entered() { with(|core| core.recorder.with_through(through, body)) } else { body() }
}

/// Through what this thread wakes tasks right now; none if it is foreign code.
pub(crate) fn through() -> Option<Through> {
    Through::from_word(THROUGH.with(Cell::get))
}

/// Adds a runtime to those that live on this thread.
pub(crate) fn add(core: Rc<Core>) {
    LIVE.with(|live| live.borrow_mut().push(core));
}

/// Takes a runtime out again.
pub(crate) fn remove(id: RuntimeId) {
    // The thread may be ending, and its locals with it.
    let removed = LIVE.try_with(|live| {
        let mut live = live.borrow_mut();
        let index = live.iter().position(|core| core.id == id)?;
        Some(live.swap_remove(index))
    });
    drop(removed);
}
