//! Sequences with a known cause for each poll: what is found is what was done.

use super::*;
use nexus_protocol::PrimitiveId;
use nexus_protocol::event::{Cycle, Subject as On, WokenBy};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// One thing that happens to a task.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Clean,
    FalseReadiness,
    Untouched,
    WrongDirection,
    SelfWakes(u32),
    Yields(u32),
    Redundant(u64),
    Empty,
    Dead,
    Stale,
    Unattributed,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        8 => Just(Deed::Clean),
        1 => Just(Deed::FalseReadiness),
        1 => Just(Deed::Untouched),
        1 => Just(Deed::WrongDirection),
        1 => (2u32..300).prop_map(Deed::SelfWakes),
        1 => (2u32..300).prop_map(Deed::Yields),
        1 => (1u64..40).prop_map(Deed::Redundant),
        1 => Just(Deed::Empty),
        1 => Just(Deed::Dead),
        1 => Just(Deed::Stale),
        1 => Just(Deed::Unattributed),
    ]
}

struct Actors {
    task: TaskId,
    token: TokenId,
    dead: TaskId,
}

/// Does it, and says of which kind it is and how often it counts.
fn commit(tape: &mut Tape, actors: &Actors, deed: Deed) -> Option<(Kind, u64)> {
    let &Actors { task, token, dead } = actors;
    let read = |tape: &mut Tape| tape.operate(Operation::Read, token, OperationResult::Done(1));
    let fruitless = |tape: &mut Tape, operation| {
        tape.operate(operation, token, OperationResult::WouldBlock);
    };
    tape.pass(1_000);
    match deed {
        Deed::Clean => {
            read_well(tape, task, token);
            None
        }
        Deed::FalseReadiness => {
            tape.ready(token, Readiness::READABLE);
            tape.poll(task, PollResult::Pending, |tape| {
                fruitless(tape, Operation::Read);
                tape.consume(token, Readiness::READABLE);
            });
            Some((Kind::FalseReadiness, 1))
        }
        Deed::Untouched => {
            tape.ready(token, Readiness::READABLE);
            tape.poll(task, PollResult::Pending, |_| {});
            tape.consume(token, Readiness::READABLE);
            Some((Kind::UntouchedSource, 1))
        }
        Deed::WrongDirection => {
            let event = tape.ready(token, Readiness::WRITABLE);
            tape.wake(
                task,
                Cause::Io { token, direction: Direction::Writable, event: Some(event) },
            );
            tape.poll(task, PollResult::Pending, |tape| fruitless(tape, Operation::Read));
            tape.consume(token, Readiness::WRITABLE);
            Some((Kind::WrongDirection, 1))
        }
        Deed::SelfWakes(count) => {
            tape.wake(task, Cause::Outside);
            tape.poll(task, PollResult::Pending, |tape| {
                read(tape);
                tape.wake(task, Cause::SelfWake);
            });
            tape.repeats(task, Cycle::SelfWake, count, 100);
            tape.poll(task, PollResult::Pending, read);
            Some((Kind::SelfWake, u64::from(count)))
        }
        Deed::Yields(count) => {
            tape.wake(task, Cause::Outside);
            tape.poll(task, PollResult::Pending, |tape| {
                tape.wake(task, Cause::Yield);
            });
            tape.repeats(task, Cycle::Yield, count, 100);
            tape.poll(task, PollResult::Pending, read);
            None
        }
        Deed::Redundant(count) => {
            tape.wake(task, Cause::Outside);
            for _ in 0..count {
                tape.wake(task, Cause::Outside);
            }
            tape.poll(task, PollResult::Pending, read);
            (count >= 8).then_some((Kind::RedundantWakes, count))
        }
        Deed::Empty => {
            let primitive = PrimitiveId(1);
            tape.wake(task, Cause::Primitive { primitive, by: WokenBy::Outside });
            tape.poll(task, PollResult::Pending, |tape| {
                tape.try_other(
                    Operation::Receive,
                    On::Primitive(primitive),
                    OperationResult::NotReady,
                );
            });
            Some((Kind::EmptyWake, 1))
        }
        Deed::Dead => {
            tape.wake(dead, Cause::Outside);
            Some((Kind::DeadWakes, 1))
        }
        Deed::Stale => {
            tape.stale(TokenId { slot: 2, generation: 2 }, Readiness::READABLE);
            Some((Kind::StaleEvents, 1))
        }
        Deed::Unattributed => {
            tape.wake(task, Cause::Outside);
            tape.poll(task, PollResult::Pending, |_| {});
            None
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_is_what_was_done(deeds in prop::collection::vec(deed(), 0..200)) {
        let (mut tape, task, token) = reader(Interest::READABLE);
        let dead = tape.spawn(StringId::EMPTY, OTHER);
        tape.poll(dead, PollResult::Ready, |_| {});
        let actors = Actors { task, token, dead };
        let mut expected: BTreeMap<Kind, u64> = BTreeMap::new();
        for deed in deeds {
            if let Some((kind, count)) = commit(&mut tape, &actors, deed) {
                *expected.entry(kind).or_default() += count;
            }
        }
        let thresholds = Thresholds { min_count: 1, ..Thresholds::default() };
        let mut analysis = Analysis::new(thresholds);
        analysis.apply(&events(&tape));
        let mut found: BTreeMap<Kind, u64> = BTreeMap::new();
        for finding in all(&analysis.report()) {
            *found.entry(finding.kind).or_default() += finding.count;
        }
        prop_assert_eq!(found, expected);
    }
}
