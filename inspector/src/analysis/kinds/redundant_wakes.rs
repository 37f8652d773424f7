//! `redundant-wakes`: storms of wakes for a task that is queued already.

use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::Kind;
use crate::analysis::subject::{Subject, TaskFacts};
use crate::analysis::tally::{Sample, Tally};
use crate::analysis::thresholds::Thresholds;
use crate::analysis::wakes::Pending;
use crate::analysis::world::World;
use crate::text;
use nexus_protocol::event::{Cause, WokenBy};

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct RedundantWakes {
    tally: Tally<()>,
}

impl RedundantWakes {
    /// A poll begins.
    pub(in crate::analysis) fn poll(
        &mut self,
        task: TaskFacts,
        answers: &Pending,
        world: &World,
        thresholds: &Thresholds,
    ) {
        if answers.redundant < thresholds.redundant_burst.max(1) {
            return;
        }
        let Some(last) = answers.wakes.last() else { return };
        let by = match last.cause {
            Cause::Task { task } | Cause::Primitive { by: WokenBy::Task(task), .. } => {
                Some(world.task_facts(task))
            }
            _ => None,
        };
        let sample = Sample { count: answers.redundant, wasted_ns: 0, at: last.at, seq: last.seq };
        self.tally.add(Subject::Task(task), (), by, sample);
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let found = self.tally.by_group().into_iter();
        found
            .map(|(group, entry)| {
                let finding = scene.finding(Kind::RedundantWakes, group, &entry);
                let by = match entry.other {
                    Some(task) => format!(" (lately by {})", task.text(scene.strings)),
                    None => String::new(),
                };
                let explanation = format!(
                    "{} was woken{by} {} times while it was queued already, {} or more times before one poll",
                    finding.about,
                    text::count(entry.count),
                    text::count(scene.thresholds.redundant_burst)
                );
                finding.because(explanation)
            })
            .collect()
    }
}
