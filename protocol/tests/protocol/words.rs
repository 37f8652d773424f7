//! Records and rows survive the words of the ring and the board.

use crate::arbitrary;
use nexus_protocol::board::{TaskRow, TaskWords, TokenRow, TokenWords, task_word, token_word};
use nexus_protocol::clock::{Anchor, ClockMap};
use nexus_protocol::event::{
    Cause, Operation, OperationResult, Subject, WakeOutcome, WokenBy, kind,
};
use nexus_protocol::{Event, PrimitiveId, Record, Stamp, TaskId, TokenId};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::collections::HashSet;

fn token_words(row: &TokenRow) -> TokenWords {
    use token_word as at;
    let mut words = [0; at::COUNT];
    words[at::NEXT_SEQ] = row.next_seq;
    words[at::TOKEN] = row.token.pack();
    words[at::STATE] = TokenRow::state_word(row.kind, row.interest, row.readiness, row.fd);
    words[at::LOCATION] = u64::from(row.location.0);
    words[at::OWNER] = TaskId::word(row.owner);
    words[at::CLAIMED] = row.claimed.0;
    words[at::LAST_ACTIVE] = row.last_active.0;
    words[at::READ_CLOSED] = row.read_closed.0;
    words[at::ADDRESS_HEADS..at::ADDRESS_HEADS + 5]
        .copy_from_slice(&TokenRow::address_words(row.local, row.peer));
    words[at::WAITERS] = u64::from(row.waiters_readable) | u64::from(row.waiters_writable) << 32;
    let counters = &row.counters;
    for (index, counter) in [
        (at::EVENTS, counters.events),
        (at::WAKES, counters.wakes),
        (at::SPURIOUS, counters.spurious),
        (at::STALE, counters.stale),
        (at::OPERATIONS, counters.operations),
        (at::WOULD_BLOCK, counters.would_block),
        (at::NOT_READY, counters.not_ready),
        (at::ERRORS, counters.errors),
        (at::BYTES_IN, counters.bytes_in),
        (at::BYTES_OUT, counters.bytes_out),
    ] {
        words[index] = counter;
    }
    words
}

fn task_words(row: &TaskRow) -> TaskWords {
    use task_word as at;
    let mut words = [0; at::COUNT];
    words[at::NEXT_SEQ] = row.next_seq;
    words[at::TASK] = row.task.0;
    words[at::STATE] =
        TaskRow::state_word(row.state, row.outcome, row.last_wake_cause, row.waiting_for);
    words[at::STRINGS] = u64::from(row.location.0) | u64::from(row.name.0) << 32;
    words[at::SPAWNED] = row.spawned.0;
    words[at::SINCE] = row.since.0;
    words[at::WAITING_FOR] = TaskRow::waiting_word(row.waiting_for);
    words[at::WAITS] = u64::from(row.waits);
    let counters = &row.counters;
    for (index, counter) in [
        (at::POLLS, counters.polls),
        (at::WAKES, counters.wakes),
        (at::REDUNDANT, counters.redundant),
        (at::SELF_WAKES, counters.self_wakes),
        (at::SPURIOUS, counters.spurious),
        (at::UNATTRIBUTED, counters.unattributed),
        (at::OPERATIONS, counters.operations),
        (at::PROGRESS, counters.progress),
        (at::BUSY, counters.busy),
        (at::WASTED, counters.wasted),
        (at::LONGEST, counters.longest),
        (at::WAITED, counters.waited),
    ] {
        words[index] = counter;
    }
    words
}

proptest! {
    #[test]
    fn every_record_survives_the_ring(record in arbitrary::record()) {
        let words = record.to_words();
        prop_assert_eq!(words[0] as u8, record.event.kind());
        prop_assert_eq!(Record::from_words(record.seq, words, &ClockMap::IDENTITY), record);
    }

    /// A reader that meets a torn or future record must not panic.
    #[test]
    fn any_words_are_a_record(seq: u64, words: [u64; 4]) {
        let record = Record::from_words(seq, words, &ClockMap::IDENTITY);
        if let Event::Unknown { kind } = record.event {
            prop_assert_eq!(kind, words[0] as u8);
        }
    }

    #[test]
    fn every_token_row_survives_the_board(row in arbitrary::token_row()) {
        let words = token_words(&row);
        prop_assert_eq!(TokenRow::from_words(&words, row.changing, &ClockMap::IDENTITY), Some(row));
    }

    #[test]
    fn every_task_row_survives_the_board(row in arbitrary::task_row()) {
        let words = task_words(&row);
        prop_assert_eq!(TaskRow::from_words(&words, row.changing, &ClockMap::IDENTITY), Some(row));
    }
}

#[test]
fn the_strategy_knows_every_kind() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let records = proptest::collection::vec(arbitrary::record(), 2000);
    let records = records.new_tree(&mut runner).unwrap().current();
    let kinds: HashSet<u8> = records.iter().map(|record| record.event.kind()).collect();
    assert_eq!(kinds, (1..=kind::LAST).collect());
}

#[test]
fn rows_out_of_use_are_none() {
    let clock = &ClockMap::IDENTITY;
    assert_eq!(TokenRow::from_words(&[0; token_word::COUNT], false, clock), None);
    assert_eq!(TaskRow::from_words(&[0; task_word::COUNT], false, clock), None);
}

#[test]
fn a_link_that_is_too_far_back_is_none() {
    let token = TokenId { slot: 1, generation: 1 };
    let seq = 1 << 40;
    let read_back = |event| {
        let record = Record { seq, at: Stamp(1), event };
        Record::from_words(seq, record.to_words(), &ClockMap::IDENTITY).event
    };
    let operation = |poll| Event::Operation {
        operation: Operation::Read,
        subject: Subject::Token(token),
        result: OperationResult::Done(5),
        task: Some(TaskId(1)),
        poll,
    };
    assert_eq!(read_back(operation(Some(seq - 65_535))), operation(Some(seq - 65_535)));
    assert_eq!(read_back(operation(Some(seq - 65_536))), operation(None));
    let start = |wake| Event::PollStart { task: TaskId(1), number: 1, wake };
    let far = u64::from(u32::MAX);
    assert_eq!(read_back(start(Some(seq - far))), start(Some(seq - far)));
    assert_eq!(read_back(start(Some(seq - far - 1))), start(None));
}

#[test]
fn all_stamps_of_a_record_are_mapped_and_nothing_else() {
    // Two nanoseconds a tick.
    let clock = ClockMap::through(
        Anchor { ticks: 1000, mono_ns: 0 },
        Anchor { ticks: 2000, mono_ns: 2000 },
    );
    let cause = Cause::Thread { thread: 1100, woken: Stamp(1100) };
    let event = Event::Wake { task: TaskId(1100), cause, outcome: WakeOutcome::Queued };
    let record = Record { seq: 3, at: Stamp(1200), event };
    let cause = Cause::Thread { thread: 1100, woken: Stamp(200) };
    let event = Event::Wake { task: TaskId(1100), cause, outcome: WakeOutcome::Queued };
    let mapped = Record { seq: 3, at: Stamp(400), event };
    assert_eq!(Record::from_words(3, record.to_words(), &clock), mapped);
}

/// A wake of a task by another thread, through a primitive, as it is read back with this clock.
fn woken_through_a_primitive(at: u64, woken: u64, clock: &ClockMap) -> (Stamp, Stamp) {
    let event = |woken| {
        let by = WokenBy::Thread { thread: u32::MAX, woken: Stamp(woken) };
        let cause = Cause::Primitive { primitive: PrimitiveId::MAX, by };
        Event::Wake { task: TaskId::MAX, cause, outcome: WakeOutcome::Redundant }
    };
    let record = Record { seq: 3, at: Stamp(at), event: event(woken) };
    let read = Record::from_words(3, record.to_words(), clock);
    let Event::Wake { cause: Cause::Primitive { by: WokenBy::Thread { woken, .. }, .. }, .. } =
        read.event
    else {
        panic!("{read:?}");
    };
    assert_eq!(read.event, event(woken.0));
    (read.at, woken)
}

#[test]
fn the_age_of_a_wake_through_a_primitive_is_coarse_and_bounded() {
    let same = &ClockMap::IDENTITY;
    let now = 1 << 50;
    assert_eq!(woken_through_a_primitive(now, now, same).1, Stamp(now));
    assert_eq!(woken_through_a_primitive(now, now - 256 * 77, same).1, Stamp(now - 256 * 77));
    assert_eq!(woken_through_a_primitive(now, now - 256 * 77 - 255, same).1, Stamp(now - 256 * 77));
    let oldest = Stamp(now - 256 * u64::from(u32::MAX));
    assert_eq!(woken_through_a_primitive(now, 1, same).1, oldest);
    assert_eq!(woken_through_a_primitive(now, now + 9, same).1, Stamp(now), "not in the future");
    // Two nanoseconds a tick.
    let clock = ClockMap::through(
        Anchor { ticks: 1000, mono_ns: 0 },
        Anchor { ticks: 2000, mono_ns: 2000 },
    );
    let mapped = woken_through_a_primitive(3000, 3000 - 512, &clock);
    assert_eq!(mapped, (Stamp(4000), Stamp(4000 - 1024)));
}

/// Records are made in the hottest paths there are.
#[test]
fn events_are_no_larger_than_they_were() {
    assert!(size_of::<Cause>() <= 32, "{}", size_of::<Cause>());
    assert!(size_of::<Event>() <= 64, "{}", size_of::<Event>());
    assert!(size_of::<Record>() <= 80, "{}", size_of::<Record>());
}
