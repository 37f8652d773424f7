//! What takes too long, on a virtual clock.

use super::*;

/// A runtime with a reader and a task that does whatever it is told.
fn two() -> (Tape, TaskId, TokenId, TaskId) {
    let (mut tape, task, token) = reader(Interest::READABLE);
    let other = tape.spawn(StringId::EMPTY, OTHER);
    tape.poll(other, PollResult::Pending, |_| {});
    (tape, task, token, other)
}

fn progress(tape: &mut Tape, token: TokenId) {
    tape.operate(Operation::Read, token, OperationResult::Done(1));
}

#[test]
fn polls_that_hold_the_thread_are_found_with_what_they_delay_beneath() {
    let (mut tape, task, token, other) = two();
    for _ in 0..3 {
        for _ in 0..100 {
            read_well(&mut tape, task, token);
        }
        let mut timer = None;
        data(&mut tape, task, token);
        tape.poll(task, PollResult::Pending, |tape| {
            progress(tape, token);
            timer = Some(tape.arm(2 * MS));
        });
        tape.wake(other, Cause::Outside);
        // Woken just before, and served only afterwards.
        data(&mut tape, task, token);
        tape.wake(task, Cause::Outside);
        tape.poll(other, PollResult::Pending, |tape| tape.pass(40 * MS));
        tape.look(0);
        tape.fire(timer.unwrap());
        tape.poll(task, PollResult::Pending, |tape| {
            tape.timer_done(timer.unwrap());
            progress(tape, token);
        });
    }
    let found = only(&tape, Kind::BlockedPoll);
    assert_eq!((found.count, found.wasted_ns), (3, 120 * MS));
    assert_eq!(found.location, "src/other.rs:3:1");
    let beneath: Vec<_> = found.symptoms.iter().map(|found| (found.kind, found.count)).collect();
    for kind in [Kind::SlowDispatch, Kind::StarvedIo, Kind::LateTimers] {
        assert!(beneath.contains(&(kind, 3)), "{kind}: {beneath:?}");
    }
}

#[test]
fn time_in_which_the_thread_was_kept_waiting_accuses_nobody() {
    let (mut tape, task, token, other) = two();
    let mut spans = Vec::new();
    for _ in 0..3 {
        read_well(&mut tape, task, token);
        tape.wake(other, Cause::Outside);
        spans.push(tape.now());
        tape.poll(other, PollResult::Pending, |tape| tape.pass(40 * MS));
    }
    let mut analysis = analysis(&tape);
    assert_eq!(analysis.report().runtimes[0].findings.len(), 1);
    for from in spans {
        analysis.preempted(RUNTIME, from, Stamp(from.0 + 40 * MS), 35 * MS);
    }
    assert_eq!(all(&analysis.report()), []);
}

#[test]
fn a_poll_that_goes_on_is_found_while_it_does() {
    let (mut tape, task, token, other) = two();
    read_well(&mut tape, task, token);
    tape.wake(other, Cause::Outside);
    tape.poll_start(other);
    tape.pass(300 * MS);
    let found = only(&tape, Kind::BlockedPoll);
    assert_eq!((found.count, found.wasted_ns), (1, 300 * MS));
    assert!(found.explanation.contains("right now, for 300 ms"), "{}", found.explanation);
}

/// A crowd of tasks that are woken together, just before the reader, four times.
fn crowd(size: u32, poll_ns: u64) -> Tape {
    let (mut tape, task, token, _) = two();
    let crowd: Vec<TaskId> = (0..size).map(|_| tape.spawn(StringId::EMPTY, OTHER)).collect();
    for &each in &crowd {
        tape.poll(each, PollResult::Pending, |_| {});
    }
    for _ in 0..4 {
        read_well(&mut tape, task, token);
        for &each in &crowd {
            tape.wake(each, Cause::Outside);
        }
        tape.wake(task, Cause::Outside);
        for &each in &crowd {
            tape.poll(each, PollResult::Pending, |tape| tape.pass(poll_ns));
        }
        tape.poll(task, PollResult::Pending, |tape| progress(tape, token));
    }
    tape
}

#[test]
fn several_long_polls_that_keep_a_task_waiting_are_found() {
    let report = report(&crowd(10, 4 * MS));
    let found = all(&report);
    let dispatch = found
        .iter()
        .find(|found| found.kind == Kind::SlowDispatch && found.location == "src/main.rs:10:5");
    assert_eq!(dispatch.map(|found| found.count), Some(4), "{found:?}");
    assert!(found.iter().all(|found| matches!(found.kind, Kind::SlowDispatch | Kind::StarvedIo)));
}

#[test]
fn a_lot_of_work_in_short_polls_is_nobodys_fault() {
    nothing(&crowd(500, 100_000));
}

#[test]
fn a_thread_that_did_not_run_is_nobodys_fault() {
    let (mut tape, task, token, _) = two();
    for _ in 0..10 {
        read_well(&mut tape, task, token);
        let mut timer = None;
        data(&mut tape, task, token);
        // Between the wake and the poll, with nothing recorded: the thread was preempted.
        tape.pass(60 * MS);
        tape.poll(task, PollResult::Pending, |tape| {
            progress(tape, token);
            timer = Some(tape.arm(MS));
        });
        tape.sleep(60 * MS, 0);
        tape.fire(timer.unwrap());
        tape.poll(task, PollResult::Pending, |tape| tape.timer_done(timer.unwrap()));
    }
    nothing(&tape);
}

#[test]
fn turns_for_nothing_are_found_if_they_are_many() {
    let (mut tape, task, token, _) = two();
    for _ in 0..50 {
        read_well(&mut tape, task, token);
    }
    tape.sleep(1_000, 0);
    nothing(&tape);
    for _ in 0..50 {
        tape.sleep(1_000, 0);
    }
    read_well(&mut tape, task, token);
    let found = only(&tape, Kind::BusyTurns);
    assert_eq!(found.count, 51);
}

#[test]
fn one_poll_that_is_a_little_too_long_is_clean() {
    let (mut tape, task, token, other) = two();
    read_well(&mut tape, task, token);
    tape.wake(other, Cause::Outside);
    tape.poll(other, PollResult::Pending, |tape| tape.pass(30 * MS));
    read_well(&mut tape, task, token);
    nothing(&tape);
}
