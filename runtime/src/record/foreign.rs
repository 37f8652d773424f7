//! What the probes of a foreign loop need besides those of our own.

use super::Recorder;
use super::verdict::Answered;

impl Recorder {
    /// Reads the clock, for the records that follow: something has gone on since the last one that is not recorded.
    pub(crate) fn time_has_passed(&self) {
        if let Some(live) = self.live() {
            live.read_clock();
        }
    }

    /// If no operation was reported in the poll under way, there is nothing to judge it by.
    pub(crate) fn judge_by_operations_only(&self) {
        if let Some(live) = self.live()
            && live.poll_seq().is_some()
            && live.poll.operations.get() == 0
        {
            let evidence = live.poll.evidence.get();
            live.poll.evidence.set(evidence.with(Answered::FOREIGN));
        }
    }
}
