//! `-- COMMAND` and `demo`: programs that are started to be looked at. The demo workload is a COMMAND as good as any.

use crate::inspector::{Ran, inspector, read, run, wait_for};
use nexus_protocol::trace::{Reader, Reason};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_nexus-inspect");

#[test]
fn a_command_that_cannot_be_started() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("t.json");
    run(directory.path(), &["record", "-o", trace.to_str().unwrap(), "--", "/no/such/program"])
        .exits_with(6)
        .says("/no/such/program");
    assert!(!trace.exists());
}

#[test]
fn a_command_without_a_runtime() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("t.json");
    let path = trace.to_str().unwrap();
    run(directory.path(), &["record", "-o", path, "--", "true"])
        .exits_with(3)
        .says("without having run a nexus runtime");
    run(directory.path(), &["record", "-o", path, "--", "sh", "-c", "exit 9"])
        .exits_with(6)
        .says("exit code 9");
    assert!(!trace.exists());
}

#[test]
fn the_output_of_a_command_does_not_disturb_ours() {
    let directory = tempfile::tempdir().unwrap();
    let ran = run(directory.path(), &["record", "-o", "-", "--", "echo", "hello"]).exits_with(3);
    assert_eq!(ran.stdout, "");
    ran.says("hello");
}

#[test]
fn the_demo_can_be_recorded_and_ends_with_us() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("t.json");
    let arguments = ["record", "demo", "--for", "300ms", "-o", trace.to_str().unwrap()];
    run(directory.path(), &arguments).exits_with(0).says("recorded");
    let (records, summary) = read(&trace);
    let summary = summary.expect("the document is whole");
    assert!(summary.complete(), "{summary:?}");
    assert_eq!(summary.delivered(), records);
    assert_eq!(summary.runtimes[0].first_seq, 0, "the runtime did not wait for us");
    assert!(records > 1000, "{records}");
    let pid = demo_pid(&trace).unwrap();
    assert!(!runs(pid), "process {pid} still runs");
}

#[test]
fn without_a_terminal_the_demo_is_a_text() {
    let directory = tempfile::tempdir().unwrap();
    let ran = run(directory.path(), &["demo"]).exits_with(0);
    for expected in ["TOTALS", "TOKENS: ", "TASKS: ", "tcp-listener", "order-client", "/s"] {
        assert!(ran.stdout.contains(expected), "no {expected:?} in:\n{}", ran.stdout);
    }
}

#[test]
fn the_demo_ends_even_if_we_are_killed() {
    let (mut inspector, _directory, trace) = recording(&["record", "demo", "-o"], &[]);
    let pid = demo_pid(&trace).unwrap();
    assert!(runs(pid));
    inspector.kill().unwrap();
    inspector.wait().unwrap();
    wait_for("the demo to end", || !runs(pid));
}

#[test]
fn a_command_is_followed_to_its_end_and_its_exit_code_counts() {
    let script = format!("{BINARY} demo-workload; exit 4");
    let (mut inspector, _directory, trace) = recording(&["record", "-o"], &["sh", "-c", &script]);
    // The workload ends when its input does.
    drop(inspector.stdin.take());
    Ran::from(inspector.wait_with_output().unwrap()).exits_with(6).says("exit code 4");
    let summary = read(&trace).1.expect("the document is whole");
    assert_eq!(summary.reason, Reason::ProcessEnding);
    assert!(summary.complete(), "{summary:?}");
}

#[test]
fn the_normal_end_of_a_command_is_fine() {
    let words = [BINARY, "demo-workload"];
    let (mut inspector, _directory, trace) = recording(&["record", "-o"], &words);
    drop(inspector.stdin.take());
    Ran::from(inspector.wait_with_output().unwrap()).exits_with(0);
    assert_eq!(read(&trace).1.unwrap().reason, Reason::ProcessEnding);
}

#[test]
fn all_processes_of_a_command_are_followed() {
    let script =
        format!("exec 3<&0; {BINARY} demo-workload <&3 & {BINARY} demo-workload <&3; wait");
    let (mut inspector, _directory, trace) = recording(&["record", "-o"], &["sh", "-c", &script]);
    wait_for("the second process", || {
        fs::read_to_string(&trace).unwrap().contains("\"runtime\":2")
    });
    drop(inspector.stdin.take());
    Ran::from(inspector.wait_with_output().unwrap()).exits_with(0);
    let mut reader = Reader::new(BufReader::new(File::open(&trace).unwrap()));
    assert!(reader.by_ref().all(|frame| frame.is_ok()));
    let summary = reader.summary().unwrap();
    assert_eq!(summary.runtimes.len(), 2, "{summary:?}");
    assert!(summary.complete(), "{summary:?}");
    assert!(summary.runtimes.iter().all(|runtime| runtime.first_seq == 0), "{summary:?}");
}

/// A recording under way, of a target or of a COMMAND whose standard input is ours.
fn recording(arguments: &[&str], command: &[&str]) -> (Child, TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("t.json");
    let mut line = arguments.to_vec();
    line.push(trace.to_str().unwrap());
    if !command.is_empty() {
        line.push("--");
        line.extend(command);
    }
    let child = inspector(directory.path(), &line)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for("the recording to have begun", || demo_pid(&trace).is_some());
    (child, directory, trace)
}

/// The observed process's number, from the second line of a trace, if that has been written.
fn demo_pid(trace: &Path) -> Option<u64> {
    let line = BufReader::new(File::open(trace).ok()?).lines().nth(1)?.ok()?;
    let object = line.strip_prefix("\"process\":")?.strip_suffix(',')?;
    serde_json::from_str::<Value>(object).ok()?["pid"].as_u64()
}

/// Whether a process runs; one that only waits to be reaped does not.
fn runs(pid: u64) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, Some('Z' | 'X'))
}
