//! Tasks and runtimes that end while their wakers are elsewhere.

use crate::Stress;
use crate::actor::{Actor, Census};
use crate::exchange::{Dealers, Exchange};
use crate::random::Random;
use nexus_runtime::time::{Duration, timeout};
use nexus_runtime::{Builder, Runtime};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

/// One runtime of many: actors act, some are awaited; then it is dropped, or moved and then dropped, with the rest of them
/// alive, before or after their handles.
pub(crate) fn live_and_die(runtime: Runtime, random: &mut Random, exchange: &Arc<Exchange>) {
    let census = Census::default();
    let actors = 1 + random.below(30);
    let mut handles = Vec::new();
    let (fork, waits) = (random.fork(), random.below(4));
    runtime.block_on(async {
        let mut random = fork;
        for _ in 0..actors {
            let (exchange, census) = (exchange.clone(), census.clone());
            let actor = Actor { random: random.fork(), exchange, census, depth: 3 };
            let handle = actor.spawn();
            match random.below(4) {
                0 => {}
                1 => drop(timeout(Duration::from_micros(300), handle).await),
                _ => handles.push(handle),
            }
        }
        for _ in 0..waits {
            // Some never end.
            if let Some(handle) = handles.pop() {
                let _ = timeout(Duration::from_micros(500), handle).await;
            }
        }
    });
    if random.once_in(2) {
        handles.truncate(random.below(handles.len() + 1));
    }
    let runtime = Box::new(runtime);
    drop(*runtime);
    assert!(handles.iter().all(nexus_runtime::JoinHandle::is_finished));
    let left = census.alive();
    assert!(left <= handles.len(), "{left} are alive, of which {} are outputs", handles.len());
    drop(handles);
    assert_eq!(census.alive(), 0, "all futures and outputs are gone");
}

pub(crate) fn tasks_and_runtimes_end_while_their_wakers_are_everywhere() {
    let mut stress = Stress::begin();
    let mut random = stress.random();
    let exchange = Exchange::new(64);
    let dealers = Dealers::start(3, &exchange, &mut random);
    while stress.goes_on() {
        let runtime = Builder::new().endpoint(false).build().unwrap();
        live_and_die(runtime, &mut random, &exchange);
    }
    drop(dealers);
    assert!(exchange.fired.load(Ordering::Relaxed) > 0, "nobody had anything to do with anybody");
}

/// Several threads with a runtime each, whose wakers go around between all of them: each is fired inside of other runtimes,
/// too.
pub(crate) fn runtimes_of_several_threads_hold_the_wakers_of_each_other() {
    let mut stress = Stress::begin();
    let mut random = stress.random();
    while stress.goes_on() {
        let exchange = Exchange::new(32);
        let _dealers = Dealers::start(1, &exchange, &mut random);
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (exchange, mut random) = (exchange.clone(), random.fork());
                thread::spawn(move || {
                    for _ in 0..5 {
                        let runtime = Builder::new().endpoint(false).recorder(random.once_in(2));
                        live_and_die(runtime.build().unwrap(), &mut random, &exchange);
                        exchange.take(&mut random).inspect(std::task::Waker::wake_by_ref);
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// As many ends of runtimes as possible, with little in them.
pub(crate) fn runtimes_come_and_go_under_fire() {
    let mut stress = Stress::begin();
    let mut random = stress.random();
    let exchange = Exchange::new(4);
    let _dealers = Dealers::start(2, &exchange, &mut random);
    while stress.goes_on() {
        let runtime = Builder::new().endpoint(false).recorder(false).build().unwrap();
        let mut handles: Vec<_> = (0..3)
            .map(|_| {
                let (exchange, mut random) = (exchange.clone(), random.fork());
                runtime.spawn(async move {
                    std::future::poll_fn(|cx| {
                        (0..3).for_each(|_| exchange.leave(&mut random, cx.waker().clone()));
                        std::task::Poll::<()>::Pending
                    })
                    .await;
                })
            })
            .collect();
        for _ in 0..random.below(4) {
            // With or without a turn for those who were woken meanwhile.
            match random.below(2) {
                0 => runtime.block_on(async {}),
                _ => runtime.block_on(nexus_runtime::task::yield_now()),
            }
        }
        // Those without a handle may be freed by whoever has their last waker.
        handles.truncate(random.below(4));
        drop(runtime);
        assert!(handles.iter().all(nexus_runtime::JoinHandle::is_finished));
    }
}
