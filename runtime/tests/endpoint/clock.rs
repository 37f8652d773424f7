//! By which clock a process records, and that it is the kernel's time that its clients are told.

use crate::observed::{private_directory, start_with};
use nexus_protocol::frame::ServerFrame;
use nexus_protocol::session::Received;
use rustix::time::{ClockId, clock_gettime};
use std::fs;

/// `CLOCK_MONOTONIC` in nanoseconds.
fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The clock that a process should choose by itself here.
fn best() -> &'static str {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let source = read("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let info = read("/proc/cpuinfo");
    let is_invariant = ["constant_tsc", "nonstop_tsc"].iter().all(|flag| info.contains(flag));
    if source.trim() == "tsc" && is_invariant { "tsc" } else { "monotonic" }
}

#[test]
fn a_process_says_by_which_clock_it_records_and_its_stamps_are_the_kernels_time() {
    for (wanted, clock) in [(None, best()), (Some("monotonic"), "monotonic")] {
        let directory = private_directory();
        let before_ns = monotonic_ns();
        let observed = start_with("serve", directory.path(), |command| {
            command.env_remove("NEXUS_CLOCK");
            wanted.map(|wanted| command.env("NEXUS_CLOCK", wanted));
        });
        let mut client = observed.attach();
        assert_eq!(client.hello().0.clock, clock);
        let mut stamps = Vec::new();
        while stamps.len() < 100 {
            if let Received::Frame(ServerFrame::Events { records, .. }) = client.next().unwrap() {
                stamps.extend(records.iter().map(|record| record.at.0));
            }
        }
        let after_ns = monotonic_ns();
        assert!(stamps.is_sorted(), "{clock}: stamps run backwards");
        let (first, last) = (stamps[0], stamps[stamps.len() - 1]);
        // The line through the first anchors of a process is drawn from little.
        let tolerance_ns = 1_000_000;
        assert!(first + tolerance_ns > before_ns && last < after_ns + tolerance_ns, "{clock}");
        observed.ends();
    }
}
