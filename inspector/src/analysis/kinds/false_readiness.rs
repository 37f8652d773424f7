//! `false-readiness`: woken by readiness, and the operation would block.

use super::mechanism::Mechanism;
use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::Kind;
use crate::analysis::subject::{Subject, TaskFacts};
use crate::analysis::tally::{Sample, Tally};
use crate::analysis::world::World;
use crate::text;
use nexus_protocol::Direction;

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct FalseReadiness {
    tally: Tally<Direction>,
}

impl FalseReadiness {
    pub(super) fn judged(
        &mut self,
        mechanism: Mechanism,
        task: TaskFacts,
        world: &World,
        sample: Sample,
    ) {
        if let Mechanism::FalseReadiness(token, direction) = mechanism {
            let subject = Subject::Token(world.token_facts(token));
            self.tally.add(subject, direction, Some(task), sample);
        }
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let entries = self.tally.entries().into_iter();
        entries
            .filter(|(_, _, entry)| entry.count >= scene.thresholds.min_count)
            .map(|(group, direction, entry)| {
                let finding = scene.finding(Kind::FalseReadiness, group, entry);
                let task = entry.other.map_or_else(String::new, |task| task.text(scene.strings));
                let explanation = format!(
                    "{} was reported {direction} and woke {task}, whose attempt then would have blocked: {} times, at a \
                     cost of {}; what was there had been taken already",
                    finding.about,
                    text::count(entry.count),
                    text::duration_ns(entry.wasted_ns)
                );
                finding.because(explanation)
            })
            .collect()
    }
}
