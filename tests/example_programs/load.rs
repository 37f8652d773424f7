//! Many connections at once from clients on our own runtime, each answer checked: the load script's client, with few.

use nexus_tests::programs::{Running, Sandbox, Server, example, program, stderr};
use nexus_tests::verify::{Delivery, left_over};
use nexus_tests::wait_until;
use rustix::process::Signal;
use serde_json::Value;
use std::fs::File;
use std::io::BufReader;
use std::process::Stdio;

fn load(sandbox: &Sandbox, server: &Server, kind: &str, more: &[&str]) {
    let mut command = sandbox.command(program("load"));
    command.args([kind, &server.address.to_string(), "20", "25"]).args(more);
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", stderr(&output));
    assert!(printed.contains("500 of 500 answers right, 0 of 20"), "{printed}");
}

#[test]
fn hyper_on_both_sides() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("http"));
    load(&sandbox, &server, "http1", &[]);
    load(&sandbox, &server, "http2", &[]);
}

#[test]
fn async_tungstenite_on_both_sides() {
    let sandbox = Sandbox::new();
    load(&sandbox, &sandbox.server(&example("websocket")), "websocket", &[]);
}

#[test]
fn futures_rustls_on_both_sides() {
    let sandbox = Sandbox::new();
    let certificate = sandbox.file("certificate.pem");
    let server = sandbox.server_with(&example("tls"), [&certificate]);
    load(&sandbox, &server, "tls", &[certificate.to_str().unwrap()]);
}

#[test]
fn under_a_recorder_nothing_is_stuck_and_no_wake_goes_to_a_wrong_owner() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("http"));
    let path = sandbox.file("trace.json");
    let mut recorder = Running(
        sandbox
            .inspector(["record", &server.pid(), "-o", path.to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .expect("the inspector can be started"),
    );
    wait_until("the recording has begun", || {
        std::fs::read_to_string(&path).ok()?.contains("\"events\":").then_some(())
    });
    // Each of them makes connections anew, in the slots of those before.
    for kind in ["http1", "http2", "http1"] {
        load(&sandbox, &server, kind, &[]);
    }
    let board = wait_until("nothing is left of the clients", || {
        let output = sandbox.inspect(["snapshot", &server.pid(), "--json"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let board: Value = serde_json::from_slice(&output.stdout).unwrap();
        left_over(&board).is_empty().then_some(board)
    });
    // Some 17 MB of bodies: what foreign traits transfer is counted like everything else.
    for direction in ["bytes_in", "bytes_out"] {
        let bytes = board["runtimes"][0]["snapshot"]["totals"][direction].as_u64();
        assert!(bytes.is_some_and(|bytes| bytes > 10_000_000), "{direction}: {bytes:?}");
    }
    recorder.signal(Signal::INT);
    assert!(recorder.0.wait().unwrap().success());
    let delivery = Delivery::read(BufReader::new(File::open(&path).unwrap())).unwrap();
    assert_eq!(delivery.wrong, [""; 0], "{delivery}");
    assert!(delivery.wakes > 1000 && delivery.unknown < delivery.wakes, "{delivery}");
}
