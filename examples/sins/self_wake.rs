//! The sin `self-wake`: `cargo run --release --example self-wake -- --for 3s`.
//!
//! **What it is.** A future that is asked whether a price has come finds none, wakes its own task, and returns pending: it
//! asks again and again instead of waiting. The thread never sleeps, and whoever else runs on it waits longer.
//!
//! **Why people do it.** A hand-written future must see to it that it is polled again, and `wake_by_ref` does that, whatever
//! one waits for. It works, in every test.
//!
//! **How it shows.** The task `price-watch` has as many self-wakes as polls, nearly all of them spurious, and its row in the
//! timeline is one solid bar.
//!
//! **How to repair it.** Give the waker to whoever has the price: a channel, a `Notify`, a timer. To be fair to other tasks
//! in a long computation, say so: `task::yield_now().await`.

use nexus_examples::sins::{Mill, Plan, spawn};
use std::future::poll_fn;
use std::io;
use std::task::Poll;

/// Questions in a row, when it does not ask all the time.
const ROW: u64 = 4;

fn main() -> io::Result<()> {
    let plan = Plan::from_args("self-wake");
    plan.runtime()?.block_on(async move {
        let watch = spawn("price-watch", watch(plan));
        let (subject, source) = (watch.subject(), watch.source);
        plan.confess(subject, source, watch.join().await);
    });
    Ok(())
}

/// Polls that found nothing, and were brought about by nothing but the task itself.
async fn watch(mut plan: Plan) -> u64 {
    let (mut mill, mut sins) = (Mill::new(), 0);
    while !plan.is_over() {
        if !plan.is_throttled() {
            sins += ask(|_| plan.is_over()).await;
        } else if plan.sins_now() {
            sins += ask(|asked| asked > ROW).await;
        }
        mill.turn().await;
    }
    sins
}

/// Asks until there is an answer. The first poll was brought about by something else, the last one gets it.
async fn ask(mut answer: impl FnMut(u64) -> bool) -> u64 {
    let mut asked = 0;
    poll_fn(|cx| {
        if answer(asked) {
            return Poll::Ready(());
        }
        asked += 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
    asked.saturating_sub(1)
}
