//! Interest, directions, and registrations that are gone.

use super::*;
use nexus_protocol::Event;
use nexus_protocol::event::RefusalReason;

/// The peer takes in what was written: the token becomes writable, and wakes whoever waits for that.
fn writable(tape: &mut Tape, task: TaskId, token: TokenId) {
    let event = tape.ready(token, Readiness::WRITABLE);
    tape.wake(task, Cause::Io { token, direction: Direction::Writable, event: Some(event) });
    tape.poll(task, PollResult::Pending, |tape| {
        tape.operate(Operation::Read, token, OperationResult::NotReady);
        tape.pass(400);
    });
}

#[test]
fn interest_that_nobody_uses_is_found_with_the_polls_that_it_costs_beneath() {
    let (mut tape, task, token) = reader(Interest::READABLE | Interest::WRITABLE);
    for _ in 0..1_000 {
        read_well(&mut tape, task, token);
    }
    for _ in 0..100 {
        writable(&mut tape, task, token);
        read_well(&mut tape, task, token);
    }
    let found = only(&tape, Kind::NeedlessInterest);
    assert_eq!(found.count, 100);
    assert!(found.remedy.starts_with("Register for readable only"), "{}", found.remedy);
    let [symptom] = &found.symptoms[..] else { panic!("{:?}", found.symptoms) };
    assert_eq!(
        (symptom.kind, symptom.count, symptom.share),
        (Kind::WrongDirection, 100, Some(1.0))
    );
    assert_eq!(symptom.wasted_ns, 40_000);
}

#[test]
fn a_direction_that_is_used_now_and_then_is_not_needless_but_wakes_the_wrong_way() {
    let (mut tape, task, token) = reader(Interest::READABLE | Interest::WRITABLE);
    for round in 0..100 {
        read_well(&mut tape, task, token);
        if round % 10 == 0 {
            tape.wake(task, Cause::Outside);
            tape.poll(task, PollResult::Pending, |tape| {
                tape.operate(Operation::Write, token, OperationResult::Done(8));
            });
        }
        writable(&mut tape, task, token);
    }
    let found = only(&tape, Kind::WrongDirection);
    assert_eq!(found.count, 100);
    assert!(found.explanation.contains("became writable"), "{}", found.explanation);
}

#[test]
fn a_writer_that_waits_for_room_is_clean() {
    let (mut tape, task, token) = reader(Interest::READABLE | Interest::WRITABLE);
    for _ in 0..100 {
        read_well(&mut tape, task, token);
        let event = tape.ready(token, Readiness::WRITABLE);
        tape.wake(task, Cause::Io { token, direction: Direction::Writable, event: Some(event) });
        tape.poll(task, PollResult::Pending, |tape| {
            tape.operate(Operation::Write, token, OperationResult::Done(64));
            tape.operate(Operation::Write, token, OperationResult::WouldBlock);
            tape.consume(token, Readiness::WRITABLE);
        });
    }
    nothing(&tape);
}

#[test]
fn one_event_for_both_directions_is_no_wrong_one() {
    let (mut tape, task, token) = reader(Interest::READABLE | Interest::WRITABLE);
    for _ in 0..100 {
        tape.sleep(1_000, 1);
        let event = tape.ready(token, Readiness::READABLE | Readiness::WRITABLE);
        tape.wake(task, Cause::Io { token, direction: Direction::Writable, event: Some(event) });
        tape.poll(task, PollResult::Pending, |tape| {
            tape.operate(Operation::Read, token, OperationResult::Done(1));
            tape.operate(Operation::Read, token, OperationResult::WouldBlock);
            tape.consume(token, Readiness::READABLE);
        });
    }
    nothing(&tape);
}

#[test]
fn interest_is_judged_by_place_also_of_tokens_that_are_gone() {
    let mut tape = Tape::new(RUNTIME, Stamp(1_000_000), 4);
    tape.look(0);
    for (place, writes) in [(CLAIMED, false), (OTHER, true)] {
        for round in 0..10 {
            let source = (SourceKind::TcpStream, 9);
            let token =
                tape.claim(source, place, Interest::READABLE | Interest::WRITABLE, (None, None));
            tape.ready(token, Readiness::WRITABLE);
            if writes && round == 7 {
                tape.operate(Operation::Write, token, OperationResult::Done(1));
            }
            tape.operate(Operation::Read, token, OperationResult::Done(1));
            tape.release(token);
        }
    }
    let found = only(&tape, Kind::NeedlessInterest);
    assert_eq!((found.count, found.others), (10, 9));
    assert_eq!(found.location, "src/feed.rs:88:17");
}

#[test]
fn events_for_tokens_that_are_gone_are_found() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    let mut next = token;
    for _ in 0..5 {
        read_well(&mut tape, task, token);
        let gone = tape.claim((SourceKind::Other, 8), OTHER, Interest::READABLE, (None, None));
        tape.operate(Operation::Read, gone, OperationResult::Done(1));
        tape.release(gone);
        next = TokenId { generation: gone.generation + 1, ..gone };
        tape.stale(next, Readiness::READABLE);
    }
    assert_ne!(next, token);
    let found = only(&tape, Kind::StaleEvents);
    assert_eq!((found.count, found.location.as_str()), (5, "src/other.rs:3:1"));
}

#[test]
fn tokens_that_are_released_twice_are_found() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    read_well(&mut tape, task, token);
    let twice = tape.claim((SourceKind::Other, 8), OTHER, Interest::READABLE, (None, None));
    tape.operate(Operation::Read, twice, OperationResult::Done(1));
    tape.release(twice);
    tape.record(Event::ReleaseRefused { token: twice, reason: RefusalReason::Stale });
    let found = only(&tape, Kind::ReleaseErrors);
    assert_eq!((found.count, found.location.as_str()), (1, "src/other.rs:3:1"));
    assert!(found.explanation.contains("after it had been released"), "{}", found.explanation);
}

#[test]
fn a_source_that_the_kernel_would_not_deregister_is_found() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    read_well(&mut tape, task, token);
    tape.record(Event::TokenReleased { token, live: 0, errno: 9 });
    let found = only(&tape, Kind::ReleaseErrors);
    assert!(found.explanation.contains("Bad file descriptor"), "{}", found.explanation);
}
