//! What the user wants to look at: parsing a TARGET, and finding the processes that can be attached to.
//!
//! Knows `/proc`, the directories in which endpoints leave their sockets, and how to make sure who answers at one.
//! Does not know what a target is used for.

mod directories;
mod discover;
mod endpoint;
mod process;
mod resolve;

pub(crate) use directories::VARIABLE as DIRECTORY_VARIABLE;
pub use discover::{Found, HOW_TO_GET_ONE, discover};
pub use endpoint::Socket;
pub(crate) use endpoint::{Candidate, Connection, connect};
pub(crate) use resolve::{attach, by_name, by_pid, by_socket};

use crate::failure::Failure;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A TARGET, as parsed. Whether it exists is another matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The demo workload.
    Demo,
    /// A trace on standard input.
    Stdin,
    /// A socket, a trace or a recording: whatever is found at the path.
    Path(PathBuf),
    /// A trace or a recording.
    File(PathBuf),
    /// A socket.
    Socket(PathBuf),
    /// A process, by its number.
    Pid(u32),
    /// A process, by its name.
    Name(String),
    /// A program to start, with its arguments; never empty.
    Command(Vec<OsString>),
}

/// Endings that make a word a path even without a slash.
const PATH_SUFFIXES: [&str; 5] = ["sock", "json", "jsonl", "nxt", "map"];

impl Target {
    /// Reads a TARGET: `demo`; `-`; a path, which has a slash or a known ending; digits, which are a PID; else a name.
    /// The prefixes `pid:`, `name:`, `file:` and `socket:` force one of these.
    ///
    /// # Errors
    ///
    /// A usage [`Failure`] if the text is empty, or does not fit its prefix.
    pub fn parse(text: &OsStr) -> Result<Self, Failure> {
        if text.is_empty() {
            return Err(Failure::usage("the TARGET is empty: give a PID, a name, a file or demo"));
        }
        if let Some(path) = text.as_bytes().strip_prefix(b"file:") {
            return Ok(Self::File(path_of(path, "file:")?));
        }
        if let Some(path) = text.as_bytes().strip_prefix(b"socket:") {
            return Ok(Self::Socket(path_of(path, "socket:")?));
        }
        if is_path(text) && !text.as_bytes().starts_with(b"name:") {
            return Ok(Self::Path(text.into()));
        }
        let Some(text) = text.to_str() else {
            return Err(Failure::usage(format!(
                "{text:?} is not valid UTF-8, as a name would have to be; write file: or socket: before a path"
            )));
        };
        if let Some(digits) = text.strip_prefix("pid:") {
            return pid(digits);
        }
        match text.strip_prefix("name:") {
            Some("") => Err(Failure::usage("name: needs a name after it")),
            Some(name) => Ok(Self::Name(name.to_owned())),
            None if text == "demo" => Ok(Self::Demo),
            None if text == "-" => Ok(Self::Stdin),
            None if text.bytes().all(|byte| byte.is_ascii_digit()) => pid(text),
            None => Ok(Self::Name(text.to_owned())),
        }
    }
}

fn is_path(text: &OsStr) -> bool {
    let suffix = Path::new(text).extension();
    text.as_bytes().contains(&b'/')
        || PATH_SUFFIXES.iter().any(|known| suffix.is_some_and(|suffix| suffix == *known))
}

fn path_of(path: &[u8], prefix: &str) -> Result<PathBuf, Failure> {
    if path.is_empty() {
        return Err(Failure::usage(format!("{prefix} needs a path after it")));
    }
    Ok(OsStr::from_bytes(path).into())
}

fn pid(digits: &str) -> Result<Target, Failure> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Failure::usage(format!("{digits:?} is not a PID: expected digits after pid:")));
    }
    // The kernel's ids end at 2²²; a number that does not even fit is one that no process has.
    match digits.parse() {
        Ok(pid) if pid != 0 => Ok(Target::Pid(pid)),
        _ => Err(Failure::target(format!("there is no process {digits}: no PID is that number"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    fn parse(text: &str) -> Target {
        Target::parse(text.as_ref()).unwrap()
    }

    #[test]
    fn every_form_is_recognised_in_its_order() {
        assert_eq!(parse("demo"), Target::Demo);
        assert_eq!(parse("-"), Target::Stdin);
        assert_eq!(parse("./demo"), Target::Path("./demo".into()));
        assert_eq!(parse("trace.json"), Target::Path("trace.json".into()));
        assert_eq!(parse("gateway.map"), Target::Path("gateway.map".into()));
        assert_eq!(parse("trace.nxt"), Target::Path("trace.nxt".into()));
        assert_eq!(parse("trace.jsonl"), Target::Path("trace.jsonl".into()));
        assert_eq!(parse("/run/x.sock"), Target::Path("/run/x.sock".into()));
        assert_eq!(parse("4711"), Target::Pid(4711));
        assert_eq!(parse("gateway"), Target::Name("gateway".into()));
        assert_eq!(parse("4711b"), Target::Name("4711b".into()));
    }

    #[test]
    fn prefixes_force_a_form() {
        assert_eq!(parse("pid:12"), Target::Pid(12));
        assert_eq!(parse("name:12"), Target::Name("12".into()));
        assert_eq!(parse("name:demo"), Target::Name("demo".into()));
        assert_eq!(parse("name:a/b.json"), Target::Name("a/b.json".into()));
        assert_eq!(parse("file:demo"), Target::File("demo".into()));
        assert_eq!(parse("socket:12"), Target::Socket("12".into()));
    }

    #[test]
    fn nonsense_is_a_usage_error() {
        for text in ["", "pid:", "pid:x", "pid:-1", "name:", "file:", "socket:"] {
            let failure = Target::parse(text.as_ref()).unwrap_err();
            assert_eq!(failure.exit(), Exit::Usage, "{text:?}: {failure}");
        }
        let not_utf8 = Target::parse(OsStr::from_bytes(b"\xff")).unwrap_err();
        assert_eq!(not_utf8.exit(), Exit::Usage);
    }

    #[test]
    fn numbers_that_no_process_has() {
        for text in ["0", "pid:0", "99999999999"] {
            assert_eq!(Target::parse(text.as_ref()).unwrap_err().exit(), Exit::Target, "{text}");
        }
    }
}
