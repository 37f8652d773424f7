//! The JSON trace: one document, one event a line, readable after truncation.
//!
//! ```text
//! {"format":"nexus-trace","version":1,"protocol":1,
//! "process":{"pid":4711,…},
//! "runtimes":[{"runtime":1,…}],
//! "events":[
//! {"seq":117,"runtime":1,"at_ns":81234567,"kind":"transition","token":"7.3",…},
//! {"seq":118,"runtime":1,"at_ns":81234567,"kind":"wake","task":5,"cause":"io","token":"7.3","event":117,…},
//! {"kind":"snapshot","runtime":1,…}
//! ],
//! "summary":{"runtimes":[{"runtime":1,"recorded":2,…}],"complete":true,"reason":"finished"}}
//! ```
//!
//! [`Writer`] turns frames into that, [`Reader`] turns it back into frames. Texts stand in the lines that use them, so a
//! line can be understood alone; the reader numbers them anew. How events are divided into batches is not kept, and what
//! a filter left out shows as missing numbers. Everything else survives: what a reader yields, written again, is the
//! same document to the byte.
//!
//! The document is described by `trace.schema.json`, every field by SPEC.md, section "JSON traces".

mod board;
mod event;
mod line;
mod object;
mod read;
mod write;

use crate::board::Snapshot;
use crate::frame::Goodbye;
use crate::ids::{RuntimeId, Seq};
use crate::strings::Strings;
pub use read::{Reader, TraceError};
pub use write::Writer;

/// The version of the format. It grows when a reader of the old one would misunderstand the new one.
pub const VERSION: u32 = 1;

/// The JSON Schema (draft 2020-12) of the document.
pub const SCHEMA: &str = include_str!("../../trace.schema.json");

/// What the document begins with.
const BEGINNING: &str = "{\"format\":\"nexus-trace\",";

/// A snapshot as a JSON value, in the shape that it has in a trace.
#[must_use]
pub fn snapshot(snapshot: &Snapshot, strings: &Strings) -> serde_json::Value {
    let mut line = Vec::new();
    board::snapshot(snapshot, strings, &mut line);
    serde_json::from_slice(&line).expect("the writer writes JSON")
}

/// How many records of one runtime a trace accounts for. All numbers come from the sequence numbers of its frames, so
/// *recorded = delivered + filtered + lost* is a statement about the stream, not a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeSummary {
    /// The runtime.
    pub runtime: RuntimeId,
    /// Records made while we watched: `end_seq` less `first_seq`.
    pub recorded: u64,
    /// Records in the trace.
    pub delivered: u64,
    /// Records that the filter left out.
    pub filtered: u64,
    /// Records overwritten before they could be sent.
    pub lost: u64,
    /// Number of the first record accounted for.
    pub first_seq: Seq,
    /// Number after the last record accounted for.
    pub end_seq: Seq,
}

impl RuntimeSummary {
    /// Whether every record is accounted for.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let accounted = [self.delivered, self.filtered, self.lost].map(u128::from);
        u128::from(self.recorded) == accounted.into_iter().sum()
    }
}

/// Why a trace ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Everything asked for was received.
    Finished,
    /// The process said that it was ending, after it had sent everything.
    ProcessEnding,
    /// The connection ended without a goodbye: the process died, or the recording was broken off.
    NoGoodbye,
    /// The server did not understand the client.
    ProtocolError,
    /// The server had too many clients.
    Busy,
    /// The two sides speak different versions.
    Version,
}

impl Reason {
    const ALL: [Self; 6] = [
        Self::Finished,
        Self::ProcessEnding,
        Self::NoGoodbye,
        Self::ProtocolError,
        Self::Busy,
        Self::Version,
    ];

    /// The word in traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::ProcessEnding => "process-ending",
            Self::NoGoodbye => "no-goodbye",
            Self::ProtocolError => "protocol-error",
            Self::Busy => "busy",
            Self::Version => "version",
        }
    }

    /// The reason with this word, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

impl From<&Goodbye> for Reason {
    fn from(goodbye: &Goodbye) -> Self {
        match goodbye {
            Goodbye::Finished => Self::Finished,
            Goodbye::ProcessEnding => Self::ProcessEnding,
            Goodbye::ProtocolError(_) => Self::ProtocolError,
            Goodbye::Busy => Self::Busy,
            Goodbye::Version { .. } => Self::Version,
        }
    }
}

/// The end of a trace: what is in it, and whether that is everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Each runtime of which events were received, in the order of their first frames.
    pub runtimes: Vec<RuntimeSummary>,
    /// Why the stream ended.
    pub reason: Reason,
}

impl Summary {
    /// Whether the stream ended as it should and every record is accounted for. Lost records are accounted for.
    #[must_use]
    pub fn complete(&self) -> bool {
        matches!(self.reason, Reason::Finished | Reason::ProcessEnding)
            && self.runtimes.iter().all(RuntimeSummary::adds_up)
    }

    /// Records made while we watched, of all runtimes.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.total(|runtime| runtime.recorded)
    }

    /// Records in the trace, of all runtimes.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.total(|runtime| runtime.delivered)
    }

    /// Records that the filter left out, of all runtimes.
    #[must_use]
    pub fn filtered(&self) -> u64 {
        self.total(|runtime| runtime.filtered)
    }

    /// Records overwritten before they could be sent, of all runtimes.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.total(|runtime| runtime.lost)
    }
    fn total(&self, part: impl Fn(&RuntimeSummary) -> u64) -> u64 {
        self.runtimes.iter().map(part).fold(0, u64::saturating_add)
    }
}
