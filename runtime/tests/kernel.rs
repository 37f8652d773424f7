//! What passes between the loop and the kernel, and what the kernel may do to it. In a program of its own, and one test
//! after another, since descriptors are looked for in the whole process.

use nexus_runtime::{Builder, Runtime, spawn, task};
use std::collections::BTreeMap;
use std::fs;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::thread::JoinHandleExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// There is no endpoint: its thread has descriptors of its own.
fn runtime() -> Runtime {
    Builder::new().endpoint(false).build().unwrap()
}

/// The descriptors of this process of a kind.
fn descriptors(kind: &str) -> Vec<RawFd> {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let numbers = entries.filter_map(|entry| {
        let path = entry.unwrap().path();
        let target = fs::read_link(&path).ok()?;
        let is_one = target.to_string_lossy() == format!("anon_inode:[{kind}]");
        is_one.then(|| path.file_name().unwrap().to_string_lossy().parse().unwrap())
    });
    numbers.collect()
}

/// What was written to all eventfds of the process and not read, by descriptor.
fn rings() -> BTreeMap<RawFd, u64> {
    let count = |fd: RawFd| {
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("eventfd-count:")).unwrap();
        (fd, u64::from_str_radix(line.trim(), 16).unwrap())
    };
    descriptors("eventfd").into_iter().map(count).collect()
}

/// A task that does nothing, and its waker.
async fn sleeper() -> (task::JoinHandle<()>, Waker) {
    let slot = Arc::new(Mutex::new(None));
    let inside = slot.clone();
    let handle = spawn(poll_fn(move |cx| {
        inside.lock().unwrap().replace(cx.waker().clone());
        Poll::Pending
    }));
    task::yield_now().await;
    let waker = slot.lock().unwrap().take().unwrap();
    (handle, waker)
}

#[test]
fn a_loop_that_is_awake_is_woken_without_a_system_call() {
    let _alone = alone();
    let runtime = runtime();
    let before = rings();
    assert_eq!(before.len(), 1, "one runtime has one eventfd");
    runtime.block_on(async {
        let (handle, waker) = sleeper().await;
        for _ in 0..100 {
            let waker = waker.clone();
            thread::spawn(move || (0..10).for_each(|_| waker.wake_by_ref())).join().unwrap();
            // Its polls answer some of them.
            task::yield_now().await;
        }
        assert_eq!(rings(), before, "nobody has written to it");
        handle.abort();
    });
    assert_eq!(rings(), before);
    // One that sleeps has to be rung for, which can be seen in the same way. It may take a moment until it sleeps.
    for patience in (0..14).map(|power| Duration::from_millis(1 << power)) {
        wait_for_a_thread(&runtime, patience);
        if rings() != before {
            return;
        }
    }
    panic!("a loop that sleeps is woken without a system call, too");
}

/// Has nothing to do until another thread wakes the root future, after this time.
fn wait_for_a_thread(runtime: &Runtime, time: Duration) {
    let woken = Arc::new(AtomicBool::new(false));
    let mut thread = None;
    runtime.block_on(poll_fn(|cx| {
        if woken.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        let (woken, waker) = (woken.clone(), cx.waker().clone());
        thread.get_or_insert_with(|| {
            thread::spawn(move || {
                thread::sleep(time);
                woken.store(true, Ordering::Release);
                waker.wake();
            })
        });
        Poll::Pending
    }));
    thread.unwrap().join().unwrap();
}

static INTERRUPTIONS: AtomicU32 = AtomicU32::new(0);

extern "C" fn interrupted(_: libc::c_int) {
    INTERRUPTIONS.fetch_add(1, Ordering::Relaxed);
}

#[test]
fn an_interrupted_sleep_goes_on() {
    let _alone = alone();
    // SAFETY: the handler does nothing but count.
    unsafe { libc::signal(libc::SIGUSR1, interrupted as extern "C" fn(libc::c_int) as usize) };
    let place = Arc::new(Mutex::new(None::<Waker>));
    let inside = place.clone();
    let thread = thread::spawn(move || {
        let runtime = runtime();
        let (handle, waker) = runtime.block_on(sleeper());
        *inside.lock().unwrap() = Some(waker);
        // Nothing but the waker, or an error, ends this.
        let polled = runtime.poll_io(None);
        handle.abort();
        polled.map_err(|error| error.to_string())
    });
    let waker = loop {
        if let Some(waker) = place.lock().unwrap().take() {
            break waker;
        }
        thread::yield_now();
    };
    let before = INTERRUPTIONS.load(Ordering::Relaxed);
    // Most of them come while it sleeps.
    while INTERRUPTIONS.load(Ordering::Relaxed) < before + 100 && !thread.is_finished() {
        // SAFETY: the thread was not joined yet.
        unsafe { libc::pthread_kill(thread.as_pthread_t(), libc::SIGUSR1) };
        thread::sleep(Duration::from_micros(100));
    }
    assert!(
        !thread.is_finished(),
        "an interruption is no reason to come back: {:?}",
        thread.join()
    );
    waker.wake();
    assert_eq!(thread.join().unwrap(), Ok(0));
}

#[test]
fn a_broken_kernel_is_an_error_and_tasks_run_all_the_same() {
    let _alone = alone();
    let runtime = runtime();
    let nothing = fs::File::open("/dev/null").unwrap();
    let polls = descriptors("eventpoll");
    assert!(!polls.is_empty());
    for fd in polls {
        // SAFETY: the descriptor stays open, and is closed by its owner; nobody else in this process uses it.
        assert_eq!(unsafe { libc::dup2(nothing.as_raw_fd(), fd) }, fd);
    }
    let error = runtime.poll_io(Some(Duration::ZERO)).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    assert!(runtime.poll_io(None).is_err(), "also if it would have slept");
    let output = runtime.block_on(async {
        let (handle, waker) = sleeper().await;
        let thread = thread::spawn(move || waker.wake());
        let three = spawn(async {
            task::yield_now().await;
            3
        });
        thread.join().unwrap();
        handle.abort();
        assert!(handle.await.unwrap_err().is_cancelled());
        three.await.unwrap()
    });
    assert_eq!(output, 3);
    // The loop has to ask the kernel now, and gets nothing but errors.
    wait_for_a_thread(&runtime, Duration::from_millis(20));
    let listening =
        runtime.block_on(async { nexus_runtime::net::TcpListener::bind("127.0.0.1:0").await });
    assert_eq!(listening.unwrap_err().kind(), io::ErrorKind::InvalidInput);
}
