//! The usual life of an endpoint: it appears, tells all, even while its process hangs, and goes with its process.

use crate::observed::{
    ALL, eventually, frames_until, private_directory, snapshot, start, start_with,
};
use nexus_protocol::board::Activity;
use nexus_protocol::event::Event;
use nexus_protocol::frame::{Goodbye, ServerFrame};
use std::fs;
use std::os::unix::fs::symlink;

#[test]
fn a_process_is_found_and_says_goodbye_when_it_ends() {
    let directory = private_directory();
    let observed = start("serve", directory.path());
    let mut client = observed.attach();
    assert_eq!(client.hello().0.pid, observed.child.id());
    let name = format!("{}-{}.sock", observed.child.id(), client.hello().0.start_time);
    assert_eq!(observed.socket(), directory.path().join(name));
    let fires = |frame: &ServerFrame| matches!(frame, ServerFrame::Events { records, .. } if records.len() > 3);
    let mut frames = frames_until(&mut client, fires);
    observed.ends();
    frames.extend(frames_until(&mut client, |frame| matches!(frame, ServerFrame::Goodbye(_))));
    assert_eq!(frames.last(), Some(&ServerFrame::Goodbye(Goodbye::ProcessEnding)));
    assert_eq!(accounted(&frames), recorded(&frames), "everything until the end");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left behind");
}

/// Number after the last record that the frames account for, without a gap from the first one on.
fn accounted(frames: &[ServerFrame]) -> u64 {
    frames.iter().fold(0, |next, frame| match frame {
        ServerFrame::Events { records, next_seq, filtered, .. } => {
            assert_eq!(next + records.len() as u64 + filtered, *next_seq);
            *next_seq
        }
        ServerFrame::Loss { from, to, .. } => {
            assert_eq!(next, *from);
            *to
        }
        _ => next,
    })
}

/// What the runtime's last description says that it has recorded.
fn recorded(frames: &[ServerFrame]) -> u64 {
    let last = frames.iter().rev().find_map(|frame| match frame {
        ServerFrame::Runtime(info) => Some(info),
        _ => None,
    });
    let last = last.expect("the end of the runtime was told");
    assert!(!last.ended.is_never());
    last.recorded
}

#[test]
fn a_thread_that_hangs_in_a_poll_is_seen_to() {
    let directory = private_directory();
    let observed = start("hang", directory.path());
    let mut client = observed.attach();
    let (mut seen, mut strings) = snapshot(&mut client);
    // The socket may be there before the poll has begun.
    while !matches!(seen.activity, Activity::Polling(_)) {
        client.subscribe(ALL).unwrap();
        let (later, more) = snapshot(&mut client);
        seen = later;
        strings.extend(more);
    }
    let Activity::Polling(task) = seen.activity else { unreachable!() };
    let row = seen.tasks.iter().find(|row| row.task == task).unwrap();
    assert!(seen.since <= seen.taken && !seen.since.is_never());
    let location = &strings[row.location.0 as usize];
    assert!(location.contains("tests/endpoint/workloads.rs:"), "{location}");
    observed.ends();
}

#[test]
fn a_program_that_is_held_for_its_observer_delivers_everything() {
    let directory = private_directory();
    let observed = start_with("brief", directory.path(), |command| {
        command.env("NEXUS_INSPECT_HOLD", "60000");
    });
    let mut client = observed.connect();
    assert_eq!(client.hello().1[0].tasks, 0, "its first task waits");
    client.subscribe(ALL).unwrap();
    let frames = frames_until(&mut client, |frame| matches!(frame, ServerFrame::Goodbye(_)));
    assert_eq!(accounted(&frames), recorded(&frames));
    let finished = frames.iter().map(|frame| match frame {
        ServerFrame::Events { records, .. } => records
            .iter()
            .filter(|record| matches!(record.event, Event::TaskFinished { .. }))
            .count(),
        _ => 0,
    });
    assert_eq!(finished.sum::<usize>(), 11, "ten tasks and the root");
    observed.ends();
}

#[test]
fn what_a_killed_process_leaves_is_swept_by_the_next_one() {
    let directory = private_directory();
    let mut killed = start("serve", directory.path());
    let left = killed.socket();
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    assert!(left.exists());
    let (one, two) = (start("serve", directory.path()), start("serve", directory.path()));
    let (first, second) = (one.connect(), two.connect());
    eventually("the sweep", || (!left.exists()).then_some(()));
    assert!(one.socket().exists() && two.socket().exists());
    drop((first, second));
    one.ends();
    two.ends();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_that_is_a_symbolic_link_is_passed_over() {
    let directory = private_directory();
    let (link, target) = (directory.path().join("link"), directory.path().join("target"));
    fs::create_dir(&target).unwrap();
    symlink(&target, &link).unwrap();
    let mut observed = start_with("serve", &link, |command| {
        command.env("XDG_RUNTIME_DIR", directory.path());
    });
    observed.directory = directory.path().join("nexus");
    observed.attach();
    assert_eq!(fs::read_dir(&target).unwrap().count(), 0);
    observed.ends();
}

#[test]
fn the_environment_switches_endpoint_and_recorder_off() {
    let directory = private_directory();
    let off = start_with("brief", directory.path(), |command| {
        command.env("NEXUS_INSPECT", "off").env("NEXUS_INSPECT_HOLD", "60000");
    });
    off.ends();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "no endpoint, no wait for it");
    let silent = start_with("serve", directory.path(), |command| {
        command.env("NEXUS_RECORDER", "off");
    });
    let client = silent.connect();
    assert_eq!((client.hello().1[0].ring_capacity, client.hello().1[0].recorded), (0, 0));
    silent.ends();
}
