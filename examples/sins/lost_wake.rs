//! The sin `lost-wake`: `cargo run --release --example lost-wake -- --for 3s`.
//!
//! **What it is.** A reader takes one message and waits for the next report of the kernel, although a second message is in
//! the socket already. The kernel has reported both with one edge and will not report them again: the reader sleeps on what
//! is there, until something else arrives.
//!
//! **Why people do it.** One message an event is how a level-triggered loop works, and with one message at a time nobody
//! notices.
//!
//! **How it shows.** The token is readable, its reader waits for readable, and nothing happens: the token's readiness was
//! reported before the wait began.
//!
//! **How to repair it.** Read until the read would block, and only then wait.

use mio::net::UnixStream;
use nexus_examples::sins::{Plan, Raw, spawn};
use nexus_runtime::io::{Direction, Interest};
use nexus_runtime::time::{Duration, sleep};
use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::task::Poll;

/// Bytes of a message.
const MESSAGE: usize = 16;
/// After so long the client sends something else.
const PATIENCE: Duration = Duration::from_millis(150);

fn main() -> io::Result<()> {
    let plan = Plan::from_args("lost-wake");
    plan.runtime()?.block_on(async move {
        let (ours, theirs) = UnixStream::pair()?;
        let one_by_one = Rc::new(Cell::new(false));
        let reader = Raw::new(ours, Interest::READABLE)?;
        let (subject, source) = (reader.subject(), reader.source);
        let reader = spawn("reader", read(reader, one_by_one.clone()));
        let sins = spawn("client", ask(plan, theirs, one_by_one)).join().await?;
        reader.join().await?;
        plan.confess(subject, source, sins);
        Ok(())
    })
}

/// How often the second of two messages was left behind.
async fn ask(mut plan: Plan, stream: UnixStream, one_by_one: Rc<Cell<bool>>) -> io::Result<u64> {
    let (mut raw, mut sins) = (Raw::new(stream, Interest::READABLE)?, 0);
    while !plan.is_over() {
        if plan.sins_now() {
            one_by_one.set(true);
            raw.write(&[1; 2 * MESSAGE])?;
            raw.drain_when_readable().await?;
            sleep(PATIENCE).await;
            sins += 1;
            one_by_one.set(false);
            raw.write(&[1; MESSAGE])?;
        } else {
            raw.write(&[1; 2 * MESSAGE])?;
        }
        raw.drain_when_readable().await?;
    }
    Ok(sins)
}

/// Answers whatever it reads with a byte.
async fn read(mut raw: Raw, one_by_one: Rc<Cell<bool>>) -> io::Result<()> {
    poll_fn(move |cx| {
        let done = if one_by_one.get() { raw.read(&mut [0; MESSAGE]) } else { raw.drain() };
        match done {
            Ok(0) => {}
            Ok(_) => drop(raw.write(&[1])?),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Poll::Ready(Ok(())),
            Err(error) => return Poll::Ready(Err(error)),
        }
        raw.wake_when(Direction::Readable, cx);
        Poll::Pending
    })
    .await
}
