//! The JSON traces: one document, one event a line, readable after truncation; or lines alone.
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
//! The other form, for streams and for tools that go line by line, makes each line an object of its own: the first one
//! holds format, process and runtimes, the last one is the summary, with `"kind":"summary"`, and no commas stand between.
//! A [`Reader`] takes either.
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

use super::{Reason, RuntimeSummary, Summary, TraceError};
use crate::board::Snapshot;
use crate::strings::Strings;
pub use read::Reader;
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
