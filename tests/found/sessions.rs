//! Sessions come and go, and not all programs belong to one.

use crate::world::{ask, found, idle, launch, listed, start, without_environment};
use nexus_tests::programs::Sandbox;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A directory like the one of a session.
fn session(sandbox: &Sandbox) -> PathBuf {
    let session = sandbox.file("session");
    fs::DirBuilder::new().mode(0o700).create(&session).unwrap();
    session
}

fn command_of_session(session: &Path) -> Command {
    let mut command = Command::new(idle());
    without_environment(&mut command).arg("idle").env("XDG_RUNTIME_DIR", session);
    command
}

#[test]
fn a_service_without_a_session_is_found_from_one() {
    let sandbox = Sandbox::new();
    let session = session(&sandbox);
    let service = start(Command::new(idle()).arg("idle"));
    found(&sandbox, &service.target());
    let from_session = without_environment(&mut sandbox.inspector(["snapshot", &service.target()]))
        .env("XDG_RUNTIME_DIR", &session)
        .output()
        .unwrap();
    assert!(from_session.status.success(), "{from_session:?}");
    let socket = &listed(&sandbox, service.pid)["socket"];
    assert!(socket.as_str().unwrap().starts_with("/tmp/nexus-"), "{socket}");
}

#[test]
fn a_program_of_a_session_is_found_without_one() {
    let sandbox = Sandbox::new();
    let session = session(&sandbox);
    let program = launch(&mut command_of_session(&session));
    found(&sandbox, &program.target());
    let socket = &listed(&sandbox, program.pid)["socket"];
    assert!(socket.as_str().unwrap().starts_with(session.to_str().unwrap()), "{socket}");
}

#[test]
fn a_program_outlives_the_directory_of_its_session() {
    let sandbox = Sandbox::new();
    let session = session(&sandbox);
    let program = launch(&mut command_of_session(&session));
    found(&sandbox, &program.target());
    // What happens at logout.
    fs::remove_dir_all(&session).unwrap();
    let document = found(&sandbox, &program.target());
    assert_eq!(document["process"]["pid"], program.pid);
    let socket = &listed(&sandbox, program.pid)["socket"];
    assert!(socket.as_str().unwrap().starts_with("/tmp/nexus-"), "{socket}");
    drop(program);
}

#[test]
fn a_program_that_has_ended_is_not_found() {
    let sandbox = Sandbox::new();
    let session = session(&sandbox);
    let mut program = launch(&mut command_of_session(&session));
    found(&sandbox, &program.target());
    program.started().signal(rustix::process::Signal::KILL);
    program.started().0.wait().unwrap();
    let asked = ask(&sandbox, &["snapshot", &program.target()]);
    assert_eq!(asked.code, Some(3));
    assert!(asked.said.contains("there is no process"), "{}", asked.said);
}
