//! Readiness that nobody uses up while its reader sleeps.

use super::*;
use crate::analysis::Severity;

/// Reads a part of what there is and goes to sleep.
fn read_a_part(tape: &mut Tape, task: TaskId, token: TokenId) {
    let target = WaitFor::Token(token, Direction::Readable);
    tape.sleep(50_000, 1);
    tape.ready(token, Readiness::READABLE);
    tape.poll(task, PollResult::Pending, |tape| {
        tape.wait_end(target, WaitOutcome::Done);
        tape.operate(Operation::Read, token, OperationResult::Done(64));
        tape.wait(target);
    });
}

#[test]
fn a_reader_that_sleeps_on_what_is_there_is_found_with_the_proof() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    for _ in 0..100 {
        read_well(&mut tape, task, token);
    }
    let ready = tape.next_seq() + 1;
    read_a_part(&mut tape, task, token);
    tape.sleep(150 * MS, 0);
    let found = only(&tape, Kind::LostWake);
    assert_eq!((found.count, found.severity), (1, Severity::Serious));
    assert_eq!(found.location, "src/feed.rs:88:17");
    assert!(found.evidence.contains(&ready), "{:?} and {ready}", found.evidence);
}

#[test]
fn waits_that_the_next_event_has_ended_are_counted_too() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    for _ in 0..5 {
        read_a_part(&mut tape, task, token);
        tape.sleep(120 * MS, 1);
        read_well(&mut tape, task, token);
    }
    let found = only(&tape, Kind::LostWake);
    assert_eq!(found.count, 5);
}

#[test]
fn a_short_delay_and_an_idle_connection_are_clean() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    read_a_part(&mut tape, task, token);
    tape.sleep(20 * MS, 1);
    read_well(&mut tape, task, token);
    tape.sleep(60_000 * MS, 0);
    nothing(&tape);
}

#[test]
fn a_reader_of_a_token_that_can_be_written_is_clean() {
    let (mut tape, task, token) = reader(Interest::READABLE | Interest::WRITABLE);
    tape.ready(token, Readiness::WRITABLE);
    read_well(&mut tape, task, token);
    tape.ready(token, Readiness::READABLE);
    tape.poll(task, PollResult::Pending, |tape| {
        tape.operate(Operation::Read, token, OperationResult::Done(1));
        tape.operate(Operation::Write, token, OperationResult::Done(1));
        tape.consume(token, Readiness::READABLE);
        tape.wait(WaitFor::Token(token, Direction::Writable));
    });
    tape.sleep(500 * MS, 0);
    nothing(&tape);
}

#[test]
fn a_timer_that_the_loop_forgets_is_found_and_one_that_is_not_due_is_not() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    read_well(&mut tape, task, token);
    data(&mut tape, task, token);
    tape.poll(task, PollResult::Pending, |tape| {
        tape.operate(Operation::Read, token, OperationResult::Done(1));
        tape.arm(300 * MS);
    });
    tape.sleep(200 * MS, 1);
    tape.look(0);
    nothing(&tape);
    tape.sleep(300 * MS, 1);
    tape.look(0);
    let found = only(&tape, Kind::LostWake);
    assert_eq!(found.count, 1);
    assert!(found.explanation.contains("passed their deadline"), "{}", found.explanation);
}
