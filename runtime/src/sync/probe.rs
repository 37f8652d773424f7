//! What the recorder is told of a primitive: operations on it, waits for it, wakes through it.
//!
//! A primitive can be made and used anywhere, by tasks of several runtimes and by threads that have none. Each runtime
//! records what its own tasks do; the number of the primitive is the same in all of them.

use crate::context;
use crate::record::{Through, WaitProbe};
use crate::task;
use nexus_protocol::event::{Operation, OperationResult, Subject, WaitFor, WaitOutcome};
use nexus_protocol::{PrimitiveId, RuntimeId};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// A number for a new primitive.
pub(crate) fn next_primitive() -> PrimitiveId {
    static LAST: AtomicU64 = AtomicU64::new(0);
    if !cfg!(feature = "recorder") {
        return PrimitiveId(1);
    }
    PrimitiveId(LAST.fetch_add(1, Ordering::Relaxed) + 1)
}

/// Records an attempt at an operation on a primitive, if this thread is inside a runtime.
#[inline]
pub(crate) fn operation(primitive: PrimitiveId, operation: Operation, result: OperationResult) {
    context::try_with(|core| {
        core.recorder.operation(operation, Subject::Primitive(primitive), result);
    });
}

/// Whether the task being polled may go on with something that may succeed at once, as [`task::poll_budget`] says. On a
/// thread that is outside of any runtime there is no limit.
#[inline]
pub(crate) fn poll_budget(cx: &mut Context<'_>) -> Poll<()> {
    context::try_with(|core| task::poll_budget(core, cx)).unwrap_or(Poll::Ready(()))
}

/// Whether [`poll_budget`] would let the task go on.
#[inline]
pub(crate) fn has_budget() -> bool {
    context::try_with(|core| core.budget.is_spent()) != Some(true)
}

/// Something that was asked for with [`poll_budget`] has succeeded.
#[inline]
pub(crate) fn spend_budget() {
    context::try_with(|core| core.budget.spend());
}

/// Runs `body`, which fires wakers that wait for this primitive.
pub(crate) fn waking<R>(primitive: PrimitiveId, body: impl FnOnce() -> R) -> R {
    context::with_through(Through::Primitive(primitive), body)
}

/// The wait of one future for a primitive, as it is recorded. Over when dropped.
#[derive(Debug)]
pub(crate) struct RecordedWait {
    primitive: PrimitiveId,
    /// Where it was begun; none if there is no wait under way.
    begun: Option<(RuntimeId, WaitProbe)>,
}

impl RecordedWait {
    pub(crate) fn new(primitive: PrimitiveId) -> Self {
        Self { primitive, begun: None }
    }

    pub(crate) fn primitive(&self) -> PrimitiveId {
        self.primitive
    }

    /// The task being polled goes to sleep, unless it does so already.
    #[inline]
    pub(crate) fn begin(&mut self) {
        if self.begun.is_none() {
            self.begun = context::try_with(|core| {
                let target = WaitFor::Primitive(self.primitive);
                core.recorder.is_on().then(|| (core.id, core.recorder.wait_begin(target)))
            })
            .flatten();
        }
    }

    /// The wait is over, if there was one.
    #[inline]
    pub(crate) fn end(&mut self, outcome: WaitOutcome) {
        if let Some((runtime, wait)) = self.begun.take() {
            self.record_end(runtime, wait, outcome);
        }
    }

    fn record_end(&self, runtime: RuntimeId, wait: WaitProbe, outcome: WaitOutcome) {
        context::with_runtime(runtime, |core| {
            core.recorder.wait_end(wait, WaitFor::Primitive(self.primitive), outcome);
        });
    }
}

impl Drop for RecordedWait {
    fn drop(&mut self) {
        self.end(WaitOutcome::Dropped);
    }
}
