//! `blocked-poll`: one poll holds the thread too long, also while it still does.
//!
//! Judged when findings are asked for, since what is known of preemption comes later than the records.

use crate::analysis::engine::LongPoll;
use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::{Kind, Severity};
use crate::analysis::subject::Subject;
use crate::analysis::tally::{Sample, Tally};
use crate::analysis::thresholds::Thresholds;
use crate::text;

/// Long polls kept. Of more, the later ones count as not preempted.
const MAX_POLLS: usize = 8_192;

/// From so many times the threshold on, one poll is enough: shorter ones happen to any program on a shared machine, where
/// not all the time is known in which a thread did not run.
const BY_FAR: u64 = 5;

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct BlockedPoll {
    polls: Vec<LongPoll>,
    beyond: Tally<()>,
    /// The poll that the last snapshot was taken in.
    pub(in crate::analysis) going_on: Option<LongPoll>,
}

impl BlockedPoll {
    /// A poll took long, perhaps too long.
    pub(in crate::analysis) fn poll(&mut self, poll: LongPoll, thresholds: &Thresholds) {
        if self.going_on.is_some_and(|going_on| going_on.started <= poll.started) {
            self.going_on = None;
        }
        let length = poll.ended.since(poll.started);
        if length < thresholds.blocked_poll_ns {
            return;
        }
        if self.polls.len() < MAX_POLLS {
            self.polls.push(poll);
        } else {
            add(&mut self.beyond, &poll, length);
        }
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let mut tally = self.beyond.clone();
        for poll in self.polls.iter().chain(&self.going_on) {
            let waited = scene.preempted.waited(poll.started, poll.ended);
            let length = poll.ended.since(poll.started).saturating_sub(waited);
            if length >= scene.thresholds.blocked_poll_ns {
                add(&mut tally, poll, length);
            }
        }
        let found = tally.by_group().into_iter();
        found
            .filter(|(_, entry)| {
                let by_far = scene.thresholds.blocked_poll_ns.saturating_mul(BY_FAR);
                entry.count >= scene.thresholds.min_count || entry.longest_ns >= by_far
            })
            .map(|(group, entry)| {
                let finding = scene.finding(Kind::BlockedPoll, group, &entry);
                let since = self.going_on.filter(|poll| Subject::Task(poll.task).group() == group);
                let still = match since.map(|poll| poll.ended.since(poll.started)) {
                    Some(length) if length >= scene.thresholds.blocked_poll_ns => {
                        format!("; it is in one right now, for {} so far", text::duration_ns(length))
                    }
                    _ => String::new(),
                };
                let explanation = format!(
                    "{} held the thread for {} or longer in {} polls, {} together, {} at most: nothing else ran \
                     meanwhile{still}",
                    finding.about,
                    text::duration_ns(scene.thresholds.blocked_poll_ns),
                    text::count(entry.count),
                    text::duration_ns(entry.wasted_ns),
                    text::duration_ns(entry.longest_ns)
                );
                finding.because(explanation).at_least(Severity::Warning)
            })
            .collect()
    }
}

fn add(tally: &mut Tally<()>, poll: &LongPoll, length: u64) {
    let sample = Sample { count: 1, wasted_ns: length, at: poll.ended, seq: poll.seq };
    tally.add(Subject::Task(poll.task), (), None, sample);
}
