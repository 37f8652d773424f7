//! Root finds everybody's programs; others find their own, and are told what to do.

use crate::world::{asked, found, idle, is_root, listed, start, without_environment};
use nexus_tests::programs::{Sandbox, inspector};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Users whom this machine hardly has.
const OWNER: u32 = 54_322;
const STRANGER: u32 = 54_323;

/// Our programs where every user can run them.
pub(crate) struct Shared {
    pub(crate) program: PathBuf,
    inspector: PathBuf,
    _directory: TempDir,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let directory = TempDir::with_prefix("nexus-shared-").unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let share = |from: &Path, name: &str| {
            let to = directory.path().join(name);
            fs::copy(from, &to).unwrap();
            fs::set_permissions(&to, Permissions::from_mode(0o755)).unwrap();
            to
        };
        let name = format!("shared-{}", std::process::id());
        let (program, inspector) = (share(&idle(), &name), share(inspector(), "inspector"));
        Self { program, inspector, _directory: directory }
    }

    fn start(&self, user: u32) -> crate::world::Observed {
        start(Command::new(&self.program).arg("idle").uid(user).gid(user))
    }
}

#[test]
fn root_finds_the_programs_of_others() {
    if !is_root("root and the programs of others") {
        return;
    }
    let (sandbox, shared) = (Sandbox::new(), Shared::new());
    let service = shared.start(OWNER);
    found(&sandbox, &service.target());
    let name = shared.program.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(found(&sandbox, &name)["process"]["pid"], service.pid);
    let socket = listed(&sandbox, service.pid)["socket"].to_string();
    assert!(socket.contains(&format!("/tmp/nexus-{OWNER}/")), "{socket}");
}

#[test]
fn root_finds_where_the_environment_of_others_points() {
    if !is_root("root and the environment of others") {
        return;
    }
    let (sandbox, shared) = (Sandbox::new(), Shared::new());
    for variable in ["NEXUS_INSPECT_DIR", "XDG_RUNTIME_DIR"] {
        let directory = TempDir::new().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(directory.path(), Some(OWNER), Some(OWNER)).unwrap();
        let mut command = Command::new(&shared.program);
        without_environment(&mut command).arg("idle").env(variable, directory.path());
        let service = crate::world::launch(command.uid(OWNER).gid(OWNER));
        found(&sandbox, &service.target());
        let socket = listed(&sandbox, service.pid)["socket"].to_string();
        assert!(socket.contains(directory.path().to_str().unwrap()), "{socket}");
    }
}

#[test]
fn another_user_is_told_whose_program_it_is_and_what_to_do() {
    if !is_root("a stranger") {
        return;
    }
    let (sandbox, shared) = (Sandbox::new(), Shared::new());
    let service = shared.start(OWNER);
    found(&sandbox, &service.target());
    let as_user = |user: u32, arguments: &[&str]| {
        let mut command = Command::new(&shared.inspector);
        asked(without_environment(command.args(arguments)).uid(user).gid(user))
    };
    assert_eq!(as_user(OWNER, &["snapshot", &service.target()]).code, Some(0));
    let refused = as_user(STRANGER, &["snapshot", &service.target()]);
    assert_eq!(refused.code, Some(3));
    for text in [&format!("belongs to user {OWNER}"), "run as that user, or as root"] {
        assert!(refused.said.contains(text), "{}", refused.said);
    }
    let socket = listed(&sandbox, service.pid)["socket"].as_str().unwrap().to_owned();
    let refused = as_user(STRANGER, &["snapshot", &socket]);
    assert_eq!(refused.code, Some(3));
    assert!(refused.said.contains("as root"), "{}", refused.said);
    assert_eq!(as_user(STRANGER, &["list", "--json"]).document.as_array().map(Vec::len), Some(0));
}
