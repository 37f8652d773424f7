//! `dead-wakes`: wakes of tasks that have finished.

use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::Kind;
use crate::analysis::subject::{Subject, TaskFacts};
use crate::analysis::tally::{Sample, Tally};
use crate::analysis::world::World;
use crate::text;
use nexus_protocol::event::Cause;
use nexus_protocol::{Seq, Stamp, TaskId};

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct DeadWakes {
    tally: Tally<()>,
}

impl DeadWakes {
    /// A finished task was woken.
    pub(in crate::analysis) fn wake(
        &mut self,
        task: TaskId,
        cause: Cause,
        seq: Seq,
        at: Stamp,
        world: &World,
    ) {
        let by: Option<TaskFacts> = match cause {
            Cause::Task { task } => Some(world.task_facts(task)),
            _ => None,
        };
        let sample = Sample { count: 1, wasted_ns: 0, at, seq };
        self.tally.add(Subject::Task(world.task_facts(task)), (), by, sample);
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let found = self.tally.by_group().into_iter();
        found
            .filter(|(_, entry)| entry.count >= scene.thresholds.min_count)
            .map(|(group, entry)| {
                let finding = scene.finding(Kind::DeadWakes, group, &entry);
                let by = match entry.other {
                    Some(task) => format!(" by {}", task.text(scene.strings)),
                    None => String::new(),
                };
                let explanation = format!(
                    "{} had finished and was woken{by} all the same: {} times; somebody keeps its waker",
                    finding.about,
                    text::count(entry.count)
                );
                finding.because(explanation)
            })
            .collect()
    }
}
