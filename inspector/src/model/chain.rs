//! Why a poll happened.

use nexus_protocol::Record;

/// A poll with all that led to it and all that it did, by the numbers that the records name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The transition or timer behind the wake.
    pub event: Option<Record>,
    /// The wake that queued the task.
    pub wake: Option<Record>,
    /// The wakes that it answers as well, ascending.
    pub redundant: Vec<Record>,
    /// Its beginning.
    pub start: Option<Record>,
    /// The operations made in it, ascending.
    pub operations: Vec<Record>,
    /// Its end; none while it is under way.
    pub end: Option<Record>,
    /// Whether records of this chain are missing: lost, filtered out, or older than the history.
    pub incomplete: bool,
}
