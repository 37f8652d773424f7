//! What a contestant can do here, beside what [`Contestant`] asks for.

use crate::contestant::{Absent, Contestant, Outcome};
use crate::workloads::storm::Storm;
use std::sync::{Arc, Mutex, OnceLock};

/// A runtime, with a recorder or without.
pub(crate) trait Recorded: Contestant {
    /// The cost of waking another task, if many are woken in a row.
    fn waking(tasks: u32, times: u32) -> Outcome;

    /// The cost of a dispatch, if two tasks wake each other in turn: a wake, a poll's start and its end.
    fn dispatching(dispatches: u32) -> Outcome;

    /// Runs the storm until it is over.
    fn storm(storm: Arc<Storm>) -> Result<(), Absent>;

    /// How many seconds of the others' history there still are after the storm.
    fn history(_storm: Arc<Storm>) -> Outcome {
        Err("it keeps no history that can be asked for".into())
    }
}

/// What else is to be said about the cell of this process.
static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Adds a note to the figure of this process.
pub(crate) fn note(text: impl Into<String>) {
    NOTES.lock().expect("no thread panics with it").push(text.into());
}

/// All of them.
pub(crate) fn notes() -> String {
    NOTES.lock().expect("no thread panics with it").join(", ")
}

/// How many records the recorder of this process says that it has made.
static RECORDS: OnceLock<u64> = OnceLock::new();

/// Says so.
pub(crate) fn set_records(records: u64) {
    RECORDS.set(records).expect("a cell is asked once");
}

/// How many it has made, if it can be asked.
pub(crate) fn records() -> Option<u64> {
    RECORDS.get().copied()
}
