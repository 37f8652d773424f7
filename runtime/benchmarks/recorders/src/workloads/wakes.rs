//! Tasks that wake each other: what a recorder does once for each wake, and what for each wake with its poll.
//!
//! Nothing here repeats itself in the sense of our recorder, so all of it is recorded one by one.

use crate::host::thread_cpu_ns;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};

/// What a task that wakes and those that are woken know of each other.
#[derive(Debug, Default)]
pub(crate) struct Sleepers {
    wakers: Mutex<Vec<Waker>>,
    polls: AtomicU32,
    over: AtomicBool,
}

/// Does nothing but count how often it is woken.
pub(crate) struct Sleeper {
    all: Arc<Sleepers>,
    known: bool,
}

impl Sleeper {
    pub(crate) fn new(all: Arc<Sleepers>) -> Self {
        Self { all, known: false }
    }
}

impl Future for Sleeper {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.all.over.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        if !self.known {
            self.known = true;
            self.all.wakers.lock().expect("nobody panics with it").push(cx.waker().clone());
        }
        self.all.polls.fetch_add(1, Ordering::Relaxed);
        Poll::Pending
    }
}

/// Wakes all sleepers, waits until each has been polled, and begins again.
pub(crate) struct Waking {
    sleepers: Arc<Sleepers>,
    wakers: Vec<Waker>,
    tasks: u32,
    measured: u32,
    left: u32,
    expected: u32,
    took_ns: f64,
}

impl Waking {
    pub(crate) fn new(sleepers: Arc<Sleepers>, tasks: u32, measured: u32) -> Self {
        Self {
            sleepers,
            wakers: Vec::new(),
            tasks,
            measured,
            left: measured + measured / 10,
            expected: tasks,
            took_ns: 0.0,
        }
    }
}

impl Future for Waking {
    /// How long all the wakes took that are measured.
    type Output = f64;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<f64> {
        let this = &mut *self;
        let polls = this.sleepers.polls.load(Ordering::Relaxed);
        assert!(polls <= this.expected, "a task was polled without a wake");
        if polls < this.expected {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if this.wakers.is_empty() {
            let mut wakers = this.sleepers.wakers.lock().expect("nobody panics with it");
            this.wakers = std::mem::take(&mut *wakers);
        }
        let over = this.left == 0;
        this.sleepers.over.store(over, Ordering::Relaxed);
        let start = thread_cpu_ns();
        for waker in &this.wakers {
            waker.wake_by_ref();
        }
        let took = thread_cpu_ns() - start;
        if over {
            return Poll::Ready(this.took_ns);
        }
        if this.left <= this.measured {
            this.took_ns += took;
        }
        this.left -= 1;
        this.expected += this.tasks;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Two tasks that wake each other.
#[derive(Debug, Default)]
pub(crate) struct Pair {
    wakers: [OnceLock<Waker>; 2],
    over: AtomicBool,
}

/// One of them. The second one counts, and ends it.
pub(crate) struct Partner {
    pair: Arc<Pair>,
    counts: bool,
    measured: u32,
    left: u32,
    start_ns: f64,
}

impl Partner {
    /// The second one counts `measured` polls of its own; there are twice as many dispatches.
    pub(crate) fn new(pair: Arc<Pair>, counts: bool, measured: u32) -> Self {
        Self { pair, counts, measured, left: measured + measured / 10, start_ns: 0.0 }
    }
}

impl Future for Partner {
    /// How long all dispatches took that are measured, for the one that counts.
    type Output = f64;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<f64> {
        let this = &mut *self;
        let (me, other) = (usize::from(this.counts), usize::from(!this.counts));
        this.pair.wakers[me].get_or_init(|| cx.waker().clone());
        // The first one polled has nobody to wake yet.
        let Some(other) = this.pair.wakers[other].get() else { return Poll::Pending };
        if this.counts {
            if this.left == this.measured {
                this.start_ns = thread_cpu_ns();
            }
            if this.left == 0 {
                let took = thread_cpu_ns() - this.start_ns;
                this.pair.over.store(true, Ordering::Relaxed);
                other.wake_by_ref();
                return Poll::Ready(took);
            }
            this.left -= 1;
        } else if this.pair.over.load(Ordering::Relaxed) {
            return Poll::Ready(0.0);
        }
        other.wake_by_ref();
        Poll::Pending
    }
}

/// The methods of [`Recorded`](crate::recorded::Recorded) that wake tasks.
macro_rules! waking_tasks {
    (run: $run:expr, spawn: $spawn:expr, value: $value:expr $(,)?) => {
        fn waking(tasks: u32, times: u32) -> $crate::contestant::Outcome {
            use $crate::workloads::wakes::{Sleeper, Sleepers, Waking};
            let took = $run(async move {
                let sleepers = std::sync::Arc::new(Sleepers::default());
                let mut spawned = Vec::new();
                for _ in 0..tasks {
                    spawned.push($spawn(Sleeper::new(sleepers.clone())));
                }
                let took = $value($spawn(Waking::new(sleepers, tasks, times)).await);
                for task in spawned {
                    $value(task.await);
                }
                took
            })?;
            Ok((took / f64::from(tasks) / f64::from(times)).into())
        }

        fn dispatching(dispatches: u32) -> $crate::contestant::Outcome {
            use $crate::workloads::wakes::{Pair, Partner};
            let took = $run(async move {
                let pair = std::sync::Arc::new(Pair::default());
                let other = $spawn(Partner::new(pair.clone(), false, 0));
                let took = $value($spawn(Partner::new(pair, true, dispatches / 2)).await);
                $value(other.await);
                took
            })?;
            Ok((took / f64::from(dispatches)).into())
        }
    };
}
pub(crate) use waking_tasks;
