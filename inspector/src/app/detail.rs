//! Everything known of one token or task.

use super::table::Context;
use super::tasks::{mean_wait, target_text};
use super::tokens::address_text;
use super::value::percent;
use super::words::{Note, Speaker, Tone, note};
use crate::model::{Runtime, Task, Token};
use crate::text;
use nexus_protocol::board::TaskState;
use nexus_protocol::event::Event;
use nexus_protocol::{Record, TaskId, TokenId};

/// What a detail panel is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A token.
    Token(TokenId),
    /// A task.
    Task(TaskId),
}

/// The panel's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// What it is about.
    pub title: String,
    /// The lines.
    pub notes: Vec<Note>,
}

/// Wakes listed.
const WAKES: usize = 12;

/// Lines listed of what the application said.
const SAID: usize = 6;

/// Records looked through for them. More than this far back, they are not recent.
const LOOK_BACK: usize = 100_000;

/// Builds the panel for a subject at the shown moment.
#[must_use]
pub fn detail(subject: Subject, runtime: &Runtime, speaker: Speaker<'_>) -> Detail {
    match subject {
        Subject::Token(id) => {
            let Some(token) = speaker.view.token(id) else {
                return gone(format!("token {id}"), "released: it is not live at this moment");
            };
            token_detail(token, runtime, speaker)
        }
        Subject::Task(id) => {
            if let Some(task) = speaker.view.task(id) {
                return task_detail(task, runtime, speaker);
            }
            let how = match speaker.view.task_row(id).and_then(|row| row.outcome) {
                Some(outcome) => format!("ended: {outcome}"),
                None => "it is not live at this moment".to_owned(),
            };
            let mut detail = gone(speaker.task(id), &how);
            detail.notes.extend(recent_wakes(id, runtime, speaker));
            detail
        }
    }
}

fn gone(title: String, why: &str) -> Detail {
    Detail { title, notes: vec![note("", why, Tone::Notice)] }
}

fn heading(text: &str) -> Note {
    note(text, "", Tone::Heading)
}

fn fact(label: &str, text: impl Into<String>) -> Note {
    note(label, text, Tone::Plain)
}

/// A number that is bad news unless it is zero.
fn blemish(label: &str, number: u64, text: String) -> Note {
    note(label, text, if number == 0 { Tone::Quiet } else { Tone::Bad })
}

fn token_detail(token: &Token, runtime: &Runtime, speaker: Speaker<'_>) -> Detail {
    let (row, at) = (&token.row, speaker.view.at);
    let ago = |stamp| format!("{} ago", text::duration_ns(at.since(stamp)));
    let mut notes = Vec::new();
    notes.extend(super::freelist::suspicion(row, at).map(|why| note("", why, Tone::Bad)));
    let fd = if row.fd < 0 { "unknown".to_owned() } else { row.fd.to_string() };
    notes.push(fact("kind", format!("{}, fd {fd}", row.kind)));
    for (label, address) in [("local", row.local), ("peer", row.peer)] {
        notes.extend(address.map(|address| fact(label, address_text(address, speaker.strings))));
    }
    notes.push(fact("owner", row.owner.map_or("none".to_owned(), |task| speaker.task(task))));
    notes.push(fact("claimed", ago(row.claimed)));
    notes.push(fact("  at", text::clean(speaker.strings.get(row.location))));
    notes.push(fact("interest", row.interest.to_string()));
    notes.push(fact("readiness", row.readiness.to_string()));
    notes.push(fact(
        "waiters",
        format!("{} readable, {} writable", row.waiters_readable, row.waiters_writable),
    ));
    notes.push(fact("active", row.last_active.known().map_or("never".to_owned(), ago)));
    notes.extend(row.read_closed.known().map(|since| note("closed", ago(since), Tone::Notice)));
    notes.extend(token_counters(token));
    notes.push(heading("recent wakes"));
    let wakes = runtime.token_wakes(row.token, at, WAKES);
    notes.extend(wakes.iter().filter_map(|wake| speaker.token_wake(wake)));
    Detail { title: format!("token {}", row.token), notes }
}

/// A counter, and how fast it grows if it does.
fn counted(number: u64, rate: f64) -> String {
    match text::rate(rate).as_str() {
        "0" => text::count(number),
        rate => format!("{}  {rate}", text::count(number)),
    }
}

fn token_counters(token: &Token) -> Vec<Note> {
    let (counters, rates) = (&token.row.counters, &token.rates);
    let bytes = |number, rate: f64| match rate.max(0.0).round() as u64 {
        0 => text::bytes(number),
        rate => format!("{}  {}/s", text::bytes(number), text::bytes(rate)),
    };
    vec![
        heading("since it was claimed"),
        fact("events", counted(counters.events, rates.events)),
        fact("wakes", counted(counters.wakes, rates.wakes)),
        blemish("spurious", counters.spurious, counted(counters.spurious, rates.spurious)),
        blemish("stale", counters.stale, counted(counters.stale, rates.stale)),
        fact("operations", counted(counters.operations, rates.operations)),
        fact(
            "  of these",
            format!(
                "{} would-block, {} not-ready",
                text::count(counters.would_block),
                text::count(counters.not_ready)
            ),
        ),
        blemish("errors", counters.errors, text::count(counters.errors)),
        fact("in", bytes(counters.bytes_in, rates.bytes_in)),
        fact("out", bytes(counters.bytes_out, rates.bytes_out)),
    ]
}

fn task_detail(task: &Task, runtime: &Runtime, speaker: Speaker<'_>) -> Detail {
    let (row, at) = (&task.row, speaker.view.at);
    let mut notes = Vec::new();
    let name = speaker.strings.get(row.name);
    if !name.is_empty() {
        notes.push(fact("name", text::clean(name)));
    }
    notes.push(fact("spawned", format!("{} ago", text::duration_ns(at.since(row.spawned)))));
    notes.push(fact("  at", text::clean(speaker.strings.get(row.location))));
    let state = format!("{} for {}", row.state.name(), text::duration_ns(at.since(row.since)));
    notes.push(fact("state", state));
    if row.state == TaskState::Idle {
        let target = row.waiting_for.map_or("nothing we know of".to_owned(), target_text);
        let more = row.waits.saturating_sub(u32::from(row.waiting_for.is_some()));
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        notes.push(fact("waits for", target + &more));
    }
    let owned: Vec<String> = (speaker.view.tokens.iter())
        .filter(|token| token.row.owner == Some(row.task))
        .map(|token| token.row.token.to_string())
        .collect();
    if !owned.is_empty() {
        notes.push(fact("owns", owned.join(" ")));
    }
    notes.extend(task_counters(task));
    notes.extend(recently_said(row.task, runtime, speaker));
    notes.extend(recent_wakes(row.task, runtime, speaker));
    Detail { title: format!("task {}", row.task), notes }
}

fn task_counters(task: &Task) -> Vec<Note> {
    let (counters, rates) = (&task.row.counters, &task.rates);
    let part = |number: u64| percent(number as f64 / counters.polls.max(1) as f64);
    let busy = format!("{}  {} now", text::duration_ns(counters.busy), percent(rates.busy));
    let spurious = format!(
        "{}, {} of the polls, {} lost",
        text::count(counters.spurious),
        part(counters.spurious),
        text::duration_ns(counters.wasted)
    );
    let wait = mean_wait(&task.row).map_or("none yet".to_owned(), text::duration_ns);
    vec![
        heading("since it was spawned"),
        fact("polls", counted(counters.polls, rates.polls)),
        blemish("spurious", counters.spurious, spurious),
        fact("unattributed", text::count(counters.unattributed)),
        fact("wakes", counted(counters.wakes, rates.wakes)),
        fact("redundant", counted(counters.redundant, rates.redundant)),
        fact("by itself", counted(counters.self_wakes, rates.self_wakes)),
        fact("operations", counted(counters.operations, rates.operations)),
        fact("  completed", text::count(counters.progress)),
        fact("busy", busy),
        fact("longest poll", text::duration_ns(counters.longest)),
        fact("wake → poll", format!("{wait} on average")),
    ]
}

/// What the application said last in a task. Nothing if it does not say anything.
fn recently_said(task: TaskId, runtime: &Runtime, speaker: Speaker<'_>) -> Vec<Note> {
    let (mut notes, mut texts) = (Vec::new(), Vec::new());
    for record in runtime.history().before(speaker.view.next_seq).take(LOOK_BACK) {
        match record.event {
            // Backwards: the last piece comes first.
            Event::Text { text } => texts.push(text),
            Event::Log { task: Some(said_by), .. } if said_by == task => {
                let whole: String = texts.iter().rev().map(|text| text.as_str()).collect();
                notes.extend(speaker.said_line(record, &whole));
                texts.clear();
            }
            _ => texts.clear(),
        }
        if notes.len() == SAID {
            break;
        }
    }
    if !notes.is_empty() {
        notes.insert(0, heading("said lately"));
    }
    notes
}

fn recent_wakes(task: TaskId, runtime: &Runtime, speaker: Speaker<'_>) -> Vec<Note> {
    let of_task = |record: &&Record| matches!(record.event, Event::Wake { task: woken, .. } | Event::Repeats { task: woken, .. } if woken == task);
    let wakes = runtime.history().before(speaker.view.next_seq).take(LOOK_BACK).filter(of_task);
    let mut notes = vec![heading("recent wakes")];
    notes.extend(wakes.take(WAKES).filter_map(|wake| speaker.task_wake(wake)));
    notes
}

impl<'a> From<Speaker<'a>> for Context<'a> {
    fn from(speaker: Speaker<'a>) -> Self {
        Self { view: speaker.view, strings: speaker.strings }
    }
}
