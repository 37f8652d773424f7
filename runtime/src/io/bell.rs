//! What ends the loop's sleep in the kernel: an eventfd in its epoll, written to by other threads.
//!
//! In loom's models the loop sleeps on a condition of loom's instead, since the kernel would put all threads of the model
//! to sleep. There is nothing else in a model that could end it.

#[cfg(loom)]
use loom::sync::{Condvar, Mutex};
use std::io;
#[cfg(loom)]
use std::sync::Arc;
use std::time::Duration;

/// The end for other threads.
pub(crate) struct Bell {
    waker: mio::Waker,
    #[cfg(loom)]
    rung: Arc<(Mutex<bool>, Condvar)>,
}

/// The end of the driver.
pub(super) struct Sleeper {
    #[cfg(loom)]
    rung: Arc<(Mutex<bool>, Condvar)>,
}

/// Both ends.
pub(super) fn bell(registry: &mio::Registry, token: mio::Token) -> io::Result<(Bell, Sleeper)> {
    let waker = mio::Waker::new(registry, token)?;
    #[cfg(loom)]
    let rung = Arc::new((Mutex::new(false), Condvar::new()));
    let sleeper = Sleeper {
        #[cfg(loom)]
        rung: Arc::clone(&rung),
    };
    let bell = Bell {
        waker,
        #[cfg(loom)]
        rung,
    };
    Ok((bell, sleeper))
}

impl Bell {
    /// Ends the sleep, or the next one.
    #[cfg(not(loom))]
    pub(crate) fn ring(&self) -> io::Result<()> {
        self.waker.wake()
    }

    #[cfg(loom)]
    pub(crate) fn ring(&self) -> io::Result<()> {
        let _ = &self.waker;
        *self.rung.0.lock().unwrap() = true;
        self.rung.1.notify_one();
        Ok(())
    }
}

impl Sleeper {
    /// The driver is about to ask the kernel. For how long it may sleep there.
    #[cfg(not(loom))]
    #[inline]
    pub(super) fn limit(&self, limit: Option<Duration>) -> Option<Duration> {
        limit
    }

    /// The driver is about to ask the kernel: sleeps here, if it may sleep for ever, and not at all in the kernel.
    #[cfg(loom)]
    pub(super) fn limit(&self, limit: Option<Duration>) -> Option<Duration> {
        if limit.is_none() {
            let mut rung = self.rung.0.lock().unwrap();
            while !std::mem::take(&mut *rung) {
                rung = self.rung.1.wait(rung).unwrap();
            }
        }
        Some(Duration::ZERO)
    }
}
