//! Frames as they come: what was delivered, filtered out and lost; several runtimes; limits; what is not understood.

use super::rows::{assert_is_board, blank_board};
use super::{RUNTIME, START, board, events, loss, model, model_within, runtime};
use crate::model::testing::{Tape, run, trace};
use crate::model::{Certainty, GroupBy, GroupKey, Limits};
use nexus_protocol::board::Snapshot;
use nexus_protocol::event::{Event, SourceKind};
use nexus_protocol::frame::{Goodbye, ServerFrame};
use nexus_protocol::{Interest, Record, RuntimeId, Stamp, StringId};

/// A batch from which `filtered` records before `next_seq` were left out.
fn sieved(records: &[Record], next_seq: u64, filtered: u64) -> ServerFrame {
    ServerFrame::Events { runtime: RUNTIME, records: records.to_vec(), next_seq, filtered }
}

#[test]
fn every_record_is_delivered_filtered_or_lost() {
    let (tape, _) = run(100);
    let records = tape.records();
    let sieve: Vec<Record> =
        records[300..400].iter().filter(|record| record.seq % 4 != 0).copied().collect();
    let model = model([
        events(&records[100..200]),
        loss(200, 250),
        events(&records[250..300]),
        sieved(&sieve, 400, 100 - sieve.len() as u64),
        // The next 20 are missing without a word.
        events(&records[420..500]),
        sieved(&[], 510, 10),
    ]);
    let counts = runtime(&model).counts();
    assert_eq!(runtime(&model).accounted(), (100, 510));
    assert_eq!(counts.lost, 50 + 20);
    assert_eq!(counts.filtered, 25 + 10);
    assert_eq!(counts.delivered + counts.filtered + counts.lost, 510 - 100);
    assert_eq!(runtime(&model).history().len() as u64, counts.delivered);
    let losses: Vec<_> = runtime(&model).losses().map(|gap| (gap.from, gap.to)).collect();
    assert_eq!(losses, [(200, 250), (400, 420)]);
}

#[test]
fn filtered_records_leave_a_view_stale_until_the_next_snapshot() {
    let (tape, boards) = run(300);
    let records = tape.records();
    let until = boards[2].totals.recorded;
    let kept: Vec<Record> = records[..until as usize]
        .iter()
        .filter(|record| !matches!(record.event, Event::Operation { .. }))
        .copied()
        .collect();
    let filtered = until - kept.len() as u64;
    assert!(filtered > 0);
    let mut model = model([board(blank_board()), sieved(&kept, until, filtered)]);
    assert!(matches!(runtime(&model).view().certainty, Certainty::Stale(_)));
    model.apply(board(boards[2].clone()));
    assert_is_board(&runtime(&model).view(), &boards[2]);
}

#[test]
fn records_out_of_order_and_of_unknown_kinds_are_counted_and_skipped() {
    let mut tape = Tape::new(RUNTIME, START, 0);
    tape.record(Event::Unknown { kind: 77 });
    let task = tape.spawn(StringId(1), StringId(2));
    let mut model = model([board(blank_board()), events(tape.records())]);
    model.apply(events(&tape.records()[..2]));
    let counts = runtime(&model).counts();
    assert_eq!((counts.unknown, counts.misplaced), (1, 2));
    assert_eq!(counts.delivered, tape.records().len() as u64);
    assert_eq!(runtime(&model).view().tasks.len(), 1);
    assert!(runtime(&model).view().task(task).is_some());
}

#[test]
fn stamps_that_run_backwards_stand_still_instead() {
    let (tape, _) = run(50);
    let mut records = tape.records().to_vec();
    records[60].at = Stamp(1);
    let model = model([board(blank_board()), events(&records)]);
    let history = runtime(&model).history();
    assert_eq!(history.get(60).unwrap().at, records[59].at);
    let stamps: Vec<Stamp> = history.after(0).map(|record| record.at).collect();
    assert!(stamps.is_sorted());
}

#[test]
fn runtimes_are_kept_apart() {
    let (tape, boards) = run(200);
    let second = RuntimeId(2);
    let other = Snapshot { runtime: second, ..blank_board() };
    let mut model = model([board(blank_board()), board(other), events(tape.records())]);
    assert_eq!(model.runtimes().len(), 2);
    let ids: Vec<_> = model.runtimes().map(|runtime| runtime.view().runtime).collect();
    assert_eq!(ids, [RUNTIME, second]);
    assert!(model.runtime(second).unwrap().view().tasks.is_empty());
    let last = boards.last().unwrap();
    let view = model.runtime(RUNTIME).unwrap().view();
    assert_eq!(view.tasks.len(), last.tasks.len());
    let mut info = model.runtime(second).unwrap().info().clone();
    info.ended = Stamp(7);
    model.apply(ServerFrame::Runtime(info));
    assert_eq!(model.runtime(second).unwrap().info().ended, Stamp(7));
    assert_eq!(model.runtimes().len(), 2, "one that has ended can still be looked at");
}

#[test]
fn hello_strings_and_goodbye_are_kept() {
    let mut model = model(trace());
    assert_eq!(model.process().unwrap().pid, 4711);
    assert_eq!(runtime(&model).info().name, "echo");
    assert_eq!(model.strings().get(StringId(1)), "main");
    assert_eq!(model.strings().get(StringId::EMPTY), "");
    assert_eq!(model.strings().get(StringId(60_000)), "");
    assert_eq!(model.goodbye(), None);
    model.apply(ServerFrame::Goodbye(Goodbye::ProcessEnding));
    assert_eq!(model.goodbye(), Some(&Goodbye::ProcessEnding));
    let first = StringId(u32::MAX);
    model.apply(ServerFrame::Strings { first, strings: vec!["far out".to_owned()] });
    assert_eq!(model.strings().get(first), "", "beyond the protocol's limit");
}

#[test]
fn memory_is_bounded_whatever_happens() {
    let limits = Limits {
        records: 500,
        rows: 3,
        finished: 2,
        losses: 4,
        occupancy: 8,
        checkpoint_rows: 100,
    };
    let mut frames = trace();
    for _ in 0..20 {
        let last = frames.len() - 1;
        frames.insert(last, loss(0, 1));
    }
    let model = model_within(limits, frames);
    let runtime = runtime(&model);
    let view = runtime.view();
    assert!(runtime.history().len() <= limits.records);
    assert!(view.tokens.len() <= limits.rows && view.tasks.len() <= limits.rows);
    assert!(view.finished.len() <= limits.finished);
    assert!(runtime.losses().count() <= limits.losses);
    assert!(runtime.lane_sums(Stamp::NEVER, runtime.now()).len() <= 500);
    assert!(view.totals.live > limits.rows as u64, "the totals count them all");
    assert!(runtime.earliest() < runtime.now());
    assert_eq!(runtime.view_at(Stamp(1)).at, runtime.earliest());
    assert_eq!(runtime.view_at(Stamp(u64::MAX)).at, runtime.now());
}

#[test]
fn tokens_are_grouped_with_their_sums() {
    let mut tape = Tape::new(RUNTIME, START, 8);
    for (location, count) in [(1, 2), (2, 3)] {
        for fd in 0..count {
            let source = (SourceKind::TcpStream, fd);
            tape.claim(source, StringId(location), Interest::READABLE, (None, None));
        }
    }
    tape.ready(nexus_protocol::TokenId { slot: 0, generation: 1 }, Default::default());
    let model = model([board(blank_board()), events(tape.records())]);
    let groups = runtime(&model).view().token_groups(GroupBy::Location);
    let sizes: Vec<_> = groups.iter().map(|group| (group.key, group.members.len())).collect();
    let location = |number| GroupKey::Location(StringId(number));
    assert_eq!(sizes, [(location(2), 3), (location(1), 2)]);
    assert_eq!((groups[0].counters.events, groups[1].counters.events), (0, 1));
    let owners = runtime(&model).view().token_groups(GroupBy::Owner);
    assert_eq!(owners.len(), 1);
    assert_eq!(owners[0].key, GroupKey::Owner(None));
}

#[test]
fn rates_are_per_second_of_the_process_s_time() {
    let mut tape = Tape::new(RUNTIME, START, 0);
    let task = tape.spawn(StringId(1), StringId(2));
    for _ in 0..500 {
        tape.pass(8_000_000);
        tape.wake(task, nexus_protocol::event::Cause::Outside);
        tape.poll_start(task);
        tape.pass(2_000_000);
        tape.poll_end(nexus_protocol::event::PollResult::Pending);
    }
    let model = model([board(blank_board()), events(tape.records())]);
    let runtime = runtime(&model);
    for at in [runtime.now(), Stamp(START.0 + 3_000_000_000)] {
        let view = runtime.view_at(at);
        let rates = view.task(task).unwrap().rates;
        assert!((rates.polls - 100.0).abs() < 2.0, "{} polls a second", rates.polls);
        assert!((rates.busy - 0.2).abs() < 0.01, "{} busy", rates.busy);
        assert!((view.rates.polls - 100.0).abs() < 2.0);
    }
    let early = runtime.view_at(Stamp(START.0 + 500_000_000));
    assert!((early.rates.polls - 100.0).abs() < 5.0, "of a shorter time: {}", early.rates.polls);
}
