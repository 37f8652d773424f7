//! A TLS echo server on futures-rustls: `cargo run --release --example tls -- 127.0.0.1:7007 certificate.pem`.
//!
//! It makes itself a certificate at its start and writes it to the file, so that a client can trust it:
//! `openssl s_client -connect 127.0.0.1:7007 -CAfile certificate.pem`.
//!
//! futures-rustls needs nothing but the `futures-io` traits, which our streams have with the cargo feature of that name.

use futures_rustls::TlsAcceptor;
use futures_rustls::pki_types::PrivateKeyDer;
use futures_rustls::rustls::ServerConfig;
use futures_util::{AsyncReadExt, AsyncWriteExt};
use nexus_runtime::net::{TcpListener, TcpStream};
use nexus_runtime::{Builder, spawn};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let address = arguments.next().and_then(|address| address.to_str()?.parse().ok());
    let (Some(address), Some(file)) = (address, arguments.next()) else {
        eprintln!(
            "usage: tls ADDRESS:PORT FILE, such as 127.0.0.1:7007 certificate.pem (port 0 lets the system choose)"
        );
        return ExitCode::from(2);
    };
    match run(address, &PathBuf::from(file)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tls: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(address: SocketAddr, certificate: &Path) -> Result<(), Box<dyn Error>> {
    let acceptor = TlsAcceptor::from(Arc::new(new_identity(address, certificate)?));
    Ok(Builder::new().name("tls").build()?.block_on(serve(address, acceptor))?)
}

/// A key and a certificate for it, signed by itself. A real server loads its own.
fn new_identity(address: SocketAddr, file: &Path) -> Result<ServerConfig, Box<dyn Error>> {
    let names = vec!["localhost".to_owned(), address.ip().to_string()];
    let identity = rcgen::generate_simple_self_signed(names)?;
    std::fs::write(file, identity.cert.pem())
        .map_err(|error| format!("{}: {error}", file.display()))?;
    let key = PrivateKeyDer::try_from(identity.signing_key.serialize_der())?;
    let chain = vec![identity.cert.der().clone()];
    Ok(ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?)
}

async fn serve(address: SocketAddr, acceptor: TlsAcceptor) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let acceptor = acceptor.clone();
                drop(spawn(async move {
                    if let Err(error) = echo(acceptor, stream).await {
                        eprintln!("{peer}: {error}");
                    }
                }));
            }
            Err(error) => eprintln!("accept: {error}"),
        }
    }
}

async fn echo(acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut buffer = [0; 16 * 1024];
    loop {
        let bytes = stream.read(&mut buffer).await?;
        if bytes == 0 {
            return stream.close().await;
        }
        stream.write_all(&buffer[..bytes]).await?;
        // What was written may still be in the library's buffer.
        stream.flush().await?;
    }
}
