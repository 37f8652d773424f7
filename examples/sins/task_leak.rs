//! The sin `task-leak`: `cargo run --release --example task-leak -- --for 3s`.
//!
//! **What it is.** Each request gets a task that waits for a cancellation nobody will ever send. It outlives its request,
//! and so do all the others.
//!
//! **Why people do it.** A `JoinHandle` that is dropped does not end its task; a watchdog without a time limit is easily
//! forgotten.
//!
//! **How it shows.** The number of live tasks of one spawn location only grows; they sleep, and were never woken.
//!
//! **How to repair it.** End the task with what it serves: cancel it, abort it through its handle, or keep it in a `JoinSet`.

use nexus_examples::sins::{Plan, spawn};
use nexus_runtime::sync::Notify;
use nexus_runtime::time::{Duration, sleep};
use std::io;
use std::panic::Location;
use std::rc::Rc;

/// Between two requests that leave something behind.
const PAUSE: Duration = Duration::from_millis(5);

fn main() -> io::Result<()> {
    let plan = Plan::from_args("task-leak");
    plan.runtime()?.block_on(async move {
        let (subject, source, sins) = spawn("server", serve(plan)).join().await;
        plan.confess(subject, source, sins);
    });
    Ok(())
}

/// The last task that was left behind, where they are spawned, and how many there are.
async fn serve(mut plan: Plan) -> (String, &'static Location<'static>, u64) {
    let (mut subject, mut sins) = (String::new(), 0);
    loop {
        let cancelled = Rc::new(Notify::new());
        let watchdog = spawn("watchdog", watch(cancelled.clone()));
        let source = watchdog.source;
        if plan.sins_now() {
            subject = watchdog.subject();
            sins += 1;
            sleep(PAUSE).await;
        } else {
            cancelled.notify_one();
            watchdog.join().await;
        }
        if plan.is_over() {
            return (subject, source, sins);
        }
    }
}

async fn watch(cancelled: Rc<Notify>) {
    cancelled.notified().await;
}
