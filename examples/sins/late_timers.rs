//! The sin `late-timers`: `cargo run --release --example late-timers -- --for 3s`.
//!
//! **What it is.** A task computes for 15 ms while another one's timer is due after one: it fires when the loop gets to it.
//!
//! **Why people do it.** Each part is quick enough by itself; nobody has said that heartbeats run on the same thread.
//!
//! **How it shows.** Timers that fired more than 10 ms after their deadline, and what ran in between: the task `work`.
//!
//! **How to repair it.** Shorter polls, with `yield_now` between the parts of the work; what must be on time goes to a thread
//! that is free at that time.

use nexus_examples::sins::{Mill, Plan, spawn};
use nexus_runtime::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use nexus_runtime::time::sleep;
use std::io;
use std::thread;
use std::time::Duration;

/// How long a heartbeat waits.
const BEAT: Duration = Duration::from_millis(1);
/// How long the work takes.
const WORK: Duration = Duration::from_millis(15);

fn main() -> io::Result<()> {
    let plan = Plan::from_args("late-timers");
    plan.runtime()?.block_on(async move {
        let (job, jobs) = unbounded_channel();
        let work = spawn("work", work(jobs));
        let heart = spawn("heart", beat(plan, job));
        let (subject, source) = (heart.subject(), heart.source);
        let sins = heart.join().await;
        work.join().await;
        plan.confess(subject, source, sins);
    });
    Ok(())
}

/// How many heartbeats were too late.
async fn beat(mut plan: Plan, job: UnboundedSender<()>) -> u64 {
    let (mut mill, mut sins) = (Mill::new(), 0);
    while !plan.is_over() {
        if plan.sins_now() {
            let _ = job.send(());
            sleep(BEAT).await;
            sins += 1;
        }
        mill.turn().await;
    }
    sins
}

async fn work(mut jobs: UnboundedReceiver<()>) {
    while jobs.recv().await.is_some() {
        thread::sleep(WORK);
    }
}
