//! Loom models of the whole life of a task: the real runtime on the model's first thread, wakers of its tasks on others.
//!
//! Loom looks for lost wakes (the loop sleeps for ever), for tasks that are not freed, and for uses of one that was: its
//! memory is filled with rubbish then. Uses of its stage that do not happen one before the other are reported, too. That futures and outputs stay on their thread is for [`Bound`] to find out. There
//! are no sockets, no timers and no recorder in these models; theirs stand beside them.

use crate::primitives::atomic::{AtomicU32, Ordering};
use crate::task::{JoinHandle, yield_now};
use crate::{Builder, Runtime, spawn};
use loom::thread::{self, ThreadId};
use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

/// A runtime that looks into its inbox after each poll.
fn runtime() -> Runtime {
    let builder = Builder::new().recorder(false).endpoint(false).polls_per_turn(1);
    builder.initial_slots(0).event_capacity(1).build().unwrap()
}

/// Something that must not leave the runtime's thread, neither in a future nor in an output.
struct Bound {
    thread: ThreadId,
    /// How many there are, or were dropped elsewhere.
    alive: Rc<RefCell<u32>>,
}

impl Bound {
    fn new(alive: &Rc<RefCell<u32>>) -> Self {
        *alive.borrow_mut() += 1;
        Self { thread: thread::current().id(), alive: alive.clone() }
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        // Not a panic, which the task would contain.
        if thread::current().id() == self.thread {
            *self.alive.borrow_mut() -= 1;
        }
    }
}

/// A task's own waker.
async fn own_waker() -> Waker {
    poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
}

/// A task that has left its waker and then goes on with `rest`.
async fn spawned<T: 'static>(rest: impl Future<Output = T> + 'static) -> (JoinHandle<T>, Waker) {
    let slot = Rc::new(RefCell::new(None));
    let inside = slot.clone();
    let handle = spawn(async move {
        let waker = own_waker().await;
        *inside.borrow_mut() = Some(waker);
        drop(inside);
        rest.await
    });
    yield_now().await;
    let waker = slot.take().expect("the task was polled");
    (handle, waker)
}

/// Ready once the number has reached this.
async fn reached(number: Arc<AtomicU32>, goal: u32) {
    poll_fn(|_| {
        let now = number.load(Ordering::Relaxed);
        if now == goal { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// A task waits, and with it the root; the loop goes to sleep. What another thread did before its wake is seen by the poll
/// that answers it, and that poll comes.
#[test]
fn loom_a_task_that_sleeps_is_woken_and_sees_why() {
    loom::model(|| {
        let runtime = runtime();
        runtime.block_on(async {
            let number = Arc::new(AtomicU32::new(0));
            let (handle, waker) = spawned(reached(number.clone(), 1)).await;
            let thread = thread::spawn(move || {
                number.store(1, Ordering::Relaxed);
                waker.wake();
            });
            handle.await.unwrap();
            thread.join().unwrap();
        });
    });
}

/// Two threads wake one task: one of the wakes may be redundant, but none of the reasons is missed. Three threads have many
/// more ways to go, so the search is less deep by one.
#[test]
fn loom_a_redundant_wake_is_not_a_lost_one() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = model.preemption_bound.map(|bound| bound.max(2) - 1);
    model.check(|| {
        let runtime = runtime();
        runtime.block_on(async {
            let number = Arc::new(AtomicU32::new(0));
            let (handle, waker) = spawned(reached(number.clone(), 2)).await;
            for waker in [waker.clone(), waker] {
                let number = number.clone();
                thread::spawn(move || {
                    number.fetch_add(1, Ordering::Relaxed);
                    waker.wake();
                });
            }
            handle.await.unwrap();
        });
    });
}

/// The waker's thread comes at any moment of a task's end: while the task is queued by another wake, is polled for the last
/// time, has ended, or is gone, with its loop.
fn a_task_ends_while_it_is_woken(end: fn(JoinHandle<Bound>, Runtime)) {
    loom::model(move || {
        let alive = Rc::new(RefCell::new(0));
        let runtime = runtime();
        let bound = Bound::new(&alive);
        let handle = runtime.block_on(async {
            let (handle, waker) = spawned(async {
                yield_now().await;
                bound
            })
            .await;
            thread::spawn(move || waker.wake());
            handle
        });
        end(handle, runtime);
        assert_eq!(*alive.borrow(), 0, "dropped, and here");
    });
}

#[test]
fn loom_a_task_that_is_awaited_ends_while_it_is_woken() {
    a_task_ends_while_it_is_woken(|handle, runtime| drop(runtime.block_on(handle).unwrap()));
}

#[test]
fn loom_a_task_that_is_detached_ends_while_it_is_woken() {
    a_task_ends_while_it_is_woken(|handle, runtime| {
        drop(handle);
        runtime.block_on(async {
            yield_now().await;
            yield_now().await;
        });
    });
}

#[test]
fn loom_a_task_that_is_aborted_ends_while_it_is_woken() {
    a_task_ends_while_it_is_woken(|handle, runtime| {
        handle.abort();
        assert!(runtime.block_on(handle).is_err());
    });
}

#[test]
fn loom_a_runtime_ends_while_its_task_is_woken() {
    a_task_ends_while_it_is_woken(|handle, runtime| {
        drop(runtime);
        assert!(handle.is_finished());
    });
}

#[test]
fn loom_a_handle_goes_before_its_runtime_while_the_task_is_woken() {
    a_task_ends_while_it_is_woken(|handle, runtime| {
        drop(handle);
        drop(runtime);
    });
}

/// An output that nobody takes, in the handle of a task whose runtime is gone, while the last waker is dropped elsewhere.
#[test]
fn loom_an_output_stays_on_its_thread() {
    loom::model(|| {
        let alive = Rc::new(RefCell::new(0));
        let runtime = runtime();
        let bound = Bound::new(&alive);
        let (handle, thread) = runtime.block_on(async {
            let (handle, waker) = spawned(async { bound }).await;
            assert!(handle.is_finished());
            (handle, thread::spawn(move || drop(waker.clone())))
        });
        drop(runtime);
        drop(handle);
        assert_eq!(*alive.borrow(), 0, "dropped, and here");
        thread.join().unwrap();
    });
}

/// The same for a future that never ends by itself. It may be anywhere when its runtime is dropped: asleep, in the inbox, or
/// from there in the run queue.
#[test]
fn loom_a_future_stays_on_its_thread() {
    loom::model(|| {
        let alive = Rc::new(RefCell::new(0));
        let runtime = runtime();
        let bound = Bound::new(&alive);
        runtime.block_on(async {
            let (_detached, waker) = spawned(async move {
                let _bound = bound;
                pending::<()>().await;
            })
            .await;
            thread::spawn(move || {
                waker.wake_by_ref();
                waker.wake();
            });
            // A pass of the loop that takes it out of the inbox, and ends before its turn.
            yield_now().await;
        });
        drop(runtime);
        assert_eq!(*alive.borrow(), 0, "dropped, and here");
    });
}

/// The root future's task ends with `block_on`, at any moment of a wake; the next root future is another task.
#[test]
fn loom_a_root_future_ends_while_it_is_woken() {
    loom::model(|| {
        let runtime = runtime();
        let number = Arc::new(AtomicU32::new(0));
        runtime.block_on(async {
            let waker = own_waker().await;
            let number = number.clone();
            thread::spawn({
                let number = number.clone();
                move || {
                    number.store(1, Ordering::Relaxed);
                    waker.wake_by_ref();
                    waker.wake();
                }
            });
            reached(number, 1).await;
        });
        runtime.block_on(yield_now());
    });
}
