//! `starved-io`: the loop goes too long without looking at the kernel.

use crate::analysis::engine::{LongPolls, Turn};
use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::Kind;
use crate::analysis::subject::{Group, Subject};
use crate::analysis::tally::{Sample, Tally};
use crate::analysis::thresholds::Thresholds;
use crate::text;

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct StarvedIo {
    /// By the group whose poll ran most of the time, if there is one.
    tally: Tally<Option<Group>>,
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
        let busy = turn.busy_before - before.busy_before;
        if busy.saturating_mul(2) < gap {
            return;
        }
        let culprit = long_polls.culprit(before.at, turn.parked);
        let group = culprit.map(|culprit| Subject::Task(culprit).group());
        let sample = Sample { count: 1, wasted_ns: gap, at: turn.parked, seq: turn.seq };
        self.tally.add(Subject::Loop, group, culprit, sample);
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let entries = self.tally.entries().into_iter();
        entries
            .filter(|(_, culprit, entry)| {
                culprit.is_some() || entry.count >= scene.thresholds.min_count
            })
            .map(|(group, culprit, entry)| {
                let mut finding = scene.finding(Kind::StarvedIo, group, entry);
                finding.wasted_ns = 0;
                let ran = match entry.other {
                    Some(task) => format!("a poll of {} ran", task.text(scene.strings)),
                    None => "many polls ran".to_owned(),
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
