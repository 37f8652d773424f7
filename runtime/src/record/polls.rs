//! The probes of polls and of the wakes that lead to them: what runs some hundred million times a day.
//!
//! # What is put off
//!
//! Most polls do little: they begin, perhaps wake their own task, and end. For these, what the records of the beginning
//! and of the task's own wake change on the board is put off until the end, and made together with what the end changes:
//! one change of the task's row instead of three. While something is put off, [`Board::put_off`] tells readers since which
//! record, and a copy of the board stands at that record, so that whoever takes the later records into account, from the
//! ring, comes to the same sums. Any other record settles what is put off before it changes anything itself, so that the
//! rows and totals that it finds are up to date.
//!
//! The probes of polls are inlined into the one place that polls, and with recording switched off are a branch each.

use super::row::Words;
use super::tasks::{Account, CAUSE_SHIFT, STATE_MASK, TaskProbe, set_state};
use super::verdict::{Answered, Evidence};
use super::writer::{Deferred, NO_SEQ, OwnWake, Writer};
use super::{Noted, Recorder};
use nexus_protocol::Event;
use nexus_protocol::board::{Activity, TaskState, task_word as at, token_word, total_word};
use nexus_protocol::event::{Cause, PollResult, Verdict, WakeOutcome, WokenBy};
use nexus_protocol::ids::{Seq, Stamp, TaskId, TokenId};

impl Recorder {
    /// A task's waker was fired on the runtime thread.
    #[inline(always)]
    pub(crate) fn wake(&self, probe: &TaskProbe, outcome: WakeOutcome) {
        if let Some(live) = self.live() {
            live.wake(probe.account(), outcome);
        }
    }

    /// A poll begins.
    #[inline(always)]
    pub(crate) fn poll_start(&self, probe: &TaskProbe) {
        if let Some(live) = self.live() {
            live.poll_start(probe.account());
        }
    }

    /// A poll ends.
    #[inline(always)]
    pub(crate) fn poll_end(&self, probe: &TaskProbe, result: PollResult) {
        if let Some(live) = self.live() {
            live.poll_end(probe.account(), result);
        }
    }

    /// A round of polls is over: the loop turns.
    #[inline(always)]
    pub(crate) fn polled(&self) {
        if let Some(live) = self.live() {
            live.board().set_activity(Activity::Turning, live.last());
        }
    }

    /// A task that another thread has woken, perhaps through something of ours, was taken from the inbox.
    pub(crate) fn wake_remote(&self, probe: &TaskProbe, noted: Noted, outcome: WakeOutcome) {
        let Some(live) = self.live() else { return };
        let thread = noted.thread;
        // The counters of two processors may differ by a little; nothing is woken after it was noticed.
        let woken = noted.woken.min(live.read_clock());
        let cause = match noted.through {
            Some(through) => through.cause(WokenBy::Thread { thread, woken }),
            None => Cause::Thread { thread, woken },
        };
        live.record_wake(probe.account(), cause, outcome);
    }

    /// Other threads fired a task's waker `count` more times while it was queued.
    pub(crate) fn redundant_remote(&self, probe: &TaskProbe, count: u32) {
        let Some(live) = self.live() else { return };
        let probe = probe.account();
        live.end_repeats(probe);
        let board = live.board();
        board.add(total_word::REDUNDANT, u64::from(count));
        board.add(total_word::REMOTE, u64::from(count));
        if let Some(row) = board.tasks.row(probe.row.get() as usize) {
            row.change(|words| words.add(at::REDUNDANT, u64::from(count)));
        }
        probe.pending.set(probe.pending.get().with(Answered::FOREIGN));
    }
}

impl Writer {
    #[inline(always)]
    fn wake(&self, probe: &Account, outcome: WakeOutcome) {
        let own = outcome == WakeOutcome::Queued && self.poll.task.get() == probe.task.0;
        let deferred = self.deferred();
        if own && deferred != Deferred::NOTHING && self.poll.own_wake.get() == OwnWake::NONE {
            let own_wake = match self.announced_cause() {
                None => OwnWake::SELF,
                Some(Cause::Yield) => OwnWake::YIELD,
                _ => return self.wake_of_any_sort(probe, outcome),
            };
            if deferred == Deferred::BOARD {
                return self.own_wake(probe, own_wake);
            }
            return self.poll.own_wake.set(own_wake);
        }
        self.wake_of_any_sort(probe, outcome);
    }

    #[inline(never)]
    fn wake_of_any_sort(&self, probe: &Account, outcome: WakeOutcome) {
        let cause = self.cause_of_wake(probe.task);
        self.record_wake(probe, cause, outcome);
    }

    /// The task that is being polled has queued itself, and that is put off. Not inlined, so that a wake that is only
    /// counted needs no registers.
    #[inline(never)]
    fn own_wake(&self, probe: &Account, own_wake: OwnWake) {
        let (task, cause) = (probe.task, own_wake.cause());
        let event = |_| Event::Wake { task, cause, outcome: WakeOutcome::Queued };
        let seq = self.record_deferring(self.last(), event, |_| {});
        self.poll.own_wake.set(own_wake);
        probe.answer(Answered::of(cause), seq, self.last(), 0);
    }

    /// Why a task's waker is fired now, with the stamp for the record. The clock is read unless the wake belongs to
    /// what was recorded last: an event or timer of this turn, a spawn, a task's end, or the task's own doing.
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
            | Cause::Join { .. }
            | Cause::SelfWake
            | Cause::Yield
            | Cause::Spawn => {}
            Cause::Primitive { by: WokenBy::Task(task), .. } if task == woken => {}
            _ => {
                self.read_clock();
            }
        }
        cause
    }

    /// Records a wake with the last stamp.
    #[inline]
    fn record_wake(&self, probe: &Account, cause: Cause, outcome: WakeOutcome) {
        self.end_repeats(probe);
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
                if cause.is_remote() {
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
        let token = if let Cause::Io { token, .. } = cause { token.pack() } else { 0 };
        match outcome {
            WakeOutcome::Queued => probe.answer(Answered::of(cause), seq, now, token),
            WakeOutcome::Redundant => {
                probe.pending.set(probe.pending.get().with(Answered::of(cause)));
            }
            WakeOutcome::Dead => {}
        }
    }

    #[inline(always)]
    fn poll_start(&self, probe: &Account) {
        let now = self.read_clock_unless_fresh();
        let (task, number) = (probe.task, probe.polls.get() + 1);
        let (wake, poll) = (probe.wake.replace(NO_SEQ), &self.poll);
        let answered = probe.pending.replace(Answered::NONE);
        probe.polls.set(number);
        probe.queued.set(false);
        poll.task.set(task.0);
        poll.row.set(probe.row.get());
        poll.started.set(now);
        poll.own_wake.set(OwnWake::NONE);
        let cycle = probe.cycle.get();
        if cycle != OwnWake::NONE {
            poll.wake.set(wake);
            self.board().set_activity(Activity::Polling(task), now);
            return self.defer(Deferred::start(cycle));
        }
        poll.operations.set(0);
        poll.progress.set(0);
        let (wake, waited) = match wake {
            NO_SEQ => (None, 0),
            wake => (Some(wake), now.since(probe.woken.get())),
        };
        poll.waited.set(waited);
        poll.evidence.set(Evidence::new(answered, number == 1, probe.idle_self_wake.get()));
        poll.token.set(probe.token.replace(0));
        let seq = self.record_deferring(
            now,
            |_| Event::PollStart { task, number, wake },
            |seq| {
                self.put_off(seq);
                self.board().set_activity(Activity::Polling(task), now);
            },
        );
        poll.seq.set(seq);
    }

    #[inline(always)]
    fn poll_end(&self, probe: &Account, result: PollResult) {
        let now = self.read_clock();
        if let Some(cycle) = self.deferred().cycle() {
            if result == PollResult::Pending && self.count(probe, cycle, now) {
                self.poll.task.set(0);
                self.defer(Deferred::NOTHING);
                return self.keep_fresh();
            }
            self.start_held(cycle);
        }
        self.note_held_wake(probe);
        let poll = &self.poll;
        let (task, started) = (probe.task, poll.started.get());
        let (operations, progress) = (poll.operations.get(), poll.progress.get());
        let judgement = poll.evidence.get().judge(result, progress != 0);
        let verdict = judgement.verdict;
        probe.idle_self_wake.set(judgement.idle_self_wake);
        let was_put_off = self.deferred() == Deferred::BOARD;
        self.record_deferring(
            now,
            |_| Event::PollEnd { task, started, result, verdict, operations, progress },
            |seq| {
                if was_put_off {
                    self.settle_totals();
                }
                let state = if probe.queued.get() { TaskState::Queued } else { TaskState::Idle };
                let took = now.since(started);
                self.change_task(probe.row.get(), seq + 1, |row| {
                    if was_put_off {
                        self.settle_row(row, state, now);
                    } else {
                        set_state(row, state, now);
                    }
                    row.add(at::BUSY, took);
                    if took > row.get(at::LONGEST) {
                        row.set(at::LONGEST, took);
                    }
                    if verdict == Verdict::Spurious {
                        row.add(at::SPURIOUS, 1);
                        row.add(at::WASTED, took);
                    } else if verdict == Verdict::Unattributed {
                        row.add(at::UNATTRIBUTED, 1);
                    }
                });
                self.charge_poll(verdict, took, seq + 1);
            },
        );
        poll.task.set(0);
        probe.cycle.set(OwnWake::NONE);
        if result == PollResult::Pending {
            self.keep_fresh();
            // With nothing else recorded in it, it made no operation either.
            let own_wake = poll.own_wake.get();
            if own_wake != OwnWake::NONE && was_put_off {
                self.expect_repeats(probe, own_wake, started);
            }
        }
    }

    /// Brings the board up to date with what was put off, before record `seq` changes it.
    #[inline(never)]
    pub(super) fn settle(&self, seq: Seq) {
        self.settle_totals();
        let started = self.poll.started.get();
        self.change_task(self.poll.row.get(), seq, |row| {
            self.settle_row(row, TaskState::Polling, started);
        });
    }

    #[inline(always)]
    fn settle_totals(&self) {
        let board = self.board();
        self.put_off_nothing();
        board.add(total_word::POLLS, 1);
        board.add(total_word::WAKES, u64::from(self.poll.own_wake.get() != OwnWake::NONE));
    }

    #[inline(always)]
    fn settle_row(&self, row: &Words<'_, { at::COUNT }>, state: TaskState, since: Stamp) {
        row.add(at::POLLS, 1);
        row.add(at::WAITED, self.poll.waited.get());
        let own_wake = self.poll.own_wake.get();
        let mut replaced = STATE_MASK;
        if own_wake != OwnWake::NONE {
            replaced |= 0xFF << CAUSE_SHIFT;
            row.add(at::WAKES, 1);
            row.add(at::SELF_WAKES, u64::from(own_wake == OwnWake::SELF));
        }
        let kept = row.get(at::STATE) & !replaced;
        row.set(at::STATE, kept | state as u64 | u64::from(own_wake.code()) << CAUSE_SHIFT);
        row.set(at::SINCE, since.0);
    }

    /// Charges a poll to the totals and to the token whose wake queued it.
    #[inline]
    fn charge_poll(&self, verdict: Verdict, took: u64, next: Seq) {
        let board = self.board();
        board.add(total_word::BUSY, took);
        if verdict == Verdict::Spurious {
            board.add(total_word::SPURIOUS, 1);
            board.add(total_word::WASTED, took);
            let token = self.poll.token.get();
            if token != 0 {
                self.charge_token(TokenId::unpack(token), next);
            }
        } else if verdict == Verdict::Unattributed {
            board.add(total_word::UNATTRIBUTED, 1);
        }
    }

    #[inline(never)]
    fn charge_token(&self, token: TokenId, next: Seq) {
        self.change_token(token, next, |row| row.add(token_word::SPURIOUS, 1));
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
