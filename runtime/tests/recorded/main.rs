//! What the recorder makes of tasks that wait for each other, for threads and for signals: operations, waits, wakes and
//! verdicts, as a client that misses nothing is told of them.

mod blocking;
mod observed;
mod shutdown;
mod signals;
mod sync;

/// What the program does when it is started again to be observed.
const WORKLOADS: &[(&str, fn())] = &[
    ("blocking", blocking::awaits_and_drops),
    ("channels", sync::channels),
    ("notifications", sync::notifications),
    ("an empty wake", sync::an_empty_wake),
    ("foreign futures", sync::foreign_futures),
    ("two runtimes", sync::two_runtimes),
    ("signals", signals::three_who_listen),
    ("shutdown by a task", shutdown::requested_by_a_task),
    ("shutdown by a thread", shutdown::requested_by_a_thread),
];

/// Not a test: runs a workload, if the environment names one.
#[test]
fn workload() {
    let Ok(name) = std::env::var(observed::WORKLOAD) else { return };
    let workload = WORKLOADS.iter().find(|(known, _)| *known == name);
    let (_, run) = workload.unwrap_or_else(|| panic!("no workload {name:?}"));
    run();
}
