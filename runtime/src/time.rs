//! Timers: [`sleep`], [`sleep_until`] and [`timeout`].
//!
//! A timer never fires early, has the kernel's full resolution, and is gone without a trace when it is dropped.

pub(crate) mod queue;
mod sleep;
mod timeout;

pub(crate) use sleep::ns;
pub use sleep::{Sleep, sleep, sleep_until};
pub use std::time::{Duration, Instant};
pub use timeout::{Elapsed, timeout};
