//! How a poll is judged. A pure function, so that the rules can be read, and tested, in one place.
//!
//! The first row that applies decides:
//!
//! | the poll | verdict |
//! | --- | --- |
//! | returned ready, or panicked | progress |
//! | was the task's first | progress |
//! | made an operation that completed ([`OperationResult::is_progress`]) | progress |
//! | answers a wake that cannot be judged ([`Cause::is_attributable`]), or none that is known | unattributed |
//! | answers an explicit yield | excused |
//! | answers nothing but self-wakes, and the poll before was not such a one without progress | excused |
//! | did none of this | spurious |
//!
//! [`OperationResult::is_progress`]: nexus_protocol::event::OperationResult::is_progress

use nexus_protocol::event::{Cause, PollResult, Verdict};

/// The sorts of wakes that a poll answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answered(u8);

impl Answered {
    /// No wake.
    pub(super) const NONE: Self = Self(0);
    /// The task fired its own waker.
    pub(super) const SELF: Self = Self(1);
    /// An explicit yield.
    pub(super) const YIELD: Self = Self(2);
    /// A wake that may have carried something the recorder does not see.
    pub(super) const FOREIGN: Self = Self(4);
    /// Any other.
    pub(super) const OURS: Self = Self(8);

    const BITS: u32 = 4;
    const ALL: u8 = (1 << Self::BITS) - 1;

    /// The sort that a wake with this cause belongs to.
    #[inline]
    pub(super) fn of(cause: Cause) -> Self {
        match cause {
            Cause::SelfWake => Self::SELF,
            Cause::Yield => Self::YIELD,
            cause if cause.is_attributable() => Self::OURS,
            _ => Self::FOREIGN,
        }
    }

    /// Both together.
    #[inline]
    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[inline]
    const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// What is known of a poll at its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
    /// What the future returned.
    pub(super) result: PollResult,
    /// Whether it was the task's first poll.
    pub(super) first: bool,
    /// Whether an operation completed in it.
    pub(super) progress: bool,
    /// The wakes it answers.
    pub(super) answered: Answered,
    /// Whether the task's poll before this one answered nothing but self-wakes and made no progress.
    pub(super) after_idle_self_wake: bool,
}

impl Evidence {
    /// The verdict, and whether this poll answered nothing but self-wakes and made no progress: the next one's
    /// `after_idle_self_wake`.
    #[inline(always)]
    pub(super) fn judge(&self) -> (Verdict, bool) {
        let idle = self.answered == Answered::SELF && !self.progress && !self.first;
        if self.result != PollResult::Pending || self.first || self.progress {
            return (Verdict::Progress, idle);
        }
        let after_idle = usize::from(self.after_idle_self_wake) << Answered::BITS;
        (FRUITLESS[usize::from(self.answered.0) | after_idle], idle)
    }
}

/// The verdict on a poll without progress, by the wakes it answers and, in the bit above, whether it comes after an idle
/// self-wake.
const FRUITLESS: [Verdict; 2 << Answered::BITS] = {
    let mut table = [Verdict::Spurious; 2 << Answered::BITS];
    let mut index = 0;
    while index < table.len() {
        table[index] =
            fruitless(Answered(index as u8 & Answered::ALL), index >> Answered::BITS != 0);
        index += 1;
    }
    table
};

const fn fruitless(answered: Answered, after_idle_self_wake: bool) -> Verdict {
    if answered.0 == Answered::NONE.0 || answered.has(Answered::FOREIGN) {
        Verdict::Unattributed
    } else if answered.has(Answered::YIELD)
        || answered.0 == Answered::SELF.0 && !after_idle_self_wake
    {
        Verdict::Excused
    } else {
        Verdict::Spurious
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_protocol::{Direction, Stamp, TaskId, TimerId, TokenId};

    /// A pending poll, not the first, without progress.
    fn fruitless(answered: Answered) -> Evidence {
        Evidence {
            result: PollResult::Pending,
            first: false,
            progress: false,
            answered,
            after_idle_self_wake: false,
        }
    }

    fn verdict(evidence: Evidence) -> Verdict {
        evidence.judge().0
    }

    const EVERY_SORT: [Answered; 5] =
        [Answered::NONE, Answered::SELF, Answered::YIELD, Answered::FOREIGN, Answered::OURS];

    #[test]
    fn the_end_of_a_task_its_first_poll_and_a_completed_operation_are_progress() {
        for answered in EVERY_SORT {
            let poll = fruitless(answered);
            for result in [PollResult::Ready, PollResult::Panicked] {
                assert_eq!(verdict(Evidence { result, ..poll }), Verdict::Progress);
            }
            assert_eq!(verdict(Evidence { first: true, ..poll }), Verdict::Progress);
            assert_eq!(verdict(Evidence { progress: true, ..poll }), Verdict::Progress);
        }
    }

    #[test]
    fn a_foreign_wake_among_others_makes_a_poll_unattributed() {
        for answered in EVERY_SORT {
            let poll = fruitless(answered.with(Answered::FOREIGN));
            assert_eq!(verdict(poll), Verdict::Unattributed);
        }
        assert_eq!(verdict(fruitless(Answered::NONE)), Verdict::Unattributed);
    }

    #[test]
    fn a_yield_excuses_whatever_else_of_ours_came() {
        for answered in [Answered::NONE, Answered::SELF, Answered::OURS] {
            let poll = fruitless(answered.with(Answered::YIELD));
            assert_eq!(verdict(poll), Verdict::Excused);
        }
    }

    #[test]
    fn only_the_first_self_wake_in_a_row_is_excused() {
        let first = fruitless(Answered::SELF);
        assert_eq!(first.judge(), (Verdict::Excused, true));
        let second = Evidence { after_idle_self_wake: true, ..first };
        assert_eq!(second.judge(), (Verdict::Spurious, true), "a third one is spurious too");
        let fruitful = Evidence { progress: true, ..second };
        assert_eq!(fruitful.judge(), (Verdict::Progress, false), "progress starts a new row");
        let mixed = fruitless(Answered::SELF.with(Answered::OURS));
        assert_eq!(mixed.judge(), (Verdict::Spurious, false));
    }

    #[test]
    fn a_fruitless_poll_for_a_wake_of_ours_is_spurious() {
        assert_eq!(verdict(fruitless(Answered::OURS)), Verdict::Spurious);
    }

    #[test]
    fn causes_fall_into_sorts() {
        let (task, token) = (TaskId(1), TokenId { slot: 0, generation: 1 });
        let ours = [
            Cause::Io { token, direction: Direction::Readable, event: None },
            Cause::Timer { timer: TimerId(1), fired: None },
            Cause::Join { task },
            Cause::Spawn,
            Cause::Shutdown,
        ];
        assert!(ours.into_iter().all(|cause| Answered::of(cause) == Answered::OURS));
        let thread = Cause::Thread { thread: 1, woken: Stamp::NEVER };
        let foreign = [Cause::Task { task }, thread, Cause::Outside];
        assert!(foreign.into_iter().all(|cause| Answered::of(cause) == Answered::FOREIGN));
        assert_eq!(Answered::of(Cause::SelfWake), Answered::SELF);
        assert_eq!(Answered::of(Cause::Yield), Answered::YIELD);
    }
}
