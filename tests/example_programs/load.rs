//! Many connections at once from clients on our own runtime, each answer checked: the load script's client, with few.

use nexus_tests::programs::{Sandbox, Server, example, program, stderr};

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
