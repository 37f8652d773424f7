//! `self-wake`: a task wakes itself again and again without progress.

use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::Kind;
use crate::analysis::subject::Subject;
use crate::analysis::tally::{Sample, Tally};
use crate::analysis::wakes::Poll;
use crate::analysis::world::{Task, World};
use crate::text;
use nexus_protocol::event::{Cause, Cycle};
use nexus_protocol::{Seq, Stamp};

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct SelfWake {
    tally: Tally<()>,
}

impl SelfWake {
    /// A poll is over: it may go on with a row of idle ones.
    pub(super) fn poll(&mut self, poll: &Poll, world: &mut World) {
        let wakes = &poll.answers.wakes;
        let only_self = !wakes.is_empty() && wakes.iter().all(|wake| wake.cause == Cause::SelfWake);
        let Some(task) = world.tasks.get_mut(&poll.task) else { return };
        if poll.can_be_judged() && only_self && poll.fruitless() {
            self.idle(task, (1, poll.length()), poll.end_seq, poll.ended);
        } else {
            task.own_row = (0, 0, 0);
        }
    }

    /// Polls that were only counted.
    pub(in crate::analysis) fn repeats(
        &mut self,
        task: &mut Task,
        cycle: Cycle,
        polls: (u64, u64),
        seq: Seq,
        at: Stamp,
    ) {
        match cycle {
            Cycle::SelfWake => self.idle(task, polls, seq, at),
            Cycle::Yield => task.own_row = (0, 0, 0),
        }
    }

    /// Goes on with a row. The first poll of one counts once there is a second.
    fn idle(&mut self, task: &mut Task, (count, busy): (u64, u64), seq: Seq, at: Stamp) {
        let (before, before_busy, _) = task.own_row;
        task.own_row = (before.saturating_add(count), busy, seq);
        let subject = Subject::Task(task.facts);
        if before == 1 {
            let sample =
                Sample { count: count + 1, wasted_ns: busy.saturating_add(before_busy), at, seq };
            self.tally.add(subject, (), None, sample);
        } else if before > 1 || count > 1 {
            self.tally.add(subject, (), None, Sample { count, wasted_ns: busy, at, seq });
        }
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let enough = |count| count >= scene.thresholds.min_count;
        let found = self.tally.by_group().into_iter().filter(|(_, entry)| enough(entry.count));
        found
            .map(|(group, entry)| {
                let finding = scene.finding(Kind::SelfWake, group, &entry);
                let explanation = format!(
                    "{} woke itself {} times and did nothing in the polls that followed, which took {} together: it asks \
                     again and again instead of waiting",
                    finding.about,
                    text::count(entry.count),
                    text::duration_ns(entry.wasted_ns)
                );
                finding.because(explanation)
            })
            .collect()
    }
}
