//! A thread panics: what was recorded until then is in a trace, and its path on standard error.

use nexus_protocol::board::Activity;
use nexus_protocol::event::Event;
use nexus_protocol::frame::{Goodbye, ServerFrame};
use nexus_protocol::trace::native::Reader;
use nexus_protocol::{Seq, TaskId};
use nexus_runtime::{Builder, spawn, task};
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Tells this program, started again, which of the children below it is to be.
const ROLE: &str = "DUMP_TEST_ROLE";
/// And where it is to dump.
const PLACE: &str = "DUMP_TEST_PLACE";

/// What a child left.
struct Left {
    success: bool,
    stderr: String,
    dumps: Vec<PathBuf>,
}

fn run(role: &str) -> (Left, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("made/if need be");
    let left = run_with(role, &place, |command| _ = command.env(PLACE, &place));
    (left, directory)
}

fn run_with(role: &str, place: &Path, change: impl FnOnce(&mut Command)) -> Left {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env(ROLE, role);
    change(&mut command);
    let Output { status, stderr, .. } = command.output().unwrap();
    let entries = fs::read_dir(place)
        .map_or(Vec::new(), |entries| entries.map(|entry| entry.unwrap().path()).collect());
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    Left { success: status.success(), stderr, dumps: entries }
}

impl Left {
    /// The one dump there is, which standard error names.
    #[track_caller]
    fn dump(&self) -> Dump {
        let [path] = &self.dumps[..] else {
            panic!("not one dump: {:?}\n{}", self.dumps, self.stderr)
        };
        assert_eq!(path.extension().unwrap(), "nxt");
        let path_text = path.to_str().unwrap();
        assert!(self.stderr.contains(&format!(" is in {path_text}\n")), "{}", self.stderr);
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut reader = Reader::new(File::open(path).unwrap());
        let frames = reader.by_ref().map(|frame| frame.unwrap()).collect();
        assert!(!reader.truncated());
        Dump { frames }
    }
}

struct Dump {
    frames: Vec<ServerFrame>,
}

impl Dump {
    /// Records of each runtime, which come without a gap.
    fn events(&self) -> Vec<(Seq, Event)> {
        let mut events = Vec::new();
        for frame in &self.frames {
            if let ServerFrame::Events { records, .. } = frame {
                events.extend(records.iter().map(|record| (record.seq, record.event)));
            }
        }
        events
    }

    /// The task of which the last board says that it is being polled.
    fn polled(&self) -> Option<TaskId> {
        let mut boards = self.frames.iter().filter_map(|frame| match frame {
            ServerFrame::Snapshot(board) => Some(board.activity),
            _ => None,
        });
        match boards.next_back().expect("a board") {
            Activity::Polling(task) => Some(task),
            _ => None,
        }
    }

    #[track_caller]
    fn assert_whole(&self) {
        assert!(matches!(&self.frames[0], ServerFrame::Hello { process, .. } if process.pid != 0));
        assert_eq!(self.frames.last(), Some(&ServerFrame::Goodbye(Goodbye::Finished)));
        let events = self.events();
        assert!(events.iter().map(|(seq, _)| *seq).eq(0..events.len() as u64));
    }
}

#[test]
fn a_panicking_task_leaves_the_poll_that_it_panicked_in() {
    let (left, _directory) = run("task");
    assert!(left.success, "the panic is the handle's error: {}", left.stderr);
    assert!(left.stderr.contains("as it was told"), "the message of the panic comes as ever");
    let dump = left.dump();
    dump.assert_whole();
    let events = dump.events();
    let task = dump.polled().expect("a task was being polled");
    let started =
        |event: &Event| matches!(event, Event::PollStart { task: polled, .. } if *polled == task);
    let start = events.iter().rposition(|(_, event)| started(event)).expect("its poll has begun");
    let ended = |(_, event): &(Seq, Event)| matches!(event, Event::PollEnd { .. });
    assert!(!events[start..].iter().any(ended), "it did not end before the dump");
}

#[test]
fn later_panics_are_not_dumped_within_a_minute() {
    let (left, _directory) = run("often");
    assert!(left.success, "{}", left.stderr);
    assert_eq!(left.stderr.matches("as it was told").count(), 50);
    left.dump().assert_whole();
}

#[test]
fn a_panic_of_any_thread_counts() {
    let (left, _directory) = run("thread");
    assert!(left.success, "{}", left.stderr);
    left.dump().assert_whole();
}

#[test]
fn a_panic_that_ends_the_process_is_dumped_before() {
    let (left, _directory) = run("root");
    assert!(!left.success);
    left.dump().assert_whole();
}

#[test]
fn panics_of_many_threads_at_once_hold_nobody_up() {
    let (left, _directory) = run("crowd");
    assert!(left.success, "{}", left.stderr);
    assert!(left.dump().events().len() > 100);
}

#[test]
fn a_hook_that_was_there_before_goes_on() {
    let (left, _directory) = run("hook");
    assert!(left.stderr.contains("the hook of the program"), "{}", left.stderr);
    left.dump().assert_whole();
}

#[test]
fn a_panic_while_standard_error_is_locked_is_no_deadlock() {
    let (left, _directory) = run("locked");
    assert!(left.success, "{}", left.stderr);
    left.dump().assert_whole();
}

#[test]
fn the_environment_can_ask_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let left = run_with("task", directory.path(), |command| {
        command.env("NEXUS_DUMP_ON_PANIC", directory.path());
    });
    left.dump().assert_whole();
    // What cannot be is no reason not to run.
    let left = run_with("task", Path::new("/dev/null/x"), |command| {
        command.env("NEXUS_DUMP_ON_PANIC", "/dev/null/x");
    });
    assert!(left.success && left.dumps.is_empty());
}

#[test]
fn nobody_dumps_unasked() {
    let directory = tempfile::tempdir().unwrap();
    let left = run_with("task", directory.path(), |command| {
        command.current_dir(directory.path()).env_remove("NEXUS_DUMP_ON_PANIC");
    });
    assert!(left.success && left.dumps.is_empty() && !left.stderr.contains("nexus: "));
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error() {
    let built = Builder::new().dump_on_panic("/dev/null/x").build();
    assert!(built.is_err());
}

/// Not a test: what this program does when it is started again by one.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    if role == "hook" {
        std::panic::set_hook(Box::new(|_| eprintln!("the hook of the program")));
    }
    let mut builder = Builder::new().endpoint(false);
    if let Some(place) = std::env::var_os(PLACE) {
        builder = builder.dump_on_panic(place);
    }
    let runtime = builder.build().unwrap();
    match &*role {
        "task" | "hook" => runtime.block_on(panicking_task()),
        "often" => runtime.block_on(async {
            for _ in 0..50 {
                panicking_task().await;
            }
        }),
        "thread" => {
            runtime.block_on(task::yield_now());
            assert!(std::thread::spawn(|| panic!("as it was told")).join().is_err());
        }
        "root" => runtime.block_on(async { panic!("as it was told") }),
        "crowd" => {
            runtime.block_on(async {
                for _ in 0..100 {
                    task::yield_now().await;
                    spawn(async {}).await.unwrap();
                }
            });
            let threads: Vec<_> =
                (0..16).map(|_| std::thread::spawn(|| panic!("as it was told"))).collect();
            runtime.block_on(panicking_task());
            threads.into_iter().for_each(|thread| assert!(thread.join().is_err()));
        }
        "locked" => runtime.block_on(async {
            let told = spawn(async {
                let _lock = std::io::stderr().lock();
                panic!("as it was told");
            });
            assert!(told.await.is_err());
        }),
        other => panic!("no role {other:?}"),
    }
}

async fn panicking_task() {
    let told = spawn(async { panic!("as it was told") });
    assert!(told.await.is_err());
}
