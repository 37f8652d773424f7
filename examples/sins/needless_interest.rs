//! The sin `needless-interest`: `cargo run --release --example needless-interest -- --for 3s`.
//!
//! **What it is.** Connections that are only ever read from are registered for writable as well. A socket is writable from
//! the start, so the kernel reports each of them at once, and again whenever its peer has taken something in.
//!
//! **Why people do it.** `READABLE | WRITABLE` is what the first example on the web says, and it is never wrong: it is only
//! an event, and often a turn of the loop and a wake, for nothing.
//!
//! **How it shows.** The tokens of one claim location have an interest of `readable|writable`, events that say nothing but
//! writable, and no write.
//!
//! **How to repair it.** Register for what is used; add writable when a write would block, and take it away afterwards.

use mio::net::UnixStream;
use nexus_examples::sins::{Plan, Raw, spawn};
use nexus_runtime::io::{Direction, Interest};
use nexus_runtime::time::{Duration, sleep};
use std::io::{self, Write};
use std::panic::Location;

fn main() -> io::Result<()> {
    let plan = Plan::from_args("needless-interest");
    plan.runtime()?.block_on(async move {
        let (subject, source, sins) = spawn("acceptor", serve(plan)).join().await?;
        plan.confess(subject, source, sins);
        Ok(())
    })
}

/// The last such token, where it was claimed, and how many connections reported that they are writable.
async fn serve(mut plan: Plan) -> io::Result<(String, &'static Location<'static>, u64)> {
    let (mut subject, mut sins) = (String::new(), 0);
    loop {
        let needless = plan.sins_now();
        let interest =
            if needless { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        let (ours, mut theirs) = UnixStream::pair()?;
        let mut raw = Raw::new(ours, interest)?;
        while needless && !raw.is_ready(Direction::Writable) {
            // The loop asks the kernel meanwhile.
            sleep(Duration::from_micros(20)).await;
        }
        if needless {
            subject = raw.subject();
            sins += 1;
        }
        theirs.write_all(b"request")?;
        raw.drain_when_readable().await?;
        if plan.is_over() {
            return Ok((subject, raw.source, sins));
        }
    }
}
