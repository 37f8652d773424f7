//! A bound on the time another future may take.

use super::sleep::{Sleep, sleep, sleep_until};
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

/// Gives a future this long, counted from the call; then drops it.
///
/// The future is polled before the clock is asked, so one that is ready in time is never said to be late.
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
pub fn timeout<F: Future>(
    duration: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    until(sleep(duration), future)
}

/// Gives a future until this moment; then drops it. See [`timeout`].
///
/// # Errors
///
/// [`Elapsed`] if the time was over first.
///
/// # Panics
///
/// When polled outside of `Runtime::block_on`.
pub fn timeout_at<F: Future>(
    deadline: Instant,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    until(sleep_until(deadline), future)
}

fn until<F: Future>(
    mut limit: Sleep,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    async move {
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            Pin::new(&mut limit).poll(cx).map(|()| Err(Elapsed(())))
        })
        .await
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
