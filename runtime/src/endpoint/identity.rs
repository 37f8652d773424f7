//! Who the observed process is: what the hello says of it, and what its socket is called.

use crate::record::clock::{Clock, monotonic_ns, nanoseconds};
use nexus_protocol::frame::Process;
use nexus_protocol::ids::Stamp;
use nexus_protocol::limits;
use rustix::time::ClockId;
use std::io;
use std::path::Path;

/// Clock ticks a second, as `/proc` counts them on every Linux: `USER_HZ`.
const TICKS_PER_SECOND: u64 = 100;

/// The start time of this process in clock ticks since boot: field 22 of `/proc/self/stat`.
pub(crate) fn start_time() -> io::Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    parse_start_time(&stat).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "/proc/self/stat has no start time in field 22")
    })
}

fn parse_start_time(stat: &str) -> Option<u64> {
    // The second field, the program's name in parentheses, may itself hold spaces and parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Describes this process as it is now.
pub(crate) fn describe(start_time: u64) -> Process {
    let mono = monotonic_ns();
    // Start times are counted on the clock that goes on in suspend.
    let asleep = nanoseconds(ClockId::Boottime).saturating_sub(mono);
    let started = (start_time * (1_000_000_000 / TICKS_PER_SECOND)).saturating_sub(asleep);
    let wall_offset = i128::from(nanoseconds(ClockId::Realtime)) - i128::from(mono);
    Process {
        pid: std::process::id(),
        start_time,
        program: program(),
        command_line: command_line(),
        started: Stamp(started),
        wall_offset_ns: i64::try_from(wall_offset).unwrap_or(0),
        clock: Clock::of_process().name().to_owned(),
    }
}

/// The base name of the program's file.
pub(super) fn program() -> String {
    let path = std::env::current_exe().ok();
    let name = path.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
    let name = name.unwrap_or_default();
    // The kernel says so when the file was replaced, as by a new build, while the program runs.
    limits::cut(name.strip_suffix(" (deleted)").unwrap_or(&name)).to_owned()
}

fn command_line() -> String {
    let bytes = std::fs::read("/proc/self/cmdline").unwrap_or_default();
    let words = bytes.split(|&byte| byte == 0).filter(|word| !word.is_empty());
    let words: Vec<_> = words.map(String::from_utf8_lossy).collect();
    limits::cut(&words.join(" ")).to_owned()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_start_time_is_found_behind_any_name() {
        let fields = "S 1 2 3 0 -1 4 5 6 7 8 9 10 11 12 20 0 1 0 98765 0 0";
        for name in ["(echo)", "(a b)", "(:-) 1 2)"] {
            assert_eq!(parse_start_time(&format!("42 {name} {fields}")), Some(98765));
        }
        assert_eq!(parse_start_time("42 (echo) S 1"), None);
    }

    #[test]
    fn this_process_is_described() {
        let process = describe(start_time().unwrap());
        assert_eq!(process.pid, std::process::id());
        assert!(process.program.starts_with("nexus_runtime-"), "{}", process.program);
        assert!(process.command_line.contains(&process.program));
        let age = monotonic_ns() - process.started.0;
        assert!(age < 3_600_000_000_000, "tests do not run for an hour: {age} ns");
        let now = u64::try_from(monotonic_ns() as i128 + i128::from(process.wall_offset_ns));
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!(wall.as_secs().abs_diff(now.unwrap() / 1_000_000_000) < 60);
    }
}
