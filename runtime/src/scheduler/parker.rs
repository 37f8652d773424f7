//! How the loop goes to sleep in the kernel without missing a wake from another thread.
//!
//! One word, changed by read-modify-write on both sides. A waker that finds the loop awake only leaves a note, without
//! a system call; the loop finds the note when it next tries to park.

use crate::primitives::atomic::{AtomicU32, Ordering};

const AWAKE: u32 = 0;
const PARKED: u32 = 1;
const NOTIFIED: u32 = 2;

/// See the [module](self).
pub(crate) struct Parker(AtomicU32);

impl Parker {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(AWAKE))
    }

    /// Runtime thread: may the loop sleep? If not, somebody has left a note, which is thereby taken: look into the
    /// inbox instead.
    #[must_use]
    pub(crate) fn try_park(&self) -> bool {
        match self.0.compare_exchange(AWAKE, PARKED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(_) => {
                self.0.swap(AWAKE, Ordering::AcqRel);
                false
            }
        }
    }

    /// Runtime thread: the loop is back from the kernel.
    pub(crate) fn unparked(&self) {
        self.0.swap(AWAKE, Ordering::AcqRel);
    }

    /// Any thread, after it has put something into the inbox. Whether the loop sleeps and has to be woken through the
    /// kernel.
    #[must_use]
    pub(crate) fn notify(&self) -> bool {
        self.0.swap(NOTIFIED, Ordering::AcqRel) == PARKED
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_a_parked_loop_needs_the_kernel() {
        let parker = Parker::new();
        assert!(!parker.notify(), "awake: a note is enough");
        assert!(!parker.try_park(), "the note is found");
        assert!(parker.try_park());
        assert!(parker.notify(), "parked: the kernel has to help");
        assert!(!parker.notify(), "once");
        parker.unparked();
        assert!(parker.try_park());
    }
}

#[cfg(all(test, loom))]
mod loom_models {
    use super::*;
    use crate::primitives::atomic::AtomicUsize;
    use loom::sync::Arc;
    use loom::thread;

    /// The loop parks only if it has seen everything, or if the waker will ring the kernel.
    #[test]
    fn loom_no_wake_is_slept_through() {
        loom::model(|| {
            let shared = Arc::new((Parker::new(), AtomicUsize::new(0)));
            let other = shared.clone();
            let waker = thread::spawn(move || {
                other.1.store(1, Ordering::Relaxed);
                other.0.notify()
            });
            let mut seen = shared.1.load(Ordering::Relaxed) == 1;
            let mut parked = shared.0.try_park();
            if !parked {
                seen |= shared.1.load(Ordering::Relaxed) == 1;
                parked = shared.0.try_park();
            }
            let rung = waker.join().unwrap();
            assert!(parked && (seen || rung), "asleep, with work and nobody to ring");
        });
    }
}
