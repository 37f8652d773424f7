//! `list`: what can be attached to.

use super::table::{self, Column};
use crate::failure::Exit;
use crate::target::{self, Found};
use crate::text;
use nexus_protocol::frame::RuntimeInfo;
use serde_json::{Value, json};

/// Prints the list. An empty one is no error; a person is told how to get an entry.
pub(crate) fn run(json: bool) -> anyhow::Result<Exit> {
    let found = target::discover();
    if json {
        let list: Vec<Value> = found.iter().map(value).collect();
        super::print(&format!("{:#}\n", Value::Array(list)))?;
    } else if found.is_empty() {
        super::tell(&format!("nothing to attach to. {}", target::HOW_TO_GET_ONE));
    } else {
        super::print(&listing(&found))?;
    }
    Ok(Exit::Fine)
}

fn listing(found: &[Found]) -> String {
    let columns = [
        Column::Right("PID"),
        Column::Left("NAME"),
        Column::Right("AGE"),
        Column::Right("RUNTIMES"),
        Column::Right("TOKENS"),
        Column::Right("TASKS"),
        Column::Left("COMMAND"),
    ];
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|found| {
            vec![
                found.pid.to_string(),
                found.name().to_owned(),
                text::duration_ns(found.age_ns),
                found.live_runtimes().count().to_string(),
                found.tokens().text(text::count),
                found.tasks().text(text::count),
                found.process.command_line.clone(),
            ]
        })
        .collect();
    let mut listing = table::render(&columns, &rows);
    for found in found {
        for runtime in found.live_runtimes().filter(|runtime| !runtime.is_recorded()) {
            listing += &format!("{}: {}\n", found.pid, text::recorder_is_off(runtime));
        }
    }
    listing
}

fn value(found: &Found) -> Value {
    json!({
        "pid": found.pid,
        "name": found.name(),
        "program": found.process.program,
        "comm": found.comm,
        "command_line": found.process.command_line,
        "age_ns": found.age_ns,
        "socket": found.socket.to_string(),
        "tokens": found.tokens().known(),
        "tasks": found.tasks().known(),
        "runtimes": found.runtimes.iter().map(runtime).collect::<Vec<_>>(),
    })
}

fn runtime(info: &RuntimeInfo) -> Value {
    // What is not recorded is not known, and not zero either.
    let known = |number: u64| info.is_recorded().then_some(number);
    json!({
        "runtime": info.id.0,
        "name": info.name,
        "thread": info.thread,
        "live": info.ended.is_never(),
        "recorder": if info.is_recorded() { "on" } else { "off" },
        "recorded": known(info.recorded),
        "ring_capacity": known(info.ring_capacity),
        "oldest_seq": known(info.oldest_seq()),
        "tokens": known(info.tokens),
        "tasks": known(info.tasks),
    })
}
