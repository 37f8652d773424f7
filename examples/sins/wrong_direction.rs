//! The sin `wrong-direction`: `cargo run --release --example wrong-direction -- --for 3s`.
//!
//! **What it is.** A task that waits for quotes leaves its waker in both directions of its token. Each acknowledgement that
//! the peer takes in makes the socket writable, which wakes the task, which reads, and finds nothing.
//!
//! **Why people do it.** One waker for a whole socket is the obvious design, and a task that also writes seems to need both.
//! (The runtime's own sockets cannot do it.)
//!
//! **How it shows.** Spurious polls of the task `reader`: woken by writable of its token, and all it tries is a read.
//!
//! **How to repair it.** Set the waker of the direction in which an operation has just blocked, and of no other.

use mio::net::UnixStream;
use nexus_examples::sins::{Plan, Raw, spawn};
use nexus_runtime::io::{Direction, Interest};
use nexus_runtime::sync::Notify;
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::task::Poll;

/// What the two sides know of each other, beside the socket.
#[derive(Default)]
struct Desk {
    /// The reader is to leave its waker in both directions after the next quote.
    sins: Cell<bool>,
    /// It has been woken by the wrong one.
    woken: Notify,
}

fn main() -> io::Result<()> {
    let plan = Plan::from_args("wrong-direction");
    plan.runtime()?.block_on(async move {
        let (ours, theirs) = UnixStream::pair()?;
        let desk = Rc::new(Desk::default());
        let reader = Raw::new(ours, Interest::READABLE | Interest::WRITABLE)?;
        let (subject, source) = (reader.subject(), reader.source);
        let reader = spawn("reader", read(reader, desk.clone()));
        spawn("writer", write(plan, theirs, desk)).join().await?;
        plan.confess(subject, source, reader.join().await?);
        Ok(())
    })
}

/// Writes a quote and takes in the acknowledgement, which makes the reader's socket writable.
async fn write(mut plan: Plan, stream: UnixStream, desk: Rc<Desk>) -> io::Result<()> {
    let mut raw = Raw::new(stream, Interest::READABLE)?;
    while !plan.is_over() {
        let sins = plan.sins_now();
        desk.sins.set(sins);
        raw.write(&[1; 48])?;
        raw.drain_when_readable().await?;
        if sins {
            desk.woken.notified().await;
        }
    }
    Ok(())
}

/// How often it was woken by writable.
async fn read(mut raw: Raw, desk: Rc<Desk>) -> io::Result<u64> {
    let mut sins = 0;
    poll_fn(move |cx| {
        match raw.drain() {
            Ok(0) if desk.sins.get() && raw.is_ready(Direction::Writable) => {
                sins += 1;
                desk.sins.set(false);
                desk.woken.notify_one();
            }
            Ok(0) => {}
            Ok(_) => {
                raw.write(&[1])?;
                if desk.sins.get() {
                    raw.wake_when(Direction::Writable, cx);
                }
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Poll::Ready(Ok(sins)),
            Err(error) => return Poll::Ready(Err(error)),
        }
        raw.wake_when(Direction::Readable, cx);
        Poll::Pending
    })
    .await
}
