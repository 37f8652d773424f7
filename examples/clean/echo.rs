//! A clean program: `cargo run --release --example clean-echo -- --for 3s`, an echo server and its clients in one process,
//! at full speed. No tool should find fault with it.

use nexus_examples::sins::{Plan, spawn};
use nexus_runtime::net::{TcpListener, TcpStream};
use std::io;

/// Connections at once.
const CLIENTS: usize = 32;

fn main() -> io::Result<()> {
    let plan = Plan::from_args("clean-echo");
    plan.runtime()?.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        drop(spawn("acceptor", async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(spawn("echo", echo(stream)));
            }
        }));
        let clients: Vec<_> = (0..CLIENTS).map(|_| spawn("client", talk(plan, address))).collect();
        let mut messages = 0;
        for client in clients {
            messages += client.join().await?;
        }
        println!("{{\"kind\":\"clean\",\"messages\":{messages}}}");
        Ok(())
    })
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            bytes => stream.write_all(&buffer[..bytes]).await?,
        }
    }
}

async fn talk(plan: Plan, address: std::net::SocketAddr) -> io::Result<u64> {
    let stream = TcpStream::connect(address).await?;
    let (mut messages, mut buffer) = (0, [0; 256]);
    while !plan.is_over() {
        stream.write_all(&[1; 256]).await?;
        stream.read_exact(&mut buffer).await?;
        messages += 1;
    }
    Ok(messages)
}
