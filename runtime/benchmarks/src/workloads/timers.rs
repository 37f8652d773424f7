//! Workloads of sleeping tasks.

use crate::contestant::{Absent, Contestant, Outcome};
use std::time::Duration;

/// How late a sleep ends, the median of some in a row, in milliseconds.
///
/// The sleeps follow each other at once, so a runtime with ticks begins each of them just after a tick.
pub(crate) fn overshoot<C: Contestant>(duration: Duration, times: u32) -> Outcome {
    let mut took = C::sleeps(duration, times)?;
    if took.len() != times as usize {
        return Err(Absent(format!("{} of {times} sleeps were lost", times as usize - took.len())));
    }
    took.sort_by(f64::total_cmp);
    let wanted_ns = duration.as_nanos() as f64;
    let early = took.iter().filter(|&&ns| ns < wanted_ns).count();
    if early > 0 {
        return Err(Absent(format!("{early} of {times} sleeps ended early")));
    }
    Ok(((took[took.len() / 2] - wanted_ns) / 1e6).into())
}

/// How long the task with this number sleeps, of as many as there are: at least 1 ms, and then one task more each
/// microsecond, in no order.
pub(crate) fn spread(number: u32, tasks: u32) -> Duration {
    Duration::from_micros(1_000 + u64::from(number) * 7_919 % u64::from(tasks))
}

/// The methods of [`Contestant`] that need timers. `sleep` is to return a future, whatever it yields.
macro_rules! timer_workloads {
    (run: $run:expr, spawn: $spawn:expr, value: $value:expr, sleep: $sleep:expr $(,)?) => {
        fn sleeping(tasks: u32) -> $crate::contestant::Outcome {
            use $crate::host::thread_cpu_ns;
            use $crate::workloads::timers::spread;
            let (took, fired) = $run(async move {
                let measuring = $spawn(async move {
                    let mut result = (0.0, 0);
                    for tasks in [tasks / 10, tasks] {
                        let start = thread_cpu_ns();
                        let mut spawned = Vec::with_capacity(tasks as usize);
                        for number in 0..tasks {
                            spawned.push($spawn(async move {
                                $sleep(spread(number, tasks)).await;
                                1
                            }));
                        }
                        let mut fired = 0;
                        for task in spawned {
                            fired += $value(task.await);
                        }
                        result = (thread_cpu_ns() - start, fired);
                    }
                    result
                });
                $value(measuring.await)
            })?;
            assert_eq!(fired, tasks);
            Ok((took / f64::from(tasks)).into())
        }

        fn sleeps(
            duration: std::time::Duration,
            times: u32,
        ) -> Result<Vec<f64>, $crate::contestant::Absent> {
            use $crate::host::now_ns;
            $run(async move {
                let measuring = $spawn(async move {
                    let mut took = Vec::with_capacity(times as usize);
                    for _ in 0..times {
                        let start = now_ns();
                        $sleep(duration).await;
                        took.push(now_ns() - start);
                    }
                    took
                });
                $value(measuring.await)
            })
        }
    };
}
pub(crate) use timer_workloads;
