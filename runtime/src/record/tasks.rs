//! The probes of the executor: tasks and their waits. Wakes and polls are in [`polls`](super::polls).

use super::Recorder;
use super::row::Words;
use super::verdict::Answered;
use super::writer::{NO_ROW, NO_SEQ, OwnWake, Writer};
use nexus_protocol::board::{TaskRow, TaskState, task_word as at, token_word, total_word};
use nexus_protocol::event::{TaskOutcome, WaitFor, WaitOutcome};
use nexus_protocol::ids::{Seq, Stamp, TaskId};
use nexus_protocol::{Direction, Event};
use std::cell::Cell;
use std::panic::Location;

/// The recorder's part in a task's allocation, touched by the runtime thread only.
pub(crate) struct TaskProbe {
    #[cfg(feature = "recorder")]
    account: Account,
}

impl TaskProbe {
    /// What is kept of the task. For code that runs only if recording is on.
    #[inline(always)]
    #[cfg_attr(
        not(feature = "recorder"),
        allow(clippy::unused_self, reason = "as with the feature")
    )]
    pub(super) fn account(&self) -> &Account {
        #[cfg(feature = "recorder")]
        return &self.account;
        #[cfg(not(feature = "recorder"))]
        unreachable!("nothing is recorded without the feature `recorder`")
    }
}

/// What the recorder keeps of a task.
pub(super) struct Account {
    pub(super) task: TaskId,
    /// Its row; [`NO_ROW`] if it has none, and when it has ended.
    pub(super) row: Cell<u32>,
    pub(super) polls: Cell<u64>,
    /// Wakes since the last poll began.
    pub(super) pending: Cell<Answered>,
    /// Whether one of them put it into the run queue.
    pub(super) queued: Cell<bool>,
    /// The last poll answered nothing but self-wakes and made no progress.
    pub(super) idle_self_wake: Cell<bool>,
    /// What its polls do again and again, if that is only counted: see [`repeats`](super::repeats).
    pub(super) cycle: Cell<OwnWake>,
    /// The wake that queued it: record, stamp, and token if one was the cause (packed; zero if not).
    pub(super) wake: Cell<Seq>,
    pub(super) woken: Cell<Stamp>,
    pub(super) token: Cell<u64>,
}

/// Which task a wait belongs to; kept by the waiter until the wait ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitProbe {
    #[cfg(feature = "recorder")]
    waiter: Waiter,
}

/// The task that waits, and its row.
#[derive(Clone, Copy, Debug)]
struct Waiter {
    task: Option<TaskId>,
    row: u32,
}

impl WaitProbe {
    /// A wait of which nothing is known.
    pub(crate) const UNKNOWN: Self = Self::of(Waiter { task: None, row: NO_ROW });

    #[inline]
    const fn of(waiter: Waiter) -> Self {
        #[cfg(not(feature = "recorder"))]
        let _ = waiter;
        Self {
            #[cfg(feature = "recorder")]
            waiter,
        }
    }

    /// For code that runs only if recording is on.
    #[inline]
    #[cfg_attr(
        not(feature = "recorder"),
        allow(clippy::unused_self, reason = "as with the feature")
    )]
    fn waiter(self) -> Waiter {
        #[cfg(feature = "recorder")]
        return self.waiter;
        #[cfg(not(feature = "recorder"))]
        unreachable!("nothing is recorded without the feature `recorder`")
    }
}

impl Account {
    #[inline(always)]
    fn new(task: TaskId, row: u32) -> Self {
        Self {
            task,
            row: Cell::new(row),
            polls: Cell::new(0),
            pending: Cell::new(Answered::NONE),
            queued: Cell::new(false),
            idle_self_wake: Cell::new(false),
            cycle: Cell::new(OwnWake::NONE),
            wake: Cell::new(NO_SEQ),
            woken: Cell::new(Stamp::NEVER),
            token: Cell::new(0),
        }
    }

    /// Notes the wake that has queued the task.
    #[inline]
    pub(super) fn answer(&self, sort: Answered, wake: Seq, woken: Stamp, token: u64) {
        self.pending.set(self.pending.get().with(sort));
        self.queued.set(true);
        self.wake.set(wake);
        self.woken.set(woken);
        self.token.set(token);
    }
}

/// State word of a task's row: the state in bits 0–7, the cause of its last wake in bits 16–23.
pub(super) const STATE_MASK: u64 = 0xFF;
pub(super) const CAUSE_SHIFT: u32 = 16;
/// Kind and direction of what it waits for, in bits 24–39.
const WAITING_MASK: u64 = 0xFFFF << 24;

#[inline]
pub(super) fn set_state(row: &Words<'_, { at::COUNT }>, state: TaskState, since: Stamp) {
    row.set(at::STATE, row.get(at::STATE) & !STATE_MASK | state as u64);
    row.set(at::SINCE, since.0);
}

impl Writer {
    /// Changes a task's row, if it has one, with the record before `next`.
    #[inline]
    pub(super) fn change_task(
        &self,
        row: u32,
        next: Seq,
        change: impl FnOnce(&Words<'_, { at::COUNT }>),
    ) {
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
        wait: Waiter,
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
}

impl Writer {
    /// A task was spawned. Its row, or [`NO_ROW`].
    fn task_spawned(
        &self,
        task: TaskId,
        location: &'static Location<'static>,
        name: Option<&str>,
    ) -> u32 {
        let location = self.strings.location(location);
        let name = self.strings.name(name);
        let (row, poll, now) = (self.take_row(), self.poll_seq(), self.read_clock());
        self.record(
            |_| Event::TaskSpawned { task, location, name, poll },
            |next| {
                self.board().add(total_word::TASKS_SPAWNED, 1);
                if row == NO_ROW {
                    self.board().add(total_word::TASKS_WITHOUT_ROW, 1);
                }
                self.change_task(row, next, |row| {
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
        row
    }
}

impl Recorder {
    /// A task was spawned. Its first wake follows as a probe of its own.
    #[inline(always)]
    pub(crate) fn task_spawned(
        &self,
        task: TaskId,
        location: &'static Location<'static>,
        name: Option<&str>,
    ) -> TaskProbe {
        let row = self.live().map(|live| live.task_spawned(task, location, name));
        #[cfg(not(feature = "recorder"))]
        let _ = (task, row);
        TaskProbe {
            #[cfg(feature = "recorder")]
            account: Account::new(task, row.unwrap_or(NO_ROW)),
        }
    }

    /// A task ended. Its row is folded away.
    pub(crate) fn task_finished(&self, probe: &TaskProbe, outcome: TaskOutcome) {
        let Some(live) = self.live() else { return };
        let probe = probe.account();
        live.end_repeats(probe);
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

    /// The task being polled goes to sleep on `target`.
    pub(crate) fn wait_begin(&self, target: WaitFor) -> WaitProbe {
        let Some(live) = self.live() else { return WaitProbe::UNKNOWN };
        let task = live.polled_task();
        let wait = Waiter { task, row: task.map_or(NO_ROW, |_| live.poll.row.get()) };
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
        WaitProbe::of(wait)
    }

    /// A wait is over.
    pub(crate) fn wait_end(&self, wait: WaitProbe, target: WaitFor, outcome: WaitOutcome) {
        let Some(live) = self.live() else { return };
        let wait = wait.waiter();
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
