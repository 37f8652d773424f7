//! Graceful shutdown.

use crate::observed::observe;
use nexus_protocol::event::{Cause, Operation, OperationResult, WaitOutcome, WokenBy};
use nexus_runtime::shutdown::Shutdown;
use nexus_runtime::sync::Notify;
use nexus_runtime::{Runtime, task};
use std::cell::Cell;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

const NAMES: [&str; 3] = ["one", "two", "three"];

fn told_and_waited_for(request: impl FnOnce(&Shutdown)) {
    Runtime::new().unwrap().block_on(async {
        let (shutdown, gate) = (Shutdown::new(), Rc::new(Notify::new()));
        let told = Rc::new(Cell::new(0));
        for name in NAMES {
            let (stop, gate, told) = (shutdown.clone(), Rc::clone(&gate), Rc::clone(&told));
            let task = shutdown.track(async move {
                stop.requested().await;
                told.set(told.get() + 1);
                gate.notified().await;
            });
            drop(task::Builder::new().name(name).spawn(task));
        }
        task::yield_now().await;
        request(&shutdown);
        let finishing = task::Builder::new().name("finishing").spawn(async move {
            assert!(shutdown.finish(Duration::from_secs(60)).await.is_complete());
        });
        // Those that a thread has woken take a little longer.
        while told.get() < NAMES.len() {
            task::yield_now().await;
        }
        gate.notify_waiters();
        finishing.await.unwrap();
    });
}

pub(crate) fn requested_by_a_task() {
    told_and_waited_for(Shutdown::request);
}

pub(crate) fn requested_by_a_thread() {
    told_and_waited_for(|shutdown| {
        let shutdown = shutdown.clone();
        thread::spawn(move || shutdown.request()).join().unwrap();
    });
}

#[test]
fn the_wakes_of_a_shutdown_are_its_own_and_come_once() {
    for workload in ["shutdown by a task", "shutdown by a thread"] {
        let observed = &observe(workload)[0];
        for name in NAMES {
            let task = observed.task(name);
            let wakes = observed.wakes(task);
            assert!(
                matches!(wakes[..], [Cause::Spawn, Cause::Shutdown, Cause::Primitive { .. }]),
                "{wakes:?}"
            );
            assert_eq!(observed.verdicts(task), [3, 0, 0, 0], "{:?}", observed.polls(task));
            let operations = observed.operations(task);
            let (not_ready, done) = (OperationResult::NotReady, OperationResult::Done(0));
            let token = operations[0].0;
            let expected = [not_ready, done].map(|result| (token, Operation::Cancelled, result));
            assert_eq!(operations[..2], expected);
            assert_eq!(observed.waits(task)[0], (token, WaitOutcome::Done));
        }
        // The one who finishes is woken by the last of them, through a primitive.
        let last = WokenBy::Task(observed.task(NAMES[2]));
        let wakes = observed.wakes(observed.task("finishing"));
        let [Cause::Spawn, Cause::Primitive { by, .. }] = wakes[..] else { panic!("{wakes:?}") };
        assert_eq!(by, last);
    }
}
