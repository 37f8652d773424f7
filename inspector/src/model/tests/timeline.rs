//! Lanes, occupancy and chains against what the records say when read one by one.

use super::rows::blank_board;
use super::{RUNTIME, START, board, events, loss, model, runtime};
use crate::model::testing::{Tape, run, trace};
use crate::model::{LaneCell, Poll, Runtime};
use nexus_protocol::event::{
    Cause, Event, Level, Operation, OperationResult, PollResult, Subject, Verdict, WaitFor,
    WakeOutcome,
};
use nexus_protocol::fragment::Fragment;
use nexus_protocol::{
    Direction, Interest, Readiness, Record, Seq, Stamp, StringId, TaskId, TokenId,
};

/// The polls of a task, read off the records.
fn polls_of(records: &[Record], wanted: TaskId) -> Vec<Poll> {
    let mut open = None;
    let mut polls = Vec::new();
    for record in records {
        match record.event {
            Event::PollStart { task, .. } if task == wanted => open = Some((record.seq, record.at)),
            Event::PollEnd { task, result, verdict, .. } if task == wanted => {
                let (start_seq, start) = open.take().expect("polls begin before they end");
                polls.push(Poll {
                    start_seq: Some(start_seq),
                    end_seq: Some(record.seq),
                    start,
                    end: record.at,
                    result: Some(result),
                    verdict: Some(verdict),
                    count: 1,
                });
            }
            _ => {}
        }
    }
    polls
}

/// The wakes of a task, read off the records.
fn wakes_of(records: &[Record], wanted: TaskId) -> Vec<(Stamp, Cause)> {
    let wakes = records.iter().filter_map(|record| match record.event {
        Event::Wake { task, cause, .. } if task == wanted => Some((record.at, cause)),
        _ => None,
    });
    wakes.collect()
}

/// What happened in `[from, to)`, counted one by one.
fn count(polls: &[Poll], wakes: &[(Stamp, Cause)], from: Stamp, to: Stamp) -> LaneCell {
    let mut cell = LaneCell::default();
    for poll in polls {
        if poll.start < to && (poll.end > from || poll.start >= from) {
            cell.polls += 1;
            cell.busy_ns += poll.end.min(to).since(poll.start.max(from));
            cell.spurious += u32::from(poll.verdict == Some(Verdict::Spurious));
            cell.unattributed += u32::from(poll.verdict == Some(Verdict::Unattributed));
            cell.excused += u32::from(poll.verdict == Some(Verdict::Excused));
        }
    }
    for (_, cause) in wakes.iter().filter(|&&(at, _)| at >= from && at < to) {
        cell.wakes[usize::from(cause.code())] += 1;
    }
    cell
}

fn tasks_of(runtime: &Runtime) -> Vec<TaskId> {
    runtime.tasks_between(Stamp::NEVER, runtime.now())
}

#[test]
fn cells_of_a_lane_are_what_the_records_say() {
    let (tape, _) = run(500);
    let model = model([board(blank_board()), events(tape.records())]);
    let runtime = runtime(&model);
    let start = tape.records()[0].at;
    let ranges = [(0, 500_000_000, 7), (3_000_000, 3_400_000, 40), (100_000_000, 180_000_000, 80)];
    let mut busy_cells = 0;
    for task in tasks_of(runtime) {
        let (polls, wakes) = (polls_of(tape.records(), task), wakes_of(tape.records(), task));
        for (from, to, cells) in ranges {
            let (from, to) = (Stamp(start.0 + from), Stamp(start.0 + to));
            let lane = runtime.lane(task, from, to, cells);
            assert_eq!(lane.cells.len(), cells);
            let width = (to.0 - from.0) / cells as u64;
            for (index, cell) in lane.cells.iter().enumerate() {
                let begin = (to.0 - from.0) as u128 * index as u128 / cells as u128;
                let end = (to.0 - from.0) as u128 * (index as u128 + 1) / cells as u128;
                let (begin, end) = (from.0 + begin as u64, from.0 + end as u64);
                let last = u64::from(index + 1 == cells);
                let expected = count(&polls, &wakes, Stamp(begin), Stamp(end + last));
                assert_eq!(LaneCell { busy: 0.0, ..*cell }, expected, "task {task}, cell {index}");
                let part = cell.busy_ns as f32 / width as f32;
                assert!((cell.busy - part.min(1.0)).abs() < 0.01, "{} is not {part}", cell.busy);
                busy_cells += usize::from(cell.polls > 0);
            }
        }
    }
    assert!(busy_cells > 100, "{busy_cells} cells with polls are hardly a comparison");
}

#[test]
fn exact_polls_wakes_and_waits_are_there_for_zooming_in() {
    let (tape, _) = run(300);
    let records = tape.records();
    let model = model([board(blank_board()), events(records)]);
    let runtime = runtime(&model);
    let (from, to) = (records[0].at, runtime.now());
    for task in tasks_of(runtime) {
        assert_eq!(runtime.polls(task, from, to, usize::MAX), polls_of(records, task));
        assert!(runtime.polls(task, from, to, 2).len() <= 2);
        let wakes: Vec<Seq> =
            runtime.wakes(task, from, to, usize::MAX).iter().map(|wake| wake.seq).collect();
        let expected = records.iter().filter(
            |record| matches!(record.event, Event::Wake { task: woken, .. } if woken == task),
        );
        assert_eq!(wakes, expected.map(|record| record.seq).collect::<Vec<_>>());
        let view = runtime.view();
        let open = runtime.waits(task, from, to, usize::MAX);
        let open = open.iter().filter(|wait| wait.end.is_never()).count();
        assert_eq!(open as u32, view.task_row(task).map_or(0, |row| row.waits));
    }
    assert!(runtime.polls(TaskId(999), from, to, 10).is_empty());
}

#[test]
fn a_poll_under_way_lasts_until_now() {
    let mut tape = Tape::new(RUNTIME, super::START, 0);
    let task = tape.spawn(StringId(1), StringId(2));
    let start = tape.now();
    tape.poll_start(task);
    let begun = tape.next_seq();
    tape.pass(5_000_000);
    let hung = tape.snapshot();
    let model = model([board(blank_board()), events(tape.records()), board(hung)]);
    let runtime = runtime(&model);
    let polls = runtime.polls(task, start, runtime.now(), 10);
    assert_eq!(polls.len(), 1);
    assert_eq!((polls[0].start, polls[0].end, polls[0].verdict), (start, tape.now(), None));
    let lane = runtime.lane(task, start, runtime.now(), 5);
    assert!(lane.cells.iter().all(|cell| cell.polls == 1 && cell.busy > 0.99));
    let chain = runtime.explain(begun - 1).unwrap();
    assert_eq!((chain.end, chain.incomplete), (None, false));
}

#[test]
fn the_parked_lane_is_the_time_asleep() {
    let (tape, boards) = run(400);
    let model = model([board(blank_board()), events(tape.records())]);
    let runtime = runtime(&model);
    let lane = runtime.parked(tape.records()[0].at, runtime.now(), 50);
    let asleep: u64 = lane.cells.iter().map(|cell| cell.busy_ns).sum();
    assert_eq!(asleep, boards.last().unwrap().totals.parked);
}

#[test]
fn every_poll_of_a_server_is_explained_by_number() {
    let (tape, _) = run(400);
    let records = tape.records();
    let model = model([board(blank_board()), events(records)]);
    let runtime = runtime(&model);
    let mut by_io = 0;
    for record in records {
        let Event::PollStart { task, wake, .. } = record.event else { continue };
        let chain = runtime.explain(record.seq).expect("the poll is in the history");
        assert_eq!((chain.task, chain.start), (task, Some(*record)));
        assert!(!chain.incomplete, "{chain:?}");
        assert_eq!(chain.wake.map(|wake| wake.seq), wake);
        let end = chain.end.expect("all polls have ended");
        let Event::PollEnd { operations, .. } = end.event else { panic!("{end:?}") };
        assert_eq!(chain.operations.len(), usize::from(operations));
        for operation in &chain.operations {
            let Event::Operation { poll, .. } = operation.event else { panic!("{operation:?}") };
            assert_eq!(poll, Some(record.seq));
        }
        if let Some(Record { event: Event::Wake { cause, .. }, .. }) = chain.wake
            && let Cause::Io { token, event, .. } = cause
        {
            let found = chain.event.expect("the kernel's event is in the history");
            assert_eq!(Some(found.seq), event);
            assert!(matches!(found.event, Event::Transition { token: of, .. } if of == token));
            by_io += 1;
        }
        // All that belongs to a poll leads to the same chain.
        let parts = [chain.wake, chain.end].into_iter().flatten();
        let parts = parts.chain(chain.operations.clone()).chain(chain.others.clone());
        for part in parts.filter(|part| !matches!(part.event, Event::Wake { .. })) {
            assert_eq!(runtime.explain(part.seq).as_ref(), Some(&chain), "{part:?}");
        }
        for wake in chain.wake.iter().chain(&chain.redundant).chain(&chain.event) {
            assert_eq!(runtime.explain(wake.seq).as_ref(), Some(&chain), "{wake:?}");
        }
    }
    assert!(by_io > 50, "{by_io} polls by I/O are hardly a test");
}

/// A task with two tokens, both of which become ready before it is polled.
fn two_tokens() -> (Tape, TaskId, [TokenId; 2]) {
    let mut tape = Tape::new(RUNTIME, super::START, 4);
    let task = tape.spawn(StringId(1), StringId(2));
    tape.poll_start(task);
    let source = |fd| (nexus_protocol::event::SourceKind::TcpStream, fd);
    let tokens = [3, 4].map(|fd| {
        let token = tape.claim(source(fd), StringId(3), Interest::READABLE, (None, None));
        tape.wait(WaitFor::Token(token, Direction::Readable));
        token
    });
    tape.poll_end(PollResult::Pending);
    tape.sleep(1_000_000, 2);
    (tape, task, tokens)
}

#[test]
fn redundant_wakes_are_part_of_the_chain() {
    let (mut tape, task, [first, second]) = two_tokens();
    tape.ready(second, Readiness::READABLE);
    let event = tape.next_seq() - 2;
    tape.wake(task, Cause::Outside);
    let redundant = tape.next_seq() - 1;
    let start = tape.poll_start(task);
    tape.operate(Operation::Read, first, OperationResult::NotReady);
    tape.operate(Operation::Read, second, OperationResult::Done(10));
    tape.poll_end(PollResult::Pending);
    let model = model([board(blank_board()), events(tape.records())]);
    let chain = runtime(&model).explain(start).unwrap();
    assert_eq!(chain.event.map(|record| record.seq), Some(event));
    assert_eq!(chain.redundant.len(), 1);
    assert_eq!(chain.redundant[0].seq, redundant);
    let results: Vec<_> = chain.operations.iter().map(|record| record.event).collect();
    assert!(matches!(
        results[..],
        [
            Event::Operation { subject: Subject::Token(a), result: OperationResult::NotReady, .. },
            Event::Operation { subject: Subject::Token(b), result: OperationResult::Done(10), .. },
        ] if a == first && b == second
    ));
    let woken = runtime(&model).token_wakes(second, tape.now(), 5);
    assert_eq!(woken.len(), 1);
    assert!(runtime(&model).recent(Subject::Token(second), tape.now(), 3).len() == 3);
}

#[test]
fn a_chain_with_a_gap_says_so() {
    let (mut tape, task, [_, first]) = two_tokens();
    tape.ready(first, Readiness::READABLE);
    let wake = tape.next_seq() - 1;
    let start = tape.poll_start(task);
    tape.operate(Operation::Read, first, OperationResult::Done(1));
    tape.operate(Operation::Read, first, OperationResult::NotReady);
    tape.poll_end(PollResult::Pending);
    let records = tape.records();
    for (from, to) in
        [(wake - 1, wake), (wake, wake + 1), (start, start + 1), (start + 1, start + 2)]
    {
        let rest = (from as usize, to as usize);
        let model = model([
            board(blank_board()),
            events(&records[..rest.0]),
            loss(from, to),
            events(&records[rest.1..]),
        ]);
        let chain = runtime(&model).explain(tape.next_seq() - 1).expect("its end is there");
        assert!(chain.incomplete, "without record {from}: {chain:?}");
    }
    let last = records.len() - 1;
    let model =
        model([board(blank_board()), events(&records[..last]), loss(last as u64, last as u64 + 1)]);
    assert!(runtime(&model).explain(start).is_some());
}

#[test]
fn a_dead_wake_leads_to_no_poll() {
    let (mut tape, task, _) = two_tokens();
    tape.finish(task, nexus_protocol::event::TaskOutcome::Aborted);
    let seq = tape.wake(task, Cause::Outside);
    let model = model([board(blank_board()), events(tape.records())]);
    let record = runtime(&model).history().get(seq).unwrap();
    assert!(matches!(record.event, Event::Wake { outcome: WakeOutcome::Dead, .. }));
    assert_eq!(runtime(&model).explain(seq), None);
    assert_eq!(runtime(&model).explain(9_999_999), None);
}

#[test]
fn occupancy_over_time_is_what_the_boards_say() {
    let (tape, boards) = run(1_200);
    let attached = boards.last().unwrap();
    let oldest = boards[1].totals.recorded as usize;
    let history = &tape.records()[oldest..attached.totals.recorded as usize];
    let model = model([board(attached.clone()), events(history)]);
    let runtime = runtime(&model);
    for then in &boards[2..] {
        let cell = runtime.occupancy(Stamp(then.taken.0 - 1), then.taken, 1)[0];
        assert!(cell.known);
        assert_eq!(
            (u64::from(cell.last), u64::from(cell.capacity)),
            (then.totals.live, then.totals.capacity)
        );
    }
    let before = runtime.occupancy(Stamp(1), Stamp(2), 3);
    assert!(before.iter().all(|cell| !cell.known));
    let after = runtime.occupancy(Stamp(runtime.now().0 + 10), Stamp(runtime.now().0 + 20), 2);
    assert!(after.iter().all(|cell| !cell.known), "the future is not known");
    let whole = runtime.occupancy(runtime.earliest(), runtime.now(), 4);
    assert!(whole.iter().all(|cell| cell.known && cell.min <= cell.last && cell.last <= cell.max));
    assert!(whole.iter().any(|cell| cell.min < cell.max), "connections came and went");
}

#[test]
fn the_recording_for_screens_has_what_they_need() {
    let model = model(trace());
    let runtime = runtime(&model);
    let view = runtime.view();
    assert_eq!((view.tokens.len(), view.tasks.len()), (12, 10));
    assert_eq!(runtime.losses().count(), 1);
    assert!(
        view.tokens
            .iter()
            .any(|token| token.row.counters.operations == 0 && token.row.last_active.is_never())
    );
    assert!(view.tokens.iter().any(|token| token.row.token.generation > 1));
    let named = |name: &str| {
        let found = view.tasks.iter().find(|task| model.strings().get(task.row.name) == name);
        found.unwrap_or_else(|| panic!("no task {name}")).row.counters
    };
    assert!(named("feed").spurious > 100, "woken by writable in vain: {:?}", named("feed"));
    assert!(named("spinner").self_wakes > 100);
    assert!(named("jobs").unattributed > 5);
    assert!(named("ticker").wakes > 20);
    assert!(view.finished.len() > 2);
    assert!(view.rates.polls > 100.0 && view.rates.busy > 0.0 && view.rates.busy < 1.0);
    let rows = view.tasks.iter().map(|task| &task.row).chain(&view.finished);
    let longest = rows.map(|row| row.counters.longest).max();
    assert!(longest > Some(30_000_000), "one poll takes 30 ms");
}

#[test]
fn what_the_application_says_is_in_its_cell_and_in_its_poll() {
    let mut tape = Tape::new(RUNTIME, START, 4);
    let first = tape.snapshot();
    let task = tape.spawn(StringId::EMPTY, StringId::EMPTY);
    let (text, start) = (Fragment::split("order=7").0, tape.now());
    let mut said = Vec::new();
    tape.poll(task, PollResult::Pending, |tape| {
        for level in [Level::Info, Level::Error, Level::Info] {
            tape.pass(100);
            said.push(tape.record(Event::Log {
                level,
                message: StringId::EMPTY,
                target: StringId::EMPTY,
                location: StringId::EMPTY,
                span: None,
                texts: 1,
                task: Some(task),
                poll: None,
            }));
            said.push(tape.record(Event::Text { text }));
        }
    });
    let last = tape.snapshot();
    let model = model([board(first), events(tape.records())]);
    let runtime = runtime(&model);
    assert_eq!(runtime.view().totals, last.totals, "it changes nothing else");
    let lane = runtime.lane(task, start, Stamp(start.0 + 400), 4);
    let levels: Vec<_> = lane.cells.iter().map(LaneCell::level).collect();
    assert_eq!(levels, [None, Some(Level::Info), Some(Level::Error), Some(Level::Info)]);
    let whole = runtime.lane(task, start, Stamp(start.0 + 400), 1).cells[0];
    assert_eq!((whole.level(), whole.logs), (Some(Level::Error), [0, 1, 0, 2, 0, 0]));
    for &seq in &said {
        let chain = runtime.explain(seq).expect("it was said in a poll");
        assert_eq!(chain.others.iter().map(|record| record.seq).collect::<Vec<_>>(), said);
    }
}
