//! The recorder's clock: the processor's time-stamp counter where the kernel itself trusts it, else `CLOCK_MONOTONIC`.
//!
//! Nothing is calibrated here. A stamp in the ring is in ticks of this clock; whoever wants nanoseconds takes two
//! [`Anchor`]s, moments read on both clocks, and interpolates (see `endpoint::timeline`).

use nexus_protocol::clock::Anchor;
use nexus_protocol::ids::Stamp;
use rustix::time::{ClockId, clock_gettime};
use std::sync::OnceLock;

/// Which clock stamps are taken from. One for the whole process: [`Clock::of_process`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// The time-stamp counter (x86-64).
    Tsc,
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    Monotonic,
}

/// What the kernel uses for its own time. It switches away from the counter when it finds it unstable.
const CLOCKSOURCE: &str = "/sys/devices/system/clocksource/clocksource0/current_clocksource";

impl Clock {
    /// The clock of this process, decided at the first call.
    pub(crate) fn of_process() -> Self {
        static CLOCK: OnceLock<Clock> = OnceLock::new();
        *CLOCK.get_or_init(|| {
            let source = std::fs::read_to_string(CLOCKSOURCE).unwrap_or_default();
            if cfg!(target_arch = "x86_64") && source.trim() == "tsc" {
                Self::Tsc
            } else {
                Self::Monotonic
            }
        })
    }

    /// The current time in ticks; never [`Stamp::NEVER`].
    ///
    /// About 10 ns. Two reads on one thread do not run backwards; between threads they agree to within what the kernel
    /// tolerates of its own clock.
    #[inline]
    pub(crate) fn now(self) -> Stamp {
        Stamp(self.count().max(1))
    }

    /// The current count of ticks, which may be zero.
    #[inline]
    pub(super) fn count(self) -> u64 {
        match self {
            Self::Tsc => counter(),
            Self::Monotonic => monotonic_ns(),
        }
    }

    /// The word for the hello.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tsc => "tsc",
            Self::Monotonic => "monotonic",
        }
    }

    /// This moment on both clocks. Of a few attempts the one counts in which the least time passed between the reads,
    /// since a preemption between them would bend the line through the anchors.
    pub(crate) fn anchor(self) -> Anchor {
        if self == Self::Monotonic {
            let now = monotonic_ns();
            return Anchor { ticks: now, mono_ns: now };
        }
        let attempt = || {
            let before = self.now().0;
            let mono_ns = monotonic_ns();
            let width = self.now().0.saturating_sub(before);
            (width, Anchor { ticks: before + width / 2, mono_ns })
        };
        let best = (0..8).map(|_| attempt()).min_by_key(|&(width, _)| width);
        best.expect("eight attempts were made").1
    }

    /// The first anchor of the process: the start of every line from ticks to nanoseconds.
    pub(crate) fn first_anchor(self) -> Anchor {
        static FIRST: OnceLock<Anchor> = OnceLock::new();
        *FIRST.get_or_init(|| self.anchor())
    }
}

/// `CLOCK_MONOTONIC` in nanoseconds.
pub(crate) fn monotonic_ns() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// Any of the kernel's clocks in nanoseconds; zero for a time before its epoch.
pub(crate) fn nanoseconds(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// A counter that advances evenly with each read, however slow the machine is: for counting instructions.
#[cfg(nexus_even_clock)]
#[inline]
fn counter() -> u64 {
    static READS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    READS.fetch_add(32, std::sync::atomic::Ordering::Relaxed)
}

#[cfg(all(target_arch = "x86_64", not(nexus_even_clock)))]
#[inline]
fn counter() -> u64 {
    // SAFETY: reading the counter has no preconditions on x86-64: every such processor has the instruction, and a
    // kernel that forbade it to programs would not name it as its own clock source.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(not(any(target_arch = "x86_64", nexus_even_clock)))]
fn counter() -> u64 {
    monotonic_ns()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_run_forwards() {
        for clock in [Clock::of_process(), Clock::Monotonic] {
            let mut last = clock.now();
            for _ in 0..10_000 {
                let now = clock.now();
                assert!(now >= last, "{} ran backwards", clock.name());
                last = now;
            }
        }
    }

    #[test]
    fn an_anchor_lies_between_reads_around_it() {
        let clock = Clock::of_process();
        let (ticks, ns) = (clock.now().0, monotonic_ns());
        let anchor = clock.anchor();
        assert!((ticks..=clock.now().0).contains(&anchor.ticks));
        assert!((ns..=monotonic_ns()).contains(&anchor.mono_ns));
    }
}
