//! The sin `redundant-wakes`: `cargo run --release --example redundant-wakes -- --for 3s`.
//!
//! **What it is.** A producer puts a batch of items into a queue of its own and fires the consumer's waker for each. The
//! first wake puts the task into the run queue, all the others find it there.
//!
//! **Why people do it.** "Push, then wake" is one function, and it is called in a loop.
//!
//! **How it shows.** The task `consumer` has many times more wakes than polls; its wakes are redundant.
//!
//! **How to repair it.** Wake once for a batch, or only when the queue was empty; or use a channel, which does that.

use nexus_examples::sins::{Mill, Plan, Shared, shared, spawn};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::task::{Poll, Waker};

/// Items in a batch.
const BATCH: u64 = 32;

/// A queue as one writes it in a minute.
#[derive(Default)]
struct Queue {
    items: VecDeque<u64>,
    waker: Option<Waker>,
    closed: bool,
}

impl Queue {
    fn push(&mut self, item: u64) {
        self.items.push_back(item);
    }

    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}

fn main() -> io::Result<()> {
    let plan = Plan::from_args("redundant-wakes");
    plan.runtime()?.block_on(async move {
        let queue = shared(Queue::default());
        let consumer = spawn("consumer", consume(queue.clone()));
        let (subject, source) = (consumer.subject(), consumer.source);
        let sins = spawn("producer", produce(plan, queue)).join().await;
        consumer.join().await;
        plan.confess(subject, source, sins);
    });
    Ok(())
}

/// How many wakes found the consumer woken.
async fn produce(mut plan: Plan, queue: Shared<Queue>) -> u64 {
    let (mut mill, mut sins) = (Mill::new(), 0);
    // The consumer leaves its waker.
    mill.turn().await;
    while !plan.is_over() {
        if plan.sins_now() {
            for item in 0..BATCH {
                queue.borrow_mut().push(item);
                queue.borrow().wake();
            }
            sins += BATCH - 1;
        } else {
            queue.borrow_mut().items.extend(0..BATCH);
            queue.borrow().wake();
        }
        mill.turn().await;
    }
    queue.borrow_mut().closed = true;
    queue.borrow().wake();
    sins
}

/// The sum of all items.
async fn consume(queue: Shared<Queue>) -> u64 {
    let mut sum = 0;
    poll_fn(|cx| {
        let mut queue = queue.borrow_mut();
        sum += queue.items.drain(..).sum::<u64>();
        queue.waker = Some(cx.waker().clone());
        if queue.closed { Poll::Ready(sum) } else { Poll::Pending }
    })
    .await
}
