//! Who has no business in a process stays out, and who is more than its caller lets nobody in. It takes root to be
//! several users; without, these tests are skipped, and say so.

use crate::observed::{Observed, command_of, eventually, snapshot};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Users whom this machine hardly has.
const OWNER: u32 = 54_331;
const STRANGER: u32 = 54_332;

/// Says something even if the test passes.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        say(&format!("{test}: skipped: needs root"));
    }
    root
}

/// A directory that everybody can enter, with a copy of this program.
struct Shared {
    directory: TempDir,
    program: PathBuf,
}

impl Shared {
    fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("nexus").tempdir().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let program = directory.path().join("program");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
        Self { directory, program }
    }

    /// A directory in it that is the owner's alone.
    fn private(&self) -> PathBuf {
        let path = self.directory.path().join("private");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        chown(&path, Some(OWNER), Some(OWNER)).unwrap();
        path
    }

    fn start(&self, workload: &str, directory: &Path) -> Observed {
        let mut command = command_of(&self.program, workload);
        command.env("NEXUS_INSPECT_DIR", directory).env_remove("XDG_RUNTIME_DIR");
        Observed::of(as_user(command, OWNER), directory)
    }

    /// How connecting goes for a user.
    fn outcome(&self, user: u32, address: &str) -> String {
        let mut command = command_of(&self.program, "connect");
        command.env("NEXUS_TEST_ADDRESS", address);
        Observed::of(as_user(command, user), self.directory.path()).hears("outcome ")
    }
}

fn as_user(mut command: Command, user: u32) -> Command {
    command.uid(user).gid(user);
    command
}

#[test]
fn another_user_cannot_connect() {
    if !is_root("another_user_cannot_connect") {
        return;
    }
    let shared = Shared::new();
    let directory = shared.private();
    let observed = shared.start("hang", &directory);
    let socket = observed.socket();
    let outcome = |user| shared.outcome(user, socket.to_str().unwrap());
    assert_eq!(outcome(STRANGER), "PermissionDenied");
    assert_eq!(outcome(OWNER), "greeted");
    assert_eq!(outcome(0), "greeted");
    // Let in by mistake, it is still recognised.
    for path in [&directory, &socket] {
        fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    }
    assert_eq!(outcome(STRANGER), "hung up");
    assert_eq!(outcome(OWNER), "greeted");
    observed.ends();
}

/// A file of root's that bears the name of the owner's directory in `/tmp`.
struct InTheWay(PathBuf);

impl InTheWay {
    fn new() -> Self {
        let path = PathBuf::from(format!("/tmp/nexus-{OWNER}"));
        let _ = fs::remove_dir_all(&path);
        fs::write(&path, "").unwrap();
        Self(path)
    }
}

impl Drop for InTheWay {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn without_a_directory_of_its_own_the_abstract_socket_is_as_closed() {
    if !is_root("without_a_directory_of_its_own_the_abstract_socket_is_as_closed") {
        return;
    }
    let shared = Shared::new();
    let _in_the_way = InTheWay::new();
    // A directory that everybody may write to will not do, nor what lies in `/tmp`.
    let open = shared.directory.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    let observed = shared.start("hang", &open);
    let prefix = format!("@nexus/{OWNER}/{}-", observed.child.id());
    let address = eventually("the abstract socket", || {
        let table = fs::read_to_string("/proc/net/unix").unwrap();
        let names = table.lines().filter_map(|line| line.rsplit(' ').next());
        names.map(str::to_owned).find(|name| name.starts_with(&prefix))
    });
    assert_eq!(shared.outcome(STRANGER, &address), "hung up");
    assert_eq!(shared.outcome(OWNER, &address), "greeted");
    assert_eq!(shared.outcome(0, &address), "greeted");
    assert_eq!(fs::read_dir(&open).unwrap().count(), 0);
    observed.ends();
}

/// The threads of a process.
fn threads(observed: &Observed) -> usize {
    fs::read_dir(format!("/proc/{}/task", observed.child.id())).unwrap().count()
}

#[test]
fn a_program_with_more_rights_than_its_caller_has_no_endpoint() {
    if !is_root("a_program_with_more_rights_than_its_caller_has_no_endpoint") {
        return;
    }
    let shared = Shared::new();
    let directory = shared.private();
    let mut ordinary = shared.start("hang", &directory);
    ordinary.hears("ready");
    let (with_endpoint, mut client) = (threads(&ordinary), ordinary.attach());
    snapshot(&mut client);
    ordinary.ends();
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    // The same program and the same effective user, but by the set-user-id bit.
    chown(&shared.program, Some(OWNER), None).unwrap();
    fs::set_permissions(&shared.program, Permissions::from_mode(0o4755)).unwrap();
    let mut command = command_of(&shared.program, "hang");
    command.env("NEXUS_INSPECT_DIR", &directory).env_remove("XDG_RUNTIME_DIR");
    let mut raised = Observed::of(command, &directory);
    raised.hears("ready");
    let status = fs::read_to_string(format!("/proc/{}/status", raised.child.id())).unwrap();
    if !status.contains(&format!("Uid:\t0\t{OWNER}\t")) {
        return say("skipped: the bit has no effect in the temporary directory");
    }
    // The thread is started before the first task is polled, or never.
    assert_eq!(threads(&raised), with_endpoint - 1);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    raised.ends();
}
