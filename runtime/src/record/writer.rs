//! The runtime thread's state of recording: what it writes to, the last stamp, and what is going on.
//!
//! Everything here is a `Cell`, read and changed by probes on one thread.

use super::board::Board;
use super::clock::Clock;
use super::header::Header;
use super::registry::Recording;
use super::ring::Ring;
use super::strings::{Interner, Strings};
use super::verdict::Evidence;
use nexus_protocol::event::{Cause, Cycle, Record, TurnMode};
use nexus_protocol::ids::{Seq, Stamp};
use nexus_protocol::{Event, TaskId};
use std::cell::{Cell, RefCell};
use std::ops::Range;

/// No row, no record.
pub(super) const NO_ROW: u32 = u32::MAX;
/// See [`NO_ROW`].
pub(super) const NO_SEQ: Seq = Seq::MAX;

/// Least and most ticks between two notes of both clocks, of whatever clock: about 1 ms and 1 s.
const ANCHOR_TICKS: Range<u64> = 1 << 21..1 << 31;

/// The writer of one ring and board.
pub(super) struct Writer {
    ring: Ring,
    board: Board,
    clock: Clock,
    started: Stamp,
    /// Number of the next record.
    next: Cell<Seq>,
    /// The last stamp.
    last: Cell<Stamp>,
    /// If this is the number of the next record, the last stamp is as good as a fresh one: a poll has just ended.
    fresh: Cell<Seq>,
    /// What wakes are attributed to, if that is known better than from the poll under way.
    cause: Cell<Option<Cause>>,
    deferred: Cell<Deferred>,
    pub(super) poll: PollUnderWay,
    pub(super) turn: TurnUnderWay,
    pub(super) strings: Interner,
    /// Rows of ended tasks.
    pub(super) free_rows: RefCell<Vec<u32>>,
    /// Where both clocks are noted now and then, if whoever reads the recording may not have them.
    header: Option<Header>,
    /// In ticks, when they are to be noted next.
    anchor_due: Cell<u64>,
}

/// What is made up for when the next record is written: nothing; or, on the board, what records have said already, which
/// [`Board::put_off`] has told the readers; or the record of the start of the poll under way, which is held (see
/// [`repeats`](super::repeats)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deferred(u8);

impl Deferred {
    pub(super) const NOTHING: Self = Self(0);
    pub(super) const BOARD: Self = Self(1);

    /// The start of a poll that is expected to do what these do.
    #[inline]
    pub(super) fn start(cycle: OwnWake) -> Self {
        Self(cycle.0)
    }

    /// What the poll is expected to do whose start is deferred, if one is.
    #[inline]
    pub(super) fn cycle(self) -> Option<OwnWake> {
        (self.0 > Self::BOARD.0).then_some(OwnWake(self.0))
    }
}

/// A wake that a poll has fired for its own task, and of which more is known than that: nothing, a self-wake or a yield, by
/// the code of its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OwnWake(u8);

impl OwnWake {
    pub(super) const NONE: Self = Self(0);
    pub(super) const SELF: Self = Self(Cause::SelfWake.code());
    pub(super) const YIELD: Self = Self(Cause::Yield.code());

    /// The code of the cause, or zero.
    #[inline]
    pub(super) fn code(self) -> u8 {
        self.0
    }

    /// The cause.
    #[inline]
    pub(super) fn cause(self) -> Cause {
        if self == Self::YIELD { Cause::Yield } else { Cause::SelfWake }
    }

    /// What a poll does that does nothing else.
    pub(super) fn cycle(self) -> Cycle {
        if self == Self::YIELD { Cycle::Yield } else { Cycle::SelfWake }
    }
}

// A held poll is told from a deferred board by the code of the wake.
const _: () = assert!(OwnWake::SELF.0 > Deferred::BOARD.0 && OwnWake::YIELD.0 > Deferred::BOARD.0);

/// The poll under way.
pub(super) struct PollUnderWay {
    /// The task being polled; zero if none is.
    pub(super) task: Cell<u64>,
    /// Its row, or [`NO_ROW`].
    pub(super) row: Cell<u32>,
    /// The record of the poll's start.
    pub(super) seq: Cell<Seq>,
    pub(super) started: Cell<Stamp>,
    pub(super) evidence: Cell<Evidence>,
    /// The token whose wake queued it, packed; zero if none did.
    pub(super) token: Cell<u64>,
    pub(super) operations: Cell<u16>,
    pub(super) progress: Cell<u16>,
    /// The record of the wake that queued it, or [`NO_SEQ`], if it is held.
    pub(super) wake: Cell<Seq>,
    /// The record of the task's own wake, if it was fired while the poll was held, and the probe does not know of it.
    pub(super) held_wake: Cell<Seq>,
    /// How long it had waited since the wake that queued it, in ticks.
    pub(super) waited: Cell<u64>,
    /// With what it has queued itself, as long as that is put off.
    pub(super) own_wake: Cell<OwnWake>,
}

/// The turn under way, or the last one.
pub(super) struct TurnUnderWay {
    pub(super) number: Cell<u64>,
    pub(super) mode: Cell<TurnMode>,
    pub(super) began: Cell<Stamp>,
    /// When the last turn was recorded.
    pub(super) recorded: Cell<Stamp>,
}

impl Writer {
    pub(super) fn new(recording: &Recording, clock: Clock, started: Stamp) -> Self {
        let header = recording.mapped.as_ref().map(|mapped| mapped.header().clone());
        Self {
            ring: recording.ring.clone(),
            board: recording.board.clone(),
            clock,
            started,
            next: Cell::new(0),
            last: Cell::new(started),
            fresh: Cell::new(NO_SEQ),
            cause: Cell::new(None),
            deferred: Cell::new(Deferred::NOTHING),
            poll: PollUnderWay {
                task: Cell::new(0),
                row: Cell::new(NO_ROW),
                seq: Cell::new(NO_SEQ),
                started: Cell::new(started),
                evidence: Cell::new(Evidence::NONE),
                token: Cell::new(0),
                operations: Cell::new(0),
                progress: Cell::new(0),
                wake: Cell::new(NO_SEQ),
                held_wake: Cell::new(NO_SEQ),
                waited: Cell::new(0),
                own_wake: Cell::new(OwnWake::NONE),
            },
            turn: TurnUnderWay {
                number: Cell::new(0),
                mode: Cell::new(TurnMode::Look),
                began: Cell::new(started),
                recorded: Cell::new(started),
            },
            strings: Interner::new(Strings::of_process()),
            free_rows: RefCell::default(),
            anchor_due: Cell::new(header.as_ref().map_or(u64::MAX, |_| started.0)),
            header,
        }
    }

    /// Notes both clocks in the header of a mapped recording, if it is time: about once a second, and more often at
    /// first, so that also a short life is measured. To be called at moments at which 1 µs does not count.
    #[inline]
    pub(super) fn keep_time(&self, now: Stamp) {
        if now.0 >= self.anchor_due.get() {
            self.note_anchor(now);
        }
    }

    #[cold]
    fn note_anchor(&self, now: Stamp) {
        if let Some(header) = &self.header {
            header.set_anchor(self.clock.anchor());
            let age = now.since(self.started);
            self.anchor_due
                .set(now.0.saturating_add(age.clamp(ANCHOR_TICKS.start, ANCHOR_TICKS.end)));
        }
    }

    #[inline]
    pub(super) fn board(&self) -> &Board {
        &self.board
    }

    #[inline]
    fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The stamp of the last record.
    #[inline]
    pub(super) fn last(&self) -> Stamp {
        self.last.get()
    }

    /// Reads the clock. What it says never runs backwards, whatever the processor does.
    #[inline]
    pub(super) fn read_clock(&self) -> Stamp {
        // The last stamp is a time already, and not `Stamp::NEVER`.
        let now = Stamp(self.clock.count()).max(self.last.get());
        self.last.set(now);
        now
    }

    /// The time at the start of a poll: the end of the poll before, if nothing lies between.
    #[inline]
    pub(super) fn read_clock_unless_fresh(&self) -> Stamp {
        if self.fresh.get() == self.next.get() { self.last.get() } else { self.read_clock() }
    }

    /// Says that the stamp of the record just written will do for the next one.
    #[inline]
    pub(super) fn keep_fresh(&self) {
        self.fresh.set(self.next.get());
    }

    /// Records one event with the last stamp. `change` says on the board what the event changes; it is given the number
    /// of the record that follows this one. Returns this record's number.
    #[inline(always)]
    pub(super) fn record(&self, event: impl FnOnce(Seq) -> Event, change: impl FnOnce(Seq)) -> Seq {
        self.record_at(self.last.get(), event, change)
    }

    /// The same with a stamp of its own, which must not be earlier than that of any record, nor later than the last.
    #[inline(always)]
    pub(super) fn record_at(
        &self,
        at: Stamp,
        event: impl FnOnce(Seq) -> Event,
        change: impl FnOnce(Seq),
    ) -> Seq {
        if let Some(cycle) = self.deferred.get().cycle() {
            self.start_held(cycle);
        }
        self.record_deferring(at, event, |seq| {
            if self.deferred.get() == Deferred::BOARD {
                self.settle(seq);
            }
            change(seq + 1);
        })
    }

    /// What is made up for with the next record.
    #[inline]
    pub(super) fn deferred(&self) -> Deferred {
        self.deferred.get()
    }

    /// Sets what is made up for with the next record.
    #[inline]
    pub(super) fn defer(&self, what: Deferred) {
        self.deferred.set(what);
    }

    /// Says that the board stands at record `seq` until further notice.
    #[inline]
    pub(super) fn put_off(&self, seq: Seq) {
        self.deferred.set(Deferred::BOARD);
        self.board().put_off(seq);
    }

    /// Says that the board is up to date from now on. To be called before it is brought up to date.
    #[inline]
    pub(super) fn put_off_nothing(&self) {
        self.deferred.set(Deferred::NOTHING);
        self.board().put_off_nothing();
    }

    /// Records one event without making up for anything. `change` is given the record's number.
    #[inline(always)]
    pub(super) fn record_deferring(
        &self,
        at: Stamp,
        event: impl FnOnce(Seq) -> Event,
        change: impl FnOnce(Seq),
    ) -> Seq {
        let seq = self.next.get();
        let ring = self.ring();
        ring.reserve(seq);
        change(seq);
        let record = Record { seq, at, event: event(seq) };
        ring.write(seq, record.to_words());
        ring.commit(seq);
        self.next.set(seq + 1);
        seq
    }

    /// The task being polled.
    #[inline]
    pub(super) fn polled_task(&self) -> Option<TaskId> {
        TaskId::from_word(self.poll.task.get())
    }

    /// The record of the start of the poll under way, which is written if it was not yet.
    #[inline]
    pub(super) fn poll_seq(&self) -> Option<Seq> {
        if let Some(cycle) = self.deferred.get().cycle() {
            self.start_held(cycle);
        }
        (self.poll.task.get() != 0).then(|| self.poll.seq.get())
    }

    /// The cause of a wake that is fired now, if it was announced.
    #[inline]
    pub(super) fn announced_cause(&self) -> Option<Cause> {
        self.cause.get()
    }

    #[inline]
    pub(super) fn with_cause<R>(&self, cause: Cause, body: impl FnOnce() -> R) -> R {
        /// Restores the cause also if `body` panics.
        struct Restore<'a>(&'a Cell<Option<Cause>>, Option<Cause>);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                self.0.set(self.1);
            }
        }
        let _restore = Restore(&self.cause, self.cause.replace(Some(cause)));
        body()
    }
}
