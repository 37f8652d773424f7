//! The private directory in which a started program's endpoints leave their sockets.
//!
//! It goes away with the inspector. One that was killed leaves its directory behind; the next one sweeps it, unless a
//! program that was started by the other still listens there.

use crate::target::{Candidate, connect};
use std::env;
use std::fs::{self, DirEntry, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// What the names begin with; the number of the inspector follows.
const PREFIX: &str = "nexus-inspect-";

/// How old a leftover has to be: a number that means nobody here may be somebody's in another PID namespace.
const OLD: Duration = Duration::from_secs(60);

/// Makes a directory that only we can enter, as endpoints ask for, with a path short enough for sockets in it. It is
/// removed when dropped.
pub(super) fn make() -> io::Result<TempDir> {
    let place = Path::new("/tmp");
    sweep(place);
    make_in(place).or_else(|_| make_in(&env::temp_dir()))
}

pub(super) fn make_in(place: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new()
        .prefix(&format!("{PREFIX}{}-", std::process::id()))
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(place)
}

/// Removes what inspectors that were killed have left.
pub(super) fn sweep(place: &Path) {
    let Ok(entries) = fs::read_dir(place) else { return };
    for entry in entries.filter_map(Result::ok) {
        if is_leftover(&entry) == Some(true) {
            // Whatever cannot be removed now may be next time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_leftover(entry: &DirEntry) -> Option<bool> {
    let name = entry.file_name();
    let pid = name.to_str()?.strip_prefix(PREFIX)?.split_once('-')?.0.parse::<u32>().ok()?;
    // Of the entry itself: a symbolic link is nothing of ours.
    let at = entry.metadata().ok()?;
    let ours = at.is_dir() && at.uid() == rustix::process::geteuid().as_raw();
    let old = at.modified().ok()?.elapsed().ok()? > OLD;
    let orphaned = !Path::new("/proc").join(pid.to_string()).exists();
    let in_use = || {
        let candidates = Candidate::in_directory(&entry.path());
        candidates.iter().any(|candidate| connect(&candidate.socket, None).is_ok())
    };
    Some(ours && old && orphaned && !in_use())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

    /// A directory like one of ours, last changed at the beginning of time.
    fn old_directory(place: &Path, name: &str) {
        let path = place.join(name);
        fs::create_dir(&path).unwrap();
        let at = Timespec { tv_sec: 0, tv_nsec: 0 };
        let times = Timestamps { last_access: at, last_modification: at };
        utimensat(CWD, &path, &times, AtFlags::empty()).unwrap();
    }

    #[test]
    fn only_we_can_enter_it_and_it_goes_when_dropped() {
        let place = tempfile::tempdir().unwrap();
        let directory = make_in(place.path()).unwrap();
        let path = directory.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        drop(directory);
        assert!(!path.exists());
    }

    #[test]
    fn leftovers_are_swept_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let own = format!("{PREFIX}{}-a", std::process::id());
        // No process has this number.
        let orphan = format!("{PREFIX}4194305-a");
        let young = format!("{PREFIX}4194305-b");
        let strangers = ["nexus-inspect-notes", "nexus-0"];
        for name in [&*own, &*orphan, strangers[0], strangers[1]] {
            old_directory(place.path(), name);
        }
        fs::create_dir(place.path().join(&young)).unwrap();
        sweep(place.path());
        assert!(!place.path().join(&orphan).exists());
        for name in [&*own, &*young, strangers[0], strangers[1]] {
            assert!(place.path().join(name).exists(), "{name}");
        }
    }
}
