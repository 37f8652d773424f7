//! An adapter through which the recorder sees futures of other crates.

use super::probe::{self, RecordedWait, next_primitive};
use nexus_protocol::event::{Operation, OperationResult, WaitOutcome};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Makes the readiness of a future that is none of ours count as an operation that completed.
///
/// A poll is taken to have achieved something if a future of this crate has. The recorder does not see what passes
/// through a channel of another crate: a task that waits for both, and is woken for the one and finds the other ready,
/// would look as if it had been woken for nothing. Through this adapter, each poll of the future is an operation, not
/// ready while it is pending and done when it is ready, and the task is seen to wait.
///
/// The future gets the task's own waker, so what it does with that is still unknown: a poll without progress that such a
/// wake has brought about stays *unattributed*.
///
/// # Examples
///
/// ```
/// use nexus_runtime::task::counted;
///
/// let runtime = nexus_runtime::Runtime::new()?;
/// let answer = runtime.block_on(counted(std::future::ready(42)));
/// assert_eq!(answer, 42);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn counted<F: Future>(future: F) -> Counted<F> {
    Counted { future, wait: RecordedWait::new(next_primitive()) }
}

pin_project! {
    /// See [`counted`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Counted<F> {
        #[pin]
        future: F,
        wait: RecordedWait,
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if probe::poll_budget(cx).is_pending() {
            return Poll::Pending;
        }
        let this = self.project();
        let primitive = this.wait.primitive();
        let polled = this.future.poll(cx);
        if polled.is_ready() {
            probe::spend_budget();
            this.wait.end(WaitOutcome::Done);
            probe::operation(primitive, Operation::Foreign, OperationResult::Done(0));
        } else {
            probe::operation(primitive, Operation::Foreign, OperationResult::NotReady);
            this.wait.begin();
        }
        polled
    }
}
