//! Random doings of a runtime.

use crate::model::testing::Tape;
use nexus_protocol::event::{
    Cause, Operation, OperationResult, PollResult, SourceKind, TaskOutcome, WaitFor, WaitOutcome,
};
use nexus_protocol::{Direction, Interest, Readiness, StringId, TaskId, TokenId};
use proptest::prelude::*;

/// Something a runtime does: which kind of thing, to whom, and how.
pub(super) type Step = (u8, u8, u8);

pub(super) fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 0..most)
}

/// Does all the steps. A step that is not possible is left out.
pub(super) fn play(tape: &mut Tape, steps: &[Step]) {
    for &(kind, who, how) in steps {
        tape.pass(u64::from(how) * 1_000);
        play_one(tape, kind, usize::from(who), how);
    }
}

fn play_one(tape: &mut Tape, kind: u8, who: usize, how: u8) {
    let snapshot = tape.snapshot();
    let token =
        (!snapshot.tokens.is_empty()).then(|| snapshot.tokens[who % snapshot.tokens.len()].token);
    let task =
        (!snapshot.tasks.is_empty()).then(|| snapshot.tasks[who % snapshot.tasks.len()].task);
    match (kind % 12, token, task) {
        (0, ..) => {
            tape.spawn(StringId(1), StringId(u32::from(how % 4)));
        }
        (1, ..) => {
            claim(tape, how);
        }
        (2, Some(token), _) if how < 80 => tape.release(token),
        (3, Some(token), _) => {
            tape.ready(token, Readiness::from_bits(how));
        }
        (4, ..) => tape.sleep(u64::from(how) * 10_000, u32::from(how % 3)),
        (5, ..) => tape.look(u32::from(how % 3)),
        (6, _, Some(task)) => {
            let cause = match how % 4 {
                0 => Cause::Outside,
                1 => Cause::Thread { thread: 7, woken: tape.now() },
                2 => Cause::Yield,
                _ => Cause::SelfWake,
            };
            tape.wake(task, cause);
        }
        (7, _, Some(task)) if how < 60 => tape.finish(task, TaskOutcome::Aborted),
        (8, Some(token), _) => tape.stale(token, Readiness::from_bits(how)),
        (_, token, Some(task)) if tape.is_queued(task) => poll(tape, task, token, how),
        _ => {}
    }
}

fn claim(tape: &mut Tape, how: u8) -> TokenId {
    let source = (SourceKind::TcpStream, i32::from(how));
    tape.claim(source, StringId(u32::from(how % 3)), Interest::READABLE, (None, None))
}

fn poll(tape: &mut Tape, task: TaskId, token: Option<TokenId>, how: u8) {
    tape.poll_start(task);
    tape.pass(u64::from(how) * 100);
    let waiting =
        tape.snapshot().tasks.iter().find(|row| row.task == task).and_then(|r| r.waiting_for);
    if let Some(target) = waiting.filter(|_| how.is_multiple_of(2)) {
        tape.wait_end(target, WaitOutcome::Dropped);
    }
    if let Some(token) = token {
        let result = match how % 5 {
            0 => OperationResult::WouldBlock,
            1 => OperationResult::NotReady,
            2 => OperationResult::Error(104),
            3 => OperationResult::EndOfFile,
            _ => OperationResult::Done(u32::from(how)),
        };
        tape.operate(
            if how.is_multiple_of(3) { Operation::Write } else { Operation::Read },
            token,
            result,
        );
        if waiting.is_none() {
            tape.wait(WaitFor::Token(token, Direction::BOTH[usize::from(how % 2)]));
        }
    }
    if how.is_multiple_of(7) {
        tape.wake(task, Cause::SelfWake);
    }
    if how.is_multiple_of(11) {
        claim(tape, how);
    }
    let result = if how < 16 { PollResult::Ready } else { PollResult::Pending };
    tape.poll_end(result);
}
