//! What an event of `tracing` costs the thread that says it: `cargo bench -p nexus-inspect-runtime --features tracing --bench
//! layer`.
//!
//! Measured are the same events with a layer that does nothing (what `tracing` and its registry take), and with ours, in turn,
//! round by round. What counts is the CPU time of the thread. Prints medians with the lowest
//! and highest round.

use nexus_runtime::layer::RecorderLayer;
use nexus_runtime::{Builder, Runtime};
use rustix::time::{ClockId, clock_gettime};
use tracing::Dispatch;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};

const ROUNDS: usize = 15;
const EVENTS: u32 = 200_000;

/// Takes part in all that the layer takes part in, and does nothing.
struct Nothing;

impl<S: tracing::Subscriber> Layer<S> for Nothing {}

type Workload = fn(u32);

const WORKLOADS: [(&str, Workload); 5] = [
    ("an event without fields", |events| {
        for _ in 0..events {
            tracing::info!("a request was served");
        }
    }),
    ("an event with two fields", |events| {
        for number in 0..events {
            tracing::info!(number, bytes = 512, "a request was served");
        }
    }),
    ("an event with a message that changes", |events| {
        for number in 0..events {
            tracing::info!("request {number} was served");
        }
    }),
    ("a span entered and left", |events| {
        let span = tracing::info_span!("request");
        for _ in 0..events {
            span.in_scope(|| ());
        }
    }),
    ("an event that is filtered out", |events| {
        for _ in 0..events {
            tracing::trace!("a request was served");
        }
    }),
];

fn main() {
    let runtime = Builder::new().endpoint(false).build().expect("a runtime");
    let filter = || Targets::new().with_default(LevelFilter::INFO);
    let nothing = Dispatch::new(tracing_subscriber::registry().with(Nothing.with_filter(filter())));
    let layer = RecorderLayer::new().with_filter(filter());
    let layer = Dispatch::new(tracing_subscriber::registry().with(layer));
    println!("{:<38} {:>24} {:>24}", "ns each", "a layer that does nothing", "this layer");
    for (name, run) in WORKLOADS {
        let measure = |dispatch: &Dispatch| {
            tracing::dispatcher::with_default(dispatch, || measured(&runtime, run))
        };
        measure(&nothing);
        measure(&layer);
        let rounds: Vec<(f64, f64)> =
            (0..ROUNDS).map(|_| (measure(&nothing), measure(&layer))).collect();
        let spread = |value: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            format!("{:.1} ({:.1}–{:.1})", values[ROUNDS / 2], values[0], values[ROUNDS - 1])
        };
        println!("{name:<38} {:>24} {:>24}", spread(|round| round.0), spread(|round| round.1));
    }
}

/// Nanoseconds of CPU time for each event.
fn measured(runtime: &Runtime, run: Workload) -> f64 {
    runtime.block_on(async {
        let before = cpu_ns();
        run(EVENTS);
        (cpu_ns() - before) / f64::from(EVENTS)
    })
}

/// The CPU time of this thread so far.
fn cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}
