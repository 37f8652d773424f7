//! A task that wakes itself at full speed, and others that go on with their lives beside it.

use crate::contestant::{Absent, Outcome};
use crate::host;
use crate::recorded::{Recorded, note};
use std::fs;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

/// The others: tasks that sleep, again and again.
const OTHERS: u32 = 25;

/// How often each of them is to wake up. Our recorder makes nine records of a sleep (its timer armed and fired, its wait
/// begun and ended, a wake, a poll's start and end, two operations): together, they make 25,000 a second.
const PERIOD: Duration = Duration::from_millis(9);

/// What the storm's tasks, and the thread that ends it, share.
#[derive(Debug)]
pub(crate) struct Storm {
    over: AtomicBool,
    /// Whether the others spawn a task after each sleep.
    pub(crate) spawning: bool,
}

impl Storm {
    pub(crate) const OTHERS: u32 = OTHERS;
    pub(crate) const PERIOD: Duration = PERIOD;

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// How long one of the others waits before its first sleep, so that they do not all wake up at the same time.
    pub(crate) fn delay(number: u32) -> Duration {
        PERIOD * number / OTHERS
    }

    /// When a sleep ends that was to end at `due`. One that is late is still a sleep, but a short one: there are as many as
    /// there should be, as long as the machine lets us run at all.
    pub(crate) fn wake_up_at(due: Instant) -> Instant {
        due.max(Instant::now() + PERIOD / 8)
    }
}

/// The task that wakes itself.
pub(crate) struct SelfWaking(pub(crate) Arc<Storm>);

impl Future for SelfWaking {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0.is_over() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// What is asked about the memory after a storm.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Memory {
    /// How much the process holds, in MiB.
    Held,
    /// How much more it takes in a minute, in MiB, in the second half of the storm.
    Growth,
}

/// Lets a storm blow for so long, in which the others also spawn a task after each sleep, and asks about the memory.
pub(crate) fn memory<C: Recorded>(cpu: usize, lasting: Duration, asked: Memory) -> Outcome {
    let (half, full) = blow(cpu, lasting, true, C::storm)?.1;
    note(format!("{full:.1} MiB at the end"));
    Ok(match asked {
        Memory::Held => full,
        Memory::Growth => (full - half) * 60.0 / (lasting.as_secs_f64() / 2.0),
    }
    .into())
}

/// How many seconds of the others' history are there at the end of a storm that lasts so long.
pub(crate) fn history<C: Recorded>(cpu: usize, lasting: Duration) -> Outcome {
    Ok(blow(cpu, lasting, false, C::history)?.0)
}

/// Runs a storm on this thread, and ends it from another one. What it yields, and the memory after half of the time and
/// at the end.
fn blow<T>(
    cpu: usize,
    lasting: Duration,
    spawning: bool,
    run: impl FnOnce(Arc<Storm>) -> Result<T, Absent>,
) -> Result<(T, (f64, f64)), Absent> {
    let storm = Arc::new(Storm { over: AtomicBool::new(false), spawning });
    let storm_there = storm.clone();
    let watch = thread::spawn(move || {
        host::pin(cpu);
        thread::sleep(lasting / 2);
        let half = anonymous_mib();
        thread::sleep(lasting / 2);
        let full = anonymous_mib();
        storm_there.over.store(true, Ordering::Relaxed);
        half.and_then(|half| Some((half, full?)))
    });
    let result = run(storm)?;
    let memory = watch.join().expect("the watch does not panic");
    Ok((result, memory.ok_or("the kernel does not tell how much memory there is")?))
}

/// The process's memory that is in no file, in MiB.
fn anonymous_mib() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}

/// A function `all_of`, which runs a storm. `sleep_until` is to return a future, whatever it yields.
macro_rules! storm_future {
    (spawn: $spawn:expr, value: $value:expr, sleep_until: $sleep_until:expr $(,)?) => {
        pub(super) async fn all_of(storm: std::sync::Arc<$crate::workloads::storm::Storm>) {
            use $crate::workloads::storm::{SelfWaking, Storm};
            let mut spawned = vec![$spawn(SelfWaking(storm.clone()))];
            for number in 0..Storm::OTHERS {
                let storm = storm.clone();
                spawned.push($spawn(async move {
                    let mut due = std::time::Instant::now() + Storm::delay(number);
                    while !storm.is_over() {
                        $sleep_until(Storm::wake_up_at(due)).await;
                        if storm.spawning {
                            $value($spawn(async {}).await);
                        }
                        due += Storm::PERIOD;
                    }
                }));
            }
            for task in spawned {
                $value(task.await);
            }
        }
    };
}
pub(crate) use storm_future;
