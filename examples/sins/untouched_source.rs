//! The sin `untouched-source`: `cargo run --release --example untouched-source -- --for 3s`.
//!
//! **What it is.** A task keeps its waker in a socket although it waits for a command now: what arrives at the socket wakes
//! it, it looks for a command, finds none, and does not even try to read.
//!
//! **Why people do it.** In a hand-written future with several states it is easy to leave the waker of the last state where
//! it is. So does a `select` that polls a branch only if a condition holds.
//!
//! **How it shows.** Spurious polls of the task `session`: woken by readable of its token, with no operation on it.
//!
//! **How to repair it.** Take the waker away, or drop the future of the wait, when the task stops waiting for something; or
//! read when it is woken.

use mio::net::UnixStream;
use nexus_examples::sins::{Plan, Raw, spawn};
use nexus_runtime::io::{Direction, Interest};
use nexus_runtime::sync::Notify;
use nexus_runtime::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;

/// What the two tasks know of each other.
#[derive(Default)]
struct Desk {
    /// The session is to wait for its command only.
    sins: Cell<bool>,
    /// The session was woken by its socket.
    woken: Notify,
}

fn main() -> io::Result<()> {
    let plan = Plan::from_args("untouched-source");
    plan.runtime()?.block_on(async move {
        let (ours, theirs) = UnixStream::pair()?;
        let (command, commands) = unbounded_channel();
        let desk = Rc::new(Desk::default());
        let session = Raw::new(ours, Interest::READABLE)?;
        let (subject, source) = (session.subject(), session.source);
        let session = spawn("session", serve(session, commands, desk.clone()));
        spawn("client", ask(plan, theirs, command, desk)).join().await?;
        plan.confess(subject, source, session.join().await?);
        Ok(())
    })
}

/// Sends bytes, and a command after they have been noticed.
async fn ask(
    mut plan: Plan,
    stream: UnixStream,
    command: UnboundedSender<()>,
    desk: Rc<Desk>,
) -> io::Result<()> {
    let mut raw = Raw::new(stream, Interest::READABLE)?;
    while !plan.is_over() {
        desk.sins.set(plan.sins_now());
        raw.write(&[1; 32])?;
        desk.woken.notified().await;
        let _ = command.send(());
        raw.drain_when_readable().await?;
    }
    Ok(())
}

/// How often it was woken by what it did not try.
async fn serve(
    mut raw: Raw,
    mut commands: UnboundedReceiver<()>,
    desk: Rc<Desk>,
) -> io::Result<u64> {
    let mut sins = 0;
    poll_fn(move |cx| {
        let command = commands.poll_recv(cx);
        if let Poll::Ready(None) = command {
            return Poll::Ready(Ok(sins));
        }
        let reported = raw.is_ready(Direction::Readable);
        if command.is_pending() && reported && desk.sins.get() {
            sins += 1;
            desk.woken.notify_one();
            return Poll::Pending;
        }
        if reported {
            raw.drain()?;
            if command.is_pending() {
                desk.woken.notify_one();
            }
        }
        raw.wake_when(Direction::Readable, cx);
        if command.is_ready() {
            raw.write(&[1])?;
            // Leaves the waker of the next command.
            let _ = commands.poll_recv(cx);
        }
        Poll::Pending
    })
    .await
}
