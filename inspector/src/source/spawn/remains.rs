//! What the processes of a started program leave in files, beyond what they have told us.
//!
//! Each runtime of the program keeps its recording in a file of a directory that we have made. When its process is gone,
//! however that came about, or could not be attached to at all, the file says what is missing.
//!
//! Knows files and whether they are final. What has been told already is [`account`](super::account)'s business.

use super::directory;
use nexus_runtime::remains::Remains;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, DirEntry, File};
use std::io;
use std::path::Path;
use tempfile::TempDir;

/// Names the directory for the program's runtimes.
pub(super) const VARIABLE: &str = "NEXUS_INSPECT_MAP";

/// Where files are memory.
const IN_MEMORY: &str = "/dev/shm";

/// The files in their directory, which goes away with this.
pub(super) struct Files {
    directory: TempDir,
    /// Files that cannot be read, and are left alone.
    given_up: HashSet<OsString>,
}

/// What there is to be had.
pub(super) enum Found {
    /// A recording. Its file is gone.
    Recording(Box<Remains>),
    /// Nothing now, but a process that has told nothing yet still records.
    Later,
    /// Nothing.
    Nothing,
}

impl Files {
    /// Makes a directory in memory, or if there is none beside the sockets.
    pub(super) fn make(sockets: &Path) -> io::Result<Self> {
        let place = Path::new(IN_MEMORY);
        directory::sweep(place);
        let directory = directory::make_in(place).or_else(|_| directory::make_in(sockets))?;
        Ok(Self { directory, given_up: HashSet::new() })
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Takes a recording in which nothing more will be written, or any if we are to `hurry`, of a process of which
    /// `is_told` does not say that it tells all by itself.
    pub(super) fn take(&mut self, hurry: bool, is_told: impl Fn(u32, u64) -> bool) -> Found {
        let Ok(entries) = fs::read_dir(self.path()) else { return Found::Nothing };
        let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
        // The runtimes of a process in their order, as far as names have it.
        entries.sort_by_key(DirEntry::file_name);
        let mut found = Found::Nothing;
        for entry in entries {
            let name = entry.file_name();
            let Some((pid, start_time)) = owner(&name) else { continue };
            if self.given_up.contains(&name) || is_told(pid, start_time) {
                continue;
            }
            let Ok(file) = File::open(entry.path()) else { continue };
            if !hurry && !Remains::are_final_in(&file) {
                found = Found::Later;
                continue;
            }
            match Remains::read(&file) {
                Ok(remains) => {
                    // Its memory is needed for others.
                    if fs::remove_file(entry.path()).is_err() {
                        self.given_up.insert(name);
                    }
                    return Found::Recording(Box::new(remains));
                }
                Err(_) => _ = self.given_up.insert(name),
            }
        }
        found
    }
}

/// Reads `<pid>-<start time>-<runtime>….map`.
fn owner(name: &OsString) -> Option<(u32, u64)> {
    let mut parts = name.to_str()?.strip_suffix(".map")?.split('-');
    let (pid, start_time) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next()?.parse::<u32>().ok()?;
    Some((pid, start_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_recordings_have_an_owner() {
        assert_eq!(owner(&"12-345-1.map".into()), Some((12, 345)));
        assert_eq!(owner(&"12-345-1-2.map".into()), Some((12, 345)));
        for name in ["12-345.map", ".12-345-1.new", "12-345-1", "x-345-1.map", "12-345-x.map"] {
            assert_eq!(owner(&name.into()), None, "{name}");
        }
    }

    #[test]
    fn what_is_no_recording_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let mut files = Files::make(place.path()).unwrap();
        assert!(matches!(files.take(false, |_, _| false), Found::Nothing));
        let path = files.path().join("1-2-3.map");
        fs::write(&path, "no recording").unwrap();
        assert!(matches!(files.take(true, |_, _| false), Found::Nothing));
        assert!(path.exists() && files.given_up.len() == 1);
    }
}
