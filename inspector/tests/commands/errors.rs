//! Bad input gets an answer that says what failed, and what to do.

use crate::fake::{Conduct, Endpoint};
use crate::inspector::{inspector, run, wait_for};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;

#[test]
fn no_such_process() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["snapshot", "4194303"]).exits_with(3).says("no process 4194303");
}

#[test]
fn a_process_without_an_endpoint() {
    let directory = tempfile::tempdir().unwrap();
    let own = std::process::id().to_string();
    run(directory.path(), &["snapshot", &own])
        .exits_with(3)
        .says("has no endpoint")
        .says("block_on");
}

#[test]
fn a_name_that_several_have_is_a_usage_error_that_lists_them() {
    let endpoint = Endpoint::new(Conduct::Busy);
    endpoint.twin(Conduct::Busy);
    let own = std::process::id().to_string();
    let ran = run(endpoint.directory(), &["snapshot", &endpoint.name])
        .exits_with(2)
        .says("processes are called");
    assert!(ran.stderr.matches(&own).count() >= 2, "{}", ran.stderr);
}

#[test]
fn a_socket_that_is_not_ours() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("else.sock");
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"220 mail.example ESMTP\r\n");
        }
    });
    run(directory.path(), &["snapshot", path.to_str().unwrap()])
        .exits_with(3)
        .says("else.sock")
        .says("does not answer as the endpoint of a nexus runtime");
}

#[test]
fn a_socket_that_nobody_listens_at() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("left.sock");
    drop(UnixListener::bind(&path).unwrap());
    run(directory.path(), &["snapshot", path.to_str().unwrap()])
        .exits_with(3)
        .says("nobody listens");
}

#[test]
fn a_socket_that_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["snapshot", "./gone.sock"]).exits_with(3).says("no socket ./gone.sock");
}

#[test]
fn a_process_that_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
    let workload = Workload::start(directory.path());
    wait_for("the endpoint", || holds_socket(directory.path()));
    kill_process(Pid::from_child(&workload.0), Signal::STOP).unwrap();
    let pid = workload.0.id().to_string();
    // The signal stops each thread when it gets to it, and the endpoint's may have a client to greet before.
    wait_for("all threads to stop", || {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        threads.flatten().all(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
        })
    });
    run(directory.path(), &["snapshot", &pid]).exits_with(3).says("is stopped").says("kill -CONT");
}

#[test]
fn a_process_whose_directory_is_not_safe_is_found_elsewhere() {
    // Its endpoint refuses a directory that others can enter, and takes the next one.
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let workload = Workload::start(directory.path());
    let pid = workload.0.id().to_string();
    wait_for("the endpoint", || run(directory.path(), &["snapshot", &pid]).code == Some(0));
    assert!(!holds_socket(directory.path()));
}

/// The demo workload as a process of its own, with no inspector over it.
struct Workload(Child);

impl Workload {
    fn start(directory: &Path) -> Self {
        Self(inspector(directory, &["demo-workload"]).stdin(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn holds_socket(directory: &Path) -> bool {
    let is_socket = |path: &Path| path.extension().is_some_and(|suffix| suffix == "sock");
    fs::read_dir(directory).unwrap().any(|entry| is_socket(&entry.unwrap().path()))
}

#[test]
fn an_endpoint_that_babbles() {
    let endpoint = Endpoint::new(Conduct::Babbles);
    let trace = endpoint.directory().join("t.json");
    let socket = endpoint.socket.to_str().unwrap();
    run(endpoint.directory(), &["record", socket, "-o", trace.to_str().unwrap()])
        .exits_with(3)
        .says("the connection broke");
}

#[test]
fn the_terminal_program_needs_a_terminal() {
    let directory = tempfile::tempdir().unwrap();
    run(directory.path(), &["4711"]).exits_with(2).says("snapshot").says("record");
    run(directory.path(), &[]).exits_with(2).says("nexus-inspect list");
}

#[test]
fn a_length_that_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["record", "demo", "--for", "soon", "-o", "t.json"];
    run(directory.path(), &arguments).exits_with(2).says("soon").says("10s");
}

#[test]
fn completions_for_a_shell() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let ran = run(directory.path(), &["completions", shell]).exits_with(0);
        assert!(ran.stdout.contains("nexus-inspect"), "{}", ran.stdout);
        assert!(!ran.stdout.contains("demo-workload "), "the hidden subcommand is offered");
    }
    run(directory.path(), &["completions", "tcl"]).exits_with(2);
}
