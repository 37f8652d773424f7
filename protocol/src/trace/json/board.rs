//! Processes, runtimes and snapshots as objects.

use super::event::target_fields;
use super::object::Object;
use crate::board::{Snapshot, TaskCounters, TaskRow, TokenCounters, TokenRow, Totals};
use crate::event::{Address, Cause};
use crate::frame::{Process, RuntimeInfo};
use crate::strings::Strings;

pub(super) fn process(process: &Process, object: &mut Object<'_>) {
    object.number("pid", process.pid);
    object.number("start_time_ticks", process.start_time);
    object.text("program", &process.program);
    object.text("command_line", &process.command_line);
    object.number("started_ns", process.started.0);
    object.signed("wall_offset_ns", process.wall_offset_ns);
    object.text("clock", &process.clock);
}

pub(super) fn runtime(info: &RuntimeInfo, object: &mut Object<'_>) {
    object.number("runtime", info.id.0);
    object.text("name", &info.name);
    object.number("thread", info.thread);
    object.number("started_ns", info.started.0);
    object.moment("ended_ns", info.ended);
    object.number("ring_capacity", info.ring_capacity);
    object.number("recorded", info.recorded);
    object.number("tokens", info.tokens);
    object.number("tasks", info.tasks);
}

/// Appends a snapshot as an object.
pub(super) fn snapshot(snapshot: &Snapshot, strings: &Strings, out: &mut Vec<u8>) {
    use crate::board::Activity;
    let mut line = Object::open(out);
    line.word("kind", "snapshot");
    line.number("runtime", snapshot.runtime.0);
    line.number("taken_ns", snapshot.taken.0);
    match snapshot.activity {
        Activity::Outside => line.word("activity", "outside"),
        Activity::Turning => line.word("activity", "turning"),
        Activity::Parked => line.word("activity", "parked"),
        Activity::Polling(task) => {
            line.word("activity", "polling");
            line.number("task", task.0);
        }
    }
    line.number("since_ns", snapshot.since.0);
    line.object("totals", |object| totals(&snapshot.totals, object));
    line.objects("tokens", &snapshot.tokens, |row, object| token(row, strings, object));
    line.objects("tasks", &snapshot.tasks, |row, object| task(row, strings, object));
    line.close();
}

/// The name of a total in the document: times carry their unit.
pub(super) fn total_key(name: &'static str) -> &'static str {
    match name {
        "busy" => "busy_ns",
        "wasted" => "wasted_ns",
        "parked" => "parked_ns",
        other => other,
    }
}

fn totals(totals: &Totals, object: &mut Object<'_>) {
    for (name, total) in Totals::NAMES.into_iter().zip(totals.to_words()) {
        object.number(total_key(name), total);
    }
}

fn token(row: &TokenRow, strings: &Strings, object: &mut Object<'_>) {
    object.token("token", row.token);
    object.number("next_seq", row.next_seq);
    object.word("source", row.kind.name());
    object.descriptor("fd", row.fd);
    object.words("interest", row.interest.names());
    object.words("readiness", row.readiness.names());
    object.task("owner", row.owner);
    object.text("location", strings.text(row.location));
    object.number("claimed_ns", row.claimed.0);
    object.moment("last_active_ns", row.last_active);
    object.moment("read_closed_ns", row.read_closed);
    address("local", row.local, strings, object);
    address("peer", row.peer, strings, object);
    object.number("waiters_readable", row.waiters_readable);
    object.number("waiters_writable", row.waiters_writable);
    object.object("counters", |object| token_counters(&row.counters, object));
    object.boolean("changing", row.changing);
}

fn token_counters(counters: &TokenCounters, object: &mut Object<'_>) {
    for (key, counter) in [
        ("events", counters.events),
        ("wakes", counters.wakes),
        ("spurious", counters.spurious),
        ("stale", counters.stale),
        ("operations", counters.operations),
        ("would_block", counters.would_block),
        ("not_ready", counters.not_ready),
        ("errors", counters.errors),
        ("bytes_in", counters.bytes_in),
        ("bytes_out", counters.bytes_out),
    ] {
        object.number(key, counter);
    }
}

fn task(row: &TaskRow, strings: &Strings, object: &mut Object<'_>) {
    object.number("task", row.task.0);
    object.number("next_seq", row.next_seq);
    object.word("state", row.state.name());
    match row.outcome {
        Some(outcome) => object.word("outcome", outcome.name()),
        None => object.null("outcome"),
    }
    object.text("location", strings.text(row.location));
    object.text("name", strings.text(row.name));
    object.number("spawned_ns", row.spawned.0);
    object.number("since_ns", row.since.0);
    match (row.last_wake_cause, Cause::NAMES.get(usize::from(row.last_wake_cause))) {
        (0, _) => object.null("last_wake"),
        (_, Some(name)) => object.word("last_wake", name),
        (code, None) => object.word("last_wake", &format!("code-{code}")),
    }
    match row.waiting_for {
        Some(target) => object.object("waiting_for", |object| target_fields(target, object)),
        None => object.null("waiting_for"),
    }
    object.number("waits", row.waits);
    object.object("counters", |object| task_counters(&row.counters, object));
    object.boolean("changing", row.changing);
}

fn task_counters(counters: &TaskCounters, object: &mut Object<'_>) {
    for (key, counter) in [
        ("polls", counters.polls),
        ("wakes", counters.wakes),
        ("redundant", counters.redundant),
        ("self_wakes", counters.self_wakes),
        ("spurious", counters.spurious),
        ("unattributed", counters.unattributed),
        ("operations", counters.operations),
        ("progress", counters.progress),
        ("busy_ns", counters.busy),
        ("wasted_ns", counters.wasted),
        ("longest_ns", counters.longest),
        ("waited_ns", counters.waited),
    ] {
        object.number(key, counter);
    }
}

/// An address: `127.0.0.1:80`, `[::1]:80`, or `unix:` and a path; null for none.
pub(super) fn address(
    key: &str,
    address: Option<Address>,
    strings: &Strings,
    object: &mut Object<'_>,
) {
    match address {
        None => object.null(key),
        Some(Address::Inet(address)) => object.word(key, &address.to_string()),
        Some(Address::Unix(path)) => object.text(key, &format!("unix:{}", strings.text(path))),
    }
}
