//! The floor of an executor: boxed futures, one queue, no I/O, `Arc` wakers with an atomic queued bit.
//!
//! Its wakers serve its own thread only. Nothing is recorded, no panic contained, no task aborted; nothing
//! is given back when `run` ends.

use crate::contestant::{Absent, Contestant};
use crate::workloads::tasks::task_workloads;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::identity;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// The bare executor.
pub(crate) struct Bare;

thread_local! {
    /// The one that this thread runs.
    static EXECUTOR: Cell<Option<&'static Executor>> = const { Cell::new(None) };
}

#[derive(Default)]
struct Executor {
    /// The slots of tasks that are to be polled, oldest wake first.
    queue: RefCell<VecDeque<usize>>,
    slots: RefCell<Vec<Option<Rc<Task>>>>,
    free: RefCell<Vec<usize>>,
}

fn executor() -> &'static Executor {
    EXECUTOR.get().expect("called inside of `run`")
}

struct Task {
    future: RefCell<Pin<Box<dyn Future<Output = ()>>>>,
    link: Arc<Link>,
    /// The link, as the future sees it.
    waker: Waker,
}

/// What a waker is.
struct Link {
    slot: usize,
    queued: AtomicBool,
}

impl Wake for Link {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            executor().queue.borrow_mut().push_back(self.slot);
        }
    }
}

struct Shared<T> {
    output: Cell<Option<T>>,
    waiting: Cell<Option<Waker>>,
}

/// Waits for the output of a task.
struct Join<T>(Rc<Shared<T>>);

impl<T> Future for Join<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        if let Some(output) = self.0.output.take() {
            return Poll::Ready(output);
        }
        self.0.waiting.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}

fn spawn<F: Future + 'static>(future: F) -> Join<F::Output> {
    let shared = Rc::new(Shared { output: Cell::new(None), waiting: Cell::new(None) });
    let there = shared.clone();
    let future = Box::pin(async move {
        there.output.set(Some(future.await));
        if let Some(waiting) = there.waiting.take() {
            waiting.wake();
        }
    });
    let executor = executor();
    let slot = executor.free.borrow_mut().pop().unwrap_or_else(|| {
        executor.slots.borrow_mut().push(None);
        executor.slots.borrow().len() - 1
    });
    let link = Arc::new(Link { slot, queued: AtomicBool::new(true) });
    let waker = Waker::from(link.clone());
    let task = Rc::new(Task { future: RefCell::new(future), link, waker });
    executor.slots.borrow_mut()[slot] = Some(task);
    executor.queue.borrow_mut().push_back(slot);
    Join(shared)
}

fn run<F: Future>(future: F) -> Result<F::Output, Absent> {
    let executor: &'static Executor = Box::leak(Box::default());
    EXECUTOR.set(Some(executor));
    let mut root = pin!(future);
    loop {
        // Nobody but a task can wake the root, so it is asked whenever all tasks have been polled.
        if let Poll::Ready(output) = root.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Ok(output);
        }
        loop {
            let next = executor.queue.borrow_mut().pop_front();
            let Some(slot) = next else { break };
            poll_task(executor, slot);
        }
    }
}

fn poll_task(executor: &Executor, slot: usize) {
    // Empty, or another task's by now, if the one that was woken has ended since: a poll in vain does no harm.
    let Some(task) = executor.slots.borrow()[slot].clone() else { return };
    task.link.queued.store(false, Ordering::Release);
    let polled = task.future.borrow_mut().as_mut().poll(&mut Context::from_waker(&task.waker));
    if polled.is_ready() {
        executor.slots.borrow_mut()[slot] = None;
        executor.free.borrow_mut().push(slot);
    }
}

impl Contestant for Bare {
    type Poker = Waker;

    task_workloads! { run: run, spawn: spawn, value: identity }
}
