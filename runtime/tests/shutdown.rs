//! Graceful shutdown: who is told, who is waited for, and what is said of those who do not end.

use nexus_runtime::net::TcpListener;
use nexus_runtime::shutdown::{Report, Shutdown};
use nexus_runtime::sync::mpsc;
use nexus_runtime::task::{self, spawn_blocking};
use nexus_runtime::time::{sleep, timeout};
use nexus_runtime::{Builder, Runtime, spawn};
use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

/// Nothing here takes nearly as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

const SHORT: Duration = Duration::from_millis(5);

fn block_on<F: Future>(future: F) -> F::Output {
    Runtime::new().unwrap().block_on(future)
}

/// Counts the polls of a future.
async fn counted<F: Future>(polls: Rc<Cell<usize>>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        polls.set(polls.get() + 1);
        future.as_mut().poll(cx)
    })
    .await
}

#[test]
fn a_request_wakes_all_who_wait_once_and_nobody_on_later_turns() {
    block_on(async {
        let shutdown = Shutdown::new();
        let polls: Vec<_> = (0..20).map(|_| Rc::new(Cell::new(0))).collect();
        for polls in &polls {
            let (shutdown, polls) = (shutdown.clone(), Rc::clone(polls));
            spawn(counted(polls, async move {
                shutdown.requested().await;
                assert!(shutdown.is_requested());
                // It does not end with that.
                pending::<()>().await;
            }));
        }
        for _ in 0..10 {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(polls.iter().all(|polls| polls.get() == 1), "{polls:?}");
        assert!(!shutdown.is_requested());
        shutdown.request();
        shutdown.request();
        for _ in 0..20 {
            sleep(Duration::from_millis(1)).await;
            task::yield_now().await;
        }
        assert!(polls.iter().all(|polls| polls.get() == 2), "{polls:?}");
        timeout(PATIENCE, shutdown.requested()).await.expect("who asks later does not wait");
    });
}

#[test]
fn a_task_can_wait_for_a_request_beside_its_work() {
    block_on(async {
        let shutdown = Shutdown::new();
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let received = Rc::new(Cell::new(0));
        let worker = shutdown.spawn({
            let (shutdown, received) = (shutdown.clone(), Rc::clone(&received));
            async move {
                let mut done = Vec::new();
                let work = async {
                    while let Some(item) = receiver.recv().await {
                        done.push(item);
                        received.set(done.len());
                    }
                };
                assert!(shutdown.token().run_until_cancelled(work).await.is_none());
                done
            }
        });
        (0..3).for_each(|item| sender.send(item).unwrap());
        while received.get() < 3 {
            task::yield_now().await;
        }
        let report = shutdown.finish(PATIENCE).await;
        assert!(report.to_string().starts_with("what was waited for ended within "), "{report}");
        assert_eq!(worker.await.unwrap(), [0, 1, 2]);
    });
}

#[test]
fn everything_that_ends_in_time_is_awaited() {
    block_on(async {
        let shutdown = Shutdown::new();
        let ended = Rc::new(Cell::new(0));
        for index in 0..5 {
            let (stop, ended) = (shutdown.clone(), Rc::clone(&ended));
            shutdown.spawn(async move {
                stop.requested().await;
                sleep(Duration::from_millis(index)).await;
                // Work that begins this late is awaited, too.
                let last = Rc::clone(&ended);
                stop.spawn(async move {
                    sleep(Duration::from_millis(1)).await;
                    last.set(last.get() + 1);
                });
                ended.set(ended.get() + 1);
            });
        }
        task::yield_now().await;
        let report = shutdown.finish(PATIENCE).await;
        assert_eq!(ended.get(), 10);
        assert!(report.is_complete());
        assert_eq!((report.awaited(), report.left().len()), (5, 0));
        assert!(report.to_string().starts_with("all 5 ended within "), "{report}");
        assert_eq!(shutdown.guards(), 0);
        let again = shutdown.finish(PATIENCE).await;
        assert_eq!(again.to_string(), "there was nothing to wait for");
    });
}

#[test]
fn a_task_that_is_aborted_or_panics_is_not_waited_for() {
    block_on(async {
        let shutdown = Shutdown::new();
        let aborted = shutdown.spawn(pending::<()>());
        shutdown.spawn(async { panic!("on purpose") });
        drop(shutdown.track(pending::<()>()));
        assert_eq!(shutdown.guards(), 2);
        aborted.abort();
        assert!(shutdown.finish(PATIENCE).await.is_complete());
    });
}

/// The line below the call.
#[track_caller]
fn next_line() -> String {
    let here = Location::caller();
    format!("{}:{}:", here.file(), here.line() + 1)
}

/// What the report says of the guard from this line.
#[track_caller]
fn told(report: &Report, line: &str) -> String {
    let left = report.left().iter().find(|left| left.to_string().contains(line));
    left.unwrap_or_else(|| panic!("nothing of {line} in {report}")).to_string()
}

#[test]
fn what_is_left_is_reported_with_what_it_waits_for() {
    block_on(async {
        let shutdown = Shutdown::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_sender, mut receiver) = mpsc::channel::<()>(1);
        let accepts = next_line();
        let accepting = shutdown.spawn(async move { listener.accept().await.map(drop) });
        let receives = next_line();
        let named = shutdown.track(async move { receiver.recv().await });
        let receiving = task::Builder::new().name("receiver").spawn(named);
        let sleeps = next_line();
        let sleeping = shutdown.spawn(sleep(PATIENCE));
        let joins = next_line();
        let joining = shutdown.spawn(receiving);
        let foreign = next_line();
        let foreign_task = shutdown.spawn(pending::<()>());
        let guards = next_line();
        let guard = shutdown.guard();
        let unpolled = next_line();
        let tracked = shutdown.track(pending::<()>());
        task::yield_now().await;

        let report = shutdown.finish(SHORT).await;
        assert!(!report.is_complete() && report.took() >= SHORT);
        assert_eq!((report.awaited(), report.left().len()), (7, 7));
        let text = report.to_string();
        assert!(text.starts_with("7 of 7 have not ended within "), "{text}");
        assert_eq!(text.lines().count(), 8, "{text}");
        let accepts = told(&report, &accepts);
        assert!(accepts.starts_with(&format!("task {} from ", accepting.id())), "{accepts}");
        let end = format!("to become readable (tcp-listener, {address})");
        assert!(accepts.ends_with(&end), "{accepts}");
        let receives = told(&report, &receives);
        assert!(receives.contains(" \"receiver\" from "), "{receives}");
        assert!(receives.contains(": waits for primitive "), "{receives}");
        assert!(told(&report, &sleeps).contains(": waits for timer "), "{report}");
        assert!(told(&report, &joins).contains(": waits for the end of task "), "{report}");
        let unknown = ": waits for something that is not known";
        assert!(told(&report, &foreign).ends_with(unknown), "{report}");
        // The guard is ours, and so is the task that is just being polled.
        let own = report.left().iter().find(|left| left.to_string().contains(&guards)).unwrap();
        assert_eq!((own.name(), own.runtime().is_some()), ("root", true));
        let unpolled = told(&report, &unpolled);
        assert!(unpolled.starts_with("a guard from ") && !unpolled.contains(": "), "{unpolled}");
        let left = &report.left()[0];
        assert_eq!(left.task(), Some(accepting.id()));
        assert_eq!(left.location().file(), file!());
        assert!(left.spawned().contains("shutdown.rs"), "{left:?}");
        assert!(left.waiting_for().is_some());
        drop((guard, tracked, sleeping, joining, foreign_task));
    });
}

#[test]
fn without_a_recorder_it_is_known_how_much_is_left_and_where_from() {
    let runtime = Builder::new().recorder(false).build().unwrap();
    runtime.block_on(async {
        let shutdown = Shutdown::new();
        let line = next_line();
        let left = shutdown.spawn(pending::<()>());
        task::yield_now().await;
        let report = shutdown.finish(SHORT).await;
        assert_eq!(report.left().len(), 1);
        let left_text = report.left()[0].to_string();
        assert!(left_text.starts_with(&format!("a guard from {line}")), "{left_text}");
        left.abort();
    });
}

#[test]
fn threads_are_told_and_waited_for() {
    let shutdown = Shutdown::new();
    let (go, wait) = channel::<()>();
    let (done, is_done) = channel();
    block_on(async {
        let (guard, seen) = (shutdown.guard(), shutdown.clone());
        let blocking = spawn_blocking(move || {
            let _guard = guard;
            while !seen.is_requested() {
                thread::yield_now();
            }
            wait.recv().unwrap();
            done.send(()).unwrap();
        });
        let waiting = spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.requested().await }
        });
        task::yield_now().await;
        let requests = shutdown.clone();
        thread::spawn(move || requests.request()).join().unwrap();
        timeout(PATIENCE, waiting).await.expect("woken from another thread").unwrap();
        let early = shutdown.finish(SHORT).await;
        assert_eq!(early.left().len(), 1, "{early}");
        assert!(early.to_string().starts_with("1 of 1 has not ended within "), "{early}");
        go.send(()).unwrap();
        let report = shutdown.finish(PATIENCE).await;
        assert!(report.is_complete() && is_done.try_recv().is_ok(), "{report}");
        blocking.await.unwrap();
    });
}

#[test]
fn ctrl_c_or_the_term_signal_requests_it() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        block_on(async {
            let shutdown = Shutdown::new();
            shutdown.listen_to_signals().unwrap();
            task::yield_now().await;
            assert!(!shutdown.is_requested());
            // SAFETY: sends a signal to this process, which listens to it.
            assert_eq!(unsafe { libc::kill(libc::getpid(), signal) }, 0);
            timeout(PATIENCE, shutdown.requested()).await.expect("the signal has not arrived");
            assert!(shutdown.finish(PATIENCE).await.is_complete());
        });
    }
}

#[test]
fn what_is_left_goes_on() {
    let runtime = Runtime::new().unwrap();
    let (shutdown, kept) = (Shutdown::new(), Rc::new(()));
    let inside = Rc::clone(&kept);
    let report = runtime.block_on(async {
        shutdown.spawn(async move {
            pending::<()>().await;
            drop(inside);
        });
        shutdown.finish(SHORT).await
    });
    assert_eq!(report.left().len(), 1);
    assert_eq!((Rc::strong_count(&kept), shutdown.guards()), (2, 1));
    drop(runtime);
    assert_eq!((Rc::strong_count(&kept), shutdown.guards()), (1, 0));
}
