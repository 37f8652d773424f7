//! Traces: what a server said, kept in a file.
//!
//! A trace is a sequence of [`ServerFrame`]s that begins with the hello, whatever the format: replaying one is the same as
//! being attached. [`json`] is for people and tools, [`native`] for size: the frames of the wire as they are. [`Writer`]
//! and [`Reader`] stand for any of them.

mod any;
pub mod json;
pub mod native;
mod summary;

use crate::decode::DecodeError;
#[cfg(doc)]
use crate::frame::ServerFrame;
pub use any::{Format, Reader, Writer};
use std::io;
pub use summary::{Reason, RuntimeSummary, Summary};

/// Why a trace cannot be read, or not any further.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The file cannot be read.
    #[error("cannot read the trace")]
    Io(#[from] io::Error),
    /// The file is something else.
    #[error("this is not a nexus trace: {0}")]
    NotATrace(&'static str),
    /// The file was written by a later version.
    #[error(
        "the trace has version {found} of the format, this program reads up to version {known}; use a newer one"
    )]
    Version {
        /// The version of the file.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// A line makes no sense.
    #[error("line {line} of the trace: {fault}")]
    Line {
        /// Number of the line, counted from one.
        line: u64,
        /// What is wrong with it.
        fault: String,
    },
    /// A frame makes no sense.
    #[error("the trace is damaged")]
    Frame(#[from] DecodeError),
}
