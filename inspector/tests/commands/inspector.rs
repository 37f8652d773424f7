//! Running the binary, and looking at what it wrote.

use nexus_protocol::frame::ServerFrame;
use nexus_protocol::trace::{Reader, Summary};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The binary, told to look for endpoints in `directory`, without a terminal.
pub(crate) fn inspector(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nexus-inspect"));
    command
        .args(arguments)
        .env("NEXUS_INSPECT_DIR", directory)
        .env_remove("XDG_RUNTIME_DIR")
        .stdin(Stdio::null());
    command
}

/// What a run of the binary left.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("standard output is text"),
            stderr: String::from_utf8(output.stderr).expect("standard error is text"),
        }
    }
}

impl Ran {
    /// Makes sure of the exit code, and shows what was said if it is another.
    #[track_caller]
    pub(crate) fn exits_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Makes sure that standard error contains a text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no {text:?} in: {}", self.stderr);
        self
    }
}

/// Runs the binary to its end.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Ran {
    inspector(directory, arguments).output().expect("the binary can be started").into()
}

/// Reads a trace to its end: the number of records in it, and its summary if it is whole.
pub(crate) fn read(path: &Path) -> (u64, Option<Summary>) {
    let mut reader = Reader::new(BufReader::new(File::open(path).unwrap()));
    let mut records = 0;
    for frame in reader.by_ref() {
        if let ServerFrame::Events { records: batch, .. } = frame.unwrap() {
            records += batch.len() as u64;
        }
    }
    assert_eq!(reader.truncated(), reader.summary().is_none());
    (records, reader.summary().cloned())
}

/// Waits for a condition, for far longer than it should take.
#[track_caller]
pub(crate) fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(60), "waited in vain for {what}");
        thread::sleep(Duration::from_millis(2));
    }
}
