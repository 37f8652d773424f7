//! The sin `token-leak`: `cargo run --release --example token-leak -- --for 3s`.
//!
//! **What it is.** Connections are put into a cache after their request "for later", and there is no later: nobody reads
//! from them, nobody waits for them, nobody closes them.
//!
//! **Why people do it.** A pool is written in an hour; what takes connections out of it again is left for the next release.
//! After some days the process has no descriptors left.
//!
//! **How it shows.** The number of live tokens of one claim location only grows; they are idle and have no waiter.
//!
//! **How to repair it.** Close a connection when its work is done; a cache has a bound and a time limit, and somebody waits
//! for its connections, to learn when the other side closes them.

use mio::net::UnixStream;
use nexus_examples::sins::{Plan, Raw, spawn};
use nexus_runtime::io::Interest;
use nexus_runtime::time::{Duration, sleep};
use std::io::{self, Write};
use std::panic::Location;

/// Between two connections that are kept.
const PAUSE: Duration = Duration::from_millis(10);
/// Descriptors are limited.
const KEPT_MAX: usize = 400;

fn main() -> io::Result<()> {
    let plan = Plan::from_args("token-leak");
    plan.runtime()?.block_on(async move {
        let (subject, source, sins) = spawn("server", serve(plan)).join().await?;
        plan.confess(subject, source, sins);
        Ok(())
    })
}

/// The last token that is kept, where they are claimed, and how many there are.
async fn serve(mut plan: Plan) -> io::Result<(String, &'static Location<'static>, u64)> {
    let mut cache = Vec::new();
    loop {
        let (ours, mut theirs) = UnixStream::pair()?;
        let mut raw = Raw::new(ours, Interest::READABLE)?;
        let source = raw.source;
        theirs.write_all(b"request")?;
        raw.drain_when_readable().await?;
        if plan.sins_now() && cache.len() < KEPT_MAX {
            cache.push((raw, theirs));
            sleep(PAUSE).await;
        }
        if plan.is_over() {
            let subject = cache.last().map(|(raw, _)| raw.subject()).unwrap_or_default();
            return Ok((subject, source, cache.len() as u64));
        }
    }
}
