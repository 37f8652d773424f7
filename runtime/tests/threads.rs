//! Wakes from other threads.

use nexus_runtime::{Runtime, spawn, task};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;

/// A flag that one thread sets and a task waits for.
#[derive(Default)]
struct Flag {
    set: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Flag {
    fn set(&self) {
        self.set.store(true, Ordering::Release);
        let waker = self.waker.lock().unwrap().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn wait(&self) {
        poll_fn(|cx| {
            *self.waker.lock().unwrap() = Some(cx.waker().clone());
            if self.set.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

#[test]
fn a_parked_runtime_is_woken_by_another_thread() {
    let runtime = Runtime::new().unwrap();
    for _ in 0..200 {
        let flag = Arc::new(Flag::default());
        let setter = thread::spawn({
            let flag = flag.clone();
            move || flag.set()
        });
        runtime.block_on(flag.wait());
        setter.join().unwrap();
    }
}

#[test]
fn no_wake_is_lost_between_many_threads_and_tasks() {
    const TASKS: u64 = 8;
    const ROUNDS: u64 = 2_000;
    let runtime = Runtime::new().unwrap();
    let total = Arc::new(AtomicU64::new(0));
    let mut threads = Vec::new();
    runtime.block_on(async {
        let mut handles = Vec::new();
        for _ in 0..TASKS {
            // The thread raises a number and wakes; the task answers each number, and the thread waits for the answer.
            let asked = Arc::new(AtomicU64::new(0));
            let answered = Arc::new(AtomicU64::new(0));
            let waker = Arc::new(Mutex::new(None::<Waker>));
            threads.push(thread::spawn({
                let (asked, answered, waker) = (asked.clone(), answered.clone(), waker.clone());
                move || {
                    for round in 1..=ROUNDS {
                        asked.store(round, Ordering::Release);
                        if let Some(waker) = waker.lock().unwrap().as_ref() {
                            waker.wake_by_ref();
                        }
                        while answered.load(Ordering::Acquire) < round {
                            thread::yield_now();
                        }
                    }
                }
            }));
            let total = total.clone();
            handles.push(spawn(poll_fn(move |cx| {
                waker.lock().unwrap().get_or_insert_with(|| cx.waker().clone());
                let now = asked.load(Ordering::Acquire);
                let before = answered.swap(now, Ordering::AcqRel);
                total.fetch_add(now - before, Ordering::Relaxed);
                if now == ROUNDS { Poll::Ready(()) } else { Poll::Pending }
            })));
        }
        for handle in handles {
            handle.await.unwrap();
        }
    });
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(total.load(Ordering::Relaxed), TASKS * ROUNDS);
}

#[test]
fn threads_may_wake_while_the_runtime_is_dropped() {
    for _ in 0..200 {
        let runtime = Runtime::new().unwrap();
        let (waker, task) = runtime.block_on(async {
            let slot = Arc::new(Mutex::new(None::<Waker>));
            let inside = slot.clone();
            let handle = spawn(poll_fn(move |cx| {
                *inside.lock().unwrap() = Some(cx.waker().clone());
                Poll::<()>::Pending
            }));
            task::yield_now().await;
            task::yield_now().await;
            (slot.lock().unwrap().take().unwrap(), handle)
        });
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let waker = waker.clone();
                thread::spawn(move || {
                    for _ in 0..20 {
                        waker.wake_by_ref();
                    }
                })
            })
            .collect();
        drop(runtime);
        drop(waker);
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(task.is_finished());
    }
}

#[test]
fn each_thread_can_have_a_runtime() {
    let threads: Vec<_> = (0..4)
        .map(|number| {
            thread::spawn(move || {
                Runtime::new()
                    .unwrap()
                    .block_on(async move { spawn(async move { number * 2 }).await.unwrap() })
            })
        })
        .collect();
    let outputs: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(outputs, [0, 2, 4, 6]);
}
