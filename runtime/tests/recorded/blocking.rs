//! Blocking work.

use crate::observed::observe;
use nexus_protocol::event::{
    Cause, Operation, OperationResult, Verdict, WaitOutcome, WakeOutcome, WokenBy,
};
use nexus_protocol::{Event, PrimitiveId};
use nexus_runtime::task::{self, spawn_blocking};
use nexus_runtime::{Runtime, spawn};
use std::sync::mpsc::channel;

const NAME: &str = "waits for a thread";

pub(crate) fn awaits_and_drops() {
    Runtime::new().unwrap().block_on(async {
        let waiting = task::Builder::new().name(NAME).spawn(async {
            let (go, wait) = channel();
            let handle = spawn_blocking(move || wait.recv().unwrap());
            spawn(async move {
                task::yield_now().await;
                go.send(()).unwrap();
            });
            handle.await.unwrap();
            // One that is given up while it runs.
            let (go, wait) = channel::<()>();
            let (done, is_done) = channel();
            let mut handle = Some(spawn_blocking(move || {
                let _ = wait.recv();
                done.send(()).unwrap();
            }));
            std::future::poll_fn(|cx| match handle.take() {
                Some(mut handle) => {
                    assert!(std::pin::pin!(&mut handle).poll(cx).is_pending());
                    cx.waker().wake_by_ref();
                    std::task::Poll::Pending
                }
                None => std::task::Poll::Ready(()),
            })
            .await;
            drop(go);
            is_done.recv().unwrap();
        });
        waiting.await.unwrap();
    });
}

#[test]
fn a_wait_for_blocking_work_is_recorded_with_its_end_and_its_wake() {
    let observed = &observe("blocking")[0];
    let task = observed.task(NAME);
    let operations = observed.operations(task);
    let [(one, ..), (same, ..), (other, ..)] = operations[..] else { panic!("{operations:?}") };
    assert!(one == same && one != other);
    let tried = operations.iter().map(|&(_, operation, result)| (operation, result));
    let (not_ready, done) = (OperationResult::NotReady, OperationResult::Done(0));
    let expected = [not_ready, done, not_ready].map(|result| (Operation::Blocking, result));
    assert_eq!(tried.collect::<Vec<_>>(), expected);
    assert_eq!(observed.waits(task), [(one, WaitOutcome::Done), (other, WaitOutcome::Dropped)]);
    let is_by_its_thread = |cause: &Cause, of: PrimitiveId| {
        matches!(*cause, Cause::Primitive { primitive, by: WokenBy::Thread { thread, woken } }
            if primitive == of && thread != 0 && !woken.is_never())
    };
    let wakes = observed.wakes(task);
    assert_eq!(wakes.iter().filter(|cause| is_by_its_thread(cause, one)).count(), 1);
    assert_eq!(wakes.iter().filter(|cause| is_by_its_thread(cause, other)).count(), 0);
    let polls = observed.polls(task);
    let answer =
        polls.iter().find(|poll| poll.wakes.iter().any(|cause| is_by_its_thread(cause, one)));
    assert_eq!(answer.unwrap().verdict, Verdict::Progress);
    let dead = |event: &&Event| matches!(event, Event::Wake { outcome: WakeOutcome::Dead, .. });
    assert_eq!(observed.events().filter(dead).count(), 0);
}
