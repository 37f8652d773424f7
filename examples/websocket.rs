//! A WebSocket echo server on async-tungstenite: `cargo run --release --example websocket -- 127.0.0.1:7007`.
//!
//! async-tungstenite needs nothing but the `futures-io` traits, which our streams have with the cargo feature of that
//! name.

use async_tungstenite::tungstenite::Error;
use futures_util::StreamExt;
use nexus_runtime::net::{TcpListener, TcpStream};
use nexus_runtime::{Builder, spawn};
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let Some(address) = argument.and_then(|argument| argument.parse().ok()) else {
        eprintln!(
            "usage: websocket ADDRESS:PORT, such as 127.0.0.1:7007 (port 0 lets the system choose)"
        );
        return ExitCode::from(2);
    };
    match Builder::new()
        .name("websocket")
        .build()
        .and_then(|runtime| runtime.block_on(serve(address)))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("websocket: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => drop(spawn(async move {
                match echo(stream).await {
                    Ok(()) | Err(Error::ConnectionClosed) => {}
                    Err(error) => eprintln!("{peer}: {error}"),
                }
            })),
            Err(error) => eprintln!("accept: {error}"),
        }
    }
}

async fn echo(stream: TcpStream) -> Result<(), Error> {
    // Messages are written whole: to gather small ones would only delay them.
    stream.set_nodelay(true)?;
    let mut socket = async_tungstenite::accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        // Pings are answered, and a close is confirmed, by the library itself.
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    Ok(())
}
