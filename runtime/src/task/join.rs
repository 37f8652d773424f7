//! The handle of a spawned task, and what can become of a task but its output.

use super::cell::{Joiner, TaskRef};
use super::join_set::Membership;
use super::sleeper::Sleeper;
use crate::context;
use nexus_protocol::TaskId;
use nexus_protocol::event::{Cause, Operation, OperationResult, Subject, WaitFor, WaitOutcome};
use std::any::Any;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Waits for a spawned task and hands out its output.
///
/// Dropping the handle detaches the task: it runs on, and its output is dropped when it ends.
pub struct JoinHandle<T> {
    task: TaskRef,
    output: PhantomData<T>,
}

impl<T> JoinHandle<T> {
    /// The handle of a task whose future returns `T`.
    pub(super) fn new(task: TaskRef) -> Self {
        Self { task, output: PhantomData }
    }

    /// The task.
    pub(super) fn task(&self) -> &TaskRef {
        &self.task
    }

    /// The task's number, as the inspector shows it.
    #[must_use]
    pub fn id(&self) -> TaskId {
        self.task.header().local.id
    }

    /// Whether the task has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.header().state.is_complete()
    }

    /// Ends the task: its future is dropped before its next poll, and the handle yields an error. A task that has ended
    /// already keeps its output.
    pub fn abort(&self) {
        let local = &self.task.header().local;
        if !self.is_finished() && !local.aborted.replace(true) {
            context::with_cause(Cause::Shutdown, || self.task.waker().wake());
        }
    }

    /// Puts the task into a set. A waker of the set to be fired, if the task has ended already.
    pub(super) fn join_set(&self, membership: Membership) -> Option<Waker> {
        self.end_wait(WaitOutcome::Dropped);
        if self.is_finished() {
            return membership.finished();
        }
        *self.task.header().local.joiner.borrow_mut() = Some(Joiner::Set(membership));
        None
    }

    /// The result of a task that has ended.
    pub(super) fn into_result(self) -> Result<T, JoinError> {
        self.take()
    }

    /// Takes the result of a task that has ended.
    fn take(&self) -> Result<T, JoinError> {
        let header = self.task.header();
        // SAFETY: `T` is the output of the task's future since `spawn`, and a handle can't leave its thread.
        let result = unsafe { self.task.take_result::<T>() };
        context::with_shared(&header.shared, |core| {
            let subject = Subject::Task(header.local.id);
            core.recorder.operation(Operation::Join, subject, OperationResult::Done(0));
        });
        result.expect("a JoinHandle is not polled after it was ready")
    }

    /// Ends the wait of whoever has polled this handle, if there is one.
    fn end_wait(&self, outcome: WaitOutcome) {
        let joiner = &self.task.header().local.joiner;
        if joiner.borrow().is_none() {
            return;
        }
        if let Some(joiner) = joiner.take() {
            joiner.end_wait(self.task.header(), outcome);
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let header = self.task.header();
        let local = &header.local;
        if self.is_finished() {
            let spent = context::with_shared(&header.shared, |core| {
                let spent = super::poll_budget(core, cx).is_pending();
                core.budget.spend();
                spent
            });
            if spent == Some(true) {
                return Poll::Pending;
            }
            return Poll::Ready(self.take());
        }
        context::with_shared(&header.shared, |core| {
            let subject = Subject::Task(local.id);
            core.recorder.operation(Operation::Join, subject, OperationResult::NotReady);
        });
        if let Some(Joiner::Handle { sleeper, .. }) = &*local.joiner.borrow()
            && sleeper.is_woken_by(cx.waker(), &header.shared)
        {
            return Poll::Pending;
        }
        // A waker may be foreign code, so nothing is borrowed while one is cloned or dropped.
        let sleeper = Sleeper::of(cx.waker(), &header.shared);
        if self.is_finished() {
            return Poll::Ready(self.take());
        }
        let mut joiner = local.joiner.borrow_mut();
        let wait = match &*joiner {
            Some(Joiner::Handle { wait, .. }) => *wait,
            Some(Joiner::Set(_)) => unreachable!("a handle in a set is not polled"),
            None => context::with_shared(&header.shared, |core| {
                core.recorder.wait_begin(WaitFor::Task(local.id))
            }),
        };
        let replaced = joiner.replace(Joiner::Handle { sleeper, wait });
        drop(joiner);
        drop(replaced);
        Poll::Pending
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        // First of all, since what follows may be foreign code that panics, and the reference is given back all the same.
        self.task.header().local.detached.set(true);
        if self.is_finished() {
            self.task.discard_result();
        }
        self.end_wait(WaitOutcome::Dropped);
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("task", &self.id().0)
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// Why a task has no output.
pub struct JoinError(Reason);

enum Reason {
    Panicked(Box<dyn Any + Send>),
    Aborted,
    RuntimeDropped,
    /// There was no thread to run it.
    NotStarted(io::Error),
}

impl JoinError {
    pub(crate) fn panicked(payload: Box<dyn Any + Send>) -> Self {
        Self(Reason::Panicked(payload))
    }

    pub(crate) fn aborted() -> Self {
        Self(Reason::Aborted)
    }

    pub(super) fn runtime_dropped() -> Self {
        Self(Reason::RuntimeDropped)
    }

    pub(crate) fn not_started(error: io::Error) -> Self {
        Self(Reason::NotStarted(error))
    }

    /// Whether the task has panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Reason::Panicked(_))
    }

    /// Whether the task was ended from outside: by its handle, or with its runtime.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0, Reason::Aborted | Reason::RuntimeDropped)
    }

    /// Why no thread could be started, if that is why [blocking work](crate::task::spawn_blocking) has not run.
    #[must_use]
    pub fn start_error(&self) -> Option<&io::Error> {
        match &self.0 {
            Reason::NotStarted(error) => Some(error),
            _ => None,
        }
    }

    /// The panic's payload, to be passed on with [`std::panic::resume_unwind`].
    ///
    /// # Errors
    ///
    /// Gives the error back if the task has not panicked.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        match self.0 {
            Reason::Panicked(payload) => Ok(payload),
            other => Err(Self(other)),
        }
    }

    /// The text of the panic, if it has one.
    fn message(&self) -> Option<&str> {
        match &self.0 {
            Reason::Panicked(payload) => payload
                .downcast_ref::<&'static str>()
                .copied()
                .or_else(|| payload.downcast_ref::<String>().map(String::as_str)),
            _ => None,
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0, self.message()) {
            (Reason::Panicked(_), Some(message)) => write!(f, "the task panicked: {message}"),
            (Reason::Panicked(_), None) => f.write_str("the task panicked"),
            (Reason::Aborted, _) => f.write_str("the task was aborted"),
            (Reason::RuntimeDropped, _) => f.write_str("the task's runtime was dropped"),
            (Reason::NotStarted(error), _) => {
                write!(f, "no thread could be started for blocking work: {error}")
            }
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}
