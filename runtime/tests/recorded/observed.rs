//! A workload, run in a process of its own and observed from its first record to its last.

use nexus_protocol::event::{Cause, Operation, OperationResult, Subject, Verdict, WaitFor};
use nexus_protocol::event::{WaitOutcome, WakeOutcome};
use nexus_protocol::frame::{KindFilter, ServerFrame, Subscribe};
use nexus_protocol::session::{Client, Received};
use nexus_protocol::strings::Strings;
use nexus_protocol::{Event, PrimitiveId, Record, RuntimeId, Seq, TaskId};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Names what the started process is to do.
pub(crate) const WORKLOAD: &str = "NEXUS_TEST_WORKLOAD";

/// Nothing here takes nearly as long, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Everything that one runtime of the process has recorded.
pub(crate) struct Observed {
    pub(crate) runtime: RuntimeId,
    pub(crate) records: Vec<Record>,
    strings: Strings,
}

/// Runs a workload to its end. What its first runtime has recorded comes first.
pub(crate) fn observe(workload: &str) -> Vec<Observed> {
    let directory = tempfile::Builder::new().prefix("nexus").tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "workload", "--nocapture", "--test-threads=1"])
        .env(WORKLOAD, workload)
        .env("NEXUS_INSPECT_DIR", directory.path())
        .env("NEXUS_INSPECT_HOLD", PATIENCE.as_millis().to_string())
        .env_remove("NEXUS_INSPECT")
        .env_remove("NEXUS_RECORDER")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let frames = take_everything(directory.path(), &mut child);
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert!(child.wait().unwrap().success(), "{complaint}");
    sorted(frames)
}

/// All that the process says from the first record of its first runtime to its goodbye.
fn take_everything(directory: &Path, child: &mut Child) -> Vec<ServerFrame> {
    let deadline = Instant::now() + PATIENCE;
    let socket = loop {
        if let Some(socket) = socket(directory) {
            break socket;
        }
        // What went wrong is told by the caller.
        if child.try_wait().unwrap().is_some() {
            return Vec::new();
        }
        assert!(Instant::now() < deadline, "no endpoint");
        std::thread::yield_now();
    };
    let mut client = Client::connect_unix(&socket, Duration::from_millis(100)).unwrap();
    let all = Subscribe { history: true, kinds: KindFilter::ALL, snapshot_every_ms: 0 };
    client.subscribe(all).unwrap();
    let mut frames = Vec::new();
    loop {
        assert!(Instant::now() < deadline, "the process does not end");
        match client.next() {
            Ok(Received::Frame(ServerFrame::Goodbye(_))) => return frames,
            Ok(Received::Frame(frame)) => frames.push(frame),
            Ok(Received::Idle) => {}
            // A process that failed says no goodbye.
            Ok(Received::Closed) | Err(_) => return frames,
        }
    }
}

fn socket(directory: &Path) -> Option<PathBuf> {
    let mut paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.find(|path| path.extension().is_some_and(|end| end == "sock"))
}

/// The records of each runtime, of which none may be missing.
fn sorted(frames: Vec<ServerFrame>) -> Vec<Observed> {
    let mut table = Strings::default();
    let mut runtimes: Vec<(RuntimeId, Vec<Record>)> = Vec::new();
    for frame in frames {
        match frame {
            ServerFrame::Strings { first, strings } => table.extend(first, strings),
            ServerFrame::Events { runtime, records, next_seq, filtered } => {
                assert_eq!(filtered, 0);
                if !runtimes.iter().any(|(id, _)| *id == runtime) {
                    runtimes.push((runtime, Vec::new()));
                }
                let all = runtimes.iter_mut().find(|(id, _)| *id == runtime).unwrap();
                all.1.extend(records);
                assert_eq!(all.1.len() as u64, next_seq, "none is missing");
            }
            ServerFrame::Loss { .. } => panic!("records were lost: {frame:?}"),
            _ => {}
        }
    }
    runtimes.sort_by_key(|(id, _)| *id);
    let each = runtimes.into_iter();
    each.map(|(runtime, records)| Observed { runtime, records, strings: table.clone() }).collect()
}

/// A poll, with what happened in it.
#[derive(Debug)]
pub(crate) struct Poll {
    pub(crate) wakes: Vec<Cause>,
    pub(crate) operations: Vec<(Operation, OperationResult)>,
    pub(crate) verdict: Verdict,
}

impl Observed {
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.records.iter().map(|record| &record.event)
    }

    /// The task that was spawned with this name.
    #[track_caller]
    pub(crate) fn task(&self, wanted: &str) -> TaskId {
        let named = self.events().find_map(|event| match *event {
            Event::TaskSpawned { task, name, .. } if self.strings.text(name) == wanted => {
                Some(task)
            }
            _ => None,
        });
        named.unwrap_or_else(|| panic!("no task {wanted:?}"))
    }

    /// The polls of a task, in order.
    pub(crate) fn polls(&self, task: TaskId) -> Vec<Poll> {
        let mut polls = Vec::new();
        let (mut wakes, mut answered) = (Vec::new(), Vec::new());
        let (mut operations, mut polling): (Vec<_>, Option<Seq>) = (Vec::new(), None);
        for record in &self.records {
            match record.event {
                Event::Wake { task: woken, cause, outcome } if woken == task => {
                    assert_ne!(outcome, WakeOutcome::Dead);
                    wakes.push(cause);
                }
                Event::PollStart { task: polled, .. } if polled == task => {
                    answered = std::mem::take(&mut wakes);
                    polling = Some(record.seq);
                }
                Event::Operation { operation, result, poll, .. } if poll == polling => {
                    operations.push((operation, result));
                }
                Event::PollEnd { task: polled, verdict, .. } if polled == task => {
                    let (wakes, operations) =
                        (std::mem::take(&mut answered), std::mem::take(&mut operations));
                    polls.push(Poll { wakes, operations, verdict });
                    polling = None;
                }
                _ => {}
            }
        }
        polls
    }

    /// How often each verdict was given on the polls of a task: progress, spurious, unattributed, excused.
    pub(crate) fn verdicts(&self, task: TaskId) -> [usize; 4] {
        let polls = self.polls(task);
        let count = |verdict| polls.iter().filter(|poll| poll.verdict == verdict).count();
        [Verdict::Progress, Verdict::Spurious, Verdict::Unattributed, Verdict::Excused].map(count)
    }

    /// Operations on primitives by a task, in order.
    pub(crate) fn operations(&self, by: TaskId) -> Vec<(PrimitiveId, Operation, OperationResult)> {
        let on_primitives = self.events().filter_map(|event| match *event {
            Event::Operation {
                operation,
                subject: Subject::Primitive(primitive),
                result,
                task,
                ..
            } if task == Some(by) => Some((primitive, operation, result)),
            _ => None,
        });
        on_primitives.collect()
    }

    /// How the waits of a task for primitives have ended, in order. All must have.
    #[track_caller]
    pub(crate) fn waits(&self, by: TaskId) -> Vec<(PrimitiveId, WaitOutcome)> {
        let (mut open, mut ended) = (Vec::new(), Vec::new());
        for event in self.events() {
            match *event {
                Event::WaitBegin { task, target: WaitFor::Primitive(primitive) }
                    if task == Some(by) =>
                {
                    open.push(primitive);
                }
                Event::WaitEnd { task, target: WaitFor::Primitive(primitive), outcome }
                    if task == Some(by) =>
                {
                    let begun = open.iter().position(|one| *one == primitive);
                    open.remove(begun.expect("a wait that ends has begun"));
                    ended.push((primitive, outcome));
                }
                _ => {}
            }
        }
        assert_eq!(open, [], "waits that never end");
        ended
    }

    /// The causes of all wakes of a task, in order.
    pub(crate) fn wakes(&self, of: TaskId) -> Vec<Cause> {
        let wakes = self.events().filter_map(|event| match *event {
            Event::Wake { task, cause, .. } if task == of => Some(cause),
            _ => None,
        });
        wakes.collect()
    }
}
