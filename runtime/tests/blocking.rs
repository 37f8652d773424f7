//! Blocking work: where it runs, how it ends, what becomes of it when nobody waits.

use nexus_runtime::task::{self, spawn_blocking};
use nexus_runtime::time::{sleep, timeout};
use nexus_runtime::{Builder, Runtime, spawn};
use std::cell::RefCell;
use std::fs;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::process::Command;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// Nothing here takes nearly as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Names what the test program, started again, is to do.
const WORKLOAD: &str = "NEXUS_TEST_WORKLOAD";

/// The pool is the process's: tests that fill it take turns.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn runtime() -> Runtime {
    Runtime::new().unwrap()
}

#[track_caller]
fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Occupies every thread of the pool until the sender is dropped.
fn fill_the_pool() -> Sender<()> {
    let (stop, stopped) = channel();
    let stopped = Arc::new(Mutex::new(stopped));
    let running = Arc::new(AtomicUsize::new(0));
    for _ in 0..64 {
        let (stopped, running) = (Arc::clone(&stopped), Arc::clone(&running));
        drop(spawn_blocking(move || {
            running.fetch_add(1, Ordering::SeqCst);
            wait_for_the_end(&stopped);
        }));
    }
    eventually("64 threads", || running.load(Ordering::SeqCst) == 64);
    stop
}

fn wait_for_the_end(stopped: &Mutex<Receiver<()>>) {
    let _ = stopped.lock().unwrap_or_else(PoisonError::into_inner).recv();
}

#[test]
fn the_result_comes_back_while_the_runtime_goes_on() {
    let _alone = alone();
    let runtime = runtime();
    let (answer, mine, theirs) = runtime.block_on(async {
        let (go, wait) = channel();
        let handle = spawn_blocking(move || {
            wait.recv().unwrap();
            (42, thread::current().id())
        });
        // The runtime is not blocked: a timer fires before the function may go on.
        sleep(Duration::from_millis(5)).await;
        assert!(!handle.is_finished());
        go.send(()).unwrap();
        let (answer, theirs) = handle.await.unwrap();
        (answer, thread::current().id(), theirs)
    });
    assert_eq!(answer, 42);
    assert_ne!(mine, theirs);
}

#[test]
fn its_threads_are_named_and_take_no_signals() {
    let _alone = alone();
    let (name, status) = runtime()
        .block_on(spawn_blocking(|| {
            (
                thread::current().name().map(str::to_owned),
                fs::read_to_string("/proc/thread-self/status").unwrap(),
            )
        }))
        .unwrap();
    assert_eq!(name.as_deref(), Some("nexus-blocking"));
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:")).unwrap().trim();
    let blocked = u64::from_str_radix(blocked, 16).unwrap();
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGUSR1, libc::SIGCHLD] {
        assert_ne!(blocked & 1 << (signal - 1), 0, "signal {signal} is not blocked: {blocked:x}");
    }
}

#[test]
fn a_panic_becomes_an_error_and_the_thread_lives_on() {
    let _alone = alone();
    runtime().block_on(async {
        for round in 0..100 {
            let error = spawn_blocking(move || panic!("round {round}")).await.unwrap_err();
            assert!(error.is_panic() && !error.is_cancelled());
            assert_eq!(error.to_string(), format!("the task panicked: round {round}"));
        }
        assert_eq!(spawn_blocking(|| 1).await.unwrap(), 1);
    });
}

#[test]
fn no_more_than_64_run_at_once_and_the_rest_in_order() {
    let _alone = alone();
    let stop = fill_the_pool();
    let order = Arc::new(Mutex::new(Vec::new()));
    let handles: Vec<_> = (0..100)
        .map(|index| {
            let order = Arc::clone(&order);
            spawn_blocking(move || order.lock().unwrap().push(index))
        })
        .collect();
    let threads = fs::read_dir("/proc/self/task").unwrap().filter(|task| {
        let comm = task.as_ref().unwrap().path().join("comm");
        fs::read_to_string(comm).is_ok_and(|name| name.trim() == "nexus-blocking")
    });
    assert_eq!(threads.count(), 64);
    assert!(order.lock().unwrap().is_empty(), "all threads are busy");
    // One thread is let go, and does all of it.
    stop.send(()).unwrap();
    runtime().block_on(async {
        for handle in handles {
            handle.await.unwrap();
        }
    });
    assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
    drop(stop);
}

#[test]
fn what_has_not_begun_can_be_aborted() {
    let _alone = alone();
    let stop = fill_the_pool();
    let kept = Arc::new(());
    let inside = Arc::clone(&kept);
    let handle = spawn_blocking(move || drop(inside));
    assert!(!handle.is_finished());
    handle.abort();
    assert!(handle.is_finished());
    assert_eq!(Arc::strong_count(&kept), 1, "the function is gone before its turn");
    let error = runtime().block_on(handle).unwrap_err();
    assert!(error.is_cancelled());
    assert_eq!(error.to_string(), "the task was aborted");
    drop(stop);
}

#[test]
fn an_abort_wakes_the_one_who_waits() {
    let _alone = alone();
    let stop = fill_the_pool();
    runtime().block_on(async {
        let handle = Rc::new(RefCell::new(spawn_blocking(|| ())));
        let aborted = Rc::clone(&handle);
        spawn(async move {
            task::yield_now().await;
            aborted.borrow().abort();
        });
        let error = poll_fn(|cx| Pin::new(&mut *handle.borrow_mut()).poll(cx)).await.unwrap_err();
        assert!(error.is_cancelled());
    });
    drop(stop);
}

#[test]
fn what_runs_can_not_be_aborted() {
    let _alone = alone();
    let (started, has_started) = channel();
    let (go, wait) = channel();
    let handle = spawn_blocking(move || {
        started.send(()).unwrap();
        wait.recv().unwrap();
        7
    });
    has_started.recv().unwrap();
    handle.abort();
    go.send(()).unwrap();
    assert_eq!(runtime().block_on(handle).unwrap(), 7);
}

#[test]
fn a_dropped_handle_detaches_and_the_runtime_does_not_wait() {
    let _alone = alone();
    let (go, wait) = channel::<()>();
    let (done, is_done) = channel();
    let runtime = runtime();
    runtime.block_on(async {
        let handle = spawn_blocking(move || {
            let _ = wait.recv();
            done.send(()).unwrap();
        });
        assert!(timeout(Duration::from_millis(1), handle).await.is_err());
    });
    drop(runtime);
    go.send(()).unwrap();
    is_done.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn a_dropped_handle_leaves_no_waker_behind() {
    struct Counted(AtomicUsize);
    impl std::task::Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let _alone = alone();
    let (go, wait) = channel::<()>();
    let (done, is_done) = channel();
    let counted = Arc::new(Counted(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&counted));
    {
        let mut handle = pin!(spawn_blocking(move || {
            let _ = wait.recv();
            done.send(()).unwrap();
        }));
        assert!(handle.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(Arc::strong_count(&counted), 3, "ours, the waker's, and that of the wait");
    }
    assert_eq!(Arc::strong_count(&counted), 2);
    go.send(()).unwrap();
    is_done.recv_timeout(PATIENCE).unwrap();
    assert_eq!(counted.0.load(Ordering::SeqCst), 0);
}

#[test]
fn a_result_that_nobody_takes_is_dropped() {
    let _alone = alone();
    let kept = Arc::new(());
    let inside = Arc::clone(&kept);
    drop(spawn_blocking(move || inside));
    eventually("the result's end", || Arc::strong_count(&kept) == 1);
    let inside = Arc::clone(&kept);
    let handle = spawn_blocking(move || inside);
    eventually("the result", || handle.is_finished());
    drop(handle);
    assert_eq!(Arc::strong_count(&kept), 1);
}

#[test]
fn many_jobs_of_many_tasks_all_end() {
    let _alone = alone();
    runtime().block_on(async {
        let tasks: Vec<_> = (0..50)
            .map(|task| {
                spawn(async move {
                    for round in 0..40 {
                        assert_eq!(
                            spawn_blocking(move || task * round).await.unwrap(),
                            task * round
                        );
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// Not a test: what the program does when it is started again with [`WORKLOAD`] in its environment.
#[test]
fn workload() {
    match std::env::var(WORKLOAD).as_deref() {
        Ok("exhaust") => exhaust(),
        Ok("fork") => fork(),
        _ => {}
    }
}

/// Leaves no room for a stack, to which `pthread_create` answers with EAGAIN.
fn exhaust() {
    fn limit_address_space(bytes: u64) {
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: the limit is only read.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
    }
    let runtime = Builder::new().endpoint(false).build().unwrap();
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = statm.split(' ').next().unwrap().parse().unwrap();
    limit_address_space(pages * 4096 + (1 << 20));
    let error = runtime.block_on(spawn_blocking(|| ())).unwrap_err();
    limit_address_space(libc::RLIM_INFINITY);
    assert!(!error.is_panic() && !error.is_cancelled());
    let reason = error.start_error().expect("the system's error").raw_os_error();
    assert_eq!(reason, Some(libc::EAGAIN), "{error}");
    assert!(error.to_string().starts_with("no thread could be started"), "{error}");
    assert_eq!(runtime.block_on(spawn_blocking(|| 3)).unwrap(), 3, "and with room it goes on");
}

/// Leaves a child behind that has none of the threads which the pool has counted.
fn fork() {
    let runtime = Builder::new().endpoint(false).build().unwrap();
    runtime.block_on(spawn_blocking(|| ())).unwrap();
    // SAFETY: the threads of this program hold no locks that the child needs, since they sleep.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let runtime = Builder::new().endpoint(false).build().unwrap();
        let result = runtime.block_on(timeout(PATIENCE, spawn_blocking(|| 5)));
        // SAFETY: ends the process, and nothing else.
        unsafe { libc::_exit(if matches!(result, Ok(Ok(5))) { 0 } else { 1 }) };
    }
    let mut status = 0;
    // SAFETY: the child exists, nobody else waits for it, and the status is written to a number.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0);
}

#[track_caller]
fn run_workload(workload: &str) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "workload", "--nocapture", "--test-threads=1"])
        .env(WORKLOAD, workload)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn without_a_thread_there_is_an_error_and_no_panic() {
    run_workload("exhaust");
}

#[test]
fn a_forked_child_starts_threads_of_its_own() {
    run_workload("fork");
}

#[test]
fn polling_after_the_end_panics_and_breaks_nothing() {
    let _alone = alone();
    let mut handle = pin!(spawn_blocking(|| ()));
    let mut cx = Context::from_waker(Waker::noop());
    eventually("the end", || handle.as_mut().poll(&mut cx).is_ready());
    for _ in 0..2 {
        let again = catch_unwind(AssertUnwindSafe(|| handle.as_mut().poll(&mut cx)));
        let message = *again.unwrap_err().downcast::<&str>().unwrap();
        assert_eq!(message, "a BlockingHandle is not polled after it was ready");
    }
}
