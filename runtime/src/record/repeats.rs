//! Polls that do the same again and again, and are counted instead of recorded.
//!
//! A task that wakes itself at full speed would write three records a poll, and within milliseconds nothing else would
//! be left in the ring. So from the second such poll in a row on, a poll that queues its task in the same way, makes no
//! operation, leaves no other record and returns pending is only counted, beside the task's row. One record,
//! [`Event::Repeats`], tells of them all: when the task does anything else, when anything else happens to it, and at the
//! latest [`WINDOW`] after it began to repeat itself, if it is polled again.
//!
//! ```text
//! PollStart Wake PollEnd | (counted) (counted) (counted) … | Repeats PollStart …
//!                     first                                at
//! ```
//!
//! What repeats are still only counted is missing in the ring and on the board alike, so that the two agree at any time.
//!
//! A poll of such a task is *held*: nothing is known yet of what it will do, and its start is recorded only if it does
//! anything that is not counted. Meanwhile the board's activity tells that the task is being polled, and since when.

use super::row::{Row, Side, Words};
use super::tasks::{Account, CAUSE_SHIFT, STATE_MASK};
use super::verdict::{Answered, Evidence};
use super::writer::{Deferred, NO_SEQ, OwnWake, Writer};
use nexus_protocol::board::{TaskState, task_word as at, total_word};
use nexus_protocol::event::{Cycle, Verdict, WakeOutcome};
use nexus_protocol::ids::{Seq, Stamp, TaskId};
use nexus_protocol::{Event, record};

/// After so many ticks, what was counted is recorded: some milliseconds, at any usual rate of the clock.
pub(super) const WINDOW: u64 = 1 << 24;

/// A poll of so many ticks or more is recorded by itself: a third of a millisecond at 3 GHz.
const LONG: u64 = 1 << 20;

const COUNT_SHIFT: u32 = 32;

const _: () = assert!(WINDOW - 1 <= record::SHORT_MAX, "the record has room for what is counted");

/// What is counted of a task, beside its row. Since nothing else changes the row meanwhile, it knows the rest: when the
/// poll ended that was recorded last, or when what was counted was told last ([`at::SINCE`]).
struct Counted<'row>(&'row Side);

/// The same, taken out.
struct Total {
    count: u32,
    busy: u64,
    shortest: u64,
    longest: u64,
}

impl Counted<'_> {
    const WOKEN: usize = 0;
    const SUMS: usize = 1;
    const ENDS: usize = 2;
    /// No shortest one yet, and no longest one.
    const NO_ENDS: u64 = u32::MAX as u64;

    /// Nothing is counted yet. `woken` is when the wake was fired that the first poll will answer.
    #[inline]
    fn begin(&self, woken: Stamp) {
        self.0.set(Self::WOKEN, woken.0);
        self.0.set(Self::SUMS, 0);
        self.0.set(Self::ENDS, Self::NO_ENDS);
    }

    /// When the wake was fired that the first poll has answered, or will.
    #[inline]
    fn woken(&self) -> Stamp {
        Stamp(self.0.get(Self::WOKEN))
    }

    /// Counts a poll that took less than [`LONG`].
    #[inline]
    fn add(&self, took: u64) {
        self.0.set(Self::SUMS, self.0.get(Self::SUMS) + (1 << COUNT_SHIFT | took));
        let ends = self.0.get(Self::ENDS);
        let (shortest, longest) = (ends & Self::NO_ENDS, ends >> COUNT_SHIFT);
        if took < shortest || took > longest {
            self.0.set(Self::ENDS, took.min(shortest) | took.max(longest) << COUNT_SHIFT);
        }
    }

    /// What was counted, if that is anything.
    fn total(&self) -> Option<Total> {
        let (sums, ends) = (self.0.get(Self::SUMS), self.0.get(Self::ENDS));
        let count = (sums >> COUNT_SHIFT) as u32;
        (count > 0).then_some(Total {
            count,
            busy: sums & Self::NO_ENDS,
            shortest: ends & Self::NO_ENDS,
            longest: ends >> COUNT_SHIFT,
        })
    }
}

impl Writer {
    /// Counts the poll under way, which is held and ends now with pending, if it may be counted.
    #[inline]
    pub(super) fn count(&self, probe: &Account, cycle: OwnWake, now: Stamp) -> bool {
        let started = self.poll.started.get();
        // Stamps don't run backwards.
        let took = now.0.wrapping_sub(started.0);
        if self.poll.own_wake.get() != cycle || took >= LONG {
            return false;
        }
        let Some(row) = self.board().tasks.row(probe.row.get() as usize) else { return false };
        let counted = Counted(row.side());
        if now.0.wrapping_sub(counted.woken().0) >= WINDOW {
            // This poll is counted with the next ones. If its start was still to be recorded, it would be told twice.
            self.defer(Deferred::NOTHING);
            self.tell(row, probe.task, cycle.cycle(), started);
        }
        counted.add(took);
        probe.queued.set(true);
        true
    }

    /// Decides whether polls like the one that has just ended, and was recorded, are counted from now on. `woken` is when it
    /// fired its own wake.
    #[inline]
    pub(super) fn expect_repeats(&self, probe: &Account, own_wake: OwnWake, woken: Stamp) {
        // The first self-wake in a row is judged in another way than the next ones.
        if own_wake == OwnWake::SELF && !probe.idle_self_wake.get() {
            return;
        }
        if let Some(row) = self.board().tasks.row(probe.row.get() as usize) {
            probe.cycle.set(own_wake);
            Counted(row.side()).begin(woken);
        }
    }

    /// Something is about to happen to a task: tells what was counted of it, and counts no more.
    #[inline]
    pub(super) fn end_repeats(&self, probe: &Account) {
        if probe.cycle.get() != OwnWake::NONE {
            self.end_repeats_of(probe);
        }
    }

    #[inline(never)]
    fn end_repeats_of(&self, probe: &Account) {
        let held = self.deferred().cycle().filter(|_| self.poll.task.get() == probe.task.0);
        if let Some(cycle) = held {
            return self.start_held(cycle);
        }
        let cycle = probe.cycle.replace(OwnWake::NONE).cycle();
        let Some(row) = self.board().tasks.row(probe.row.get() as usize) else { return };
        let at = self.last();
        if let Some(seq) = self.tell(row, probe.task, cycle, at) {
            probe.answer(Answered::of(cycle.cause()), seq, at, 0);
        }
    }

    /// Records what was counted of a task, as of `at`, and begins anew.
    fn tell(&self, row: &Row<{ at::COUNT }>, task: TaskId, cycle: Cycle, at: Stamp) -> Option<Seq> {
        let counted = Counted(row.side());
        let Total { count, busy, shortest, longest } = counted.total()?;
        let first = Stamp(row.own(at::SINCE).max(at.0.saturating_sub(record::AGE_MAX)));
        counted.begin(at);
        let event = Event::Repeats { task, cycle, count, first, busy, shortest, longest };
        let times = u64::from(count);
        let spurious = cycle.verdict() == Verdict::Spurious;
        let change = |words: &Words<'_, { at::COUNT }>| {
            words.add(at::POLLS, times);
            words.add(at::WAKES, times);
            words.add(at::BUSY, busy);
            words.add(at::WAITED, at.since(first).saturating_sub(busy));
            if longest > words.get(at::LONGEST) {
                words.set(at::LONGEST, longest);
            }
            if cycle == Cycle::SelfWake {
                words.add(at::SELF_WAKES, times);
            }
            if spurious {
                words.add(at::SPURIOUS, times);
                words.add(at::WASTED, busy);
            }
            let kept = words.get(at::STATE) & !(STATE_MASK | 0xFF << CAUSE_SHIFT);
            let cause = u64::from(cycle.cause().code()) << CAUSE_SHIFT;
            words.set(at::STATE, kept | TaskState::Queued as u64 | cause);
            words.set(at::SINCE, at.0);
        };
        let seq = self.record_at(
            at,
            |_| event,
            |next| {
                let board = self.board();
                board.add(total_word::POLLS, times);
                board.add(total_word::WAKES, times);
                board.add(total_word::BUSY, busy);
                if spurious {
                    board.add(total_word::SPURIOUS, times);
                    board.add(total_word::WASTED, busy);
                }
                row.change(|words| {
                    words.set(at::NEXT_SEQ, next);
                    change(&words);
                });
            },
        );
        Some(seq)
    }

    /// The poll under way, which is held, does something: tells what was counted of the task before, and records the
    /// poll's start and the task's own wake, with the stamp that they would have had.
    #[inline(never)]
    pub(super) fn start_held(&self, cycle: OwnWake) {
        let poll = &self.poll;
        let (task, started) = (TaskId(poll.task.get()), poll.started.get());
        self.defer(Deferred::NOTHING);
        let Some(row) = self.board().tasks.row(poll.row.get() as usize) else { return };
        let (wake, waited) = match self.tell(row, task, cycle.cycle(), started) {
            Some(repeats) => (repeats, 0),
            None => (poll.wake.get(), started.since(Counted(row.side()).woken())),
        };
        let (number, wake) = (row.own(at::POLLS) + 1, Some(wake));
        let answered = Answered::of(cycle.cause());
        poll.evidence.set(Evidence::new(answered, false, cycle == OwnWake::SELF));
        poll.waited.set(waited);
        poll.token.set(0);
        poll.operations.set(0);
        poll.progress.set(0);
        let start = |_| Event::PollStart { task, number, wake };
        poll.seq.set(self.record_deferring(started, start, |seq| self.put_off(seq)));
        let own_wake = poll.own_wake.get();
        if own_wake != OwnWake::NONE {
            let (cause, outcome) = (own_wake.cause(), WakeOutcome::Queued);
            let wake = |_| Event::Wake { task, cause, outcome };
            poll.held_wake.set(self.record_deferring(started, wake, |_| {}));
        }
    }

    /// Notes in a task's account the wake that its poll has fired while it was held, and that was recorded later.
    #[inline]
    pub(super) fn note_held_wake(&self, probe: &Account) {
        let wake = self.poll.held_wake.replace(NO_SEQ);
        if wake != NO_SEQ {
            let sort = Answered::of(self.poll.own_wake.get().cause());
            probe.answer(sort, wake, self.poll.started.get(), 0);
        }
    }
}
