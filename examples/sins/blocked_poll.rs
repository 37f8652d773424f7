//! The sin `blocked-poll`: `cargo run --release --example blocked-poll -- --for 3s`.
//!
//! **What it is.** A task makes a call that blocks: here it sleeps, elsewhere it reads a file, resolves a name, or computes.
//! As long as it takes, no other task of the thread runs, and nobody looks at the sockets.
//!
//! **Why people do it.** Nothing in the language tells a call that blocks from one that doesn't.
//!
//! **How it shows.** Polls of the task `report` of 30 ms and more, each a gap in all other lanes of the timeline.
//!
//! **How to repair it.** `task::spawn_blocking` for what blocks; another thread, or `yield_now` between parts, for what
//! computes.

use nexus_examples::sins::{Mill, Plan, spawn};
use std::io;
use std::thread;
use std::time::Duration;

/// How long the call takes.
const CALL: Duration = Duration::from_millis(30);

fn main() -> io::Result<()> {
    let plan = Plan::from_args("blocked-poll");
    plan.runtime()?.block_on(async move {
        let report = spawn("report", report(plan));
        let (subject, source) = (report.subject(), report.source);
        plan.confess(subject, source, report.join().await);
    });
    Ok(())
}

/// How often it blocked.
async fn report(mut plan: Plan) -> u64 {
    let (mut mill, mut sins) = (Mill::new(), 0);
    while !plan.is_over() {
        if plan.sins_now() {
            thread::sleep(CALL);
            sins += 1;
        }
        mill.turn().await;
    }
    sins
}
