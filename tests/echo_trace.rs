//! The whole road: an echo server, a client that knows nothing of us, a recording, and what must stand in it.

use nexus_tests::programs::{Running, Sandbox, example, stderr};
use nexus_tests::trace::Trace;
use nexus_tests::{programs, wait_until};
use rustix::process::Signal;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;

const ROUND_TRIPS: usize = 200;
const BYTES: usize = 100;

/// Exactly this many round trips in lock-step, from a plain client.
fn talk(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).unwrap();
    for round in 0..ROUND_TRIPS {
        let sent = [round as u8; BYTES];
        let mut received = [0; BYTES];
        stream.write_all(&sent).unwrap();
        stream.read_exact(&mut received).unwrap();
        assert_eq!(sent, received);
    }
}

/// What the issue promises of such a recording.
fn assert_complete(trace: &Trace) {
    let reads = trace.operations("read", "done");
    assert_eq!(reads.len(), ROUND_TRIPS);
    assert!(reads.iter().all(|read| read["bytes"] == BYTES), "lock-step: one message a read");
    let writes = trace.operations("write", "done");
    assert_eq!(writes.len(), ROUND_TRIPS);
    assert!(writes.iter().all(|write| write["bytes"] == BYTES));
    let ends = trace.operations("read", "end-of-file");
    assert_eq!(ends.len(), 1);
    assert_eq!(
        trace.operations("read", "would-block").len(),
        0,
        "no read that would block was tried"
    );
    assert_eq!(trace.operations("accept", "done").len(), 1);

    for operation in reads.iter().chain(&ends) {
        let chain = trace.chain(operation);
        assert_eq!(chain.wake["direction"], "readable");
        assert!(
            chain.event["after"].as_array().unwrap().contains(&"readable".into()),
            "{}",
            chain.event
        );
    }
    for write in &writes {
        assert_eq!(trace.link(write, "poll")["kind"], "poll-start");
    }

    let token = &reads[0]["token"];
    assert!(reads.iter().chain(&writes).all(|operation| operation["token"] == *token));
    let claimed: Vec<_> =
        trace.of_kind("token-claimed").filter(|claim| claim["token"] == *token).collect();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0]["source"], "tcp-stream");
    assert!(claimed[0]["location"].as_str().unwrap().contains("echo.rs:"), "{}", claimed[0]);
    let released: Vec<_> =
        trace.of_kind("token-released").filter(|release| release["token"] == *token).collect();
    assert_eq!(released.len(), 1, "the connection's token went back");
    assert_eq!(released[0]["live"], 1, "the listener's is left");
    trace.assert_adds_up();
    assert_eq!(trace.summary("lost"), 0);
}

/// Waits until the server has noticed that the client has gone.
fn wait_for_release(sandbox: &Sandbox, pid: &str) {
    wait_until("the connection's token is released", || {
        let output = sandbox.inspect(["snapshot", pid, "--json"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        text.contains("\"releases\": 1")
            .then_some(())
            .or_else(|| text.contains("\"releases\":1").then_some(()))
    });
}

#[test]
fn a_recording_of_the_past_has_every_read_with_its_cause() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("echo"));
    talk(server.address);
    wait_for_release(&sandbox, &server.pid());
    let path = sandbox.file("trace.json");
    let output =
        sandbox.inspect(["record", &server.pid(), "--for", "200ms", "-o", path.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let trace = Trace::read(&path);
    assert_eq!(trace.summary("first_seq"), 0, "the history begins with the runtime");
    assert_complete(&trace);
}

/// The compact form has all of it as well, in the few bytes that are promised.
#[test]
fn a_native_recording_is_small_and_holds_the_same() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("echo"));
    talk(server.address);
    wait_for_release(&sandbox, &server.pid());
    let (native, path) = (sandbox.file("trace.nxt"), sandbox.file("trace.json"));
    let [native_name, name] = [&native, &path].map(|path| path.to_str().unwrap());
    for arguments in [
        &["record", &server.pid(), "--for", "100ms", "-o", native_name],
        &["export", native_name, "-o", name][..],
    ] {
        let output = sandbox.inspect(arguments);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let trace = Trace::read(&path);
    assert_complete(&trace);
    let bytes = std::fs::metadata(&native).unwrap().len();
    let events = trace.summary("delivered");
    assert!(2 * bytes <= 13 * events, "{bytes} bytes for {events} events");
}

#[test]
fn a_recording_of_what_happens_meanwhile_has_it_too() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("echo"));
    let path = sandbox.file("trace.json");
    let recorder = Running(
        sandbox
            .inspector(["record", &server.pid(), "-o", path.to_str().unwrap()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the inspector can be started"),
    );
    wait_until("the recording has begun", || {
        std::fs::read_to_string(&path).ok()?.contains("\"events\":[").then_some(())
    });
    talk(server.address);
    wait_for_release(&sandbox, &server.pid());
    recorder.signal(Signal::INT);
    let mut recorder = recorder;
    let status = recorder.0.wait().unwrap();
    assert!(status.success(), "an interrupted recording is a finished one: {status}");
    assert_complete(&Trace::read(&path));
}

#[test]
fn two_recorders_at_once_see_the_same() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("echo"));
    talk(server.address);
    wait_for_release(&sandbox, &server.pid());
    let paths = [sandbox.file("one.json"), sandbox.file("two.json")];
    let mut recorders: Vec<_> = paths
        .iter()
        .map(|path| {
            let arguments =
                ["record", &server.pid(), "--for", "300ms", "-o", path.to_str().unwrap()];
            Running(sandbox.inspector(arguments).spawn().expect("the inspector can be started"))
        })
        .collect();
    for recorder in &mut recorders {
        assert!(recorder.0.wait().unwrap().success());
    }
    for path in &paths {
        assert_complete(&Trace::read(path));
    }
}

#[test]
fn a_target_that_dies_leaves_a_valid_file_and_exit_code_3() {
    let sandbox = Sandbox::new();
    let mut server = sandbox.server(&example("echo"));
    talk(server.address);
    let path = sandbox.file("trace.json");
    let mut recorder = Running(
        sandbox
            .inspector(["record", &server.pid(), "-o", path.to_str().unwrap()])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the inspector can be started"),
    );
    wait_until("the recording has begun", || {
        std::fs::read_to_string(&path).ok()?.contains("\"operation\"").then_some(())
    });
    server.process().signal(Signal::KILL);
    let status = recorder.0.wait().unwrap();
    assert_eq!(status.code(), Some(3));
    let trace = Trace::read(&path);
    trace.assert_adds_up();
    assert_eq!(trace.document["summary"]["complete"], false);
}

#[test]
fn an_inspector_that_is_killed_goes_unnoticed() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("echo"));
    let path = sandbox.file("trace.json");
    let recorder = Running(
        sandbox
            .inspector(["record", &server.pid(), "-o", path.to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .expect("the inspector can be started"),
    );
    wait_until("the recording has begun", || {
        std::fs::metadata(&path).ok().filter(|file| file.len() > 0)
    });
    recorder.signal(Signal::KILL);
    drop(recorder);
    talk(server.address);
    wait_for_release(&sandbox, &server.pid());
    let again = sandbox.file("again.json");
    let output =
        sandbox.inspect(["record", &server.pid(), "--for", "100ms", "-o", again.to_str().unwrap()]);
    assert!(output.status.success(), "{}", programs::stderr(&output));
    assert_complete(&Trace::read(&again));
}
