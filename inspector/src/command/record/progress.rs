//! The line that shows how a recording goes on, if somebody looks at standard error.

use crate::text;
use nexus_protocol::trace::Writer;
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

/// A line that is written over itself.
#[derive(Debug)]
pub(crate) struct Progress {
    started: Instant,
    shown: bool,
    somebody_looks: bool,
}

impl Progress {
    /// Nothing is shown yet.
    pub(crate) fn new() -> Self {
        let somebody_looks = io::stderr().is_terminal();
        Self { started: Instant::now(), shown: false, somebody_looks }
    }

    /// Shows how far the recording is.
    pub(crate) fn show<W: Write>(&mut self, title: &str, writer: &Writer<W>) {
        if !self.somebody_looks {
            return;
        }
        let summary = writer.summary();
        let elapsed_ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // To the line's beginning, and what is left of the last text away.
        let _ = write!(
            io::stderr(),
            "\r\x1b[Krecording {}: {}, {} events, {} lost, {}; Ctrl-C ends it",
            text::clean(title),
            text::duration_ns(elapsed_ns),
            text::count(summary.delivered()),
            text::count(summary.lost()),
            text::bytes(writer.bytes())
        );
        self.shown = true;
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\x1b[K");
            self.shown = false;
        }
    }
}
