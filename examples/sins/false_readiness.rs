//! The sin `false-readiness`: `cargo run --release --example false-readiness -- --for 3s`.
//!
//! **What it is.** Two tasks wait for the same socket. The kernel's report wakes both; the first one reads all there is, and
//! the second one finds that its read would block.
//!
//! **Why people do it.** More workers on one queue look like more throughput, and with threads they would be.
//!
//! **How it shows.** Polls of the task `helper` are spurious; the chain of each is: event of the token, wake, read, and
//! nothing to be had.
//!
//! **How to repair it.** One reader a token, which hands on what it has read, by a channel for instance.

use nexus_examples::sins::{Plan, spawn};
use nexus_runtime::net::UnixStream;
use nexus_runtime::sync::Notify;
use nexus_runtime::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

/// What the tasks share.
struct Desk {
    socket: UnixStream,
    /// A message has been read.
    taken: Notify,
    /// The helper waits as well.
    joined: Notify,
    sins: Cell<u64>,
}

fn main() -> io::Result<()> {
    let plan = Plan::from_args("false-readiness");
    plan.runtime()?.block_on(async move {
        let (socket, theirs, source) = connection()?;
        let subject = format!("token {}", socket.token());
        let (taken, joined) = (Notify::new(), Notify::new());
        let desk = Rc::new(Desk { socket, taken, joined, sins: Cell::new(0) });
        let (call, calls) = unbounded_channel();
        let reader = spawn("reader", read(desk.clone()));
        let helper = spawn("helper", help(desk.clone(), calls));
        spawn("writer", write(plan, theirs, desk.clone(), call)).join().await?;
        reader.join().await?;
        helper.join().await?;
        plan.confess(subject, source, desk.sins.get());
        Ok(())
    })
}

/// A pair of sockets, and where they were claimed.
#[track_caller]
fn connection() -> io::Result<(UnixStream, UnixStream, &'static Location<'static>)> {
    let (ours, theirs) = UnixStream::pair()?;
    Ok((ours, theirs, Location::caller()))
}

/// Writes a message a step, and has the helper wait for some of them.
async fn write(
    mut plan: Plan,
    stream: UnixStream,
    desk: Rc<Desk>,
    call: UnboundedSender<()>,
) -> io::Result<()> {
    while !plan.is_over() {
        if plan.sins_now() {
            let _ = call.send(());
            desk.joined.notified().await;
        }
        stream.write_all(&[1; 16]).await?;
        desk.taken.notified().await;
    }
    Ok(())
}

/// Reads all messages.
async fn read(desk: Rc<Desk>) -> io::Result<()> {
    while take(&desk, false).await? {}
    Ok(())
}

/// Waits for the same messages when it is called.
async fn help(desk: Rc<Desk>, mut calls: UnboundedReceiver<()>) -> io::Result<()> {
    while calls.recv().await.is_some() {
        take(&desk, true).await?;
    }
    Ok(())
}

/// Waits for a message and reads it; false at the end of all. Each poll after the first was brought about by readiness: one
/// that finds nothing is a sin. The helper gives up then.
async fn take(desk: &Desk, helps: bool) -> io::Result<bool> {
    let mut buffer = [0; 64];
    let mut reading = pin!(desk.socket.read(&mut buffer));
    let mut waits = false;
    poll_fn(|cx| match reading.as_mut().poll(cx) {
        Poll::Ready(Ok(bytes)) => {
            desk.taken.notify_one();
            Poll::Ready(Ok(bytes > 0))
        }
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending if waits => {
            desk.sins.set(desk.sins.get() + 1);
            if helps { Poll::Ready(Ok(true)) } else { Poll::Pending }
        }
        Poll::Pending => {
            waits = true;
            if helps {
                desk.joined.notify_one();
            }
            Poll::Pending
        }
    })
    .await
}
