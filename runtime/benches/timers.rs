//! What a timer costs and how late it is, with the recorder off and on:
//! `cargo bench -p nexus-inspect-runtime --bench timers`.
//!
//! Costs are CPU time of the thread, kernel included, so that waiting is free. Off and on are measured in turn, round by
//! round, and compared round by round, since the machine's speed changes from one second to the next. Prints medians
//! with the lowest and highest round; of lateness, the median of the rounds' medians.

use nexus_runtime::time::{Sleep, sleep};
use nexus_runtime::{Builder, Runtime, spawn};
use rustix::time::{ClockId, clock_gettime};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;
const TIMERS: u32 = 100_000;

type Workload = fn(&Runtime) -> f64;

fn main() {
    let workloads: [(&str, Workload); 7] = [
        ("spawn, sleep 1–100 ms, join, CPU ns", tasks_that_sleep),
        ("sleep 1–100 ms in one task, CPU ns", sleeps_in_one_task),
        ("create, poll once, drop, CPU ns", armed_and_cancelled),
        ("overshoot of 0.3 ms, p50 µs", |runtime| overshoot_us(runtime, 300)),
        ("overshoot of 1 ms, p50 µs", |runtime| overshoot_us(runtime, 1_000)),
        ("overshoot of 1.3 ms, p50 µs", |runtime| overshoot_us(runtime, 1_300)),
        ("overshoot of 1.7 ms, p50 µs", |runtime| overshoot_us(runtime, 1_700)),
    ];
    let build = |on| Builder::new().recorder(on).endpoint(false).build().expect("a runtime");
    let (off, on) = (build(false), build(true));
    println!("{:<36} {:>24} {:>24} {:>24}", "", "recorder off", "recorder on", "on / off");
    for (name, workload) in workloads {
        workload(&off);
        workload(&on);
        let rounds: Vec<(f64, f64)> =
            (0..ROUNDS).map(|_| (workload(&off), workload(&on))).collect();
        let spread = |value: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            format!("{:.2} ({:.2}–{:.2})", values[ROUNDS / 2], values[0], values[ROUNDS - 1])
        };
        println!(
            "{name:<36} {:>24} {:>24} {:>24}",
            spread(|round| round.0),
            spread(|round| round.1),
            spread(|round| round.1 / round.0)
        );
    }
}

/// Nanoseconds of the thread's CPU time for each timer of a round.
fn cpu_per_timer(body: impl FnOnce()) -> f64 {
    let cpu_ns = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
    };
    let start = cpu_ns();
    body();
    (cpu_ns() - start) / f64::from(TIMERS)
}

/// The same durations in every round, of 1 to 100 ms, in no order.
fn durations() -> impl Iterator<Item = Duration> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    (0..TIMERS).map(move |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Duration::from_nanos(1_000_000 + state % 99_000_000)
    })
}

fn tasks_that_sleep(runtime: &Runtime) -> f64 {
    cpu_per_timer(|| {
        runtime.block_on(async {
            let handles: Vec<_> = durations().map(|duration| spawn(sleep(duration))).collect();
            for handle in handles {
                handle.await.expect("no task panics");
            }
        });
    })
}

fn sleeps_in_one_task(runtime: &Runtime) -> f64 {
    cpu_per_timer(|| {
        runtime.block_on(async {
            // Armed all at once, awaited from the last to the first, so that the task is polled seldom.
            let mut sleeps: Vec<Sleep> = durations().map(sleep).collect();
            sleeps.sort_by_key(Sleep::deadline);
            poll_once(&mut sleeps).await;
            while let Some(last) = sleeps.pop() {
                last.await;
            }
        });
    })
}

fn armed_and_cancelled(runtime: &Runtime) -> f64 {
    cpu_per_timer(|| {
        runtime.block_on(async {
            let mut sleeps: Vec<Sleep> = durations().map(|more| sleep(HOUR + more)).collect();
            poll_once(&mut sleeps).await;
            drop(sleeps);
        });
    })
}

const HOUR: Duration = Duration::from_secs(3600);

async fn poll_once(sleeps: &mut [Sleep]) {
    poll_fn(|cx| {
        for sleep in &mut *sleeps {
            let _ = Pin::new(sleep).poll(cx);
        }
        Poll::Ready(())
    })
    .await;
}

/// How late sleeps of this length are on an otherwise idle runtime, in microseconds.
fn overshoot_us(runtime: &Runtime, micros: u64) -> f64 {
    const SLEEPS: usize = 101;
    let duration = Duration::from_micros(micros);
    let mut late: Vec<Duration> = Vec::with_capacity(SLEEPS);
    runtime.block_on(async {
        for _ in 0..SLEEPS {
            let start = Instant::now();
            sleep(duration).await;
            let took = start.elapsed();
            late.push(took.checked_sub(duration).expect("a sleep is never early"));
        }
    });
    late.sort();
    late[SLEEPS / 2].as_secs_f64() * 1e6
}
