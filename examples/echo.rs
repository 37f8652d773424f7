//! A TCP echo server: `cargo run --release --example echo -- 127.0.0.1:7007`.
//!
//! Attach to it with `nexus-inspect echo` while clients talk to it.

use nexus_runtime::net::{TcpListener, TcpStream};
use nexus_runtime::{Builder, spawn};
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let Some(address) = argument.and_then(|argument| argument.parse().ok()) else {
        eprintln!(
            "usage: echo ADDRESS:PORT, such as 127.0.0.1:7007 (port 0 lets the system choose)"
        );
        return ExitCode::from(2);
    };
    match Builder::new().name("echo").build().and_then(|runtime| runtime.block_on(serve(address))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => drop(spawn(echo(stream))),
            Err(error) => eprintln!("accept: {error}"),
        }
    }
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let bytes = stream.read(&mut buffer).await?;
        if bytes == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..bytes]).await?;
    }
}
