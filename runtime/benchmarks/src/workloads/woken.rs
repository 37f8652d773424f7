//! Tasks that another thread wakes.

use crate::contestant::{Absent, Contestant, Outcome};
use crate::host;
use std::hint::spin_loop;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// Something that wakes one task, from any thread.
pub(crate) trait Poke: Send + 'static {
    /// Wakes it.
    fn poke(&self);
}

impl Poke for Waker {
    fn poke(&self) {
        self.wake_by_ref();
    }
}

/// What the two threads tell each other.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    polls: AtomicU32,
    polled_at_ns: AtomicU64,
    over: AtomicBool,
}

impl Signal {
    /// The runtime's thread: a task was polled for a wake.
    pub(crate) fn note_poll(&self) {
        self.polled_at_ns.store(host::now_ns() as u64, Ordering::Relaxed);
        self.polls.fetch_add(1, Ordering::Release);
    }

    /// Whether all is to end.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

/// Hands out its waker and then notes each poll.
pub(crate) struct Woken {
    signal: Arc<Signal>,
    wakers: Option<Sender<Waker>>,
}

impl Woken {
    pub(crate) fn new(signal: Arc<Signal>, wakers: Sender<Waker>) -> Self {
        Self { signal, wakers: Some(wakers) }
    }
}

impl Future for Woken {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(wakers) = self.wakers.take() {
            wakers.send(cx.waker().clone()).expect("the other thread waits for it");
            return Poll::Pending;
        }
        if self.signal.is_over() {
            return Poll::Ready(());
        }
        self.signal.note_poll();
        Poll::Pending
    }
}

/// How many tasks are woken in a row between two readings of the clock.
const BATCH: u32 = 64;

/// What it costs another thread to wake a task of a runtime that is polling others, in microseconds: the median over
/// batches of 64 tasks. No wake is redundant: a batch begins when all of the last one have been polled.
pub(crate) fn cost<C: Contestant>(cpu: usize, batches: u32) -> Outcome {
    let median_ns = poking::<C>(cpu, BATCH, true, move |pokers, signal| {
        let per_wake = |_| {
            let polls = signal.polls.load(Ordering::Acquire);
            let start = host::now_ns();
            pokers.iter().for_each(Poke::poke);
            let took = host::now_ns() - start;
            wait_for(signal, polls.wrapping_add(BATCH));
            took / f64::from(BATCH)
        };
        bounded_median(batches, per_wake)
    })?;
    Ok((median_ns / 1e3).into())
}

/// The time from a wake by another thread to the poll, if the runtime has nothing else to do, in microseconds.
pub(crate) fn latency<C: Contestant>(cpu: usize, wakes: u32) -> Outcome {
    let median_ns = poking::<C>(cpu, 1, false, move |pokers, signal| {
        let latency = |_| {
            // Long enough to fall asleep in, for those that do.
            let pause = Instant::now();
            while pause.elapsed() < Duration::from_micros(100) {
                spin_loop();
            }
            let polls = signal.polls.load(Ordering::Acquire);
            let start = host::now_ns();
            pokers[0].poke();
            wait_for(signal, polls.wrapping_add(1));
            signal.polled_at_ns.load(Ordering::Relaxed) as f64 - start
        };
        bounded_median(wakes, latency)
    })?;
    Ok((median_ns / 1e3).into())
}

/// The median of this many measurements, or of as many as can be made in two seconds.
fn bounded_median(times: u32, measure: impl FnMut(u32) -> f64) -> f64 {
    let start = Instant::now();
    let in_time = |_: &f64| start.elapsed() < Duration::from_secs(2);
    let mut values: Vec<f64> = (0..times + times / 10).map(measure).take_while(in_time).collect();
    // The first tenth is the warm-up.
    values.drain(..values.len() / 10);
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn wait_for(signal: &Signal, polls: u32) {
    let start = Instant::now();
    while signal.polls.load(Ordering::Acquire) != polls {
        if start.elapsed() > Duration::from_secs(10) {
            // The runtime's thread may sleep for ever now: only the end of the process can tell anybody.
            eprintln!("a wake was lost, or answered twice");
            std::process::exit(1);
        }
        spin_loop();
    }
}

/// Runs the contestant's tasks on this thread and `body` on another one.
fn poking<C: Contestant>(
    cpu: usize,
    tasks: u32,
    keep_busy: bool,
    body: impl FnOnce(&[C::Poker], &Signal) -> f64 + Send + 'static,
) -> Result<f64, Absent> {
    let signal = Arc::new(Signal::default());
    let (sender, receiver) = channel::<C::Poker>();
    let signal_there = signal.clone();
    let other = thread::spawn(move || {
        host::pin(cpu);
        let pokers: Vec<C::Poker> = receiver.iter().take(tasks as usize).collect();
        if pokers.len() < tasks as usize {
            // The contestant says why.
            return f64::NAN;
        }
        let result = body(&pokers, &signal_there);
        signal_there.over.store(true, Ordering::Release);
        pokers.iter().for_each(Poke::poke);
        result
    });
    C::woken(tasks, keep_busy, signal, sender)?;
    Ok(other.join().expect("the other thread does not panic"))
}

/// [`Contestant::woken`] for runtimes whose wakers work from other threads.
macro_rules! woken_tasks {
    (run: $run:expr, spawn: $spawn:expr, value: $value:expr $(,)?) => {
        fn woken(
            tasks: u32,
            keep_busy: bool,
            signal: std::sync::Arc<$crate::workloads::woken::Signal>,
            pokers: std::sync::mpsc::Sender<std::task::Waker>,
        ) -> Result<(), $crate::contestant::Absent> {
            use $crate::workloads::tasks::yield_now;
            use $crate::workloads::woken::Woken;
            $run(async move {
                let mut spawned = Vec::new();
                for _ in 0..tasks {
                    spawned.push($spawn(Woken::new(signal.clone(), pokers.clone())));
                }
                drop(pokers);
                if keep_busy {
                    spawned.push($spawn(async move {
                        while !signal.is_over() {
                            yield_now().await;
                        }
                    }));
                }
                for task in spawned {
                    $value(task.await);
                }
            })
        }
    };
}
pub(crate) use woken_tasks;
