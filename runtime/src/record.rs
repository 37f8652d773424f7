//! The recorder's probe points: all that executor, driver and timers know of recording.
//!
//! Each probe is one method, called at the moment its event happens. With recording switched off a probe is one
//! predictable branch. Probes never wait, allocate (string interning at a call site's first use apart), lock or make a
//! system call.

use nexus_protocol::event::{
    Cause, Operation, OperationResult, PollResult, RefusalReason, SourceKind, Subject, TaskOutcome,
    TimerAction, TransitionReason, TurnMode, WaitFor, WaitOutcome, WakeOutcome,
};
use nexus_protocol::{Interest, Readiness, RuntimeId, Seq, Stamp, TaskId, TimerId, TokenId};
use std::net::SocketAddr;
use std::panic::Location;
use std::sync::Arc;

/// What the builder decides about recording.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Whether to record at all.
    pub(crate) enabled: bool,
    /// Records the ring holds; rounded up to a power of two.
    pub(crate) ring_records: usize,
    /// Rows of either kind the board may grow to.
    pub(crate) board_rows: usize,
    /// The runtime's name, or the empty string.
    pub(crate) name: String,
}

/// The runtime thread's end of the recorder. Not `Sync`: all probes run on the runtime thread.
pub(crate) struct Recorder {}

/// The recorder's part in a task's allocation, touched by the runtime thread only.
pub(crate) struct TaskProbe {}

/// Which task a wait belongs to; kept by the waiter until the wait ends.
#[derive(Clone, Copy)]
pub(crate) struct WaitProbe {}

/// What other threads may ask of the recorder: the time at which they fired a waker, and somewhere to count.
pub(crate) struct RemoteProbe {}

impl RemoteProbe {
    /// The stamp of a wake that happens now, in ticks; [`Stamp::NEVER`] if recording is off.
    pub(crate) fn now(&self) -> Stamp {
        Stamp::NEVER
    }

    /// A waker of a finished task was fired from another thread.
    pub(crate) fn count_dead(&self) {}
}

impl Recorder {
    /// A recorder for the runtime that is built on this thread, made known to the endpoint.
    pub(crate) fn new(_runtime: RuntimeId, _options: &Options) -> Self {
        Self {}
    }

    /// The part for other threads.
    pub(crate) fn remote(&self) -> Arc<RemoteProbe> {
        Arc::new(RemoteProbe {})
    }

    /// `block_on` begins on this thread.
    pub(crate) fn enter(&self) {}

    /// `block_on` ends.
    pub(crate) fn leave(&self) {}

    /// The loop is about to ask the kernel for events.
    pub(crate) fn turn_begin(&self, _mode: TurnMode) {}

    /// The kernel has answered with `events` events for tokens. Records the turn.
    pub(crate) fn turn_end(&self, _events: u32) {}

    /// The run queue has this many tasks.
    pub(crate) fn queued(&self, _tasks: usize) {}

    /// Runs `body` with all wakes in it attributed to `cause`.
    pub(crate) fn with_cause<R>(&self, _cause: Cause, body: impl FnOnce() -> R) -> R {
        body()
    }

    /// A token was claimed.
    pub(crate) fn token_claimed(
        &self,
        _token: TokenId,
        _kind: SourceKind,
        _fd: i32,
        _location: &'static Location<'static>,
    ) {
    }

    /// A token's registration changed, or would not (`errno`).
    pub(crate) fn token_registered(
        &self,
        _token: TokenId,
        _before: Interest,
        _after: Interest,
        _errno: u32,
    ) {
    }

    /// The addresses of a token became known.
    pub(crate) fn token_addresses(
        &self,
        _token: TokenId,
        _local: Option<SocketAddr>,
        _peer: Option<SocketAddr>,
    ) {
    }

    /// A token was released; `errno` says why the kernel would not deregister its source, zero if it did.
    pub(crate) fn token_released(&self, _token: TokenId, _errno: u32) {}

    /// A token was handed back that could not be released.
    pub(crate) fn release_refused(&self, _token: TokenId, _reason: RefusalReason) {}

    /// A token's readiness changed, or was reported again. Returns the record's number for the wakes it causes.
    pub(crate) fn transition(
        &self,
        _token: TokenId,
        _before: Readiness,
        _after: Readiness,
        _reason: TransitionReason,
        _wakers: u32,
    ) -> Option<Seq> {
        None
    }

    /// The kernel reported an event for a registration that is gone.
    pub(crate) fn stale_event(&self, _token: TokenId, _current: u32, _readiness: Readiness) {}

    /// The slot table has grown to this capacity (also called once for its first capacity, if that is not zero).
    pub(crate) fn freelist_grown(&self, _capacity: u32) {}

    /// A task was spawned. Its first wake follows as a probe of its own.
    pub(crate) fn task_spawned(
        &self,
        _task: TaskId,
        _location: &'static Location<'static>,
        _name: Option<&str>,
    ) -> TaskProbe {
        TaskProbe {}
    }

    /// A task ended. Its row is folded away.
    pub(crate) fn task_finished(&self, _probe: &TaskProbe, _outcome: TaskOutcome) {}

    /// A task's waker was fired on the runtime thread.
    pub(crate) fn wake(&self, _probe: &TaskProbe, _outcome: WakeOutcome) {}

    /// A task that another thread has woken was taken from the inbox.
    pub(crate) fn wake_remote(&self, _probe: &TaskProbe, _thread: u32, _woken: Stamp) {}

    /// Other threads fired a task's waker `count` more times while it was queued.
    pub(crate) fn redundant_remote(&self, _probe: &TaskProbe, _count: u32) {}

    /// A poll begins.
    pub(crate) fn poll_start(&self, _probe: &TaskProbe) {}

    /// A poll ends.
    pub(crate) fn poll_end(&self, _probe: &TaskProbe, _result: PollResult) {}

    /// A leaf future tried something, in the poll under way.
    pub(crate) fn operation(
        &self,
        _operation: Operation,
        _subject: Subject,
        _result: OperationResult,
    ) {
    }

    /// The task being polled goes to sleep on `target`.
    pub(crate) fn wait_begin(&self, _target: WaitFor) -> WaitProbe {
        WaitProbe {}
    }

    /// A wait is over.
    pub(crate) fn wait_end(&self, _wait: WaitProbe, _target: WaitFor, _outcome: WaitOutcome) {}

    /// A timer changed. Returns the record's number for the wake it causes.
    pub(crate) fn timer(
        &self,
        _timer: TimerId,
        _action: TimerAction,
        _deadline_ns: u64,
    ) -> Option<Seq> {
        None
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { enabled: true, ring_records: 1 << 17, board_rows: 8192, name: String::new() }
    }
}
