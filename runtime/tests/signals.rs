//! Signals of the operating system, sent to this process. A binary of its own, in which each test has its own signals.

use nexus_runtime::signal::{Signal, SignalKind, ctrl_c, signal, terminate};
use nexus_runtime::time::timeout;
use nexus_runtime::{Builder, Runtime, spawn, task};
use std::future::Future;
use std::io::ErrorKind;
use std::pin::pin;
use std::process::Command;
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

/// Nothing here takes nearly as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Names what the test program, started again, is to do.
const WORKLOAD: &str = "NEXUS_TEST_WORKLOAD";

fn send(kind: SignalKind) {
    // SAFETY: sends a signal to this process, which listens to it.
    assert_eq!(unsafe { libc::kill(libc::getpid(), kind.as_raw_value()) }, 0);
}

/// Sends a signal to this thread: it has been handled when this returns, where one to the process may be handled a little
/// later, on any thread.
fn raise(kind: SignalKind) {
    // SAFETY: as above.
    assert_eq!(unsafe { libc::raise(kind.as_raw_value()) }, 0);
}

/// Tests that send Ctrl-C take turns.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A signal that nobody uses for anything else.
fn real_time(number: i32) -> SignalKind {
    SignalKind::from_raw(libc::SIGRTMIN() + number)
}

fn poll_once<F: Future>(future: F) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

async fn arrives(signal: &mut Signal) {
    let arrived = timeout(PATIENCE, signal.recv()).await.expect("the signal has not arrived");
    assert_eq!(arrived, Some(()));
}

#[test]
fn ctrl_c_and_terminate_reach_all_who_wait_in_all_runtimes() {
    let _alone = alone();
    let ready = Arc::new(Barrier::new(3));
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let ready = Arc::clone(&ready);
            thread::spawn(move || {
                Runtime::new().unwrap().block_on(async {
                    let interrupted = (0..10).map(|_| spawn(ctrl_c()));
                    let terminated = (0..10).map(|_| spawn(terminate()));
                    let waiting: Vec<_> = interrupted.chain(terminated).collect();
                    task::yield_now().await;
                    ready.wait();
                    for task in waiting {
                        timeout(PATIENCE, task).await.unwrap().unwrap().unwrap();
                    }
                });
            })
        })
        .collect();
    ready.wait();
    send(SignalKind::interrupt());
    send(SignalKind::terminate());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn no_signal_is_lost_between_two_receives() {
    let kind = real_time(1);
    Runtime::new().unwrap().block_on(async {
        let (mut first, mut second) = (signal(kind).unwrap(), signal(kind).unwrap());
        for _ in 0..200 {
            send(kind);
            arrives(&mut first).await;
            arrives(&mut second).await;
        }
        // While nobody receives. The second one learns of it from the first.
        send(kind);
        arrives(&mut first).await;
        for _ in 0..5 {
            task::yield_now().await;
        }
        assert_eq!(poll_once(second.recv()), Poll::Ready(Some(())));
        assert!(poll_once(first.recv()).is_pending());
        assert!(poll_once(second.recv()).is_pending());
    });
}

#[test]
fn many_signals_are_told_as_one() {
    let kind = real_time(2);
    Runtime::new().unwrap().block_on(async {
        let mut signal = signal(kind).unwrap();
        (0..1000).for_each(|_| send(kind));
        arrives(&mut signal).await;
        let mut told = 1;
        // Some may have come after the first was told of.
        while timeout(Duration::from_millis(20), signal.recv()).await.is_ok() {
            told += 1;
        }
        assert!(told < 1000, "{told}");
    });
}

#[test]
fn a_new_listener_is_not_told_of_old_signals() {
    let kind = real_time(3);
    Runtime::new().unwrap().block_on(async {
        let mut old = signal(kind).unwrap();
        send(kind);
        arrives(&mut old).await;
        let mut new = signal(kind).unwrap();
        assert!(poll_once(new.recv()).is_pending());
        send(kind);
        arrives(&mut new).await;
        arrives(&mut old).await;
        assert_eq!(new.kind(), kind);
    });
}

#[test]
fn a_dropped_receive_loses_nothing_and_wakes_nobody() {
    let kind = real_time(4);
    Runtime::new().unwrap().block_on(async {
        let mut signal = signal(kind).unwrap();
        assert!(timeout(Duration::from_millis(1), signal.recv()).await.is_err());
        send(kind);
        arrives(&mut signal).await;
    });
}

#[test]
fn dropping_the_last_listener_does_not_bring_the_default_back() {
    // Which would be to end the process.
    let kind = real_time(5);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        drop(signal(kind).unwrap());
        raise(kind);
        let mut again = signal(kind).unwrap();
        assert!(timeout(Duration::from_millis(5), again.recv()).await.is_err(), "it was ignored");
        send(kind);
        arrives(&mut again).await;
    });
    raise(kind);
}

#[test]
fn ctrl_c_listens_from_the_call_on_or_outside_of_a_runtime_from_the_first_poll_on() {
    let _alone = alone();
    let runtime = Runtime::new().unwrap();
    let outside = ctrl_c();
    runtime.block_on(async {
        let inside = ctrl_c();
        raise(SignalKind::interrupt());
        assert!(poll_once(outside).is_pending(), "not before");
        timeout(PATIENCE, inside).await.expect("the signal has not arrived").unwrap();
        let mut next = pin!(terminate());
        assert!(poll_once(next.as_mut()).is_pending());
        raise(SignalKind::terminate());
        timeout(PATIENCE, next).await.expect("the signal has not arrived").unwrap();
    });
}

#[test]
fn what_can_not_be_listened_to_is_an_error() {
    Runtime::new().unwrap().block_on(async {
        for number in [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, 0, -1, 1000] {
            let error = signal(SignalKind::from_raw(number)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{number}: {error}");
        }
    });
}

#[test]
fn a_listener_of_a_runtime_that_is_gone_says_so() {
    let kind = real_time(6);
    let runtime = Runtime::new().unwrap();
    let mut left = runtime.block_on(async { signal(kind).unwrap() });
    drop(runtime);
    Runtime::new().unwrap().block_on(async {
        assert_eq!(left.recv().await, None);
        let mut mine = signal(kind).unwrap();
        send(kind);
        arrives(&mut mine).await;
    });
}

#[test]
#[should_panic(expected = "called outside Runtime::block_on")]
fn listening_needs_a_runtime() {
    let _ = signal(SignalKind::hangup());
}

/// Not a test: what the program does when it is started again.
#[test]
fn workload() {
    if std::env::var_os(WORKLOAD).is_none() {
        return;
    }
    let kind = SignalKind::hangup();
    let runtime = Builder::new().endpoint(false).build().unwrap();
    runtime.block_on(async {
        let mut signal = signal(kind).unwrap();
        // SAFETY: the threads of this program hold no locks that the child needs, since they sleep.
        let child = unsafe { libc::fork() };
        if child == 0 {
            send(kind);
            // SAFETY: ends the process, and nothing else.
            unsafe { libc::_exit(0) };
        }
        let mut status = 1;
        // SAFETY: the child exists, nobody else waits for it, and the status is written to a number.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!(status, 0, "the child was not ended by its signal");
        assert!(timeout(Duration::from_millis(5), signal.recv()).await.is_err(), "not ours");
        send(kind);
        arrives(&mut signal).await;
    });
}

#[test]
fn signals_to_a_forked_child_are_not_its_parents() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "workload", "--nocapture", "--test-threads=1"])
        .env(WORKLOAD, "fork")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
