//! `task-leak`: live tasks that only grow in number.

use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::{Kind, Severity};
use crate::analysis::subject::{Group, Subject, TaskFacts};
use crate::analysis::tally::{Sample, Tally};
use crate::text;
use nexus_protocol::Stamp;
use nexus_protocol::board::TaskState;
use std::collections::HashMap;

/// Places whose ended tasks are counted.
const MAX_GROUPS: usize = 4_096;

/// The time observed is divided into so many parts, in all of which a leak must grow.
const PARTS: u64 = 4;

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct TaskLeak {
    finished: HashMap<Group, u64>,
}

impl TaskLeak {
    /// A task has ended.
    pub(in crate::analysis) fn finished(&mut self, task: TaskFacts) {
        let group = Subject::Task(task).group();
        if self.finished.len() < MAX_GROUPS || self.finished.contains_key(&group) {
            *self.finished.entry(group).or_default() += 1;
        }
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let mut idle = Tally::default();
        // Parts of the time observed in which tasks of each place were spawned that still live.
        let mut parts: HashMap<Group, u64> = HashMap::new();
        let first = Stamp(scene.now.0.saturating_sub(scene.span_ns));
        for task in scene.world.tasks_in_order() {
            let subject = Subject::Task(task.facts);
            if task.spawned >= first {
                let part = u128::from(task.spawned.since(first)) * u128::from(PARTS)
                    / (u128::from(scene.span_ns) + 1);
                *parts.entry(subject.group()).or_default() |= 1 << part.min(63);
            }
            let slept = scene.now.since(task.since);
            if task.state == TaskState::Idle && slept >= scene.thresholds.idle_token_ns {
                let sample =
                    Sample { count: 1, wasted_ns: slept, at: task.spawned, seq: task.spawned_seq };
                idle.add(subject, (), None, sample);
            }
        }
        let found = idle.by_group().into_iter();
        found
            .filter(|(group, entry)| {
                let finished = self.finished.get(group).copied().unwrap_or(0);
                let grows = parts.get(group).copied() == Some((1 << PARTS) - 1);
                grows && entry.count >= scene.thresholds.leak_count && finished * 10 <= entry.count
            })
            .map(|(group, entry)| {
                let mut finding = scene.finding(Kind::TaskLeak, group, &entry);
                finding.wasted_ns = 0;
                let explanation = format!(
                    "{} and others spawned at the same place never end, and more are spawned all the time: {} of them \
                     sleep, for up to {}",
                    finding.about,
                    text::count(entry.count),
                    text::duration_ns(entry.longest_ns)
                );
                finding.because(explanation).with_severity(Severity::Warning)
            })
            .collect()
    }
}
