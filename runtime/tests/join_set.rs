//! Sets of tasks.

use nexus_runtime::task::JoinSet;
use nexus_runtime::{Runtime, spawn, task};
use std::cell::Cell;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Wake};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(future)
}

async fn yields(times: u32) {
    for _ in 0..times {
        task::yield_now().await;
    }
}

#[test]
fn results_come_in_the_order_in_which_tasks_end() {
    block_on(async {
        let mut set = JoinSet::new();
        for times in [5, 1, 3] {
            set.spawn(async move {
                yields(times).await;
                times
            });
        }
        assert_eq!(set.len(), 3);
        assert_eq!(set.join_all().await, [1, 3, 5]);
    });
}

#[test]
fn an_empty_set_has_no_next() {
    block_on(async {
        let mut set = JoinSet::<()>::new();
        assert!(set.join_next().await.is_none());
        assert!(set.try_join_next().is_none());
        set.spawn(async {});
        set.join_next().await.unwrap().unwrap();
        assert!(set.join_next().await.is_none());
    });
}

#[test]
fn a_task_that_has_ended_can_be_added_also_while_somebody_waits() {
    block_on(async {
        let ended = spawn(async { 1 });
        yields(2).await;
        assert!(ended.is_finished());
        let mut set = JoinSet::new();
        set.add(ended);
        set.extend([spawn(async { 2 })]);
        assert_eq!(set.join_next().await.unwrap().unwrap(), 1);
        assert_eq!(set.join_next().await.unwrap().unwrap(), 2);
    });
}

#[test]
fn panics_and_aborts_are_errors_of_their_tasks_only() {
    block_on(async {
        let mut set = JoinSet::new();
        set.spawn(async { panic!("on purpose") });
        set.spawn(pending());
        set.spawn(async { 3 });
        assert!(set.join_next().await.unwrap().unwrap_err().is_panic());
        assert_eq!(set.join_next().await.unwrap().unwrap(), 3);
        set.abort_all();
        assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert!(set.is_empty());
    });
}

#[test]
fn dropping_the_set_ends_its_tasks_and_detaching_lets_them_run() {
    struct Guard(Rc<Cell<u32>>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    block_on(async {
        let ended = Rc::new(Cell::new(0));
        let mut set = JoinSet::new();
        for _ in 0..10 {
            let guard = Guard(ended.clone());
            set.spawn(async move {
                yields(20).await;
                drop(guard);
            });
        }
        let mut others = JoinSet::new();
        let guard = Guard(ended.clone());
        let done = Rc::new(Cell::new(false));
        let finished = done.clone();
        others.spawn(async move {
            yields(5).await;
            finished.set(true);
            drop(guard);
        });
        yields(1).await;
        drop(set);
        others.detach_all();
        assert!(others.join_next().await.is_none());
        yields(2).await;
        assert_eq!(ended.get(), 10, "ended long before their own end");
        yields(10).await;
        assert!(done.get());
    });
}

#[test]
fn shutdown_waits_for_the_end_of_all() {
    block_on(async {
        let shared = Rc::new(());
        let mut set = JoinSet::new();
        for _ in 0..3 {
            let inside = shared.clone();
            set.spawn(async move {
                pending::<()>().await;
                drop(inside);
            });
        }
        set.shutdown().await;
        assert_eq!(Rc::strong_count(&shared), 1);
    });
}

#[test]
fn a_dropped_wait_loses_nothing() {
    block_on(async {
        let mut set = JoinSet::new();
        set.spawn(async {
            yields(2).await;
            7
        });
        {
            let mut next = std::pin::pin!(set.join_next());
            std::future::poll_fn(|cx| {
                assert!(next.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
        }
        yields(5).await;
        assert_eq!(set.try_join_next().unwrap().unwrap(), 7);
    });
}

#[test]
fn a_dropped_wait_wakes_nobody() {
    struct Counter(AtomicU32);
    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    block_on(async {
        let counter = Arc::new(Counter(AtomicU32::new(0)));
        let mut set = JoinSet::new();
        set.spawn(yields(2));
        {
            let mut next = std::pin::pin!(set.join_next());
            let waker = counter.clone().into();
            assert!(next.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        assert_eq!(Arc::strong_count(&counter), 1, "no waker is left behind");
        yields(5).await;
        assert_eq!(counter.0.load(Ordering::Relaxed), 0);
        set.join_next().await.unwrap().unwrap();
    });
}

#[test]
fn a_set_outlives_its_runtime() {
    let runtime = Runtime::new().unwrap();
    let mut set = runtime.block_on(async {
        let mut set = JoinSet::new();
        set.spawn(async { 1 });
        set.spawn(async {
            pending::<()>().await;
            2
        });
        yields(2).await;
        set
    });
    drop(runtime);
    let other = Runtime::new().unwrap();
    other.block_on(async {
        assert_eq!(set.join_next().await.unwrap().unwrap(), 1);
        assert!(set.join_next().await.unwrap().unwrap_err().is_cancelled());
        assert!(set.join_next().await.is_none());
    });
}

#[test]
fn join_all_goes_on_with_a_panic() {
    let caught = catch_unwind(AssertUnwindSafe(|| {
        block_on(async {
            let mut set = JoinSet::new();
            set.spawn(async { panic!("inside") });
            set.join_all().await
        })
    }));
    assert_eq!(*caught.unwrap_err().downcast::<&'static str>().unwrap(), "inside");
}
