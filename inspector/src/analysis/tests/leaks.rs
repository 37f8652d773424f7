//! What only grows in number.

use super::*;

#[test]
fn tokens_that_are_kept_and_used_by_nobody_are_found() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    for fd in 0..12 {
        read_well(&mut tape, task, token);
        let kept = tape.claim((SourceKind::TcpStream, fd), OTHER, Interest::READABLE, (None, None));
        tape.operate(Operation::Read, kept, OperationResult::Done(5));
        tape.sleep(300 * MS, 1);
    }
    let found = only(&tape, Kind::TokenLeak);
    assert_eq!(found.location, "src/other.rs:3:1");
    // The last three have not been idle for long enough.
    assert_eq!(found.count, 9);
}

#[test]
fn idle_connections_that_somebody_waits_for_are_clean() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    for fd in 0..12 {
        let source = (SourceKind::TcpStream, fd);
        let kept = tape.claim(source, OTHER, Interest::READABLE, (None, None));
        let owner = tape.spawn(StringId::EMPTY, SPAWNED);
        tape.poll(owner, PollResult::Pending, |tape| {
            tape.operate(Operation::Read, kept, OperationResult::NotReady);
            tape.wait(WaitFor::Token(kept, Direction::Readable));
        });
    }
    for _ in 0..10 {
        read_well(&mut tape, task, token);
        tape.sleep(500 * MS, 1);
    }
    nothing(&tape);
}

#[test]
fn one_token_that_was_never_used_is_found() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    tape.claim((SourceKind::Other, 3), OTHER, Interest::READABLE, (None, None));
    for _ in 0..10 {
        tape.sleep(200 * MS, 1);
        read_well(&mut tape, task, token);
    }
    let found = only(&tape, Kind::TokenLeak);
    assert_eq!(found.count, 1);
    assert!(found.explanation.contains("never used"), "{}", found.explanation);
}

#[test]
fn tasks_that_never_end_while_more_are_spawned_are_found() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    for _ in 0..40 {
        read_well(&mut tape, task, token);
        let leaked = tape.spawn(StringId::EMPTY, OTHER);
        tape.poll(leaked, PollResult::Pending, |_| {});
        tape.sleep(100 * MS, 1);
    }
    let found = only(&tape, Kind::TaskLeak);
    assert_eq!(found.location, "src/other.rs:3:1");
    assert!(found.count >= 29, "{}", found.count);
}

#[test]
fn tasks_that_were_spawned_at_the_start_and_sleep_are_clean() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    for _ in 0..40 {
        let server = tape.spawn(StringId::EMPTY, OTHER);
        tape.poll(server, PollResult::Pending, |_| {});
    }
    for _ in 0..40 {
        read_well(&mut tape, task, token);
        let job = tape.spawn(StringId::EMPTY, CLAIMED);
        tape.poll(job, PollResult::Ready, |_| {});
        tape.sleep(100 * MS, 1);
    }
    nothing(&tape);
}
