//! The sin `busy-turns`: `cargo run --release --example busy-turns -- --for 3s`.
//!
//! **What it is.** Each request has a time limit, and is answered long before. The thread's alarm has been set for the limit
//! all the same, so that the loop wakes later on, at a time for which nobody waits any more, and finds nothing to do.
//!
//! **Why people do it.** A limit on each request is good practice. One that is short, of a thread that sleeps most of the
//! time, costs a wake-up of the thread a request.
//!
//! **How it shows.** Turns that slept and brought no event, no timer and no wake.
//!
//! **How to repair it.** Limits that are longer than the usual pause between requests, or one limit for many of them: an
//! alarm that is set again before it rings costs nothing.

use nexus_examples::sins::{Mill, Plan};
use nexus_runtime::net::UnixStream;
use nexus_runtime::time::{sleep, timeout};
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::panic::Location;
use std::pin::pin;
use std::thread;
use std::time::Duration;

/// The limit on a request.
const LIMIT: Duration = Duration::from_millis(10);
/// Between two requests.
const PAUSE: Duration = Duration::from_millis(20);

fn main() -> io::Result<()> {
    let plan = Plan::from_args("busy-turns");
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    let server = thread::spawn(move || answer(theirs));
    plan.runtime()?.block_on(async move {
        let sins = ask(plan, UnixStream::from_std(ours)?).await?;
        plan.confess("loop", Location::caller(), sins);
        io::Result::Ok(())
    })?;
    server.join().expect("the server does not panic")
}

/// A server that is somewhere else: it answers each byte, after a while.
fn answer(mut stream: std::os::unix::net::UnixStream) -> io::Result<()> {
    let mut buffer = [0; 1];
    while stream.read(&mut buffer)? > 0 {
        thread::sleep(Duration::from_micros(300));
        stream.write_all(&buffer)?;
    }
    Ok(())
}

/// How many limits were left behind.
async fn ask(mut plan: Plan, stream: UnixStream) -> io::Result<u64> {
    let (mut mill, mut sins) = (Mill::new(), 0);
    while !plan.is_over() {
        if plan.sins_now() {
            sins += u64::from(request(&stream).await?);
            sleep(PAUSE).await;
        }
        mill.turn().await;
    }
    Ok(sins)
}

/// One request. Whether the thread slept until the answer came, with its alarm set for the limit.
async fn request(stream: &UnixStream) -> io::Result<bool> {
    stream.write_all(&[1]).await?;
    let (mut answer, mut polls) = ([0; 1], 0);
    let mut limited = pin!(timeout(LIMIT, stream.read_exact(&mut answer)));
    let done = poll_fn(|cx| {
        polls += 1;
        limited.as_mut().poll(cx)
    });
    match done.await {
        Ok(read) => read.map(|()| polls > 1),
        // It has come to its use. The answer is still to come.
        Err(_) => stream.read_exact(&mut [0; 1]).await.map(|()| false),
    }
}
