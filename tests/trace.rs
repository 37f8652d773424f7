//! A recorded trace as a user of the JSON sees it: values and field names, nothing of the crates that wrote it.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// A trace of one runtime.
pub struct Trace {
    /// The whole document.
    pub document: Value,
    /// The records of its one runtime, by number.
    records: BTreeMap<u64, Value>,
}

/// The records that led to an operation.
#[derive(Debug)]
pub struct Chain<'a> {
    /// What the kernel said.
    pub event: &'a Value,
    /// The wake it caused.
    pub wake: &'a Value,
    /// The poll that answered the wake.
    pub poll: &'a Value,
}

impl Trace {
    /// Reads a trace.
    ///
    /// # Panics
    ///
    /// If the file is not one JSON document with one runtime's records.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("the trace is there");
        let document: Value = serde_json::from_str(&text).expect("the trace is one JSON document");
        let events = document["events"].as_array().expect("a trace has events");
        let records: BTreeMap<u64, Value> = events
            .iter()
            .filter_map(|event| Some((event["seq"].as_u64()?, event.clone())))
            .collect();
        assert!(
            records.values().all(|record| record["runtime"] == 1),
            "one runtime, one sequence of numbers"
        );
        Self { document, records }
    }

    /// Records of a kind, in order.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.records.values().filter(move |record| record["kind"] == kind)
    }

    /// Operations of a kind with this result.
    #[must_use]
    pub fn operations(&self, operation: &str, result: &str) -> Vec<&Value> {
        self.of_kind("operation")
            .filter(|record| record["operation"] == operation && record["result"] == result)
            .collect()
    }

    /// The record whose number stands in this field.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn link<'a>(&'a self, record: &Value, field: &str) -> &'a Value {
        let seq = record[field].as_u64().unwrap_or_else(|| panic!("no {field} in {record}"));
        self.records.get(&seq).unwrap_or_else(|| panic!("{field} of {record} is not in the trace"))
    }

    /// Follows an operation on a token back to the kernel event, by the numbers in the records alone.
    ///
    /// The wake that queued the poll may have come from another token: then this token's own wake found the task queued
    /// already, and lies between the two.
    ///
    /// # Panics
    ///
    /// If a link is missing or leads to something else.
    #[must_use]
    pub fn chain<'a>(&'a self, operation: &'a Value) -> Chain<'a> {
        let poll = self.link(operation, "poll");
        assert_eq!(poll["kind"], "poll-start", "{poll}");
        assert_eq!(poll["task"], operation["task"]);
        let queued = self.link(poll, "wake");
        assert_eq!(queued["kind"], "wake", "{queued}");
        assert_eq!(queued["task"], poll["task"]);
        assert_eq!(queued["outcome"], "queued");
        let seq = |record: &Value| record["seq"].as_u64().expect("records have numbers");
        let wake = self
            .records
            .range(seq(queued)..seq(poll))
            .map(|(_, record)| record)
            .find(|record| {
                record["kind"] == "wake"
                    && record["task"] == poll["task"]
                    && record["cause"] == "io"
                    && record["token"] == operation["token"]
            })
            .unwrap_or_else(|| panic!("no wake of {operation}'s token led to {poll}"));
        let event = self.link(wake, "event");
        assert_eq!(event["kind"], "transition", "{event}");
        assert_eq!(event["reason"], "event", "{event}");
        assert_eq!(event["token"], operation["token"]);
        Chain { event, wake, poll }
    }

    /// What the summary says of the one runtime.
    #[must_use]
    pub fn summary(&self, field: &str) -> u64 {
        let runtimes = self.document["summary"]["runtimes"].as_array().expect("a summary");
        assert_eq!(runtimes.len(), 1);
        runtimes[0][field].as_u64().unwrap_or_else(|| panic!("no {field} in the summary"))
    }

    /// Checks the accounting against the records themselves.
    ///
    /// # Panics
    ///
    /// If a record is neither here nor said to be missing.
    pub fn assert_adds_up(&self) {
        assert_eq!(self.summary("delivered"), self.records.len() as u64);
        assert_eq!(
            self.summary("recorded"),
            self.summary("delivered") + self.summary("filtered") + self.summary("lost")
        );
        assert_eq!(self.summary("end_seq") - self.summary("first_seq"), self.summary("recorded"));
        let last = self.records.keys().next_back().expect("there are records");
        assert!(*last < self.summary("end_seq"));
    }
}
