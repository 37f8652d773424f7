//! Wakes that change nothing.

use super::*;
use nexus_protocol::event::TaskOutcome;

#[test]
fn a_storm_of_wakes_for_a_queued_task_is_found_and_a_few_are_not() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    let waker = tape.spawn(StringId::EMPTY, OTHER);
    tape.poll(waker, PollResult::Pending, |_| {});
    for round in 0..20 {
        read_well(&mut tape, task, token);
        tape.wake(waker, Cause::Outside);
        tape.poll(waker, PollResult::Pending, |tape| {
            for _ in 0..if round % 2 == 0 { 101 } else { 4 } {
                tape.wake(task, Cause::Task { task: waker });
            }
        });
        tape.poll(task, PollResult::Pending, |tape| {
            tape.operate(Operation::Read, token, OperationResult::Done(1));
        });
    }
    let found = only(&tape, Kind::RedundantWakes);
    assert_eq!((found.count, found.location.as_str()), (1_000, "src/main.rs:10:5"));
    assert!(found.explanation.contains("src/other.rs:3:1"), "{}", found.explanation);
}

#[test]
fn wakes_of_finished_tasks_are_found() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    let done = tape.spawn(StringId::EMPTY, OTHER);
    tape.poll(done, PollResult::Ready, |_| {});
    for _ in 0..25 {
        read_well(&mut tape, task, token);
        tape.wake(task, Cause::Outside);
        tape.poll(task, PollResult::Pending, |tape| {
            tape.wake(done, Cause::Task { task });
            tape.operate(Operation::Read, token, OperationResult::Done(1));
        });
    }
    let found = only(&tape, Kind::DeadWakes);
    assert_eq!((found.count, found.location.as_str()), (25, "src/other.rs:3:1"));
}

#[test]
fn one_late_wake_of_an_aborted_task_is_clean() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    read_well(&mut tape, task, token);
    let aborted = tape.spawn(StringId::EMPTY, OTHER);
    tape.finish(aborted, TaskOutcome::Aborted);
    tape.wake(aborted, Cause::Outside);
    nothing(&tape);
}
