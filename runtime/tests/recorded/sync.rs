//! Channels, notifications, tokens, and futures of other crates.

use crate::observed::{Observed, observe};
use nexus_protocol::event::{Cause, Operation, OperationResult, Verdict, WaitOutcome, WokenBy};
use nexus_protocol::{Event, PrimitiveId, TaskId};
use nexus_runtime::sync::{CancellationToken, Notify, mpsc, oneshot};
use nexus_runtime::{Runtime, task};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;

const NOT_READY: OperationResult = OperationResult::NotReady;
const CLOSED: OperationResult = OperationResult::EndOfFile;

fn named<F: Future + 'static>(name: &str, future: F) -> nexus_runtime::JoinHandle<F::Output> {
    task::Builder::new().name(name).spawn(future)
}

/// How often each result was recorded for one operation of a task.
fn results(observed: &Observed, by: TaskId, operation: Operation) -> Vec<OperationResult> {
    let all = observed.operations(by).into_iter();
    all.filter(|(_, one, _)| *one == operation).map(|(_, _, result)| result).collect()
}

fn messages(results: &[OperationResult]) -> u32 {
    let count = |result: &OperationResult| match result {
        OperationResult::Done(count) => *count,
        _ => 0,
    };
    results.iter().map(count).sum()
}

pub(crate) fn channels() {
    const MESSAGES: u32 = 200;
    Runtime::new().unwrap().block_on(async {
        let (sender, mut receiver) = mpsc::channel(4);
        let (unbounded, mut unbounded_receiver) = mpsc::unbounded_channel();
        let receives = named("receives", async move {
            let mut count = 0;
            while receiver.recv().await.is_some() {
                count += 1;
            }
            count
        });
        let takes_many = named("takes many", async move {
            let mut all = Vec::new();
            while unbounded_receiver.recv_many(&mut all, 7).await > 0 {}
            all.len()
        });
        named("sends", async move {
            for number in 0..MESSAGES {
                sender.send(number).await.unwrap();
            }
        });
        let thread = thread::spawn(move || {
            (0..MESSAGES).for_each(|number| unbounded.send(number).unwrap());
        });
        assert_eq!(receives.await.unwrap(), MESSAGES);
        assert_eq!(takes_many.await.unwrap(), MESSAGES as usize);
        thread.join().unwrap();
    });
}

#[test]
fn what_passes_through_channels_is_counted_and_no_poll_is_accused() {
    let observed = &observe("channels")[0];
    let (sends, receives, takes_many) =
        (observed.task("sends"), observed.task("receives"), observed.task("takes many"));
    for (task, operation) in
        [(sends, Operation::Send), (receives, Operation::Receive), (takes_many, Operation::Receive)]
    {
        let results = results(observed, task, operation);
        assert_eq!(messages(&results), 200, "{results:?}");
        let [_, spurious, unattributed, excused] = observed.verdicts(task);
        assert_eq!((spurious, unattributed, excused), (0, 0, 0), "{:?}", observed.polls(task));
        let waits = observed.waits(task);
        let not_ready = results.iter().filter(|result| **result == NOT_READY).count();
        assert!(waits.iter().all(|(_, outcome)| *outcome == WaitOutcome::Done));
        assert_eq!(waits.len(), not_ready, "each poll of a wait made progress");
        if task != sends {
            assert_eq!(results.last(), Some(&CLOSED));
        }
    }
    let (channel, ..) = observed.operations(receives)[0];
    let wakes = observed.wakes(receives);
    let by = WokenBy::Task(sends);
    assert!(wakes.contains(&Cause::Primitive { primitive: channel, by }), "{wakes:?}");
    let wakes = observed.wakes(sends);
    let by = WokenBy::Task(receives);
    assert!(wakes.contains(&Cause::Primitive { primitive: channel, by }), "{wakes:?}");
    let foreign = |cause: &Cause| matches!(cause, Cause::Task { .. } | Cause::Thread { .. });
    assert!(!observed.wakes(takes_many).iter().any(foreign));
}

pub(crate) fn notifications() {
    Runtime::new().unwrap().block_on(async {
        let (notify, token) = (Rc::new(Notify::new()), CancellationToken::new());
        let (sender, receiver) = oneshot::channel::<()>();
        let mut sender = Some(sender);
        let waits = named("waits", {
            let (notify, token) = (Rc::clone(&notify), token.clone());
            async move {
                notify.notified().await;
                receiver.await.unwrap();
                // Given up when the token is cancelled.
                assert!(token.run_until_cancelled(notify.notified()).await.is_none());
            }
        });
        named("wakes", async move {
            for step in 0..3 {
                for _ in 0..3 {
                    task::yield_now().await;
                }
                match step {
                    0 => notify.notify_one(),
                    1 => sender.take().unwrap().send(()).unwrap(),
                    _ => token.cancel(),
                }
            }
        });
        waits.await.unwrap();
    });
}

#[test]
fn every_kind_of_wait_is_named_with_its_operation_its_wake_and_its_end() {
    let observed = &observe("notifications")[0];
    let (waits, wakes) = (observed.task("waits"), observed.task("wakes"));
    let operations = observed.operations(waits);
    let tried = operations.iter().map(|&(_, operation, result)| (operation, result));
    let (nothing, one) = (OperationResult::Done(0), OperationResult::Done(1));
    let expected = [
        (Operation::Notified, NOT_READY),
        (Operation::Notified, nothing),
        (Operation::Receive, NOT_READY),
        (Operation::Receive, one),
        (Operation::Notified, NOT_READY),
        (Operation::Cancelled, NOT_READY),
        (Operation::Notified, NOT_READY),
        (Operation::Cancelled, nothing),
    ];
    assert_eq!(tried.collect::<Vec<_>>(), expected);
    let (notify, receiver, token) = (operations[0].0, operations[2].0, operations[5].0);
    let expected = [
        (notify, WaitOutcome::Done),
        (receiver, WaitOutcome::Done),
        (token, WaitOutcome::Done),
        (notify, WaitOutcome::Dropped),
    ];
    let mut ended = observed.waits(waits);
    // Two futures of one statement are dropped in the order that the compiler likes.
    ended[2..].sort_by_key(|(_, outcome)| *outcome == WaitOutcome::Dropped);
    assert_eq!(ended, expected);
    let by = WokenBy::Task(wakes);
    let through = |primitive: PrimitiveId| Cause::Primitive { primitive, by };
    let expected = [Cause::Spawn, through(notify), through(receiver), through(token)];
    assert_eq!(observed.wakes(waits), expected);
    assert_eq!(observed.verdicts(waits), [4, 0, 0, 0]);
}

pub(crate) fn an_empty_wake() {
    Runtime::new().unwrap().block_on(async {
        let (sender, receiver) = mpsc::unbounded_channel();
        let receiver = Rc::new(RefCell::new(receiver));
        let robbed = named("robbed", {
            let receiver = Rc::clone(&receiver);
            poll_fn(move |cx| receiver.borrow_mut().poll_recv(cx))
        });
        named("robs", async move {
            for turn in 0..4 {
                task::yield_now().await;
                sender.send(turn).unwrap();
                if turn < 3 {
                    receiver.borrow_mut().try_recv().unwrap();
                }
            }
        });
        assert_eq!(robbed.await.unwrap(), Some(3));
    });
}

#[test]
fn a_wake_through_a_channel_that_brings_nothing_is_spurious() {
    let observed = &observe("an empty wake")[0];
    let (robbed, robs) = (observed.task("robbed"), observed.task("robs"));
    let polls = observed.polls(robbed);
    let verdicts: Vec<Verdict> = polls.iter().map(|poll| poll.verdict).collect();
    let (progress, spurious) = (Verdict::Progress, Verdict::Spurious);
    assert_eq!(verdicts, [progress, spurious, spurious, spurious, progress], "{polls:?}");
    let (channel, ..) = observed.operations(robbed)[0];
    for poll in &polls[1..] {
        let by = WokenBy::Task(robs);
        assert_eq!(poll.wakes, [Cause::Primitive { primitive: channel, by }]);
    }
    assert_eq!(polls[1].operations, [(Operation::Receive, NOT_READY)]);
    assert_eq!(results(observed, robs, Operation::Receive), [OperationResult::Done(1); 3]);
}

/// A flag of another crate, as far as the recorder knows.
#[derive(Default)]
struct Flag {
    set: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Flag {
    fn raise(&self) {
        self.set.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        let waker = self.waker.lock().unwrap().take();
        waker.expect("somebody waits").wake();
    }

    fn is_waited_for(&self) -> bool {
        self.waker.lock().unwrap().is_some()
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            if self.set.swap(false, Ordering::AcqRel) {
                return Poll::Ready(());
            }
            *self.waker.lock().unwrap() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

pub(crate) fn foreign_futures() {
    Runtime::new().unwrap().block_on(async {
        let flags = [Arc::new(Flag::default()), Arc::new(Flag::default())];
        let waiting = flags.clone().into_iter().zip([false, true]).map(|(flag, counted)| {
            named(if counted { "counted" } else { "not counted" }, async move {
                for _ in 0..2 {
                    if counted {
                        task::counted(flag.wait()).await;
                    } else {
                        flag.wait().await;
                    }
                }
            })
        });
        let waiting: Vec<_> = waiting.collect();
        for step in 0..3 {
            while !flags.iter().all(|flag| flag.is_waited_for()) {
                task::yield_now().await;
            }
            for flag in &flags {
                let flag = flag.clone();
                // Fired without a reason first.
                let raise = move || if step == 0 { flag.wake() } else { flag.raise() };
                thread::spawn(raise).join().unwrap();
            }
        }
        for task in waiting {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_foreign_future_counts_through_the_adapter_and_only_so() {
    let observed = &observe("foreign futures")[0];
    let (counted, not_counted) = (observed.task("counted"), observed.task("not counted"));
    // First poll; woken for nothing; one flag, and waiting for the next; the other flag, and the end.
    let of = |task| observed.polls(task).iter().map(|poll| poll.verdict).collect::<Vec<_>>();
    let (progress, unattributed) = (Verdict::Progress, Verdict::Unattributed);
    assert_eq!(of(not_counted), [progress, unattributed, unattributed, progress]);
    assert_eq!(of(counted), [progress, unattributed, progress, progress]);
    let done = OperationResult::Done(0);
    let expected = [NOT_READY, NOT_READY, done, NOT_READY, done];
    assert_eq!(results(observed, counted, Operation::Foreign), expected);
    assert_eq!(observed.waits(counted).len(), 2);
    assert_eq!(observed.operations(not_counted), []);
    let by_threads = |cause: &&Cause| matches!(cause, Cause::Thread { .. });
    assert_eq!(observed.wakes(counted).iter().filter(by_threads).count(), 3);
}

pub(crate) fn two_runtimes() {
    let (ping, mut pinged) = mpsc::channel(1);
    let (pong, mut ponged) = mpsc::channel(1);
    let first = Runtime::new().unwrap();
    let other = thread::spawn(move || {
        Runtime::new().unwrap().block_on(async move {
            let answers = named("answers", async move {
                while let Some(number) = pinged.recv().await {
                    pong.send(number).await.unwrap();
                }
            });
            answers.await.unwrap();
        });
    });
    first.block_on(async move {
        let asks = named("asks", async move {
            for number in 0..20 {
                ping.send(number).await.unwrap();
                assert_eq!(ponged.recv().await, Some(number));
            }
        });
        asks.await.unwrap();
    });
    drop(first);
    other.join().unwrap();
}

#[test]
fn a_channel_between_runtimes_has_one_number_in_both() {
    let observed = observe("two runtimes");
    let [first, second] = &observed[..] else { panic!("{} runtimes", observed.len()) };
    assert_ne!(first.runtime, second.runtime);
    let (asks, answers) = (first.task("asks"), second.task("answers"));
    let one = |observed: &Observed, by, operation| {
        let mut on: Vec<_> = observed.operations(by);
        on.retain(|(_, one, _)| *one == operation);
        on.dedup_by_key(|(primitive, ..)| *primitive);
        assert_eq!(on.len(), 1);
        on[0].0
    };
    let (ping, pong) = (one(first, asks, Operation::Send), one(first, asks, Operation::Receive));
    assert_eq!(one(second, answers, Operation::Receive), ping);
    assert_eq!(one(second, answers, Operation::Send), pong);
    for (observed, task) in [(first, asks), (second, answers)] {
        let [_, spurious, unattributed, _] = observed.verdicts(task);
        assert_eq!((spurious, unattributed), (0, 0));
        let foreign = |cause: &Cause| matches!(cause, Cause::Thread { .. });
        assert!(!observed.wakes(task).iter().any(foreign));
    }
    let remote = |event: &&Event| matches!(event, Event::Wake { cause, .. } if cause.is_remote());
    assert!(observed.iter().any(|one| one.events().filter(remote).count() > 0));
}
