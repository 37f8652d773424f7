//! `graceful-shutdown`: what its clients see of its end, and what it reports.

use crate::connect;
use nexus_tests::programs::{Sandbox, Server, example, stderr};
use nexus_tests::wait_until;
use rustix::process::Signal;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;

fn server(sandbox: &Sandbox, patience_secs: u32) -> Server {
    sandbox.server_with(&example("graceful-shutdown"), [patience_secs.to_string()])
}

/// A client that is being served.
fn client(server: &Server) -> TcpStream {
    let mut client = connect(server.address);
    client.write_all(b"hello").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    client
}

fn ends_well(signal: Signal) {
    let sandbox = Sandbox::new();
    // Far longer than it takes.
    let mut server = server(&sandbox, 60);
    let mut clients = [client(&server), client(&server), client(&server)];
    drop(client(&server));
    server.process().signal(signal);
    for client in &mut clients {
        let mut last = String::new();
        client.read_to_string(&mut last).unwrap();
        assert_eq!(last, "goodbye\n");
    }
    assert!(TcpStream::connect(server.address).is_err(), "nobody listens any more");
    let (status, printed) = server.wait();
    assert_eq!(status.code(), Some(0), "{printed}");
    assert!(printed.starts_with("stopping\n"), "{printed}");
}

#[test]
fn at_sigterm_everyone_is_told_goodbye() {
    ends_well(Signal::TERM);
}

#[test]
fn at_ctrl_c_as_well() {
    ends_well(Signal::INT);
}

/// Whether a task of the server waits for a client to read.
fn is_stuck(sandbox: &Sandbox, server: &Server) -> bool {
    let output = sandbox.inspect(["snapshot", &server.pid(), "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let board: Value = serde_json::from_slice(&output.stdout).unwrap();
    let tasks = board["runtimes"][0]["snapshot"]["tasks"].as_array().expect("tasks");
    tasks.iter().any(|task| task["waiting_for"]["direction"] == "writable")
}

#[test]
fn what_does_not_end_in_time_is_reported() {
    let sandbox = Sandbox::new();
    let mut server = server(&sandbox, 1);
    // One that sends and sends and never reads: in the end, the server can't write to it.
    let mut greedy = client(&server);
    greedy.set_nonblocking(true).unwrap();
    wait_until("the server waits for the greedy client", || {
        while greedy.write(&[0; 64 * 1024]).is_ok() {}
        is_stuck(&sandbox, &server).then_some(())
    });
    let mut polite = client(&server);
    server.process().signal(Signal::TERM);
    let mut last = String::new();
    polite.read_to_string(&mut last).unwrap();
    assert_eq!(last, "goodbye\n", "one is not stuck because another is");
    let (status, printed) = server.wait();
    assert_eq!(status.code(), Some(1), "{printed}");
    assert!(
        printed.contains("1 of ") && printed.contains(" has not ended within 1.0s"),
        "{printed}"
    );
    assert!(printed.contains("graceful_shutdown.rs:"), "where it was spawned: {printed}");
    let peer = format!("peer {}", greedy.local_addr().unwrap());
    assert!(printed.contains(&peer), "what it waits for: {printed}");
}
