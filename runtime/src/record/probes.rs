//! The probes of the loop: turns, the run queue, timers, and what the thread is doing.

use super::Recorder;
use super::repeats::WINDOW;
use nexus_protocol::Event;
use nexus_protocol::board::{Activity, total_word};
use nexus_protocol::event::{TimerAction, TurnMode};
use nexus_protocol::ids::{Seq, TimerId};

impl Recorder {
    /// `block_on` begins on this thread.
    pub(crate) fn enter(&self) {
        if let Some(live) = self.live() {
            live.board().set_activity(Activity::Turning, live.read_clock());
        }
    }

    /// `block_on` ends.
    pub(crate) fn leave(&self) {
        if let Some(live) = self.live() {
            live.board().set_activity(Activity::Outside, live.read_clock());
        }
    }

    /// The loop is about to ask the kernel for events.
    #[inline]
    pub(crate) fn turn_begin(&self, mode: TurnMode) {
        let Some(live) = self.live() else { return };
        live.turn.mode.set(mode);
        match mode {
            TurnMode::Look => live.turn.began.set(live.last()),
            TurnMode::Spin => live.turn.began.set(live.read_clock()),
            TurnMode::Park => {
                let now = live.read_clock();
                live.turn.began.set(now);
                live.board().set_activity(Activity::Parked, now);
            }
        }
    }

    /// The kernel has answered with `events` events for tokens. Records the turn.
    ///
    /// With work to do, the loop looks at the kernel tens of thousands of times a second, in vain most of the time. Such a
    /// turn is only counted: the number of the next one that is recorded tells of it. `idle` says that the kernel had
    /// nothing to say but that timers are due.
    #[inline]
    pub(crate) fn turn_end(&self, events: u32, idle: bool) {
        let Some(live) = self.live() else { return };
        let (now, began, mode) = (live.read_clock(), live.turn.began.get(), live.turn.mode.get());
        let number = live.turn.number.get() + 1;
        live.turn.number.set(number);
        let board = live.board();
        if idle && mode == TurnMode::Look && now.since(live.turn.recorded.get()) < WINDOW {
            board.set_activity(Activity::Turning, now);
            return live.keep_fresh();
        }
        live.turn.recorded.set(now);
        live.record(
            |_| Event::Turn { number, events, mode, parked: began },
            |_| {
                board.set_total(total_word::TURNS, number);
                if mode == TurnMode::Park {
                    board.add(total_word::PARKED, now.since(began));
                }
                board.set_activity(Activity::Turning, now);
            },
        );
        live.keep_time(now);
    }

    /// The run queue has this many tasks.
    #[inline]
    pub(crate) fn queued(&self, tasks: usize) {
        let Some(live) = self.live() else { return };
        live.board().set_total(total_word::QUEUED, tasks as u64);
    }

    /// A timer changed. Returns the record's number for the wake it causes.
    #[inline]
    pub(crate) fn timer(
        &self,
        timer: TimerId,
        action: TimerAction,
        deadline_ns: u64,
    ) -> Option<Seq> {
        let live = self.live()?;
        let poll = if action == TimerAction::Fired { None } else { live.poll_seq() };
        let board = live.board();
        Some(live.record(
            |_| Event::Timer { timer, action, deadline_ns, poll },
            |_| match action {
                TimerAction::Armed => board.add(total_word::TIMERS, 1),
                TimerAction::Reset => {}
                TimerAction::Cancelled => board.subtract(total_word::TIMERS, 1),
                TimerAction::Fired => {
                    board.subtract(total_word::TIMERS, 1);
                    board.add(total_word::TIMERS_FIRED, 1);
                }
            },
        ))
    }
}
