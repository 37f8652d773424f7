//! The board says what the records say: whatever sequence of probes runs, an independent count over the records comes
//! to the same rows and totals.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const TASKS: u64 = 4;
const SLOTS: u32 = 4;

#[derive(Clone, Debug)]
enum Step {
    Spawn,
    Finish(usize),
    Wake {
        task: usize,
        cause: u8,
        outcome: u8,
    },
    Poll {
        task: usize,
        body: Vec<Step>,
    },
    /// Polls that queue their own task and do nothing else.
    Cycle {
        task: usize,
        yields: bool,
        polls: u8,
    },
    Claim(u32),
    Release {
        slot: u32,
        errno: u32,
    },
    Ready {
        slot: u32,
        bits: u8,
        reason: u8,
    },
    Stale(u32),
    Register {
        slot: u32,
        bits: u8,
        errno: u32,
    },
    Operate {
        slot: u32,
        operation: u8,
        result: u8,
    },
    Timer(u8),
    Turn {
        park: bool,
        idle: bool,
    },
    Wait {
        slot: u32,
        direction: u8,
    },
    EndWait(usize),
}

const CHANNEL: Through = Through::Primitive(PrimitiveId(12));

/// A wake by another thread.
fn noted(recorder: &Recorder, through: Option<Through>) -> Noted {
    Noted { woken: recorder.remote().now(), thread: 9, through }
}

fn leaf() -> impl Strategy<Value = Step> {
    let task = 0..TASKS as usize;
    let slot = 0..SLOTS;
    prop_oneof![
        Just(Step::Spawn),
        task.clone().prop_map(Step::Finish),
        (task, 0..9_u8, 0..3_u8).prop_map(|(task, cause, outcome)| Step::Wake {
            task,
            cause,
            outcome
        }),
        slot.clone().prop_map(Step::Claim),
        (slot.clone(), 0..2_u32).prop_map(|(slot, errno)| Step::Release { slot, errno }),
        (slot.clone(), any::<u8>(), 1..4_u8).prop_map(|(slot, bits, reason)| Step::Ready {
            slot,
            bits,
            reason
        }),
        slot.clone().prop_map(Step::Stale),
        (slot.clone(), any::<u8>(), 0..2_u32).prop_map(|(slot, bits, errno)| Step::Register {
            slot,
            bits,
            errno
        }),
        (slot.clone(), 1..15_u8, 0..5_u8).prop_map(|(slot, operation, result)| Step::Operate {
            slot,
            operation,
            result
        }),
        (1..5_u8).prop_map(Step::Timer),
        (any::<bool>(), any::<bool>()).prop_map(|(park, idle)| Step::Turn { park, idle }),
        (slot, 1..3_u8).prop_map(|(slot, direction)| Step::Wait { slot, direction }),
        (0..4_usize).prop_map(Step::EndWait),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let poll = (0..TASKS as usize, prop::collection::vec(leaf(), 0..6))
        .prop_map(|(task, body)| Step::Poll { task, body });
    let cycle = (0..TASKS as usize, any::<bool>(), 1..6_u8)
        .prop_map(|(task, yields, polls)| Step::Cycle { task, yields, polls });
    prop::collection::vec(prop_oneof![4 => leaf(), 2 => poll, 1 => cycle], 0..120)
}

/// A runtime that makes no sense, but keeps to the order in which probes may be called.
struct Player<'a> {
    recorder: &'a Recorder,
    tasks: Vec<(TaskProbe, u64)>,
    polling: Option<u64>,
    next_task: u64,
    tokens: [Option<TokenId>; SLOTS as usize],
    generation: u32,
    timers: u64,
    waits: Vec<(WaitProbe, WaitFor)>,
    /// Redundant wakes by other threads, which have no records, by task.
    unrecorded: BTreeMap<u64, u64>,
}

impl Player<'_> {
    fn play(&mut self, step: &Step) {
        let recorder = self.recorder;
        match *step {
            Step::Spawn if self.tasks.len() < TASKS as usize => {
                self.next_task += 1;
                let task = TaskId(self.next_task);
                let probe = recorder.task_spawned(task, Location::caller(), None);
                self.tasks.push((probe, task.0));
            }
            Step::Finish(task) if task < self.tasks.len() => {
                if self.polling != Some(self.tasks[task].1) {
                    let (probe, _) = self.tasks.remove(task);
                    recorder.task_finished(&probe, TaskOutcome::Completed);
                }
            }
            Step::Wake { task, cause, outcome } if task < self.tasks.len() => {
                self.wake(task, cause, outcome);
            }
            Step::Poll { task, ref body } if task < self.tasks.len() => {
                let number = self.tasks[task].1;
                self.polling = Some(number);
                recorder.poll_start(&self.tasks[task].0);
                body.iter().for_each(|step| self.play(step));
                self.polling = None;
                let (probe, _) = self.tasks.iter().find(|(_, task)| *task == number).unwrap();
                recorder.poll_end(probe, PollResult::Pending);
            }
            Step::Timer(action) => {
                let action = TimerAction::from_code(action).unwrap();
                let ends = matches!(action, TimerAction::Cancelled | TimerAction::Fired);
                if self.timers > 0 || !ends {
                    self.timers =
                        self.timers + u64::from(action == TimerAction::Armed) - u64::from(ends);
                    recorder.timer(TimerId(1), action, 5);
                }
            }
            Step::Cycle { task, yields, polls } if task < self.tasks.len() => {
                let wake = Step::Wake { task, cause: u8::from(yields), outcome: 0 };
                let poll = Step::Poll { task, body: vec![wake] };
                (0..polls).for_each(|_| self.play(&poll));
            }
            Step::Turn { park, idle } => {
                recorder.turn_begin(if park { TurnMode::Park } else { TurnMode::Look });
                recorder.turn_end(1, idle);
            }
            ref step => self.play_token(step),
        }
    }

    fn wake(&mut self, task: usize, cause: u8, outcome: u8) {
        let recorder = self.recorder;
        let (probe, number) = &self.tasks[task];
        let outcome = WakeOutcome::ALL[outcome as usize];
        let token = self.tokens[0].unwrap_or(TOKEN);
        let event = None;
        let wake = || recorder.wake(probe, outcome);
        match cause {
            0 => wake(),
            1 => recorder.with_cause(Cause::Yield, wake),
            2 => recorder.with_cause(Cause::Spawn, wake),
            3 => recorder.wake_remote(probe, noted(recorder, None), outcome),
            4 => {
                recorder.redundant_remote(probe, 2);
                *self.unrecorded.entry(*number).or_default() += 2;
            }
            5 => recorder.wake_remote(probe, noted(recorder, Some(CHANNEL)), outcome),
            6 => recorder.with_through(CHANNEL, wake),
            7 => recorder.with_through(Through::Shutdown, wake),
            _ => {
                let direction = Direction::Readable;
                recorder.with_cause(Cause::Io { token, direction, event }, wake);
            }
        }
    }

    fn play_token(&mut self, step: &Step) {
        let recorder = self.recorder;
        let token = |slot: u32| self.tokens[slot as usize];
        match *step {
            Step::Claim(slot) if token(slot).is_none() => {
                self.generation += 1;
                let token = TokenId { slot, generation: self.generation };
                self.tokens[slot as usize] = Some(token);
                recorder.claim(token);
            }
            Step::Release { slot, errno } => match self.tokens[slot as usize].take() {
                Some(token) => recorder.token_released(token, errno),
                None => recorder.release_refused(TOKEN, RefusalReason::Stale),
            },
            Step::Ready { slot, bits, reason } => {
                let reason = TransitionReason::from_code(reason).unwrap();
                let after = Readiness::from_bits(bits);
                token(slot)
                    .map(|token| recorder.transition(token, Readiness::EMPTY, after, reason, 0));
            }
            Step::Stale(slot) => {
                let current = token(slot).map_or(0, |token| token.generation);
                let token = TokenId { slot, generation: 77 };
                recorder.stale_event(token, current, Readiness::READABLE);
            }
            Step::Register { slot, bits, errno } => {
                let after = Interest::from_bits(bits);
                if let Some(token) = token(slot) {
                    recorder.token_registered(token, Interest::EMPTY, after, errno);
                }
            }
            Step::Operate { slot, operation, result } => {
                let operation = Operation::from_code(operation).unwrap();
                let results = [
                    OperationResult::Done(10),
                    OperationResult::EndOfFile,
                    OperationResult::Error(104),
                    OperationResult::WouldBlock,
                    OperationResult::NotReady,
                ];
                let other = Subject::Primitive(PrimitiveId(12));
                let subject = token(slot).map_or(other, Subject::Token);
                recorder.operation(operation, subject, results[result as usize]);
            }
            Step::Wait { slot, direction } => {
                if let Some(token) = token(slot) {
                    let target = WaitFor::Token(token, Direction::from_code(direction).unwrap());
                    self.waits.push((recorder.wait_begin(target), target));
                }
            }
            Step::EndWait(wait) if wait < self.waits.len() => {
                let (wait, target) = self.waits.remove(wait);
                recorder.wait_end(wait, target, WaitOutcome::Dropped);
            }
            _ => {}
        }
    }
}

/// What the records come to, by the table in the documentation of `record`.
#[derive(Default)]
struct Sums {
    tokens: BTreeMap<u64, TokenSum>,
    tasks: BTreeMap<u64, TaskSum>,
    totals: Totals,
    poll_wake: Option<Seq>,
    wakes: BTreeMap<Seq, (Stamp, Option<TokenId>)>,
}

#[derive(Debug, Default, PartialEq)]
struct TokenSum {
    interest: Interest,
    readiness: Readiness,
    owner: Option<TaskId>,
    counters: nexus_protocol::board::TokenCounters,
    waiters: (u32, u32),
    next_seq: Seq,
}

#[derive(Debug, Default, PartialEq)]
struct TaskSum {
    state: u8,
    last_cause: u8,
    counters: nexus_protocol::board::TaskCounters,
    queued: bool,
    waits: u32,
    next_seq: Seq,
}

impl Sums {
    fn token(&mut self, token: TokenId, next: Seq) -> TokenSum {
        let mut sum = self.tokens.remove(&token.pack()).unwrap_or_default();
        sum.next_seq = next;
        sum
    }

    fn with_token(&mut self, token: TokenId, next: Seq, change: impl FnOnce(&mut TokenSum)) {
        if self.tokens.contains_key(&token.pack()) {
            let mut sum = self.token(token, next);
            change(&mut sum);
            self.tokens.insert(token.pack(), sum);
        }
    }

    fn with_task(&mut self, task: Option<TaskId>, next: Seq, change: impl FnOnce(&mut TaskSum)) {
        if let Some(sum) = task.and_then(|task| self.tasks.get_mut(&task.0)) {
            sum.next_seq = next;
            change(sum);
        }
    }

    fn apply(&mut self, record: &Record) {
        let next = record.seq + 1;
        self.totals.recorded = next;
        match record.event {
            Event::Turn { number, mode, parked, .. } => {
                self.totals.turns = number;
                if mode == TurnMode::Park {
                    self.totals.parked += record.at.since(parked);
                }
            }
            Event::Timer { action, .. } => match action {
                TimerAction::Armed => self.totals.timers += 1,
                TimerAction::Cancelled => self.totals.timers -= 1,
                TimerAction::Fired => {
                    self.totals.timers -= 1;
                    self.totals.timers_fired += 1;
                }
                TimerAction::Reset => {}
            },
            Event::TaskSpawned { task, .. } => {
                self.totals.tasks_spawned += 1;
                let state = TaskState::Idle as u8;
                self.tasks.insert(task.0, TaskSum { state, next_seq: next, ..TaskSum::default() });
            }
            Event::TaskFinished { task, .. } => {
                self.totals.tasks_finished += 1;
                self.tasks.remove(&task.0);
            }
            Event::Wake { task, cause, outcome } => self.wake(record, task, cause, outcome),
            Event::PollStart { task, number, wake } => {
                self.totals.polls += 1;
                self.poll_wake = wake;
                let woken = wake.map_or(record.at, |wake| self.wakes[&wake].0);
                self.with_task(Some(task), next, |sum| {
                    sum.state = TaskState::Polling as u8;
                    sum.queued = false;
                    sum.counters.polls = number;
                    sum.counters.waited += record.at.since(woken);
                });
            }
            Event::PollEnd { task, started, verdict, .. } => {
                self.end_poll(next, task, record.at.since(started), verdict);
            }
            Event::Repeats { task, cycle, count, first, busy, longest, .. } => {
                let count = u64::from(count);
                let of_self = if cycle == Cycle::SelfWake { count } else { 0 };
                let wasted = if cycle == Cycle::SelfWake { busy } else { 0 };
                self.totals.polls += count;
                self.totals.wakes += count;
                self.totals.busy += busy;
                self.totals.spurious += of_self;
                self.totals.wasted += wasted;
                self.wakes.insert(record.seq, (record.at, None));
                self.with_task(Some(task), next, |sum| {
                    sum.state = TaskState::Queued as u8;
                    sum.queued = true;
                    sum.last_cause = cycle.cause().code();
                    let counters = &mut sum.counters;
                    counters.polls += count;
                    counters.wakes += count;
                    counters.busy += busy;
                    counters.waited += record.at.since(first) - busy;
                    counters.longest = counters.longest.max(longest);
                    counters.self_wakes += of_self;
                    counters.spurious += of_self;
                    counters.wasted += wasted;
                });
            }
            Event::WaitBegin { task, target } => {
                self.with_task(task, next, |sum| sum.waits += 1);
                self.wait(target, next, |waiters| *waiters += 1);
            }
            Event::WaitEnd { task, target, .. } => {
                self.with_task(task, next, |sum| sum.waits -= 1);
                self.wait(target, next, |waiters| *waiters -= 1);
            }
            ref event => self.apply_token(next, event),
        }
    }

    fn wake(&mut self, record: &Record, task: TaskId, cause: Cause, outcome: WakeOutcome) {
        let next = record.seq + 1;
        let token = if let Cause::Io { token, .. } = cause { Some(token) } else { None };
        if let Some(token) = token {
            self.with_token(token, next, |sum| sum.counters.wakes += 1);
        }
        let total = match outcome {
            WakeOutcome::Queued => &mut self.totals.wakes,
            WakeOutcome::Redundant => &mut self.totals.redundant,
            WakeOutcome::Dead => &mut self.totals.dead,
        };
        *total += 1;
        self.totals.remote += u64::from(cause.is_remote());
        self.wakes.insert(record.seq, (record.at, token));
        self.with_task(Some(task), next, |sum| {
            sum.last_cause = cause.code();
            sum.counters.self_wakes += u64::from(cause == Cause::SelfWake);
            match outcome {
                WakeOutcome::Queued => {
                    sum.counters.wakes += 1;
                    sum.queued = true;
                    if sum.state != TaskState::Polling as u8 {
                        sum.state = TaskState::Queued as u8;
                    }
                }
                WakeOutcome::Redundant => sum.counters.redundant += 1,
                WakeOutcome::Dead => {}
            }
        });
    }

    fn end_poll(&mut self, next: Seq, task: TaskId, took: u64, verdict: Verdict) {
        let spurious = u64::from(verdict == Verdict::Spurious);
        let unattributed = u64::from(verdict == Verdict::Unattributed);
        self.totals.busy += took;
        self.totals.wasted += took * spurious;
        self.totals.spurious += spurious;
        self.totals.unattributed += unattributed;
        self.with_task(Some(task), next, |sum| {
            sum.state = if sum.queued { TaskState::Queued } else { TaskState::Idle } as u8;
            sum.counters.busy += took;
            sum.counters.longest = sum.counters.longest.max(took);
            sum.counters.wasted += took * spurious;
            sum.counters.spurious += spurious;
            sum.counters.unattributed += unattributed;
        });
        let token = self.poll_wake.take().and_then(|wake| self.wakes[&wake].1);
        if let (1, Some(token)) = (spurious, token) {
            self.with_token(token, next, |sum| sum.counters.spurious += 1);
        }
    }

    fn wait(&mut self, target: WaitFor, next: Seq, change: impl FnOnce(&mut u32)) {
        if let WaitFor::Token(token, direction) = target {
            self.with_token(token, next, |sum| match direction {
                Direction::Readable => change(&mut sum.waiters.0),
                Direction::Writable => change(&mut sum.waiters.1),
            });
        }
    }

    fn apply_token(&mut self, next: Seq, event: &Event) {
        match *event {
            Event::TokenClaimed { token, live, .. } => {
                let sum = self.token(token, next);
                self.tokens.insert(token.pack(), sum);
                self.totals.claims += 1;
                self.totals.live += 1;
                self.totals.high_water = self.totals.high_water.max(self.totals.live);
                assert_eq!(u64::from(live), self.totals.live);
            }
            Event::TokenReleased { token, live, errno } => {
                self.tokens.remove(&token.pack());
                self.totals.releases += 1;
                self.totals.live -= 1;
                self.totals.deregister_failures += u64::from(errno != 0);
                assert_eq!(u64::from(live), self.totals.live);
            }
            Event::ReleaseRefused { .. } => self.totals.releases_refused += 1,
            Event::Transition { token, after, reason, .. } => {
                let event = u64::from(reason == TransitionReason::Event);
                self.totals.events += event;
                self.with_token(token, next, |sum| {
                    sum.readiness = after;
                    sum.counters.events += event;
                });
            }
            Event::StaleEvent { token, current, .. } => {
                self.totals.stale += 1;
                let owner = TokenId { generation: current, ..token };
                self.with_token(owner, next, |sum| sum.counters.stale += 1);
            }
            Event::TokenRegistered { token, after, errno, .. } => {
                self.with_token(token, next, |sum| {
                    if errno == 0 {
                        sum.interest = after;
                    }
                });
            }
            Event::Operation { operation, subject, result, task, .. } => {
                self.operation(next, operation, subject, result, task);
            }
            ref other => panic!("{other:?} was not played"),
        }
    }

    fn operation(
        &mut self,
        next: Seq,
        operation: Operation,
        subject: Subject,
        result: OperationResult,
        task: Option<TaskId>,
    ) {
        let (mut bytes_in, mut bytes_out) = (0, 0);
        if let (OperationResult::Done(bytes), Subject::Token(_)) = (result, subject) {
            match operation {
                Operation::Read | Operation::Receive => bytes_in = u64::from(bytes),
                Operation::Write | Operation::Send => bytes_out = u64::from(bytes),
                _ => {}
            }
        }
        self.totals.operations += 1;
        self.totals.bytes_in += bytes_in;
        self.totals.bytes_out += bytes_out;
        self.with_task(task, next, |sum| {
            sum.counters.operations += 1;
            sum.counters.progress += u64::from(result.is_progress());
        });
        let Subject::Token(token) = subject else { return };
        self.with_token(token, next, |sum| {
            sum.counters.operations += 1;
            sum.counters.bytes_in += bytes_in;
            sum.counters.bytes_out += bytes_out;
            sum.counters.errors += u64::from(matches!(result, OperationResult::Error(_)));
            sum.counters.would_block += u64::from(result == OperationResult::WouldBlock);
            sum.counters.not_ready += u64::from(result == OperationResult::NotReady);
            sum.owner = task.or(sum.owner);
        });
    }
}

/// The rows in the form of [`Sums`].
fn rows(recorder: &Recorder) -> (BTreeMap<u64, TokenSum>, BTreeMap<u64, TaskSum>) {
    let tokens = recorder.token_rows().into_iter().map(|row| {
        let sum = TokenSum {
            interest: row.interest,
            readiness: row.readiness,
            owner: row.owner,
            counters: row.counters,
            waiters: (row.waiters_readable, row.waiters_writable),
            next_seq: row.next_seq,
        };
        (row.token.pack(), sum)
    });
    let tasks = recorder.task_rows().into_iter().map(|row| {
        let sum = TaskSum {
            state: row.state as u8,
            last_cause: row.last_wake_cause,
            counters: row.counters,
            queued: false,
            waits: row.waits,
            next_seq: row.next_seq,
        };
        (row.task.0, sum)
    });
    (tokens.collect(), tasks.collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_board_is_the_sum_of_the_records(steps in steps()) {
        let recorder = recorder();
        let mut player = Player {
            recorder: &recorder,
            tasks: Vec::new(),
            polling: None,
            next_task: 0,
            tokens: [None; SLOTS as usize],
            generation: 0,
            timers: 0,
            waits: Vec::new(),
            unrecorded: BTreeMap::new(),
        };
        steps.iter().for_each(|step| player.play(step));
        let unrecorded = player.unrecorded;
        let mut sums = Sums::default();
        let mut owners = BTreeMap::new();
        let mut polling = None;
        let records = recorder.records();
        prop_assert!(records.is_sorted_by_key(|record| record.at), "stamps run backwards");
        for record in records {
            sums.apply(&record);
            // Claims name no task in their record: the claimer is the task whose poll is under way.
            match record.event {
                Event::PollStart { task, .. } => polling = Some(task),
                Event::PollEnd { .. } => polling = None,
                Event::TokenClaimed { token, .. } => drop(owners.insert(token.pack(), polling)),
                _ => {}
            }
        }
        for (token, sum) in &mut sums.tokens {
            sum.owner = sum.owner.or(owners[token]);
        }
        sums.totals.redundant += unrecorded.values().sum::<u64>();
        sums.totals.remote += unrecorded.values().sum::<u64>();
        for (task, sum) in &mut sums.tasks {
            sum.counters.redundant += unrecorded.get(task).copied().unwrap_or(0);
            sum.queued = false;
        }
        let (tokens, tasks) = rows(&recorder);
        prop_assert_eq!(tokens, sums.tokens);
        prop_assert_eq!(tasks, sums.tasks);
        prop_assert_eq!(recorder.totals(), sums.totals);
    }
}
