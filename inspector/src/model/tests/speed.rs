//! What the model costs. Measurements, to be run by hand in a release build:
//! `cargo test --release -p nexus-inspect --no-default-features speed -- --ignored --nocapture`

use super::{model, runtime};
use crate::model::testing::trace_of;
use nexus_protocol::frame::ServerFrame;
use nexus_protocol::{Stamp, TaskId};
use std::time::{Duration, Instant};

/// A frame at 20 a second has 50 ms; one query must leave room for the rest.
const BOUND: Duration = Duration::from_millis(20);

#[test]
#[ignore = "a measurement, of use in a release build only"]
fn scrubbing_through_a_million_records_is_fluid() {
    let frames = trace_of(36_000);
    let records: usize = frames
        .iter()
        .map(
            |frame| if let ServerFrame::Events { records, .. } = frame { records.len() } else { 0 },
        )
        .sum();
    assert!(records > 900_000, "{records} records");
    let begin = Instant::now();
    let model = model(frames);
    let took = begin.elapsed();
    let runtime = runtime(&model);
    println!("apply: {records} records in {took:?}, {:?} each", took / records as u32);
    let (from, to) = (runtime.earliest(), runtime.now());
    let steps = 400;
    let moment = |step: u64| Stamp(from.0 + (to.0 - from.0) / steps * step);
    measure("view_at", steps, |step| {
        assert!(!runtime.view_at(moment(step)).tokens.is_empty());
    });
    measure("view", steps, |_| assert!(!runtime.view().tokens.is_empty()));
    let tasks: Vec<TaskId> = runtime.tasks_between(from, to);
    println!("{} lanes", tasks.len());
    measure("60 lanes of 200 cells, all of the time", 20, |_| {
        for task in tasks.iter().take(60) {
            assert_eq!(runtime.lane(*task, from, to, 200).cells.len(), 200);
        }
    });
    measure("sums of all lanes", 20, |_| assert!(!runtime.lane_sums(from, to).is_empty()));
    measure("occupancy of 200 cells", 20, |_| {
        assert_eq!(runtime.occupancy(from, to, 200).len(), 200);
    });
    let last = runtime.history().last().map_or(0, |record| record.seq);
    measure("explain", 400, |step| {
        let _ = runtime.explain(last - step * 100);
    });
}

fn measure(what: &str, times: u64, mut body: impl FnMut(u64)) {
    let mut all: Vec<Duration> = (0..times)
        .map(|time| {
            let begin = Instant::now();
            body(time);
            begin.elapsed()
        })
        .collect();
    all.sort_unstable();
    let (median, most) = (all[all.len() / 2], all[all.len() - 1]);
    println!("{what}: median {median:?}, longest {most:?}");
    assert!(median < BOUND, "{what} takes too long");
}
