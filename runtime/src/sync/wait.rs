//! Waiting for a primitive: between a future of another crate and the task that polls it.
//!
//! The future inside is not given the task's waker, but a [`Bell`] that holds it. Whoever rings the bell fires the waker
//! *through the primitive*, so that the wake is attributed to it, on whichever thread that is. And the bell can be emptied:
//! a wait that is dropped takes the waker out, also where the future inside forgets to.

use super::probe::{self, RecordedWait};
use crate::context;
use crate::record::Through;
use atomic_waker::AtomicWaker;
use nexus_protocol::PrimitiveId;
use nexus_protocol::event::{Operation, OperationResult, WaitOutcome};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// What fires the waker of a task that waits.
#[derive(Debug)]
struct Bell {
    through: Through,
    waker: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(waker) = self.waker.take() {
            context::with_through(self.through, || waker.wake());
        }
    }
}

/// The waits of one future, one after the other. See the [module](self).
#[derive(Debug)]
pub(super) struct Wait {
    operation: Operation,
    through: Through,
    recorded: RecordedWait,
    /// The bell, and itself as a waker. Made by the first wait, and kept for the next one.
    bell: Option<(Arc<Bell>, Waker)>,
    /// Whether the bell holds the task's waker, unless somebody has rung it.
    armed: bool,
    /// Whether the last attempt but those of a wait under way had to wait.
    waited: bool,
}

impl Wait {
    /// For attempts at this operation on this primitive.
    pub(super) fn new(primitive: PrimitiveId, operation: Operation) -> Self {
        Self::through(Through::Primitive(primitive), primitive, operation)
    }

    /// The same, with the wakes attributed to something else.
    pub(super) fn through(through: Through, primitive: PrimitiveId, operation: Operation) -> Self {
        let recorded = RecordedWait::new(primitive);
        Self { operation, through, recorded, bell: None, armed: false, waited: false }
    }

    pub(super) fn primitive(&self) -> PrimitiveId {
        self.recorded.primitive()
    }

    /// Makes an attempt, records how it went, and waits if it is pending. `result` says what has become of one that is
    /// ready.
    pub(super) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: impl FnMut(&mut Context<'_>) -> Poll<T>,
        result: impl FnOnce(&T) -> OperationResult,
    ) -> Poll<T> {
        if probe::poll_budget(cx).is_pending() {
            return Poll::Pending;
        }
        let polled = self.attempt(cx.waker(), attempt);
        match &polled {
            Poll::Ready(value) => {
                probe::spend_budget();
                self.end(WaitOutcome::Done);
                self.record(result(value));
            }
            Poll::Pending => {
                self.record(OperationResult::NotReady);
                self.recorded.begin();
            }
        }
        polled
    }

    fn attempt<T>(
        &mut self,
        waker: &Waker,
        mut attempt: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if !self.armed && !self.waited {
            // Many attempts need no wait, and then no bell. What happens before the bell is armed is seen by the
            // second attempt. Who had to wait the last time is likely to have to again.
            let unarmed = self.bell.as_ref().map_or(Waker::noop(), |(_, waker)| waker);
            let polled = attempt(&mut Context::from_waker(unarmed));
            if polled.is_ready() {
                return polled;
            }
        }
        let (bell, through_bell) = self.bell.get_or_insert_with(|| {
            let bell = Arc::new(Bell { through: self.through, waker: AtomicWaker::new() });
            (Arc::clone(&bell), Waker::from(bell))
        });
        bell.waker.register(waker);
        let first = !std::mem::replace(&mut self.armed, true);
        let polled = attempt(&mut Context::from_waker(through_bell));
        if first {
            self.waited = polled.is_pending();
        }
        polled
    }

    /// Records an operation that was made without waiting.
    #[inline]
    pub(super) fn record(&self, result: OperationResult) {
        probe::operation(self.primitive(), self.operation, result);
    }

    /// Nobody waits any more: the bell is emptied.
    #[inline]
    pub(super) fn end(&mut self, outcome: WaitOutcome) {
        if std::mem::take(&mut self.armed)
            && let Some((bell, _)) = &self.bell
        {
            drop(bell.waker.take());
        }
        self.recorded.end(outcome);
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.end(WaitOutcome::Dropped);
    }
}
