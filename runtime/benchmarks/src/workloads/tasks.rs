//! Workloads that keep the executor busy and nothing else.

use crate::host::thread_cpu_ns;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Wakes itself whenever it is polled, first to warm up and then as often as is measured. A task of its own, with
/// nothing around it: even an `async` block would cost a tenth of what a poll does.
pub(crate) struct SelfWaking {
    left: u32,
    measured: u32,
    start_ns: f64,
}

impl SelfWaking {
    pub(crate) fn new(measured: u32) -> Self {
        Self { left: measured + measured / 10, measured, start_ns: 0.0 }
    }
}

impl Future for SelfWaking {
    /// How long all the polls took that are measured.
    type Output = f64;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<f64> {
        if self.left == self.measured {
            self.start_ns = thread_cpu_ns();
        }
        if self.left == 0 {
            return Poll::Ready(thread_cpu_ns() - self.start_ns);
        }
        self.left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Lets all other ready tasks run once: the same plain one for all contestants.
///
/// Some have their own, which are better than this (a recorder knows them for what they are) or do more (tokio's asks
/// the kernel once a round).
pub(crate) fn yield_now() -> impl Future<Output = ()> {
    let mut yielded = false;
    poll_fn(move |cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

/// The methods of [`Contestant`](crate::contestant::Contestant) that need tasks.
///
/// `run` is to build a runtime and run a future in it; `value` to turn what awaiting a task yields into the task's
/// output. All measuring is done inside a task: some runtimes treat the root future in another way.
macro_rules! task_workloads {
    (run: $run:expr, spawn: $spawn:expr, value: $value:expr $(,)?) => {
        fn self_waking(polls: u32) -> $crate::contestant::Outcome {
            use $crate::workloads::tasks::SelfWaking;
            let took = $run(async move { $value($spawn(SelfWaking::new(polls)).await) })?;
            Ok((took / f64::from(polls)).into())
        }

        fn yielding(tasks: u32, polls_each: u32) -> $crate::contestant::Outcome {
            use $crate::host::thread_cpu_ns;
            use $crate::workloads::tasks::yield_now;
            let (took, polled) = $run(async move {
                let measuring = $spawn(async move {
                    let mut result = (0.0, 0);
                    // The first time is the warm-up.
                    for polls_each in [polls_each / 10, polls_each] {
                        let start = thread_cpu_ns();
                        let mut spawned = Vec::with_capacity(tasks as usize);
                        for _ in 0..tasks {
                            spawned.push($spawn(async move {
                                for _ in 1..polls_each {
                                    yield_now().await;
                                }
                                polls_each
                            }));
                        }
                        let mut polled = 0;
                        for task in spawned {
                            polled += $value(task.await);
                        }
                        result = (thread_cpu_ns() - start, polled);
                    }
                    result
                });
                $value(measuring.await)
            })?;
            assert_eq!(polled, tasks * polls_each);
            Ok((took / f64::from(polled)).into())
        }

        fn spawn_and_await(times: u32) -> $crate::contestant::Outcome {
            use $crate::host::thread_cpu_ns;
            let (took, sum) = $run(async move {
                let measuring = $spawn(async move {
                    let mut result = (0.0, 0);
                    for times in [times / 10, times] {
                        let start = thread_cpu_ns();
                        let mut sum = 0;
                        for number in 0..times {
                            sum += u64::from($value($spawn(async move { number }).await));
                        }
                        result = (thread_cpu_ns() - start, sum);
                    }
                    result
                });
                $value(measuring.await)
            })?;
            assert_eq!(sum, u64::from(times) * u64::from(times - 1) / 2);
            Ok((took / f64::from(times)).into())
        }

        fn spawn_many_and_join(tasks: u32, times: u32) -> $crate::contestant::Outcome {
            use $crate::host::thread_cpu_ns;
            let (took, sum) = $run(async move {
                let measuring = $spawn(async move {
                    let mut result = (0.0, 0);
                    for times in [times / 10, times] {
                        let start = thread_cpu_ns();
                        let mut sum = 0;
                        for _ in 0..times {
                            let mut spawned = Vec::with_capacity(tasks as usize);
                            for number in 0..tasks {
                                spawned.push($spawn(async move { number }));
                            }
                            for task in spawned {
                                sum += u64::from($value(task.await));
                            }
                        }
                        result = (thread_cpu_ns() - start, sum);
                    }
                    result
                });
                $value(measuring.await)
            })?;
            assert_eq!(sum, u64::from(times) * u64::from(tasks) * u64::from(tasks - 1) / 2);
            Ok((took / f64::from(tasks) / f64::from(times)).into())
        }
    };
}
pub(crate) use task_workloads;
