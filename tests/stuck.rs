//! A runtime thread that is stuck is attached to all the same, and seen to be stuck: in which poll, since when, and where
//! the task was spawned.

use nexus_tests::programs::{Running, Sandbox, program, stderr};
use nexus_tests::terminal::Terminal;
use nexus_tests::wait_until;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Stdio};

/// Where the task that gets stuck is spawned.
const PLACE: &str = "tests/programs/stuck.rs:31:20";

fn start(sandbox: &Sandbox, how: &str) -> (Running, BufReader<ChildStdout>) {
    let mut command = sandbox.command(program("stuck"));
    let mut child = command.arg(how).stdout(Stdio::piped()).spawn().expect("it can be started");
    let mut output = BufReader::new(child.stdout.take().expect("it was asked for"));
    output.read_line(&mut String::new()).expect("it says that it is ready");
    (Running(child), output)
}

/// What a snapshot says of the poll in progress, once there is one that is not the root's.
fn polling(sandbox: &Sandbox, pid: &str) -> Value {
    wait_until("the task is being polled", || {
        let ran = sandbox.inspect(["snapshot", pid, "--json"]);
        assert!(
            ran.status.success() || stderr(&ran).contains("has no endpoint"),
            "{}",
            stderr(&ran)
        );
        let document: Value = serde_json::from_slice(&ran.stdout).ok()?;
        let runtime = &document["runtimes"][0];
        let tasks = runtime["snapshot"]["tasks"].as_array()?;
        let polling = &runtime["polling"];
        let is_polled = |task: &&Value| task["task"] == polling["task"] && task["task"] != 1;
        let task = tasks.iter().find(is_polled)?;
        assert_eq!(task["state"], "polling");
        assert_eq!(task["since_ns"], polling["since_ns"]);
        Some(polling.clone())
    })
}

#[track_caller]
fn is_seen_to_be_stuck(how: &str) {
    let sandbox = Sandbox::new();
    let (stuck, _output) = start(&sandbox, how);
    let pid = stuck.pid().to_string();
    let first = polling(&sandbox, &pid);
    assert_eq!(first["location"], PLACE);
    let second = polling(&sandbox, &pid);
    assert_eq!(first["since_ns"], second["since_ns"], "it is still the same poll");
    assert!(first["for_ns"].as_u64() < second["for_ns"].as_u64(), "{first} {second}");

    let text = sandbox.inspect(["snapshot", &pid]).stdout;
    let text = String::from_utf8(text).expect("it is text");
    assert!(text.contains(&format!("polling task 2, spawned at {PLACE}, for ")), "{text}");

    let mut terminal = Terminal::start(&sandbox, 160, 30, &[&pid]);
    let header = wait_until("the header says so", || {
        let first = terminal.rows()[0].clone();
        first.contains("polling").then_some(first)
    });
    assert!(header.contains(&format!("{PLACE} for ")), "{header}");
    terminal.press("q");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn in_a_call_that_blocks() {
    is_seen_to_be_stuck("sleep");
}

#[test]
fn in_an_endless_poll() {
    is_seen_to_be_stuck("spin");
}

#[test]
fn on_a_lock() {
    is_seen_to_be_stuck("lock");
}
