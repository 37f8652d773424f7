//! The sin `slow-dispatch`: `cargo run --release --example slow-dispatch -- --for 3s`.
//!
//! **What it is.** Two tasks that take 15 ms each are woken together with a third one, and before it: none of their polls is
//! outrageous, but the third task waits for 30 ms.
//!
//! **Why people do it.** A broadcast wakes everyone, in the order in which they came, and all do their work at once.
//!
//! **How it shows.** The task `trader` has long times from wake to poll, with polls of `report` in between.
//!
//! **How to repair it.** Give each poll less to do, or wake those first who are in a hurry; move the work to another thread.

use nexus_examples::sins::{Mill, Plan, spawn};
use nexus_runtime::Builder;
use nexus_runtime::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use std::io;
use std::thread;
use std::time::Duration;

/// How long a report takes.
const REPORT: Duration = Duration::from_millis(15);

fn main() -> io::Result<()> {
    let mut plan = Plan::from_args("slow-dispatch");
    // The kernel is asked between any two polls, so that it is the others who keep a task waiting, and not the sockets too.
    let runtime = Builder::new().name("slow-dispatch").polls_per_turn(1).build()?;
    runtime.block_on(async move {
        let (first, jobs) = unbounded_channel();
        drop(spawn("report", report(jobs)));
        let (second, jobs) = unbounded_channel();
        drop(spawn("report", report(jobs)));
        let (quote, quotes) = unbounded_channel();
        let (traded, mut done) = unbounded_channel();
        let trader = spawn("trader", trade(quotes, traded));
        let (subject, source) = (trader.subject(), trader.source);
        let mut mill = Mill::new();
        while !plan.is_over() {
            if plan.sins_now() {
                let _ = first.send(());
                let _ = second.send(());
                let _ = quote.send(());
                let _ = done.recv().await;
            }
            mill.turn().await;
        }
        drop(quote);
        plan.confess(subject, source, trader.join().await);
    });
    Ok(())
}

async fn report(mut jobs: UnboundedReceiver<()>) {
    while jobs.recv().await.is_some() {
        thread::sleep(REPORT);
    }
}

/// How many quotes came too late.
async fn trade(
    mut quotes: UnboundedReceiver<()>,
    traded: nexus_runtime::sync::mpsc::UnboundedSender<()>,
) -> u64 {
    let mut late = 0;
    while quotes.recv().await.is_some() {
        late += 1;
        let _ = traded.send(());
    }
    late
}
