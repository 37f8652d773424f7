//! The sin `empty-wake`: `cargo run --release --example empty-wake -- --for 3s`.
//!
//! **What it is.** An order is sent through a channel, which wakes its receiver, and is withdrawn by the sender before the
//! receiver runs: it is woken, looks, and finds nothing.
//!
//! **Why people do it.** A receiver that is shared looks like a queue, and withdrawing from a queue is harmless.
//!
//! **How it shows.** Spurious polls of the task `desk`: woken through a primitive, one receive, not ready.
//!
//! **How to repair it.** Decide before sending, or send the withdrawal as a message of its own: whoever is woken should find
//! something.

use nexus_examples::sins::{Plan, Shared, shared, spawn};
use nexus_runtime::sync::Notify;
use nexus_runtime::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;

type Orders = Shared<UnboundedReceiver<()>>;

fn main() -> io::Result<()> {
    let plan = Plan::from_args("empty-wake");
    plan.runtime()?.block_on(async move {
        let (order, orders) = unbounded_channel();
        let (orders, looked) = (shared(orders), Rc::new(Notify::new()));
        let desk = spawn("desk", work(orders.clone(), looked.clone()));
        let (subject, source) = (desk.subject(), desk.source);
        spawn("trader", trade(plan, order, orders, looked)).join().await;
        plan.confess(subject, source, desk.join().await);
    });
    Ok(())
}

/// Sends orders, and takes some of them back.
async fn trade(mut plan: Plan, order: UnboundedSender<()>, orders: Orders, looked: Rc<Notify>) {
    while !plan.is_over() {
        let _ = order.send(());
        if plan.sins_now() {
            let _ = orders.borrow_mut().try_recv();
        }
        looked.notified().await;
    }
}

/// How often there was no order.
async fn work(orders: Orders, looked: Rc<Notify>) -> u64 {
    let (mut sins, mut is_first) = (0, true);
    poll_fn(|cx| {
        let mut found = false;
        loop {
            match orders.borrow_mut().poll_recv(cx) {
                Poll::Ready(Some(())) => found = true,
                Poll::Ready(None) => return Poll::Ready(sins),
                Poll::Pending => break,
            }
        }
        if std::mem::replace(&mut is_first, false) {
            return Poll::Pending;
        }
        if !found {
            sins += 1;
        }
        looked.notify_one();
        Poll::Pending
    })
    .await
}
