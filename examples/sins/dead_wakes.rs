//! The sin `dead-wakes`: `cargo run --release --example dead-wakes -- --for 3s`.
//!
//! **What it is.** Subscribers leave their waker with a publisher and end without taking it back. The publisher fires it at
//! the next event: it wakes a task that has finished, and keeps its memory until then.
//!
//! **Why people do it.** The waker is renewed at the top of each poll, before the future finds that it is done.
//!
//! **How it shows.** Wakes with the outcome `dead`, of tasks spawned at one place.
//!
//! **How to repair it.** Renew the waker only when returning pending, and remove it when the future is dropped.

use nexus_examples::sins::{Mill, Plan, Shared, shared, spawn};
use std::future::poll_fn;
use std::io;
use std::panic::Location;
use std::task::{Poll, Waker};

#[derive(Default)]
struct Publisher {
    event: u64,
    subscribers: Vec<Waker>,
}

impl Publisher {
    /// Tells all who have left a waker. How many there were.
    fn publish(publisher: &Shared<Self>) -> u64 {
        publisher.borrow_mut().event += 1;
        let subscribers = std::mem::take(&mut publisher.borrow_mut().subscribers);
        let told = subscribers.len() as u64;
        subscribers.into_iter().for_each(Waker::wake);
        told
    }
}

fn main() -> io::Result<()> {
    let plan = Plan::from_args("dead-wakes");
    plan.runtime()?.block_on(async move {
        let (subject, source, sins) = spawn("publisher", publish(plan)).join().await;
        plan.confess(subject, source, sins);
    });
    Ok(())
}

/// The last task that was woken too late, where such tasks are spawned, and how many wakes were for nobody.
async fn publish(mut plan: Plan) -> (String, &'static Location<'static>, u64) {
    let publisher = shared(Publisher::default());
    let (mut mill, mut subject, mut sins) = (Mill::new(), String::new(), 0);
    loop {
        let forgets = plan.sins_now();
        let subscriber = spawn("subscriber", next_event(publisher.clone(), forgets));
        let source = subscriber.source;
        if forgets {
            subject = subscriber.subject();
        }
        // It leaves its waker, is told, and ends.
        mill.turn().await;
        Publisher::publish(&publisher);
        subscriber.join().await;
        // Whoever is told now has ended.
        sins += Publisher::publish(&publisher);
        if plan.is_over() {
            return (subject, source, sins);
        }
    }
}

/// Waits for the next event.
async fn next_event(publisher: Shared<Publisher>, forgets: bool) -> u64 {
    let first = publisher.borrow().event;
    poll_fn(|cx| {
        let mut publisher = publisher.borrow_mut();
        let is_done = publisher.event != first;
        if !is_done || forgets {
            publisher.subscribers.push(cx.waker().clone());
        }
        if is_done { Poll::Ready(publisher.event) } else { Poll::Pending }
    })
    .await
}
