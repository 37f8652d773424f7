//! An echo server that ends well: `cargo run --release --example graceful-shutdown -- 127.0.0.1:7007`, then Ctrl-C.
//!
//! At Ctrl-C or SIGTERM it takes no more connections and tells each client goodbye. What has not ended after five
//! seconds (or as many as the second argument says) is reported, and cut off. The exit code tells which it was.

use nexus_runtime::Builder;
use nexus_runtime::net::{TcpListener, TcpStream};
use nexus_runtime::shutdown::{Report, Shutdown};
use nexus_runtime::sync::CancellationToken;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().and_then(|address| address.parse().ok());
    let seconds = arguments.next().map_or(Some(5), |seconds| seconds.parse().ok());
    let (Some(address), Some(seconds)) = (address, seconds) else {
        eprintln!(
            "usage: graceful-shutdown ADDRESS:PORT [SECONDS], such as 127.0.0.1:7007 (port 0 lets the system choose)"
        );
        return ExitCode::from(2);
    };
    let runtime = Builder::new().name("graceful-shutdown").build();
    let served =
        runtime.and_then(|runtime| runtime.block_on(serve(address, Duration::from_secs(seconds))));
    match served {
        Ok(report) => {
            println!("{report}");
            if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("graceful-shutdown: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: SocketAddr, patience: Duration) -> io::Result<Report> {
    let shutdown = Shutdown::new();
    shutdown.listen_to_signals()?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let accepting = async {
        loop {
            match listener.accept().await {
                // The shutdown waits for tasks that are spawned through it.
                Ok((stream, _peer)) => drop(shutdown.spawn(session(stream, shutdown.token()))),
                Err(error) => eprintln!("accept: {error}"),
            }
        }
    };
    shutdown.token().run_until_cancelled(accepting).await;
    drop(listener);
    println!("stopping");
    Ok(shutdown.finish(patience).await)
}

async fn session(stream: TcpStream, stop: CancellationToken) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    // Only the wait for the next request is cut short: what was read is answered.
    while let Some(read) = stop.run_until_cancelled(stream.read(&mut buffer)).await {
        match read? {
            0 => return Ok(()),
            bytes => stream.write_all(&buffer[..bytes]).await?,
        }
    }
    stream.write_all(b"goodbye\n").await
}
