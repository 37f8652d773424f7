//! `stale-events`: kernel events for registrations that are gone.

use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::Kind;
use crate::analysis::subject::{Subject, TokenFacts};
use crate::analysis::tally::{Sample, Tally};
use crate::text;
use nexus_protocol::{Seq, Stamp};

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct StaleEvents {
    tally: Tally<()>,
}

impl StaleEvents {
    /// The kernel reported something for a released token.
    pub(in crate::analysis) fn event(&mut self, token: TokenFacts, seq: Seq, at: Stamp) {
        let sample = Sample { count: 1, wasted_ns: 0, at, seq };
        self.tally.add(Subject::Token(token), (), None, sample);
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let found = self.tally.by_group().into_iter();
        found
            .filter(|(_, entry)| entry.count >= scene.thresholds.min_count)
            .map(|(group, entry)| {
                let finding = scene.finding(Kind::StaleEvents, group, &entry);
                let explanation = format!(
                    "the kernel still reports events for {}, which was released: {} of them; its descriptor is open \
                     somewhere and still registered",
                    finding.about,
                    text::count(entry.count)
                );
                finding.because(explanation)
            })
            .collect()
    }
}
