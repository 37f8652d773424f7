//! The deliberate sinners of `examples/sins/`: what each confesses is what its recording shows, no more and no less.
//!
//! Knows nothing of the analysis: it counts records.

use nexus_tests::programs::{Sandbox, example, stderr};
use nexus_tests::trace::Trace;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// What a program prints at its end, and its recording.
struct Confession {
    kind: String,
    subject: String,
    source: String,
    count: u64,
    trace: Trace,
}

impl Confession {
    /// Runs the program that is called like the kind; again if the machine was too slow to take all that it recorded.
    fn of(kind: &str, length: &str, every: &str) -> Self {
        let whole = (0..10).find_map(|_| Self::try_of(kind, length, every));
        whole.unwrap_or_else(|| panic!("{kind}: records were lost each time"))
    }

    /// `None` if records were lost.
    fn try_of(kind: &str, length: &str, every: &str) -> Option<Self> {
        let sandbox = Sandbox::new();
        let (program, trace) = (example(kind), sandbox.file("trace.json"));
        let mut command = sandbox.inspector(["record", "-o"]);
        command.arg(&trace).arg("--").arg(program).args(["--for", length, "--every", every]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{kind}: {}", stderr(&output));
        let said = stderr(&output) + &String::from_utf8_lossy(&output.stdout);
        let line = said.lines().find(|line| line.starts_with("{\"kind\""));
        let line = line.unwrap_or_else(|| panic!("{kind} confesses nothing: {said}"));
        let confessed: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| confessed[field].as_str().unwrap().to_owned();
        let (count, trace) = (confessed["count"].as_u64().unwrap(), Trace::read(&trace));
        assert_eq!(text("kind"), kind);
        assert!(count > 0, "{kind} has not sinned: {said}");
        if trace.summary("lost") > 0 {
            return None;
        }
        let this = Self {
            kind: text("kind"),
            subject: text("subject"),
            source: text("source"),
            count,
            trace,
        };
        this.assert_source();
        Some(this)
    }

    /// The subject comes from the line that was named.
    fn assert_source(&self) {
        let (kind, field, id) = match self.subject.split_once(' ') {
            Some(("token", id)) => ("token-claimed", "token", id),
            Some(("task", id)) => ("task-spawned", "task", id),
            _ => return,
        };
        let found = self.trace.of_kind(kind).find(|record| is(record, field, id));
        let found = found.unwrap_or_else(|| panic!("no {} in the trace", self.subject));
        assert_eq!(found["location"], self.source.as_str(), "{}", self.kind);
    }

    /// Whether a record is about the task or token that was named.
    fn is_subject(&self, record: &Value) -> bool {
        self.subject.split_once(' ').is_some_and(|(field, id)| is(record, field, id))
    }

    /// The count is that of the recording, within one in a hundred.
    fn assert_count(&self, found: usize) {
        let (found, count) = (found as u64, self.count);
        let difference = found.abs_diff(count);
        assert!(difference * 100 <= count, "{}: {count} confessed, {found} found", self.kind);
    }

    /// At least the sins that were confessed: on a loaded machine others come about without being committed.
    fn assert_at_least(&self, found: usize) {
        assert!(
            found as u64 >= self.count,
            "{}: {} confessed, {found} found",
            self.kind,
            self.count
        );
    }

    fn spurious(&self) -> usize {
        self.trace.of_kind("poll-end").filter(|poll| poll["verdict"] == "spurious").count()
    }

    fn wakes(&self, outcome: &str) -> usize {
        self.trace.of_kind("wake").filter(|wake| wake["outcome"] == outcome).count()
    }
}

fn is(record: &Value, field: &str, id: &str) -> bool {
    match &record[field] {
        Value::String(text) => text == id,
        Value::Number(number) => number.to_string() == id,
        _ => false,
    }
}

fn ns(record: &Value, field: &str) -> u64 {
    record[field].as_u64().unwrap_or_else(|| panic!("no {field} in {record}"))
}

const MS: u64 = 1_000_000;
/// All the time, and now and then.
const OFTEN: [&str; 2] = ["1", "20"];

#[test]
fn spurious_polls_are_as_many_as_confessed() {
    for kind in ["false-readiness", "wrong-direction", "untouched-source", "empty-wake"] {
        for every in OFTEN {
            let confession = Confession::of(kind, "200ms", every);
            confession.assert_count(confession.spurious());
        }
    }
}

#[test]
fn a_task_that_wakes_itself_is_counted_to_the_last_poll() {
    for every in OFTEN {
        let confession = Confession::of("self-wake", "200ms", every);
        let single = confession.trace.of_kind("poll-end").filter(|poll| {
            confession.is_subject(poll)
                && ["spurious", "excused"].contains(&poll["verdict"].as_str().unwrap())
        });
        let single = single.count();
        let repeats = confession.trace.of_kind("repeats").map(|repeats| {
            assert!(confession.is_subject(repeats));
            ns(repeats, "count") as usize
        });
        confession.assert_count(single + repeats.sum::<usize>());
    }
}

#[test]
fn events_and_wakes_for_nothing_are_as_many_as_confessed() {
    for every in OFTEN {
        let confession = Confession::of("needless-interest", "200ms", every);
        let lone = confession.trace.of_kind("transition").filter(|transition| {
            transition["reason"] == "event"
                && transition["after"] == serde_json::json!(["writable"])
        });
        confession.assert_count(lone.count());
        let confession = Confession::of("redundant-wakes", "200ms", every);
        confession.assert_count(confession.wakes("redundant"));
        let confession = Confession::of("dead-wakes", "200ms", every);
        confession.assert_count(confession.wakes("dead"));
        let confession = Confession::of("stale-events", "200ms", every);
        confession.assert_count(confession.trace.of_kind("stale-event").count());
        let confession = Confession::of("release-errors", "200ms", every);
        confession.assert_count(confession.trace.of_kind("release-refused").count());
    }
}

#[test]
fn what_is_left_behind_is_as_much_as_confessed() {
    for every in OFTEN {
        let confession = Confession::of("task-leak", "300ms", every);
        let left =
            confession.trace.of_kind("task-finished").filter(|task| task["outcome"] == "dropped");
        // The runtime ends in the midst of nothing else.
        confession.assert_count(left.count());
        let confession = Confession::of("token-leak", "300ms", every);
        // All are released at the end of the program, one after the other.
        let (mut live, mut most) = (HashSet::new(), 0);
        let mut records: Vec<_> = confession.trace.of_kind("token-claimed").collect();
        records.extend(confession.trace.of_kind("token-released"));
        records.sort_by_key(|record| ns(record, "seq"));
        for record in records {
            let token = record["token"].as_str().unwrap();
            if record["kind"] == "token-claimed" {
                live.insert(token)
            } else {
                live.remove(token)
            };
            most = most.max(live.len());
        }
        assert!([0, 1].contains(&(most as u64 - confession.count)), "{most} were live at once");
    }
}

#[test]
fn the_thread_is_held_up_at_least_as_often_as_confessed() {
    for every in OFTEN {
        let confession = Confession::of("blocked-poll", "300ms", every);
        let long = |poll: &&Value| {
            confession.is_subject(poll) && ns(poll, "at_ns") - ns(poll, "started_ns") >= 30 * MS
        };
        confession.assert_at_least(confession.trace.of_kind("poll-end").filter(long).count());

        let confession = Confession::of("slow-dispatch", "300ms", every);
        let trace = &confession.trace;
        let late = |poll: &&Value| {
            confession.is_subject(poll)
                && ns(poll, "at_ns") - ns(trace.link(poll, "wake"), "at_ns") >= 30 * MS
        };
        confession.assert_at_least(trace.of_kind("poll-start").filter(late).count());

        let confession = Confession::of("late-timers", "300ms", every);
        let late = |timer: &&Value| {
            timer["action"] == "fired" && ns(timer, "at_ns") - ns(timer, "deadline_ns") >= 10 * MS
        };
        confession.assert_at_least(confession.trace.of_kind("timer").filter(late).count());

        let confession = Confession::of("starved-io", "300ms", every);
        let turns: Vec<_> = confession.trace.of_kind("turn").collect();
        let gap = |pair: &&[&Value]| ns(pair[1], "parked_ns") - ns(pair[0], "at_ns") >= 25 * MS;
        confession.assert_at_least(turns.windows(2).filter(gap).count());
    }
}

#[test]
fn a_turn_for_nothing_is_followed_by_the_next_one() {
    for every in OFTEN {
        let confession = Confession::of("busy-turns", "400ms", every);
        let seqs: HashSet<_> =
            confession.trace.of_kind("turn").map(|turn| ns(turn, "seq")).collect();
        let empty = seqs.iter().filter(|&seq| seqs.contains(&(seq + 1))).count();
        // A thread that comes late finds the next timer due as well, and has not woken for nothing.
        assert!(empty > 0 && empty as u64 <= confession.count, "{empty} of {}", confession.count);
    }
}

#[test]
fn a_reader_sleeps_on_what_is_there() {
    for every in OFTEN {
        let confession = Confession::of("lost-wake", "400ms", every);
        let mut begun = HashMap::new();
        let mut records: Vec<_> = confession.trace.of_kind("wait-begin").collect();
        records.extend(confession.trace.of_kind("wait-end"));
        records.sort_by_key(|record| ns(record, "seq"));
        let mut long = 0;
        for record in records.into_iter().filter(|record| confession.is_subject(record)) {
            let (direction, at) = (record["direction"].to_string(), ns(record, "at_ns"));
            if record["kind"] == "wait-begin" {
                begun.insert(direction, at);
            } else if begun.remove(&direction).is_some_and(|begun| at - begun >= 150 * MS) {
                long += 1;
            }
        }
        confession.assert_at_least(long);
    }
}
