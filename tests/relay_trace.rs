//! One task, two tokens, both directions: each read still names its own cause.

use nexus_tests::programs::{Sandbox, program, stderr};
use nexus_tests::trace::Trace;
use nexus_tests::wait_until;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

const MESSAGES: usize = 150;

#[test]
fn each_read_names_the_event_of_its_own_token() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&program("relay"));
    let mut left = TcpStream::connect(server.address).unwrap();
    let mut right = TcpStream::connect(server.address).unwrap();
    let mut buffer = [0; 64];
    for message in 0..MESSAGES {
        // Both at once, so that one poll often answers both, then one after the other.
        left.write_all(&[1; 64]).unwrap();
        right.write_all(&[2; 64]).unwrap();
        right.read_exact(&mut buffer).unwrap();
        assert_eq!(buffer, [1; 64], "message {message}");
        left.read_exact(&mut buffer).unwrap();
        assert_eq!(buffer, [2; 64], "message {message}");
    }
    left.shutdown(Shutdown::Write).unwrap();
    right.shutdown(Shutdown::Write).unwrap();
    assert_eq!(right.read(&mut buffer).unwrap(), 0);
    assert_eq!(left.read(&mut buffer).unwrap(), 0);
    wait_until("both tokens are released", || {
        let output = sandbox.inspect(["snapshot", &server.pid(), "--json"]);
        assert!(output.status.success(), "{}", stderr(&output));
        let text = String::from_utf8(output.stdout).unwrap().replace(' ', "");
        text.contains("\"releases\":2").then_some(())
    });

    let path = sandbox.file("trace.json");
    let output =
        sandbox.inspect(["record", "relay", "--for", "200ms", "-o", path.to_str().unwrap()]);
    assert!(output.status.success(), "{}", stderr(&output));
    let trace = Trace::read(&path);
    trace.assert_adds_up();
    let reads = trace.operations("read", "done");
    let bytes: u64 = reads.iter().map(|read| read["bytes"].as_u64().unwrap()).sum();
    assert_eq!(bytes, 2 * 64 * MESSAGES as u64);
    let tokens: BTreeSet<_> = reads.iter().map(|read| read["token"].as_str().unwrap()).collect();
    assert_eq!(tokens.len(), 2);
    let tasks: BTreeSet<_> = reads.iter().map(|read| read["task"].as_u64().unwrap()).collect();
    assert_eq!(tasks.len(), 1, "all in one task");
    for read in reads.iter().chain(&trace.operations("read", "end-of-file")) {
        let chain = trace.chain(read);
        assert_eq!(chain.event["token"], read["token"]);
        assert_eq!(chain.wake["direction"], "readable");
    }
}
