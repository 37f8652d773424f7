//! A bound on the time another future may take.

use super::sleep::{Sleep, sleep, sleep_until};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Gives a future this long, counted from the call.
///
/// The future is polled before the clock is asked, so one that is ready in time is never said to be late. What the time
/// ran out for is dropped together with the [`Timeout`].
///
/// # Errors
///
/// [`Elapsed`] if the time was over first.
///
/// # Panics
///
/// When polled outside of `Runtime::block_on`.
///
/// # Examples
///
/// ```
/// use nexus_runtime::time::{sleep, timeout};
/// use std::time::Duration;
///
/// let runtime = nexus_runtime::Runtime::new()?;
/// let late = runtime.block_on(timeout(Duration::from_millis(1), sleep(Duration::from_secs(3600))));
/// assert!(late.is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout { future: future.into_future(), limit: sleep(duration) }
}

/// Gives a future until this moment. See [`timeout`].
///
/// # Errors
///
/// [`Elapsed`] if the time was over first.
///
/// # Panics
///
/// When polled outside of `Runtime::block_on`.
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout { future: future.into_future(), limit: sleep_until(deadline) }
}

pin_project! {
    /// See [`timeout`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        limit: Sleep,
    }
}

impl<F> Timeout<F> {
    /// The future within.
    #[must_use]
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// The future within.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// The future within, without its limit.
    #[must_use]
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        this.limit.poll_limit(cx).map(|()| Err(Elapsed(())))
    }
}

/// The time was over before the future was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the time limit was reached")]
pub struct Elapsed(());

impl From<Elapsed> for std::io::Error {
    fn from(error: Elapsed) -> Self {
        Self::new(std::io::ErrorKind::TimedOut, error)
    }
}
