//! Runs the cells: a fresh process each, contestants in turn, round by round.

use crate::contestant::{Absent, Figure, Outcome};
use crate::contestants::Contestant;
use crate::options::Options;
use crate::workloads::{Row, Size, Workload};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// What a cell begins its lines with.
const FIGURE: &str = "figure ";
const NOTE: &str = "note ";
const ABSENT: &str = "absent ";

/// All that came out for a workload.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) workload: Workload,
    pub(crate) row: Row,
    /// The contestants that ran, in the order of the row, with a figure for each round or the reason why not.
    pub(crate) cells: Vec<(Contestant, Result<Vec<Figure>, Absent>)>,
}

impl Results {
    /// The figures of a contestant, if it ran.
    pub(crate) fn figures(&self, wanted: Contestant) -> Option<&[Figure]> {
        let (_, cell) = self.cells.iter().find(|(contestant, _)| *contestant == wanted)?;
        cell.as_deref().ok()
    }
}

/// Measures one workload.
pub(crate) fn measure(workload: Workload, options: &Options) -> Results {
    let row = workload.row();
    let takes_part = |contestant: &Contestant| {
        let is_or_needs =
            |chosen| chosen == *contestant || row.base_of(chosen) == Some(*contestant);
        options.contestants.iter().copied().any(is_or_needs)
    };
    let mut cells: Vec<(Contestant, Result<Vec<Figure>, Absent>)> = row
        .contestants
        .iter()
        .copied()
        .filter(takes_part)
        .map(|contestant| (contestant, Ok(Vec::new())))
        .collect();
    let rounds = options.rounds.unwrap_or(match options.size {
        Size::Full => row.rounds,
        Size::Quick => row.rounds.min(3),
    });
    let count = cells.len();
    for round in 0..rounds {
        for turn in 0..count {
            let (contestant, cell) = &mut cells[whose_turn(round as usize, turn, count)];
            let Ok(figures) = cell else { continue };
            progress(&format!(
                "{}, round {} of {rounds}: {}",
                workload.name(),
                round + 1,
                contestant.name()
            ));
            match run_cell(*contestant, workload, options.size) {
                Ok(figure) => figures.push(figure),
                Err(absent) => *cell = Err(absent),
            }
        }
    }
    progress("");
    Results { workload, row, cells }
}

/// Nobody is always first, nor always after the same one: each round begins with another contestant, and every second
/// one goes backwards.
fn whose_turn(round: usize, turn: usize, count: usize) -> usize {
    let turn = if round.is_multiple_of(2) { turn } else { count - 1 - turn };
    (round + turn) % count
}

/// Says on a terminal what is going on, in a line that the next one replaces.
fn progress(what: &str) {
    let mut stderr = io::stderr();
    if stderr.is_terminal() {
        let _ = write!(stderr, "\r\x1b[K{what}");
        let _ = stderr.flush();
    }
}

fn run_cell(contestant: Contestant, workload: Workload, size: Size) -> Outcome {
    let this = std::env::current_exe().map_err(|error| Absent(error.to_string()))?;
    let mut command = Command::new(this);
    command.args(["cell", contestant.name(), workload.name(), size.name()]);
    // Switches of ours that would measure something else.
    command.env_remove("NEXUS_RECORDER").env_remove("NEXUS_INSPECT");
    let sockets = SocketDirectory::new();
    command.env("NEXUS_INSPECT_DIR", &sockets.0);
    // Who hangs once is not tried again.
    let output = output_within(command, workload.limit())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let after = |prefix| said.lines().find_map(|line: &str| line.strip_prefix(prefix));
    if let Some(reason) = after(ABSENT) {
        return Err(reason.into());
    }
    let value = after(FIGURE).and_then(|value| value.parse().ok());
    match value {
        Some(value) if output.status.success() => {
            Ok(Figure { value, note: after(NOTE).unwrap_or_default().to_owned() })
        }
        _ => {
            let complaint = String::from_utf8_lossy(&output.stderr);
            let complaint = complaint.trim().replace('\n', " / ");
            Err(Absent(format!("failed ({}): {complaint}", output.status)))
        }
    }
}

/// A directory for a cell's socket, where it finds nobody else's leftovers. The cell makes it; it is gone with this value.
struct SocketDirectory(PathBuf);

impl SocketDirectory {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("nexus-benchmarks-{}", std::process::id())))
    }
}

impl Drop for SocketDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a command and takes what it prints, or ends it.
fn output_within(mut command: Command, limit: Duration) -> Result<std::process::Output, Absent> {
    let failed = |error: io::Error| Absent(format!("cannot run a cell: {error}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().map_err(failed)?;
    let process = rustix::process::Pid::from_child(&child);
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let late = ended.recv_timeout(limit) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        if late {
            // It has not been waited for, or we would know: the number is still its own.
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        }
        late
    });
    let output = child.wait_with_output().map_err(failed);
    drop(done);
    if watch.join().expect("the watch does not panic") {
        return Err(Absent(format!("hung for {} s", limit.as_secs())));
    }
    output
}

/// What the cell's process prints.
pub(crate) fn print_outcome(outcome: &Outcome) {
    match outcome {
        Ok(figure) => {
            println!("{FIGURE}{}", figure.value);
            println!("{NOTE}{}", figure.note);
        }
        Err(absent) => println!("{ABSENT}{}", absent.to_string().replace('\n', " / ")),
    }
}
