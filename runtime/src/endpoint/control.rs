//! What the endpoint's thread and the rest of the process tell each other.
//!
//! Runtimes that end, and the process when it ends, wait here for a short while until clients have what was recorded;
//! the first `block_on` may wait for the first client. All waits are bounded.

use super::directory::Place;
use super::system::Guarded;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The state that both sides share.
#[derive(Debug)]
pub(super) struct Control {
    wake_up: Guarded<OwnedFd>,
    /// Clients with a subscription, for a look without the lock.
    subscribed: AtomicUsize,
    state: Mutex<State>,
    changed: Condvar,
    /// Where the socket is, once it is.
    place: Mutex<Option<Place>>,
}

#[derive(Debug, Default)]
struct State {
    /// How often somebody has asked for clients to be drained.
    drains_asked: u64,
    /// How many of these have been done.
    drains_done: u64,
    /// Somebody did not wait any longer.
    gave_up: bool,
    /// The process is ending.
    ending: bool,
    /// The goodbyes are said.
    ended: bool,
    /// Somebody has subscribed, once.
    had_subscriber: bool,
    /// The thread is gone, or never was.
    dead: bool,
}

/// What the thread is asked to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requests {
    /// The number of the last drain that was asked for.
    pub(super) drain: u64,
    /// Somebody asked for a drain and did not wait for its end.
    pub(super) gave_up: bool,
    /// The process is ending.
    pub(super) ending: bool,
}

impl Control {
    pub(super) fn new() -> io::Result<Self> {
        let wake_up = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            wake_up: Guarded::new(wake_up),
            subscribed: AtomicUsize::new(0),
            state: Mutex::default(),
            changed: Condvar::new(),
            place: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Readable when the thread is to look at its requests.
    pub(super) fn wake_up(&self) -> BorrowedFd<'_> {
        self.wake_up.as_fd()
    }

    /// Says where the socket is. For the thread.
    pub(super) fn sits_at(&self, place: Place) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    /// Removes the socket from where it is.
    pub(super) fn leave_place(&self) {
        if let Some(place) = &*self.place.lock().unwrap_or_else(PoisonError::into_inner) {
            place.remove();
        }
    }

    fn call(&self) {
        // It can only fail if it is called already.
        let _ = rustix::io::write(&*self.wake_up, &1_u64.to_ne_bytes());
    }

    /// Waits until `is_done`, the thread is gone, or the time is over. True if it is done.
    fn wait_until(&self, timeout: Duration, is_done: impl Fn(&State) -> bool) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.state();
        loop {
            if is_done(&state) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || state.dead {
                return false;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until the clients have everything of the runtimes that have ended. Returns at once if there are none.
    pub(super) fn drain(&self, timeout: Duration) {
        if self.subscribed.load(Ordering::Acquire) == 0 {
            return;
        }
        let number = {
            let mut state = self.state();
            state.drains_asked += 1;
            state.drains_asked
        };
        self.call();
        if !self.wait_until(timeout, |state| state.drains_done >= number) {
            self.state().gave_up = true;
            self.call();
        }
    }

    /// Waits until the clients have everything and the goodbye. Returns at once if there are none.
    pub(super) fn end(&self, timeout: Duration) {
        if self.subscribed.load(Ordering::Acquire) == 0 {
            return;
        }
        self.state().ending = true;
        self.call();
        self.wait_until(timeout, |state| state.ended);
    }

    /// Waits until a client has subscribed. True if one has.
    pub(super) fn wait_for_subscriber(&self, timeout: Duration) -> bool {
        self.wait_until(timeout, |state| state.had_subscriber)
    }

    /// What is asked of the thread. For the thread.
    pub(super) fn take_requests(&self) -> Requests {
        let _ = rustix::io::read(&*self.wake_up, &mut [0_u8; 8]);
        let mut state = self.state();
        Requests {
            drain: state.drains_asked,
            gave_up: std::mem::take(&mut state.gave_up),
            ending: state.ending,
        }
    }

    /// Says what the thread has achieved: how many clients have subscribed, the drain that is done if one is, and
    /// whether the goodbyes are said. For the thread.
    pub(super) fn report(&self, subscribed: usize, drain_done: Option<u64>, is_over: bool) {
        self.subscribed.store(subscribed, Ordering::Release);
        let mut state = self.state();
        state.had_subscriber |= subscribed > 0;
        if let Some(number) = drain_done {
            state.drains_done = number;
        }
        state.ended = is_over;
        drop(state);
        self.changed.notify_all();
    }

    /// Says that the thread is gone. For the thread.
    pub(super) fn die(&self) {
        self.subscribed.store(0, Ordering::Release);
        self.state().dead = true;
        self.changed.notify_all();
    }
}
