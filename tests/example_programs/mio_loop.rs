//! `mio-loop`: a program without our runtime, recorded from outside. What is recorded equals what the clients did.

use crate::connect;
use nexus_tests::programs::{Sandbox, Server, example, stderr};
use nexus_tests::trace::Trace;
use nexus_tests::wait_until;
use serde_json::Value;
use std::io::{Read, Write};

const CLIENTS: usize = 3;
const ROUND_TRIPS: usize = 50;
const BYTES: usize = 100;

fn snapshot(sandbox: &Sandbox, server: &Server) -> Value {
    let output = sandbox.inspect(["snapshot", &server.pid(), "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    document["runtimes"][0].clone()
}

/// Clients one after the other, each in lock-step, so that no read finds two messages.
fn talk(server: &Server) {
    for _ in 0..CLIENTS {
        let mut stream = connect(server.address);
        for round in 0..ROUND_TRIPS {
            let (sent, mut received) = ([round as u8; BYTES], [0; BYTES]);
            stream.write_all(&sent).unwrap();
            stream.read_exact(&mut received).unwrap();
            assert_eq!(sent, received);
        }
    }
}

#[test]
fn a_loop_of_its_own_is_recorded_to_the_last_operation() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("mio-loop"));
    // While a client is there, the board shows its connection.
    let client = connect(server.address);
    let row = wait_until("the connection has a row", || {
        let board = snapshot(&sandbox, &server);
        let rows = board["snapshot"]["tokens"].as_array().expect("tokens").clone();
        rows.into_iter().find(|row| row["source"] == "tcp-stream")
    });
    assert_eq!(row["peer"], client.local_addr().unwrap().to_string());
    assert_eq!(row["local"], server.address.to_string());
    assert_eq!(row["interest"], serde_json::json!(["readable"]));
    assert!(row["location"].as_str().unwrap().contains("mio_loop.rs:"), "{row}");
    drop(client);
    talk(&server);
    let clients = CLIENTS as u64 + 1;
    let board = wait_until("all connections are released", || {
        let board = snapshot(&sandbox, &server);
        (board["snapshot"]["totals"]["releases"] == clients).then_some(board)
    });
    assert_eq!(board["name"], "mio-loop");
    let totals = &board["snapshot"]["totals"];
    let (messages, bytes) = (CLIENTS * ROUND_TRIPS, CLIENTS * ROUND_TRIPS * BYTES);
    assert_eq!((&totals["bytes_in"], &totals["bytes_out"]), (&bytes.into(), &bytes.into()));
    assert_eq!((&totals["claims"], &totals["live"]), (&(clients + 1).into(), &1.into()));
    assert_eq!(totals["high_water"], 2);

    let path = sandbox.file("trace.json");
    let arguments = ["record", &server.pid(), "--for", "200ms", "-o", path.to_str().unwrap()];
    let output = sandbox.inspect(arguments);
    assert!(output.status.success(), "{}", stderr(&output));
    let trace = Trace::read(&path);
    trace.assert_adds_up();
    assert_eq!((trace.summary("first_seq"), trace.summary("lost")), (0, 0));
    let clients = clients as usize;
    assert_eq!(trace.operations("accept", "done").len(), clients);
    assert_eq!(trace.operations("write", "done").len(), messages);
    assert_eq!(trace.operations("read", "end-of-file").len(), clients);
    let reads = trace.operations("read", "done");
    assert_eq!(reads.len(), messages);
    for read in reads {
        assert_eq!(read["bytes"], BYTES);
        let chain = trace.chain(read);
        assert_eq!(chain.wake["direction"], "readable");
        assert!(chain.event["after"].as_array().unwrap().contains(&"readable".into()));
    }
    // Each event of the kernel is a transition, and each that was read dry has been consumed.
    let transitions =
        |reason| trace.of_kind("transition").filter(|record| record["reason"] == reason).count();
    let told: u64 = trace.of_kind("turn").map(|turn| turn["events"].as_u64().unwrap()).sum();
    assert_eq!(transitions("event") as u64, told);
    let dry = trace.operations("read", "would-block").len()
        + trace.operations("accept", "would-block").len();
    assert_eq!(transitions("consumed"), dry);
    // Each call of a handler goes on until there is no more, or the connection is over.
    assert_eq!(trace.of_kind("poll-end").count(), dry + clients);
    assert_eq!(trace.of_kind("task-spawned").count(), clients + 1, "a handler for each source");
}
