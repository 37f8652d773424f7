//! The descriptor that ends the loop's sleep when a timer is due, and the decision what to set it to.
//!
//! A timerfd in the same epoll has the kernel's full resolution, where the timeout of `epoll_wait` through mio has
//! milliseconds. It is registered by edge, and never read: setting it anew takes back what it has reported.

use super::clock::NANOS_PER_SEC;
use crate::io::driver::{Driver, TIMER};
use mio::Interest;
use mio::unix::SourceFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// At least this long from one end of the loop's sleep for timers' sake to the next. Ending a sleep takes an interrupt and
/// some microseconds of CPU time, so where deadlines lie closer together than this, one end serves several: the first is
/// met exactly, and those after it are late by less than this. The kernel takes the same liberty with the sleep of
/// every ordinary thread.
pub(super) const SHORTEST_SLEEP_NS: u64 = 50_000;

/// Something that can be set to report at a time.
pub(crate) trait Descriptor {
    /// Sets it to report once at this time, in nanoseconds of `CLOCK_MONOTONIC`, instead of what it was set to. A time
    /// in the past reports at once.
    fn set(&self, at_ns: u64) -> io::Result<()>;
}

/// The kernel's.
pub(crate) struct Timerfd(OwnedFd);

impl Timerfd {
    /// A descriptor whose reports come from the driver as events of [`TIMER`].
    pub(super) fn new(driver: &Driver) -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let mut source = SourceFd(&descriptor.as_raw_fd());
        driver.registry().register(&mut source, TIMER, Interest::READABLE)?;
        Ok(Self(descriptor))
    }
}

impl Descriptor for Timerfd {
    fn set(&self, at_ns: u64) -> io::Result<()> {
        // Zero would disarm it.
        let at = at_ns.max(1);
        let value =
            Timespec { tv_sec: (at / NANOS_PER_SEC) as i64, tv_nsec: (at % NANOS_PER_SEC) as i64 };
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let setting = Itimerspec { it_interval: zero, it_value: value };
        timerfd_settime(&self.0, TimerfdTimerFlags::ABSTIME, &setting)?;
        Ok(())
    }
}

/// What the descriptor is set to, and when timers were last fired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Setting {
    set_to: Option<u64>,
    fired: u64,
}

impl Setting {
    /// The loop is about to ask the kernel, and this is the earliest deadline. To what the descriptor has to be set for
    /// it, if it is not as good as it is: a cancelled timer leaves it alone, at the price of one empty turn later.
    #[inline]
    pub(super) fn wanted(self, earliest: u64) -> Option<u64> {
        let at = earliest.max(self.fired.saturating_add(SHORTEST_SLEEP_NS));
        match self.set_to {
            Some(set_to) if set_to <= at => None,
            _ => Some(at),
        }
    }

    /// The descriptor has been set.
    pub(super) fn set(&mut self, at: u64) {
        self.set_to = Some(at);
    }

    /// At this time all that was due has been fired, perhaps because the descriptor has reported.
    pub(super) fn fired(&mut self, now: u64, reported: bool) {
        self.fired = now;
        if reported {
            self.set_to = None;
        }
    }
}
