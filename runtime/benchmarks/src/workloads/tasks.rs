//! Workloads that keep the executor busy and nothing else.

use std::pin::Pin;
use std::task::{Context, Poll};

/// Wakes itself until it has been polled this often.
pub(crate) struct SelfWaking {
    polls: u32,
    wanted: u32,
}

impl SelfWaking {
    pub(crate) fn new(wanted: u32) -> Self {
        Self { polls: 0, wanted }
    }
}

impl Future for SelfWaking {
    /// How often it was polled.
    type Output = u32;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        self.polls += 1;
        if self.polls >= self.wanted {
            return Poll::Ready(self.polls);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The methods of [`Contestant`](crate::contestant::Contestant) that need tasks.
///
/// `run` is to build a runtime and run a future in it; `value` to turn what awaiting a task yields into the task's
/// output. All measuring is done inside a task: some runtimes treat the root future in another way.
macro_rules! task_workloads {
    (run: $run:expr, spawn: $spawn:expr, value: $value:expr, yield_now: $yield_now:expr $(,)?) => {
        fn self_waking(polls: u32) -> $crate::contestant::Outcome {
            use $crate::host::thread_cpu_ns;
            use $crate::workloads::tasks::SelfWaking;
            let (took, polled) = $run(async move {
                let task = $spawn(async move {
                    SelfWaking::new(polls / 10).await;
                    let start = thread_cpu_ns();
                    let polled = SelfWaking::new(polls).await;
                    (thread_cpu_ns() - start, polled)
                });
                $value(task.await)
            })?;
            assert_eq!(polled, polls);
            Ok((took / f64::from(polls)).into())
        }

        fn yielding(tasks: u32, polls_each: u32) -> $crate::contestant::Outcome {
            use $crate::host::thread_cpu_ns;
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
                                    $yield_now().await;
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
