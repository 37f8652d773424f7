//! How far the stamps that a client is given are from `CLOCK_MONOTONIC`, by hand over an hour:
//! `cargo bench -p nexus-inspect-runtime --bench clock -- 3600`.
//!
//! A runtime spawns tasks ten times a second and reads `CLOCK_MONOTONIC` just before and just after each, while a client is
//! attached to the endpoint of this process: the record of a spawn has a stamp of its own, and has gone the whole way from
//! ticks over anchors to nanoseconds. How far the stamp lies outside of what was read around it is its error. Of some spawns
//! in a row the one counts whose reads are closest together, since the first ones run with cold caches, and is left out if
//! the thread was interrupted all the same; how many were is printed.
//!
//! Prints a line a minute. The endpoint takes an anchor each second, so that every tenth sample is next to one.

#[path = "../tests/support/own_endpoint.rs"]
mod own_endpoint;

use nexus_protocol::event::Event;
use nexus_protocol::frame::{Goodbye, KindFilter, ServerFrame, Subscribe};
use nexus_protocol::ids::TaskId;
use nexus_protocol::session::Received;
use nexus_runtime::time::sleep;
use nexus_runtime::{Builder, spawn};
use rustix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(100);

/// Reads that lie further apart are of an interrupted thread.
const NARROW_NS: u64 = 2_000;

/// A spawn, and what the clock said around it.
struct Sample {
    task: TaskId,
    before_ns: u64,
    after_ns: u64,
}

type Samples = Arc<Mutex<VecDeque<Sample>>>;

fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn main() {
    let seconds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(10);
    let runtime = Builder::new().ring_records(1024).build().expect("a runtime");
    let samples = Samples::default();
    let client = {
        let samples = samples.clone();
        std::thread::spawn(move || compare(&samples))
    };
    runtime.block_on(async {
        let end = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < end {
            let attempts = (0..8).map(|_| {
                let before_ns = monotonic_ns();
                let handle = spawn(async {});
                let after_ns = monotonic_ns();
                Sample { task: handle.id(), before_ns, after_ns }
            });
            let narrowest = attempts.min_by_key(|sample| sample.after_ns - sample.before_ns);
            samples.lock().expect("not poisoned").extend(narrowest);
            sleep(EVERY).await;
        }
    });
    drop(runtime);
    // What was recorded is delivered when the runtime ends; the client leaves when it has seen that.
    client.join().expect("the client compares to the end");
}

/// Takes the stamps of the samples from the endpoint, until the runtime has ended.
fn compare(samples: &Samples) {
    let mut client = own_endpoint::connect(Duration::from_millis(500));
    println!("clock: {}", client.hello().0.clock);
    let all = Subscribe { history: true, kinds: KindFilter::ALL, snapshot_every_ms: 0 };
    client.subscribe(all).expect("a subscription");
    let (mut report, mut last) = (Report::default(), 0);
    loop {
        match client.next().expect("a frame") {
            Received::Frame(ServerFrame::Events { records, .. }) => {
                for record in records {
                    assert!(record.at.0 >= last, "stamps run backwards");
                    last = record.at.0;
                    if let Event::TaskSpawned { task, .. } = record.event {
                        let mut samples = samples.lock().expect("not poisoned");
                        while samples.front().is_some_and(|sample| sample.task.0 < task.0) {
                            samples.pop_front();
                        }
                        if samples.front().is_some_and(|sample| sample.task == task)
                            && let Some(sample) = samples.pop_front()
                        {
                            report.add(&sample, record.at.0);
                        }
                    }
                }
            }
            Received::Frame(ServerFrame::Runtime(info)) if !info.ended.is_never() => break,
            Received::Frame(ServerFrame::Goodbye(Goodbye::ProcessEnding)) | Received::Closed => {
                break;
            }
            _ => {}
        }
    }
    report.print("in all");
}

#[derive(Default)]
struct Report {
    samples: u64,
    interrupted: u64,
    outside: u64,
    worst_ns: u64,
    minute_worst_ns: u64,
    width_ns: u64,
    began_ns: u64,
    minutes: u64,
}

impl Report {
    fn add(&mut self, sample: &Sample, at_ns: u64) {
        let width = sample.after_ns - sample.before_ns;
        if width > NARROW_NS {
            self.interrupted += 1;
            return;
        }
        let (early, late) =
            (sample.before_ns.saturating_sub(at_ns), at_ns.saturating_sub(sample.after_ns));
        let error = early.max(late);
        self.samples += 1;
        self.outside += u64::from(error > 0);
        self.width_ns += width;
        self.worst_ns = self.worst_ns.max(error);
        self.minute_worst_ns = self.minute_worst_ns.max(error);
        if self.began_ns == 0 {
            self.began_ns = at_ns;
        }
        let minutes = (at_ns - self.began_ns) / 60_000_000_000;
        if minutes > self.minutes {
            self.minutes = minutes;
            println!("minute {minutes}: worst {} ns", self.minute_worst_ns);
            self.minute_worst_ns = 0;
        }
    }

    fn print(&self, what: &str) {
        println!(
            "{what}: {} samples, {} outside of the reads around them, worst by {} ns; \
             reads were {} ns apart on average; {} interrupted samples left out",
            self.samples,
            self.outside,
            self.worst_ns,
            self.width_ns / self.samples.max(1),
            self.interrupted
        );
        assert!(self.worst_ns < 1_000, "a stamp is off by a microsecond or more");
    }
}
