//! A private `/tmp`, containers, and numbers that several have.

use crate::world::{ask, found, idle, is_root, launch, listed, run_script, start, unshared};
use nexus_tests::programs::Sandbox;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// A user whom this machine hardly has.
const USER: u32 = 54_321;

const PRIVATE_TMP: &str = "mount -t tmpfs -o mode=1777 none /tmp";

/// What a container has for itself. Its processes end with the one that began it.
const CONTAINER: [&str; 7] =
    ["--mount", "--mount-proc", "--pid", "--fork", "--kill-child", "--net", "--ipc"];

#[test]
fn a_private_tmp_is_looked_into() {
    let sandbox = Sandbox::new();
    let Some(mut command) = unshared("a private /tmp", &["--mount"], PRIVATE_TMP, &idle()) else {
        return;
    };
    let service = start(command.arg("idle"));
    found(&sandbox, &service.target());
    let socket = listed(&sandbox, service.pid)["socket"].to_string();
    assert!(socket.contains(&format!("/proc/{}/root/tmp/nexus-", service.pid)), "{socket}");
}

#[test]
fn a_container_is_looked_into() {
    let sandbox = Sandbox::new();
    let Some(mut command) = unshared("a container", &CONTAINER, PRIVATE_TMP, &idle()) else {
        return;
    };
    let service = start(command.arg("idle"));
    let document = found(&sandbox, &service.target());
    assert_eq!(document["process"]["pid"], 1, "the number that it has for itself");
    listed(&sandbox, service.pid);
}

#[test]
fn a_container_without_any_directory_is_reached_through_its_network() {
    let test = "a container without any directory";
    if !is_root(test) {
        return;
    }
    let sandbox = Sandbox::new();
    let script = "mount -t tmpfs -o ro none /tmp";
    let Some(mut command) = unshared(test, &CONTAINER, script, &idle()) else { return };
    let service = start(command.arg("idle"));
    found(&sandbox, &service.target());
    let socket = listed(&sandbox, service.pid)["socket"].to_string();
    assert!(socket.contains("in the network of process"), "{socket}");
}

#[test]
fn containers_with_the_same_directory_and_number_are_told_apart_and_not_swept() {
    let sandbox = Sandbox::new();
    let named = |name: &str| {
        let mut command = unshared("two containers", &CONTAINER, "true", &idle())?;
        // Their start times are counted in hundredths of seconds, so that they differ all but always.
        command.args(["idle", name]).env("NEXUS_INSPECT_DIR", sandbox.endpoints());
        Some(launch(&mut command))
    };
    let Some(one) = named("one") else { return };
    found(&sandbox, &one.target());
    let two = named("two").expect("what worked once");
    let outside = launch(sandbox.command(idle()).args(["idle", "outside"]));
    for (observed, name, pid) in
        [(&outside, "outside", outside.pid), (&one, "one", 1), (&two, "two", 1)]
    {
        // Each of them has swept the directory when it came.
        let document = found(&sandbox, &observed.target());
        let line = document["process"]["command_line"].as_str().unwrap();
        assert!(line.ends_with(name), "{line} is not {name}");
        assert_eq!(document["process"]["pid"], pid);
    }
}

#[test]
fn a_rootless_container_of_another_user_is_looked_into_by_root() {
    let test = "a rootless container of another user";
    if !is_root(test) {
        return;
    }
    let sandbox = Sandbox::new();
    let shared = crate::users::Shared::new();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user"]).args(CONTAINER).uid(USER).gid(USER);
    if unshared(test, &["--user"], "true", &idle()).is_none() {
        return;
    }
    run_script(&mut command, PRIVATE_TMP, &shared.program);
    let service = start(command.arg("idle"));
    found(&sandbox, &service.target());
    listed(&sandbox, service.pid);
    assert_eq!(ask(&sandbox, &["snapshot", &service.target()]).code, Some(0));
}
