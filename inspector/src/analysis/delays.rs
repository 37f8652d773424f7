//! Delays, judged when findings are asked for: what is known of preemption comes later than the records.

use super::engine::LongPolls;
use super::finding::Scene;
use super::subject::{Group, Subject, TaskFacts};
use super::tally::{Sample, Tally};
use nexus_protocol::{Seq, Stamp};
use std::collections::VecDeque;

/// Delays of one kind kept. Of more, nothing is said.
const MAX_DELAYS: usize = 8_192;

/// Spans kept in which the thread was kept waiting.
const MAX_SPANS: usize = 65_536;

/// When the thread was kept waiting for a processor, as far as that is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Preempted(VecDeque<(Stamp, Stamp, u64)>);

impl Preempted {
    /// It waited for so long between two moments.
    pub(super) fn push(&mut self, from: Stamp, to: Stamp, waited_ns: u64) {
        if self.0.len() == MAX_SPANS {
            self.0.pop_front();
        }
        self.0.push_back((from, to, waited_ns));
    }

    /// How long it may have waited between two moments, at most.
    pub(super) fn waited(&self, from: Stamp, to: Stamp) -> u64 {
        let begin = self.0.partition_point(|&(_, end, _)| end <= from);
        let spans = self.0.range(begin..).take_while(|&&(begins, ..)| begins < to);
        spans.fold(0, |sum, &(_, _, waited)| sum.saturating_add(waited))
    }
}

#[derive(Clone, Copy, Debug)]
struct Delay {
    subject: Subject,
    culprit: Option<TaskFacts>,
    from: Stamp,
    to: Stamp,
    seq: Seq,
}

/// Delays of one kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Delays(Vec<Delay>);

impl Delays {
    /// Somebody was kept waiting between two moments. If one poll took most of the time, it is to blame; else nobody is
    /// unless long polls did together, which `long_ns` of it went into.
    pub(super) fn add(
        &mut self,
        subject: Subject,
        (from, to, long_ns): (Stamp, Stamp, u64),
        seq: Seq,
        long_polls: &LongPolls,
    ) {
        let culprit = long_polls.culprit(from, to);
        let explained = culprit.is_some() || long_ns.saturating_mul(2) >= to.since(from);
        if explained && self.0.len() < MAX_DELAYS {
            self.0.push(Delay { subject, culprit, from, to, seq });
        }
    }

    /// Those that took so long even without the time in which the thread did not run, by who is to blame.
    pub(super) fn judged(&self, scene: Scene<'_>, threshold_ns: u64) -> Tally<Option<Group>> {
        let mut tally = Tally::default();
        for delay in &self.0 {
            let waited = scene.preempted.waited(delay.from, delay.to);
            let length = delay.to.since(delay.from).saturating_sub(waited);
            if length >= threshold_ns {
                let group = delay.culprit.map(|culprit| Subject::Task(culprit).group());
                let sample = Sample { count: 1, wasted_ns: length, at: delay.to, seq: delay.seq };
                tally.add(delay.subject, group, delay.culprit, sample);
            }
        }
        tally
    }
}
