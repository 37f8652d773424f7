//! A reader that has had enough is no error.

use crate::fake::{Conduct, Endpoint};
use crate::inspector::{Ran, inspector};
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

/// Runs the binary with a standard output that is closed after `bytes` bytes.
fn run_into_closed_pipe(directory: &Path, arguments: &[&str], bytes: usize) -> Ran {
    let mut child = inspector(directory, arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut vec![0; bytes]).unwrap();
    drop(stdout);
    child.wait_with_output().unwrap().into()
}

#[test]
fn a_recording_ends_quietly_when_its_reader_does() {
    let endpoint = Endpoint::new(Conduct::Busy);
    let socket = endpoint.socket.to_str().unwrap();
    let ran = run_into_closed_pipe(endpoint.directory(), &["record", socket, "-o", "-"], 1000);
    assert_eq!(ran.exits_with(0).stderr, "");
}

#[test]
fn so_does_a_list() {
    let endpoint = Endpoint::new(Conduct::Busy);
    let ran = run_into_closed_pipe(endpoint.directory(), &["list"], 0);
    assert_eq!(ran.exits_with(0).stderr, "");
}

#[test]
fn a_closed_standard_error_changes_no_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = inspector(directory.path(), &["snapshot", "no-such-name"]);
    let status = command.stderr(writer).status().unwrap();
    assert_eq!(status.code(), Some(3));
}
