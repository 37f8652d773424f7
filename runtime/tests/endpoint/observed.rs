//! A process that is observed, and what its observers ask it.

use crate::WORKLOAD;
use nexus_protocol::board::Snapshot;
use nexus_protocol::frame::{KindFilter, ServerFrame, Subscribe};
use nexus_protocol::session::{Client, Received};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Nothing here takes nearly as long, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Everything from the first record on, with a snapshot at once.
pub(crate) const ALL: Subscribe =
    Subscribe { history: true, kinds: KindFilter::ALL, snapshot_every_ms: 0 };

/// A started process.
pub(crate) struct Observed {
    pub(crate) child: Child,
    output: BufReader<ChildStdout>,
    pub(crate) directory: PathBuf,
}

pub(crate) fn private_directory() -> TempDir {
    let directory = tempfile::Builder::new().prefix("nexus").tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    directory
}

pub(crate) fn start(workload: &str, directory: &Path) -> Observed {
    start_with(workload, directory, |_| {})
}

pub(crate) fn start_with(
    workload: &str,
    directory: &Path,
    change: impl FnOnce(&mut Command),
) -> Observed {
    let mut command = command_of(&std::env::current_exe().unwrap(), workload);
    command.env("NEXUS_INSPECT_DIR", directory);
    change(&mut command);
    Observed::of(command, directory)
}

/// This program, or a copy of it, that runs nothing but a workload.
pub(crate) fn command_of(program: &Path, workload: &str) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--exact", "workload", "--nocapture"])
        .env(WORKLOAD, workload)
        .env_remove("NEXUS_INSPECT")
        .env_remove("NEXUS_INSPECT_HOLD")
        .env_remove("NEXUS_RECORDER");
    command
}

/// Waits until `look` finds something.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
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
    /// Starts a command of a workload.
    pub(crate) fn of(mut command: Command, directory: &Path) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output, directory: directory.to_owned() }
    }

    pub(crate) fn socket_of(&self, pid: u32) -> PathBuf {
        let prefix = format!("{pid}-");
        let is_its = |path: &PathBuf| {
            path.file_name().unwrap().to_str().is_some_and(|name| name.starts_with(&prefix))
        };
        eventually("the socket", || sockets(&self.directory).into_iter().find(is_its))
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.socket_of(self.child.id())
    }

    pub(crate) fn connect(&self) -> Client<UnixStream> {
        Client::connect_unix(&self.socket(), Duration::from_millis(100)).unwrap()
    }

    pub(crate) fn attach(&self) -> Client<UnixStream> {
        let mut client = self.connect();
        client.subscribe(ALL).unwrap();
        client
    }

    pub(crate) fn tell(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    /// Waits for a line of output that begins with `word`, and gives the rest of it.
    pub(crate) fn hears(&mut self, word: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "it ended before {word:?}");
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }

    pub(crate) fn ends(mut self) {
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
pub(crate) fn frames_until(
    client: &mut Client<UnixStream>,
    is_last: impl Fn(&ServerFrame) -> bool,
) -> Vec<ServerFrame> {
    let mut frames = Vec::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "it did not come, but {} others", frames.len());
        match client.next().unwrap() {
            Received::Frame(frame) => {
                let last = is_last(&frame);
                frames.push(frame);
                if last {
                    return frames;
                }
            }
            Received::Idle => {}
            Received::Closed => panic!("closed after {} frames", frames.len()),
        }
    }
}

pub(crate) fn snapshot(client: &mut Client<UnixStream>) -> (Snapshot, Vec<String>) {
    let is_snapshot = |frame: &ServerFrame| matches!(frame, ServerFrame::Snapshot(_));
    let mut frames = frames_until(client, is_snapshot);
    let Some(ServerFrame::Snapshot(snapshot)) = frames.pop() else { unreachable!() };
    let strings = frames.into_iter().filter_map(|frame| match frame {
        ServerFrame::Strings { strings, .. } => Some(strings),
        _ => None,
    });
    (*snapshot, strings.flatten().collect())
}
