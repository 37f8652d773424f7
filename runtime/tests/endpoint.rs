//! The endpoint of a real process, from outside: found, attached to while its thread hangs, gone when it ends, and not
//! inherited by its children.
//!
//! The observed process is this test program itself, started again to run nothing but [`workload`].

use nexus_protocol::board::{Activity, Snapshot};
use nexus_protocol::event::Event;
use nexus_protocol::frame::{Goodbye, KindFilter, ServerFrame, Subscribe};
use nexus_protocol::session::{Client, Received};
use nexus_runtime::Runtime;
use nexus_runtime::time::sleep;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Names what the started process is to do.
const WORKLOAD: &str = "NEXUS_TEST_WORKLOAD";

/// Nothing here takes nearly as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

const ALL: Subscribe = Subscribe { history: true, kinds: KindFilter::ALL, snapshot_every_ms: 0 };

/// Not a test: what the observed process does.
#[test]
fn workload() {
    let Ok(workload) = std::env::var(WORKLOAD) else { return };
    match workload.as_str() {
        "serve" => serve_until_told(&Runtime::new().unwrap()),
        "hang" => Runtime::new().unwrap().block_on(async { wait_for_line() }),
        "brief" => Runtime::new().unwrap().block_on(async {
            for _ in 0..10 {
                nexus_runtime::spawn(async {}).await.unwrap();
            }
        }),
        "fork" => fork(),
        "exhaust" => exhaust(),
        other => panic!("no workload {other:?}"),
    }
}

fn wait_for_line() {
    io::stdin().lock().read_line(&mut String::new()).unwrap();
}

/// Runs timers until a line, or the end, of standard input comes.
fn serve_until_told(runtime: &Runtime) {
    let told = Arc::new(AtomicBool::new(false));
    let teller = Arc::clone(&told);
    std::thread::spawn(move || {
        wait_for_line();
        teller.store(true, Ordering::Release);
    });
    runtime.block_on(async {
        while !told.load(Ordering::Acquire) {
            sleep(Duration::from_millis(1)).await;
        }
    });
}

/// Starts an endpoint, then a child that has none until it builds a runtime of its own.
fn fork() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {});
    wait_for_line();
    // SAFETY: the child only does what a single-threaded program may: the other threads of this one hold no locks that
    // it needs, since they sleep.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // Beyond this point everything that is printed is the child's.
        println!("\nchild {}", std::process::id());
        wait_for_line();
        Runtime::new().unwrap().block_on(async {
            println!("\nrunning");
            wait_for_line();
        });
        std::process::exit(0);
    }
    // SAFETY: the child exists, and nobody else waits for it.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    wait_for_line();
}

/// Takes every descriptor there is, until told to give some back.
fn exhaust() {
    let limit = libc::rlimit { rlim_cur: 64, rlim_max: 64 };
    // SAFETY: the limit is only read.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {});
    wait_for_line();
    let mut files = Vec::new();
    while let Ok(file) = fs::File::open("/dev/null") {
        files.push(file);
    }
    println!("\nexhausted");
    wait_for_line();
    drop(files);
    serve_until_told(&runtime);
}

/// A started process.
struct Observed {
    child: Child,
    output: BufReader<ChildStdout>,
    directory: PathBuf,
}

fn private_directory() -> TempDir {
    let directory = tempfile::Builder::new().prefix("nexus").tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    directory
}

fn start(workload: &str, directory: &Path) -> Observed {
    start_with(workload, directory, |_| {})
}

fn start_with(workload: &str, directory: &Path, change: impl FnOnce(&mut Command)) -> Observed {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "workload", "--nocapture"])
        .env(WORKLOAD, workload)
        .env("NEXUS_INSPECT_DIR", directory)
        .env_remove("NEXUS_INSPECT")
        .env_remove("NEXUS_INSPECT_HOLD")
        .env_remove("NEXUS_RECORDER")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    change(&mut command);
    let mut child = command.spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    Observed { child, output, directory: directory.to_owned() }
}

/// Waits until `look` finds something.
#[track_caller]
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

fn sockets(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "sock")).collect()
}

impl Observed {
    fn socket_of(&self, pid: u32) -> PathBuf {
        let prefix = format!("{pid}-");
        let is_its = |path: &PathBuf| {
            path.file_name().unwrap().to_str().is_some_and(|name| name.starts_with(&prefix))
        };
        eventually("the socket", || sockets(&self.directory).into_iter().find(is_its))
    }

    fn socket(&self) -> PathBuf {
        self.socket_of(self.child.id())
    }

    fn connect(&self) -> Client<UnixStream> {
        Client::connect_unix(&self.socket(), Duration::from_millis(100)).unwrap()
    }

    fn attach(&self) -> Client<UnixStream> {
        let mut client = self.connect();
        client.subscribe(ALL).unwrap();
        client
    }

    fn tell(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    /// Waits for a line of output that begins with `word`, and gives the rest of it.
    fn hears(&mut self, word: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "it ended before {word:?}");
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }

    fn ends(mut self) {
        drop(self.child.stdin.take());
        self.output.read_to_end(&mut Vec::new()).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn frames_until(
    client: &mut Client<UnixStream>,
    is_last: impl Fn(&ServerFrame) -> bool,
) -> Vec<ServerFrame> {
    let mut frames = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "it did not come: {frames:?}");
        match client.next().unwrap() {
            Received::Frame(frame) => {
                let last = is_last(&frame);
                frames.push(frame);
                if last {
                    return frames;
                }
            }
            Received::Idle => {}
            Received::Closed => panic!("closed after {frames:?}"),
        }
    }
}

fn snapshot(client: &mut Client<UnixStream>) -> (Snapshot, Vec<String>) {
    let is_snapshot = |frame: &ServerFrame| matches!(frame, ServerFrame::Snapshot(_));
    let mut frames = frames_until(client, is_snapshot);
    let Some(ServerFrame::Snapshot(snapshot)) = frames.pop() else { unreachable!() };
    let strings = frames.into_iter().filter_map(|frame| match frame {
        ServerFrame::Strings { strings, .. } => Some(strings),
        _ => None,
    });
    (*snapshot, strings.flatten().collect())
}

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
    assert!(location.contains("tests/endpoint.rs:"), "{location}");
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
fn a_child_made_by_fork_shares_nothing_and_has_its_own_endpoint() {
    let directory = private_directory();
    let mut observed = start("fork", directory.path());
    let parent = observed.socket();
    let mut client = observed.attach();
    snapshot(&mut client);
    observed.tell();
    let child: u32 = observed.hears("child ").parse().unwrap();
    let sockets_of = |pid: u32| {
        let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let targets = links.filter_map(|link| fs::read_link(link.unwrap().path()).ok());
        targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    };
    assert_eq!(sockets_of(child), 0, "neither listener nor client");
    assert_ne!(sockets_of(observed.child.id()), 0, "the parent has both");
    observed.tell();
    observed.hears("running");
    let own = observed.socket_of(child);
    let grandchild = Client::connect_unix(&own, PATIENCE).unwrap();
    assert_eq!(grandchild.hello().0.pid, child);
    assert_eq!(grandchild.hello().1.len(), 1, "the runtime it has inherited is not its own");
    client.subscribe(ALL).unwrap();
    snapshot(&mut client);
    observed.tell();
    eventually("the child's socket to go", || (!own.exists()).then_some(()));
    assert!(parent.exists(), "a child that exits does not remove its parent's socket");
    observed.ends();
}

#[test]
fn a_process_without_descriptors_goes_on_and_can_be_attached_to_later() {
    let directory = private_directory();
    let mut observed = start("exhaust", directory.path());
    let socket = observed.socket();
    observed.tell();
    observed.hears("exhausted");
    let mut refused = UnixStream::connect(&socket).unwrap();
    refused.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(refused.read(&mut [0; 16]).unwrap(), 0, "hung up, not left waiting");
    observed.tell();
    let mut client =
        eventually("a hello", || Client::connect_unix(&socket, Duration::from_millis(100)).ok());
    client.subscribe(ALL).unwrap();
    snapshot(&mut client);
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
