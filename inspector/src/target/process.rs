//! What `/proc` tells of a process.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A process, as the kernel sees it from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its number here.
    pub(crate) pid: u32,
    /// Its number in its own PID namespace: what it calls itself.
    pub(crate) inner_pid: u32,
    /// The process that this is a thread of; the same as `pid` unless it is one.
    pub(crate) group: u32,
    /// The user it belongs to.
    pub(crate) uid: u32,
    /// The kernel's short name for it.
    pub(crate) comm: String,
    /// Whether it has ended and only waits for its parent to take notice.
    pub(crate) zombie: bool,
    /// Whether a signal or a debugger has stopped it.
    pub(crate) stopped: bool,
    /// When it started, in clock ticks since boot.
    pub(crate) start_time: u64,
}

impl Process {
    /// Looks at a process; `None` if there is none of that number.
    pub(crate) fn look(pid: u32) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let status = fs::read(format!("/proc/{pid}/status")).ok()?;
        Self::parse(pid, &String::from_utf8_lossy(&stat), &String::from_utf8_lossy(&status))
    }

    fn parse(pid: u32, stat: &str, status: &str) -> Option<Self> {
        // The name stands in parentheses and may contain any character, parentheses and spaces included.
        let (head, tail) = stat.rsplit_once(')')?;
        let (_, comm) = head.split_once('(')?;
        // What follows the name begins with field 3, the state; field 22 is the start time.
        let mut fields = tail.split_ascii_whitespace();
        let state = fields.next()?;
        let start_time = fields.nth(18)?.parse().ok()?;
        let line = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
        };
        let number = |text: Option<&str>| text.and_then(|text| text.parse().ok());
        Some(Self {
            pid,
            inner_pid: number(line("NSpid").and_then(|pids| pids.rsplit('\t').next()))
                .unwrap_or(pid),
            group: number(line("Tgid")).unwrap_or(pid),
            // The second of the four is the effective one, which owns the sockets the process makes.
            uid: number(line("Uid")?.split('\t').nth(1))?,
            comm: comm.to_owned(),
            zombie: matches!(state, "Z" | "X"),
            stopped: matches!(state, "T" | "t"),
            start_time,
        })
    }

    /// The environment with which the program started; empty also if we may not know.
    pub(crate) fn environment(&self) -> Environment {
        Environment(fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default())
    }

    /// The number its user has for it: another one in a user namespace of its own.
    pub(crate) fn inner_uid(&self) -> u32 {
        let map = fs::read_to_string(format!("/proc/{}/uid_map", self.pid)).unwrap_or_default();
        inner_uid(self.uid, &map).unwrap_or(self.uid)
    }

    /// Which file system it sees, if we may know.
    pub(crate) fn view(&self) -> Option<View> {
        View::at(&format!("/proc/{}", self.pid))
    }

    /// When it started, if that is the same number for itself as for us: not if it has a clock of its own.
    pub(crate) fn shared_start_time(&self) -> Option<u64> {
        let clock = |proc: &str| fs::read_link(format!("{proc}/ns/time")).ok();
        // Older kernels have one clock for all.
        (clock(&format!("/proc/{}", self.pid)) == clock("/proc/self")).then_some(self.start_time)
    }

    /// Its network, if that is another one than ours and we may know.
    pub(crate) fn foreign_network(&self) -> Option<PathBuf> {
        let theirs = fs::read_link(format!("/proc/{}/ns/net", self.pid)).ok()?;
        (theirs != fs::read_link("/proc/self/ns/net").ok()?).then_some(theirs)
    }

    /// The kernel's table of Unix sockets in its network.
    pub(crate) fn bound_sockets(&self) -> Vec<u8> {
        fs::read(format!("/proc/{}/net/unix", self.pid)).unwrap_or_default()
    }

    /// The base name of its program, if we may know.
    pub(crate) fn program(&self) -> Option<String> {
        let path: PathBuf = fs::read_link(format!("/proc/{}/exe", self.pid)).ok()?;
        let name = path.file_name()?.to_string_lossy().into_owned();
        // The kernel says so when the file has been replaced since, as after a rebuild.
        Some(name.strip_suffix(" (deleted)").map(str::to_owned).unwrap_or(name))
    }
}

/// Looks a user up in a map of user numbers: lines of *first number inside, first number outside, how many*.
fn inner_uid(uid: u32, map: &str) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut numbers = line.split_ascii_whitespace().map(|number| number.parse::<u32>().ok());
        let (inside, outside, count) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let offset = uid.checked_sub(outside).filter(|&offset| offset < count)?;
        inside.checked_add(offset)
    })
}

/// What a program was given when it started.
#[derive(Clone, Debug)]
pub(crate) struct Environment(Vec<u8>);

impl Environment {
    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<OsString> {
        let value = self.0.split(|&byte| byte == 0).find_map(|entry| {
            entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=").map(<[u8]>::to_vec)
        })?;
        Some(OsString::from_vec(value))
    }
}

/// A view of the file system: what is mounted, and what is called `/`. A process may have a `/tmp` of its own and still
/// share our root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    mounts: PathBuf,
    root: (u64, u64),
}

impl View {
    /// Our own.
    pub(crate) fn ours() -> Option<Self> {
        Self::at("/proc/self")
    }

    fn at(proc: &str) -> Option<Self> {
        let root = fs::metadata(format!("{proc}/root")).ok()?;
        let mounts = fs::read_link(format!("{proc}/ns/mnt")).ok()?;
        Some(Self { mounts, root: (root.dev(), root.ino()) })
    }
}

/// The numbers of all processes that can be seen from here.
pub(crate) fn all() -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_knows_itself() {
        let own = Process::look(std::process::id()).unwrap();
        assert_eq!(own.group, own.pid);
        assert_eq!(own.uid, rustix::process::geteuid().as_raw());
        assert!(!own.zombie);
        assert!(own.start_time > 0);
        assert!(all().contains(&own.pid));
        assert!(own.program().unwrap().starts_with("nexus_inspect"));
    }

    #[test]
    fn a_name_may_contain_anything() {
        let mut stat = String::from("7 (a) b (c) Z");
        for field in 4..=22 {
            stat += &format!(" {field}");
        }
        let status = "Name:\tx\nTgid:\t6\nNSpid:\t7\t1\nUid:\t10\t20\t30\t40\n";
        let process = Process::parse(7, &stat, status).unwrap();
        assert_eq!(
            process,
            Process {
                pid: 7,
                inner_pid: 1,
                group: 6,
                uid: 20,
                comm: "a) b (c".to_owned(),
                zombie: true,
                stopped: false,
                start_time: 22
            }
        );
    }

    #[test]
    fn this_process_sees_what_we_see() {
        let own = Process::look(std::process::id()).unwrap();
        assert!(own.view().is_some());
        assert_eq!(own.view(), View::ours());
        assert_eq!(own.foreign_network(), None);
        assert_eq!(own.environment().get("PATH"), std::env::var_os("PATH"));
        assert_eq!(own.environment().get("PAT"), None);
    }

    #[test]
    fn users_have_other_numbers_in_a_container() {
        let map = "         0       1000          1\n         1     100000      65536\n";
        let inside = [1000, 100_000, 100_032, 165_536, 0].map(|uid| inner_uid(uid, map));
        assert_eq!(inside, [Some(0), Some(1), Some(33), None, None]);
        assert_eq!(inner_uid(1000, "0 0 4294967295"), Some(1000));
        assert_eq!(inner_uid(1000, ""), None);
    }

    #[test]
    fn nobody_is_no_process() {
        assert_eq!(Process::look(u32::MAX), None);
    }
}
