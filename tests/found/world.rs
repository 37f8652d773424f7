//! Worlds for processes to live in, and outsiders who ask for them.

use nexus_tests::programs::{Running, Sandbox, program, stderr};
use nexus_tests::wait_until;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

/// A program that has said that it is ready, from inside its runtime.
pub(crate) struct Observed {
    started: Running,
    /// The process that was meant: the one that was started, or its only child.
    pub(crate) pid: u32,
    _output: BufReader<ChildStdout>,
}

impl Observed {
    /// Its id, as an argument.
    pub(crate) fn target(&self) -> String {
        self.pid.to_string()
    }

    /// The process that was started.
    pub(crate) fn started(&mut self) -> &mut Running {
        &mut self.started
    }
}

/// Starts a program without an environment for endpoints.
pub(crate) fn start(command: &mut Command) -> Observed {
    let command = without_environment(command).stdin(Stdio::null()).stdout(Stdio::piped());
    launch(command)
}

/// Starts a program that has been given its environment.
pub(crate) fn launch(command: &mut Command) -> Observed {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it can be started");
    let mut output = BufReader::new(child.stdout.take().expect("it was asked for"));
    let started = Running(child);
    let mut line = String::new();
    output.read_line(&mut line).expect("it says something");
    assert_eq!(line, "ready\n", "it does not get ready");
    let pid = only_child(started.pid()).unwrap_or(started.pid());
    Observed { started, pid, _output: output }
}

/// Takes away what would tell a process where endpoints are.
pub(crate) fn without_environment(command: &mut Command) -> &mut Command {
    [
        "NEXUS_INSPECT_DIR",
        "XDG_RUNTIME_DIR",
        "NEXUS_INSPECT",
        "NEXUS_RECORDER",
        "NEXUS_INSPECT_HOLD",
    ]
    .into_iter()
    .fold(command, |command, variable| command.env_remove(variable))
}

fn only_child(parent: u32) -> Option<u32> {
    let of_parent = format!("PPid:\t{parent}");
    let pids = fs::read_dir("/proc").ok()?.flatten();
    pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(|pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.lines().any(|line| line == of_parent)
    })
}

/// An idle program of ours, to be started in some world.
pub(crate) fn idle() -> std::path::PathBuf {
    program("stuck")
}

/// Asks the inspector for a process, in an environment that tells it nothing.
pub(crate) fn ask(sandbox: &Sandbox, arguments: &[&str]) -> Asked {
    asked(without_environment(&mut sandbox.inspector(arguments)))
}

/// What a run of the inspector came to.
pub(crate) struct Asked {
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
    /// What it has printed, if that was JSON.
    pub(crate) document: Value,
}

pub(crate) fn asked(command: &mut Command) -> Asked {
    let output = command.output().expect("the inspector can be started");
    Asked {
        code: output.status.code(),
        said: stderr(&output),
        document: serde_json::from_slice(&output.stdout).unwrap_or_default(),
    }
}

/// Waits until a process can be looked at from outside: its socket appears a little after it is ready.
pub(crate) fn found(sandbox: &Sandbox, target: &str) -> Value {
    wait_until("it is found", || {
        let asked = ask(sandbox, &["snapshot", target, "--json"]);
        (asked.code == Some(0)).then_some(asked.document)
    })
}

/// The entry of a process in the list of all, which finds it without being told its number.
pub(crate) fn listed(sandbox: &Sandbox, pid: u32) -> Value {
    let list = ask(sandbox, &["list", "--json"]).document;
    let entries = list.as_array().expect("a list");
    entries
        .iter()
        .find(|entry| entry["pid"] == pid)
        .unwrap_or_else(|| panic!("not in {list}"))
        .clone()
}

/// Says something even if the test passes.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "found: {text}");
}

/// Whether this is root; if not, says that the test is skipped.
pub(crate) fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        say(&format!("{test}: skipped: needs root"));
    }
    root
}

/// A shell script that runs in namespaces of its own. Within it, `$@` is the observed program with its arguments, through a
/// descriptor: its file may be out of sight by then. None, after having said so, where there are no such namespaces.
pub(crate) fn unshared(
    test: &str,
    flags: &[&str],
    script: &str,
    program: &Path,
) -> Option<Command> {
    let mut all = flags.to_vec();
    if !rustix::process::geteuid().is_root() {
        all.extend(["--user", "--map-root-user"]);
    }
    let tried = Command::new("unshare").args(&all).arg("true").output();
    if !tried.is_ok_and(|output| output.status.success()) {
        say(&format!("{test}: skipped: `unshare {} true` does not work here", all.join(" ")));
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(&all);
    run_script(&mut command, script, program);
    Some(command)
}

/// Adds a script for [`unshared`] to a command that runs what it is given.
pub(crate) fn run_script(command: &mut Command, script: &str, program: &Path) {
    let script = format!("exec 9<\"$0\"; {script}; exec /proc/self/fd/9 \"$@\"");
    command.arg("sh").arg("-ec").arg(script).arg(program);
}
