//! Writes records, and keeps the board as a recorder does.

use nexus_protocol::board::{
    Activity, Snapshot, TaskCounters, TaskRow, TaskState, TokenCounters, TokenRow, Totals,
};
use nexus_protocol::event::{
    Address, Cause, Cycle, Event, Operation, OperationResult, PollResult, Side, SourceKind,
    Subject, TaskOutcome, TimerAction, TransitionReason, TurnMode, Verdict, WaitFor, WaitOutcome,
    WakeOutcome,
};
use nexus_protocol::{
    Direction, Interest, Readiness, Record, RuntimeId, Seq, Stamp, StringId, TaskId, TimerId,
    TokenId,
};
use std::collections::BTreeMap;

/// What the recorder knows of a task beside its row.
#[derive(Clone, Debug, Default)]
struct Probe {
    wake: Option<(Seq, Stamp)>,
    token: Option<TokenId>,
    answers: Vec<Cause>,
    idle_self_wake: bool,
    timer: Option<TimerId>,
}

/// The poll under way.
#[derive(Clone, Debug)]
struct Polling {
    task: TaskId,
    seq: Seq,
    started: Stamp,
    first: bool,
    answers: Vec<Cause>,
    token: Option<TokenId>,
    operations: u16,
    progress: u16,
}

/// A runtime that does what it is told, and its recorder.
#[derive(Clone, Debug)]
pub struct Tape {
    runtime: RuntimeId,
    now: Stamp,
    records: Vec<Record>,
    tokens: BTreeMap<u32, TokenRow>,
    tasks: BTreeMap<TaskId, TaskRow>,
    probes: BTreeMap<TaskId, Probe>,
    totals: Totals,
    activity: (Activity, Stamp),
    polling: Option<Polling>,
    generations: Vec<u32>,
    free: Vec<u32>,
    tasks_made: u64,
    timers_made: u64,
    deadlines: BTreeMap<TimerId, u64>,
}

impl Tape {
    /// A runtime that begins at `start`, with a slot table of `capacity`.
    #[must_use]
    pub fn new(runtime: RuntimeId, start: Stamp, capacity: u32) -> Self {
        let mut tape = Self {
            runtime,
            now: start,
            records: Vec::new(),
            tokens: BTreeMap::new(),
            tasks: BTreeMap::new(),
            probes: BTreeMap::new(),
            totals: Totals::default(),
            activity: (Activity::Turning, start),
            polling: None,
            generations: Vec::new(),
            free: Vec::new(),
            tasks_made: 0,
            timers_made: 0,
            deadlines: BTreeMap::new(),
        };
        if capacity > 0 {
            tape.grow(capacity);
        }
        tape
    }

    /// The current moment.
    #[must_use]
    pub fn now(&self) -> Stamp {
        self.now
    }

    /// All records so far.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The number of the next record.
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        self.records.len() as Seq
    }

    /// The board as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            runtime: self.runtime,
            taken: self.now,
            activity: self.activity.0,
            since: self.activity.1,
            totals: Totals { recorded: self.next_seq(), ..self.totals },
            tokens: self.tokens.values().copied().collect(),
            tasks: self.tasks.values().copied().collect(),
        }
    }

    /// Whether a task has been woken and not been polled since.
    #[must_use]
    pub fn is_queued(&self, task: TaskId) -> bool {
        self.probes.get(&task).is_some_and(|probe| probe.wake.is_some())
    }

    /// Whether a timer's deadline has passed.
    #[must_use]
    pub fn is_due(&self, timer: TimerId) -> bool {
        self.deadlines.get(&timer).is_some_and(|&deadline| deadline <= self.now.0)
    }

    /// Lets time pass.
    pub fn pass(&mut self, ns: u64) {
        self.now.0 += ns;
    }

    /// Writes any record, without changing the board.
    pub fn record(&mut self, event: Event) -> Seq {
        let seq = self.next_seq();
        self.records.push(Record { seq, at: self.now, event });
        seq
    }

    /// Looks for kernel events without sleeping.
    pub fn look(&mut self, events: u32) {
        self.totals.turns += 1;
        let number = self.totals.turns;
        let (mode, parked) = (TurnMode::Look, self.now);
        self.record(Event::Turn { number, events, mode, parked });
        self.activity = (Activity::Turning, self.now);
    }

    /// Sleeps in the kernel until `events` events arrive after `ns`.
    pub fn sleep(&mut self, ns: u64, events: u32) {
        let parked = self.now;
        self.pass(ns);
        self.totals.turns += 1;
        self.totals.parked += ns;
        let number = self.totals.turns;
        self.record(Event::Turn { number, events, mode: TurnMode::Park, parked });
        self.activity = (Activity::Turning, self.now);
    }

    /// Claims a slot for a source, registers it and learns its addresses.
    pub fn claim(
        &mut self,
        (kind, fd): (SourceKind, i32),
        location: StringId,
        interest: Interest,
        (local, peer): (Option<Address>, Option<Address>),
    ) -> TokenId {
        if self.free.is_empty() {
            self.grow((self.totals.capacity as u32 * 2).max(4));
        }
        let slot = self.free.pop().unwrap_or_default();
        self.generations[slot as usize] += 1;
        let token = TokenId { slot, generation: self.generations[slot as usize] };
        self.totals.claims += 1;
        self.totals.live += 1;
        self.totals.high_water = self.totals.high_water.max(self.totals.live);
        let live = self.totals.live as u32;
        let seq = self.record(Event::TokenClaimed { token, kind, fd, location, live });
        let row = TokenRow {
            next_seq: seq + 1,
            token,
            kind,
            fd,
            interest: Interest::EMPTY,
            readiness: Readiness::EMPTY,
            owner: self.polling.as_ref().map(|poll| poll.task),
            location,
            claimed: self.now,
            last_active: Stamp::NEVER,
            read_closed: Stamp::NEVER,
            local: None,
            peer: None,
            waiters_readable: 0,
            waiters_writable: 0,
            counters: TokenCounters::default(),
            changing: false,
        };
        self.tokens.insert(slot, row);
        let before = Interest::EMPTY;
        self.record(Event::TokenRegistered { token, before, after: interest, errno: 0 });
        self.token(token, |row, _| row.interest = interest);
        for (side, address) in [(Side::Local, local), (Side::Peer, peer)] {
            let Some(address) = address else { continue };
            self.record(Event::TokenAddress { slot, side, address });
            self.token(token, |row, _| match side {
                Side::Local => row.local = Some(address),
                Side::Peer => row.peer = Some(address),
            });
        }
        token
    }

    /// Gives a token back.
    pub fn release(&mut self, token: TokenId) {
        self.totals.releases += 1;
        self.totals.live -= 1;
        let live = self.totals.live as u32;
        self.record(Event::TokenReleased { token, live, errno: 0 });
        self.tokens.remove(&token.slot);
        self.free.push(token.slot);
    }

    /// The kernel reports readiness of a token; wakes the tasks that wait for it.
    pub fn ready(&mut self, token: TokenId, bits: Readiness) -> Seq {
        let row = self.tokens[&token.slot];
        let after = row.readiness | bits;
        let waiters: Vec<(TaskId, Direction)> = self
            .tasks
            .values()
            .filter_map(|task| match task.waiting_for {
                Some(WaitFor::Token(on, direction)) if on == token && bits.is_ready(direction) => {
                    Some((task.task, direction))
                }
                _ => None,
            })
            .collect();
        let wakers = waiters.len() as u32;
        let event = self.transition(token, after, TransitionReason::Event, wakers);
        for (task, direction) in waiters {
            self.wake(task, Cause::Io { token, direction, event: Some(event) });
        }
        event
    }

    /// An operation found nothing left in a direction.
    pub fn consume(&mut self, token: TokenId, bits: Readiness) {
        let after = self.tokens[&token.slot].readiness.without(bits);
        self.transition(token, after, TransitionReason::Consumed, 0);
    }

    fn transition(
        &mut self,
        token: TokenId,
        after: Readiness,
        reason: TransitionReason,
        wakers: u32,
    ) -> Seq {
        let before = self.tokens[&token.slot].readiness;
        let event = reason == TransitionReason::Event;
        self.totals.events += u64::from(event);
        let seq = self.record(Event::Transition { token, before, after, reason, wakers });
        self.token(token, |row, now| {
            row.readiness = after;
            if after.contains(Readiness::READ_CLOSED) && row.read_closed.is_never() {
                row.read_closed = now;
            }
            if event {
                row.counters.events += 1;
                row.last_active = now;
            }
        });
        seq
    }

    /// The kernel reports an event for an earlier owner of a token's slot.
    pub fn stale(&mut self, token: TokenId, readiness: Readiness) {
        self.totals.stale += 1;
        let earlier = TokenId { generation: token.generation.wrapping_sub(1), ..token };
        self.record(Event::StaleEvent { token: earlier, current: token.generation, readiness });
        self.token(token, |row, _| row.counters.stale += 1);
    }

    /// Spawns a task, which is queued at once.
    pub fn spawn(&mut self, name: StringId, location: StringId) -> TaskId {
        self.tasks_made += 1;
        let task = TaskId(self.tasks_made);
        self.totals.tasks_spawned += 1;
        let poll = self.polling.as_ref().map(|poll| poll.seq);
        let seq = self.record(Event::TaskSpawned { task, location, name, poll });
        let row = TaskRow {
            next_seq: seq + 1,
            task,
            state: TaskState::Idle,
            outcome: None,
            location,
            name,
            spawned: self.now,
            since: self.now,
            last_wake_cause: 0,
            waiting_for: None,
            waits: 0,
            counters: TaskCounters::default(),
            changing: false,
        };
        self.tasks.insert(task, row);
        self.probes.insert(task, Probe::default());
        self.wake(task, Cause::Spawn);
        task
    }

    /// Fires a task's waker; whether it was queued already shows.
    pub fn wake(&mut self, task: TaskId, cause: Cause) -> Seq {
        self.totals.remote += u64::from(cause.is_remote());
        let token = if let Cause::Io { token, .. } = cause { Some(token) } else { None };
        let Some(probe) = self.probes.get_mut(&task) else {
            self.totals.dead += 1;
            let seq = self.record(Event::Wake { task, cause, outcome: WakeOutcome::Dead });
            self.wake_token(token);
            return seq;
        };
        probe.answers.push(cause);
        let queues = probe.wake.is_none();
        let outcome = if queues { WakeOutcome::Queued } else { WakeOutcome::Redundant };
        if queues {
            self.totals.wakes += 1;
            self.totals.queued += 1;
        } else {
            self.totals.redundant += 1;
        }
        let seq = self.record(Event::Wake { task, cause, outcome });
        if queues && let Some(probe) = self.probes.get_mut(&task) {
            probe.wake = Some((seq, self.now));
            probe.token = token;
        }
        self.wake_token(token);
        let polled = self.polling.as_ref().is_some_and(|poll| poll.task == task);
        self.task(task, |row, now| {
            row.last_wake_cause = cause.code();
            row.counters.self_wakes += u64::from(cause == Cause::SelfWake);
            if queues {
                row.counters.wakes += 1;
                if !polled {
                    (row.state, row.since) = (TaskState::Queued, now);
                }
            } else {
                row.counters.redundant += 1;
            }
        });
        seq
    }

    fn wake_token(&mut self, token: Option<TokenId>) {
        if let Some(token) = token {
            self.token(token, |row, _| row.counters.wakes += 1);
        }
    }

    /// Polls a task: what `body` does happens in the poll, which then returns `result`.
    pub fn poll(
        &mut self,
        task: TaskId,
        result: PollResult,
        body: impl FnOnce(&mut Self),
    ) -> Verdict {
        self.poll_start(task);
        body(self);
        self.poll_end(result)
    }

    /// Begins a poll.
    pub fn poll_start(&mut self, task: TaskId) -> Seq {
        let probe = self.probes.get_mut(&task).expect("the task lives");
        let (wake, answers, token) =
            (probe.wake.take(), std::mem::take(&mut probe.answers), probe.token.take());
        let number = self.tasks[&task].counters.polls + 1;
        self.totals.polls += 1;
        self.totals.queued -= 1;
        let seq = self.record(Event::PollStart { task, number, wake: wake.map(|(seq, _)| seq) });
        self.task(task, |row, now| {
            (row.state, row.since) = (TaskState::Polling, now);
            row.counters.polls = number;
            row.counters.waited += wake.map_or(0, |(_, woken)| now.since(woken));
        });
        self.activity = (Activity::Polling(task), self.now);
        self.polling = Some(Polling {
            task,
            seq,
            started: self.now,
            first: number == 1,
            answers,
            token,
            operations: 0,
            progress: 0,
        });
        seq
    }

    /// Ends the poll under way, and with it the task if it is ready.
    pub fn poll_end(&mut self, result: PollResult) -> Verdict {
        let poll = self.polling.take().expect("a poll is under way");
        let verdict = self.judge(&poll, result);
        let Polling { task, started, operations, progress, .. } = poll;
        let length = self.now.since(started);
        let spurious = verdict == Verdict::Spurious;
        self.totals.busy += length;
        self.totals.spurious += u64::from(spurious);
        self.totals.wasted += if spurious { length } else { 0 };
        self.totals.unattributed += u64::from(verdict == Verdict::Unattributed);
        self.record(Event::PollEnd { task, started, result, verdict, operations, progress });
        let queued = self.probes[&task].wake.is_some();
        self.task(task, |row, now| {
            row.state = if queued { TaskState::Queued } else { TaskState::Idle };
            row.since = now;
            row.counters.busy += length;
            row.counters.longest = row.counters.longest.max(length);
            row.counters.spurious += u64::from(spurious);
            row.counters.wasted += if spurious { length } else { 0 };
            row.counters.unattributed += u64::from(verdict == Verdict::Unattributed);
        });
        if spurious && let Some(token) = poll.token {
            self.token(token, |row, _| row.counters.spurious += 1);
        }
        self.activity = (Activity::Turning, self.now);
        if result != PollResult::Pending {
            self.finish(task, TaskOutcome::Completed);
        }
        verdict
    }

    /// Polls a queued task `count` times, `each` nanoseconds long and as many apart; each poll queues it again. Recorded
    /// as one.
    pub fn repeats(&mut self, task: TaskId, cycle: Cycle, count: u32, each: u64) {
        let (first, times) = (self.now, u64::from(count));
        let busy = times * each;
        self.pass(2 * busy);
        let spurious = cycle == Cycle::SelfWake;
        let wasted = |amount: u64| if spurious { amount } else { 0 };
        self.totals.polls += times;
        self.totals.wakes += times;
        self.totals.busy += busy;
        self.totals.spurious += wasted(times);
        self.totals.wasted += wasted(busy);
        let (shortest, longest) = (each, each);
        let seq =
            self.record(Event::Repeats { task, cycle, count, first, busy, shortest, longest });
        let now = self.now;
        self.probes.get_mut(&task).expect("the task lives").wake = Some((seq, now));
        self.task(task, |row, now| {
            (row.state, row.since) = (TaskState::Queued, now);
            row.last_wake_cause = cycle.cause().code();
            let counters = &mut row.counters;
            counters.polls += times;
            counters.wakes += times;
            counters.self_wakes += wasted(times);
            counters.busy += busy;
            counters.waited += busy;
            counters.longest = counters.longest.max(each);
            counters.spurious += wasted(times);
            counters.wasted += wasted(busy);
        });
    }

    fn judge(&mut self, poll: &Polling, result: PollResult) -> Verdict {
        let idle = self.probes.get_mut(&poll.task).map(|probe| {
            let only_self = poll.answers.iter().all(|cause| *cause == Cause::SelfWake);
            let idle = only_self && !poll.answers.is_empty() && poll.progress == 0 && !poll.first;
            std::mem::replace(&mut probe.idle_self_wake, idle)
        });
        let only_self = poll.answers.iter().all(|cause| *cause == Cause::SelfWake);
        if result != PollResult::Pending || poll.first || poll.progress > 0 {
            Verdict::Progress
        } else if poll.answers.is_empty() || poll.answers.iter().any(|c| !c.is_attributable()) {
            Verdict::Unattributed
        } else if poll.answers.contains(&Cause::Yield) || only_self && idle == Some(false) {
            Verdict::Excused
        } else {
            Verdict::Spurious
        }
    }

    /// Ends a task.
    pub fn finish(&mut self, task: TaskId, outcome: TaskOutcome) {
        self.totals.tasks_finished += 1;
        let queued = self.probes.remove(&task).is_some_and(|probe| probe.wake.is_some());
        self.totals.queued -= u64::from(queued);
        self.record(Event::TaskFinished { task, outcome });
        self.tasks.remove(&task);
    }

    /// The task being polled tries something on a token.
    pub fn operate(&mut self, operation: Operation, token: TokenId, result: OperationResult) {
        self.operation(operation, Subject::Token(token), result);
        let bytes = if let OperationResult::Done(count) = result { u64::from(count) } else { 0 };
        let (bytes_in, bytes_out) = match operation {
            Operation::Read | Operation::Receive => (bytes, 0),
            Operation::Write | Operation::Send => (0, bytes),
            _ => (0, 0),
        };
        self.totals.bytes_in += bytes_in;
        self.totals.bytes_out += bytes_out;
        let task = self.polling.as_ref().map(|poll| poll.task);
        self.token(token, |row, now| {
            row.counters.operations += 1;
            row.counters.bytes_in += bytes_in;
            row.counters.bytes_out += bytes_out;
            match result {
                OperationResult::WouldBlock => row.counters.would_block += 1,
                OperationResult::NotReady => row.counters.not_ready += 1,
                OperationResult::Error(_) => row.counters.errors += 1,
                OperationResult::Done(_) | OperationResult::EndOfFile => {}
            }
            row.last_active = now;
            row.owner = task.or(row.owner);
        });
    }

    /// The task being polled tries something on anything but a token.
    pub fn try_other(&mut self, operation: Operation, on: Subject, result: OperationResult) {
        self.operation(operation, on, result);
    }

    fn operation(&mut self, operation: Operation, subject: Subject, result: OperationResult) {
        let progress = result.is_progress();
        self.totals.operations += 1;
        let (mut task, mut in_poll) = (None, None);
        if let Some(poll) = &mut self.polling {
            poll.operations += 1;
            poll.progress += u16::from(progress);
            (task, in_poll) = (Some(poll.task), Some(poll.seq));
        }
        self.record(Event::Operation { operation, subject, result, task, poll: in_poll });
        if let Some(task) = task {
            self.task(task, |row, _| {
                row.counters.operations += 1;
                row.counters.progress += u64::from(progress);
            });
        }
    }

    /// The task being polled goes to sleep.
    pub fn wait(&mut self, target: WaitFor) {
        let task = self.polling.as_ref().map(|poll| poll.task);
        self.record(Event::WaitBegin { task, target });
        if let Some(task) = task {
            self.task(task, |row, _| {
                row.waits += 1;
                row.waiting_for = Some(target);
            });
        }
        self.waiters(target, |waiters| *waiters += 1);
    }

    /// A wait of the task being polled is over.
    pub fn wait_end(&mut self, target: WaitFor, outcome: WaitOutcome) {
        let task = self.polling.as_ref().map(|poll| poll.task);
        self.record(Event::WaitEnd { task, target, outcome });
        if let Some(task) = task {
            self.task(task, |row, _| {
                row.waits -= 1;
                if row.waiting_for == Some(target) {
                    row.waiting_for = None;
                }
            });
        }
        self.waiters(target, |waiters| *waiters -= 1);
    }

    fn waiters(&mut self, target: WaitFor, change: impl FnOnce(&mut u32)) {
        if let WaitFor::Token(token, direction) = target {
            self.token(token, |row, _| match direction {
                Direction::Readable => change(&mut row.waiters_readable),
                Direction::Writable => change(&mut row.waiters_writable),
            });
        }
    }

    /// The task being polled arms a timer that fires after `ns`, and sleeps on it.
    pub fn arm(&mut self, ns: u64) -> TimerId {
        self.timers_made += 1;
        let (timer, deadline_ns) = (TimerId(self.timers_made), self.now.0 + ns);
        self.totals.timers += 1;
        let poll = self.polling.as_ref().map(|poll| poll.seq);
        self.record(Event::Timer { timer, action: TimerAction::Armed, deadline_ns, poll });
        self.deadlines.insert(timer, deadline_ns);
        if let Some(task) = self.polling.as_ref().map(|poll| poll.task) {
            self.wait(WaitFor::Timer(timer));
            if let Some(probe) = self.probes.get_mut(&task) {
                probe.timer = Some(timer);
            }
        }
        timer
    }

    /// A timer's deadline is reached.
    pub fn fire(&mut self, timer: TimerId) {
        self.totals.timers -= 1;
        self.totals.timers_fired += 1;
        let deadline_ns = self.deadlines.remove(&timer).unwrap_or(self.now.0);
        let action = TimerAction::Fired;
        let fired = self.record(Event::Timer { timer, action, deadline_ns, poll: None });
        let sleeper = self.probes.iter().find(|(_, probe)| probe.timer == Some(timer));
        if let Some(task) = sleeper.map(|(&task, _)| task) {
            self.wake(task, Cause::Timer { timer, fired: Some(fired) });
        }
    }

    /// The task being polled finds that its timer has fired.
    pub fn timer_done(&mut self, timer: TimerId) {
        self.wait_end(WaitFor::Timer(timer), WaitOutcome::Done);
        self.operation(Operation::Timer, Subject::Timer(timer), OperationResult::Done(0));
    }

    fn grow(&mut self, capacity: u32) {
        let first = self.totals.capacity == 0;
        self.totals.growths += u64::from(!first);
        let (live, growths) = (self.totals.live as u32, self.totals.growths as u32);
        self.record(Event::FreelistGrown { capacity, live, growths });
        self.free.extend((self.totals.capacity as u32..capacity).rev());
        self.generations.resize(capacity as usize, 0);
        self.totals.capacity = u64::from(capacity);
    }

    /// Changes the row of a live token with the record before.
    fn token(&mut self, token: TokenId, change: impl FnOnce(&mut TokenRow, Stamp)) {
        let (now, next_seq) = (self.now, self.next_seq());
        if let Some(row) = self.tokens.get_mut(&token.slot).filter(|row| row.token == token) {
            row.next_seq = next_seq;
            change(row, now);
        }
    }

    /// Changes the row of a live task with the record before.
    fn task(&mut self, task: TaskId, change: impl FnOnce(&mut TaskRow, Stamp)) {
        let (now, next_seq) = (self.now, self.next_seq());
        if let Some(row) = self.tasks.get_mut(&task) {
            row.next_seq = next_seq;
            change(row, now);
        }
    }
}
