//! `late-timers`: timers fired too late, and why.

use crate::analysis::engine::LongPolls;
use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::Kind;
use crate::analysis::subject::{Group, Subject, TaskFacts};
use crate::analysis::tally::{Sample, Tally};
use crate::analysis::thresholds::Thresholds;
use crate::text;
use nexus_protocol::{Seq, Stamp};

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct LateTimers {
    /// By the group whose poll ran most of the time, if there is one.
    tally: Tally<Option<Group>>,
}

impl LateTimers {
    /// A timer with this deadline fired, with the thread having been in polls for `busy` since the turn before.
    pub(in crate::analysis) fn fired(
        &mut self,
        task: Option<TaskFacts>,
        (deadline, at, busy): (Stamp, Stamp, u64),
        seq: Seq,
        long_polls: &LongPolls,
        thresholds: &Thresholds,
    ) {
        let late = at.since(deadline);
        if late < thresholds.late_timer_ns || deadline.is_never() {
            return;
        }
        let culprit = long_polls.culprit(deadline, at);
        // Otherwise the thread did not run, and no task is to blame for that.
        if culprit.is_none() && busy.saturating_mul(2) < late {
            return;
        }
        let group = culprit.map(|culprit| Subject::Task(culprit).group());
        let subject = task.map_or(Subject::Loop, Subject::Task);
        self.tally.add(subject, group, culprit, Sample { count: 1, wasted_ns: late, at, seq });
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let entries = self.tally.entries().into_iter();
        entries
            .filter(|(_, culprit, entry)| {
                culprit.is_some() || entry.count >= scene.thresholds.min_count
            })
            .map(|(group, culprit, entry)| {
                let mut finding = scene.finding(Kind::LateTimers, group, entry);
                finding.wasted_ns = 0;
                let ran = match entry.other {
                    Some(task) => format!("a poll of {} ran", task.text(scene.strings)),
                    None => "many polls ran".to_owned(),
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
