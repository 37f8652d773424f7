//! Foreign code at its worst: wakers, futures and outputs whose drops panic, with payloads whose drops panic, or come
//! back to the runtime in the middle of things.

use nexus_runtime::io::{Interest, IoHandle};
use nexus_runtime::time::{Duration, sleep};
use nexus_runtime::{Runtime, spawn, task};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
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

/// A waker that counts how often it is fired, and panics each time.
#[derive(Default)]
struct CountingWaker(AtomicU32);

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
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
fn wakers_that_the_loop_fires_may_explode() {
    let counting = Arc::new(CountingWaker::default());
    let waker = Waker::from(counting.clone());
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let mut timer = Box::pin(sleep(Duration::from_micros(50)));
        assert!(timer.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut source = mio::net::UnixStream::from_std(ours);
        let io = IoHandle::current();
        let token = io.register(&mut source, Interest::READABLE, &waker).unwrap();
        drop(theirs);
        for _ in 0..10_000 {
            if counting.0.load(Ordering::Relaxed) == 2 {
                break;
            }
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(counting.0.load(Ordering::Relaxed), 2, "by the socket and by the timer");
        io.deregister(token, &mut source).unwrap();
    });
    run_more_tasks(&runtime);
}

#[test]
fn a_root_future_that_panics_leaves_the_other_tasks_as_they_are() {
    let runtime = Runtime::new().unwrap();
    let (waker, task) = runtime.block_on(async {
        let slot = Rc::new(RefCell::new(None::<Waker>));
        let inside = slot.clone();
        let task = spawn(poll_fn(move |cx| {
            let again = inside.borrow_mut().replace(cx.waker().clone()).is_some();
            if again { Poll::Ready(5) } else { Poll::Pending }
        }));
        task::yield_now().await;
        (slot.take().unwrap(), RefCell::new(Some(task)))
    });
    for _ in 0..3 {
        let root = poll_fn(|cx| -> Poll<()> {
            waker.wake_by_ref();
            cx.waker().wake_by_ref();
            panic_any(0)
        });
        assert!(catch_unwind(AssertUnwindSafe(|| runtime.block_on(root))).is_err());
    }
    assert_eq!(runtime.block_on(task.take().unwrap()).unwrap(), 5);
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
