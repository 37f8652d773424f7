//! Cancellation tokens.

use crate::vocabulary::{Poller, assert_send, assert_send_and_sync, block_on};
use nexus_runtime::sync::CancellationToken;
use nexus_runtime::{spawn, task};
use std::future::{pending, poll_fn, ready};
use std::pin::pin;
use std::task::Poll;
use std::thread;

#[test]
fn all_who_wait_are_woken_once_and_later_ones_wait_no_more() {
    let token = CancellationToken::new();
    let pollers: Vec<_> = (0..3).map(|_| Poller::new()).collect();
    let mut waiting: Vec<_> = pollers.iter().map(|_| Box::pin(token.cancelled())).collect();
    for (poller, cancelled) in pollers.iter().zip(&mut waiting) {
        assert!(poller.poll(cancelled.as_mut()).is_pending());
    }
    assert!(!token.is_cancelled());
    token.clone().cancel();
    token.cancel();
    assert!(token.is_cancelled());
    for (poller, cancelled) in pollers.iter().zip(&mut waiting) {
        assert_eq!(poller.wakes.count(), 1);
        assert!(poller.poll(cancelled.as_mut()).is_ready());
    }
    assert!(Poller::new().poll(pin!(token.cancelled())).is_ready());
}

#[test]
fn children_follow_their_parent_and_not_the_other_way_round() {
    let root = CancellationToken::new();
    let (left, right) = (root.child_token(), root.child_token());
    let leaf = left.child_token();
    let poller = Poller::new();
    let mut leaf_cancelled = pin!(leaf.cancelled());
    assert!(poller.poll(leaf_cancelled.as_mut()).is_pending());
    right.cancel();
    assert!(!root.is_cancelled() && !left.is_cancelled() && right.is_cancelled());
    root.cancel();
    assert!(left.is_cancelled() && leaf.is_cancelled());
    assert_eq!(poller.wakes.count(), 1);
    assert!(poller.poll(leaf_cancelled.as_mut()).is_ready());
    assert!(root.child_token().is_cancelled(), "born cancelled");
}

#[test]
fn a_future_runs_until_the_token_is_cancelled() {
    block_on(async {
        let token = CancellationToken::new();
        assert_eq!(token.run_until_cancelled(ready(1)).await, Some(1));
        let waiting = spawn({
            let token = token.clone();
            async move { token.run_until_cancelled(pending::<()>()).await }
        });
        task::yield_now().await;
        // Both at once: the result is not thrown away.
        let both = {
            let token = token.clone();
            async move {
                let cancels_and_is_ready = poll_fn(|_| {
                    token.cancel();
                    Poll::Ready(2)
                });
                token.run_until_cancelled(cancels_and_is_ready).await
            }
        };
        assert_eq!(both.await, Some(2));
        assert_eq!(waiting.await.unwrap(), None);
        let not_polled = poll_fn(|_| -> Poll<()> { panic!("polled") });
        assert_eq!(token.run_until_cancelled(not_polled).await, None);
    });
}

#[test]
fn a_guard_cancels_when_it_is_dropped_unless_disarmed() {
    let token = CancellationToken::new();
    let kept = token.clone().drop_guard().disarm();
    assert!(!kept.is_cancelled());
    drop(token.clone().drop_guard());
    assert!(token.is_cancelled());
}

#[test]
fn a_dropped_wait_leaves_nothing_behind() {
    let (poller, token) = (Poller::new(), CancellationToken::new());
    poller.give_up(token.cancelled());
    poller.give_up(token.run_until_cancelled(pending::<()>()));
    let child = token.child_token();
    poller.give_up(child.cancelled());
    token.cancel();
    poller.assert_nothing_is_left();
}

#[test]
fn a_thread_cancels_tasks() {
    let token = CancellationToken::new();
    assert_send_and_sync(&token);
    assert_send(&token.cancelled());
    block_on(async {
        let tasks: Vec<_> = (0..10)
            .map(|_| {
                let token = token.child_token();
                spawn(async move { token.cancelled().await })
            })
            .collect();
        let thread = thread::spawn({
            let token = token.clone();
            move || token.cancel()
        });
        for task in tasks {
            task.await.unwrap();
        }
        thread.join().unwrap();
    });
}
