//! What becomes of an endpoint in a process that forks, turns into another program, or has no descriptor left.

use crate::observed::{ALL, PATIENCE, eventually, private_directory, snapshot, start};
use nexus_protocol::session::{Client, Received};
use std::fs;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How many sockets a process has open.
fn sockets_of(pid: u32) -> usize {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let targets = links.filter_map(|link| fs::read_link(link.unwrap().path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

#[test]
fn a_child_made_by_fork_shares_nothing_and_has_its_own_endpoint() {
    let directory = private_directory();
    let mut observed = start("fork", directory.path());
    let parent = observed.socket();
    let mut client = observed.attach();
    snapshot(&mut client);
    observed.tell();
    let child: u32 = observed.hears("child ").parse().unwrap();
    assert_eq!(sockets_of(child), 0, "neither listener nor client");
    assert_ne!(sockets_of(observed.child.id()), 0, "the parent has both");
    observed.tell();
    observed.hears("ready");
    let own = observed.socket_of(child);
    let grandchild = Client::connect_unix(&own, PATIENCE).unwrap();
    assert_eq!(grandchild.hello().0.pid, child);
    assert_eq!(grandchild.hello().1.len(), 1, "the runtime it has inherited is not its own");
    client.subscribe(ALL).unwrap();
    snapshot(&mut client);
    observed.tell();
    eventually("the child's socket to go", || (!own.exists()).then_some(()));
    assert!(parent.exists(), "a child that exits does not remove its parent's socket");
    observed.ends();
}

#[test]
fn a_program_that_turns_into_another_one_takes_no_socket_along() {
    let directory = private_directory();
    let mut observed = start("exec", directory.path());
    let mut client = observed.attach();
    snapshot(&mut client);
    let pid = observed.child.id();
    assert_ne!(sockets_of(pid), 0);
    observed.tell();
    observed.hears("replaced");
    assert_eq!(sockets_of(pid), 0, "neither listener nor client");
    // The kernel hangs up; nobody was there to say goodbye.
    let deadline = std::time::Instant::now() + PATIENCE;
    while !matches!(client.next(), Ok(Received::Closed) | Err(_)) {
        assert!(std::time::Instant::now() < deadline, "it is still connected");
    }
    // Number and start time are the same as before, and so is the name of the socket: what is left of it is in nobody's
    // way.
    observed.tell();
    let mut again = eventually("the new program's endpoint", || {
        let mut client =
            Client::connect_unix(&observed.socket(), Duration::from_millis(100)).ok()?;
        client.subscribe(ALL).ok()?;
        Some(client)
    });
    assert_eq!(again.hello().0.pid, pid);
    snapshot(&mut again);
    observed.ends();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_process_without_descriptors_goes_on_and_can_be_attached_to_later() {
    let directory = private_directory();
    let mut observed = start("exhaust", directory.path());
    let socket = observed.socket();
    observed.tell();
    observed.hears("exhausted");
    let mut refused = UnixStream::connect(&socket).unwrap();
    refused.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(refused.read(&mut [0; 16]).unwrap(), 0, "hung up, not left waiting");
    observed.tell();
    let mut client =
        eventually("a hello", || Client::connect_unix(&socket, Duration::from_millis(100)).ok());
    client.subscribe(ALL).unwrap();
    snapshot(&mut client);
    observed.ends();
}
