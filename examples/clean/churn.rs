//! A clean program: `cargo run --release --example clean-churn -- --for 3s`, connections that come, ask once, and go.
//! No tool should find fault with it.

use nexus_examples::sins::{Plan, spawn};
use nexus_runtime::net::{UnixListener, UnixStream};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::process;

/// Clients at once.
const CLIENTS: usize = 16;

fn main() -> io::Result<()> {
    let plan = Plan::from_args("clean-churn");
    plan.runtime()?.block_on(async move {
        // Without a file, and without ports that could run out.
        let address = SocketAddr::from_abstract_name(format!("clean-churn-{}", process::id()))?;
        let listener = UnixListener::bind_addr(&address)?;
        drop(spawn("acceptor", async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(spawn("connection", serve(stream)));
            }
        }));
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| spawn("client", come_and_go(plan, address.clone()))).collect();
        let mut connections = 0;
        for client in clients {
            connections += client.join().await?;
        }
        println!("{{\"kind\":\"clean\",\"connections\":{connections}}}");
        Ok(())
    })
}

async fn serve(stream: UnixStream) -> io::Result<()> {
    let mut request = [0; 64];
    stream.read_exact(&mut request).await?;
    stream.write_all(&request).await
}

async fn come_and_go(plan: Plan, address: SocketAddr) -> io::Result<u64> {
    let mut connections = 0;
    while !plan.is_over() {
        let stream = UnixStream::connect_addr(&address).await?;
        stream.write_all(&[1; 64]).await?;
        stream.read_exact(&mut [0; 64]).await?;
        connections += 1;
    }
    Ok(connections)
}
