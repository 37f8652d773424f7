//! The probes of the executor: tasks, wakes, polls and waits.

use super::Recorder;
use super::row::Words;
use super::verdict::{Answered, Evidence};
use super::writer::{NO_ROW, NO_SEQ, Writer};
use nexus_protocol::board::{
    Activity, TaskRow, TaskState, task_word as at, token_word, total_word,
};
use nexus_protocol::event::{
    Cause, PollResult, TaskOutcome, Verdict, WaitFor, WaitOutcome, WakeOutcome,
};
use nexus_protocol::ids::{Seq, Stamp, TaskId, TokenId};
use nexus_protocol::{Direction, Event};
use std::cell::Cell;
use std::panic::Location;

/// The recorder's part in a task's allocation, touched by the runtime thread only.
pub(crate) struct TaskProbe {
    task: TaskId,
    /// Its row; [`NO_ROW`] if it has none, and when it has ended.
    row: Cell<u32>,
    polls: Cell<u64>,
    /// Wakes since the last poll began.
    pending: Cell<Answered>,
    /// Whether one of them put it into the run queue.
    queued: Cell<bool>,
    /// The last poll answered nothing but self-wakes and made no progress.
    idle_self_wake: Cell<bool>,
    /// The wake that queued it: record, stamp, and token if one was the cause (packed; zero if not).
    wake: Cell<Seq>,
    woken: Cell<Stamp>,
    token: Cell<u64>,
}

/// Which task a wait belongs to; kept by the waiter until the wait ends.
#[derive(Clone, Copy)]
pub(crate) struct WaitProbe {
    task: Option<TaskId>,
    row: u32,
}

impl TaskProbe {
    fn new(task: TaskId, row: u32) -> Self {
        Self {
            task,
            row: Cell::new(row),
            polls: Cell::new(0),
            pending: Cell::new(Answered::NONE),
            queued: Cell::new(false),
            idle_self_wake: Cell::new(false),
            wake: Cell::new(NO_SEQ),
            woken: Cell::new(Stamp::NEVER),
            token: Cell::new(0),
        }
    }
}

/// State word of a task's row: the state in bits 0–7, the cause of its last wake in bits 16–23.
const STATE_MASK: u64 = 0xFF;
const CAUSE_SHIFT: u32 = 16;
/// Kind and direction of what it waits for, in bits 24–39.
const WAITING_MASK: u64 = 0xFFFF << 24;

#[inline]
fn set_state(row: &Words<'_, { at::COUNT }>, state: TaskState, since: Stamp) {
    row.set(at::STATE, row.get(at::STATE) & !STATE_MASK | state as u64);
    row.set(at::SINCE, since.0);
}

impl Writer {
    /// Changes a task's row, if it has one, with the record before `next`.
    #[inline]
    fn change_task(&self, row: u32, next: Seq, change: impl FnOnce(&Words<'_, { at::COUNT }>)) {
        if let Some(row) = self.board().tasks.row(row as usize) {
            row.change(|words| {
                words.set(at::NEXT_SEQ, next);
                change(&words);
            });
        }
    }

    /// Changes the row of the task being polled, as [`Writer::change_task`].
    #[inline]
    pub(super) fn change_polled_task(
        &self,
        next: Seq,
        change: impl FnOnce(&Words<'_, { at::COUNT }>),
    ) {
        if self.poll.task.get() != 0 {
            self.change_task(self.poll.row.get(), next, change);
        }
    }

    /// Changes the row of a waiting task, unless it has ended and its row is another's.
    fn change_waiter(
        &self,
        wait: WaitProbe,
        next: Seq,
        change: impl FnOnce(&Words<'_, { at::COUNT }>),
    ) {
        let row = self.board().tasks.row(wait.row as usize);
        if row.is_some_and(|row| row.own(at::TASK) == TaskId::word(wait.task)) {
            self.change_task(wait.row, next, change);
        }
    }

    /// A row for a new task, or [`NO_ROW`].
    fn take_row(&self) -> u32 {
        let free = self.free_rows.borrow_mut().pop();
        let tasks = &self.board().tasks;
        let row = free.unwrap_or_else(|| u32::try_from(tasks.used()).unwrap_or(NO_ROW));
        tasks.make(row as usize).map_or(NO_ROW, |_| row)
    }

    /// Why a task's waker is fired now, with the stamp for the record. The clock is read unless the wake belongs to
    /// what was recorded last: an event or timer of this turn, a spawn, or the task's own doing.
    #[inline]
    fn cause_of_wake(&self, woken: TaskId) -> Cause {
        let cause = self.announced_cause().unwrap_or_else(|| match self.polled_task() {
            Some(task) if task == woken => Cause::SelfWake,
            Some(task) => Cause::Task { task },
            None => Cause::Outside,
        });
        match cause {
            Cause::Io { .. }
            | Cause::Timer { .. }
            | Cause::SelfWake
            | Cause::Yield
            | Cause::Spawn => {}
            _ => {
                self.read_clock();
            }
        }
        cause
    }

    /// Records a wake with the last stamp.
    #[inline]
    fn record_wake(&self, probe: &TaskProbe, cause: Cause, outcome: WakeOutcome) {
        let now = self.last();
        let task = probe.task;
        let seq = self.record(
            |_| Event::Wake { task, cause, outcome },
            |next| {
                let total = match outcome {
                    WakeOutcome::Queued => total_word::WAKES,
                    WakeOutcome::Redundant => total_word::REDUNDANT,
                    WakeOutcome::Dead => total_word::DEAD,
                };
                self.board().add(total, 1);
                if let Cause::Thread { .. } = cause {
                    self.board().add(total_word::REMOTE, 1);
                }
                if let Cause::Io { token, .. } = cause {
                    self.change_token(token, next, |row| row.add(token_word::WAKES, 1));
                }
                let polling = self.poll.task.get() == task.0;
                self.change_task(probe.row.get(), next, |row| {
                    wake_row(row, cause, outcome, (!polling).then_some(now));
                });
            },
        );
        if outcome == WakeOutcome::Dead {
            return;
        }
        probe.pending.set(probe.pending.get().with(Answered::of(cause)));
        if outcome == WakeOutcome::Queued {
            probe.queued.set(true);
            probe.wake.set(seq);
            probe.woken.set(now);
            let token = if let Cause::Io { token, .. } = cause { token.pack() } else { 0 };
            probe.token.set(token);
        }
    }
}

/// What a wake changes in the row of its task. `queued_at` is `None` while the task is being polled.
#[inline]
fn wake_row(
    row: &Words<'_, { at::COUNT }>,
    cause: Cause,
    outcome: WakeOutcome,
    queued_at: Option<Stamp>,
) {
    let mut state = row.get(at::STATE) & !(0xFF << CAUSE_SHIFT);
    state |= u64::from(cause.code()) << CAUSE_SHIFT;
    match outcome {
        WakeOutcome::Queued => {
            row.add(at::WAKES, 1);
            if let Some(now) = queued_at {
                state = state & !STATE_MASK | TaskState::Queued as u64;
                row.set(at::SINCE, now.0);
            }
        }
        WakeOutcome::Redundant => row.add(at::REDUNDANT, 1),
        WakeOutcome::Dead => {}
    }
    row.set(at::STATE, state);
    if cause == Cause::SelfWake {
        row.add(at::SELF_WAKES, 1);
    }
}

impl Recorder {
    /// A task was spawned. Its first wake follows as a probe of its own.
    pub(crate) fn task_spawned(
        &self,
        task: TaskId,
        location: &'static Location<'static>,
        name: Option<&str>,
    ) -> TaskProbe {
        let Some(live) = &self.live else { return TaskProbe::new(task, NO_ROW) };
        let location = live.strings.location(location);
        let name = live.strings.name(name);
        let (row, poll, now) = (live.take_row(), live.poll_seq(), live.read_clock());
        let board = live.board();
        live.record(
            |_| Event::TaskSpawned { task, location, name, poll },
            |next| {
                board.add(total_word::TASKS_SPAWNED, 1);
                if row == NO_ROW {
                    board.add(total_word::TASKS_WITHOUT_ROW, 1);
                }
                live.change_task(row, next, |row| {
                    row.clear();
                    row.set(at::NEXT_SEQ, next);
                    row.set(at::TASK, task.0);
                    row.set(at::STATE, TaskRow::state_word(TaskState::Idle, None, 0, None));
                    row.set(at::STRINGS, u64::from(location.0) | u64::from(name.0) << 32);
                    row.set(at::SPAWNED, now.0);
                    row.set(at::SINCE, now.0);
                });
            },
        );
        TaskProbe::new(task, row)
    }

    /// A task ended. Its row is folded away.
    pub(crate) fn task_finished(&self, probe: &TaskProbe, outcome: TaskOutcome) {
        let Some(live) = &self.live else { return };
        let (task, row) = (probe.task, probe.row.replace(NO_ROW));
        let board = live.board();
        live.record(
            |_| Event::TaskFinished { task, outcome },
            |next| {
                board.add(total_word::TASKS_FINISHED, 1);
                if row == NO_ROW {
                    return board.subtract(total_word::TASKS_WITHOUT_ROW, 1);
                }
                live.change_task(row, next, |row| {
                    row.set(at::STATE, 0);
                    row.set(at::TASK, 0);
                });
                live.free_rows.borrow_mut().push(row);
            },
        );
        if live.poll.task.get() == task.0 {
            live.poll.row.set(NO_ROW);
        }
    }

    /// A task's waker was fired on the runtime thread.
    #[inline]
    pub(crate) fn wake(&self, probe: &TaskProbe, outcome: WakeOutcome) {
        let Some(live) = &self.live else { return };
        let cause = live.cause_of_wake(probe.task);
        live.record_wake(probe, cause, outcome);
    }

    /// A task that another thread has woken was taken from the inbox.
    pub(crate) fn wake_remote(
        &self,
        probe: &TaskProbe,
        thread: u32,
        woken: Stamp,
        outcome: WakeOutcome,
    ) {
        let Some(live) = &self.live else { return };
        // The counters of two processors may differ by a little; nothing is woken after it was noticed.
        let woken = woken.min(live.read_clock());
        live.record_wake(probe, Cause::Thread { thread, woken }, outcome);
    }

    /// Other threads fired a task's waker `count` more times while it was queued.
    pub(crate) fn redundant_remote(&self, probe: &TaskProbe, count: u32) {
        let Some(live) = &self.live else { return };
        let board = live.board();
        board.add(total_word::REDUNDANT, u64::from(count));
        board.add(total_word::REMOTE, u64::from(count));
        if let Some(row) = board.tasks.row(probe.row.get() as usize) {
            row.change(|words| words.add(at::REDUNDANT, u64::from(count)));
        }
        probe.pending.set(probe.pending.get().with(Answered::FOREIGN));
    }

    /// A poll begins.
    #[inline]
    pub(crate) fn poll_start(&self, probe: &TaskProbe) {
        let Some(live) = &self.live else { return };
        let now = live.read_clock_unless_fresh();
        let (task, number) = (probe.task, probe.polls.get() + 1);
        let (wake, waited) = match probe.wake.replace(NO_SEQ) {
            NO_SEQ => (None, 0),
            wake => (Some(wake), now.since(probe.woken.get())),
        };
        probe.polls.set(number);
        probe.queued.set(false);
        let poll = &live.poll;
        let seq = live.record(
            |_| Event::PollStart { task, number, wake },
            |next| {
                let board = live.board();
                board.add(total_word::POLLS, 1);
                board.set_activity(Activity::Polling(task), now);
                live.change_task(probe.row.get(), next, |row| {
                    set_state(row, TaskState::Polling, now);
                    row.set(at::POLLS, number);
                    row.add(at::WAITED, waited);
                });
            },
        );
        poll.task.set(task.0);
        poll.row.set(probe.row.get());
        poll.seq.set(seq);
        poll.started.set(now);
        poll.first.set(number == 1);
        poll.answered.set(probe.pending.replace(Answered::NONE));
        poll.token.set(probe.token.replace(0));
        poll.operations.set(0);
        poll.progress.set(0);
    }

    /// A poll ends.
    #[inline]
    pub(crate) fn poll_end(&self, probe: &TaskProbe, result: PollResult) {
        let Some(live) = &self.live else { return };
        let now = live.read_clock();
        let poll = &live.poll;
        let evidence = Evidence {
            result,
            first: poll.first.get(),
            progress: poll.progress.get() != 0,
            answered: poll.answered.get(),
            after_idle_self_wake: probe.idle_self_wake.get(),
        };
        let verdict = evidence.judge();
        probe.idle_self_wake.set(evidence.is_idle_self_wake());
        let (task, started) = (probe.task, poll.started.get());
        let operations = u16::try_from(poll.operations.get()).unwrap_or(u16::MAX);
        let progress = u16::try_from(poll.progress.get()).unwrap_or(u16::MAX);
        live.record(
            |_| Event::PollEnd { task, started, result, verdict, operations, progress },
            |next| {
                let state = if probe.queued.get() { TaskState::Queued } else { TaskState::Idle };
                let took = now.since(started);
                live.change_task(probe.row.get(), next, |row| {
                    set_state(row, state, now);
                    row.add(at::BUSY, took);
                    if took > row.get(at::LONGEST) {
                        row.set(at::LONGEST, took);
                    }
                    match verdict {
                        Verdict::Spurious => {
                            row.add(at::SPURIOUS, 1);
                            row.add(at::WASTED, took);
                        }
                        Verdict::Unattributed => row.add(at::UNATTRIBUTED, 1),
                        Verdict::Progress | Verdict::Excused => {}
                    }
                });
                live.charge_poll(verdict, took, next);
                live.board().set_activity(Activity::Turning, now);
            },
        );
        poll.task.set(0);
        if result == PollResult::Pending {
            live.keep_fresh();
        }
    }

    /// The task being polled goes to sleep on `target`.
    pub(crate) fn wait_begin(&self, target: WaitFor) -> WaitProbe {
        let Some(live) = &self.live else { return WaitProbe { task: None, row: NO_ROW } };
        let task = live.polled_task();
        let wait = WaitProbe { task, row: task.map_or(NO_ROW, |_| live.poll.row.get()) };
        live.record(
            |_| Event::WaitBegin { task, target },
            |next| {
                live.change_waiter(wait, next, |row| {
                    row.add(at::WAITS, 1);
                    set_waiting_for(row, Some(target));
                });
                live.count_waiter(target, next, |waiters, one| waiters.saturating_add(one));
            },
        );
        wait
    }

    /// A wait is over.
    pub(crate) fn wait_end(&self, wait: WaitProbe, target: WaitFor, outcome: WaitOutcome) {
        let Some(live) = &self.live else { return };
        let task = wait.task;
        live.record(
            |_| Event::WaitEnd { task, target, outcome },
            |next| {
                live.change_waiter(wait, next, |row| {
                    row.set(at::WAITS, row.get(at::WAITS).saturating_sub(1));
                    if is_waiting_for(row, target) {
                        set_waiting_for(row, None);
                    }
                });
                live.count_waiter(target, next, u64::saturating_sub);
            },
        );
    }
}

impl Writer {
    /// Charges a poll to the totals and to the token whose wake queued it.
    #[inline]
    fn charge_poll(&self, verdict: Verdict, took: u64, next: Seq) {
        let board = self.board();
        board.add(total_word::BUSY, took);
        match verdict {
            Verdict::Spurious => {
                board.add(total_word::SPURIOUS, 1);
                board.add(total_word::WASTED, took);
                let token = self.poll.token.get();
                if token != 0 {
                    let token = TokenId::unpack(token);
                    self.change_token(token, next, |row| row.add(token_word::SPURIOUS, 1));
                }
            }
            Verdict::Unattributed => board.add(total_word::UNATTRIBUTED, 1),
            Verdict::Progress | Verdict::Excused => {}
        }
    }

    /// Changes the number of waiters in the direction of a token, if that is what is waited for.
    fn count_waiter(&self, target: WaitFor, next: Seq, change: impl Fn(u64, u64) -> u64) {
        let WaitFor::Token(token, direction) = target else { return };
        self.change_token(token, next, |row| {
            let word = row.get(token_word::WAITERS);
            let (readable, writable) = (word & 0xFFFF_FFFF, word >> 32);
            let (readable, writable) = match direction {
                Direction::Readable => (change(readable, 1), writable),
                Direction::Writable => (readable, change(writable, 1)),
            };
            row.set(token_word::WAITERS, readable | writable << 32);
        });
    }
}

fn set_waiting_for(row: &Words<'_, { at::COUNT }>, target: Option<WaitFor>) {
    let kind = TaskRow::state_word(TaskState::Idle, None, 0, target) & WAITING_MASK;
    row.set(at::STATE, row.get(at::STATE) & !WAITING_MASK | kind);
    row.set(at::WAITING_FOR, TaskRow::waiting_word(target));
}

fn is_waiting_for(row: &Words<'_, { at::COUNT }>, target: WaitFor) -> bool {
    let kind = TaskRow::state_word(TaskState::Idle, None, 0, Some(target)) & WAITING_MASK;
    row.get(at::STATE) & WAITING_MASK == kind
        && row.get(at::WAITING_FOR) == TaskRow::waiting_word(Some(target))
}
