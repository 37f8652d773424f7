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

/// What is known of a poll, packed as an index of [`JUDGEMENTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Evidence(u8);

/// A verdict, and whether the poll answered nothing but self-wakes and made no progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    /// The verdict.
    pub(super) verdict: Verdict,
    /// Goes into the evidence on the task's next poll.
    pub(super) idle_self_wake: bool,
}

impl Evidence {
    const AFTER_IDLE_SELF_WAKE: u8 = 1 << Answered::BITS;
    const FIRST: u8 = 2 << Answered::BITS;
    const PROGRESS: u8 = 4 << Answered::BITS;
    const COUNT: usize = 8 << Answered::BITS;

    /// No evidence.
    pub(super) const NONE: Self = Self(0);

    /// What is known when the poll begins: the wakes it answers, whether it is the task's first, and whether the poll
    /// before was an idle self-wake.
    #[inline]
    pub(super) fn new(answered: Answered, first: bool, after_idle_self_wake: bool) -> Self {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let before = flag(after_idle_self_wake, Self::AFTER_IDLE_SELF_WAKE);
        Self(answered.0 | flag(first, Self::FIRST) | before)
    }

    /// The same, if the poll answers such a wake too.
    #[inline]
    pub(super) fn with(self, answered: Answered) -> Self {
        Self(self.0 | answered.0)
    }

    /// The judgement on a poll that has returned, with or without an operation that completed in it.
    #[inline]
    pub(super) fn judge(self, result: PollResult, progress: bool) -> Judgement {
        let progress = progress || result != PollResult::Pending;
        let index = self.0 | if progress { Self::PROGRESS } else { 0 };
        JUDGEMENTS[usize::from(index) % Self::COUNT]
    }
}

/// The judgement on each sort of poll.
static JUDGEMENTS: [Judgement; Evidence::COUNT] = {
    let nothing = Judgement { verdict: Verdict::Spurious, idle_self_wake: false };
    let mut table = [nothing; Evidence::COUNT];
    let mut index = 0;
    while index < table.len() {
        table[index] = judge(index as u8);
        index += 1;
    }
    table
};

const fn judge(evidence: u8) -> Judgement {
    let answered = Answered(evidence & Answered::ALL);
    let only_self = answered.0 == Answered::SELF.0;
    let verdict = if evidence & (Evidence::FIRST | Evidence::PROGRESS) != 0 {
        Verdict::Progress
    } else if answered.0 == Answered::NONE.0 || answered.has(Answered::FOREIGN) {
        Verdict::Unattributed
    } else if answered.has(Answered::YIELD)
        || only_self && evidence & Evidence::AFTER_IDLE_SELF_WAKE == 0
    {
        Verdict::Excused
    } else {
        Verdict::Spurious
    };
    let fruitless = evidence & (Evidence::FIRST | Evidence::PROGRESS) == 0;
    Judgement { verdict, idle_self_wake: only_self && fruitless }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_protocol::event::WokenBy;
    use nexus_protocol::{Direction, PrimitiveId, Stamp, TaskId, TimerId, TokenId};

    /// The judgement on a poll that is not the task's first and makes no progress.
    fn fruitless(answered: Answered) -> Judgement {
        Evidence::new(answered, false, false).judge(PollResult::Pending, false)
    }

    const EVERY_SORT: [Answered; 5] =
        [Answered::NONE, Answered::SELF, Answered::YIELD, Answered::FOREIGN, Answered::OURS];

    #[test]
    fn the_end_of_a_task_its_first_poll_and_a_completed_operation_are_progress() {
        for answered in EVERY_SORT {
            let later = Evidence::new(answered, false, false);
            let first = Evidence::new(answered, true, false);
            let judgements = [
                later.judge(PollResult::Ready, false),
                later.judge(PollResult::Panicked, false),
                later.judge(PollResult::Pending, true),
                first.judge(PollResult::Pending, false),
            ];
            for judgement in judgements {
                assert_eq!(judgement.verdict, Verdict::Progress);
                assert!(!judgement.idle_self_wake);
            }
        }
    }

    #[test]
    fn a_foreign_wake_among_others_makes_a_poll_unattributed() {
        for answered in EVERY_SORT {
            let judgement = fruitless(answered.with(Answered::FOREIGN));
            assert_eq!(judgement.verdict, Verdict::Unattributed);
        }
        assert_eq!(fruitless(Answered::NONE).verdict, Verdict::Unattributed);
    }

    #[test]
    fn a_yield_excuses_whatever_else_of_ours_came() {
        for answered in [Answered::NONE, Answered::SELF, Answered::OURS] {
            assert_eq!(fruitless(answered.with(Answered::YIELD)).verdict, Verdict::Excused);
        }
    }

    #[test]
    fn only_the_first_self_wake_in_a_row_is_excused() {
        let first = fruitless(Answered::SELF);
        assert_eq!(first, Judgement { verdict: Verdict::Excused, idle_self_wake: true });
        let after = |answered| Evidence::new(answered, false, first.idle_self_wake);
        let second = after(Answered::SELF).judge(PollResult::Pending, false);
        assert_eq!(second.verdict, Verdict::Spurious);
        assert!(second.idle_self_wake, "a third one is spurious too");
        let fruitful = after(Answered::SELF).judge(PollResult::Pending, true);
        assert!(!fruitful.idle_self_wake, "progress starts a new row");
        let mixed = after(Answered::SELF.with(Answered::OURS)).judge(PollResult::Pending, false);
        assert_eq!(mixed, Judgement { verdict: Verdict::Spurious, idle_self_wake: false });
    }

    #[test]
    fn a_fruitless_poll_for_a_wake_of_ours_is_spurious() {
        assert_eq!(fruitless(Answered::OURS).verdict, Verdict::Spurious);
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
            Cause::Primitive {
                primitive: PrimitiveId(1),
                by: WokenBy::Thread { thread: 1, woken: Stamp::NEVER },
            },
        ];
        assert!(ours.into_iter().all(|cause| Answered::of(cause) == Answered::OURS));
        let thread = Cause::Thread { thread: 1, woken: Stamp::NEVER };
        let foreign = [Cause::Task { task }, thread, Cause::Outside];
        assert!(foreign.into_iter().all(|cause| Answered::of(cause) == Answered::FOREIGN));
        assert_eq!(Answered::of(Cause::SelfWake), Answered::SELF);
        assert_eq!(Answered::of(Cause::Yield), Answered::YIELD);
    }
}
