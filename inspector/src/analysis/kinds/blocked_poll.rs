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
use nexus_protocol::Stamp;
use std::collections::VecDeque;

/// Long polls kept. Of more, the later ones count as not preempted.
const MAX_POLLS: usize = 8_192;

/// Spans kept in which the thread was kept waiting.
const MAX_SPANS: usize = 65_536;

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct BlockedPoll {
    polls: Vec<LongPoll>,
    beyond: Tally<()>,
    /// The poll that the last snapshot was taken in.
    pub(in crate::analysis) going_on: Option<LongPoll>,
    preempted: VecDeque<(Stamp, Stamp, u64)>,
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

    /// The thread was kept waiting for a processor for so long between two moments.
    pub(in crate::analysis) fn preempted(&mut self, from: Stamp, to: Stamp, waited_ns: u64) {
        if self.preempted.len() == MAX_SPANS {
            self.preempted.pop_front();
        }
        self.preempted.push_back((from, to, waited_ns));
    }

    /// How long the thread may have waited for a processor during a poll, at most.
    fn waited(&self, poll: &LongPoll) -> u64 {
        let begin = self.preempted.partition_point(|&(_, to, _)| to <= poll.started);
        let spans = self.preempted.range(begin..).take_while(|&&(from, ..)| from < poll.ended);
        spans.fold(0, |sum, &(_, _, waited)| sum.saturating_add(waited))
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let mut tally = self.beyond.clone();
        for poll in self.polls.iter().chain(&self.going_on) {
            let length = poll.ended.since(poll.started).saturating_sub(self.waited(poll));
            if length >= scene.thresholds.blocked_poll_ns {
                add(&mut tally, poll, length);
            }
        }
        let found = tally.by_group().into_iter();
        found
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
