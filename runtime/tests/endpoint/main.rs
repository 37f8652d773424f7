//! The endpoint of a real process, from outside: found, attached to while its thread hangs, gone when it ends, not
//! inherited by its children, out of its threads' way, and closed to strangers.
//!
//! The observed process is this test program itself, started again to run nothing but [`workload`].

mod observed;
mod workloads;

mod attach;
mod children;
mod clock;
mod life;
mod strangers;
mod thread;

/// Names what the started process is to do.
const WORKLOAD: &str = "NEXUS_TEST_WORKLOAD";

/// Not a test: what the observed process does.
#[test]
fn workload() {
    if let Ok(workload) = std::env::var(WORKLOAD) {
        workloads::run(&workload);
    }
}
