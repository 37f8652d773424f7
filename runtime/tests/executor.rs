//! Tasks: spawning, joining, waking, panicking, aborting.

#![allow(clippy::async_yields_async, reason = "some tests carry a handle out of block_on")]

use nexus_runtime::{Runtime, spawn, task};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

fn runtime() -> Runtime {
    Runtime::new().unwrap()
}

#[test]
fn block_on_returns_the_output() {
    assert_eq!(runtime().block_on(async { 7 }), 7);
}

#[test]
fn tasks_run_in_the_order_in_which_they_were_woken() {
    let order = Rc::new(RefCell::new(Vec::new()));
    runtime().block_on(async {
        let handles: Vec<_> = (0..5)
            .map(|index| {
                let order = order.clone();
                spawn(async move {
                    order.borrow_mut().push(index);
                    task::yield_now().await;
                    order.borrow_mut().push(index + 10);
                })
            })
            .collect();
        for handle in handles {
            handle.await.unwrap();
        }
    });
    assert_eq!(*order.borrow(), [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]);
}

#[test]
fn a_detached_task_goes_on_and_its_output_is_dropped() {
    struct Counted(Rc<Cell<u32>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let dropped = Rc::new(Cell::new(0));
    let inside = dropped.clone();
    let runtime = runtime();
    runtime.block_on(async {
        drop(spawn(async move {
            task::yield_now().await;
            Counted(inside)
        }));
        task::yield_now().await;
        task::yield_now().await;
        task::yield_now().await;
    });
    assert_eq!(dropped.get(), 1);
}

#[test]
fn an_output_outlives_the_runtime_until_its_handle_is_dropped() {
    let runtime = runtime();
    let shared = Rc::new(());
    let output = shared.clone();
    let handle = runtime.block_on(async {
        let handle = spawn(async move { output });
        task::yield_now().await;
        task::yield_now().await;
        handle
    });
    assert!(handle.is_finished());
    drop(runtime);
    assert_eq!(Rc::strong_count(&shared), 2);
    drop(handle);
    assert_eq!(Rc::strong_count(&shared), 1);
}

#[test]
fn a_panic_is_an_error_of_the_handle_and_the_loop_goes_on() {
    runtime().block_on(async {
        let error = spawn(async { panic!("on purpose") }).await.unwrap_err();
        assert!(error.is_panic());
        assert_eq!(error.to_string(), "the task panicked: on purpose");
        assert_eq!(spawn(async { 3 }).await.unwrap(), 3);
    });
}

#[test]
fn a_panic_in_the_drop_of_a_future_is_contained() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in the drop");
        }
    }
    impl Future for Bomb {
        type Output = u32;
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
            Poll::Ready(5)
        }
    }
    runtime().block_on(async {
        assert_eq!(spawn(Bomb).await.unwrap(), 5, "the output was there before the drop");
        let aborted = spawn(async {
            let _bomb = Bomb;
            pending::<()>().await;
        });
        task::yield_now().await;
        aborted.abort();
        assert!(aborted.await.unwrap_err().is_cancelled());
        assert_eq!(spawn(async { 3 }).await.unwrap(), 3);
    });
}

#[test]
fn a_panic_of_the_root_future_comes_out_of_block_on_and_the_runtime_can_be_used_again() {
    let runtime = runtime();
    let caught = catch_unwind(AssertUnwindSafe(|| runtime.block_on(async { panic!("root") })));
    assert!(caught.is_err());
    assert_eq!(runtime.block_on(async { spawn(async { 1 }).await.unwrap() }), 1);
}

#[test]
fn nested_block_on_is_refused() {
    let caught = catch_unwind(|| {
        runtime().block_on(async {
            let other = Runtime::new().unwrap();
            other.block_on(async {});
        });
    });
    let message = *caught.unwrap_err().downcast::<&'static str>().unwrap();
    assert!(message.contains("Runtime::block_on called inside Runtime::block_on"), "{message}");
}

#[test]
fn spawning_outside_says_so() {
    let caught = catch_unwind(|| drop(spawn(async {})));
    assert_eq!(
        *caught.unwrap_err().downcast::<&'static str>().unwrap(),
        "called outside Runtime::block_on"
    );
}

#[test]
fn a_task_that_is_left_goes_on_with_the_next_block_on() {
    let runtime = runtime();
    let handle = runtime.block_on(async {
        spawn(async {
            for _ in 0..3 {
                task::yield_now().await;
            }
            "done"
        })
    });
    assert!(!handle.is_finished());
    assert_eq!(runtime.block_on(handle).unwrap(), "done");
}

#[test]
fn aborting_drops_the_future_and_yields_an_error() {
    runtime().block_on(async {
        let shared = Rc::new(());
        let inside = shared.clone();
        let handle = spawn(async move {
            pending::<()>().await;
            drop(inside);
        });
        task::yield_now().await;
        handle.abort();
        handle.abort();
        let error = handle.await.unwrap_err();
        assert!(error.is_cancelled());
        assert_eq!(error.to_string(), "the task was aborted");
        assert_eq!(Rc::strong_count(&shared), 1);
    });
}

#[test]
fn a_task_can_abort_itself() {
    runtime().block_on(async {
        let handle = Rc::new(RefCell::new(None::<task::JoinHandle<()>>));
        let own = handle.clone();
        let spawned = spawn(async move {
            if let Some(handle) = &*own.borrow() {
                handle.abort();
            }
            pending::<()>().await;
        });
        *handle.borrow_mut() = Some(spawned);
        task::yield_now().await;
        let handle = handle.borrow_mut().take().unwrap();
        assert!(handle.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn dropping_the_runtime_drops_tasks_and_tells_their_handles() {
    let runtime = runtime();
    let shared = Rc::new(());
    let inside = shared.clone();
    let handle = runtime.block_on(async {
        spawn(async move {
            let _inside = inside;
            pending::<()>().await;
        })
    });
    drop(runtime);
    assert_eq!(Rc::strong_count(&shared), 1);
    let error = Runtime::new().unwrap().block_on(handle).unwrap_err();
    assert_eq!(error.to_string(), "the task's runtime was dropped");
}

#[test]
fn a_task_that_spawns_while_it_is_dropped_gets_a_dead_task() {
    struct Spawner(Rc<Cell<bool>>);
    impl Drop for Spawner {
        fn drop(&mut self) {
            self.0.set(spawn(async {}).is_finished());
        }
    }
    let dead = Rc::new(Cell::new(false));
    let spawner = Spawner(dead.clone());
    let runtime = runtime();
    runtime.block_on(async {
        drop(spawn(async move {
            let _spawner = spawner;
            pending::<()>().await;
        }));
        task::yield_now().await;
    });
    drop(runtime);
    assert!(dead.get());
}

#[test]
fn wakers_may_be_kept_and_fired_beyond_the_end_of_task_and_runtime() {
    let kept = Rc::new(RefCell::new(None::<Waker>));
    let inside = kept.clone();
    let runtime = runtime();
    runtime.block_on(async move {
        spawn(poll_fn(move |cx| {
            *inside.borrow_mut() = Some(cx.waker().clone());
            Poll::Ready(())
        }))
        .await
        .unwrap();
    });
    let waker = kept.borrow_mut().take().unwrap();
    waker.wake_by_ref();
    drop(runtime);
    waker.wake_by_ref();
    let other = waker.clone();
    drop(waker);
    std::thread::spawn(move || other.wake()).join().unwrap();
}

#[test]
fn a_join_handle_can_be_dropped_while_it_is_awaited() {
    runtime().block_on(async {
        let mut handle = spawn(async {
            task::yield_now().await;
            task::yield_now().await;
        });
        let polled = poll_fn(|cx| Poll::Ready(Pin::new(&mut handle).poll(cx).is_pending())).await;
        assert!(polled);
        drop(handle);
        for _ in 0..5 {
            task::yield_now().await;
        }
    });
}

#[test]
fn a_task_that_always_finds_something_to_do_lets_others_run() {
    let runtime = nexus_runtime::Builder::new().task_budget(10).build().unwrap();
    runtime.block_on(async {
        let handles: Vec<_> = (0..1000).map(|number| spawn(async move { number })).collect();
        task::yield_now().await;
        let joined = Rc::new(Cell::new(0));
        let inside = joined.clone();
        let hot = spawn(async move {
            for handle in handles {
                handle.await.unwrap();
                inside.set(inside.get() + 1);
            }
        });
        let mut last = 0;
        while !hot.is_finished() {
            task::yield_now().await;
            assert!(joined.get() - last <= 10, "{} in one poll", joined.get() - last);
            last = joined.get();
        }
        assert_eq!(joined.get(), 1000);
    });
}
