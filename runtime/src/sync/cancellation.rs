//! The wish that work should end, for a tree of tasks.

use super::probe::next_primitive;
use super::wait::Wait;
use crate::record::Through;
use nexus_protocol::PrimitiveId;
use nexus_protocol::event::{Operation, OperationResult};
use pin_project_lite::pin_project;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use tokio_util::sync as inner;

/// Tells tasks that they should end. Clones are the same token.
///
/// A token is cancelled once, for good. A [child](CancellationToken::child_token) is cancelled with its parent, but not
/// the other way round.
///
/// # Examples
///
/// ```
/// use nexus_runtime::sync::CancellationToken;
///
/// let runtime = nexus_runtime::Runtime::new()?;
/// runtime.block_on(async {
///     let token = CancellationToken::new();
///     let worker = nexus_runtime::spawn({
///         let token = token.child_token();
///         async move {
///             let work = std::future::pending::<()>();
///             token.run_until_cancelled(work).await
///         }
///     });
///     token.cancel();
///     assert!(worker.await.unwrap().is_none());
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CancellationToken {
    primitive: PrimitiveId,
    /// What wakes through it are attributed to.
    through: Through,
    inner: inner::CancellationToken,
}

impl CancellationToken {
    /// A token that nothing cancels but [`CancellationToken::cancel`].
    #[must_use]
    pub fn new() -> Self {
        let primitive = next_primitive();
        let through = Through::Primitive(primitive);
        Self { primitive, through, inner: inner::CancellationToken::new() }
    }

    /// A token whose wakes are those of a shutdown, as are its children's.
    pub(crate) fn of_shutdown() -> Self {
        Self { through: Through::Shutdown, ..Self::new() }
    }

    /// A token that is cancelled with this one, or alone.
    #[must_use]
    pub fn child_token(&self) -> Self {
        let primitive = next_primitive();
        let through = match self.through {
            Through::Primitive(_) => Through::Primitive(primitive),
            Through::Shutdown => Through::Shutdown,
        };
        Self { primitive, through, inner: self.inner.child_token() }
    }

    /// Cancels the token and its children, and wakes all who wait for that. From any thread; at any time but the first
    /// it does nothing.
    pub fn cancel(&self) {
        self.inner.cancel();
    }

    /// Whether the token was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.is_cancelled()
    }

    /// Waits until the token is cancelled; ready at once if it was.
    pub fn cancelled(&self) -> Cancelled<'_> {
        let wait = Wait::through(self.through, self.primitive, Operation::Cancelled);
        Cancelled { inner: self.inner.cancelled(), wait }
    }

    /// Runs a future, and drops it if the token is cancelled first: `None` then. If it is cancelled already, the future is
    /// not polled; if both become ready at once, the future wins.
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        if self.is_cancelled() {
            return None;
        }
        let mut future = pin!(future);
        let mut cancelled = pin!(self.cancelled());
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => cancelled.as_mut().poll(cx).map(|()| None),
        })
        .await
    }

    /// Something that cancels the token when it is dropped.
    #[must_use = "the token is cancelled when the guard is dropped"]
    pub fn drop_guard(self) -> DropGuard {
        DropGuard(Some(self))
    }
}

impl Default for CancellationToken {
    fn default() -> Self {
        Self::new()
    }
}

pin_project! {
    /// See [`CancellationToken::cancelled`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Cancelled<'a> {
        #[pin]
        inner: inner::WaitForCancellationFuture<'a>,
        wait: Wait,
    }
}

impl Future for Cancelled<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        this.wait.poll(cx, |cx| this.inner.as_mut().poll(cx), |()| OperationResult::Done(0))
    }
}

/// Cancels its token when dropped, see [`CancellationToken::drop_guard`].
#[derive(Debug)]
pub struct DropGuard(Option<CancellationToken>);

impl DropGuard {
    /// Gives the token back, without cancelling it.
    #[must_use]
    pub fn disarm(mut self) -> CancellationToken {
        self.0.take().expect("the token is there until now")
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = &self.0 {
            token.cancel();
        }
    }
}
