//! A relay for tests: one task that carries bytes between two connections, in both directions.
//!
//! `relay ADDRESS:PORT` accepts two connections and passes on what either sends to the other, until both have closed.

use nexus_runtime::net::{TcpListener, TcpStream};
use nexus_runtime::{Builder, task};
use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::pin;
use std::task::Poll;

fn main() -> io::Result<()> {
    let address: SocketAddr =
        std::env::args().nth(1).and_then(|argument| argument.parse().ok()).expect("ADDRESS:PORT");
    Builder::new().name("relay").build()?.block_on(async {
        let listener = TcpListener::bind(address).await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (left, _) = listener.accept().await?;
            let (right, _) = listener.accept().await?;
            drop(task::Builder::new().name("relay").spawn(relay(left, right)));
        }
    })
}

/// Both directions in one task: each of its polls may have been caused by either connection.
async fn relay(left: TcpStream, right: TcpStream) {
    let mut there = pin!(carry(&left, &right));
    let mut back = pin!(carry(&right, &left));
    let (mut there_done, mut back_done) = (false, false);
    poll_fn(|cx| {
        there_done = there_done || there.as_mut().poll(cx).is_ready();
        back_done = back_done || back.as_mut().poll(cx).is_ready();
        if there_done && back_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

async fn carry(from: &TcpStream, to: &TcpStream) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let bytes = from.read(&mut buffer).await?;
        if bytes == 0 {
            return to.shutdown(Shutdown::Write);
        }
        to.write_all(&buffer[..bytes]).await?;
    }
}
