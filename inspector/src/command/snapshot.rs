//! `snapshot`: the board of a target, once, as text or JSON.

mod report;

use super::board::{self, Boards, Until};
use super::signals::EndWanted;
use crate::failure::Exit;
use crate::source::{self, ProgramOutput};
use crate::target::Target;
use anyhow::Context;
use nexus_protocol::board::{Activity, Snapshot};
use nexus_protocol::frame::{Process, RuntimeInfo};
use nexus_protocol::strings::Strings;
use nexus_protocol::trace;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a program that has just been started is watched: long enough for something to see, and for rates.
const WATCH: Duration = Duration::from_secs(1);

/// Prints the board of a target.
pub(crate) fn run(target: &Target, json: bool) -> anyhow::Result<Exit> {
    let (subscribe, until) = match target {
        Target::Demo | Target::Command(_) => (source::BOARD_OFTEN, Until::Watched(WATCH)),
        Target::Stdin | Target::File(_) => (source::BOARD_ONCE, Until::End),
        Target::Path(path) if !source::is_socket(path) => (source::BOARD_ONCE, Until::End),
        _ => (source::BOARD_ONCE, Until::EachOnce),
    };
    let end_wanted = EndWanted::watch().context("cannot watch for signals")?;
    let opened = source::open(target, subscribe, ProgramOutput::ToStderr)?;
    let boards = board::collect(&opened.running, until, &end_wanted)?;
    // Ends the program if it was started for this.
    drop(opened);
    if json {
        super::print(&format!("{:#}\n", document(&boards)))?;
    } else {
        super::print(&report::render(&boards))?;
    }
    Ok(Exit::Fine)
}

fn document(boards: &Boards) -> Value {
    let runtime = |board: &board::Board| {
        json!({
            "runtime": board.info.id.0,
            "name": board.info.name,
            "thread": board.info.thread,
            "recorder": "on",
            "ring_capacity": board.info.ring_capacity,
            "oldest_seq": board.last.totals.recorded.saturating_sub(board.info.ring_capacity),
            "polling": polling(&board.last, &boards.strings),
            "snapshot": trace::json::snapshot(&board.last, &boards.strings),
        })
    };
    // What is not recorded is not known, and not zero either.
    let off = |info: &RuntimeInfo| {
        json!({
            "runtime": info.id.0,
            "name": info.name,
            "thread": info.thread,
            "recorder": "off",
            "ring_capacity": null,
            "oldest_seq": null,
            "polling": null,
            "snapshot": null,
        })
    };
    let runtimes = boards.runtimes.iter().map(runtime).chain(boards.off.iter().map(off));
    json!({
        "format": "nexus-snapshot",
        "version": 1,
        "process": process(&boards.process),
        "runtimes": runtimes.collect::<Vec<_>>(),
    })
}

/// The poll in progress, if there is one: whose it is, where that task was spawned, and since when.
fn polling(board: &Snapshot, strings: &Strings) -> Value {
    let Activity::Polling(task) = board.activity else { return Value::Null };
    let row = board::polled(board);
    json!({
        "task": task.0,
        "name": row.and_then(|row| strings.get(row.name)),
        "location": row.and_then(|row| strings.get(row.location)),
        "since_ns": board.since.0,
        "for_ns": board.taken.since(board.since),
    })
}

fn process(process: &Process) -> Value {
    json!({
        "pid": process.pid,
        "start_time_ticks": process.start_time,
        "program": process.program,
        "command_line": process.command_line,
        "started_ns": process.started.0,
        "wall_offset_ns": process.wall_offset_ns,
        "clock": process.clock,
    })
}
