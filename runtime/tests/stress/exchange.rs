//! Where tasks leave wakers, and threads that do with them whatever can be done.

use crate::random::Random;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::task::Waker;
use std::thread;

/// Places for a waker each, without a lock.
pub(crate) struct Exchange {
    places: Vec<AtomicPtr<Waker>>,
    /// How many wakers were fired.
    pub(crate) fired: AtomicU64,
}

impl Exchange {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        let places = (0..places).map(|_| AtomicPtr::new(ptr::null_mut())).collect();
        Arc::new(Self { places, fired: AtomicU64::new(0) })
    }

    /// Leaves a waker somewhere. The one that was there is dropped.
    pub(crate) fn leave(&self, random: &mut Random, waker: Waker) {
        self.leave_at(random.below(self.places.len()), waker);
    }

    pub(crate) fn leave_at(&self, place: usize, waker: Waker) {
        drop(self.swap(place, Box::into_raw(Box::new(waker))));
    }

    /// Takes a waker from somewhere, if there is one.
    pub(crate) fn take(&self, random: &mut Random) -> Option<Waker> {
        self.take_at(random.below(self.places.len()))
    }

    pub(crate) fn take_at(&self, place: usize) -> Option<Waker> {
        self.swap(place, ptr::null_mut())
    }

    fn swap(&self, place: usize, waker: *mut Waker) -> Option<Waker> {
        let before = self.places[place].swap(waker, Ordering::AcqRel);
        // SAFETY: made by `leave_at`, and whoever takes it out of its place owns it.
        (!before.is_null()).then(|| *unsafe { Box::from_raw(before) })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        (0..self.places.len()).for_each(|place| drop(self.take_at(place)));
    }
}

/// Threads that work on an exchange until this is dropped.
pub(crate) struct Dealers {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Dealers {
    pub(crate) fn start(count: usize, exchange: &Arc<Exchange>, random: &mut Random) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |random| {
            let (exchange, stop) = (exchange.clone(), stop.clone());
            thread::spawn(move || deal(&exchange, &stop, random))
        };
        let threads = (0..count).map(|_| start(random.fork())).collect();
        Self { stop, threads }
    }
}

impl Drop for Dealers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            // A panic has been reported, and this may be one as well.
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "a dealer has panicked");
        }
    }
}

fn deal(exchange: &Exchange, stop: &AtomicBool, mut random: Random) {
    let mut hoard = Vec::new();
    while !stop.load(Ordering::Acquire) {
        let Some(waker) = exchange.take(&mut random) else {
            thread::yield_now();
            continue;
        };
        exchange.fired.fetch_add(1, Ordering::Relaxed);
        match random.below(6) {
            0 => waker.wake(),
            1 => {
                waker.wake_by_ref();
                exchange.leave(&mut random, waker);
            }
            2 => {
                let twin = waker.clone();
                waker.wake();
                twin.wake_by_ref();
                exchange.leave(&mut random, twin);
            }
            3 => drop(waker),
            4 => {
                waker.wake_by_ref();
                hoard.push(waker);
            }
            _ => {
                for _ in 0..random.below(5) {
                    waker.wake_by_ref();
                }
            }
        }
        if hoard.len() > 20 {
            hoard.drain(..).for_each(Waker::wake);
        }
    }
}
