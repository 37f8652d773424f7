//! Channels for a single message.

use crate::vocabulary::{Poller, assert_send, block_on};
use nexus_runtime::sync::oneshot::{TryRecvError, channel};
use nexus_runtime::{spawn, task};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::thread;

#[test]
fn the_message_arrives_sent_before_or_after() {
    block_on(async {
        let (sender, receiver) = channel();
        sender.send(1).unwrap();
        assert_eq!(receiver.await, Ok(1));
        let (sender, receiver) = channel();
        spawn(async move {
            task::yield_now().await;
            sender.send(2).unwrap();
        });
        assert_eq!(receiver.await, Ok(2));
    });
}

#[test]
fn a_sender_that_goes_is_an_error() {
    block_on(async {
        let (sender, receiver) = channel::<u8>();
        spawn(async move {
            task::yield_now().await;
            drop(sender);
        });
        assert_eq!(receiver.await.unwrap_err().to_string(), "the channel is closed");
    });
}

#[test]
fn a_receiver_that_goes_gives_the_message_back_and_wakes_who_waits_for_that() {
    block_on(async {
        let (mut sender, receiver) = channel();
        spawn(async move {
            task::yield_now().await;
            drop(receiver);
        });
        assert!(!sender.is_closed());
        sender.closed().await;
        assert!(sender.is_closed());
        assert_eq!(sender.send(7), Err(7));
    });
}

#[test]
fn trying_tells_empty_from_closed() {
    let (sender, mut receiver) = channel();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    sender.send(3).unwrap();
    assert_eq!(receiver.try_recv(), Ok(3));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    let (sender, mut receiver) = channel();
    receiver.close();
    assert_eq!(sender.send(4), Err(4));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn a_dropped_receiver_or_wait_leaves_nothing_behind() {
    let poller = Poller::new();
    let (sender, receiver) = channel::<u8>();
    poller.give_up(receiver);
    assert_eq!(sender.send(1), Err(1));
    poller.assert_nothing_is_left();
    let (mut sender, receiver) = channel::<u8>();
    poller.give_up(sender.closed());
    drop(receiver);
    poller.assert_nothing_is_left();
}

#[test]
fn a_receiver_can_be_polled_by_reference_and_wakes_once() {
    let poller = Poller::new();
    let (sender, mut receiver) = channel();
    for _ in 0..3 {
        let mut by_reference = pin!(&mut receiver);
        assert!(poller.poll(by_reference.as_mut()).is_pending());
    }
    sender.send(5).unwrap();
    assert_eq!(poller.wakes.count(), 1);
    assert_eq!(poller.poll(Pin::new(&mut receiver)), Poll::Ready(Ok(5)));
}

#[test]
fn threads_on_either_side() {
    let (to_task, from_thread) = channel();
    let (to_thread, from_task) = channel();
    let thread = thread::spawn(move || {
        to_task.send(1).unwrap();
        from_task.blocking_recv()
    });
    let (received, sent) = block_on(async { (from_thread.await, to_thread.send(2)) });
    assert_eq!((received, sent), (Ok(1), Ok(())));
    assert_eq!(thread.join().unwrap(), Ok(2));
    let (sender, receiver) = channel::<u8>();
    assert_send(&sender);
    assert_send(&receiver);
}

#[test]
fn no_message_of_many_is_missed() {
    block_on(async {
        for number in 0..2_000 {
            let (sender, receiver) = channel();
            let thread = (number % 100 == 0).then(|| thread::spawn(move || sender.send(number)));
            // Without a thread the sender is gone by now.
            assert_eq!(receiver.await.ok(), thread.is_some().then_some(number));
            if let Some(thread) = thread {
                thread.join().unwrap().unwrap();
            }
        }
    });
}
