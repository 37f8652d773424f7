//! Where endpoints leave their sockets.
//!
//! A process puts its socket into `$NEXUS_INSPECT_DIR`, else `$XDG_RUNTIME_DIR/nexus`, else `/tmp/nexus-<uid>`: by its
//! own environment, in its own file system, for its own user, none of which has to be ours. So all candidates are
//! looked at, ours and theirs; who answers at a socket is checked later, and by other means than its place.

use super::process::{Process, View};
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
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

/// The directories that a process may have used: those its environment points to, then ours, then where it has bound
/// sockets of that sort, all as they are seen from here.
pub(crate) fn of_process(process: &Process) -> Vec<PathBuf> {
    let mut directories = given_to(process);
    directories.extend(ours());
    directories.extend(bound_by(process));
    without_repeats(directories)
}

/// The directories of all running processes that ours does not point to: given to them by their environment, or in file
/// systems of their own.
pub(crate) fn of_others() -> Vec<PathBuf> {
    let mut views = Vec::new();
    let mut directories = Vec::new();
    for process in super::process::all().into_iter().filter_map(Process::look) {
        // All processes of a container are given the same few, so that each has to be looked at but once.
        let view = (process.view(), given_to_itself(&process));
        if !views.contains(&view) {
            directories.extend(given_to(&process));
            views.push(view);
        }
    }
    without_repeats(directories)
}

/// What the environment of a process points to.
fn given_to(process: &Process) -> Vec<PathBuf> {
    given_to_itself(process).into_iter().map(|path| seen_from_here(process, path)).collect()
}

/// The same, as the process itself would say it.
fn given_to_itself(process: &Process) -> Vec<PathBuf> {
    let environment = process.environment();
    named(|name| environment.get(name), process.inner_uid())
}

/// Where a process has bound a socket called like its endpoint's: a program may have changed its environment since it
/// began. It was bound under a temporary name.
fn bound_by(process: &Process) -> Vec<PathBuf> {
    let is_its = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let name = name.strip_suffix(".new").unwrap_or(name);
        let pid = name.strip_suffix(".sock").and_then(super::endpoint::pid_in_name);
        pid == Some(process.inner_pid)
    };
    let table = process.bound_sockets();
    let bound = socket_paths(&table).filter(is_its);
    let directories = bound.filter_map(|path| path.parent().map(Path::to_path_buf));
    directories.map(|directory| seen_from_here(process, directory)).collect()
}

/// The paths in the kernel's table of Unix sockets. Nobody has to ask a path that leads through a descriptor.
fn socket_paths(table: &[u8]) -> impl Iterator<Item = PathBuf> {
    let lines = table.split(|&byte| byte == b'\n');
    let path = |line: &[u8]| {
        let at = line.windows(2).position(|window| window == b" /")?;
        let path = PathBuf::from(OsStr::from_bytes(&line[at + 1..]));
        (!path.starts_with("/proc")).then_some(path)
    };
    lines.filter_map(path)
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

/// A path of another process as one of ours: in a container of its own, with a `/tmp` of its own, or relative to where it
/// runs.
fn seen_from_here(process: &Process, path: PathBuf) -> PathBuf {
    let proc = PathBuf::from(format!("/proc/{}", process.pid));
    if path.is_relative() {
        return proc.join("cwd").join(path);
    }
    // We may look at our own processes only; others have to have the same view as we.
    match (process.view(), View::ours()) {
        (Some(theirs), Some(ours)) if theirs != ours => {
            proc.join("root").join(path.strip_prefix("/").unwrap_or(&path))
        }
        _ => path,
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

    #[test]
    fn a_process_is_found_where_it_has_bound_its_socket() {
        let directory = tempfile::tempdir().unwrap();
        let own = Process::look(std::process::id()).unwrap();
        let name = format!("{}-{}.sock.new", own.pid, own.start_time);
        let _listener =
            std::os::unix::net::UnixListener::bind(directory.path().join(name)).unwrap();
        let other = format!("{}-1.sock", own.pid + 1);
        let _other = std::os::unix::net::UnixListener::bind(directory.path().join(other)).unwrap();
        assert_eq!(bound_by(&own), [directory.path()]);
    }

    #[test]
    fn paths_are_read_from_the_kernels_table() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 1 /run/a b/1-2.sock.new\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 2 /proc/self/fd/5/1-2.sock.new\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 3\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 3 @nexus/0/else\n";
        assert_eq!(
            socket_paths(table).collect::<Vec<_>>(),
            [PathBuf::from("/run/a b/1-2.sock.new")]
        );
    }
}
