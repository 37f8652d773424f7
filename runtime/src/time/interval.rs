//! Ticks at a fixed distance, and what becomes of those that came too late.

use super::clock::far_future;
use super::sleep::{Sleep, sleep_until};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Ticks every `period`, for the first time at once.
///
/// # Panics
///
/// If the period is zero.
///
/// # Examples
///
/// ```
/// use nexus_runtime::time::{Duration, interval};
///
/// let runtime = nexus_runtime::Runtime::new()?;
/// runtime.block_on(async {
///     let mut interval = interval(Duration::from_millis(2));
///     let first = interval.tick().await;
///     let second = interval.tick().await;
///     assert_eq!(second - first, Duration::from_millis(2));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(Instant::now(), period)
}

/// Ticks every `period`, for the first time at `start`.
///
/// # Panics
///
/// If the period is zero.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "the period of an interval must not be zero");
    Interval { next: sleep_until(start), period, missed: MissedTickBehavior::default() }
}

/// Ticks at a fixed distance. Made by [`interval`] and [`interval_at`].
///
/// Ticks are counted from the time for which the last one was due, not from when it was taken, so they don't drift. What
/// happens if the program is too late is the [`MissedTickBehavior`].
#[derive(Debug)]
pub struct Interval {
    next: Sleep,
    period: Duration,
    missed: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick. Returns the moment for which it was due.
    ///
    /// May be cancelled: a tick is taken only when this is ready.
    ///
    /// # Panics
    ///
    /// When polled outside of `Runtime::block_on`.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// The same as a poll.
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        ready!(Pin::new(&mut self.next).poll(cx));
        let tick = self.next.deadline();
        self.next.reset(self.missed.next(tick, Instant::now(), self.period));
        Poll::Ready(tick)
    }

    /// Starts anew: the next tick comes one period from now.
    pub fn reset(&mut self) {
        self.reset_after(self.period);
    }

    /// Starts anew: the next tick comes at once.
    pub fn reset_immediately(&mut self) {
        self.reset_at(Instant::now());
    }

    /// Starts anew: the next tick comes after this time.
    pub fn reset_after(&mut self, after: Duration) {
        self.reset_at(later(Instant::now(), after));
    }

    /// Starts anew: the next tick comes at this moment.
    pub fn reset_at(&mut self, moment: Instant) {
        self.next.reset(moment);
    }

    /// The distance of ticks.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// What happens to ticks that come too late.
    #[must_use]
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed
    }

    /// Chooses what happens to ticks that come too late.
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed = behavior;
    }
}

/// What happens after a tick was taken too late: by more than a period, or more than 5 ms if that is less. A tick that is
/// late by less than that changes nothing.
///
/// Of an interval of 10 ms whose user is busy from 11 to 35 ms, these are the ticks:
///
/// | behaviour | ticks taken at |
/// | --- | --- |
/// | `Burst` | 0, 10, 35, 35, 40, 50 |
/// | `Delay` | 0, 10, 35, 45, 55 |
/// | `Skip` | 0, 10, 35, 40, 50 |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MissedTickBehavior {
    /// All ticks that were missed are made up for, at once, until the schedule is caught up with. The default.
    #[default]
    Burst,
    /// The next tick comes one period from now, and those after it are counted from there.
    Delay,
    /// What was missed is left out, and ticks go on by the schedule.
    Skip,
}

/// A tick that is late by less is not counted as missed, whatever the period.
const TOLERANCE: Duration = Duration::from_millis(5);

impl MissedTickBehavior {
    /// The moment of the tick that follows the one that was due at `tick` and is taken `now`.
    fn next(self, tick: Instant, now: Instant, period: Duration) -> Instant {
        let late = now.saturating_duration_since(tick);
        if late <= TOLERANCE.min(period) {
            return later(tick, period);
        }
        match self {
            Self::Burst => later(tick, period),
            Self::Delay => later(now, period),
            Self::Skip => later(now, period - remainder(late, period)),
        }
    }
}

/// How far into a period a time is that began with one.
fn remainder(time: Duration, period: Duration) -> Duration {
    let nanos = time.as_nanos() % period.as_nanos();
    // Less than the period, which is a duration.
    Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32)
}

fn later(moment: Instant, by: Duration) -> Instant {
    moment.checked_add(by).unwrap_or_else(far_future)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::MissedTickBehavior::{Burst, Delay, Skip};
    use super::*;
    use proptest::prelude::*;

    const ALL: [MissedTickBehavior; 3] = [Burst, Delay, Skip];

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// The ticks, in milliseconds, that a user takes who is busy between two times.
    fn taken(behavior: MissedTickBehavior, busy: (u64, u64), until: u64) -> Vec<u64> {
        let start = Instant::now();
        let (mut due, mut now, mut taken) = (start, start, Vec::new());
        while now.max(due) <= start + ms(until) {
            now = now.max(due);
            if (start + ms(busy.0)..start + ms(busy.1)).contains(&now) {
                now = start + ms(busy.1);
            }
            taken.push((now - start).as_millis() as u64);
            due = behavior.next(due, now, ms(10));
        }
        taken
    }

    #[test]
    fn the_table_in_the_documentation_is_right() {
        assert_eq!(taken(Burst, (11, 35), 59), [0, 10, 35, 35, 40, 50]);
        assert_eq!(taken(Delay, (11, 35), 59), [0, 10, 35, 45, 55]);
        assert_eq!(taken(Skip, (11, 35), 59), [0, 10, 35, 40, 50]);
    }

    #[test]
    fn a_little_late_is_on_time() {
        let tick = Instant::now();
        for behavior in ALL {
            for late in [0, 1, 4, 5] {
                assert_eq!(behavior.next(tick, tick + ms(late), ms(100)), tick + ms(100));
            }
            // Taken before its time by the clock of the caller.
            assert_eq!(behavior.next(tick + ms(1), tick, ms(100)), tick + ms(101));
        }
        assert_eq!(Delay.next(tick, tick + ms(6), ms(100)), tick + ms(106));
        assert_eq!(Delay.next(tick, tick + ms(2), ms(1)), tick + ms(3), "more than a period");
    }

    #[test]
    fn skipping_lands_after_now_also_on_a_multiple_of_the_period() {
        let tick = Instant::now();
        assert_eq!(Skip.next(tick, tick + ms(30), ms(10)), tick + ms(40));
        assert_eq!(Skip.next(tick, tick + ms(39), ms(10)), tick + ms(40));
        let odd = Duration::from_nanos(1_000_003);
        assert_eq!(Skip.next(tick, tick + 7 * odd + ms(1), odd), tick + 8 * odd);
    }

    #[test]
    fn times_beyond_the_calendar_are_the_far_future() {
        let tick = Instant::now();
        for behavior in ALL {
            assert!(behavior.next(tick, tick + ms(20), Duration::MAX) > tick + ms(1_000_000_000));
        }
    }

    proptest! {
        #[test]
        fn the_next_tick_is_never_before_the_last_and_as_the_behaviour_says(
            late_ns in 0..10_000_000_000_u64,
            period_ns in prop_oneof![1..100_u64, 1..10_000_000_000_u64],
        ) {
            let (late, period) = (Duration::from_nanos(late_ns), Duration::from_nanos(period_ns));
            let tick = Instant::now();
            let now = tick + late;
            prop_assert_eq!(Burst.next(tick, now, period), tick + period);
            let skip = Skip.next(tick, now, period);
            prop_assert_eq!(remainder(skip - tick, period), Duration::ZERO, "on the schedule");
            prop_assert!(skip > tick && skip <= now + period);
            let delay = Delay.next(tick, now, period);
            prop_assert!(delay == tick + period || delay == now + period);
            if late > period {
                prop_assert!(skip > now && delay == now + period);
            }
        }
    }
}
