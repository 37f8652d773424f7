//! The client in Python, which was written from SPEC.md alone, and our own agree on what the bytes mean.
//!
//! Needs a Python 3.8 or later; says that it was skipped where there is none.

use nexus_tests::programs::{Sandbox, Server, example, stderr};
use nexus_tests::wait_until;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const ROUND_TRIPS: usize = 100;
const BYTES: usize = 64;

/// Whether there is a Python that will do.
fn has_python() -> bool {
    let asked = Command::new("python3")
        .args(["-c", "import sys; sys.exit(sys.version_info < (3, 8))"])
        .status();
    let found = asked.is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED: there is no python3 of version 3.8 or later");
    }
    found
}

fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn client(sandbox: &Sandbox, arguments: &[&str]) -> Command {
    let mut command = sandbox.command("python3");
    command.arg(in_repository("examples/clients/nexus_client.py")).args(arguments);
    command
}

/// Has the client read a native trace.
fn read(sandbox: &Sandbox, trace: &[u8]) -> Output {
    let mut child = client(sandbox, &["--read", "-", "--events"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // In a thread: the client answers before it has read everything.
    let mut stdin = child.stdin.take().unwrap();
    let trace = trace.to_vec();
    let writer = std::thread::spawn(move || {
        // A client that stops early says why.
        let _ = stdin.write_all(&trace);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Events of a JSON trace, in either of its forms.
fn events(text: &str) -> Vec<Value> {
    let lines = text.lines().filter(|line| line.starts_with("{\"seq\":"));
    lines.map(|line| serde_json::from_str(line.trim_end_matches(',')).unwrap()).collect()
}

#[track_caller]
fn assert_same(theirs: &[Value], ours: &[Value]) {
    for (theirs, ours) in theirs.iter().zip(ours) {
        assert_eq!(theirs, ours);
    }
    assert_eq!(theirs.len(), ours.len());
}

/// An echo server with some history.
fn server(sandbox: &Sandbox) -> Server {
    let server = sandbox.server(&example("echo"));
    let mut stream = TcpStream::connect(server.address).unwrap();
    for round in 0..ROUND_TRIPS {
        let (sent, mut received) = ([round as u8; BYTES], [0; BYTES]);
        stream.write_all(&sent).unwrap();
        stream.read_exact(&mut received).unwrap();
    }
    drop(stream);
    wait_until("the connection's token is released", || {
        let output = sandbox.inspect(["snapshot", &server.pid(), "--json"]);
        let snapshot: Value = serde_json::from_slice(&output.stdout).ok()?;
        snapshot.to_string().contains("\"releases\":1").then_some(())
    });
    server
}

#[test]
fn the_golden_files_mean_the_same_to_both() {
    if !has_python() {
        return;
    }
    let golden = |name: &str| {
        let path = in_repository("protocol/tests/golden").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let hex = golden("server.hex");
    let bytes: Vec<u8> = hex
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_ascii_whitespace)
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let output = read(&Sandbox::new(), &bytes);
    let said = stderr(&output);
    assert!(output.status.success(), "{said}");
    assert_same(&lines(&output.stdout), &events(&golden("trace.json")));
    assert!(said.contains("recorded 1056 = delivered 48 + filtered 8 + lost 1000"), "{said}");
    assert!(said.contains("token 7.3 tcp-stream fd 9 127.0.0.1:7007 unix:/run/app.sock"), "{said}");
    assert!(said.contains("goodbye: finished"), "{said}");
}

#[test]
fn a_native_trace_means_the_same_to_both() {
    if !has_python() {
        return;
    }
    let sandbox = Sandbox::new();
    let server = server(&sandbox);
    let (native, json) = (sandbox.file("t.nxt"), sandbox.file("t.jsonl"));
    let [native_name, json_name] = [&native, &json].map(|path| path.to_str().unwrap());
    for arguments in [
        &["record", &server.pid(), "--for", "100ms", "-o", native_name],
        &["export", native_name, "-o", json_name][..],
    ] {
        let output = sandbox.inspect(arguments);
        assert!(output.status.success(), "{}", stderr(&output));
    }
    let output = read(&sandbox, &std::fs::read(&native).unwrap());
    assert!(output.status.success(), "{}", stderr(&output));
    let ours = events(&std::fs::read_to_string(&json).unwrap());
    assert!(ours.len() > 5 * ROUND_TRIPS);
    assert_same(&lines(&output.stdout), &ours);
}

#[test]
fn the_client_attaches_to_a_process_and_accounts_for_everything() {
    if !has_python() {
        return;
    }
    let sandbox = Sandbox::new();
    let server = server(&sandbox);
    let trace = sandbox.file("t.jsonl");
    let ours =
        sandbox.inspect(["record", &server.pid(), "--for", "100ms", "-o", trace.to_str().unwrap()]);
    assert!(ours.status.success(), "{}", stderr(&ours));
    let output = client(&sandbox, &[&server.pid(), "--for", "0.3", "--events"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    // A runtime that rests is looked at twice; stamps are told by one clock to whoever asks.
    assert_same(&lines(&output.stdout), &events(&std::fs::read_to_string(&trace).unwrap()));

    // What it says to people, and at a socket instead of a process.
    let socket = std::fs::read_dir(sandbox.endpoints())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "sock"))
        .expect("the server's socket");
    let output = client(&sandbox, &[socket.to_str().unwrap(), "--for", "0.3"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    let address = server.address.to_string();
    assert!(said.contains("tcp-listener") && said.contains(&address), "{said}");
    let of_kind = |kind: &str| {
        let line = said.lines().find(|line| line.ends_with(&format!(" {kind}")));
        line.and_then(|line| line.split_whitespace().next()?.parse::<usize>().ok())
    };
    assert!(of_kind("operation").is_some_and(|count| count >= 2 * ROUND_TRIPS), "{said}");
    assert!(of_kind("poll-end").is_some_and(|count| count >= ROUND_TRIPS), "{said}");
    assert!(said.contains("+ filtered 0 + lost 0"), "{said}");
    assert!(said.contains("goodbye: finished"), "{said}");
}

#[test]
fn a_target_that_is_not_there_is_exit_code_3() {
    if !has_python() {
        return;
    }
    let sandbox = Sandbox::new();
    let nobody = sandbox.file("nobody.sock");
    let output = client(&sandbox, &[nobody.to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(stderr(&output).contains("nobody listens"), "{}", stderr(&output));
}
