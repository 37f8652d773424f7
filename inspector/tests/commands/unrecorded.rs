//! What is not recorded is shown as such, never as zeros: a recorder that is off, and a ring that has gone around.

use crate::fake::{Conduct, Endpoint, OVERWRITTEN, RING};
use crate::inspector::run;
use serde_json::{Value, json};

const OFF: &str = "its recorder is off";

#[test]
fn a_list_says_that_a_recorder_is_off() {
    let endpoint = Endpoint::new(Conduct::Off);
    let ran = run(endpoint.directory(), &["list"]).exits_with(0);
    let line = ran.stdout.lines().find(|line| line.contains(&endpoint.name)).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words.iter().filter(|word| **word == "off").count(), 2, "tokens and tasks: {line}");
    let says = |line: &str| line.contains(OFF) && line.contains(&endpoint.name);
    assert!(ran.stdout.lines().any(says), "{}", ran.stdout);

    let ran = run(endpoint.directory(), &["list", "--json"]).exits_with(0);
    let list: Value = serde_json::from_str(&ran.stdout).unwrap();
    let socket = endpoint.socket.to_str().unwrap();
    let entry = list.as_array().unwrap().iter().find(|entry| entry["socket"] == socket).unwrap();
    assert_eq!((&entry["tokens"], &entry["tasks"]), (&Value::Null, &Value::Null));
    let runtime = &entry["runtimes"][0];
    assert_eq!(runtime["recorder"], "off");
    for field in ["recorded", "ring_capacity", "oldest_seq", "tokens", "tasks"] {
        assert_eq!(runtime[field], Value::Null, "{field}");
    }
}

#[test]
fn a_snapshot_says_that_a_recorder_is_off() {
    let endpoint = Endpoint::new(Conduct::Off);
    let socket = endpoint.socket.to_str().unwrap();
    let ran = run(endpoint.directory(), &["snapshot", socket]).exits_with(0);
    assert!(ran.stdout.contains(OFF), "{}", ran.stdout);
    assert!(!ran.stdout.contains("TOKENS"), "{}", ran.stdout);
    let ran = run(endpoint.directory(), &["snapshot", socket, "--json"]).exits_with(0);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    let runtime = &document["runtimes"][0];
    assert_eq!((&runtime["recorder"], &runtime["snapshot"]), (&json!("off"), &Value::Null));
}

#[test]
fn a_recording_says_that_a_recorder_is_off() {
    let endpoint = Endpoint::new(Conduct::Off);
    let trace = endpoint.directory().join("t.json");
    let (path, socket) = (trace.to_str().unwrap(), endpoint.socket.to_str().unwrap());
    let arguments = ["record", socket, "-o", path, "--for", "100ms"];
    run(endpoint.directory(), &arguments).exits_with(0).says(OFF);
    let ran = run(endpoint.directory(), &["snapshot", path]).exits_with(0);
    assert!(ran.stdout.contains(OFF), "the trace says so, too: {}", ran.stdout);
}

#[test]
fn what_a_ring_has_overwritten_is_neither_lost_nor_never_there() {
    let endpoint = Endpoint::new(Conduct::Wrapped);
    let trace = endpoint.directory().join("t.json");
    let (path, socket) = (trace.to_str().unwrap(), endpoint.socket.to_str().unwrap());
    let arguments = ["record", socket, "-o", path, "--for", "100ms"];
    let ran = run(endpoint.directory(), &arguments).exits_with(0);
    ran.says(" 0 lost").says("393,216 overwritten before");

    let ran = run(endpoint.directory(), &["snapshot", socket]).exits_with(0);
    assert!(ran.stdout.contains("the ring holds the last 131,072"), "{}", ran.stdout);
    let ran = run(endpoint.directory(), &["snapshot", socket, "--json"]).exits_with(0);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["runtimes"][0]["oldest_seq"], OVERWRITTEN - RING);
    let ran = run(endpoint.directory(), &["list", "--json"]).exits_with(0);
    let list: Value = serde_json::from_str(&ran.stdout).unwrap();
    let entry = list.as_array().unwrap().iter().find(|entry| entry["socket"] == socket).unwrap();
    assert_eq!(entry["runtimes"][0]["oldest_seq"], OVERWRITTEN - RING);
}
