//! How many system calls an echo takes, counted by `strace`.
//!
//! The cell starts another process under `strace`, in which the contestant serves one connection. Its client makes two
//! calls that nobody else makes, as marks around the echoes that count, and says which thread it is: all others' calls
//! between the marks are the server's.

use super::Size;
use super::echo::{against, connect, exchange};
use crate::contestant::{self, Absent, Figure, Outcome};
use crate::contestants::Contestant;
use crate::host::{self, Cpus};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::process::Command;

/// The subcommand under which a process serves and marks.
pub(crate) const SUBCOMMAND: &str = "traced";
/// The mark. Nothing else asks for the parent.
const MARK: &str = "getppid(";

const READS: [&str; 6] = ["read", "readv", "recvfrom", "recvmsg", "recvmmsg", "preadv"];

/// All system calls an echo. The note says which.
pub(crate) fn all(contestant: Contestant, size: Size) -> Outcome {
    let counts = count(contestant, size)?;
    let mut note = String::new();
    for (call, count) in &counts.calls {
        let each = per_echo(*count, size);
        if each >= 0.005 {
            let separator = if note.is_empty() { "" } else { ", " };
            let _ = write!(note, "{separator}{call} {each:.2}");
        }
    }
    Ok(Figure { value: per_echo(counts.calls.values().sum(), size), note })
}

/// Reads that the kernel answered with `EAGAIN`, an echo.
pub(crate) fn vain_reads(contestant: Contestant, size: Size) -> Outcome {
    Ok(per_echo(count(contestant, size)?.vain_reads, size).into())
}

fn echoes(size: Size) -> u32 {
    size.of(2_000)
}

fn per_echo(count: u32, size: Size) -> f64 {
    f64::from(count) / f64::from(echoes(size))
}

/// In the process under `strace`: serves one connection and marks the echoes that count. The client's thread.
pub(crate) fn serve<C: contestant::Contestant>(size: Size, cpus: Cpus) -> Result<i32, Absent> {
    against::<C, _>(cpus.runtime, 1, move |address| {
        let mut stream = connect(address)?;
        exchange(&mut stream, 100)?;
        mark();
        exchange(&mut stream, echoes(size))?;
        mark();
        Ok(host::thread_id().as_raw_nonzero().get())
    })
}

fn mark() {
    let _ = rustix::process::getppid();
}

#[derive(Default)]
struct Counts {
    calls: BTreeMap<String, u32>,
    vain_reads: u32,
}

fn count(contestant: Contestant, size: Size) -> Result<Counts, Absent> {
    let log = std::env::temp_dir().join(format!("nexus-benchmarks-{}.strace", std::process::id()));
    let this = std::env::current_exe().map_err(|error| Absent(error.to_string()))?;
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&log).arg(this).args([SUBCOMMAND, contestant.name()]);
    command.arg(size.name());
    let output = command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => "strace is not installed".into(),
        _ => Absent(format!("cannot start strace: {error}")),
    })?;
    let trace = fs::read_to_string(&log).unwrap_or_default();
    let _ = fs::remove_file(&log);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Absent(format!("under strace: {}", said.trim())));
    }
    let client = String::from_utf8_lossy(&output.stdout);
    counts(&trace, client.trim())
}

/// Reads what `strace -f` has written.
fn counts(trace: &str, client: &str) -> Result<Counts, Absent> {
    let mut counts = Counts::default();
    let mut marks = 0;
    for line in trace.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if thread == client {
            marks += u32::from(rest.starts_with(MARK));
            continue;
        }
        if marks != 1 {
            continue;
        }
        // A call during which another thread was switched to has two lines; the second one has the result.
        let (call, is_start) = match rest.strip_prefix("<... ") {
            Some(resumed) => (resumed.split(' ').next().unwrap_or_default(), false),
            None => (rest.split('(').next().unwrap_or_default(), true),
        };
        if is_start && !rest.starts_with(['-', '+']) {
            *counts.calls.entry(call.to_owned()).or_default() += 1;
        }
        if READS.contains(&call) && rest.contains(" EAGAIN ") {
            counts.vain_reads += 1;
        }
    }
    if marks == 2 { Ok(counts) } else { Err("the trace has no marks".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_of_others_between_the_marks_count() {
        let trace = "\
7 recvfrom(4, \"x\", 1024, 0, NULL, NULL) = 1
8 getppid() = 1
7 epoll_wait(3,  <unfinished ...>
8 sendto(5, \"x\", 64, MSG_NOSIGNAL, NULL, 0) = 64
7 <... epoll_wait resumed>[], 1024, -1) = 1
7 recvfrom(4,  <unfinished ...>
8 recvfrom(5, \"x\", 64, 0, NULL, NULL) = 64
7 <... recvfrom resumed>0x7f, 1024, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)
7 recvfrom(4, 0x7f, 1024, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)
7 --- SIGCHLD {si_signo=SIGCHLD} ---
8 getppid() = 1
7 close(4) = 0
";
        let counts = counts(trace, "8").unwrap();
        assert_eq!(counts.vain_reads, 2);
        let calls: Vec<_> =
            counts.calls.iter().map(|(call, count)| (call.as_str(), *count)).collect();
        assert_eq!(calls, [("epoll_wait", 1), ("recvfrom", 2)]);
    }

    #[test]
    fn a_trace_without_marks_is_no_result() {
        assert!(counts("7 close(4) = 0\n", "8").is_err());
    }
}
