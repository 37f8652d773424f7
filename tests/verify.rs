//! What must be true of any server after any load: no wake went to the wrong owner, and nothing is left over.
//!
//! Reads what the inspector writes, line by line, so that a recording of any length will do.

use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead};

/// What a recording says of the kernel's events and of who was woken for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Records in the file.
    pub records: u64,
    /// Records that were overwritten before they were read.
    pub lost: u64,
    /// Events of tokens that had been released.
    pub stale: u64,
    /// Wakes for an event of a token.
    pub wakes: u64,
    /// Those of them whose event is not in the file.
    pub unknown: u64,
    /// Those that answer to a stale event, to an event of another token, or to a token that had been released.
    pub wrong: Vec<String>,
}

impl Delivery {
    /// Reads a recording of one runtime.
    ///
    /// # Errors
    ///
    /// If it can't be read, or a line is not what the inspector writes.
    pub fn read(trace: impl BufRead) -> io::Result<Self> {
        let mut reading = Reading::default();
        for line in trace.lines() {
            let line = line?;
            // A document of several lines: the records are those that have a number.
            if line.starts_with("{\"seq\":") {
                reading.record(&serde_json::from_str(line.trim_end_matches(','))?);
            } else if let Some(summary) = line.strip_prefix("\"summary\":") {
                // The last line: it closes the document, too.
                let summary = summary.strip_suffix('}').unwrap_or(summary);
                let summary: Value = serde_json::from_str(summary)?;
                reading.found.lost = summary["runtimes"][0]["lost"].as_u64().unwrap_or_default();
            }
        }
        Ok(reading.found)
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, lost, stale, wakes, unknown, wrong } = self;
        write!(
            f,
            "{records} records ({lost} lost), {wakes} wakes by events ({unknown} without a record of it), \
             {stale} stale events, {} delivered to a wrong owner",
            wrong.len()
        )
    }
}

#[derive(Default)]
struct Reading {
    found: Delivery,
    /// What the kernel has reported in this turn: the token of each record, or none if the event was stale.
    reported: HashMap<u64, Option<String>>,
    /// The slots that were released last, with the generation that they had.
    released: HashMap<u64, String>,
}

impl Reading {
    fn record(&mut self, record: &Value) {
        self.found.records += 1;
        let seq = record["seq"].as_u64().unwrap_or_default();
        let token = || record["token"].as_str().unwrap_or_default().to_owned();
        match record["kind"].as_str().unwrap_or_default() {
            "turn" => self.reported.clear(),
            "transition" if record["reason"] == "event" => {
                self.reported.insert(seq, Some(token()));
            }
            "stale-event" => {
                self.found.stale += 1;
                self.reported.insert(seq, None);
            }
            "token-claimed" => {
                self.released.remove(&slot(&token()));
            }
            "token-released" => {
                self.released.insert(slot(&token()), token());
            }
            "wake" if record["cause"] == "io" => self.wake(record, &token()),
            _ => {}
        }
    }

    fn wake(&mut self, record: &Value, token: &str) {
        self.found.wakes += 1;
        let reported = record["event"].as_u64().and_then(|event| self.reported.get(&event));
        let is_right = match reported {
            Some(Some(reported)) => reported == token,
            Some(None) => false,
            None => {
                self.found.unknown += 1;
                true
            }
        };
        if !is_right || self.released.get(&slot(token)).is_some_and(|released| released == token) {
            self.found.wrong.push(record.to_string());
        }
    }
}

/// The slot of a token such as `7.3`.
fn slot(token: &str) -> u64 {
    token.split('.').next().and_then(|slot| slot.parse().ok()).unwrap_or(u64::MAX)
}

/// What a snapshot says is left over in a server that has no client any more. Nothing, if all went well.
#[must_use]
pub fn left_over(snapshot: &Value) -> Vec<String> {
    let totals = &snapshot["runtimes"][0]["snapshot"]["totals"];
    let total = |name: &str| totals[name].as_u64().unwrap_or(u64::MAX);
    let tasks = total("tasks_spawned").wrapping_sub(total("tasks_finished"));
    [
        (total("live").wrapping_sub(1), "tokens beside the listener"),
        (tasks.wrapping_sub(1), "tasks beside the root"),
        (total("queued"), "tasks in the run queue"),
        (total("releases_refused"), "releases refused"),
        (total("deregister_failures"), "failures to deregister"),
    ]
    .into_iter()
    .filter(|&(count, _)| count != 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn delivery(records: &[Value]) -> Delivery {
        let mut trace = "{\"format\":\"nexus-trace\",\n\"events\":[\n".to_owned();
        for (seq, record) in records.iter().enumerate() {
            trace += &format!("{{\"seq\":{seq},{},\n", &record.to_string()[1..]);
        }
        trace += "{\"kind\":\"goodbye\"}\n],\n\"summary\":{\"runtimes\":[{\"lost\":7}],\"complete\":true}}\n";
        Delivery::read(trace.as_bytes()).unwrap()
    }

    fn event(token: &str) -> Value {
        json!({"kind": "transition", "token": token, "reason": "event"})
    }

    fn wake(token: &str, event: u64) -> Value {
        json!({"kind": "wake", "cause": "io", "token": token, "event": event})
    }

    #[test]
    fn what_goes_to_its_owner_is_right() {
        let turn = json!({"kind": "turn"});
        let claimed = json!({"kind": "token-claimed", "token": "3.2"});
        let released = json!({"kind": "token-released", "token": "3.1"});
        let stale = json!({"kind": "stale-event", "token": "3.1"});
        let found = delivery(&[
            event("3.1"),
            wake("3.1", 0),
            released,
            claimed,
            turn,
            stale,
            event("3.2"),
            wake("3.2", 6),
        ]);
        let right =
            Delivery { records: 8, lost: 7, stale: 1, wakes: 2, unknown: 0, wrong: Vec::new() };
        assert_eq!(found, right);
    }

    #[test]
    fn a_wake_for_a_stale_event_or_another_token_is_wrong() {
        let stale = json!({"kind": "stale-event", "token": "3.1"});
        assert_eq!(delivery(&[stale, wake("3.2", 0)]).wrong.len(), 1);
        assert_eq!(delivery(&[event("3.1"), wake("3.2", 0)]).wrong.len(), 1);
    }

    #[test]
    fn a_wake_after_the_release_is_wrong() {
        let released = json!({"kind": "token-released", "token": "3.1"});
        assert_eq!(delivery(&[event("3.1"), released, wake("3.1", 0)]).wrong.len(), 1);
    }

    #[test]
    fn what_cannot_be_judged_is_counted() {
        let found = delivery(&[wake("3.1", 5)]);
        assert_eq!((found.unknown, found.wrong.len()), (1, 0));
    }

    #[test]
    fn everything_left_over_is_named() {
        let snapshot = |totals: Value| json!({"runtimes": [{"snapshot": {"totals": totals}}]});
        let mut totals = json!({
            "live": 1, "tasks_spawned": 10, "tasks_finished": 9, "queued": 0,
            "releases_refused": 0, "deregister_failures": 0
        });
        assert_eq!(left_over(&snapshot(totals.clone())), [""; 0]);
        totals["live"] = 3.into();
        totals["tasks_finished"] = 8.into();
        let left = ["2 tokens beside the listener", "1 tasks beside the root"];
        assert_eq!(left_over(&snapshot(totals)), left);
    }
}
