//! The kinds of finding, one module each.
//!
//! Each keeps a [`Tally`](super::tally::Tally) of what it has counted, and tells its findings when asked. What they have in
//! common, the judgement on a poll's wakes, is in [`mechanism`].

mod blocked_poll;
mod busy_turns;
mod dead_wakes;
mod empty_wake;
mod false_readiness;
mod late_timers;
mod lost_wake;
mod mechanism;
mod needless_interest;
mod redundant_wakes;
mod release_errors;
mod self_wake;
mod slow_dispatch;
mod stale_events;
mod starved_io;
mod task_leak;
mod token_leak;
mod untouched_source;
mod wrong_direction;

use super::engine::{LongPolls, Turn};
use super::finding::{Finding, Scene};
use super::tally::Sample;
use super::thresholds::Thresholds;
use super::wakes::Poll;
use super::world::World;
use nexus_protocol::event::Verdict;

/// All kinds of one runtime.
#[derive(Clone, Debug, Default)]
pub(super) struct Kinds {
    pub(super) self_wake: self_wake::SelfWake,
    false_readiness: false_readiness::FalseReadiness,
    untouched_source: untouched_source::UntouchedSource,
    wrong_direction: wrong_direction::WrongDirection,
    pub(super) needless_interest: needless_interest::NeedlessInterest,
    pub(super) redundant_wakes: redundant_wakes::RedundantWakes,
    pub(super) dead_wakes: dead_wakes::DeadWakes,
    pub(super) stale_events: stale_events::StaleEvents,
    pub(super) lost_wake: lost_wake::LostWake,
    pub(super) blocked_poll: blocked_poll::BlockedPoll,
    pub(super) slow_dispatch: slow_dispatch::SlowDispatch,
    starved_io: starved_io::StarvedIo,
    busy_turns: busy_turns::BusyTurns,
    pub(super) late_timers: late_timers::LateTimers,
    pub(super) token_leak: token_leak::TokenLeak,
    pub(super) task_leak: task_leak::TaskLeak,
    pub(super) release_errors: release_errors::ReleaseErrors,
    empty_wake: empty_wake::EmptyWake,
}

impl Kinds {
    /// A poll is over.
    pub(super) fn poll_ended(&mut self, poll: &Poll, world: &mut World) {
        self.self_wake.poll(poll, world);
        if !poll.can_be_judged() {
            return;
        }
        for wake in &poll.answers.wakes {
            let Some(mechanism) = mechanism::judge(poll, wake) else { continue };
            // The time is charged to the wake that brought the poll about, if the poll was for nothing.
            let for_nothing = wake.queued && poll.verdict == Verdict::Spurious;
            let wasted_ns = if for_nothing { poll.length() } else { 0 };
            let sample = Sample { count: 1, wasted_ns, at: poll.ended, seq: poll.end_seq };
            let task = world.task_facts(poll.task);
            self.false_readiness.judged(mechanism, task, world, sample);
            self.wrong_direction.judged(mechanism, task, world, sample);
            self.untouched_source.judged(mechanism, task, world, sample);
            self.empty_wake.judged(mechanism, task, world, sample);
        }
    }

    /// The loop has turned.
    pub(super) fn turned(
        &mut self,
        before: &Turn,
        turn: &Turn,
        long_polls: &LongPolls,
        thresholds: &Thresholds,
    ) {
        self.starved_io.turned(before, turn, long_polls, thresholds);
        self.busy_turns.turned(before, turn);
    }

    /// The first turn that is seen, or the first one after a gap.
    pub(super) fn first_turn(&mut self) {
        self.busy_turns.first();
    }

    /// All findings, each by itself.
    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let mut findings = self.self_wake.findings(scene);
        findings.extend(self.false_readiness.findings(scene));
        findings.extend(self.untouched_source.findings(scene));
        findings.extend(self.wrong_direction.findings(scene));
        findings.extend(self.needless_interest.findings(scene));
        findings.extend(self.redundant_wakes.findings(scene));
        findings.extend(self.dead_wakes.findings(scene));
        findings.extend(self.stale_events.findings(scene));
        findings.extend(self.lost_wake.findings(scene));
        findings.extend(self.blocked_poll.findings(scene));
        findings.extend(self.slow_dispatch.findings(scene));
        findings.extend(self.starved_io.findings(scene));
        findings.extend(self.busy_turns.findings(scene));
        findings.extend(self.late_timers.findings(scene));
        findings.extend(self.token_leak.findings(scene));
        findings.extend(self.task_leak.findings(scene));
        findings.extend(self.release_errors.findings(scene));
        findings.extend(self.empty_wake.findings(scene));
        findings
    }
}
