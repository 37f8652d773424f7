//! A notification without a value.

use super::probe::next_primitive;
use super::wait::Wait;
use nexus_protocol::PrimitiveId;
use nexus_protocol::event::{Operation, OperationResult, WaitOutcome};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::futures;

/// Lets tasks wait until something happens elsewhere.
///
/// It holds at most one permit. [`Notify::notify_one`] wakes the task that has waited longest, or leaves a permit if none
/// waits, and the next [`Notify::notified`] takes it at once. [`Notify::notify_waiters`] wakes all who wait and leaves
/// nothing.
///
/// # Examples
///
/// ```
/// use nexus_runtime::sync::Notify;
/// use std::rc::Rc;
///
/// let runtime = nexus_runtime::Runtime::new()?;
/// runtime.block_on(async {
///     let notify = Rc::new(Notify::new());
///     let waiting = nexus_runtime::spawn({
///         let notify = Rc::clone(&notify);
///         async move { notify.notified().await }
///     });
///     notify.notify_one();
///     waiting.await.unwrap();
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Notify {
    primitive: PrimitiveId,
    inner: tokio::sync::Notify,
}

impl Notify {
    /// Without a permit.
    #[must_use]
    pub fn new() -> Self {
        Self { primitive: next_primitive(), inner: tokio::sync::Notify::new() }
    }

    /// Waits for a notification.
    ///
    /// The future takes part in [`Notify::notify_waiters`] from this call on; in [`Notify::notify_one`] from its first
    /// poll, or [`Notified::enable`], on. If it is dropped after it was notified and before it has returned, the
    /// notification goes to the next one who waits.
    pub fn notified(&self) -> Notified<'_> {
        let wait = Wait::new(self.primitive, Operation::Notified);
        Notified { inner: self.inner.notified(), wait }
    }

    /// Wakes the task that has waited longest, or leaves a permit if none waits. From any thread.
    pub fn notify_one(&self) {
        self.inner.notify_one();
    }

    /// Wakes the task that has waited for the shortest time, or leaves a permit if none waits. From any thread.
    pub fn notify_last(&self) {
        self.inner.notify_last();
    }

    /// Wakes all who wait. From any thread.
    pub fn notify_waiters(&self) {
        self.inner.notify_waiters();
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

pin_project! {
    /// See [`Notify::notified`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Notified<'a> {
        #[pin]
        inner: futures::Notified<'a>,
        wait: Wait,
    }
}

impl Notified<'_> {
    /// Takes part in notifications from now on, without being polled. Whether it was notified already: a permit was
    /// there, or [`Notify::notify_waiters`] was called since.
    pub fn enable(self: Pin<&mut Self>) -> bool {
        let this = self.project();
        let notified = this.inner.enable();
        if notified {
            this.wait.end(WaitOutcome::Done);
        }
        notified
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        this.wait.poll(cx, |cx| this.inner.as_mut().poll(cx), |()| OperationResult::Done(0))
    }
}
