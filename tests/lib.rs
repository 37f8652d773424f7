//! End-to-end tests: helpers that drive the real programs from outside.
//!
//! | module | knows |
//! | --- | --- |
//! | [`programs`] | how to build and start the inspector and the observed programs, and how to end them |
//! | [`terminal`] | how to see and press what a person would |
//! | [`trace`] | how to read a recorded JSON trace, and how to follow a chain in it by number |
//! | [`verify`] | what must be true of a server after a load, as its recording and its board tell |
//!
//! A test waits for a condition, with a generous bound: [`wait_until`].

#![forbid(unsafe_code)]

pub mod programs;
pub mod terminal;
pub mod trace;
pub mod verify;

use std::thread;
use std::time::{Duration, Instant};

/// How long a test waits for something that has to come. Far longer than it ever takes; a slow machine is no failure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` yields something.
///
/// # Panics
///
/// When it does not within [`PATIENCE`]. `what` says what was waited for.
pub fn wait_until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}
