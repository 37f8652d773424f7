//! Made-up runtimes for tests: a [`Tape`] is told what happens, and writes the records and keeps the board as a
//! runtime's recorder would. [`trace`] is a whole recording, the same every time.
//!
//! The board is kept by the recorder's rules written out here once more, next to each event, and not by the model's
//! own code, so that a test can compare the two.

mod echo;
mod tape;

pub use echo::{run, trace, trace_of};
pub use tape::Tape;
