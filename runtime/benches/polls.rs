//! What a poll and a task cost, with the recorder off and on: `cargo bench -p nexus-inspect-runtime --bench polls`.
//!
//! Off and on are measured in turn, round by round, and compared round by round, since the machine's speed changes from
//! one second to the next. What counts is the CPU time of the thread. Prints medians with the lowest and highest round.
//!
//! `polls WORKLOAD off|on ITEMS` runs one workload once, without measuring anything: for a tool that counts instructions.

use nexus_runtime::{Builder, Runtime, spawn, task};
use rustix::time::{ClockId, clock_gettime};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

const ROUNDS: usize = 15;

struct Workload {
    name: &'static str,
    unit: &'static str,
    items: u32,
    run: fn(&Runtime, u32),
}

const WORKLOADS: [Workload; 4] = [
    Workload {
        name: "self",
        unit: "one self-waking task, ns a poll",
        items: 1_000_000,
        run: self_waking,
    },
    Workload {
        name: "many",
        unit: "1,000 ready tasks, ns a poll",
        items: 500_000,
        run: many_ready,
    },
    Workload {
        name: "spawn",
        unit: "spawn one and await it, ns",
        items: 200_000,
        run: spawn_and_await,
    },
    Workload {
        name: "join",
        unit: "spawn 1,000, then join, ns each",
        items: 200_000,
        run: spawn_then_join,
    },
];

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|text| text != "--bench").collect();
    let builder = |on| Builder::new().recorder(on).endpoint(false);
    if let [name, recorder, items] = &arguments[..] {
        let workload = WORKLOADS.iter().find(|workload| workload.name == name);
        let workload = workload.expect("a workload: self, many, spawn or join");
        // A tool that counts is slow, and the loop asks the kernel by the clock.
        let builder = builder(recorder == "on").io_check_interval(Duration::from_secs(3600));
        let runtime = builder.build().expect("a runtime");
        return (workload.run)(&runtime, items.parse().expect("a number of items"));
    }
    let build = |on| builder(on).build().expect("a runtime");
    let (off, on) = (build(false), build(true));
    println!("{:<34} {:>24} {:>24} {:>24}", "", "recorder off", "recorder on", "on / off");
    for workload in &WORKLOADS {
        let measure = |runtime: &Runtime| {
            let before = cpu_ns();
            (workload.run)(runtime, workload.items);
            (cpu_ns() - before) / f64::from(workload.items)
        };
        measure(&off);
        measure(&on);
        let rounds: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (measure(&off), measure(&on))).collect();
        let spread = |value: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            format!("{:.2} ({:.2}–{:.2})", values[ROUNDS / 2], values[0], values[ROUNDS - 1])
        };
        println!(
            "{:<34} {:>24} {:>24} {:>24}",
            workload.unit,
            spread(|round| round.0),
            spread(|round| round.1),
            spread(|round| round.1 / round.0)
        );
    }
}

/// The CPU time of this thread so far.
fn cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

fn self_waking(runtime: &Runtime, polls: u32) {
    runtime.block_on(async {
        let mut left = polls;
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
}

fn many_ready(runtime: &Runtime, polls: u32) {
    const TASKS: u32 = 1_000;
    runtime.block_on(async {
        let each = polls / TASKS;
        let yields = move || async move {
            for _ in 1..each {
                task::yield_now().await;
            }
        };
        let handles: Vec<_> = (0..TASKS).map(|_| spawn(yields())).collect();
        for handle in handles {
            handle.await.expect("no task panics");
        }
    });
}

fn spawn_and_await(runtime: &Runtime, tasks: u32) {
    runtime.block_on(async {
        for _ in 0..tasks {
            spawn(async {}).await.expect("no task panics");
        }
    });
}

fn spawn_then_join(runtime: &Runtime, tasks: u32) {
    const AT_ONCE: u32 = 1_000;
    runtime.block_on(async {
        for _ in 0..tasks / AT_ONCE {
            let handles: Vec<_> = (0..AT_ONCE).map(|_| spawn(async {})).collect();
            for handle in handles {
                handle.await.expect("no task panics");
            }
        }
    });
}
