//! The recorder's clock: the processor's time-stamp counter where the kernel itself trusts it and the processor says that it
//! never changes its pace, else `CLOCK_MONOTONIC`. Which one it is stands in the hello.
//!
//! Nothing is calibrated here. A stamp in the ring is in ticks of this clock; whoever wants nanoseconds takes two
//! [`Anchor`]s, moments read on both clocks, and interpolates (see `endpoint::timeline`).

use super::TARGET;
use nexus_protocol::clock::Anchor;
use nexus_protocol::ids::Stamp;
use rustix::time::{ClockId, clock_gettime};
use std::ffi::OsStr;
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

/// Chooses `CLOCK_MONOTONIC` if it is `monotonic`, whatever the machine is like.
const SWITCH: &str = "NEXUS_CLOCK";

impl Clock {
    /// The clock of this process, decided at the first call.
    pub(crate) fn of_process() -> Self {
        static CLOCK: OnceLock<Clock> = OnceLock::new();
        *CLOCK.get_or_init(|| {
            let wanted = std::env::var_os(SWITCH);
            let source = std::fs::read_to_string(CLOCKSOURCE).unwrap_or_default();
            let clock = Self::choose(wanted.as_deref(), source.trim(), counter_is_invariant());
            tracing::debug!(target: TARGET, clock = clock.name(), kernel = source.trim(), "clock");
            clock
        })
    }

    /// The counter, unless there is a reason against it.
    fn choose(wanted: Option<&OsStr>, kernels: &str, is_invariant: bool) -> Self {
        let is_refused = wanted.is_some_and(|word| word.eq_ignore_ascii_case("monotonic"));
        if !is_refused && kernels == "tsc" && is_invariant { Self::Tsc } else { Self::Monotonic }
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

/// Whether the counter runs at one pace, in sleep states too. A virtual machine may hide that from its guests.
#[cfg(all(target_arch = "x86_64", not(nexus_even_clock)))]
#[allow(unused_unsafe, reason = "a safe function since Rust 1.94")]
fn counter_is_invariant() -> bool {
    use core::arch::x86_64::__cpuid;
    /// The leaf that says so, by a bit of `edx`.
    const POWER: u32 = 0x8000_0007;
    const INVARIANT: u32 = 1 << 8;
    // SAFETY: every x86-64 processor has the instruction; leaves that it does not have are asked for by number first.
    let (last, power) = unsafe { (__cpuid(POWER & !0xFF).eax, || __cpuid(POWER)) };
    last >= POWER && power().edx & INVARIANT != 0
}

#[cfg(not(all(target_arch = "x86_64", not(nexus_even_clock))))]
fn counter_is_invariant() -> bool {
    cfg!(nexus_even_clock)
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
    fn the_counter_counts_only_if_kernel_and_processor_trust_it() {
        let choose = Clock::choose;
        assert_eq!(choose(None, "tsc", true), Clock::Tsc);
        assert_eq!(choose(None, "tsc", false), Clock::Monotonic, "it may change its pace");
        for source in ["kvm-clock", "hpet", "acpi_pm", ""] {
            assert_eq!(choose(None, source, true), Clock::Monotonic, "the kernel uses {source:?}");
        }
        let monotonic = Some(OsStr::new("monotonic"));
        assert_eq!(choose(monotonic, "tsc", true), Clock::Monotonic);
        assert_eq!(choose(Some(OsStr::new("tsc")), "hpet", true), Clock::Monotonic);
    }

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
