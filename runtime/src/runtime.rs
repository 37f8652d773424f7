//! The runtime and its loop.
//!
//! One pass of the loop is: poll tasks, take in the wakes of other threads, ask the kernel, fire what it reports. Each
//! phase is a function. The loop sleeps in the kernel only if there is nothing to poll.

use crate::builder::Builder;
use crate::context;
use crate::endpoint;
use crate::handle::Handle;
use crate::io::driver::{Driver, Timeout};
use crate::record::Recorder;
use crate::scheduler::Shared;
use crate::task::budget::Budget;
use crate::task::queue::RunQueue;
use crate::task::registry::{Place, Registry};
use crate::task::{self, Entry, JoinHandle, Root};
use crate::time::queue::TimerQueue;
use crate::time::{now_ns, ns};
use nexus_protocol::{RuntimeId, TaskId};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::Location;
use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Context;
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
    pub(crate) queue: RunQueue,
    pub(crate) tasks: RefCell<Registry>,
    pub(crate) driver: Driver,
    pub(crate) timers: TimerQueue,
    /// References to `shared` that ended tasks have left.
    spare_shared: RefCell<Vec<Arc<Shared>>>,
    last_task: Cell<u64>,
    /// The task of the root future, while there is one.
    pub(crate) root: Cell<Option<(TaskId, Entry)>>,
    closing: Cell<bool>,
    /// How many operations may still complete in the poll under way.
    pub(crate) budget: Budget,
    polls_per_turn: u32,
    /// While tasks are ready, the kernel is asked this often.
    look_interval_ns: u64,
    looked_ns: Cell<u64>,
    spin_ns: u64,
}

/// How many spare references are kept.
const SPARE_SHARED: usize = 1024;

impl Core {
    pub(crate) fn next_task_id(&self) -> TaskId {
        self.last_task.set(self.last_task.get() + 1);
        TaskId(self.last_task.get())
    }

    /// A reference to the shared part, for a new task.
    #[inline]
    pub(crate) fn take_shared(&self) -> Arc<Shared> {
        self.spare_shared.borrow_mut().pop().unwrap_or_else(|| self.shared.clone())
    }

    /// Keeps a reference to the shared part, which is this runtime's, for the next task.
    #[inline]
    pub(crate) fn keep_shared(&self, shared: Arc<Shared>) {
        let mut spare = self.spare_shared.borrow_mut();
        if spare.len() < SPARE_SHARED {
            spare.push(shared);
        }
    }

    /// The task that is at this place, or is the root, if it is still the one that was there.
    #[inline]
    pub(crate) fn find_task(&self, place: Place) -> Option<Entry> {
        match self.root.get() {
            Some(root) if root == place.id() => Some(root.1),
            _ => self.tasks.borrow().get(place),
        }
    }

    /// How many tasks have not ended, the root future not counted.
    pub(crate) fn live_tasks(&self) -> usize {
        self.tasks.borrow().len()
    }

    /// Whether the runtime is being dropped.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Runs until the root future is ready. Not generic, so that the loop is compiled once, and as a whole.
    fn run(&self, root: &mut Root<'_>) {
        // Whoever was woken since the last call has waited long enough.
        self.take_inbox();
        while !self.run_tasks(root) {
            self.recorder.polled();
            self.take_inbox();
            if self.queue.is_empty() {
                self.idle();
                // Whom another thread has woken meanwhile is polled before the kernel is asked again.
                self.take_inbox();
            } else if self.is_look_due() {
                self.turn(Timeout::Look);
            }
        }
    }

    /// Polls queued tasks, at most as many as one turn allows. Whether the root future is over.
    fn run_tasks(&self, root: &mut Root<'_>) -> bool {
        for _ in 0..self.polls_per_turn {
            let Some(entry) = self.queue.pop() else { break };
            if task::run(self, entry, root) {
                return true;
            }
        }
        false
    }

    /// Whether the kernel was not asked for so long that tasks which are ready have to wait. Where there are none, it is
    /// asked anyway.
    fn is_look_due(&self) -> bool {
        let now = now_ns();
        let due = now.saturating_sub(self.looked_ns.get()) >= self.look_interval_ns;
        if due {
            self.looked_ns.set(now);
        }
        due
    }

    /// There is nothing to poll: waits for the kernel or another thread, awake for as long as the builder allows, then
    /// asleep.
    fn idle(&self) {
        if self.spin_ns > 0 && self.spin() {
            return;
        }
        if self.shared.parker.try_park() {
            self.turn(Timeout::Park);
        } else if self.is_look_due() {
            // Whoever left the note has put something into the inbox, which needs no kernel. But if there is a note
            // every time, sockets and timers must have their turn as well.
            self.turn(Timeout::Look);
        }
    }

    /// Looks at the kernel and the inbox in turn until there is something, or until it is time to sleep. `false` if it is.
    fn spin(&self) -> bool {
        let until_ns = now_ns().saturating_add(self.spin_ns);
        self.turn(Timeout::Spin { until_ns });
        !self.queue.is_empty() || !self.shared.inbox.is_empty() || now_ns() < until_ns
    }

    /// Moves tasks that other threads have woken to the run queue.
    fn take_inbox(&self) {
        for node in self.shared.inbox.take() {
            task::take_in(self, Entry(node));
        }
    }

    /// Asks the kernel, and fires wakers and timers. To sleep, the parker must have agreed.
    fn turn(&self, timeout: Timeout) {
        if let Err(error) = self.try_turn(timeout) {
            // Without the kernel there is no way to learn of anything. Tasks that are ready still run; trying again at
            // full speed would only burn a core.
            tracing::error!(target: "nexus::runtime", %error, "cannot ask the kernel for events");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The same. How many wakers were fired, those of timers included.
    fn try_turn(&self, timeout: Timeout) -> io::Result<usize> {
        self.recorder.queued(self.queue.len());
        let timers_due = self.timers.prepare();
        let stop = || !self.shared.inbox.is_empty();
        // With timers to fire there is nothing to wait for.
        let ask = if timers_due { Timeout::Look } else { timeout };
        let polled = self.driver.poll(&self.recorder, ask, &stop);
        if matches!(timeout, Timeout::Park | Timeout::ParkFor(_)) {
            self.shared.parker.unparked();
        }
        let turn = polled?;
        let timers = if timers_due || turn.timer_reported {
            self.timers.fire(self, turn.timer_reported)
        } else {
            0
        };
        Ok(turn.fired + timers)
    }
}

/// A number for a runtime, or another observed loop, that no other in this process has.
pub(crate) fn next_runtime_id() -> RuntimeId {
    static LAST: AtomicU32 = AtomicU32::new(0);
    RuntimeId(LAST.fetch_add(1, Ordering::Relaxed) + 1)
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
        endpoint::dump::arm(builder.dump_on_panic.as_deref())?;
        let (driver, bell) = Driver::new(builder)?;
        let timers = TimerQueue::new(&driver)?;
        let id = next_runtime_id();
        let recorder = Recorder::new(id, &builder.record)?;
        if driver.capacity() > 0 {
            recorder.freelist_grown(driver.capacity());
        }
        let core = Rc::new(Core {
            id,
            shared: Arc::new(Shared::new(bell, recorder.remote())),
            recorder,
            queue: RunQueue::default(),
            tasks: RefCell::default(),
            driver,
            timers,
            spare_shared: RefCell::default(),
            last_task: Cell::new(0),
            root: Cell::new(None),
            closing: Cell::new(false),
            budget: Budget::new(builder.task_budget),
            polls_per_turn: builder.polls_per_turn,
            look_interval_ns: ns(builder.io_check_interval),
            looked_ns: Cell::new(0),
            spin_ns: ns(builder.spin),
        });
        context::add(core.clone());
        Ok(Self { core, endpoint: builder.endpoint.clone() })
    }

    /// This runtime's number within its process, as the inspector shows it.
    #[must_use]
    pub fn id(&self) -> RuntimeId {
        self.core.id
    }

    /// The memfd with this runtime's recording, if [`RecordingPlace::Memfd`](crate::RecordingPlace::Memfd) was asked for
    /// and the recorder is on. Whoever has a descriptor of it can read it, also when this process is gone.
    #[must_use]
    pub fn recording_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.core.recorder.mapped()?.memfd.as_ref()?.as_fd())
    }

    /// The file with this runtime's recording, if it is in one that has a path.
    #[must_use]
    pub fn recording_path(&self) -> Option<&Path> {
        self.core.recorder.mapped()?.path.as_deref()
    }

    /// A handle, to spawn tasks from outside of `block_on`.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::of(self.core.id)
    }

    /// Spawns a task that is polled from the next call of [`Runtime::block_on`] on. See [`spawn`](crate::spawn).
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
    {
        task::spawn_on(&self.core, future, Location::caller(), None)
    }

    /// One turn of the I/O driver without polling any task: asks the kernel for events, records them, and fires the wakers
    /// of those who wait for them and of timers that are due. Returns how many were fired.
    ///
    /// With `None` it blocks until something happens, a wake from another thread included; with a duration, at most for
    /// as long, rounded up to milliseconds; with a duration of zero it only looks. Tasks that were woken run in the next
    /// [`Runtime::block_on`]. This is for programs that have a loop of their own; `block_on` does all of it by itself.
    ///
    /// # Errors
    ///
    /// What the kernel says; interruptions by signals are not errors.
    ///
    /// # Panics
    ///
    /// Inside of `block_on`.
    pub fn poll_io(&self, timeout: Option<Duration>) -> io::Result<usize> {
        assert!(!context::is_entered(), "Runtime::poll_io called inside Runtime::block_on");
        let _enter = context::enter(&self.core);
        let core = &*self.core;
        core.recorder.enter();
        let _leave = Leave(&core.recorder);
        let look = timeout == Some(Duration::ZERO);
        let timeout = match timeout {
            _ if look || !core.shared.parker.try_park() => Timeout::Look,
            None => Timeout::Park,
            Some(limit) => Timeout::ParkFor(limit),
        };
        let fired = core.try_turn(timeout);
        core.take_inbox();
        fired
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
        let mut output = None;
        let mut poll =
            |cx: &mut Context<'_>| future.as_mut().poll(cx).map(|ready| output = Some(ready));
        {
            let mut root = Root::new(core, location, &mut poll);
            core.run(&mut root);
            root.resume_panic();
        }
        output.expect("the loop ends when there is an output")
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
        let _remove = Remove(self.core.id);
        let _enter = context::enter(&self.core);
        self.core.closing.set(true);
        task::end_all(&self.core);
    }
}

/// Takes a runtime out of those that live on this thread, also when its drop unwinds.
struct Remove(RuntimeId);

impl Drop for Remove {
    fn drop(&mut self) {
        context::remove(self.0);
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
