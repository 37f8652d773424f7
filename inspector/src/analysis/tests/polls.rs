//! What polls make of the wakes that they answer.

use super::*;
use nexus_protocol::event::{Cycle, Subject as On, WokenBy};
use nexus_protocol::{Event, PrimitiveId};

#[test]
fn a_reader_that_reads_to_the_end_and_waits_is_clean() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    for _ in 0..2_000 {
        read_well(&mut tape, task, token);
    }
    nothing(&tape);
}

#[test]
fn a_task_that_wakes_itself_is_found_recorded_or_counted() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    read_well(&mut tape, task, token);
    tape.ready(token, Readiness::READABLE);
    tape.poll(task, PollResult::Pending, |tape| {
        tape.operate(Operation::Read, token, OperationResult::Done(1));
        tape.wake(task, Cause::SelfWake);
    });
    // One that is recorded, 500 that are counted, and one that answers the last of them.
    tape.poll(task, PollResult::Pending, |tape| {
        tape.pass(1_000);
        tape.wake(task, Cause::SelfWake);
    });
    tape.repeats(task, Cycle::SelfWake, 500, 1_000);
    tape.poll(task, PollResult::Pending, |tape| {
        tape.operate(Operation::Read, token, OperationResult::Done(1));
    });
    let found = only(&tape, Kind::SelfWake);
    assert_eq!(found.count, 501);
    assert_eq!(found.wasted_ns, 501_000);
    assert_eq!(found.location, "src/main.rs:10:5");
    assert!(found.explanation.contains("501 times"), "{}", found.explanation);
}

#[test]
fn one_self_wake_or_an_explicit_yield_is_clean() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    for _ in 0..100 {
        read_well(&mut tape, task, token);
        tape.wake(task, Cause::Outside);
        // Once, to look again: that may be how it is built.
        tape.poll(task, PollResult::Pending, |tape| {
            tape.operate(Operation::Read, token, OperationResult::Done(1));
            tape.wake(task, Cause::SelfWake);
        });
        tape.poll(task, PollResult::Pending, |_| {});
    }
    tape.wake(task, Cause::Outside);
    tape.poll(task, PollResult::Pending, |tape| {
        tape.wake(task, Cause::Yield);
    });
    tape.repeats(task, Cycle::Yield, 10_000, 1_000);
    tape.poll(task, PollResult::Pending, |_| {});
    nothing(&tape);
}

#[test]
fn readiness_that_others_have_used_up_is_found_in_a_storm_of_good_polls() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    for round in 0..10_000 {
        read_well(&mut tape, task, token);
        if round % 1_000 == 0 {
            let event = tape.ready(token, Readiness::READABLE);
            tape.poll(task, PollResult::Pending, |tape| {
                tape.operate(Operation::Read, token, OperationResult::WouldBlock);
                tape.consume(token, Readiness::READABLE);
                tape.pass(500);
            });
            assert!(event > 0);
        }
    }
    let found = only(&tape, Kind::FalseReadiness);
    assert_eq!((found.count, found.wasted_ns), (10, 5_000));
    assert_eq!(found.about, "token 0.1 (tcp-stream, fd 7) at src/feed.rs:88:17");
    let last = *found.evidence.last().unwrap() as usize;
    assert!(matches!(tape.records()[last].event, Event::PollEnd { .. }));
}

#[test]
fn an_end_of_stream_wakes_both_directions_and_is_no_false_readiness() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    for _ in 0..10 {
        tape.ready(token, Readiness::READABLE | Readiness::READ_CLOSED);
        if !tape.is_queued(task) {
            tape.wake(task, Cause::Outside);
        }
        tape.poll(task, PollResult::Pending, |tape| {
            tape.operate(Operation::Write, token, OperationResult::WouldBlock);
        });
    }
    nothing(&tape);
}

#[test]
fn a_poll_that_does_not_try_what_woke_it_is_found() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    for _ in 0..50 {
        read_well(&mut tape, task, token);
        data(&mut tape, task, token);
        tape.poll(task, PollResult::Pending, |tape| tape.pass(700));
    }
    let found = only(&tape, Kind::UntouchedSource);
    assert_eq!((found.count, found.wasted_ns), (50, 35_000));
}

#[test]
fn a_timer_that_is_not_asked_is_found_and_one_that_is_asked_is_not() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    for round in 0..40 {
        read_well(&mut tape, task, token);
        let mut timer = None;
        data(&mut tape, task, token);
        tape.poll(task, PollResult::Pending, |tape| {
            tape.operate(Operation::Read, token, OperationResult::Done(1));
            timer = Some(tape.arm(1_000));
        });
        tape.sleep(1_000, 0);
        let timer = timer.unwrap();
        tape.fire(timer);
        tape.poll(task, PollResult::Pending, |tape| {
            if round % 4 == 0 {
                tape.wait_end(WaitFor::Timer(timer), WaitOutcome::Dropped);
            } else {
                tape.timer_done(timer);
            }
        });
    }
    let found = only(&tape, Kind::UntouchedSource);
    assert_eq!(found.count, 10);
    assert!(found.about.starts_with("task 1"), "{}", found.about);
}

#[test]
fn a_task_that_had_its_share_is_not_accused_of_what_it_did_not_try() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    for _ in 0..20 {
        read_well(&mut tape, task, token);
        data(&mut tape, task, token);
        tape.poll(task, PollResult::Pending, |tape| {
            tape.wake(task, Cause::Yield);
        });
        tape.poll(task, PollResult::Pending, |tape| {
            tape.operate(Operation::Read, token, OperationResult::Done(1));
            tape.operate(Operation::Read, token, OperationResult::WouldBlock);
            tape.consume(token, Readiness::READABLE);
        });
    }
    nothing(&tape);
}

#[test]
fn a_wake_through_a_primitive_that_brings_nothing_is_found() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    let primitive = PrimitiveId(5);
    let sender = tape.spawn(StringId::EMPTY, OTHER);
    tape.poll(sender, PollResult::Pending, |_| {});
    for round in 0..30 {
        read_well(&mut tape, task, token);
        tape.wake(task, Cause::Primitive { primitive, by: WokenBy::Task(sender) });
        tape.poll(task, PollResult::Pending, |tape| {
            let result =
                if round % 3 == 0 { OperationResult::NotReady } else { OperationResult::Done(1) };
            tape.try_other(Operation::Receive, On::Primitive(primitive), result);
            tape.pass(300);
        });
    }
    let found = only(&tape, Kind::EmptyWake);
    assert_eq!((found.count, found.wasted_ns), (10, 3_000));
    assert!(found.explanation.contains("src/other.rs:3:1"), "{}", found.explanation);
}
