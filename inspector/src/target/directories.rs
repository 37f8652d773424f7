//! Where endpoints leave their sockets.
//!
//! A process puts its socket into `$NEXUS_INSPECT_DIR`, else `$XDG_RUNTIME_DIR/nexus`, else `/tmp/nexus-<uid>`: by its
//! own environment, in its own file system, for its own user, none of which has to be ours. So all candidates are
//! looked at, ours and theirs; who answers at a socket is checked later, and by other means than its place.

use super::process::Process;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The directories that our own environment points to, and as root those of all users.
pub(crate) fn ours() -> Vec<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let mut directories = named(|name| env::var_os(name), uid);
    if uid == 0 {
        directories
            .extend(entries("/tmp", |name| name.strip_prefix("nexus-").is_some_and(is_number)));
        directories
            .extend(entries("/run/user", is_number).into_iter().map(|user| user.join("nexus")));
    }
    without_repeats(directories)
}

/// The directories that a process may have used: those its environment points to, as they are seen from here, then
/// ours.
pub(crate) fn of_process(process: &Process) -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = named(|name| process.variable(name), process.uid)
        .into_iter()
        .map(|directory| seen_from_here(process, directory))
        .collect();
    directories.extend(ours());
    without_repeats(directories)
}

/// Directories that some running process was given by its environment, which ours does not point to.
pub(crate) fn given_to_others() -> Vec<PathBuf> {
    let given = super::process::all().into_iter().filter_map(|pid| {
        let process = Process::look(pid)?;
        let directory = process.variable(VARIABLE).filter(|directory| !directory.is_empty())?;
        Some(seen_from_here(&process, directory.into()))
    });
    without_repeats(given.collect())
}

/// The variable that names the directory itself.
pub(crate) const VARIABLE: &str = "NEXUS_INSPECT_DIR";

fn named(variable: impl Fn(&str) -> Option<OsString>, uid: u32) -> Vec<PathBuf> {
    let value = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let mut directories = Vec::with_capacity(4);
    directories.extend(value(VARIABLE));
    directories.extend(value("XDG_RUNTIME_DIR").map(|runtime| runtime.join("nexus")));
    directories.push(format!("/tmp/nexus-{uid}").into());
    directories.push(format!("/run/user/{uid}/nexus").into());
    directories
}

/// A path of another process as one of ours: in a container of its own, or relative to where it runs.
fn seen_from_here(process: &Process, directory: PathBuf) -> PathBuf {
    let proc = PathBuf::from(format!("/proc/{}", process.pid));
    if directory.is_relative() {
        return proc.join("cwd").join(directory);
    }
    let root = proc.join("root");
    // We may look into the roots of our own processes only; others have to have the same root as we.
    let identity = |path: &Path| fs::metadata(path).map(|at| (at.dev(), at.ino())).ok();
    match (identity(&root), identity(Path::new("/"))) {
        (Some(theirs), Some(ours)) if theirs != ours => {
            root.join(directory.strip_prefix("/").unwrap_or(&directory))
        }
        _ => directory,
    }
}

fn entries(directory: &str, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(&wanted))
        .map(|entry| entry.path())
        .collect()
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn without_repeats(directories: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut unique: Vec<PathBuf> = Vec::with_capacity(directories.len());
    for directory in directories {
        if !unique.contains(&directory) {
            unique.push(directory);
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_comes_first_and_empty_variables_do_not_count() {
        let set = |name: &str| match name {
            "NEXUS_INSPECT_DIR" => Some(OsString::from("/d")),
            "XDG_RUNTIME_DIR" => Some(OsString::from("/run/user/7")),
            _ => None,
        };
        let expected = ["/d", "/run/user/7/nexus", "/tmp/nexus-7", "/run/user/7/nexus"];
        assert_eq!(named(set, 7), expected.map(PathBuf::from));
        let empty = named(|_| Some(OsString::new()), 7);
        assert_eq!(empty, ["/tmp/nexus-7", "/run/user/7/nexus"].map(PathBuf::from));
    }

    #[test]
    fn a_relative_directory_lies_where_the_process_runs() {
        let own = Process::look(std::process::id()).unwrap();
        let seen = seen_from_here(&own, "here".into());
        assert_eq!(seen, PathBuf::from(format!("/proc/{}/cwd/here", own.pid)));
        assert_eq!(seen_from_here(&own, "/there".into()), PathBuf::from("/there"));
    }
}
