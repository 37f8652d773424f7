//! An attach costs the observed thread nothing, whatever its size.

use crate::observed::{
    ALL, Observed, eventually, frames_until, private_directory, snapshot, start,
};
use crate::workloads::CROWD;
use nexus_protocol::board::{Activity, Totals};
use nexus_protocol::frame::{Goodbye, ServerFrame};
use std::fs;

/// What must not change while somebody attaches.
#[derive(Debug, PartialEq)]
struct Untouched {
    /// Time on a CPU, time in a run queue, and how often it was put on a CPU: a thread that was not on one since has made
    /// no system call, nor anything else.
    schedule: String,
    /// How often it has gone to sleep, and how often it was made to stop.
    switches: Vec<String>,
    /// The system call that it is in, with its arguments, if the kernel tells.
    call: Option<String>,
}

impl Untouched {
    /// Of the thread that runs the test in the observed process, which is the runtime's.
    fn of(observed: &Observed) -> Self {
        let tasks = fs::read_dir(format!("/proc/{}/task", observed.child.id())).unwrap();
        let called = |path: &std::path::PathBuf| {
            fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm == "workload\n")
        };
        let thread = tasks.map(|task| task.unwrap().path()).find(called).expect("the thread");
        let read = |what: &str| fs::read_to_string(thread.join(what));
        let status = read("status").unwrap();
        let switches = status.lines().filter(|line| line.contains("ctxt_switches"));
        let schedule = read("schedstat").unwrap();
        assert!(!schedule.starts_with("0 0 0"), "this kernel does not count");
        Self {
            schedule,
            switches: switches.map(str::to_owned).collect(),
            call: read("syscall").ok(),
        }
    }
}

/// Attaches, takes all there is, and leaves.
fn attach(observed: &Observed) -> (Totals, Activity) {
    let mut client = observed.attach();
    let (board, _) = snapshot(&mut client);
    assert_eq!(board.tokens.len(), CROWD);
    client.finish().unwrap();
    let is_goodbye = |frame: &ServerFrame| matches!(frame, ServerFrame::Goodbye(_));
    let frames = frames_until(&mut client, is_goodbye);
    assert_eq!(frames.last(), Some(&ServerFrame::Goodbye(Goodbye::Finished)));
    let events = frames.iter().filter(|frame| matches!(frame, ServerFrame::Events { .. }));
    assert!(events.count() > 0, "the history comes too");
    // Lengths of time are converted with a clock that is known the better the longer it runs.
    (Totals { busy: 0, parked: 0, ..board.totals }, board.activity)
}

#[test]
fn a_parked_thread_with_a_hundred_thousand_tokens_does_not_notice_an_attach() {
    let directory = private_directory();
    let mut observed = start("crowd", directory.path());
    observed.hears("ready");
    let (totals, _) = eventually("the thread to be parked", || {
        Some(attach(&observed)).filter(|(_, activity)| *activity == Activity::Parked)
    });
    let before = Untouched::of(&observed);
    for _ in 0..5 {
        assert_eq!(attach(&observed), (totals, Activity::Parked), "no wake, no turn, no event");
    }
    assert_eq!(Untouched::of(&observed), before);
    // The measure can tell: a wake is seen in it.
    observed.tell();
    eventually("the thread to wake", || (Untouched::of(&observed) != before).then_some(()));
    let mut client = observed.attach();
    client.subscribe(ALL).unwrap();
    assert_ne!(snapshot(&mut client).0.totals, totals);
    observed.ends();
}
