//! `tls`, against a blocking rustls client that trusts the certificate the server has written.

use crate::connect;
use futures_rustls::pki_types::pem::PemObject;
use futures_rustls::pki_types::{CertificateDer, ServerName};
use futures_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use nexus_tests::programs::{Sandbox, Server, example};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn server(sandbox: &Sandbox) -> (Server, PathBuf) {
    let certificate = sandbox.file("certificate.pem");
    let server = sandbox.server_with(&example("tls"), [&certificate]);
    (server, certificate)
}

/// A client of the name, that trusts this certificate, or none.
fn client(
    server: &Server,
    name: &'static str,
    certificate: Option<&Path>,
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = certificate {
        let certificate = CertificateDer::from_pem_file(file).expect("the server wrote it");
        roots.add(certificate).unwrap();
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(name).unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    StreamOwned::new(connection, connect(server.address))
}

#[test]
fn what_goes_in_encrypted_comes_out_encrypted() {
    let sandbox = Sandbox::new();
    let (server, certificate) = server(&sandbox);
    for name in ["localhost", "127.0.0.1"] {
        let mut stream = client(&server, name, Some(&certificate));
        // Lengths around those of a record, which is 16 KiB.
        for length in [1, 100, 16_383, 16_384, 16_385, 100_000] {
            let sent: Vec<u8> = (0..length).map(|number| (number % 251) as u8).collect();
            stream.write_all(&sent).unwrap();
            let mut received = vec![0; length];
            stream.read_exact(&mut received).unwrap();
            assert!(received == sent, "{length} bytes");
        }
        stream.conn.send_close_notify();
        stream.conn.write_tls(&mut stream.sock).unwrap();
        // A clean end: rustls makes an error of one that comes without notice.
        assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
    }
}

#[test]
fn a_client_that_does_not_trust_it_disturbs_nobody() {
    let sandbox = Sandbox::new();
    let (server, certificate) = server(&sandbox);
    let mut trusting = client(&server, "localhost", Some(&certificate));
    trusting.write_all(b"one").unwrap();
    for (name, trusted) in [("localhost", None), ("elsewhere.test", Some(&*certificate))] {
        let error = client(&server, name, trusted).write_all(b"hello").unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    let mut plain = connect(server.address);
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    // An alert, or nothing; but an end.
    let _ = plain.read_to_end(&mut Vec::new());
    trusting.write_all(b" two").unwrap();
    let mut received = [0; 7];
    trusting.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"one two");
}
