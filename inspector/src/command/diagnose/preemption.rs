//! How long the observed threads are kept waiting for a processor, as the kernel counts it.
//!
//! Only where the kernel tells (`/proc/<pid>/task/<tid>/schedstat`), and only while we look: of the time before the attach,
//! and in traces, nothing is known.

use crate::analysis::Analysis;
use nexus_protocol::{RuntimeId, Stamp};
use rustix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::fs;

/// The last look at each thread: when, and how long it had waited by then.
#[derive(Debug, Default)]
pub(super) struct Preemption {
    last: HashMap<RuntimeId, (Stamp, u64)>,
}

impl Preemption {
    /// Looks at the threads of all runtimes.
    pub(super) fn look(&mut self, analysis: &mut Analysis) {
        let Some(pid) = analysis.process().map(|process| process.pid) else { return };
        let threads: Vec<_> = analysis.threads().take(16).collect();
        for (runtime, thread) in threads {
            // Read before the clock: the wait lies before the stamp in any case.
            let Some(waited) = waited_ns(pid, thread) else { continue };
            let now = now();
            if let Some((from, before)) = self.last.insert(runtime, (now, waited))
                && waited > before
            {
                analysis.preempted(runtime, from, now, waited - before);
            }
        }
    }
}

/// How long a thread has waited on a run queue since it began.
fn waited_ns(pid: u32, thread: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{thread}/schedstat")).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn now() -> Stamp {
    let now = clock_gettime(ClockId::Monotonic);
    Stamp(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}
