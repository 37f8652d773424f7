//! The sin `release-errors`: `cargo run --release --example release-errors -- --for 3s`.
//!
//! **What it is.** A token is released twice: once where the connection ends, and once more where it is cleaned up.
//!
//! **Why people do it.** Two parts of a program both feel responsible, and the first `deregister` leaves the number behind.
//! In a table with a plain freelist, one slot would then go to two owners.
//!
//! **How it shows.** Refused releases among the freelist's totals, and a record with the token and the reason for each. Nothing
//! else happens.
//!
//! **How to repair it.** Give a token one owner, which releases it when it is dropped.

use mio::net::UnixStream;
use nexus_examples::sins::Plan;
use nexus_runtime::io::{Interest, IoHandle, SourceKind, Token};
use nexus_runtime::task::yield_now;
use std::io;
use std::panic::Location;
use std::task::Waker;

fn main() -> io::Result<()> {
    let plan = Plan::from_args("release-errors");
    plan.runtime()?.block_on(async move {
        let (subject, source, sins) = serve(plan).await?;
        plan.confess(subject, source, sins);
        Ok(())
    })
}

#[track_caller]
fn claim(stream: &mut UnixStream) -> io::Result<(Token, &'static Location<'static>)> {
    let (io, kind) = (IoHandle::current(), SourceKind::UnixStream);
    let token = io.register_fd(stream, kind, Interest::READABLE, Waker::noop())?;
    Ok((token, Location::caller()))
}

/// The last token that was released twice, where they are claimed, and how many there were.
async fn serve(mut plan: Plan) -> io::Result<(String, &'static Location<'static>, u64)> {
    let (io, (mut ours, _theirs)) = (IoHandle::current(), UnixStream::pair()?);
    let (mut subject, mut sins) = (String::new(), 0);
    loop {
        let (token, source) = claim(&mut ours)?;
        io.deregister(token, &mut ours)?;
        if plan.sins_now() && io.deregister(token, &mut ours).is_err() {
            subject = format!("token {token}");
            sins += 1;
        }
        yield_now().await;
        if plan.is_over() {
            return Ok((subject, source, sins));
        }
    }
}
