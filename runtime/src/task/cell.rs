//! The allocation of a task: a header that is the same for all, and behind it the future or what has become of it.
//!
//! # The proof
//!
//! A task is one allocation: a [`Header`] that is the same for all, and behind it the *stage*: the future, then its
//! result, then nothing. One packed word ([`state`](super::state)) says whether another thread has woken the task,
//! whether it has ended, and how many references there are. Whether it is in the run queue is a plain field.
//!
//! **References** keep the allocation alive. They are held by
//! - the registry, one for each task that has not ended (for a root future, by `block_on`);
//! - each waker;
//! - the `JoinHandle`.
//!
//! **Queue entries** are not references. There is at most one in the run queue, while `Local::queued` says so, and at most
//! one in the inbox, which whoever turns the `REMOTE` bit on makes; `REMOTE` stays on when that entry moves to the run
//! queue, until the poll that answers it. As long as the task has not ended, the registry's reference keeps the target of
//! both alive. When it ends, [`Ended`] counts the entries there are, and in the end gives each a reference, the registry's
//! one first; whoever takes such an entry out of its queue gives it back. If the entry could not be made because the inbox
//! was closed meanwhile, the waker that failed to make it gives it back. Without entries, the registry's reference is given
//! back at once. Loom checks the races in this (see `models`, `state` and `inbox`).
//!
//! **Who may touch what.** `state`, `link` and `remote` are atomics, for any thread with a reference. `vtable` and
//! `shared` never change. `local` and the stage are touched by the runtime thread only:
//! - polls, cancelling and ending happen in the loop or in the runtime's drop, which are on its thread, since a
//!   `Runtime` is not `Send`;
//! - a `JoinHandle` is not `Send` either;
//! - wakers touch `local` only after [`context::with_shared`] has found that this thread is inside that runtime.
//!
//! **Freeing** may happen on any thread, wherever the last waker is dropped. By then the stage holds nothing that is
//! bound to the runtime thread: the last reference can only go after the registry's, which goes after the future was
//! dropped, and after the handle's, which drops the result; without a handle, the ending task drops its result itself.
//! What else is freed with the cell (`shared`, plain numbers) may be dropped anywhere: the joiner in `local`, which may be
//! bound to the thread, is taken out at the task's end, and none comes later.
//!
//! A handle that is leaked with `mem::forget` leaks its reference with it, so that the cell is never freed.

use crate::context;
use crate::primitives::Watched;
use crate::primitives::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use crate::record::{Noted, TaskProbe, Through, WaitProbe};
use crate::runtime::Core;
use crate::scheduler::Shared;
use crate::scheduler::inbox::Linked;
use crate::task::contained;
use crate::task::join::JoinError;
use crate::task::join_set::Membership;
use crate::task::memory;
use crate::task::sleeper::Sleeper;
use crate::task::state::State;
use crate::task::waker;
use nexus_protocol::event::{PollResult, WaitFor, WaitOutcome};
use nexus_protocol::{Stamp, TaskId};
use std::alloc::Layout;
use std::cell::{Cell, RefCell, UnsafeCell};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The part of a task that does not depend on its future.
///
/// What every wake and poll needs comes first, on as few cache lines as possible.
#[repr(C)]
pub(crate) struct Header {
    pub(super) state: State,
    vtable: &'static Vtable,
    pub(super) shared: Arc<Shared>,
    /// Runtime thread only.
    pub(super) local: Local,
    link: AtomicPtr<Header>,
    pub(super) remote: RemoteWake,
}

/// A task whose future is gone, until all that is left to do about its end is done, also if that panics.
pub(super) struct Ended {
    /// The registry's reference, or the root's.
    task: ManuallyDrop<TaskRef>,
    /// How many entries of queues it has left behind.
    entries: u8,
}

impl Ended {
    /// From now on every wake finds the task dead.
    pub(super) fn new(task: TaskRef) -> Self {
        let Header { state, local, .. } = task.header();
        let handle = u64::from(!local.detached.get());
        let marked = state.complete(1 + handle);
        let queued = local.queued.get();
        let in_inbox = marked && queued != Queued::Remote;
        let entries = u8::from(queued != Queued::No) + u8::from(in_inbox);
        Self { task: ManuallyDrop::new(task), entries }
    }

    /// The task.
    pub(super) fn task(&self) -> &TaskRef {
        &self.task
    }
}

impl Drop for Ended {
    /// Gives each entry a reference, the registry's first; that one is given back if there are none.
    fn drop(&mut self) {
        // SAFETY: taken once, here.
        let registered = unsafe { ManuallyDrop::take(&mut self.task) };
        match self.entries {
            0 => return registered.give_back_beside_the_handle(),
            1 => {}
            _ => std::mem::forget(registered.clone()),
        }
        std::mem::forget(registered);
    }
}

/// Notes of other threads about their wakes.
pub(super) struct RemoteWake {
    /// When, on which thread, and how: written by whoever has turned `REMOTE` on, before the task goes into the inbox.
    woken: AtomicU64,
    thread: AtomicU32,
    /// Through what of ours, as [`Through::word`].
    through: AtomicU64,
    /// Wakes that found the task queued, since the last poll.
    redundant: AtomicU32,
}

impl RemoteWake {
    fn new() -> Self {
        Self {
            woken: AtomicU64::new(0),
            thread: AtomicU32::new(0),
            through: AtomicU64::new(0),
            redundant: AtomicU32::new(0),
        }
    }

    pub(super) fn note(&self, noted: Noted) {
        // Relaxed: the push into the inbox publishes all of them.
        self.woken.store(noted.woken.0, Ordering::Relaxed);
        self.thread.store(noted.thread, Ordering::Relaxed);
        self.through.store(noted.through.map_or(0, Through::word), Ordering::Relaxed);
    }

    pub(super) fn noted(&self) -> Noted {
        Noted {
            woken: Stamp(self.woken.load(Ordering::Relaxed)),
            thread: self.thread.load(Ordering::Relaxed),
            through: Through::from_word(self.through.load(Ordering::Relaxed)),
        }
    }

    pub(super) fn count_redundant(&self) {
        self.redundant.fetch_add(1, Ordering::Relaxed);
    }

    /// Redundant wakes since the last call.
    fn take_redundant(&self) -> u32 {
        self.redundant.swap(0, Ordering::Relaxed)
    }
}

/// The part of a header that only the runtime thread touches.
#[repr(C)]
pub(super) struct Local {
    /// The task behind it in the run queue.
    pub(super) next: Cell<Option<Entry>>,
    /// Whether, and how, it has come into the run queue.
    pub(super) queued: Cell<Queued>,
    /// Its handle has asked for its end.
    pub(super) aborted: Cell<bool>,
    /// Its handle is gone: nobody will take the result.
    pub(super) detached: Cell<bool>,
    /// Its handle has taken the result, or dropped it.
    pub(super) taken: Cell<bool>,
    pub(super) probe: TaskProbe,
    pub(super) id: TaskId,
    /// Its place in the registry.
    pub(super) key: Cell<usize>,
    /// Who waits for its end.
    pub(super) joiner: RefCell<Option<Joiner>>,
}

/// How a task has come into the run queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Queued {
    /// It is not there.
    No,
    /// By a wake on the runtime thread.
    Local,
    /// Out of the inbox: its `REMOTE` bit is on.
    Remote,
}

/// The one who waits for a task's end.
pub(super) enum Joiner {
    /// Its handle, in the poll of another task.
    Handle {
        sleeper: Sleeper,
        /// None if the handle was polled from outside the task's runtime.
        wait: Option<WaitProbe>,
    },
    /// The set that it is in.
    Set(Membership),
}

impl Joiner {
    /// The task has ended: whom to wake.
    pub(super) fn finished(self) -> Option<Sleeper> {
        match self {
            Self::Handle { sleeper, .. } => Some(sleeper),
            Self::Set(membership) => membership.finished().map(Sleeper::Other),
        }
    }

    /// Records the end of the wait for the task with this header.
    pub(super) fn end_wait(&self, header: &Header, outcome: WaitOutcome) {
        if let Self::Handle { wait: Some(wait), .. } = *self {
            context::with_shared(&header.shared, |core| {
                core.recorder.wait_end(wait, WaitFor::Task(header.local.id), outcome);
            });
        }
    }
}

impl Linked for Header {
    fn link(&self) -> &AtomicPtr<Self> {
        &self.link
    }
}

struct Vtable {
    poll: unsafe fn(NonNull<Header>) -> PollResult,
    cancel: unsafe fn(NonNull<Header>, JoinError),
    take: unsafe fn(NonNull<Header>, *mut ()),
    discard: unsafe fn(NonNull<Header>),
    free: unsafe fn(NonNull<Header>),
}

/// What a waker on another thread touches may be touched there.
const _: () = {
    const fn any_thread<T: Send + Sync>() {}
    any_thread::<State>();
    any_thread::<Shared>();
    any_thread::<RemoteWake>();
};

impl Vtable {
    const fn of<F: Future>() -> Self {
        Self {
            poll: poll::<F>,
            cancel: cancel::<F>,
            take: take::<F>,
            discard: discard::<F>,
            free: free::<F>,
        }
    }
}

/// The header comes first, so that a pointer to it is a pointer to the cell.
#[repr(C)]
struct TaskCell<F: Future> {
    header: Header,
    /// For the sake of the models: the stage's uses.
    watched: Watched,
    stage: UnsafeCell<Stage<F>>,
}

enum Stage<F: Future> {
    Running(F),
    Finished(Result<F::Output, JoinError>),
    Consumed,
}

/// A task in a queue. Not a reference: see the [module](self) for what keeps it allocated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry(pub(crate) NonNull<Header>);

/// One reference to a task, given back when dropped.
pub(crate) struct TaskRef(pub(super) NonNull<Header>);

impl TaskRef {
    /// Allocates a task with this many references, of which the result is one; the caller makes the others with
    /// [`TaskRef::another`].
    #[inline(always)]
    pub(super) fn new<F: Future>(
        references: u64,
        future: F,
        id: TaskId,
        probe: TaskProbe,
        shared: Arc<Shared>,
    ) -> Self {
        let cell = memory::allocate(Layout::new::<TaskCell<F>>()).cast::<TaskCell<F>>();
        let place = cell.as_ptr();
        // Part by part, so that each is made where it stays: a task is spawned often, and copying it costs more than making
        // it.
        // SAFETY: just allocated for exactly this; all fields are written.
        unsafe {
            (&raw mut (*place).header.state).write(State::new(references));
            (&raw mut (*place).header.vtable).write(const { &Vtable::of::<F>() });
            (&raw mut (*place).header.shared).write(shared);
            (&raw mut (*place).header.local).write(Local {
                next: Cell::new(None),
                queued: Cell::new(Queued::No),
                aborted: Cell::new(false),
                detached: Cell::new(false),
                taken: Cell::new(false),
                probe,
                id,
                key: Cell::new(usize::MAX),
                joiner: RefCell::new(None),
            });
            (&raw mut (*place).header.link).write(AtomicPtr::new(ptr::null_mut()));
            (&raw mut (*place).header.remote).write(RemoteWake::new());
            (&raw mut (*place).watched).write(Watched::default());
            (&raw mut (*place).stage).write(UnsafeCell::new(Stage::Running(future)));
        }
        Self(cell.cast())
    }

    /// One of the further references that the task was made with.
    ///
    /// # Safety
    ///
    /// Called once for each reference beyond the first that [`TaskRef::new`] was asked for.
    pub(super) unsafe fn another(&self) -> Self {
        Self(self.0)
    }

    #[inline]
    pub(super) fn header(&self) -> &Header {
        // SAFETY: a reference keeps the allocation alive, and headers are only ever shared.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn entry(&self) -> Entry {
        Entry(self.0)
    }

    /// Queues the task, on the runtime thread.
    pub(super) fn wake_local(&self, core: &Core) {
        waker::wake_local(core, self.0, self.header());
    }

    /// A waker of this task that lives on this reference.
    pub(super) fn borrowed_waker(&self) -> ManuallyDrop<Waker> {
        // SAFETY: never dropped, and not used beyond this reference by anybody who does not clone it.
        ManuallyDrop::new(unsafe { waker::from_reference(self.0) })
    }

    /// A waker of this task.
    pub(super) fn waker(&self) -> Waker {
        self.header().state.reference();
        // SAFETY: the reference just taken is the waker's.
        unsafe { waker::from_reference(self.0) }
    }

    /// The result of a task that has ended.
    ///
    /// # Safety
    ///
    /// `T` is the output of the task's future, and this is the runtime thread.
    pub(super) unsafe fn take_result<T>(&self) -> Option<Result<T, JoinError>> {
        if !self.header().state.is_complete() {
            return None;
        }
        self.header().local.taken.set(true);
        let mut result = None::<Result<T, JoinError>>;
        // SAFETY: `take` writes an `Option<Result<T, JoinError>>`, by the caller's word on `T`; the task has ended, so
        // nobody else touches its stage.
        unsafe { (self.header().vtable.take)(self.0, (&raw mut result).cast()) };
        result
    }

    /// Drops the result of a task that has ended, if it is still there. Runtime thread only.
    pub(super) fn discard_result(&self) {
        if self.header().local.taken.replace(true) {
            return;
        }
        // SAFETY: the task has ended, so that nobody polls it; the handle that could take the result is the caller, or
        // is gone.
        unsafe { (self.header().vtable.discard)(self.0) };
    }
}

impl TaskRef {
    /// Drops the reference of a task that has ended, on the runtime thread. Makes do without a read-modify-write if its
    /// handle has the only other one, which is the rule.
    #[inline]
    fn give_back_beside_the_handle(self) {
        let this = ManuallyDrop::new(self);
        let handle = u64::from(!this.header().local.detached.get());
        if handle == 0 || !this.header().state.release_beside(handle) {
            drop(ManuallyDrop::into_inner(this));
        }
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        self.header().state.reference();
        Self(self.0)
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        // SAFETY: this is the reference that is given back, and it is not used afterwards.
        unsafe { release(self.0) };
    }
}

/// Gives a reference back and frees the task if it was the last one. Any thread.
///
/// # Safety
///
/// The caller owns a reference and does not use it again.
pub(super) unsafe fn release(header: NonNull<Header>) {
    // SAFETY: the caller's reference keeps the header alive until here.
    let header_ref = unsafe { header.as_ref() };
    if header_ref.state.release() {
        let free = header_ref.vtable.free;
        // SAFETY: that was the last reference.
        unsafe { free(header) };
    }
}

impl Entry {
    /// Queues the task, on the runtime thread. It must be allocated, as for [`Entry::header`].
    #[inline]
    pub(super) unsafe fn wake_local(self, core: &Core) {
        // SAFETY: by the caller's word.
        waker::wake_local(core, self.0, unsafe { self.header() });
    }

    /// The header of the task in the queue.
    ///
    /// # Safety
    ///
    /// The task is still in a queue, or the caller holds a reference.
    pub(super) unsafe fn header<'a>(self) -> &'a Header {
        // SAFETY: by the caller's word, something keeps the allocation alive.
        unsafe { self.0.as_ref() }
    }

    /// Marks the task as taken from the run queue. `None` if it had ended: the entry's reference has been given back.
    #[inline]
    pub(super) fn dequeue(self, core: &Core) -> Option<Self> {
        // SAFETY: the entry was in the run queue until now, so the registry's reference or an inherited one is there.
        let header = unsafe { self.header() };
        let queued = header.local.queued.replace(Queued::No);
        debug_assert!(queued != Queued::No, "a task in the run queue is marked as queued");
        if header.state.is_complete() {
            self.release_inherited();
            return None;
        }
        if queued == Queued::Remote {
            header.state.answer_remote();
            let redundant = header.remote.take_redundant();
            if redundant > 0 {
                core.recorder.redundant_remote(&header.local.probe, redundant);
            }
        }
        Some(self)
    }

    /// Gives back the reference that this entry, just taken from its queue, has inherited from a task that had ended.
    pub(super) fn release_inherited(self) {
        // SAFETY: `Header::complete` has left a reference for each entry, and this one is gone now.
        unsafe { release(self.0) };
    }

    /// Polls the future. After any answer but pending, the result is in the cell.
    ///
    /// # Safety
    ///
    /// Runtime thread; the task has not ended, is not being polled, and its registry reference is there.
    pub(super) unsafe fn poll(self) -> PollResult {
        // SAFETY: handed on to the caller.
        unsafe { (self.header().vtable.poll)(self.0) }
    }

    /// Drops the future and leaves `error` as the result.
    ///
    /// # Safety
    ///
    /// As for [`Entry::poll`].
    pub(super) unsafe fn cancel(self, error: JoinError) {
        // SAFETY: handed on to the caller.
        unsafe { (self.header().vtable.cancel)(self.0, error) }
    }
}

/// The stage of the task, exclusively.
///
/// # Safety
///
/// Runtime thread; nothing else uses the stage while the borrow lives; `F` is the task's future.
unsafe fn stage<'a, F: Future>(header: NonNull<Header>) -> &'a mut Stage<F> {
    // SAFETY: the header is the first field of a `TaskCell<F>`.
    let cell = unsafe { header.cast::<TaskCell<F>>().as_ref() };
    cell.watched.touch();
    // SAFETY: exclusiveness is the caller's word.
    unsafe { &mut *cell.stage.get() }
}

/// Replaces a future that is over by its result.
#[inline(always)]
fn finish<F: Future>(stage: &mut Stage<F>, result: Result<F::Output, JoinError>) {
    if std::mem::needs_drop::<F>() {
        replace(stage, Stage::Finished(result));
    } else {
        *stage = Stage::Finished(result);
    }
}

/// Replaces the stage. A panic in the drop of what was there stops here.
fn replace<F: Future>(stage: &mut Stage<F>, next: Stage<F>) {
    // If the drop panics, the assignment is made all the same.
    contained(|| *stage = Stage::Consumed);
    *stage = next;
}

unsafe fn poll<F: Future>(header: NonNull<Header>) -> PollResult {
    // SAFETY: only the poll uses the stage of a task that has not ended.
    let stage = unsafe { stage::<F>(header) };
    let Stage::Running(future) = stage else { unreachable!("a task that has ended is not polled") };
    // SAFETY: the waker borrows the registry's reference for the time of the poll and never gives it back.
    let waker = ManuallyDrop::new(unsafe { waker::from_reference(header) });
    // SAFETY: the cell is never moved, and the future is dropped in place.
    let future = unsafe { Pin::new_unchecked(future) };
    let polled = catch_unwind(AssertUnwindSafe(|| future.poll(&mut Context::from_waker(&waker))));
    match polled {
        Ok(Poll::Pending) => PollResult::Pending,
        Ok(Poll::Ready(output)) => {
            finish(stage, Ok(output));
            PollResult::Ready
        }
        Err(panic) => {
            finish(stage, Err(JoinError::panicked(panic)));
            PollResult::Panicked
        }
    }
}

unsafe fn cancel<F: Future>(header: NonNull<Header>, error: JoinError) {
    // SAFETY: the caller vouches that nobody polls the task.
    replace(unsafe { stage::<F>(header) }, Stage::Finished(Err(error)));
}

unsafe fn take<F: Future>(header: NonNull<Header>, result: *mut ()) {
    // SAFETY: the task has ended, so only its handle uses the stage.
    let stage = unsafe { stage::<F>(header) };
    if let Stage::Finished(finished) = std::mem::replace(stage, Stage::Consumed) {
        // SAFETY: the caller passes an `Option<Result<F::Output, JoinError>>`.
        unsafe { *result.cast::<Option<Result<F::Output, JoinError>>>() = Some(finished) };
    }
}

unsafe fn discard<F: Future>(header: NonNull<Header>) {
    // SAFETY: the task has ended, so only its handle, which is the caller or gone, uses the stage.
    replace(unsafe { stage::<F>(header) }, Stage::Consumed);
}

unsafe fn free<F: Future>(header: NonNull<Header>) {
    // SAFETY: made as this type in `TaskRef::new`, and this was the last reference. The stage holds nothing that is bound
    // to the runtime thread any more, see the top of this file. Dropped where it is, since a future might still be in it.
    let stage: *mut Stage<F> = unsafe { stage::<F>(header) };
    // SAFETY: as before.
    contained(|| unsafe { ptr::drop_in_place(stage) });
    // SAFETY: as before; the header is not used where it was any more.
    let Header { shared, .. } = unsafe { header.read() };
    // SAFETY: allocated with this layout in `TaskRef::new`; its content was just taken out and dropped.
    unsafe { memory::free(header.cast(), Layout::new::<TaskCell<F>>()) };
    context::give_back_shared(shared);
}
