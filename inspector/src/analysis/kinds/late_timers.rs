//! `late-timers`: timers fired too late, and why.

use crate::analysis::delays::Delays;
use crate::analysis::engine::LongPolls;
use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::Kind;
use crate::analysis::subject::{Subject, TaskFacts};
use crate::analysis::thresholds::Thresholds;
use crate::text;
use nexus_protocol::{Seq, Stamp};

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct LateTimers {
    delays: Delays,
}

impl LateTimers {
    /// A timer with this deadline fired, with the thread having been in long polls for `long` since the turn before.
    pub(in crate::analysis) fn fired(
        &mut self,
        task: Option<TaskFacts>,
        (deadline, at, long): (Stamp, Stamp, u64),
        seq: Seq,
        long_polls: &LongPolls,
        thresholds: &Thresholds,
    ) {
        let late = at.since(deadline);
        if late < thresholds.late_timer_ns || deadline.is_never() {
            return;
        }
        let subject = task.map_or(Subject::Loop, Subject::Task);
        self.delays.add(subject, (deadline, at, long), seq, long_polls);
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let tally = self.delays.judged(scene, scene.thresholds.late_timer_ns);
        let entries = tally.entries().into_iter();
        entries
            .filter(|(_, culprit, entry)| {
                culprit.is_some() || entry.count >= scene.thresholds.min_count
            })
            .map(|(group, culprit, entry)| {
                let mut finding = scene.finding(Kind::LateTimers, group, entry);
                finding.wasted_ns = 0;
                let ran = match entry.other {
                    Some(task) => format!("a poll of {} ran", task.text(scene.strings)),
                    None => "several long polls ran".to_owned(),
                };
                let explanation = format!(
                    "timers of {} fired {} or more after their deadline {} times, {} at most, while {ran}",
                    finding.about,
                    text::duration_ns(scene.thresholds.late_timer_ns),
                    text::count(entry.count),
                    text::duration_ns(entry.longest_ns)
                );
                finding = finding.because(explanation);
                finding.caused_by = culprit;
                finding
            })
            .collect()
    }
}
