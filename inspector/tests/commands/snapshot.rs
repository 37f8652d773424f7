//! `snapshot`.

use crate::fake::{Conduct, Endpoint};
use crate::inspector::{Ran, inspector, run};
use serde_json::Value;
use std::fs::{self, File};

#[test]
fn a_snapshot_is_text_for_people() {
    let endpoint = Endpoint::new(Conduct::Busy);
    let own = std::process::id().to_string();
    let ran = run(endpoint.directory(), &["snapshot", &own]).exits_with(0);
    for expected in [
        &endpoint.name,
        "7.3",
        "tcp-stream",
        "src/main.rs:12:5",
        "1,234",
        "token 7.3 readable",
        "77",
    ] {
        assert!(ran.stdout.contains(expected), "no {expected:?} in:\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains('\x1b'), "the process's escape sequences reach the terminal");
}

#[test]
fn a_snapshot_is_json_for_programs() {
    let endpoint = Endpoint::new(Conduct::Busy);
    let socket = endpoint.socket.to_str().unwrap();
    let ran = run(endpoint.directory(), &["snapshot", socket, "--json"]).exits_with(0);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["process"]["pid"], std::process::id());
    let snapshot = &document["runtimes"][0]["snapshot"];
    assert_eq!(snapshot["tokens"][0]["token"], "7.3", "{snapshot:#}");
    assert_eq!(snapshot["tasks"][0]["task"], 1, "{snapshot:#}");
}

#[test]
fn a_process_is_found_by_each_of_its_names() {
    let endpoint = Endpoint::new(Conduct::Busy);
    let program = format!("{}-program", endpoint.name);
    let forced = format!("name:{}", endpoint.name);
    for name in [&endpoint.name, &program, &forced] {
        run(endpoint.directory(), &["snapshot", name]).exits_with(0);
    }
}

#[test]
fn a_trace_has_a_last_snapshot_too() {
    let endpoint = Endpoint::new(Conduct::Ends);
    let trace = endpoint.directory().join("t.json");
    let path = trace.to_str().unwrap();
    let socket = endpoint.socket.to_str().unwrap();
    run(endpoint.directory(), &["record", socket, "-o", path]).exits_with(3);
    let from_file = run(endpoint.directory(), &["snapshot", path]).exits_with(0);
    assert!(from_file.stdout.contains("tcp-stream"), "{}", from_file.stdout);
    let mut command = inspector(endpoint.directory(), &["snapshot", "-"]);
    let from_stdin = Ran::from(command.stdin(File::open(&trace).unwrap()).output().unwrap());
    assert_eq!(from_stdin.exits_with(0).stdout, from_file.stdout);
}

#[test]
fn a_file_that_is_no_trace_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.json");
    fs::write(&path, "{\"something\": \"else\"}\n").unwrap();
    run(directory.path(), &["snapshot", path.to_str().unwrap()])
        .exits_with(5)
        .says("not a nexus trace");
    let gone = directory.path().join("gone.json");
    run(directory.path(), &["snapshot", gone.to_str().unwrap()]).exits_with(3).says("gone.json");
}
