//! A future that is ready at a point in time.

use super::alarm::Alarm;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Waits for at least this long, counted from the call.
///
/// Never early; late by what the kernel and the loop take, some 50 µs on an idle machine. Durations of centuries wait
/// for ever.
///
/// # Panics
///
/// When polled outside of `Runtime::block_on`.
#[must_use]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::new(Alarm::after(duration))
}

/// Waits until this moment.
///
/// # Panics
///
/// When polled outside of `Runtime::block_on`.
#[must_use]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(Alarm::until(deadline))
}

/// See [`sleep`]. Armed by its first poll, cancelled when dropped.
///
/// Once ready it stays so until it is [reset](Sleep::reset).
#[derive(Debug)]
pub struct Sleep {
    alarm: Alarm,
    /// Its runtime is found through the thread.
    not_send: PhantomData<*const ()>,
}

impl Sleep {
    fn new(alarm: Alarm) -> Self {
        Self { alarm, not_send: PhantomData }
    }

    /// The moment it waits for.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.alarm.deadline()
    }

    /// Whether the deadline has been reached.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        self.alarm.is_elapsed()
    }

    /// Gives it another deadline, also if the last one was reached.
    ///
    /// If it was polled before, whoever polled it is woken at the new deadline and not at the old one.
    pub fn reset(&mut self, deadline: Instant) {
        self.alarm.reset(deadline);
    }
}

impl Sleep {
    /// Polls it as the limit on what another future may take.
    pub(super) fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.alarm.poll_limit(cx)
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.alarm.poll(cx)
    }
}
