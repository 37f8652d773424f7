//! Timers: [`sleep`], [`timeout`], [`interval`], and their like.
//!
//! A timer never fires early, has the kernel's full resolution, and is gone without a trace when it is dropped. Arming,
//! resetting and dropping one costs some 50 ns, however many there are.
//!
//! | to | use |
//! | --- | --- |
//! | wait for a time, or until one | [`sleep`], [`sleep_until`] |
//! | put off what is waited for | [`Sleep::reset`] |
//! | bound what another future may take | [`timeout`], [`timeout_at`] |
//! | do something again and again | [`interval`], [`interval_at`] |
//!
//! ```
//! use nexus_runtime::time::{Duration, Instant, sleep};
//!
//! let runtime = nexus_runtime::Runtime::new()?;
//! runtime.block_on(async {
//!     let start = Instant::now();
//!     sleep(Duration::from_micros(1_300)).await;
//!     assert!(start.elapsed() >= Duration::from_micros(1_300));
//! });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! Under the hood, deadlines are in a heap, and a timerfd in the runtime's epoll is set to the earliest one whenever the
//! loop goes to sleep. Where deadlines follow each other closer than 50 µs, one end of that sleep serves several of them.

pub(crate) mod alarm;
mod clock;
mod descriptor;
mod heap;
mod interval;
pub(crate) mod queue;
mod sleep;
#[cfg(all(test, not(loom)))]
mod tests;
mod timeout;

pub(crate) use clock::{now_ns, ns};
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub use std::time::{Duration, Instant};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};
