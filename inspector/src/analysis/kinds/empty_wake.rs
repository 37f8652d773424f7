//! `empty-wake`: woken through a primitive, and nothing was there.

use super::mechanism::Mechanism;
use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::Kind;
use crate::analysis::subject::{Subject, TaskFacts};
use crate::analysis::tally::{Sample, Tally};
use crate::analysis::world::World;
use crate::text;

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct EmptyWake {
    tally: Tally<()>,
}

impl EmptyWake {
    pub(super) fn judged(
        &mut self,
        mechanism: Mechanism,
        task: TaskFacts,
        world: &World,
        sample: Sample,
    ) {
        if let Mechanism::EmptyWake(_, by) = mechanism {
            let by = by.map(|by| world.task_facts(by));
            self.tally.add(Subject::Task(task), (), by, sample);
        }
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let found = self.tally.by_group().into_iter();
        found
            .filter(|(_, entry)| entry.count >= scene.thresholds.min_count)
            .map(|(group, entry)| {
                let finding = scene.finding(Kind::EmptyWake, group, &entry);
                let by = match entry.other {
                    Some(task) => format!(" by {}", task.text(scene.strings)),
                    None => String::new(),
                };
                let explanation = format!(
                    "{} was woken{by} through a channel, notification or the like, and nothing was there: {} times, at a \
                     cost of {}",
                    finding.about,
                    text::count(entry.count),
                    text::duration_ns(entry.wasted_ns)
                );
                finding.because(explanation)
            })
            .collect()
    }
}
