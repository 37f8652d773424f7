//! Channels for many messages.

use crate::vocabulary::{Poller, assert_send, assert_send_and_sync, block_on};
use nexus_runtime::sync::mpsc::{
    self, Receiver, Sender, TryRecvError, TrySendError, channel, unbounded_channel,
};
use nexus_runtime::{Runtime, spawn, task};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::thread;

#[test]
fn messages_arrive_in_order_and_the_channel_ends_with_its_senders() {
    block_on(async {
        let (sender, mut receiver) = channel(4);
        let other = sender.clone();
        spawn(async move {
            for number in 0..100 {
                sender.send(number).await.unwrap();
            }
            drop(sender);
            task::yield_now().await;
            other.send(100).await.unwrap();
        });
        for number in 0..=100 {
            assert_eq!(receiver.recv().await, Some(number));
        }
        assert_eq!(receiver.recv().await, None);
        assert_eq!(receiver.recv().await, None, "for good");
    });
}

#[test]
fn an_unbounded_channel_takes_everything_at_once() {
    block_on(async {
        let (sender, mut receiver) = unbounded_channel();
        for number in 0..1000 {
            sender.send(number).unwrap();
        }
        assert_eq!(receiver.len(), 1000);
        assert!(sender.same_channel(&sender.clone()));
        drop(sender);
        let mut numbers = Vec::new();
        while let Some(number) = receiver.recv().await {
            numbers.push(number);
        }
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    });
}

#[test]
fn a_full_channel_makes_senders_wait_and_serves_them_in_order() {
    block_on(async {
        let (sender, mut receiver) = channel(1);
        sender.try_send(0).unwrap();
        let senders: Vec<_> = (1..=5)
            .map(|number| {
                let sender = sender.clone();
                spawn(async move { sender.send(number).await.unwrap() })
            })
            .collect();
        task::yield_now().await;
        assert!(senders.iter().all(|sender| !sender.is_finished()));
        for number in 0..=5 {
            assert_eq!(receiver.recv().await, Some(number));
        }
        for sender in senders {
            sender.await.unwrap();
        }
    });
}

#[test]
fn what_can_not_be_done_at_once_is_refused_with_the_reason() {
    let (sender, mut receiver) = channel(2);
    assert_eq!((sender.capacity(), sender.max_capacity()), (2, 2));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    sender.try_send("a").unwrap();
    sender.try_send("b").unwrap();
    assert_eq!((receiver.capacity(), receiver.len()), (0, 2));
    let full = sender.try_send("c").unwrap_err();
    assert_eq!((full, full.to_string()), (TrySendError::Full("c"), "the channel is full".into()));
    assert_eq!(receiver.try_recv(), Ok("a"));
    assert_eq!(sender.capacity(), 1);
    receiver.close();
    assert!(sender.is_closed() && receiver.is_closed());
    assert_eq!(sender.try_send("d"), Err(TrySendError::Closed("d")));
    assert_eq!(receiver.try_recv(), Ok("b"), "what was sent before is still there");
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    assert!(receiver.is_empty());
    let error = block_on(sender.send("e")).unwrap_err();
    assert_eq!((error.0, error.to_string()), ("e", "the channel is closed".into()));
}

#[test]
fn many_messages_are_taken_at_once() {
    block_on(async {
        let (sender, mut receiver) = unbounded_channel();
        let mut buffer = vec![9];
        assert_eq!(receiver.recv_many(&mut buffer, 0).await, 0);
        (0..5).for_each(|number| sender.send(number).unwrap());
        assert_eq!(receiver.recv_many(&mut buffer, 3).await, 3);
        assert_eq!(receiver.recv_many(&mut buffer, 3).await, 2, "what there is, without waiting");
        assert_eq!(buffer, [9, 0, 1, 2, 3, 4]);
        spawn(async move { sender.send(5).unwrap() });
        assert_eq!(receiver.recv_many(&mut buffer, 3).await, 1);
        assert_eq!(receiver.recv_many(&mut buffer, 3).await, 0, "the sender is gone");
    });
}

#[test]
fn a_sender_learns_that_its_receiver_is_gone() {
    block_on(async {
        let (sender, receiver) = channel::<()>(1);
        let (unbounded, unbounded_receiver) = unbounded_channel::<()>();
        spawn(async move {
            task::yield_now().await;
            drop((receiver, unbounded_receiver));
        });
        sender.closed().await;
        unbounded.closed().await;
        assert!(sender.is_closed() && unbounded.is_closed());
        assert_eq!(unbounded.send(()).unwrap_err().0, ());
    });
}

#[test]
fn a_sender_that_waits_gets_its_message_back_when_the_receiver_goes() {
    block_on(async {
        let (sender, receiver) = channel(1);
        sender.try_send(1).unwrap();
        let waiting = spawn(async move { sender.send(2).await });
        task::yield_now().await;
        drop(receiver);
        assert_eq!(waiting.await.unwrap().unwrap_err().0, 2);
    });
}

#[test]
fn room_can_be_reserved_and_is_given_back() {
    block_on(async {
        let (sender, mut receiver) = channel(1);
        let permit = sender.reserve().await.unwrap();
        assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
        drop(permit);
        sender.reserve().await.unwrap().send(2);
        assert_eq!(receiver.recv().await, Some(2));
        let permit = sender.reserve().await.unwrap();
        receiver.close();
        permit.send(3);
        assert_eq!(receiver.recv().await, Some(3), "a permit outlives the closing");
        assert_eq!(receiver.recv().await, None);
        assert!(sender.reserve().await.is_err());
    });
}

#[test]
fn a_dropped_receive_leaves_nothing_behind_and_loses_nothing() {
    let poller = Poller::new();
    let (sender, mut receiver) = channel(2);
    poller.give_up(receiver.recv());
    poller.assert_nothing_is_left();
    poller.give_up(receiver.recv_many(&mut Vec::new(), 5));
    poller.assert_nothing_is_left();
    sender.try_send(1).unwrap();
    sender.try_send(2).unwrap();
    poller.assert_nothing_is_left();
    assert_eq!(block_on(receiver.recv()), Some(1));
    assert_eq!(receiver.try_recv(), Ok(2));
    let (sender, mut receiver) = unbounded_channel::<u8>();
    poller.give_up(receiver.recv());
    drop(sender);
    poller.assert_nothing_is_left();
}

#[test]
fn a_dropped_send_leaves_nothing_behind_and_takes_no_room() {
    let poller = Poller::new();
    let (sender, mut receiver) = channel(1);
    let message = Rc::new(());
    sender.try_send(Rc::clone(&message)).unwrap();
    poller.give_up(sender.send(Rc::clone(&message)));
    assert_eq!(Rc::strong_count(&message), 2, "the message is gone with its future");
    poller.give_up(sender.reserve());
    poller.give_up(sender.closed());
    // A wait that was served and is dropped before it is polled again passes the room on.
    {
        let mut served = pin!(sender.reserve());
        assert!(poller.poll(served.as_mut()).is_pending());
        receiver.try_recv().unwrap();
        assert_eq!(poller.wakes.count(), 1);
        assert_eq!(sender.capacity(), 0);
    }
    assert_eq!(sender.capacity(), 1);
    sender.try_send(message).unwrap();
    receiver.try_recv().unwrap();
    receiver.close();
    assert_eq!(poller.wakes.count(), 1, "none of those given up");
}

#[test]
fn a_channel_that_never_runs_dry_lets_others_run() {
    block_on(async {
        let (sender, mut receiver) = unbounded_channel();
        (0..100_000).for_each(|number| sender.send(number).unwrap());
        let busy = spawn(async move { while receiver.recv().await.is_some() {} });
        for _ in 0..10 {
            task::yield_now().await;
            assert!(!busy.is_finished(), "it was not polled to its end at one go");
        }
        drop(sender);
        busy.await.unwrap();
    });
}

#[test]
fn a_wait_by_hand_ends_with_the_receiver() {
    let poller = Poller::new();
    let (sender, mut receiver) = channel::<u8>(1);
    let mut pending = pin!(std::future::poll_fn(|cx| receiver.poll_recv(cx)));
    assert!(poller.poll(pending.as_mut()).is_pending());
    sender.try_send(5).unwrap();
    assert_eq!(poller.wakes.count(), 1);
    assert_eq!(poller.poll(pending.as_mut()), Poll::Ready(Some(5)));
    assert!(poller.poll(pending.as_mut()).is_pending());
    drop(receiver);
    drop(sender);
    assert_eq!(poller.wakes.count(), 1);
}

#[test]
fn a_wait_that_moves_to_another_task_wakes_that_one() {
    let (first, second) = (Poller::new(), Poller::new());
    let (sender, mut receiver) = channel::<u8>(1);
    let mut pending = pin!(receiver.recv());
    assert!(first.poll(pending.as_mut()).is_pending());
    assert!(second.poll(pending.as_mut()).is_pending());
    sender.try_send(5).unwrap();
    assert_eq!((first.wakes.count(), second.wakes.count()), (0, 1));
}

#[test]
fn threads_send_to_a_task() {
    const THREADS: u64 = 4;
    const EACH: u64 = 2_000;
    let (sender, mut receiver) = channel(8);
    let (unbounded, mut unbounded_receiver) = unbounded_channel();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (sender, unbounded) = (sender.clone(), unbounded.clone());
            thread::spawn(move || {
                for number in 0..EACH {
                    sender.blocking_send(thread * EACH + number).unwrap();
                    unbounded.send(1_u64).unwrap();
                }
            })
        })
        .collect();
    drop((sender, unbounded));
    let (sum, count) = block_on(async {
        let counting = spawn(async move {
            let mut count = 0;
            while let Some(one) = unbounded_receiver.recv().await {
                count += one;
            }
            count
        });
        let mut last = vec![None; THREADS as usize];
        let mut sum = 0;
        while let Some(number) = receiver.recv().await {
            let last = &mut last[(number / EACH) as usize];
            assert!(*last < Some(number), "the messages of a thread stay in order");
            *last = Some(number);
            sum += number;
        }
        (sum, counting.await.unwrap())
    });
    let all = THREADS * EACH;
    assert_eq!((sum, count), (all * (all - 1) / 2, all));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn tasks_send_to_a_thread() {
    let (sender, mut receiver) = channel(2);
    let receiving = thread::spawn(move || {
        let mut numbers = Vec::new();
        while let Some(number) = receiver.blocking_recv() {
            numbers.push(number);
        }
        numbers
    });
    block_on(async move {
        for number in 0..1000 {
            sender.send(number).await.unwrap();
        }
    });
    assert_eq!(receiving.join().unwrap(), (0..1000).collect::<Vec<_>>());
}

#[test]
fn two_runtimes_play_ping_pong() {
    let (ping, mut pinged) = channel(1);
    let (pong, mut ponged) = channel(1);
    let other = thread::spawn(move || {
        block_on(async move {
            while let Some(number) = pinged.recv().await {
                pong.send(number + 1).await.unwrap();
            }
        });
    });
    block_on(async move {
        let mut number = 0;
        while number < 2_000 {
            ping.send(number).await.unwrap();
            number = ponged.recv().await.unwrap();
        }
    });
    other.join().unwrap();
}

#[test]
fn blocking_inside_a_runtime_is_refused() {
    let (sender, mut receiver) = channel::<u8>(1);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let refused = |attempt: &mut dyn FnMut()| {
            let panic = catch_unwind(AssertUnwindSafe(attempt)).unwrap_err();
            let text = panic.downcast_ref::<String>().unwrap();
            assert!(text.contains("called inside Runtime::block_on"), "{text}");
        };
        refused(&mut || sender.blocking_send(1).unwrap());
        refused(&mut || _ = receiver.blocking_recv());
    });
    sender.blocking_send(2).unwrap();
    assert_eq!(receiver.blocking_recv(), Some(2));
}

#[test]
fn messages_need_not_be_send_but_channels_are_if_they_are() {
    let (sender, receiver): (Sender<u8>, Receiver<u8>) = channel(1);
    assert_send_and_sync(&sender);
    assert_send(&receiver);
    assert_send(&sender.send(1));
    let (sender, mut receiver) = mpsc::unbounded_channel();
    block_on(async move {
        let shared = Rc::new(RefCell::new(1));
        sender.send(Rc::clone(&shared)).unwrap();
        *receiver.recv().await.unwrap().borrow_mut() += 1;
        assert_eq!(*shared.borrow(), 2);
    });
}
