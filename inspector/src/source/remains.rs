//! A source that is the recording which a process has left in a file.
//!
//! What is in it is the runtime's business, which wrote it: here it is only passed on.

use super::{Ending, Mode, Running, Update};
use crate::failure::{self, Failure};
use nexus_runtime::remains::Remains;
use std::fs::File;

/// Whether this file is such a recording, whole or not.
pub(crate) fn are_in(file: &File) -> bool {
    Remains::are_in(file)
}

/// Reads a recording and begins to pass it on.
///
/// # Errors
///
/// A target [`Failure`] if it was cut, is damaged, or is another version's.
pub(crate) fn open(file: &File, title: String) -> Result<Running, Failure> {
    let remains = Remains::read(file).map_err(|error| {
        Failure::target(format!("cannot read the recording {title}: {}", failure::chain(&error)))
    })?;
    Ok(Running::start(title, Mode::Replay, move |outlet| {
        for frame in remains.frames() {
            if outlet.send(Update::Frame(frame)).is_err() {
                // A consumer that is gone does not ask how it ended.
                return Ending::Finished;
            }
        }
        Ending::EndOfFile { truncated: false }
    }))
}
