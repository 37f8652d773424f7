//! The kinds on made-up sequences: each is found where it is committed, counted exactly, and not seen where it is not.

mod bad_input;
mod delays;
mod leaks;
mod lost;
mod polls;
mod property;
mod tokens;
mod wakes;

use super::{Analysis, Finding, Kind, Report, Thresholds};
use crate::model::testing::Tape;
use nexus_protocol::event::{
    Cause, Operation, OperationResult, PollResult, SourceKind, WaitFor, WaitOutcome,
};
use nexus_protocol::frame::ServerFrame;
use nexus_protocol::{Direction, Interest, Readiness, RuntimeId, Stamp, StringId, TaskId, TokenId};

const RUNTIME: RuntimeId = RuntimeId(1);

/// Where tokens are claimed, and where tasks are spawned.
const CLAIMED: StringId = StringId(1);
const SPAWNED: StringId = StringId(2);
const OTHER: StringId = StringId(3);

const MS: u64 = 1_000_000;

/// The texts of the numbers above.
fn strings() -> ServerFrame {
    let strings = ["src/feed.rs:88:17", "src/main.rs:10:5", "src/other.rs:3:1"];
    ServerFrame::Strings { first: CLAIMED, strings: strings.map(str::to_owned).to_vec() }
}

fn events(tape: &Tape) -> ServerFrame {
    ServerFrame::Events {
        runtime: RUNTIME,
        records: tape.records().to_vec(),
        next_seq: tape.next_seq(),
        filtered: 0,
    }
}

/// An analysis that has seen all of this.
fn analysis(tape: &Tape) -> Analysis {
    let mut analysis = Analysis::new(Thresholds::default());
    analysis.apply(&strings());
    analysis.apply(&events(tape));
    analysis.apply(&ServerFrame::Snapshot(Box::new(tape.snapshot())));
    analysis
}

fn report(tape: &Tape) -> Report {
    analysis(tape).report()
}

/// All findings, symptoms included.
fn all(report: &Report) -> Vec<Finding> {
    report.findings().map(|(_, finding)| finding.clone()).collect()
}

/// The only finding there is, symptoms not counted.
#[track_caller]
fn only(tape: &Tape, kind: Kind) -> Finding {
    let report = report(tape);
    let findings = &report.runtimes[0].findings;
    let told: Vec<_> = findings.iter().map(|found| (found.kind, found.count)).collect();
    assert_eq!(findings.len(), 1, "{told:?}");
    assert_eq!(findings[0].kind, kind);
    findings[0].clone()
}

#[track_caller]
fn nothing(tape: &Tape) {
    let found: Vec<_> = all(&report(tape)).into_iter().map(|f| (f.kind, f.explanation)).collect();
    assert!(found.is_empty(), "{found:?}");
}

/// A runtime with a task and a token that it owns and that is registered for `interest`.
fn reader(interest: Interest) -> (Tape, TaskId, TokenId) {
    let mut tape = Tape::new(RUNTIME, Stamp(1_000_000), 4);
    tape.look(0);
    let task = tape.spawn(StringId::EMPTY, SPAWNED);
    let mut token = None;
    tape.poll(task, PollResult::Pending, |tape| {
        let source = (SourceKind::TcpStream, 7);
        let claimed = tape.claim(source, CLAIMED, interest, (None, None));
        tape.operate(Operation::Read, claimed, OperationResult::NotReady);
        tape.wait(WaitFor::Token(claimed, Direction::Readable));
        token = Some(claimed);
    });
    (tape, task, token.expect("a poll has run"))
}

/// The kernel reports data; the reader is woken, also if it sleeps on other things as well.
fn data(tape: &mut Tape, task: TaskId, token: TokenId) {
    let event = Some(tape.ready(token, Readiness::READABLE));
    if !tape.is_queued(task) {
        tape.wake(task, Cause::Io { token, direction: Direction::Readable, event });
    }
}

/// Data come, are read until there are no more, and the task waits again.
fn read_well(tape: &mut Tape, task: TaskId, token: TokenId) {
    let target = WaitFor::Token(token, Direction::Readable);
    tape.sleep(50_000, 1);
    data(tape, task, token);
    tape.pass(1_000);
    tape.poll(task, PollResult::Pending, |tape| {
        tape.wait_end(target, WaitOutcome::Done);
        tape.operate(Operation::Read, token, OperationResult::Done(64));
        tape.operate(Operation::Read, token, OperationResult::WouldBlock);
        tape.consume(token, Readiness::READABLE);
        tape.wait(target);
        tape.pass(2_000);
    });
}
