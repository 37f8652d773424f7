//! The state of a runtime, moved forward record by record by the recorder's own rules.
//!
//! The rules for each row and counter are those of [`nexus_protocol::board`]; verdicts come with the records and are not
//! judged again. A record changes a row only if the row does not know of it already (`seq >= next_seq`), so that rows
//! which a snapshot copied a little later than its totals are not counted twice.
//!
//! Knows nothing of frames, of kept history, or of how to go back in time.

use super::history::Loss;
use super::limits::Limits;
use super::view::Certainty;
use nexus_protocol::board::{Activity, TaskRow, TaskState, TokenCounters, TokenRow, Totals};
use nexus_protocol::event::{
    Cause, Cycle, Event, Operation, OperationResult, Side, Subject, TaskOutcome, TimerAction,
    TransitionReason, TurnMode, Verdict, WaitFor, WakeOutcome,
};
use nexus_protocol::{
    Direction, Interest, Readiness, Record, Seq, Stamp, StringId, TaskId, TokenId,
};
use std::collections::{BTreeMap, VecDeque};

/// A live task, with what is needed to follow it but stands in no row. The row may know of later records than the rest,
/// which stands where the [`State`] does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TaskEntry {
    /// The row.
    pub(super) row: TaskRow,
    /// The wake that its next poll will answer.
    pub(super) queued: Option<Queued>,
    /// The token behind the wake that its current poll answers.
    pub(super) answering: Option<TokenId>,
}

/// A wake that put a task into the run queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Queued {
    at: Stamp,
    token: Option<TokenId>,
}

impl From<TaskRow> for TaskEntry {
    fn from(row: TaskRow) -> Self {
        let queued =
            (row.state == TaskState::Queued).then_some(Queued { at: row.since, token: None });
        Self { row, queued, answering: None }
    }
}

/// The fields of [`Event::Repeats`] that rows and totals take in.
struct Repeats {
    cycle: Cycle,
    count: u64,
    first: Stamp,
    busy: u64,
    longest: u64,
}

/// A runtime after all records below `next_seq`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub(super) next_seq: Seq,
    pub(super) at: Stamp,
    pub(super) certainty: Certainty,
    pub(super) activity: Activity,
    pub(super) since: Stamp,
    pub(super) totals: Totals,
    /// By slot.
    pub(super) tokens: BTreeMap<u32, TokenRow>,
    pub(super) tasks: BTreeMap<TaskId, TaskEntry>,
    /// The latest one last.
    pub(super) finished: VecDeque<TaskRow>,
}

impl State {
    /// A runtime of which nothing is known, with `next_seq` as its next record.
    pub(super) fn unknown(next_seq: Seq) -> Self {
        Self {
            next_seq,
            at: Stamp::NEVER,
            certainty: Certainty::NoSnapshot,
            activity: Activity::Outside,
            since: Stamp::NEVER,
            totals: Totals { recorded: next_seq, ..Totals::default() },
            tokens: BTreeMap::new(),
            tasks: BTreeMap::new(),
            finished: VecDeque::new(),
        }
    }

    /// How many rows this state holds.
    pub(super) fn rows(&self) -> usize {
        self.tokens.len() + self.tasks.len() + self.finished.len()
    }

    /// Takes in the next record. Numbers between the last one and this are missing for good.
    pub(super) fn apply(&mut self, record: &Record, limits: &Limits) {
        if record.seq < self.next_seq {
            return;
        }
        if record.seq > self.next_seq && self.certainty != Certainty::NoSnapshot {
            self.certainty = Certainty::Stale(Loss {
                from: self.next_seq,
                to: record.seq,
                after: self.at,
                before: record.at,
            });
        }
        self.next_seq = record.seq + 1;
        self.totals.recorded = self.next_seq;
        self.at = self.at.max(record.at);
        self.apply_event(record, limits);
    }

    fn apply_event(&mut self, record: &Record, limits: &Limits) {
        let &Record { seq, at, ref event } = record;
        match *event {
            Event::Turn { number, mode, parked, .. } => {
                self.totals.turns = number;
                if mode == TurnMode::Park {
                    add(&mut self.totals.parked, at.since(parked));
                }
                self.now(Activity::Turning, at);
            }
            Event::TokenClaimed { token, kind, fd, location, live } => {
                add(&mut self.totals.claims, 1);
                self.live(live);
                let owner = match self.activity {
                    Activity::Polling(task) => Some(task),
                    _ => None,
                };
                let row = TokenRow { kind, fd, location, owner, ..blank_token(token) };
                self.claim(TokenRow { next_seq: seq + 1, claimed: at, ..row }, limits);
            }
            Event::TokenRegistered { token, after, errno, .. } => {
                if let Some(row) = self.token(token, seq)
                    && errno == 0
                {
                    row.interest = after;
                }
            }
            Event::TokenAddress { slot, side, address } => {
                if let Some(row) = self.slot(slot, seq) {
                    match side {
                        Side::Local => row.local = Some(address),
                        Side::Peer => row.peer = Some(address),
                    }
                }
            }
            Event::TokenReleased { token, live, errno } => {
                add(&mut self.totals.releases, 1);
                add(&mut self.totals.deregister_failures, u64::from(errno != 0));
                self.live(live);
                if self.tokens.get(&token.slot).is_some_and(|row| row.token == token) {
                    self.tokens.remove(&token.slot);
                }
            }
            Event::ReleaseRefused { .. } => add(&mut self.totals.releases_refused, 1),
            Event::Transition { token, after, reason, .. } => {
                self.transition(token, after, reason, seq, at);
            }
            Event::StaleEvent { token, current, .. } => {
                add(&mut self.totals.stale, 1);
                if let Some(row) = self.token(TokenId { generation: current, ..token }, seq) {
                    add(&mut row.counters.stale, 1);
                }
            }
            Event::TaskSpawned { task, location, name, .. } => {
                add(&mut self.totals.tasks_spawned, 1);
                if !self.tasks.contains_key(&task) && self.tasks.len() < limits.rows {
                    let row =
                        TaskRow { location, name, spawned: at, since: at, ..blank_task(task) };
                    self.tasks.insert(task, TaskRow { next_seq: seq + 1, ..row }.into());
                }
            }
            Event::TaskFinished { task, outcome } => self.task_finished(task, outcome, at, limits),
            Event::Wake { task, cause, outcome } => self.wake(task, cause, outcome, seq, at),
            Event::PollStart { task, .. } => self.poll_start(task, seq, at),
            Event::PollEnd { task, started, verdict, .. } => {
                self.poll_end(task, at.since(started), verdict, seq, at);
            }
            Event::Operation { operation, subject, result, task, .. } => {
                self.operation(operation, subject, result, task, seq, at);
            }
            Event::WaitBegin { task, target } => self.wait_begin(task, target, seq),
            Event::WaitEnd { task, target, .. } => self.wait_end(task, target, seq),
            Event::Timer { action, .. } => {
                let totals = &mut self.totals;
                match action {
                    TimerAction::Armed => add(&mut totals.timers, 1),
                    TimerAction::Reset => {}
                    TimerAction::Cancelled => totals.timers = totals.timers.saturating_sub(1),
                    TimerAction::Fired => {
                        totals.timers = totals.timers.saturating_sub(1);
                        add(&mut totals.timers_fired, 1);
                    }
                }
            }
            Event::FreelistGrown { capacity, live, growths } => {
                self.totals.capacity = u64::from(capacity);
                self.totals.growths = u64::from(growths);
                self.live(live);
            }
            Event::Repeats { task, cycle, count, first, busy, longest, .. } => {
                let repeats = Repeats { cycle, count: u64::from(count), first, busy, longest };
                self.repeats(task, repeats, seq, at);
            }
            // What the application says changes nothing here.
            Event::SpanEntered { .. }
            | Event::SpanExited { .. }
            | Event::Log { .. }
            | Event::Text { .. }
            | Event::Unknown { .. } => {}
        }
    }

    fn now(&mut self, activity: Activity, since: Stamp) {
        self.activity = activity;
        self.since = since;
    }

    fn live(&mut self, live: u32) {
        self.totals.live = u64::from(live);
        self.totals.high_water = self.totals.high_water.max(self.totals.live);
    }

    /// The row in this slot, if it does not know of record `seq` yet; from now on it does.
    fn slot(&mut self, slot: u32, seq: Seq) -> Option<&mut TokenRow> {
        let row = self.tokens.get_mut(&slot).filter(|row| row.next_seq <= seq)?;
        row.next_seq = seq + 1;
        Some(row)
    }

    /// The row of this token, as [`State::slot`].
    fn token(&mut self, token: TokenId, seq: Seq) -> Option<&mut TokenRow> {
        let row = self.tokens.get_mut(&token.slot)?;
        if row.token != token || row.next_seq > seq {
            return None;
        }
        row.next_seq = seq + 1;
        Some(row)
    }

    /// The row of this task, as [`State::slot`].
    fn task(&mut self, task: TaskId, seq: Seq) -> Option<&mut TaskRow> {
        let row = &mut self.tasks.get_mut(&task)?.row;
        if row.next_seq > seq {
            return None;
        }
        row.next_seq = seq + 1;
        Some(row)
    }

    fn claim(&mut self, row: TokenRow, limits: &Limits) {
        let slot = row.token.slot;
        let known = self.tokens.get(&slot);
        // A row that is further on is this token's own from a snapshot, or that of a later owner of the slot.
        if known.is_some_and(|known| known.next_seq >= row.next_seq) {
            return;
        }
        if known.is_some() || self.tokens.len() < limits.rows {
            self.tokens.insert(slot, row);
        }
    }

    fn transition(
        &mut self,
        token: TokenId,
        after: Readiness,
        reason: TransitionReason,
        seq: Seq,
        at: Stamp,
    ) {
        let reported = reason == TransitionReason::Event;
        add(&mut self.totals.events, u64::from(reported));
        let Some(row) = self.token(token, seq) else { return };
        row.readiness = after;
        if reported {
            add(&mut row.counters.events, 1);
            row.last_active = at;
        }
        if after.contains(Readiness::READ_CLOSED) && row.read_closed.is_never() {
            row.read_closed = at;
        }
    }

    fn wake(&mut self, task: TaskId, cause: Cause, outcome: WakeOutcome, seq: Seq, at: Stamp) {
        add(&mut self.totals.remote, u64::from(cause.is_remote()));
        match outcome {
            WakeOutcome::Queued => {
                add(&mut self.totals.wakes, 1);
                add(&mut self.totals.queued, 1);
            }
            WakeOutcome::Redundant => add(&mut self.totals.redundant, 1),
            WakeOutcome::Dead => add(&mut self.totals.dead, 1),
        }
        let token = match cause {
            Cause::Io { token, .. } => Some(token),
            _ => None,
        };
        if let Some(row) = token.and_then(|token| self.token(token, seq)) {
            add(&mut row.counters.wakes, 1);
        }
        if outcome == WakeOutcome::Queued
            && let Some(entry) = self.tasks.get_mut(&task)
        {
            entry.queued = Some(Queued { at, token });
        }
        let Some(row) = self.task(task, seq) else { return };
        row.last_wake_cause = cause.code();
        add(&mut row.counters.self_wakes, u64::from(cause == Cause::SelfWake));
        match outcome {
            WakeOutcome::Queued => {
                add(&mut row.counters.wakes, 1);
                if row.state == TaskState::Idle {
                    row.state = TaskState::Queued;
                    row.since = at;
                }
            }
            WakeOutcome::Redundant => add(&mut row.counters.redundant, 1),
            WakeOutcome::Dead => {}
        }
    }

    fn poll_start(&mut self, task: TaskId, seq: Seq, at: Stamp) {
        add(&mut self.totals.polls, 1);
        self.totals.queued = self.totals.queued.saturating_sub(1);
        self.now(Activity::Polling(task), at);
        let Some(entry) = self.tasks.get_mut(&task) else { return };
        let queued = entry.queued.take();
        entry.answering = queued.and_then(|queued| queued.token);
        let Some(row) = self.task(task, seq) else { return };
        add(&mut row.counters.polls, 1);
        if let Some(queued) = queued {
            add(&mut row.counters.waited, at.since(queued.at));
        }
        row.state = TaskState::Polling;
        row.since = at;
    }

    fn poll_end(&mut self, task: TaskId, length: u64, verdict: Verdict, seq: Seq, at: Stamp) {
        let spurious = verdict == Verdict::Spurious;
        let unattributed = u64::from(verdict == Verdict::Unattributed);
        add(&mut self.totals.busy, length);
        add(&mut self.totals.spurious, u64::from(spurious));
        add(&mut self.totals.unattributed, unattributed);
        add(&mut self.totals.wasted, if spurious { length } else { 0 });
        self.now(Activity::Turning, at);
        let Some(entry) = self.tasks.get_mut(&task) else { return };
        let (answered, queued) = (entry.answering.take(), entry.queued.is_some());
        if spurious && let Some(row) = answered.and_then(|token| self.token(token, seq)) {
            add(&mut row.counters.spurious, 1);
        }
        let Some(row) = self.task(task, seq) else { return };
        add(&mut row.counters.busy, length);
        row.counters.longest = row.counters.longest.max(length);
        add(&mut row.counters.unattributed, unattributed);
        if spurious {
            add(&mut row.counters.spurious, 1);
            add(&mut row.counters.wasted, length);
        }
        row.state = if queued { TaskState::Queued } else { TaskState::Idle };
        row.since = at;
    }

    fn repeats(&mut self, task: TaskId, repeats: Repeats, seq: Seq, at: Stamp) {
        let Repeats { cycle, count, first, busy, longest } = repeats;
        let (spurious, wasted) = match cycle.verdict() {
            Verdict::Spurious => (count, busy),
            _ => (0, 0),
        };
        for (total, amount) in [
            (&mut self.totals.polls, count),
            (&mut self.totals.wakes, count),
            (&mut self.totals.busy, busy),
            (&mut self.totals.spurious, spurious),
            (&mut self.totals.wasted, wasted),
        ] {
            add(total, amount);
        }
        if let Some(entry) = self.tasks.get_mut(&task) {
            entry.queued = Some(Queued { at, token: None });
        }
        let Some(row) = self.task(task, seq) else { return };
        row.last_wake_cause = cycle.cause().code();
        let counters = &mut row.counters;
        for (counter, amount) in [
            (&mut counters.polls, count),
            (&mut counters.wakes, count),
            (&mut counters.self_wakes, if cycle == Cycle::SelfWake { count } else { 0 }),
            (&mut counters.busy, busy),
            (&mut counters.waited, at.since(first).saturating_sub(busy)),
            (&mut counters.spurious, spurious),
            (&mut counters.wasted, wasted),
        ] {
            add(counter, amount);
        }
        counters.longest = counters.longest.max(longest);
        row.state = TaskState::Queued;
        row.since = at;
    }

    fn task_finished(&mut self, task: TaskId, outcome: TaskOutcome, at: Stamp, limits: &Limits) {
        add(&mut self.totals.tasks_finished, 1);
        let Some(entry) = self.tasks.remove(&task) else { return };
        if entry.queued.is_some() {
            self.totals.queued = self.totals.queued.saturating_sub(1);
        }
        if limits.finished == 0 {
            return;
        }
        while self.finished.len() >= limits.finished {
            self.finished.pop_front();
        }
        self.finished.push_back(TaskRow {
            state: TaskState::Finished,
            outcome: Some(outcome),
            since: at,
            waiting_for: None,
            ..entry.row
        });
    }

    fn operation(
        &mut self,
        operation: Operation,
        subject: Subject,
        result: OperationResult,
        task: Option<TaskId>,
        seq: Seq,
        at: Stamp,
    ) {
        let (bytes_in, bytes_out) = operation.bytes(subject, result);
        add(&mut self.totals.operations, 1);
        add(&mut self.totals.bytes_in, bytes_in);
        add(&mut self.totals.bytes_out, bytes_out);
        if let Some(row) = task.and_then(|task| self.task(task, seq)) {
            add(&mut row.counters.operations, 1);
            add(&mut row.counters.progress, u64::from(result.is_progress()));
        }
        let Subject::Token(token) = subject else { return };
        let Some(row) = self.token(token, seq) else { return };
        row.owner = task.or(row.owner);
        row.last_active = at;
        let counters = &mut row.counters;
        add(&mut counters.operations, 1);
        add(&mut counters.bytes_in, bytes_in);
        add(&mut counters.bytes_out, bytes_out);
        match result {
            OperationResult::WouldBlock => add(&mut counters.would_block, 1),
            OperationResult::NotReady => add(&mut counters.not_ready, 1),
            OperationResult::Error(_) => add(&mut counters.errors, 1),
            OperationResult::Done(_) | OperationResult::EndOfFile => {}
        }
    }

    fn wait_begin(&mut self, task: Option<TaskId>, target: WaitFor, seq: Seq) {
        if let Some(row) = task.and_then(|task| self.task(task, seq)) {
            row.waits = row.waits.saturating_add(1);
            row.waiting_for = Some(target);
        }
        if let Some(waiters) = self.waiters(target, seq) {
            *waiters = waiters.saturating_add(1);
        }
    }

    fn wait_end(&mut self, task: Option<TaskId>, target: WaitFor, seq: Seq) {
        if let Some(row) = task.and_then(|task| self.task(task, seq)) {
            row.waits = row.waits.saturating_sub(1);
            if row.waiting_for == Some(target) {
                row.waiting_for = None;
            }
        }
        if let Some(waiters) = self.waiters(target, seq) {
            *waiters = waiters.saturating_sub(1);
        }
    }

    fn waiters(&mut self, target: WaitFor, seq: Seq) -> Option<&mut u32> {
        let WaitFor::Token(token, direction) = target else { return None };
        let row = self.token(token, seq)?;
        Some(match direction {
            Direction::Readable => &mut row.waiters_readable,
            Direction::Writable => &mut row.waiters_writable,
        })
    }
}

/// Counts on. What comes from a process is not trusted to stay within 64 bits.
fn add(count: &mut u64, more: u64) {
    *count = count.saturating_add(more);
}

/// The row of a token of which only the name is known.
pub(super) fn blank_token(token: TokenId) -> TokenRow {
    TokenRow {
        next_seq: 0,
        token,
        kind: nexus_protocol::event::SourceKind::Other,
        fd: -1,
        interest: Interest::EMPTY,
        readiness: Readiness::EMPTY,
        owner: None,
        location: StringId::EMPTY,
        claimed: Stamp::NEVER,
        last_active: Stamp::NEVER,
        read_closed: Stamp::NEVER,
        local: None,
        peer: None,
        waiters_readable: 0,
        waiters_writable: 0,
        counters: TokenCounters::default(),
        changing: false,
    }
}

/// The row of a task of which only the number is known.
pub(super) fn blank_task(task: TaskId) -> TaskRow {
    TaskRow {
        next_seq: 0,
        task,
        state: TaskState::Idle,
        outcome: None,
        location: StringId::EMPTY,
        name: StringId::EMPTY,
        spawned: Stamp::NEVER,
        since: Stamp::NEVER,
        last_wake_cause: 0,
        waiting_for: None,
        waits: 0,
        counters: Default::default(),
        changing: false,
    }
}
