//! What is found, and the scene it is told in.

use super::delays::Preempted;
use super::kind::{Kind, Severity};
use super::subject::{Group, Subject};
use super::tally::Entry;
use super::thresholds::Thresholds;
use super::world::World;
use crate::model::Strings;
use nexus_protocol::{Seq, Stamp};

/// One diagnosed problem.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What sort of problem.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// Who it is about; of several that come from the same place, the worst.
    pub subject: Subject,
    /// The subject in words. Not yet clean for a terminal, as all texts here.
    pub about: String,
    /// How many more come from the same place, at least.
    pub others: u64,
    /// The place in the program, or the empty string.
    pub location: String,
    /// How often; [`Kind::unit`] says what.
    pub count: u64,
    /// Per second of the time observed.
    pub rate: f64,
    /// Time of the thread that it cost, as far as that can be told.
    pub wasted_ns: u64,
    /// When it was seen first, and last.
    pub seen: (Stamp, Stamp),
    /// Numbers of records that show it: the first ones and the last ones.
    pub evidence: Vec<Seq>,
    /// What happens, in plain words.
    pub explanation: String,
    /// What to change.
    pub remedy: String,
    /// For a symptom: which share of all that the process has of its kind this finding explains.
    pub share: Option<f64>,
    /// Findings that this one explains.
    pub symptoms: Vec<Finding>,
    pub(super) group: Group,
    /// The group whose polls are to blame.
    pub(super) caused_by: Option<Group>,
    /// Stale events are to blame.
    pub(super) of_stale_events: bool,
}

/// What the kinds need to tell what they have found.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) world: &'a World,
    pub(super) strings: &'a Strings,
    pub(super) thresholds: &'a Thresholds,
    pub(super) preempted: &'a Preempted,
    pub(super) span_ns: u64,
    pub(super) now: Stamp,
    /// When the loop last began to look at the kernel.
    pub(super) looked: Stamp,
}

impl Scene<'_> {
    /// A finding for what was tallied of one group, with the severity that its cost gives it.
    pub(super) fn finding(&self, kind: Kind, group: Group, entry: &Entry) -> Finding {
        let (subject, others) = entry.worst();
        let seconds = (self.span_ns as f64 / 1e9).max(1e-3);
        let rate = entry.count as f64 / seconds;
        let wasted_share = entry.wasted_ns as f64 / (self.span_ns.max(1)) as f64;
        Finding {
            kind,
            severity: Severity::of_cost(wasted_share, rate),
            subject,
            about: subject.text(self.strings),
            others,
            location: self.strings.get(subject.location()).to_owned(),
            count: entry.count,
            rate,
            wasted_ns: entry.wasted_ns,
            seen: (entry.first, entry.last),
            evidence: entry.evidence(),
            explanation: String::new(),
            remedy: kind.remedy().to_owned(),
            share: None,
            symptoms: Vec::new(),
            group,
            caused_by: None,
            of_stale_events: false,
        }
    }
}

impl Finding {
    /// Sets the explanation.
    pub(super) fn because(mut self, explanation: String) -> Self {
        self.explanation = explanation;
        self
    }

    /// Sets the severity, where the cost does not decide.
    pub(super) fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// Raises the severity to at least this.
    pub(super) fn at_least(mut self, severity: Severity) -> Self {
        self.severity = self.severity.max(severity);
        self
    }
}
