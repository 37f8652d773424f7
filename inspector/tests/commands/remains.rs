//! What programs leave behind that had no time to tell it: all that they recorded is delivered, once.

use crate::inspector::{Ran, inspector, run};
use nexus_protocol::event::{Event, Operation, OperationResult};
use nexus_protocol::frame::ServerFrame;
use nexus_protocol::trace::{Reader, Reason};
use nexus_runtime::net::UnixStream;
use nexus_runtime::{Builder, RecordingPlace, spawn};
use rustix::process::{Signal, getpid, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Tells this program, started by the inspector, which of the children below it is to be.
const ROLE: &str = "LEAVES_ROLE";
/// Where a child writes how many reads it has made.
const COUNT: &str = "LEAVES_COUNT";
/// Where a child puts its recording by its own choice.
const PLACE: &str = "LEAVES_PLACE";

/// Runs a child under `record`, and compares the trace with the child's own count.
struct Recorded {
    ran: Ran,
    trace: PathBuf,
    counted: usize,
}

fn record(directory: &Path, role: &str) -> Recorded {
    let trace = directory.join("t.json");
    let count = directory.join("count");
    let child = std::env::current_exe().unwrap();
    let mut arguments = vec!["record", "-o", trace.to_str().unwrap(), "--"];
    arguments.push(child.to_str().unwrap());
    arguments.extend(["--exact", "remains::child", "--nocapture"]);
    let mut command = inspector(directory, &arguments);
    let output = command.env(ROLE, role).env(COUNT, &count).output().unwrap();
    let counted = fs::read_to_string(&count).expect("the child has counted");
    Recorded { ran: output.into(), trace, counted: counted.parse().unwrap() }
}

impl Recorded {
    /// Makes sure that the trace has each read once, and nothing is missing. Returns the number of its runtimes.
    #[track_caller]
    fn assert_complete(&self) -> usize {
        self.assert_has_all(Reason::ProcessEnding)
    }

    #[track_caller]
    fn assert_has_all(&self, reason: Reason) -> usize {
        let mut reader = Reader::new(BufReader::new(File::open(&self.trace).unwrap()));
        let (mut reads, mut next) = (0, BTreeMap::new());
        for frame in reader.by_ref() {
            let ServerFrame::Events { runtime, records, .. } = frame.unwrap() else { continue };
            for record in records {
                let expected = next.entry(runtime).or_insert((0, record.at));
                assert_eq!(record.seq, expected.0, "records come once, and in order");
                assert!(record.at >= expected.1, "stamps do not run backwards");
                *expected = (record.seq + 1, record.at);
                let done = OperationResult::Done(1);
                reads += usize::from(matches!(
                    record.event,
                    Event::Operation { operation: Operation::Read, result, .. } if result == done
                ));
            }
        }
        let summary = reader.summary().expect("the trace is whole");
        assert_eq!(summary.reason, reason);
        assert_eq!(summary.lost(), 0, "{summary:?}");
        assert!(summary.complete(), "{summary:?}");
        assert_eq!(reads, self.counted, "reads in the trace, and reads that were made");
        next.len()
    }
}

#[test]
fn a_program_that_kills_itself_in_a_storm_delivers_its_last_records() {
    let directory = tempfile::tempdir().unwrap();
    let recorded = record(directory.path(), "killed");
    assert_eq!(recorded.assert_complete(), 1);
    assert!(recorded.counted >= 3000);
    recorded.ran.exits_with(6).says("signal 9 (SIGKILL)");
}

#[test]
fn a_program_that_lives_for_a_moment_delivers_everything() {
    let directory = tempfile::tempdir().unwrap();
    let recorded = record(directory.path(), "brief");
    assert_eq!(recorded.assert_complete(), 1);
    recorded.ran.exits_with(0);
}

#[test]
fn a_program_that_nobody_can_attach_to_delivers_everything() {
    for role in ["unseen", "unseen-killed"] {
        let directory = tempfile::tempdir().unwrap();
        let recorded = record(directory.path(), role);
        assert_eq!(recorded.assert_complete(), 1);
        recorded.ran.exits_with(if role == "unseen" { 0 } else { 6 });
    }
}

#[test]
fn runtimes_that_come_and_go_before_the_end_are_delivered_once() {
    let directory = tempfile::tempdir().unwrap();
    let recorded = record(directory.path(), "many");
    assert_eq!(recorded.assert_complete(), 12);
    recorded.ran.exits_with(6);
}

#[test]
fn the_file_of_a_process_that_was_killed_is_a_target_as_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let (map, count) = (directory.path().join("gateway.map"), directory.path().join("count"));
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "remains::child", "--nocapture"])
        .env(ROLE, "killed")
        .env(COUNT, &count)
        .env(PLACE, &map)
        .env("NEXUS_INSPECT_DIR", directory.path())
        .status()
        .unwrap();
    assert!(!status.success());
    let map = map.to_str().unwrap();

    let ran = run(directory.path(), &["snapshot", map]).exits_with(0);
    for expected in ["leaves", "unix-stream", "TASKS: "] {
        assert!(ran.stdout.contains(expected), "no {expected:?} in:\n{}", ran.stdout);
    }
    let ran = run(directory.path(), &["snapshot", map, "--json"]).exits_with(0);
    let board: Value = serde_json::from_str(&ran.stdout).unwrap();
    let totals = &board["runtimes"][0]["snapshot"]["totals"];

    let trace = directory.path().join("t.json");
    let ran = run(directory.path(), &["record", map, "-o", trace.to_str().unwrap()]).exits_with(0);
    let counted = fs::read_to_string(&count).unwrap().parse().unwrap();
    let recorded = Recorded { ran, trace, counted };
    recorded.assert_complete();
    let summary = Reader::new(BufReader::new(File::open(&recorded.trace).unwrap()));
    let records: u64 = summary
        .filter_map(|frame| match frame {
            Ok(ServerFrame::Events { records, .. }) => Some(records.len() as u64),
            _ => None,
        })
        .sum();
    // It was killed within a poll: the board may stand at the record of its start.
    assert!(totals["recorded"].as_u64().unwrap().abs_diff(records) <= 8, "{totals} of {records}");
}

#[test]
fn the_trace_of_a_panic_is_a_target_as_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let dumps = directory.path().join("dumps");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "remains::child", "--nocapture"])
        .env(ROLE, "panics")
        .env(COUNT, directory.path().join("count"))
        .env("NEXUS_DUMP_ON_PANIC", &dumps)
        .env("NEXUS_INSPECT_DIR", directory.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let path = stderr.lines().find_map(|line| line.split_once(" is in ")).expect("a path").1;
    assert!(path.starts_with(dumps.to_str().unwrap()) && path.ends_with(".nxt"), "{path}");

    let ran = run(directory.path(), &["snapshot", path]).exits_with(0);
    for expected in ["leaves", "unix-stream", "TASKS: "] {
        assert!(ran.stdout.contains(expected), "no {expected:?} in:\n{}", ran.stdout);
    }
    let trace = directory.path().join("t.json");
    let ran = run(directory.path(), &["record", path, "-o", trace.to_str().unwrap()]).exits_with(0);
    let counted = fs::read_to_string(directory.path().join("count")).unwrap().parse().unwrap();
    Recorded { ran, trace, counted }.assert_has_all(Reason::Finished);
}

#[test]
fn a_file_that_was_cut_is_a_clear_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.map");
    let place = RecordingPlace::File(path.clone());
    drop(Builder::new().recording_place(place).endpoint(false).build().unwrap());
    File::options().write(true).open(&path).unwrap().set_len(100_000).unwrap();
    run(directory.path(), &["snapshot", path.to_str().unwrap()])
        .exits_with(3)
        .says("x.map")
        .says("it was cut: it has 100000 of");
}

/// Not a test: what this program does when the inspector starts it.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    match &*role {
        "killed" => exchange(builder(), 3000, End::Kill),
        "brief" => exchange(builder(), 200, End::Return),
        "unseen" => exchange(builder().endpoint(false), 500, End::Return),
        "unseen-killed" => exchange(builder().endpoint(false), 500, End::Kill),
        "many" => (0..12).for_each(|number| {
            exchange(builder(), 50, if number < 11 { End::Return } else { End::Kill });
        }),
        "panics" => exchange(builder(), 500, End::Panic),
        other => panic!("no role {other:?}"),
    }
}

fn builder() -> Builder {
    match std::env::var_os(PLACE) {
        Some(path) => Builder::new().recording_place(RecordingPlace::File(path.into())),
        None => Builder::new(),
    }
}

/// How it ends.
enum End {
    Return,
    Kill,
    Panic,
}

/// Carries bytes over a socket, one by one, and counts; at least for a moment, so that somebody can attach in the
/// middle of it.
fn exchange(builder: Builder, reads: usize, end: End) {
    let path = std::env::var_os(COUNT).unwrap();
    let before: usize = fs::read_to_string(&path).map_or(0, |text| text.parse().unwrap());
    let runtime = builder.name("leaves").build().unwrap();
    runtime.block_on(async {
        let (one, other) = UnixStream::pair().unwrap();
        drop(spawn(async move { while other.write_all(b"x").await.is_ok() {} }));
        let started = Instant::now();
        let mut read = 0;
        while read < reads || started.elapsed() < Duration::from_millis(5) {
            one.read_exact(&mut [0]).await.unwrap();
            read += 1;
            // No more than the ring holds: whoever is late is to find everything.
            if read == 5000 {
                break;
            }
        }
        fs::write(&path, (before + read).to_string()).unwrap();
        match end {
            End::Return => {}
            End::Kill => kill_process(getpid(), Signal::KILL).unwrap(),
            End::Panic => panic!("as it was told"),
        }
    });
}
