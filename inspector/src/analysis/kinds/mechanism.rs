//! What a poll made of each wake that it answers: which mechanism, if any, made the wake useless.
//!
//! Judged by (poll, wake), also where another wake made progress. What cannot be known is not judged: a poll that used
//! its token behind the recorder's back, one that had its share and yielded, an end of stream or an error, which wakes
//! both directions whatever was waited for.

use crate::analysis::wakes::{Poll, Wake};
use crate::analysis::world::side;
use nexus_protocol::event::{Cause, Subject, WokenBy};
use nexus_protocol::{Direction, PrimitiveId, TaskId, TimerId, TokenId};

/// Why a wake was useless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    /// The direction was tried, and blocked.
    FalseReadiness(TokenId, Direction),
    /// Only the other direction was used.
    WrongDirection(TokenId, Direction),
    /// The token was not tried.
    UntouchedToken(TokenId, Direction),
    /// The timer was not tried.
    UntouchedTimer(TimerId),
    /// The primitive was tried, and nothing was there.
    EmptyWake(PrimitiveId, Option<TaskId>),
}

/// Judges what a poll made of a wake. `None` if it was of use, or cannot be judged.
pub(super) fn judge(poll: &Poll, wake: &Wake) -> Option<Mechanism> {
    match wake.cause {
        Cause::Io { token, direction, .. } => judge_token(poll, wake, token, direction),
        Cause::Timer { timer, .. } => {
            let untouched = poll.touched(Subject::Timer(timer)).is_none();
            (untouched && left_alone(poll, wake)).then_some(Mechanism::UntouchedTimer(timer))
        }
        Cause::Primitive { primitive, by } => {
            let touch = poll.touched(Subject::Primitive(primitive))?;
            let by = if let WokenBy::Task(task) = by { Some(task) } else { None };
            let empty = touch.done == [false; 2] && wake.queued && poll.fruitless();
            (empty && !poll.yielded).then_some(Mechanism::EmptyWake(primitive, by))
        }
        _ => None,
    }
}

fn judge_token(
    poll: &Poll,
    wake: &Wake,
    token: TokenId,
    direction: Direction,
) -> Option<Mechanism> {
    if wake.closing {
        return None;
    }
    let Some(touch) = poll.touched(Subject::Token(token)) else {
        let used = poll.consumed.contains(&token);
        return (!used && left_alone(poll, wake))
            .then_some(Mechanism::UntouchedToken(token, direction));
    };
    if touch.done[side(direction)] {
        None
    } else if touch.tried[side(direction)] {
        (!poll.yielded).then_some(Mechanism::FalseReadiness(token, direction))
    } else {
        let other_came = poll.answers.wakes.iter().any(|other| {
            matches!(other.cause, Cause::Io { token: on, direction: in_, .. }
                if on == token && in_ != direction)
        });
        (!other_came).then_some(Mechanism::WrongDirection(token, direction))
    }
}

/// Whether the wake brought about a poll that did nothing, without having yielded.
fn left_alone(poll: &Poll, wake: &Wake) -> bool {
    wake.queued && poll.fruitless() && !poll.yielded
}
