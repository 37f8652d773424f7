//! A UDP echo server: `cargo run --release --example udp -- 127.0.0.1:7007`.
//!
//! Every datagram goes back to where it came from. Several tasks may use the one socket at the same time.

use nexus_runtime::Builder;
use nexus_runtime::net::UdpSocket;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let Some(address) = argument.and_then(|argument| argument.parse().ok()) else {
        eprintln!(
            "usage: udp ADDRESS:PORT, such as 127.0.0.1:7007 (port 0 lets the system choose)"
        );
        return ExitCode::from(2);
    };
    match Builder::new().name("udp").build().and_then(|runtime| runtime.block_on(serve(address))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udp: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: SocketAddr) -> io::Result<()> {
    let socket = UdpSocket::bind(address).await?;
    println!("listening on {}", socket.local_addr()?);
    // The largest datagram there can be: what does not fit into the buffer would be cut off.
    let mut buffer = vec![0; 65_535];
    loop {
        let (bytes, peer) = socket.recv_from(&mut buffer).await?;
        // One peer that cannot be reached is no reason to stop serving the others.
        if let Err(error) = socket.send_to(&buffer[..bytes], peer).await {
            eprintln!("{peer}: {error}");
        }
    }
}
