//! How a run of the program ends: exit codes, and errors that know theirs.

use std::error::Error;
use std::io;

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well. Also the normal end of a COMMAND.
    Fine = 0,
    /// A finding that `--fail-on` names.
    Finding = 1,
    /// The command line makes no sense, or means more than one thing.
    Usage = 2,
    /// The target is not there, has gone, or may not be looked at.
    Target = 3,
    /// Whether there is a finding that `--fail-on` names could not be judged.
    Unjudged = 4,
    /// Reading or writing on this side failed.
    LocalIo = 5,
    /// The COMMAND could not be started or failed.
    Command = 6,
}

/// An error that knows its exit code. Its text says what failed, with what, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    exit: Exit,
    text: String,
}

impl Failure {
    /// An error that ends the program with this code.
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into() }
    }

    /// A mistake on the command line.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    /// A target that is not there, gone, or not allowed.
    pub fn target(text: impl Into<String>) -> Self {
        Self::new(Exit::Target, text)
    }

    /// Reading or writing on this side failed.
    pub fn local_io(text: impl Into<String>) -> Self {
        Self::new(Exit::LocalIo, text)
    }

    /// The code it ends the program with.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

/// The exit code for an error, or `None` if it is none to speak of: whoever read our output has had enough.
#[must_use]
pub fn exit_of(error: &anyhow::Error) -> Option<Exit> {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return Some(failure.exit());
    }
    let broken_pipe = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe);
    // Whatever has no code of its own came from reading or writing here.
    if broken_pipe { None } else { Some(Exit::LocalIo) }
}

/// An error and everything it was caused by, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_failure_keeps_its_code_under_context() {
        let error = Err::<(), _>(Failure::target("gone")).context("while looking").unwrap_err();
        assert_eq!(exit_of(&error), Some(Exit::Target));
        assert_eq!(format!("{error:#}"), "while looking: gone");
    }

    #[test]
    fn a_closed_pipe_is_no_error_and_other_trouble_is_local() {
        let closed = Err::<(), _>(io::Error::from(io::ErrorKind::BrokenPipe)).context("stdout");
        assert_eq!(exit_of(&closed.unwrap_err()), None);
        let full = Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull)).context("stdout");
        assert_eq!(exit_of(&full.unwrap_err()), Some(Exit::LocalIo));
    }
}
