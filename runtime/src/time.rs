//! Timers: [`sleep`], [`sleep_until`], [`timeout`] and [`timeout_at`].
//!
//! A timer never fires early, has the kernel's full resolution, and is gone without a trace when it is dropped.

pub(crate) mod alarm;
mod clock;
pub(crate) mod queue;
mod sleep;
mod timeout;

pub(crate) use clock::{now_ns, ns};
pub use sleep::{Sleep, sleep, sleep_until};
pub use std::time::{Duration, Instant};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};
