//! `starved-io`: the loop goes too long without looking at the kernel.

use crate::analysis::delays::Delays;
use crate::analysis::engine::{LongPolls, Turn};
use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::Kind;
use crate::analysis::subject::Subject;
use crate::analysis::thresholds::Thresholds;
use crate::text;

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct StarvedIo {
    delays: Delays,
}

impl StarvedIo {
    pub(super) fn turned(
        &mut self,
        before: &Turn,
        turn: &Turn,
        long_polls: &LongPolls,
        thresholds: &Thresholds,
    ) {
        let gap = turn.parked.since(before.at);
        // Turns that only looked are often not recorded: their numbers are missing.
        if gap < thresholds.starved_io_ns || turn.number != before.number.wrapping_add(1) {
            return;
        }
        let long_ns = turn.long_before.saturating_sub(before.long_before);
        self.delays.add(Subject::Loop, (before.at, turn.parked, long_ns), turn.seq, long_polls);
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let tally = self.delays.judged(scene, scene.thresholds.starved_io_ns);
        let entries = tally.entries().into_iter();
        entries
            .filter(|(_, culprit, entry)| {
                culprit.is_some() || entry.count >= scene.thresholds.min_count
            })
            .map(|(group, culprit, entry)| {
                let mut finding = scene.finding(Kind::StarvedIo, group, entry);
                finding.wasted_ns = 0;
                let ran = match entry.other {
                    Some(task) => format!("a poll of {} ran", task.text(scene.strings)),
                    None => "several long polls ran".to_owned(),
                };
                let explanation = format!(
                    "the loop did not look at the kernel for {} or longer {} times, {} at most, while {ran}",
                    text::duration_ns(scene.thresholds.starved_io_ns),
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
