//! Notifications.

use crate::vocabulary::{Poller, assert_send, assert_send_and_sync, block_on};
use nexus_runtime::sync::Notify;
use nexus_runtime::{spawn, task};
use std::cell::RefCell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

#[test]
fn a_permit_is_kept_for_the_next_one_and_there_is_only_one() {
    let (poller, notify) = (Poller::new(), Notify::new());
    notify.notify_one();
    notify.notify_one();
    assert!(poller.poll(pin!(notify.notified())).is_ready());
    assert!(poller.poll(pin!(notify.notified())).is_pending());
}

#[test]
fn one_notification_wakes_the_one_who_waited_longest_or_shortest() {
    for (last, expected) in [(false, [1, 2, 3]), (true, [3, 2, 1])] {
        let order = Rc::new(RefCell::new(Vec::new()));
        block_on(async {
            let notify = Rc::new(Notify::new());
            let waiting: Vec<_> = (1..=3)
                .map(|number| {
                    let (notify, order) = (Rc::clone(&notify), Rc::clone(&order));
                    spawn(async move {
                        notify.notified().await;
                        order.borrow_mut().push(number);
                    })
                })
                .collect();
            task::yield_now().await;
            for woken in 1..=3 {
                if last {
                    notify.notify_last()
                } else {
                    notify.notify_one()
                }
                task::yield_now().await;
                task::yield_now().await;
                assert_eq!(order.borrow().len(), woken, "one each");
            }
            for task in waiting {
                task.await.unwrap();
            }
        });
        assert_eq!(*order.borrow(), expected);
    }
}

#[test]
fn all_who_wait_are_woken_and_no_permit_is_left() {
    let notify = Notify::new();
    let pollers: Vec<_> = (0..3).map(|_| Poller::new()).collect();
    let mut waiting: Vec<_> = pollers.iter().map(|_| Box::pin(notify.notified())).collect();
    for (poller, notified) in pollers.iter().zip(&mut waiting) {
        assert!(poller.poll(notified.as_mut()).is_pending());
    }
    // Made before, polled only afterwards: takes part all the same.
    let mut unpolled = pin!(notify.notified());
    notify.notify_waiters();
    for (poller, notified) in pollers.iter().zip(&mut waiting) {
        assert_eq!(poller.wakes.count(), 1);
        assert!(poller.poll(notified.as_mut()).is_ready());
    }
    let poller = Poller::new();
    assert!(poller.poll(unpolled.as_mut()).is_ready());
    assert!(poller.poll(pin!(notify.notified())).is_pending());
}

#[test]
fn one_can_take_part_without_being_polled() {
    let (poller, notify) = (Poller::new(), Notify::new());
    let mut enabled = pin!(notify.notified());
    assert!(!enabled.as_mut().enable());
    let mut late = pin!(notify.notified());
    assert!(poller.poll(late.as_mut()).is_pending());
    notify.notify_one();
    assert_eq!(poller.wakes.count(), 0, "the enabled one is first");
    assert!(enabled.as_mut().enable());
    assert!(poller.poll(late.as_mut()).is_pending());
}

#[test]
fn a_dropped_wait_leaves_nothing_behind_and_passes_its_notification_on() {
    let (poller, notify) = (Poller::new(), Notify::new());
    poller.give_up(notify.notified());
    notify.notify_waiters();
    poller.assert_nothing_is_left();
    notify.notify_one();
    assert!(poller.poll(pin!(notify.notified())).is_ready(), "the permit waits for the next one");
    poller.assert_nothing_is_left();

    let next = Poller::new();
    let mut waits = pin!(notify.notified());
    {
        let mut notified = pin!(notify.notified());
        assert!(poller.poll(notified.as_mut()).is_pending());
        assert!(next.poll(waits.as_mut()).is_pending());
        notify.notify_one();
        assert_eq!((poller.wakes.count(), next.wakes.count()), (1, 0));
    }
    assert_eq!(next.wakes.count(), 1);
    assert!(next.poll(waits).is_ready());
}

#[test]
fn threads_notify_a_task() {
    const ROUNDS: usize = 2_000;
    let notify = Arc::new(Notify::new());
    assert_send_and_sync(&*notify);
    assert_send(&notify.notified());
    let (asked, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let thread = thread::spawn({
        let (notify, asked, answered) = (notify.clone(), asked.clone(), answered.clone());
        move || {
            for round in 1..=ROUNDS {
                asked.store(round, Ordering::Release);
                notify.notify_one();
                while answered.load(Ordering::Acquire) < round {
                    thread::yield_now();
                }
            }
        }
    });
    block_on(async {
        let mut last = 0;
        while last < ROUNDS {
            notify.notified().await;
            last = asked.load(Ordering::Acquire);
            answered.store(last, Ordering::Release);
        }
    });
    thread.join().unwrap();
}
