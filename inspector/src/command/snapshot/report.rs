//! A board as text for people: a heading, totals, the tokens, the tasks.
//!
//! ```text
//! echo (4711), running for 2m 05s
//! target/debug/echo 127.0.0.1:7007
//!
//! runtime 1 on thread 4711: parked for 1.20 ms
//!
//! TOTALS    COUNT   RATE
//! …
//! ```

use crate::command::board::{Board, Boards, polled};
use crate::command::table::{self, Column};
use crate::text;
use nexus_protocol::board::{Activity, Snapshot, TaskRow, TaskState, TokenRow, Totals};
use nexus_protocol::event::{Address, WaitFor};
use nexus_protocol::frame::RuntimeInfo;
use nexus_protocol::ids::{Stamp, StringId};
use nexus_protocol::strings::Strings;
use std::fmt::Write as _;

/// Lays out the boards.
pub(crate) fn render(boards: &Boards) -> String {
    let process = &boards.process;
    let latest = boards.runtimes.iter().map(|board| board.last.taken).max().unwrap_or_default();
    let mut report = format!(
        "{} ({}), running for {}\n{}\n",
        text::clean(&process.program),
        process.pid,
        text::duration_ns(latest.since(process.started)),
        text::clean(&process.command_line)
    );
    for board in &boards.runtimes {
        runtime(board, &boards.strings, &mut report);
    }
    for info in &boards.off {
        let _ = writeln!(report, "\n{}", text::recorder_is_off(info));
    }
    report
}

fn runtime(board: &Board, strings: &Strings, report: &mut String) {
    let Board { info, first, last } = board;
    let name = if info.name.is_empty() {
        String::new()
    } else {
        format!(" {:?}", text::clean(&info.name))
    };
    let ended = if info.ended.is_never() { "" } else { ", ended" };
    let _ = writeln!(
        report,
        "\nruntime {}{name} on thread {}: {}{ended}\n",
        info.id,
        info.thread,
        activity(last, strings)
    );
    report.push_str(&totals(first, last));
    let totals = &last.totals;
    report.push_str(&records(info, totals.recorded));
    let _ = writeln!(
        report,
        "\nTOKENS: {} live, {} free of {} slots; at most {} at once; {}\n",
        text::count(totals.live),
        text::count(totals.free()),
        text::count(totals.capacity),
        text::count(totals.high_water),
        times_grown(totals.growths)
    );
    report.push_str(&tokens(first, last, strings));
    note_missing(totals.tokens_without_row, "tokens", report);
    let _ = writeln!(report, "\nTASKS: {} live\n", text::count(totals.tasks()));
    report.push_str(&tasks(last, strings));
    note_missing(totals.tasks_without_row, "tasks", report);
}

/// What of the records can still be had.
fn records(info: &RuntimeInfo, recorded: u64) -> String {
    let recorded_text = text::count(recorded);
    match recorded.saturating_sub(info.ring_capacity) {
        // A runtime that was never announced, in a damaged trace.
        _ if !info.is_recorded() => String::new(),
        0 => format!("\nRECORDS: {recorded_text}, all of them still in the ring\n"),
        older => format!(
            "\nRECORDS: {recorded_text}; the ring holds the last {}, {} are overwritten\n",
            text::count(info.ring_capacity),
            text::count(older)
        ),
    }
}

fn times_grown(growths: u64) -> String {
    match growths {
        0 => "never grown".to_owned(),
        1 => "grown once".to_owned(),
        more => format!("grown {} times", text::count(more)),
    }
}

fn note_missing(count: u64, what: &str, report: &mut String) {
    if count > 0 {
        let _ = writeln!(report, "and {} {what} beyond the board's limit", text::count(count));
    }
}

fn activity(board: &Snapshot, strings: &Strings) -> String {
    let length = text::duration_ns(board.taken.since(board.since));
    match board.activity {
        Activity::Outside => "outside of block_on".to_owned(),
        Activity::Turning => format!("turning for {length}"),
        Activity::Parked => format!("parked for {length}"),
        Activity::Polling(task) => match polled(board) {
            None => format!("polling task {task} for {length}"),
            Some(row) => {
                let name = text::clean(strings.get(row.name).unwrap_or_default());
                let (open, close) = if name.is_empty() { ("", "") } else { (" \"", "\"") };
                let place = text::clean(strings.get(row.location).unwrap_or_default());
                format!("polling task {task}{open}{name}{close}, spawned at {place}, for {length}")
            }
        },
    }
}

/// The totals worth a line, and their rates if there are two boards some time apart.
fn totals(first: &Snapshot, last: &Snapshot) -> String {
    let seconds = last.taken.since(first.taken) as f64 / 1e9;
    let mut columns = vec![Column::Left("TOTALS"), Column::Right("COUNT")];
    if seconds > 0.0 {
        columns.push(Column::Right("RATE"));
    }
    let row = |name: &str, value: fn(&Totals) -> u64, show: fn(u64) -> String| {
        let (before, now) = (value(&first.totals), value(&last.totals));
        let mut row = vec![name.to_owned(), show(now)];
        if seconds > 0.0 {
            let per_second = now.saturating_sub(before) as f64 / seconds;
            // In the unit of the total: bytes read in other steps than numbers.
            let in_bytes = show(now).ends_with('B');
            row.push(if in_bytes {
                show(per_second as u64) + "/s"
            } else {
                text::rate(per_second)
            });
        }
        row
    };
    let mut rows = vec![
        row("records", |totals| totals.recorded, text::count),
        row("turns", |totals| totals.turns, text::count),
        row("kernel events", |totals| totals.events, text::count),
        row("stale events", |totals| totals.stale, text::count),
        row("wakes", |totals| totals.wakes, text::count),
        row("redundant wakes", |totals| totals.redundant, text::count),
        row("polls", |totals| totals.polls, text::count),
        row("spurious polls", |totals| totals.spurious, text::count),
        row("operations", |totals| totals.operations, text::count),
        row("bytes in", |totals| totals.bytes_in, text::bytes),
        row("bytes out", |totals| totals.bytes_out, text::bytes),
    ];
    rows.push(share("time in polls", first, last, |totals| totals.busy));
    rows.push(share("time in spurious polls", first, last, |totals| totals.wasted));
    rows.push(share("time parked", first, last, |totals| totals.parked));
    for row in &mut rows {
        row.truncate(columns.len());
    }
    table::render(&columns, &rows)
}

/// A length of time, and how much of the time between the boards it was.
fn share(name: &str, first: &Snapshot, last: &Snapshot, value: fn(&Totals) -> u64) -> Vec<String> {
    let (before, now) = (value(&first.totals), value(&last.totals));
    let between = last.taken.since(first.taken).max(1);
    let percent = now.saturating_sub(before) as f64 * 100.0 / between as f64;
    vec![name.to_owned(), text::duration_ns(now), format!("{percent:.1}%")]
}

fn tokens(first: &Snapshot, last: &Snapshot, strings: &Strings) -> String {
    let seconds = last.taken.since(first.taken) as f64 / 1e9;
    let mut columns = vec![
        Column::Right("TOKEN"),
        Column::Right("FD"),
        Column::Left("KIND"),
        Column::Left("LOCAL"),
        Column::Left("PEER"),
        Column::Left("INTEREST"),
        Column::Left("READINESS"),
        Column::Right("OWNER"),
        Column::Right("AGE"),
        Column::Right("EVENTS"),
        Column::Right("WAKES"),
        Column::Right("SPURIOUS"),
        Column::Right("STALE"),
        Column::Right("IN"),
        Column::Right("OUT"),
    ];
    if seconds > 0.0 {
        columns.push(Column::Right("EVENTS/S"));
    }
    columns.push(Column::Left("CLAIMED AT"));
    let mut rows: Vec<&TokenRow> = last.tokens.iter().collect();
    rows.sort_by_key(|row| (std::cmp::Reverse(row.counters.events), row.token));
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|row| {
            let mut cells = token(row, last.taken, strings);
            if seconds > 0.0 {
                let before = first.tokens.iter().find(|before| before.token == row.token);
                let before = before.map_or(0, |before| before.counters.events);
                cells.push(text::rate(row.counters.events.saturating_sub(before) as f64 / seconds));
            }
            cells.push(strings.text(row.location).to_owned());
            cells
        })
        .collect();
    table::render(&columns, &rows)
}

fn token(row: &TokenRow, now: Stamp, strings: &Strings) -> Vec<String> {
    let counters = &row.counters;
    vec![
        row.token.to_string(),
        if row.fd < 0 { "-".to_owned() } else { row.fd.to_string() },
        row.kind.to_string(),
        address(row.local, strings),
        address(row.peer, strings),
        row.interest.to_string(),
        row.readiness.to_string(),
        row.owner.map_or_else(|| "-".to_owned(), |owner| owner.to_string()),
        text::duration_ns(now.since(row.claimed)),
        text::count(counters.events),
        text::count(counters.wakes),
        text::count(counters.spurious),
        text::count(counters.stale),
        text::bytes(counters.bytes_in),
        text::bytes(counters.bytes_out),
    ]
}

fn address(address: Option<Address>, strings: &Strings) -> String {
    match address {
        None => "-".to_owned(),
        Some(Address::Inet(address)) => address.to_string(),
        Some(Address::Unix(path)) => strings.text(path).to_owned(),
    }
}

fn tasks(board: &Snapshot, strings: &Strings) -> String {
    let columns = [
        Column::Right("TASK"),
        Column::Left("NAME"),
        Column::Left("STATE"),
        Column::Right("FOR"),
        Column::Left("WAITING FOR"),
        Column::Right("POLLS"),
        Column::Right("WAKES"),
        Column::Right("REDUNDANT"),
        Column::Right("SELF"),
        Column::Right("SPURIOUS"),
        Column::Right("BUSY"),
        Column::Right("LONGEST"),
        Column::Right("AGE"),
        Column::Left("SPAWNED AT"),
    ];
    let mut rows: Vec<&TaskRow> = board.tasks.iter().collect();
    rows.retain(|row| row.state != TaskState::Finished);
    rows.sort_by_key(|row| (std::cmp::Reverse(row.counters.polls), row.task));
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|row| task(row, board.taken, strings)).collect();
    table::render(&columns, &rows)
}

fn task(row: &TaskRow, now: Stamp, strings: &Strings) -> Vec<String> {
    let counters = &row.counters;
    vec![
        row.task.to_string(),
        or_dash(row.name, strings),
        row.state.name().to_owned(),
        text::duration_ns(now.since(row.since)),
        row.waiting_for.map_or_else(|| "-".to_owned(), waiting_for),
        text::count(counters.polls),
        text::count(counters.wakes),
        text::count(counters.redundant),
        text::count(counters.self_wakes),
        text::count(counters.spurious),
        text::duration_ns(counters.busy),
        text::duration_ns(counters.longest),
        text::duration_ns(now.since(row.spawned)),
        strings.text(row.location).to_owned(),
    ]
}

fn or_dash(string: StringId, strings: &Strings) -> String {
    match strings.text(string) {
        "" => "-".to_owned(),
        text => text.to_owned(),
    }
}

fn waiting_for(target: WaitFor) -> String {
    match target {
        WaitFor::Token(token, direction) => format!("token {token} {direction}"),
        WaitFor::Timer(timer) => format!("timer {timer}"),
        WaitFor::Task(task) => format!("task {task}"),
        WaitFor::Primitive(primitive) => format!("primitive {primitive}"),
    }
}
