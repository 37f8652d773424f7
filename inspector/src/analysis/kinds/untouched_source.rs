//! `untouched-source`: woken by a token or timer that the poll did not even try.

use super::mechanism::Mechanism;
use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::Kind;
use crate::analysis::subject::{Subject, TaskFacts};
use crate::analysis::tally::{Sample, Tally};
use crate::analysis::world::World;
use crate::text;

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct UntouchedSource {
    /// Timers are short-lived: theirs are told by the task.
    tally: Tally<()>,
}

impl UntouchedSource {
    pub(super) fn judged(
        &mut self,
        mechanism: Mechanism,
        task: TaskFacts,
        world: &World,
        sample: Sample,
    ) {
        match mechanism {
            Mechanism::UntouchedToken(token, _) => {
                let subject = Subject::Token(world.token_facts(token));
                self.tally.add(subject, (), Some(task), sample);
            }
            Mechanism::UntouchedTimer(_) => self.tally.add(Subject::Task(task), (), None, sample),
            _ => {}
        }
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let found = self.tally.by_group().into_iter();
        found
            .filter(|(_, entry)| entry.count >= scene.thresholds.min_count)
            .map(|(group, entry)| {
                let finding = scene.finding(Kind::UntouchedSource, group, &entry);
                let (count, cost) = (text::count(entry.count), text::duration_ns(entry.wasted_ns));
                let explanation = match entry.other {
                    Some(task) => format!(
                        "{} woke {} {count} times, which did not even try it; these polls took {cost}",
                        finding.about,
                        task.text(scene.strings)
                    ),
                    None => format!(
                        "timers woke {} {count} times, which did not ask them whether they are over; these polls took \
                         {cost}",
                        finding.about
                    ),
                };
                finding.because(explanation)
            })
            .collect()
    }
}
