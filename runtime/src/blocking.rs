//! Work that blocks, on threads of its own.
//!
//! A task must not block: its thread is the only one there is for all of them. [`spawn_blocking`] takes such work (a name
//! lookup, a read from a disk, a long computation) to a small [pool](pool) of threads that all runtimes of the process
//! share, and gives back a future for the result.
//!
//! A job outlives the runtime it was spawned in, and its handle is an ordinary future, which may be polled anywhere. To
//! the recorder it is a primitive: tasks wait for it, and the thread that has done it wakes them through it.

mod pool;

use self::pool::{Job, POOL};
use crate::sync::probe::{self, RecordedWait, next_primitive};
use crate::task::JoinError;
use nexus_protocol::PrimitiveId;
use nexus_protocol::event::{Operation, OperationResult, WaitOutcome};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Runs a function that may block on a thread where it does no harm.
///
/// Up to 64 such functions run at the same time in a process, further ones wait for their turn in the order in which they
/// were handed in. Idle threads end after ten seconds. All signals are blocked on them.
///
/// May be called from anywhere, also outside of a runtime. Dropping the handle, or the runtime, neither stops nor awaits
/// the function; the end of the process does not await it either.
///
/// If no thread can be started and none is there, the handle yields an error, see [`JoinError::start_error`].
///
/// # Examples
///
/// ```
/// use nexus_runtime::task::spawn_blocking;
///
/// let runtime = nexus_runtime::Runtime::new()?;
/// let text = runtime.block_on(spawn_blocking(|| std::fs::read_to_string("/proc/self/stat"))).unwrap()?;
/// assert!(!text.is_empty());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn spawn_blocking<F, T>(function: F) -> BlockingHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let primitive = next_primitive();
    let state = Mutex::new(State { stage: Stage::Waiting(function), waker: None });
    let work = Arc::new(Work { primitive, state });
    if let Err(error) = POOL.push(work.clone()) {
        work.cancel(JoinError::not_started(error));
    }
    BlockingHandle { work, wait: RecordedWait::new(primitive) }
}

/// Waits for a function that runs on another thread, and hands out what it returned.
///
/// Dropping the handle detaches the function: it runs all the same, and what it returns is dropped on its thread.
pub struct BlockingHandle<T> {
    work: Arc<dyn Outcome<T>>,
    wait: RecordedWait,
}

impl<T> BlockingHandle<T> {
    /// Whether there is a result to take, or has been.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.work.is_finished()
    }

    /// Takes the function back if it has not begun: it is dropped on this thread, and the handle yields an error. What
    /// runs already can't be stopped.
    pub fn abort(&self) {
        self.work.cancel(JoinError::aborted());
    }
}

impl<T> Future for BlockingHandle<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if probe::poll_budget(cx).is_pending() {
            return Poll::Pending;
        }
        let primitive = self.wait.primitive();
        let polled = self.work.poll(cx);
        if polled.is_ready() {
            probe::spend_budget();
            self.wait.end(WaitOutcome::Done);
            probe::operation(primitive, Operation::Blocking, OperationResult::Done(0));
        } else {
            probe::operation(primitive, Operation::Blocking, OperationResult::NotReady);
            self.wait.begin();
        }
        polled
    }
}

impl<T> Drop for BlockingHandle<T> {
    fn drop(&mut self) {
        self.work.detach();
    }
}

impl<T> fmt::Debug for BlockingHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingHandle").field("finished", &self.is_finished()).finish()
    }
}

/// A function, and what has become of it: shared by its handle and the pool.
struct Work<F, T> {
    primitive: PrimitiveId,
    state: Mutex<State<F, T>>,
}

struct State<F, T> {
    stage: Stage<F, T>,
    /// Who waits for the result.
    waker: Option<Waker>,
}

enum Stage<F, T> {
    Waiting(F),
    Running,
    Finished(Result<T, JoinError>),
    /// The result was taken.
    Consumed,
    /// The handle is gone: nobody will take it.
    Detached,
}

/// The handle's view of a [`Work`].
trait Outcome<T>: Send + Sync {
    fn poll(&self, cx: &Context<'_>) -> Poll<Result<T, JoinError>>;
    fn is_finished(&self) -> bool;
    /// Leaves an error as the result if the function has not begun.
    fn cancel(&self, error: JoinError);
    /// The handle goes: the waker and a result that is there go with it.
    fn detach(&self);
}

impl<F, T> Work<F, T> {
    /// The state. No foreign code runs while it is locked, so that a panic can't leave it half changed.
    fn lock(&self) -> MutexGuard<'_, State<F, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            probe::waking(self.primitive, || waker.wake());
        }
    }
}

impl<F, T> Job for Work<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn run(&self) {
        let function = {
            let mut state = self.lock();
            match std::mem::replace(&mut state.stage, Stage::Running) {
                Stage::Waiting(function) => function,
                // Aborted: the result is there.
                other => return state.stage = other,
            }
        };
        let result = catch_unwind(AssertUnwindSafe(function)).map_err(JoinError::panicked);
        let (waker, unwanted) = {
            let mut state = self.lock();
            match state.stage {
                Stage::Detached => (None, Some(result)),
                _ => {
                    state.stage = Stage::Finished(result);
                    (state.waker.take(), None)
                }
            }
        };
        // Both are foreign code; a panic in either has been reported by the hook, and this thread has more to do.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(unwanted)));
        let _ = catch_unwind(AssertUnwindSafe(|| self.wake(waker)));
    }
}

impl<F, T> Outcome<T> for Work<F, T>
where
    F: Send,
    T: Send,
{
    fn poll(&self, cx: &Context<'_>) -> Poll<Result<T, JoinError>> {
        let mut state = self.lock();
        match std::mem::replace(&mut state.stage, Stage::Consumed) {
            Stage::Finished(result) => Poll::Ready(result),
            Stage::Consumed => {
                drop(state);
                panic!("a BlockingHandle is not polled after it was ready")
            }
            other => {
                state.stage = other;
                match &mut state.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    empty => *empty = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }

    fn is_finished(&self) -> bool {
        matches!(self.lock().stage, Stage::Finished(_) | Stage::Consumed)
    }

    fn cancel(&self, error: JoinError) {
        let mut state = self.lock();
        if !matches!(state.stage, Stage::Waiting(_)) {
            return;
        }
        let function = std::mem::replace(&mut state.stage, Stage::Finished(Err(error)));
        let waker = state.waker.take();
        drop(state);
        drop(function);
        self.wake(waker);
    }

    fn detach(&self) {
        let mut state = self.lock();
        let waker = state.waker.take();
        let unwanted = match state.stage {
            Stage::Waiting(_) => None,
            _ => Some(std::mem::replace(&mut state.stage, Stage::Detached)),
        };
        drop(state);
        drop((waker, unwanted));
    }
}
