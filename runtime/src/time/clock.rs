//! The clock of timers: nanoseconds of `CLOCK_MONOTONIC`, and what they are as an [`Instant`].

use rustix::time::{ClockId, clock_gettime};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub(super) const NANOS_PER_SEC: u64 = 1_000_000_000;

/// The time now.
#[inline]
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    (now.tv_sec as u64).saturating_mul(NANOS_PER_SEC).saturating_add(now.tv_nsec as u64)
}

/// A duration in nanoseconds. What does not fit, more than five centuries, becomes for ever.
#[inline]
pub(crate) fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// An instant in nanoseconds of the clock, at most a few microseconds late and never early.
pub(super) fn ns_of(instant: Instant) -> u64 {
    let (anchor, anchor_ns) = anchor();
    match instant.checked_duration_since(anchor) {
        Some(after) => anchor_ns.saturating_add(ns(after)),
        None => anchor_ns.saturating_sub(ns(anchor.duration_since(instant))),
    }
}

/// The instant that [`ns_of`] turns into this time.
pub(super) fn instant_of(at_ns: u64) -> Instant {
    let (anchor, anchor_ns) = anchor();
    if at_ns >= anchor_ns {
        anchor + Duration::from_nanos(at_ns - anchor_ns)
    } else {
        anchor.checked_sub(Duration::from_nanos(anchor_ns - at_ns)).unwrap_or(anchor)
    }
}

/// A moment that nobody will see.
pub(super) fn far_future() -> Instant {
    instant_of(u64::MAX)
}

/// One moment as an `Instant` and in nanoseconds, the same one for the whole process.
fn anchor() -> (Instant, u64) {
    static ANCHOR: OnceLock<(Instant, u64)> = OnceLock::new();
    *ANCHOR.get_or_init(closest_pair)
}

/// Reads both clocks. The thread may be preempted between the two readings, so the closest of several pairs is taken;
/// reading the nanoseconds second makes them late rather than early.
fn closest_pair() -> (Instant, u64) {
    let pairs = (0..16).map(|_| {
        let before = now_ns();
        let instant = Instant::now();
        let after = now_ns();
        (after - before, (instant, after))
    });
    pairs.min_by_key(|(gap, _)| *gap).map(|(_, pair)| pair).expect("there are sixteen")
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_instant_goes_to_nanoseconds_and_back() {
        let now = Instant::now();
        let hour = Duration::from_secs(3600);
        for instant in [now, now + hour, now + 100 * 24 * 365 * hour] {
            assert_eq!(instant_of(ns_of(instant)), instant);
        }
    }

    #[test]
    fn an_instant_is_never_early_in_nanoseconds() {
        for _ in 0..1000 {
            let before = now_ns();
            let at_ns = ns_of(Instant::now());
            assert!(at_ns >= before, "{at_ns} lies before {before}");
        }
    }

    #[test]
    fn what_does_not_fit_is_for_ever() {
        assert_eq!(ns(Duration::MAX), u64::MAX);
        assert_eq!(ns_of(Instant::now() + Duration::from_secs(100_000_000_000)), u64::MAX);
        assert!(instant_of(u64::MAX) > Instant::now() + Duration::from_secs(10_000_000_000));
    }
}
