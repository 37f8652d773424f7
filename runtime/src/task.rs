//! Tasks: spawning, joining, yielding.
//!
//! A task is a future that the runtime polls whenever its waker has been fired. It belongs to the thread that spawned it
//! and need not be `Send`. What a task is in memory, and why that is sound, stands in `task/cell.rs`.

pub(crate) mod budget;
pub(crate) mod cell;
pub(crate) mod join;
mod join_set;
mod memory;
#[cfg(all(test, loom))]
mod models;
pub(crate) mod queue;
pub(crate) mod registry;
mod sleeper;
pub(crate) mod state;
pub(crate) mod waker;

pub use crate::blocking::{BlockingHandle, spawn_blocking};
pub use crate::sync::{Counted, counted};
pub(crate) use cell::{Entry, Header};
pub use join::{JoinError, JoinHandle};
pub use join_set::JoinSet;
pub use nexus_protocol::TaskId;

use crate::context;
use crate::runtime::Core;
use cell::{Ended, Queued, TaskRef};
use nexus_protocol::event::{Cause, PollResult, TaskOutcome, WaitOutcome, WakeOutcome};
use std::any::Any;
use std::future::{Pending, pending, poll_fn};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::task::{Context, Poll, Waker};

/// Spawns a future as a task of the current runtime.
///
/// The task runs as soon as the loop gets to it, also if the handle is dropped.
///
/// # Panics
///
/// Outside of `Runtime::block_on`.
///
/// # Examples
///
/// ```
/// let runtime = nexus_runtime::Runtime::new()?;
/// let sum = runtime.block_on(async {
///     let one = nexus_runtime::spawn(async { 1 });
///     let two = nexus_runtime::spawn(async { 2 });
///     one.await.unwrap() + two.await.unwrap()
/// });
/// assert_eq!(sum, 3);
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
{
    let location = Location::caller();
    context::with(|core| spawn_on(core, future, location, None))
}

/// Gives a task properties before it is spawned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Builder<'a> {
    name: Option<&'a str>,
}

impl<'a> Builder<'a> {
    /// A builder of tasks without a name.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The name under which the inspector shows the task. Names are kept for the life of the process, in a table of
    /// limited size: name a task after what it does, not after the one connection it serves.
    #[must_use]
    pub fn name(mut self, name: &'a str) -> Self {
        self.name = Some(name);
        self
    }

    /// Spawns the task, see [`spawn`].
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
    {
        let location = Location::caller();
        context::with(|core| spawn_on(core, future, location, self.name))
    }
}

/// Lets all other ready tasks run once before this one goes on.
///
/// The recorder knows such a wake for what it is, and never calls the poll that ends in it spurious.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context::with_cause(Cause::Yield, || cx.waker().wake_by_ref());
        Poll::Pending
    })
    .await;
}

/// Whether the task being polled may go on with an operation of ours; if not, it has had its share and is woken again
/// behind all others that are ready. To be called by leaf futures before they try something that may succeed at once.
#[inline]
pub(crate) fn poll_budget(core: &Core, cx: &mut Context<'_>) -> Poll<()> {
    if core.budget.is_spent() {
        core.recorder.with_cause(Cause::Yield, || cx.waker().wake_by_ref());
        return Poll::Pending;
    }
    Poll::Ready(())
}

/// Spawns a task on this runtime.
pub(crate) fn spawn_on<F>(
    core: &Core,
    future: F,
    location: &'static Location<'static>,
    name: Option<&str>,
) -> JoinHandle<F::Output>
where
    F: Future + 'static,
{
    let id = core.next_task_id();
    let probe = core.recorder.task_spawned(id, location, name);
    let task = TaskRef::new(2, future, id, probe, core.take_shared());
    // SAFETY: the second of two.
    let handle = JoinHandle::new(unsafe { task.another() });
    let entry = task.entry();
    core.tasks.borrow_mut().add(task);
    if core.is_closing() {
        // SAFETY: new, in the registry, and not being polled.
        unsafe { end(core, entry, JoinError::runtime_dropped(), TaskOutcome::Dropped) };
    } else {
        core.recorder.with_cause(Cause::Spawn, || handle.task().wake_local(core));
    }
    handle
}

/// Takes an entry of the run queue and polls its task, or the root future if it is the root's. Whether that is over.
#[inline(always)]
pub(crate) fn run(core: &Core, entry: Entry, root: &mut Root<'_>) -> bool {
    let Some(entry) = entry.dequeue(core) else { return false };
    // SAFETY: the task has not ended, so the registry, or the root, holds a reference.
    let header = unsafe { entry.header() };
    let local = &header.local;
    if local.aborted.get() {
        // SAFETY: runtime thread; the task is not being polled, since the loop is here. A root has no handle to abort it.
        unsafe { end(core, entry, JoinError::aborted(), TaskOutcome::Aborted) };
        return false;
    }
    core.budget.refill();
    core.recorder.poll_start(&local.probe);
    let is_root = root.task.entry() == entry;
    let result = if is_root {
        root.poll()
    } else {
        // SAFETY: runtime thread; taken from the queue, so not ended; no poll nests.
        unsafe { entry.poll() }
    };
    core.recorder.poll_end(&local.probe, result);
    core.budget.lift();
    if result == PollResult::Pending {
        return false;
    }
    if !is_root {
        let panicked = result == PollResult::Panicked;
        let outcome = if panicked { TaskOutcome::Panicked } else { TaskOutcome::Completed };
        // SAFETY: it has only just ended, so it is still in the registry.
        unsafe { finish(core, entry, outcome) };
    }
    is_root
}

/// Moves a task that another thread has woken to the run queue.
pub(crate) fn take_in(core: &Core, entry: Entry) {
    // SAFETY: just taken from the inbox, so the registry's reference or an inherited one is there.
    let header = unsafe { entry.header() };
    let local = &header.local;
    let outcome = if header.state.is_complete() {
        WakeOutcome::Dead
    } else if local.queued.get() == Queued::No {
        WakeOutcome::Queued
    } else {
        WakeOutcome::Redundant
    };
    core.recorder.wake_remote(&local.probe, header.remote.noted(), outcome);
    match outcome {
        WakeOutcome::Dead => entry.release_inherited(),
        // SAFETY: runtime thread; not queued, and not ended, so the registry's reference is there.
        WakeOutcome::Queued => unsafe { core.queue.push(entry, Queued::Remote) },
        // The poll that is coming answers this wake as well.
        WakeOutcome::Redundant => local.queued.set(Queued::Remote),
    }
}

/// Ends a task that is not being polled.
///
/// # Safety
///
/// Runtime thread; the task has not ended and is not being polled.
unsafe fn end(core: &Core, entry: Entry, error: JoinError, outcome: TaskOutcome) {
    // SAFETY: by the caller's word.
    unsafe { entry.cancel(error) };
    // SAFETY: as before: the task is still in the registry.
    unsafe { finish(core, entry, outcome) };
}

/// The future is gone and its result is in the cell: tell whoever waits, and let go.
///
/// # Safety
///
/// Runtime thread; the task is in the registry.
unsafe fn finish(core: &Core, entry: Entry, outcome: TaskOutcome) {
    // SAFETY: the registry holds a reference.
    let key = unsafe { entry.header() }.local.key.get();
    let task = core.tasks.borrow_mut().remove(key);
    core.recorder.task_finished(&task.header().local.probe, outcome);
    let ended = Ended::new(task);
    let (task, local) = (ended.task(), &ended.task().header().local);
    if local.detached.get() {
        task.discard_result();
    }
    let joiner = local.joiner.borrow_mut().take();
    if let Some(joiner) = joiner {
        joiner.end_wait(task.header(), WaitOutcome::Done);
        if let Some(sleeper) = joiner.finished() {
            core.recorder.with_cause(Cause::Join { task: local.id }, || sleeper.wake(core));
        }
    }
}

/// Runs foreign code, such as a waker or a drop. A panic in it stops here: the hook has reported it, and the loop goes on.
/// Whether it came to its end.
pub(crate) fn contained(body: impl FnOnce()) -> bool {
    let caught = catch_unwind(AssertUnwindSafe(body));
    let Err(payload) = caught else { return true };
    // The payload may be foreign as well. If its drop panics too, that is the last word of this kind that is heard.
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    false
}

/// Fires a waker that may be foreign code.
pub(crate) fn wake_contained(waker: Waker) {
    if !contained(|| waker.wake()) {
        contained(|| tracing::error!(target: "nexus::runtime", "a waker panicked"));
    }
}

/// Ends all tasks, as the runtime is dropped.
pub(crate) fn end_all(core: &Core) {
    let mut next = 0;
    loop {
        // A task that is spawned now ends at once, so no further one comes before `next`.
        let found = core.tasks.borrow().from(next);
        let Some((key, entry)) = found else { break };
        next = key + 1;
        // SAFETY: runtime thread, outside of `block_on`, so nothing is being polled.
        unsafe { end(core, entry, JoinError::runtime_dropped(), TaskOutcome::Dropped) };
    }
    // What is still queued has ended: each entry gives its inherited reference back.
    for node in core.shared.inbox.close() {
        Entry(node).release_inherited();
    }
    while let Some(entry) = core.queue.pop() {
        let taken = entry.dequeue(core);
        debug_assert!(taken.is_none(), "all tasks have ended");
    }
}

/// The task of a root future: a cell without a future, since that lives on the stack of `block_on`.
pub(crate) struct Root<'a> {
    task: TaskRef,
    /// Polls the future, and keeps its output if it is ready.
    poll: &'a mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
    panic: Option<Box<dyn Any + Send>>,
}

impl<'a> Root<'a> {
    pub(crate) fn new(
        core: &Core,
        location: &'static Location<'static>,
        poll: &'a mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
    ) -> Self {
        let id = core.next_task_id();
        let probe = core.recorder.task_spawned(id, location, Some("root"));
        let task = TaskRef::new::<Pending<()>>(1, pending(), id, probe, core.shared.clone());
        task.header().local.detached.set(true);
        core.recorder.with_cause(Cause::Spawn, || task.wake_local(core));
        core.root.set(Some((id, task.entry())));
        Self { task, poll, panic: None }
    }

    fn poll(&mut self) -> PollResult {
        let waker = self.task.borrowed_waker();
        let poll = || (self.poll)(&mut Context::from_waker(&waker));
        match catch_unwind(AssertUnwindSafe(poll)) {
            Ok(Poll::Pending) => PollResult::Pending,
            Ok(Poll::Ready(())) => PollResult::Ready,
            Err(panic) => {
                self.panic = Some(panic);
                PollResult::Panicked
            }
        }
    }

    /// Goes on with the panic of the future, if it has panicked.
    pub(crate) fn resume_panic(&mut self) {
        if let Some(panic) = self.panic.take() {
            std::panic::resume_unwind(panic);
        }
    }
}

impl Drop for Root<'_> {
    /// `block_on` returns, or unwinds.
    fn drop(&mut self) {
        let header = self.task.header();
        let outcome =
            if std::thread::panicking() { TaskOutcome::Panicked } else { TaskOutcome::Completed };
        context::with_shared(&header.shared, |core| {
            core.root.set(None);
            core.recorder.task_finished(&header.local.probe, outcome);
        });
        // The field gives one back.
        drop(Ended::new(self.task.clone()));
    }
}
