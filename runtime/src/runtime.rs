//! The runtime and its loop.
//!
//! One pass of the loop is: poll tasks, take in the wakes of other threads, ask the kernel, fire what it reports. Each
//! phase is a function. The loop sleeps in the kernel only if there is nothing to poll.

use crate::builder::Builder;
use crate::context;
use crate::endpoint;
use crate::io::driver::{Driver, Timeout};
use crate::record::Recorder;
use crate::scheduler::Shared;
use crate::task::registry::Registry;
use crate::task::{self, Entry, Root};
use crate::time::queue::TimerQueue;
use nexus_protocol::{RuntimeId, TaskId};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// A single-threaded runtime. It belongs to the thread that built it.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let runtime = nexus_runtime::Runtime::new()?;
/// let answer = runtime.block_on(async {
///     nexus_runtime::time::sleep(Duration::from_millis(1)).await;
///     42
/// });
/// assert_eq!(answer, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Runtime {
    core: Rc<Core>,
    endpoint: endpoint::Options,
}

/// What a runtime consists of; reached through [`context`].
pub(crate) struct Core {
    pub(crate) id: RuntimeId,
    pub(crate) shared: Arc<Shared>,
    pub(crate) recorder: Recorder,
    /// Tasks that are to be polled, oldest wake first.
    pub(crate) queue: RefCell<VecDeque<Entry>>,
    pub(crate) tasks: RefCell<Registry>,
    pub(crate) driver: Driver,
    pub(crate) timers: TimerQueue,
    last_task: Cell<u64>,
    closing: Cell<bool>,
    polls_per_turn: u32,
}

impl Core {
    pub(crate) fn next_task_id(&self) -> TaskId {
        self.last_task.set(self.last_task.get() + 1);
        TaskId(self.last_task.get())
    }

    /// Whether the runtime is being dropped.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    fn pop(&self) -> Option<Entry> {
        self.queue.borrow_mut().pop_front()
    }

    /// Polls queued tasks, at most as many as one turn allows. Ready when the root future is.
    fn run_tasks<T>(&self, root: &Root, poll_root: &mut impl FnMut() -> Poll<T>) -> Poll<T> {
        for _ in 0..self.polls_per_turn {
            let Some(entry) = self.pop() else { break };
            if root.is(entry) {
                if let Poll::Ready(output) = root.run(self, entry, &mut *poll_root) {
                    return Poll::Ready(output);
                }
            } else {
                task::run(self, entry);
            }
        }
        Poll::Pending
    }

    /// Moves tasks that other threads have woken to the run queue.
    fn take_inbox(&self) {
        for node in self.shared.inbox.take() {
            task::take_in(self, Entry(node));
        }
    }

    /// Asks the kernel, sleeping if there is nothing else to do, and fires wakers and timers.
    fn turn(&self) {
        let queued = self.queue.borrow().len();
        self.recorder.queued(queued);
        let park = queued == 0 && self.shared.parker.try_park();
        self.timers.prepare();
        let timeout = if park { Timeout::Park } else { Timeout::Look };
        let polled = self.driver.poll(&self.recorder, timeout);
        if park {
            self.shared.parker.unparked();
        }
        match polled {
            Ok(turn) => {
                if turn.timers_due {
                    self.timers.fire(self);
                }
            }
            Err(error) => {
                // Without the kernel there is no way to learn of anything. Tasks that are ready still run; trying again
                // at full speed would only burn a core.
                tracing::error!(target: "nexus::runtime", %error, "cannot ask the kernel for events");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

impl Runtime {
    /// A runtime with the defaults of [`Builder`].
    ///
    /// # Errors
    ///
    /// See [`Builder::build`].
    pub fn new() -> io::Result<Self> {
        Builder::new().build()
    }

    pub(crate) fn build(builder: &Builder) -> io::Result<Self> {
        static LAST_ID: AtomicU32 = AtomicU32::new(0);
        let (driver, waker) = Driver::new(builder)?;
        let timers = TimerQueue::new(&driver)?;
        let id = RuntimeId(LAST_ID.fetch_add(1, Ordering::Relaxed) + 1);
        let recorder = Recorder::new(id, &builder.record);
        if driver.capacity() > 0 {
            recorder.freelist_grown(driver.capacity());
        }
        let core = Rc::new(Core {
            id,
            shared: Arc::new(Shared::new(waker, recorder.remote())),
            recorder,
            queue: RefCell::default(),
            tasks: RefCell::default(),
            driver,
            timers,
            last_task: Cell::new(0),
            closing: Cell::new(false),
            polls_per_turn: builder.polls_per_turn,
        });
        context::add(core.clone());
        Ok(Self { core, endpoint: builder.endpoint.clone() })
    }

    /// This runtime's number within its process, as the inspector shows it.
    #[must_use]
    pub fn id(&self) -> RuntimeId {
        self.core.id
    }

    /// Runs a future to its end on this thread, and with it all tasks that are spawned meanwhile. Tasks that have not
    /// ended when the future does go on with the next call.
    ///
    /// # Panics
    ///
    /// Inside another `block_on` on this thread; and with the future's own panic.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        assert!(
            !context::is_entered(),
            "Runtime::block_on called inside Runtime::block_on: await the future instead, or spawn it"
        );
        let location = Location::caller();
        endpoint::start(&self.endpoint);
        if self.endpoint.enabled {
            endpoint::hold();
        }
        let core = &*self.core;
        let _enter = context::enter(&self.core);
        core.recorder.enter();
        let _leave = Leave(&core.recorder);

        let mut future = pin!(future);
        let root = Root::new(core, location);
        let waker = root.waker();
        let mut poll_root = || future.as_mut().poll(&mut Context::from_waker(&waker));
        loop {
            if let Poll::Ready(output) = core.run_tasks(&root, &mut poll_root) {
                return output;
            }
            core.take_inbox();
            core.turn();
            core.take_inbox();
        }
    }
}

/// Tells the recorder that `block_on` is over, also when it unwinds.
struct Leave<'a>(&'a Recorder);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Drop for Runtime {
    /// Drops all tasks, in no particular order, then everything else. Handles and wakers that live on are harmless.
    fn drop(&mut self) {
        let _enter = context::enter(&self.core);
        self.core.closing.set(true);
        task::end_all(&self.core);
        context::remove(self.core.id);
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("id", &self.core.id.0)
            .field("tasks", &self.core.tasks.borrow().len())
            .finish_non_exhaustive()
    }
}
