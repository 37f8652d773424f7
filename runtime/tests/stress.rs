//! Everything at once, at random: tasks that end while their wakers are fired, cloned and dropped on other threads, and
//! runtimes that are built and dropped under fire. There is little to assert but that it ends, that no wake is lost, and
//! that nothing is left: the sanitizers do the rest (`.ci/asan`, `.ci/tsan`).
//!
//! `NEXUS_STRESS_SECONDS` says how long each test goes on; the default is short. `NEXUS_STRESS_SEED` repeats a run's random
//! choices, as far as threads let them be repeated.
//!
//! A program without a test harness: the harness's own threads and channels would be all that ThreadSanitizer sees.

use nexus_runtime::task::JoinSet;
use nexus_runtime::time::{sleep, timeout};
use nexus_runtime::{Builder, JoinHandle, Runtime, spawn, task};
use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};
use std::{env, ptr, thread};

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn new(test: u64) -> Self {
        let seed = env::var("NEXUS_STRESS_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()));
        eprintln!("NEXUS_STRESS_SEED={seed}");
        Self((seed ^ test).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Until when a test goes on.
fn end() -> Instant {
    let seconds = env::var("NEXUS_STRESS_SECONDS").ok().and_then(|text| text.parse().ok());
    Instant::now() + Duration::from_secs_f64(seconds.unwrap_or(0.3))
}

/// Wakers on their way to other threads. A pointer a place, so that nothing but acquire and release is between the threads:
/// a lock would hide from the sanitizer what the runtime itself must order.
struct Exchange {
    places: [AtomicPtr<Waker>; 8],
    stop: AtomicBool,
}

impl Exchange {
    fn new() -> Arc<Self> {
        let places = std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()));
        Arc::new(Self { places, stop: AtomicBool::new(false) })
    }

    /// Puts a waker into a place, and takes out the one that was there.
    fn swap(&self, place: u64, waker: Option<Waker>) -> Option<Waker> {
        let new = waker.map_or(ptr::null_mut(), |waker| Box::into_raw(Box::new(waker)));
        let old = self.places[place as usize % self.places.len()].swap(new, Ordering::AcqRel);
        // SAFETY: whoever put the pointer there made it from a box, and the swap has given it to us alone.
        (!old.is_null()).then(|| *unsafe { Box::from_raw(old) })
    }

    /// Fires, clones and drops whatever comes by, until it is told to stop.
    fn abuse(&self, mut random: Random) -> u64 {
        let mut fired = 0;
        while !self.stop.load(Ordering::Acquire) {
            let place = random.below(8);
            let Some(waker) = self.swap(place, None) else {
                thread::yield_now();
                continue;
            };
            fired += 1;
            match random.below(6) {
                0 => drop(waker),
                1 => waker.wake(),
                2 => {
                    let second = waker.clone();
                    waker.wake();
                    second.wake();
                }
                3 => {
                    waker.wake_by_ref();
                    drop(self.swap(place, Some(waker)));
                }
                4 => drop(self.swap(random.below(8), Some(waker.clone()))),
                _ => {
                    waker.wake_by_ref();
                    waker.wake_by_ref();
                    drop(waker);
                }
            }
        }
        fired
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        (0..8).for_each(|place| drop(self.swap(place, None)));
    }
}

/// A future that gives wakers away in each poll, and ends after some.
fn restless(exchange: Arc<Exchange>, mut polls: u64, kept: Rc<()>) -> impl Future<Output = Rc<()>> {
    let mut kept = Some(kept);
    poll_fn(move |cx| {
        drop(exchange.swap(polls, Some(cx.waker().clone())));
        if polls == 0 {
            return Poll::Ready(kept.take().expect("polled after it was ready"));
        }
        polls -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// Waits in one of many ways.
async fn one_of_many(mut random: Random, exchange: Arc<Exchange>, kept: Rc<()>) {
    for _ in 0..random.below(4) {
        match random.below(6) {
            0 => task::yield_now().await,
            1 => sleep(Duration::from_micros(random.below(300))).await,
            2 => {
                let late = Duration::from_micros(random.below(200));
                let _ =
                    timeout(late, restless(exchange.clone(), random.below(50), kept.clone())).await;
            }
            3 => drop(spawn(restless(exchange.clone(), random.below(5), kept.clone()))),
            4 => {
                let handle = spawn(restless(exchange.clone(), random.below(9), kept.clone()));
                if random.below(2) == 0 {
                    handle.abort();
                }
                let _ = handle.await;
            }
            _ => {
                let mut set = JoinSet::new();
                for _ in 0..random.below(4) {
                    set.spawn(restless(exchange.clone(), random.below(4), kept.clone()));
                }
                if random.below(2) == 0 {
                    while set.join_next().await.is_some() {}
                }
            }
        }
    }
}

fn tasks_end_while_their_wakers_are_used_elsewhere() {
    let (end, mut random) = (end(), Random::new(1));
    let kept = Rc::new(());
    let mut fired = 0;
    while Instant::now() < end || fired == 0 {
        let exchange = Exchange::new();
        let threads: Vec<_> = (0..2)
            .map(|number| {
                let (exchange, random) = (exchange.clone(), Random::new(10 + number));
                thread::spawn(move || exchange.abuse(random))
            })
            .collect();
        let builder = Builder::new().endpoint(false).board_rows(64).ring_records(1024);
        let runtime = builder.recorder(random.below(2) == 0).build().unwrap();
        let rounds = random.below(20);
        let left: Vec<JoinHandle<Rc<()>>> = runtime.block_on(async {
            let mut left = Vec::new();
            for _ in 0..rounds {
                let number = random.below(1 << 32);
                drop(spawn(one_of_many(Random::new(number), exchange.clone(), kept.clone())));
                left.push(spawn(restless(exchange.clone(), random.below(20), kept.clone())));
                drop(spawn({
                    let (exchange, kept) = (exchange.clone(), kept.clone());
                    async move {
                        poll_fn(|cx| {
                            drop(exchange.swap(3, Some(cx.waker().clone())));
                            Poll::<()>::Pending
                        })
                        .await;
                        drop(kept);
                    }
                }));
                sleep(Duration::from_micros(random.below(200))).await;
            }
            left
        });
        // Some handles go before the runtime, some after it.
        let (early, late) =
            left.into_iter().enumerate().partition::<Vec<_>, _>(|(at, _)| at % 2 == 0);
        drop(early);
        drop(runtime);
        drop(late);
        exchange.stop.store(true, Ordering::Release);
        fired += threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>();
        drop(exchange);
    }
    assert_eq!(Rc::strong_count(&kept), 1, "a future or an output was not dropped");
}

fn every_wake_between_threads_is_answered() {
    let end = end();
    let runtime = Builder::new().endpoint(false).build().unwrap();
    let (asked, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let answered = Arc::new(AtomicU64::new(0));
    let waker: Arc<AtomicPtr<Waker>> = Arc::default();
    let other = {
        let (asked, answered, waker, stop) =
            (asked.clone(), answered.clone(), waker.clone(), stop.clone());
        thread::spawn(move || {
            let mut random = Random::new(5);
            while waker.load(Ordering::Acquire).is_null() {
                thread::yield_now();
            }
            // SAFETY: never freed before this thread has ended.
            let waker = unsafe { &*waker.load(Ordering::Acquire) };
            let mut number = 0;
            while Instant::now() < end {
                number += 1;
                asked.store(number, Ordering::Release);
                waker.wake_by_ref();
                // Sometimes the loop has the time to go to sleep.
                while answered.load(Ordering::Acquire) != number {
                    std::hint::spin_loop();
                }
                (0..random.below(2000)).for_each(|_| std::hint::spin_loop());
            }
            stop.store(true, Ordering::Release);
            waker.wake_by_ref();
            number
        })
    };
    runtime.block_on(poll_fn(|cx| {
        if waker.load(Ordering::Relaxed).is_null() {
            waker.store(Box::into_raw(Box::new(cx.waker().clone())), Ordering::Release);
        }
        answered.store(asked.load(Ordering::Acquire), Ordering::Release);
        if stop.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }));
    assert!(other.join().unwrap() > 10);
    // SAFETY: made from a box above, and the thread that used it has ended.
    drop(unsafe { Box::from_raw(waker.load(Ordering::Relaxed)) });
}

fn timers_are_armed_reset_and_dropped_at_random() {
    let (end, mut random) = (end(), Random::new(3));
    let fired = Rc::new(Cell::new(0_u64));
    Runtime::new().unwrap().block_on(async {
        while Instant::now() < end {
            let mut set = JoinSet::new();
            for _ in 0..random.below(200) {
                let (micros, kind, fired) = (random.below(2000), random.below(4), fired.clone());
                set.spawn(async move {
                    let start = Instant::now();
                    let mut sleeping = pin!(sleep(Duration::from_micros(micros)));
                    if kind == 0 {
                        let _ = timeout(Duration::from_micros(micros / 2), sleeping.as_mut()).await;
                    } else if kind == 1 {
                        pending::<()>().await;
                    } else {
                        sleeping.await;
                        assert!(start.elapsed() >= Duration::from_micros(micros), "early");
                        fired.set(fired.get() + 1);
                    }
                });
            }
            sleep(Duration::from_micros(random.below(1500))).await;
            if random.below(2) == 0 {
                set.shutdown().await;
            }
        }
    });
    assert!(fired.get() > 0);
}

fn runtimes_come_and_go_on_many_threads() {
    let end = end();
    let built = Arc::new(AtomicUsize::new(0));
    let threads: Vec<_> = (0..3)
        .map(|number| {
            let built = built.clone();
            thread::spawn(move || {
                let mut random = Random::new(40 + number);
                while Instant::now() < end {
                    let runtime = Builder::new().ring_records(64).board_rows(8).build().unwrap();
                    let handles = runtime.block_on(async {
                        let tasks = random.below(30);
                        let handles: Vec<_> =
                            (0..tasks).map(|task| spawn(async move { task })).collect();
                        task::yield_now().await;
                        handles
                    });
                    drop(runtime);
                    drop(handles);
                    built.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(built.load(Ordering::Relaxed) > 3);
}

fn main() {
    let tests: [(&str, fn()); 4] = [
        (
            "tasks_end_while_their_wakers_are_used_elsewhere",
            tasks_end_while_their_wakers_are_used_elsewhere,
        ),
        ("every_wake_between_threads_is_answered", every_wake_between_threads_is_answered),
        (
            "timers_are_armed_reset_and_dropped_at_random",
            timers_are_armed_reset_and_dropped_at_random,
        ),
        ("runtimes_come_and_go_on_many_threads", runtimes_come_and_go_on_many_threads),
    ];
    let wanted: Vec<String> = env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word));
    let mut passed = 0;
    for (name, test) in tests.into_iter().filter(|(name, _)| is_wanted(name)) {
        test();
        println!("test {name} ... ok");
        passed += 1;
    }
    println!("test result: ok. {passed} passed; 0 failed");
}
