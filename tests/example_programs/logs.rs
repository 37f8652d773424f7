//! `logs`: what a program says through `tracing` stands in a recording beside what it did, on the same clock.

use crate::connect;
use nexus_tests::programs::{Sandbox, example, stderr};
use nexus_tests::trace::Trace;
use nexus_tests::wait_until;
use std::io::{Read, Write};

const ROUND_TRIPS: u64 = 5;

#[test]
fn what_is_said_is_recorded_in_the_poll_that_said_it() {
    let sandbox = Sandbox::new();
    let server = sandbox.server_with(&example("logs"), ["warn,logs=debug"]);
    let mut client = connect(server.address);
    let peer = client.local_addr().unwrap();
    for _ in 0..ROUND_TRIPS {
        client.write_all(b"order\n").unwrap();
        client.read_exact(&mut [0; 6]).unwrap();
    }
    drop(client);
    let path = sandbox.file("trace.json");
    let trace = wait_until("the connection's end is recorded", || {
        let arguments = ["record", &server.pid(), "--for", "100ms", "-o", path.to_str().unwrap()];
        let output = sandbox.inspect(arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        let trace = Trace::read(&path);
        let closed = trace.of_kind("log").any(|log| log["message"] == "closed");
        let left = |kind| trace.of_kind(kind).count();
        (closed && left("span-entered") == left("span-exited")).then_some(trace)
    });
    trace.assert_adds_up();
    let said = |message: &str| -> Vec<_> {
        trace.of_kind("log").filter(|log| log["message"] == message).collect()
    };
    assert_eq!((said("connected").len(), said("closed").len()), (1, 1));
    let echoes = said("sending back");
    assert_eq!(echoes.len() as u64, ROUND_TRIPS);
    for log in echoes.into_iter().chain(said("connected")).chain(said("closed")) {
        assert_eq!(log["target"], "logs");
        assert!(log["location"].as_str().unwrap().contains("logs.rs:"), "{log}");
        let start = trace.link(log, "poll");
        assert_eq!((&start["kind"], &start["task"]), (&"poll-start".into(), &log["task"]));
        // In time as well: after the poll's start, and before the end that follows.
        let is_end = |record: &&serde_json::Value| {
            record["task"] == log["task"] && record["seq"].as_u64() > log["seq"].as_u64()
        };
        let end = trace.of_kind("poll-end").find(is_end).expect("its poll has ended");
        let at = |record: &serde_json::Value| record["at_ns"].as_u64().unwrap();
        assert!((at(start)..=at(end)).contains(&at(log)), "{log}");
        let span = trace.of_kind("span-entered").find(|entry| entry["span"] == log["span"]);
        assert_eq!(span.expect("it was said in a span")["name"], "connection");
    }
    let texts: Vec<_> = trace.of_kind("text").map(|text| text["text"].as_str().unwrap()).collect();
    let texts = texts.concat();
    assert!(texts.contains(&format!("peer={peer}")), "{texts}");
    assert_eq!(texts.matches("bytes=6").count() as u64, ROUND_TRIPS, "{texts}");
    let mut left = trace.of_kind("span-exited");
    assert!(left.all(|exit| exit["entered_ns"].as_u64() <= exit["at_ns"].as_u64()));
}
