//! Foreign code at its worst: wakers, futures and outputs whose drops panic, with payloads whose drops panic, or come
//! back to the runtime in the middle of things.

use nexus_runtime::{Runtime, spawn, task};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

/// A payload that goes off once more when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("a payload was dropped");
        }
    }
}

/// Goes off when it is dropped.
struct Explosive;

impl Drop for Explosive {
    fn drop(&mut self) {
        panic_any(Bomb);
    }
}

impl Future for Explosive {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

/// A waker that panics when it is fired.
struct PanickingWaker;

impl Wake for PanickingWaker {
    fn wake(self: Arc<Self>) {
        panic_any(Bomb);
    }
}

/// Runs enough tasks for a block of memory that was freed too early to be used again.
fn run_more_tasks(runtime: &Runtime) {
    runtime.block_on(async {
        for number in 0..50_u8 {
            assert_eq!(spawn(async move { [number; 64] }).await.unwrap(), [number; 64]);
        }
    });
}

#[test]
fn the_output_of_a_detached_task_that_is_still_queued_may_explode() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        drop(spawn(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::Ready(Explosive)
        })));
        for _ in 0..5 {
            task::yield_now().await;
        }
    });
    assert_eq!(runtime.handle().tasks(), 0);
    run_more_tasks(&runtime);
}

#[test]
fn the_waker_of_a_join_may_explode() {
    let runtime = Runtime::new().unwrap();
    let mut handle = runtime.spawn(poll_fn(|cx| {
        cx.waker().wake_by_ref();
        Poll::Ready(1)
    }));
    let waker = Waker::from(Arc::new(PanickingWaker));
    assert!(Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending());
    runtime.block_on(async {
        for _ in 0..5 {
            task::yield_now().await;
        }
    });
    drop(handle);
    run_more_tasks(&runtime);
}

#[test]
fn dropping_a_runtime_gets_over_explosions_and_moves_no_future() {
    struct Pinned<'a>(&'a Cell<usize>, Rc<Cell<bool>>);
    impl Drop for Pinned<'_> {
        fn drop(&mut self) {
            assert_eq!(self.0.get(), std::ptr::from_ref(self).addr(), "moved after it was pinned");
            self.1.set(true);
        }
    }
    let dropped = Rc::new(Cell::new(false));
    let inside = dropped.clone();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        drop(spawn(Explosive));
        drop(spawn(async move {
            let address = Cell::new(0);
            let pinned = Pinned(&address, inside);
            address.set(std::ptr::from_ref(&pinned).addr());
            pending::<()>().await;
            drop(pinned);
        }));
        task::yield_now().await;
        task::yield_now().await;
    });
    let _ = catch_unwind(AssertUnwindSafe(move || drop(runtime)));
    assert!(dropped.get());
}

/// Panics when it is dropped, if it has not been told to be quiet.
struct TouchyWaker(AtomicBool);

impl Wake for TouchyWaker {
    fn wake(self: Arc<Self>) {}
}

impl Drop for TouchyWaker {
    fn drop(&mut self) {
        if !self.0.load(Ordering::Relaxed) {
            panic!("a waker was dropped");
        }
    }
}

#[test]
fn a_handle_whose_joiner_panics_in_its_drop_still_detaches() {
    let runtime = Runtime::new().unwrap();
    let shared = Rc::new(());
    let (output, kept) = (shared.clone(), Rc::new(RefCell::new(None::<Waker>)));
    let keep = kept.clone();
    let mut output = Some(output);
    let mut polls = 0;
    let mut handle = runtime.spawn(poll_fn(move |cx| {
        *keep.borrow_mut() = Some(cx.waker().clone());
        polls += 1;
        if polls == 1 { Poll::Pending } else { Poll::Ready(output.take().unwrap()) }
    }));
    runtime.block_on(task::yield_now());
    let waker = Waker::from(Arc::new(TouchyWaker(AtomicBool::new(false))));
    assert!(Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    assert!(catch_unwind(AssertUnwindSafe(move || drop(handle))).is_err());
    kept.borrow().as_ref().unwrap().wake_by_ref();
    runtime.block_on(task::yield_now());
    runtime.block_on(task::yield_now());
    assert_eq!(Rc::strong_count(&shared), 1, "the output was dropped when the task ended");
    let last = kept.borrow_mut().take().unwrap();
    thread::spawn(move || drop(last)).join().unwrap();
    run_more_tasks(&runtime);
}

#[test]
fn a_waker_whose_drop_ends_the_runtime_may_be_replaced() {
    thread_local! {
        static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
    }
    struct EndsRuntime;
    impl Wake for EndsRuntime {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for EndsRuntime {
        fn drop(&mut self) {
            drop(RUNTIME.take());
        }
    }
    let runtime = Runtime::new().unwrap();
    let mut handle = runtime.spawn(pending::<()>());
    RUNTIME.set(Some(runtime));
    let waker = Waker::from(Arc::new(EndsRuntime));
    assert!(Pin::new(&mut handle).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    let noop = &mut Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut handle).poll(noop).is_pending(), "the runtime went in this poll");
    match Pin::new(&mut handle).poll(noop) {
        Poll::Ready(Err(error)) => assert!(error.is_cancelled()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_end_of_many_tasks_takes_time_in_proportion() {
    let polls_to_end = |tasks: u32| {
        let runtime = Runtime::new().unwrap();
        (0..tasks).for_each(|_| drop(runtime.spawn(pending::<()>())));
        let before = cpu_ns();
        drop(runtime);
        cpu_ns() - before
    };
    // Ten times as many tasks; in proportion to the square, it would be a hundred times the work.
    let (few, many) = (polls_to_end(3_000), polls_to_end(30_000));
    assert!(many < 40 * few.max(100_000), "{few} ns, then {many} ns");
}

/// The CPU time of this thread.
fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
