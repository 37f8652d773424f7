//! The endpoint's thread takes no signal, no special scheduling and no CPU from the others, and gets its share beside a
//! thread that spins.

use crate::observed::{Observed, eventually, private_directory, snapshot, start};
use crate::workloads::last_cpu;
use nexus_protocol::board::Activity;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the kernel tells of a thread.
fn thread(observed: &Observed, name: &str) -> PathBuf {
    let tasks = PathBuf::from(format!("/proc/{}/task", observed.child.id()));
    let called = |path: &PathBuf| {
        fs::read_to_string(path.join("comm")).is_ok_and(|comm| comm.trim_end() == name)
    };
    eventually("the thread", || {
        fs::read_dir(&tasks).unwrap().flatten().map(|task| task.path()).find(called)
    })
}

/// An entry of a thread's status.
fn status(thread: &Path, name: &str) -> String {
    let status = fs::read_to_string(thread.join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap().trim().to_owned()
}

/// How a thread is scheduled: field 41 of its `stat`.
fn policy(thread: &Path) -> i32 {
    let stat = fs::read_to_string(thread.join("stat")).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_ascii_whitespace().nth(38).unwrap().parse().unwrap()
}

#[test]
fn it_takes_no_signal() {
    let directory = private_directory();
    let mut observed = start("hang", directory.path());
    observed.hears("ready");
    let endpoint = thread(&observed, "nexus-endpoint");
    let blocked = u64::from_str_radix(&status(&endpoint, "SigBlk"), 16).unwrap();
    // All but SIGKILL and SIGSTOP, which cannot be, and two that the C library keeps for itself.
    let can_be = |signal: &u32| ![9, 19, 32, 33].contains(signal);
    let free: Vec<u32> =
        (1..=64).filter(can_be).filter(|signal| blocked & 1 << (signal - 1) == 0).collect();
    assert!(free.is_empty(), "{free:?} of {blocked:x}");
    observed.ends();
}

#[test]
fn it_is_an_ordinary_thread_beside_a_special_one() {
    let directory = private_directory();
    let mut observed = start("pinned", directory.path());
    observed.hears("ready");
    let (endpoint, runtime) = (thread(&observed, "nexus-endpoint"), thread(&observed, "workload"));
    assert_eq!(policy(&runtime), libc::SCHED_BATCH);
    eventually("ordinary scheduling", || (policy(&endpoint) == libc::SCHED_OTHER).then_some(()));
    // On the CPUs of the process's first thread, not on the one that the runtime's is pinned to.
    let first = PathBuf::from(format!("/proc/{}", observed.child.id()));
    let all = status(&first, "Cpus_allowed_list");
    eventually("the process's CPUs", || {
        (status(&endpoint, "Cpus_allowed_list") == all).then_some(())
    });
    observed.ends();
}

#[test]
fn it_keeps_to_the_cpus_that_the_builder_allows() {
    let directory = private_directory();
    // The runtime's thread has the first CPU, where there are several, and the endpoint's the last one of all.
    let last = last_cpu().to_string();
    let mut observed = start("apart", directory.path());
    observed.hears("ready");
    let endpoint = thread(&observed, "nexus-endpoint");
    eventually("its CPU", || (status(&endpoint, "Cpus_allowed_list") == last).then_some(()));
    observed.ends();
}

#[test]
fn it_is_not_starved_by_a_thread_that_spins_on_the_only_cpu() {
    let directory = private_directory();
    let mut observed = start("spin", directory.path());
    observed.hears("ready");
    let endpoint = thread(&observed, "nexus-endpoint");
    for _ in 0..3 {
        let (seen, _) = snapshot(&mut observed.attach());
        assert!(matches!(seen.activity, Activity::Polling(_)), "{:?}", seen.activity);
    }
    assert_eq!(
        status(&endpoint, "Cpus_allowed_list"),
        status(&thread(&observed, "workload"), "Cpus_allowed_list"),
        "they share it"
    );
    observed.tell();
    observed.ends();
}
