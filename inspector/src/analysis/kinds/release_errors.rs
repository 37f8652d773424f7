//! `release-errors`: double, stale or failed releases.

use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::{Kind, Severity};
use crate::analysis::subject::{Subject, TokenFacts};
use crate::analysis::tally::{Sample, Tally};
use crate::text;
use nexus_protocol::event::RefusalReason;
use nexus_protocol::{Seq, Stamp};

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Trouble {
    Refused(RefusalReason),
    Failed(u32),
}

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct ReleaseErrors {
    tally: Tally<Trouble>,
}

impl ReleaseErrors {
    /// A token could not be released.
    pub(in crate::analysis) fn refused(
        &mut self,
        token: TokenFacts,
        reason: RefusalReason,
        seq: Seq,
        at: Stamp,
    ) {
        let sample = Sample { count: 1, wasted_ns: 0, at, seq };
        self.tally.add(Subject::Token(token), Trouble::Refused(reason), None, sample);
    }

    /// A token was released, but the kernel would not deregister its source.
    pub(in crate::analysis) fn failed(
        &mut self,
        token: TokenFacts,
        errno: u32,
        seq: Seq,
        at: Stamp,
    ) {
        let sample = Sample { count: 1, wasted_ns: 0, at, seq };
        self.tally.add(Subject::Token(token), Trouble::Failed(errno), None, sample);
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let entries = self.tally.entries().into_iter();
        entries
            .map(|(group, trouble, entry)| {
                let finding = scene.finding(Kind::ReleaseErrors, group, entry);
                let (count, about) = (text::count(entry.count), &finding.about);
                let explanation = match trouble {
                    Trouble::Refused(RefusalReason::Stale) => {
                        format!("{about} was handed back {count} times after it had been released")
                    }
                    Trouble::Refused(RefusalReason::Foreign) => {
                        format!("{about} was handed back {count} times to a runtime it does not belong to")
                    }
                    Trouble::Refused(RefusalReason::Unknown) => {
                        format!("{about} was handed back {count} times, and there is no such slot")
                    }
                    Trouble::Failed(errno) => format!(
                        "the kernel would not deregister {about}: {count} times ({}); was its descriptor closed \
                         before?",
                        error_text(errno)
                    ),
                };
                finding.because(explanation).at_least(Severity::Warning)
            })
            .collect()
    }
}

fn error_text(errno: u32) -> String {
    match i32::try_from(errno) {
        Ok(errno) => std::io::Error::from_raw_os_error(errno).to_string(),
        Err(_) => "an error without a number".to_owned(),
    }
}
