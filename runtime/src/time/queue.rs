//! Armed timers, ordered by deadline, and the one descriptor that ends the loop's sleep when the first is due.
//!
//! Deadlines are nanoseconds of `CLOCK_MONOTONIC` and are never rounded: a timerfd in the same epoll has the kernel's
//! full resolution, where the timeout of `epoll_wait` through mio has milliseconds. It is set only when the loop is about
//! to ask the kernel and the earliest deadline lies before the one it is set to. A timer that is dropped leaves the
//! descriptor as it is, so at worst the loop turns once for nothing.

use super::clock::{NANOS_PER_SEC, now_ns};
use crate::io::driver::{Driver, TIMER};
use crate::record::WaitProbe;
use crate::runtime::Core;
use crate::task::wake_contained;
use mio::Interest;
use mio::unix::SourceFd;
use nexus_protocol::TimerId;
use nexus_protocol::event::{Cause, TimerAction, WaitFor, WaitOutcome};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::task::Waker;

/// See the [module](self). Arming and cancelling are O(log n).
pub(crate) struct TimerQueue {
    timers: RefCell<BTreeMap<(u64, TimerId), Sleeper>>,
    descriptor: OwnedFd,
    /// What the descriptor is set to; zero if it is not.
    set_to: Cell<u64>,
    last_id: Cell<u64>,
}

struct Sleeper {
    waker: Waker,
    wait: WaitProbe,
}

impl TimerQueue {
    pub(crate) fn new(driver: &Driver) -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        let mut source = SourceFd(&descriptor.as_raw_fd());
        driver.registry().register(&mut source, TIMER, Interest::READABLE)?;
        Ok(Self {
            timers: RefCell::default(),
            descriptor,
            set_to: Cell::new(0),
            last_id: Cell::new(0),
        })
    }

    /// An id for a new timer.
    pub(crate) fn next_id(&self) -> TimerId {
        self.last_id.set(self.last_id.get() + 1);
        TimerId(self.last_id.get())
    }

    /// Arms a timer that is not armed.
    pub(crate) fn arm(&self, timer: TimerId, deadline_ns: u64, waker: Waker, wait: WaitProbe) {
        self.timers.borrow_mut().insert((deadline_ns, timer), Sleeper { waker, wait });
    }

    /// Whether a timer is armed; if so, makes sure that it will fire this waker.
    pub(crate) fn refresh(&self, timer: TimerId, deadline_ns: u64, waker: &Waker) -> bool {
        match self.timers.borrow_mut().get_mut(&(deadline_ns, timer)) {
            Some(sleeper) => {
                sleeper.waker.clone_from(waker);
                true
            }
            None => false,
        }
    }

    /// Disarms a timer. Its wait, if it was armed.
    pub(crate) fn disarm(&self, timer: TimerId, deadline_ns: u64) -> Option<WaitProbe> {
        let removed = self.timers.borrow_mut().remove(&(deadline_ns, timer));
        removed.map(|sleeper| sleeper.wait)
    }

    /// Gives an armed timer another deadline. Whether it was armed.
    pub(crate) fn move_to(&self, timer: TimerId, from_ns: u64, to_ns: u64) -> bool {
        let mut timers = self.timers.borrow_mut();
        let Some(sleeper) = timers.remove(&(from_ns, timer)) else { return false };
        timers.insert((to_ns, timer), sleeper);
        true
    }

    /// The loop is about to ask the kernel: makes sure that the earliest deadline will end its sleep.
    pub(crate) fn prepare(&self) {
        let Some(&(earliest, _)) = self.timers.borrow().keys().next() else { return };
        let set_to = self.set_to.get();
        if set_to != 0 && set_to <= earliest {
            return;
        }
        // Zero would disarm the descriptor.
        let at = earliest.max(1);
        let value =
            Timespec { tv_sec: (at / NANOS_PER_SEC) as i64, tv_nsec: (at % NANOS_PER_SEC) as i64 };
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        let setting = Itimerspec { it_interval: zero, it_value: value };
        match timerfd_settime(&self.descriptor, TimerfdTimerFlags::ABSTIME, &setting) {
            Ok(_) => self.set_to.set(at),
            Err(error) => {
                tracing::error!(target: "nexus::runtime", %error, "cannot set the timer descriptor")
            }
        }
    }

    /// The descriptor has reported: fires all timers that are due. How many there were.
    pub(crate) fn fire(&self, core: &Core) -> usize {
        self.set_to.set(0);
        let now = now_ns();
        for fired in 0.. {
            // One at a time: a waker may be foreign code that arms and drops timers.
            let due = {
                let mut timers = self.timers.borrow_mut();
                match timers.first_entry() {
                    Some(first) if first.key().0 <= now => first.remove_entry(),
                    _ => return fired,
                }
            };
            let ((deadline_ns, timer), sleeper) = due;
            let fired = core.recorder.timer(timer, TimerAction::Fired, deadline_ns);
            core.recorder.wait_end(sleeper.wait, WaitFor::Timer(timer), WaitOutcome::Done);
            core.recorder
                .with_cause(Cause::Timer { timer, fired }, || wake_contained(sleeper.waker));
        }
        unreachable!("there are not so many timers")
    }
}
