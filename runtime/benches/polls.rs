//! What a poll costs, with the recorder off and on: `cargo bench -p nexus-inspect-runtime --bench polls`.
//!
//! Off and on are measured in turn, round by round, and compared round by round, since the machine's speed changes from
//! one second to the next. Prints medians with the lowest and highest round.

use nexus_runtime::{Builder, Runtime, spawn, task};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Instant;

const ROUNDS: usize = 15;

type Workload = fn(&Runtime) -> f64;

fn main() {
    let workloads: [(&str, Workload); 3] = [
        ("one self-waking task, ns a poll", self_waking),
        ("1,000 ready tasks, ns a poll", many_ready),
        ("spawn one and await it, ns", spawn_and_await),
    ];
    let build = |on| Builder::new().recorder(on).endpoint(false).build().expect("a runtime");
    let (off, on) = (build(false), build(true));
    println!("{:<34} {:>24} {:>24} {:>24}", "", "recorder off", "recorder on", "on / off");
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
            "{name:<34} {:>24} {:>24} {:>24}",
            spread(|round| round.0),
            spread(|round| round.1),
            spread(|round| round.1 / round.0)
        );
    }
}

/// Nanoseconds for each of `count` things that `body` does.
fn per_item(count: u32, body: impl FnOnce()) -> f64 {
    let start = Instant::now();
    body();
    start.elapsed().as_secs_f64() * 1e9 / f64::from(count)
}

fn self_waking(runtime: &Runtime) -> f64 {
    const POLLS: u32 = 1_000_000;
    per_item(POLLS, || {
        runtime.block_on(async {
            let mut left = POLLS;
            poll_fn(move |cx| {
                left -= 1;
                if left == 0 {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        });
    })
}

fn many_ready(runtime: &Runtime) -> f64 {
    const TASKS: u32 = 1_000;
    const EACH: u32 = 500;
    per_item(TASKS * EACH, || {
        runtime.block_on(async {
            let handles: Vec<_> = (0..TASKS)
                .map(|_| {
                    spawn(async {
                        for _ in 1..EACH {
                            task::yield_now().await;
                        }
                    })
                })
                .collect();
            for handle in handles {
                handle.await.expect("no task panics");
            }
        });
    })
}

fn spawn_and_await(runtime: &Runtime) -> f64 {
    const SPAWNS: u32 = 200_000;
    per_item(SPAWNS, || {
        runtime.block_on(async {
            for _ in 0..SPAWNS {
                spawn(async {}).await.expect("no task panics");
            }
        });
    })
}
