//! The sin `starved-io`: `cargo run --release --example starved-io -- --for 3s`.
//!
//! **What it is.** Two tasks hand a job back and forth, half a millisecond at a time. Each poll is short, each task runs at
//! once, but as long as one of them is ready the loop goes on polling: up to 64 polls pass before it asks the kernel again.
//!
//! **Why people do it.** A pipeline of small steps is good style, and nobody sees a long poll.
//!
//! **How it shows.** Gaps of 20 ms and more between two turns, filled with short polls of `left` and `right`.
//!
//! **How to repair it.** Fewer polls a turn (`Builder::polls_per_turn`), shorter steps, or another thread for the pipeline.

use nexus_examples::sins::{Mill, Plan, spawn};
use nexus_runtime::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use nexus_runtime::time::sleep;
use std::io;
use std::thread;
use std::time::Duration;

/// How long a step takes.
const STEP: Duration = Duration::from_micros(550);
/// Steps of a job: fewer than a turn has polls, and 30 ms and more together.
const STEPS: u32 = 56;

fn main() -> io::Result<()> {
    let mut plan = Plan::from_args("starved-io");
    plan.runtime()?.block_on(async move {
        let (to_left, left) = unbounded_channel();
        let (to_right, right) = unbounded_channel();
        let (finish, mut finished) = unbounded_channel();
        let worker = spawn("left", step(left, to_right, finish.clone()));
        drop(spawn("right", step(right, to_left.clone(), finish)));
        let (subject, source) = (worker.subject(), worker.source);
        let (mut mill, mut sins) = (Mill::new(), 0);
        while !plan.is_over() {
            if plan.sins_now() {
                // The loop sleeps, and its next turn has all of its polls before it.
                sleep(Duration::from_millis(1)).await;
                let _ = to_left.send(STEPS);
                let _ = finished.recv().await;
                sleep(Duration::from_millis(1)).await;
                sins += 1;
            }
            mill.turn().await;
        }
        plan.confess(subject, source, sins);
    });
    Ok(())
}

/// Does a step and hands the rest on.
async fn step(
    mut steps: UnboundedReceiver<u32>,
    next: UnboundedSender<u32>,
    finish: UnboundedSender<()>,
) {
    while let Some(left) = steps.recv().await {
        thread::sleep(STEP);
        let _ = if left > 1 { next.send(left - 1).is_ok() } else { finish.send(()).is_ok() };
    }
}
