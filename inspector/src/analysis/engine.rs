//! One runtime under analysis: follows its records and hands what they tell to the kinds.
//!
//! Each record is looked at once. A poll is judged when it ends, with the wakes that it answers, found by the numbers
//! that records name, and with what was tried in it.

use super::delays::Preempted;
use super::finding::{Finding, Scene};
use super::kinds::Kinds;
use super::subject::TaskFacts;
use super::thresholds::Thresholds;
use super::wakes::{Pending, Poll, Wake, directions};
use super::world::{Timer, World, bit, side};
use crate::model::Strings;
use nexus_protocol::board::{Activity, Snapshot, TaskState};
use nexus_protocol::event::{
    Cause, Cycle, Event, PollResult, Subject, TimerAction, TransitionReason, TurnMode, Verdict,
    WakeOutcome,
};
use nexus_protocol::{Direction, Readiness, Record, Seq, Stamp, TaskId};
use std::collections::VecDeque;

/// Long polls kept to tell what else they have delayed.
const LONG_POLLS: usize = 256;

/// The end of the stream or an error: wakes both directions, and rightly so.
const CLOSING: Readiness = Readiness::from_bits(
    Readiness::READ_CLOSED.bits() | Readiness::WRITE_CLOSED.bits() | Readiness::ERROR.bits(),
);

/// What was seen of the runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Records.
    pub records: u64,
    /// Records that were lost.
    pub lost: u64,
    /// Records that were filtered out.
    pub filtered: u64,
    /// Records of a kind that this version does not know.
    pub unknown: u64,
    /// Polls.
    pub polls: u64,
    /// Of these, those that made no progress and are ours to judge.
    pub spurious: u64,
    /// Of these, those that made no progress and cannot be judged, since a foreign waker may have carried something.
    pub unattributed: u64,
}

/// A turn of the loop, and what has happened since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) seq: Seq,
    pub(super) number: u64,
    pub(super) events: u32,
    pub(super) mode: TurnMode,
    pub(super) parked: Stamp,
    pub(super) at: Stamp,
    /// How long the thread had been in long polls then.
    pub(super) long_before: u64,
    /// Anything but stale events.
    pub(super) something: bool,
    pub(super) stale: bool,
}

/// A poll that took long.
#[derive(Clone, Copy, Debug)]
pub(super) struct LongPoll {
    pub(super) task: TaskFacts,
    pub(super) started: Stamp,
    pub(super) ended: Stamp,
    pub(super) seq: Seq,
}

/// The long polls of the recent past.
#[derive(Clone, Debug, Default)]
pub(super) struct LongPolls(VecDeque<LongPoll>);

impl LongPolls {
    fn push(&mut self, poll: LongPoll) {
        if self.0.len() == LONG_POLLS {
            self.0.pop_front();
        }
        self.0.push_back(poll);
    }

    /// The task of a poll that takes up at least half of this time, if there is one.
    pub(super) fn culprit(&self, from: Stamp, to: Stamp) -> Option<TaskFacts> {
        let overlap = |poll: &LongPoll| poll.ended.min(to).since(poll.started.max(from));
        let recent = self.0.iter().rev().take_while(|poll| poll.ended >= from);
        let longest = recent.max_by_key(|poll| overlap(poll))?;
        (overlap(longest).saturating_mul(2) >= to.since(from)).then_some(longest.task)
    }
}

/// The analysis of one runtime.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    thresholds: Thresholds,
    world: World,
    kinds: Kinds,
    pub(super) seen: Seen,
    next: Option<Seq>,
    first: Stamp,
    pub(super) last: Stamp,
    /// The latest moment anything is known of.
    now: Stamp,
    poll: Option<Poll>,
    /// The last kernel event, and whether it said more than that a direction is ready.
    last_event: (Seq, bool),
    turn: Option<Turn>,
    /// Time spent in polls that are long enough to keep others waiting.
    long: u64,
    preempted: Preempted,
    long_polls: LongPolls,
}

impl Engine {
    pub(super) fn new(thresholds: Thresholds) -> Self {
        Self {
            thresholds,
            world: World::default(),
            kinds: Kinds::default(),
            seen: Seen::default(),
            next: None,
            first: Stamp::NEVER,
            last: Stamp::NEVER,
            now: Stamp::NEVER,
            poll: None,
            last_event: (Seq::MAX, false),
            turn: None,
            long: 0,
            preempted: Preempted::default(),
            long_polls: LongPolls::default(),
        }
    }

    pub(super) fn events(&mut self, records: &[Record], next_seq: Seq, filtered: u64) {
        if filtered > 0 {
            self.seen.filtered = self.seen.filtered.saturating_add(filtered);
        }
        for record in records {
            match self.next {
                _ if record.seq == Seq::MAX => continue,
                Some(next) if record.seq < next => continue,
                Some(next) if record.seq > next => {
                    if filtered == 0 {
                        self.seen.lost = self.seen.lost.saturating_add(record.seq - next);
                    }
                    self.gap(record.seq);
                }
                _ => {}
            }
            self.next = Some(record.seq + 1);
            self.seen.records += 1;
            self.record(record);
        }
        if let Some(next) = self.next
            && next_seq > next
        {
            self.gap(next_seq);
        }
    }

    pub(super) fn loss(&mut self, from: Seq, to: Seq) {
        let from = self.next.map_or(from, |next| next.max(from));
        if to > from {
            self.seen.lost = self.seen.lost.saturating_add(to - from);
            self.gap(to);
        }
    }

    pub(super) fn snapshot(&mut self, snapshot: &Snapshot) {
        let next = self.next.unwrap_or(0);
        self.world.snapshot(snapshot, next);
        let in_order = snapshot.totals.recorded <= next;
        if in_order || self.seen.records == 0 {
            self.now = self.now.max(snapshot.taken);
            self.first = if self.first.is_never() { snapshot.taken } else { self.first };
        }
        self.kinds.blocked_poll.going_on = match snapshot.activity {
            Activity::Polling(task) => {
                let task = self.world.task_facts(task);
                let seq = snapshot.totals.recorded.saturating_sub(1);
                Some(LongPoll { task, started: snapshot.since, ended: snapshot.taken, seq })
            }
            _ => None,
        };
    }

    /// The thread was kept waiting for a processor for so long between two moments.
    pub(super) fn preempted(&mut self, from: Stamp, to: Stamp, waited_ns: u64) {
        self.preempted.push(from, to, waited_ns);
    }

    /// All that was found.
    pub(super) fn findings(&self, strings: &Strings) -> Vec<Finding> {
        let scene = Scene {
            world: &self.world,
            strings,
            thresholds: &self.thresholds,
            preempted: &self.preempted,
            span_ns: self.span_ns(),
            now: self.now.max(self.last),
            looked: self.turn.map_or(Stamp::NEVER, |turn| turn.parked),
        };
        self.kinds.findings(scene)
    }

    /// How long it was observed.
    pub(super) fn span_ns(&self) -> u64 {
        self.now.max(self.last).since(self.first)
    }

    fn gap(&mut self, to: Seq) {
        self.next = Some(to);
        self.poll = None;
        self.turn = None;
        self.last_event = (Seq::MAX, false);
        self.world.gap(to);
    }

    fn record(&mut self, record: &Record) {
        let &Record { seq, at, ref event } = record;
        if self.first.is_never() {
            self.first = at;
        }
        self.last = self.last.max(at);
        if !matches!(event, Event::Turn { .. } | Event::StaleEvent { .. })
            && let Some(turn) = &mut self.turn
        {
            turn.something = true;
        }
        match *event {
            Event::Turn { number, events, mode, parked } => {
                let turn = Turn {
                    seq,
                    number,
                    events,
                    mode,
                    parked,
                    at,
                    long_before: self.long,
                    something: false,
                    stale: false,
                };
                if let Some(before) = self.turn.replace(turn) {
                    self.kinds.turned(&before, &turn, &self.long_polls, &self.thresholds);
                } else {
                    self.kinds.first_turn();
                }
                return;
            }
            Event::Wake { task, cause, outcome } => {
                return self.wake(task, cause, outcome, seq, at);
            }
            Event::PollStart { task, number, wake } => {
                return self.poll_start(task, number, wake, seq, at);
            }
            Event::PollEnd { task, started, result, verdict, .. } => {
                return self.poll_end(task, started, (result, verdict), seq, at);
            }
            Event::Repeats { task, cycle, count, busy, .. } => {
                return self.repeats(task, cycle, (u64::from(count), busy), seq, at);
            }
            Event::Operation { operation, subject, result, poll, .. } => {
                if let Subject::Token(token) = subject {
                    self.world.used(token, directions(operation), seq, at);
                }
                if let Some(current) = &mut self.poll
                    && poll.is_none_or(|poll| poll == current.seq)
                {
                    current.touch(operation, subject, result);
                }
                return;
            }
            Event::Transition { token, before, after, reason, .. } => {
                self.transition((token, before, after), reason, seq);
            }
            Event::WaitEnd { task: Some(task), target, .. } => {
                self.kinds.lost_wake.wait_end(
                    (task, target),
                    at,
                    &self.world,
                    self.poll.as_ref(),
                    &self.thresholds,
                );
            }
            Event::StaleEvent { token, .. } => {
                if let Some(turn) = &mut self.turn {
                    turn.stale = true;
                }
                self.kinds.stale_events.event(self.world.token_facts(token), seq, at);
            }
            Event::ReleaseRefused { token, reason } => {
                self.kinds.release_errors.refused(self.world.token_facts(token), reason, seq, at);
            }
            Event::TokenReleased { token, errno, .. } => {
                if let Some(token) = self.world.tokens.get(&token) {
                    self.kinds.needless_interest.released(token);
                    self.kinds.token_leak.released(token);
                    if errno != 0 {
                        self.kinds.release_errors.failed(token.facts, errno, seq, at);
                    }
                }
            }
            Event::TaskFinished { task, .. } => {
                self.kinds.task_leak.finished(self.world.task_facts(task));
            }
            Event::Timer { timer, action, deadline_ns, poll } => {
                let task = self.poll.as_ref().filter(|current| poll == Some(current.seq));
                let task = task.map(|poll| poll.task);
                let known = self.world.timers.remove(&timer);
                match action {
                    TimerAction::Armed | TimerAction::Reset => {
                        let task = task.or(known.and_then(|known| known.task));
                        self.world
                            .arm(timer, Timer { deadline: Stamp(deadline_ns), armed: seq, task });
                    }
                    TimerAction::Cancelled => {}
                    TimerAction::Fired => {
                        let task = known.and_then(|known| known.task);
                        let task = task.map(|task| self.world.task_facts(task));
                        let long = self.turn.map_or(0, |turn| self.long - turn.long_before);
                        let late = (Stamp(deadline_ns), at, long);
                        self.kinds.late_timers.fired(
                            task,
                            late,
                            seq,
                            &self.long_polls,
                            &self.thresholds,
                        );
                    }
                }
            }
            Event::Unknown { .. } => self.seen.unknown += 1,
            _ => {}
        }
        self.world.apply(record);
    }

    fn transition(
        &mut self,
        (token, _, after): (nexus_protocol::TokenId, Readiness, Readiness),
        reason: TransitionReason,
        seq: Seq,
    ) {
        match reason {
            TransitionReason::Event => {
                let closing = after.intersects(CLOSING);
                self.last_event = (seq, closing);
                if !closing && let Some(token) = self.world.tokens.get_mut(&token) {
                    for direction in Direction::BOTH {
                        let alone = after == bit(direction);
                        token.lone_events[side(direction)] += u64::from(alone);
                        if alone {
                            token.last_lone[side(direction)] = seq;
                        }
                    }
                }
            }
            TransitionReason::Consumed => {
                if let Some(poll) = &mut self.poll
                    && poll.consumed.len() < 64
                {
                    poll.consumed.push(token);
                }
            }
            TransitionReason::Reset => {}
        }
    }

    fn wake(&mut self, task: TaskId, cause: Cause, outcome: WakeOutcome, seq: Seq, at: Stamp) {
        if outcome == WakeOutcome::Dead {
            self.kinds.dead_wakes.wake(task, cause, seq, at, &self.world);
            return;
        }
        let closing = match cause {
            // Of an event that is too far back to be looked at, nothing is said.
            Cause::Io { event, .. } => event != Some(self.last_event.0) || self.last_event.1,
            _ => false,
        };
        let queued = outcome == WakeOutcome::Queued;
        if let Some(poll) = &mut self.poll
            && poll.task == task
            && cause == Cause::Yield
        {
            poll.yielded = true;
        }
        let polling = self.poll.as_ref().map(|poll| (poll.task, at.since(poll.started)));
        let long = self.long.saturating_add(polling.map_or(0, |(_, length)| length));
        let Some(task_entry) = self.world.task(task) else { return };
        if queued {
            task_entry.pending.long_before = long;
            if polling.is_none_or(|(polled, _)| polled != task) {
                (task_entry.state, task_entry.since) = (TaskState::Queued, at);
            }
        }
        task_entry.pending.push(Wake { seq, at, cause, queued, closing });
    }

    fn poll_start(&mut self, task: TaskId, number: u64, wake: Option<Seq>, seq: Seq, at: Stamp) {
        self.seen.polls += 1;
        let Some(entry) = self.world.task(task) else {
            self.poll = None;
            return;
        };
        let mut answers = std::mem::replace(&mut entry.pending, Pending::known());
        // The record names the wake that queued it; if that is not among those seen, others are missing as well.
        answers.complete &= answers.queuing().map(|wake| wake.seq) == wake && wake.is_some();
        (entry.state, entry.since) = (TaskState::Polling, at);
        let facts = entry.facts;
        self.kinds.redundant_wakes.poll(facts, &answers, &self.world, &self.thresholds);
        self.kinds.slow_dispatch.poll(
            facts,
            &answers,
            (at, self.long),
            &self.long_polls,
            &self.thresholds,
        );
        self.poll = Some(Poll::start(task, seq, at, number == 1, answers));
    }

    fn poll_end(
        &mut self,
        task: TaskId,
        started: Stamp,
        (result, verdict): (PollResult, Verdict),
        seq: Seq,
        at: Stamp,
    ) {
        match verdict {
            Verdict::Spurious => self.seen.spurious += 1,
            Verdict::Unattributed => self.seen.unattributed += 1,
            _ => {}
        }
        let length = at.since(started);
        if length >= self.thresholds.long_poll_ns {
            self.long = self.long.saturating_add(length);
        }
        let facts = self.world.task_facts(task);
        if length >= self.thresholds.long_poll_ns {
            let poll = LongPoll { task: facts, started, ended: at, seq };
            self.long_polls.push(poll);
            self.kinds.blocked_poll.poll(poll, &self.thresholds);
        }
        let poll = self.poll.take().filter(|poll| poll.task == task);
        if let Some(entry) = self.world.tasks.get_mut(&task) {
            let queued = entry.pending.queuing().is_some();
            entry.state = if queued { TaskState::Queued } else { TaskState::Idle };
            entry.since = at;
        }
        let Some(mut poll) = poll else { return };
        (poll.result, poll.verdict, poll.ended, poll.end_seq) = (result, verdict, at, seq);
        self.kinds.poll_ended(&poll, &mut self.world);
    }

    fn repeats(
        &mut self,
        task: TaskId,
        cycle: Cycle,
        (count, busy): (u64, u64),
        seq: Seq,
        at: Stamp,
    ) {
        self.seen.polls = self.seen.polls.saturating_add(count);
        if cycle == Cycle::SelfWake {
            self.seen.spurious = self.seen.spurious.saturating_add(count);
        }
        let own_poll = self.poll.as_ref().is_some_and(|poll| poll.task == task);
        let long_before = self.long;
        let Some(entry) = self.world.task(task) else { return };
        if !own_poll {
            (entry.state, entry.since) = (TaskState::Queued, at);
        }
        // Redundant wakes may have come before the record; the one that queued it is the last of those counted.
        entry.pending = Pending { long_before, ..Pending::known() };
        entry.pending.push(Wake { seq, at, cause: cycle.cause(), queued: true, closing: false });
        self.kinds.self_wake.repeats(entry, cycle, (count, busy), seq, at);
    }
}
