//! `slow-dispatch`: the time from wake to poll is too long, and what ran in between.

use crate::analysis::delays::Delays;
use crate::analysis::engine::LongPolls;
use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::Kind;
use crate::analysis::subject::{Subject, TaskFacts};
use crate::analysis::thresholds::Thresholds;
use crate::analysis::wakes::Pending;
use crate::text;
use nexus_protocol::Stamp;

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct SlowDispatch {
    delays: Delays,
}

impl SlowDispatch {
    /// A poll begins, with the thread having been in long polls for `long` so far.
    pub(in crate::analysis) fn poll(
        &mut self,
        task: TaskFacts,
        answers: &Pending,
        (at, long): (Stamp, u64),
        long_polls: &LongPolls,
        thresholds: &Thresholds,
    ) {
        let Some(wake) = answers.queuing().filter(|_| answers.complete) else { return };
        let waited = at.since(wake.at);
        if waited < thresholds.slow_dispatch_ns {
            return;
        }
        let long_ns = long.saturating_sub(answers.long_before);
        self.delays.add(Subject::Task(task), (wake.at, at, long_ns), wake.seq, long_polls);
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let tally = self.delays.judged(scene, scene.thresholds.slow_dispatch_ns);
        let entries = tally.entries().into_iter();
        entries
            .filter(|(_, culprit, entry)| {
                culprit.is_some() || entry.count >= scene.thresholds.min_count
            })
            .map(|(group, culprit, entry)| {
                let mut finding = scene.finding(Kind::SlowDispatch, group, entry);
                // It is the waiting task's time; the thread was at work.
                finding.wasted_ns = 0;
                let ran = match entry.other {
                    Some(task) => format!("a poll of {} ran", task.text(scene.strings)),
                    None => "long polls of several tasks ran".to_owned(),
                };
                let explanation = format!(
                    "{} had to wait {} or longer for its poll after {} wakes, {} at most, while {ran}",
                    finding.about,
                    text::duration_ns(scene.thresholds.slow_dispatch_ns),
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
