//! Rows and counters: what is followed record by record is what the board says.

use super::{RUNTIME, START, board, events, loss, model, runtime};
use crate::model::testing::{Tape, run};
use crate::model::{Certainty, View};
use nexus_protocol::board::{Snapshot, TaskRow, TokenRow};
use nexus_protocol::event::{Cycle, PollResult};
use nexus_protocol::frame::ServerFrame;
use nexus_protocol::{Stamp, StringId};

/// Compares a view with a board. Where a row stands in the sequence is not compared beyond the board's place: it may
/// know of any record that did not concern it.
#[track_caller]
pub(super) fn assert_is_board(view: &View, snapshot: &Snapshot) {
    let place = snapshot.totals.recorded;
    let token = |row: &TokenRow| TokenRow { next_seq: row.next_seq.max(place), ..*row };
    let task = |row: &TaskRow| TaskRow { next_seq: row.next_seq.max(place), ..*row };
    let ours: Vec<_> = view.tokens.iter().map(|entry| token(&entry.row)).collect();
    let theirs: Vec<_> = snapshot.tokens.iter().map(token).collect();
    assert_eq!(ours, theirs);
    let ours: Vec<_> = view.tasks.iter().map(|entry| task(&entry.row)).collect();
    let theirs: Vec<_> = snapshot.tasks.iter().map(task).collect();
    assert_eq!(ours, theirs);
    assert_eq!(view.totals, snapshot.totals);
    assert_eq!((view.activity, view.since), (snapshot.activity, snapshot.since));
}

/// The board of a runtime before its first record.
pub(super) fn blank_board() -> Snapshot {
    Tape::new(RUNTIME, START, 0).snapshot()
}

#[test]
fn a_server_followed_from_its_first_record_is_what_its_board_says() {
    let (tape, boards) = run(900);
    let mut model = model([board(blank_board())]);
    let mut sent = 0;
    assert!(boards.len() >= 9);
    for snapshot in boards {
        let until = snapshot.totals.recorded as usize;
        model.apply(events(&tape.records()[sent..until]));
        sent = until;
        let view = runtime(&model).view();
        assert_eq!(view.certainty, Certainty::Exact);
        assert_is_board(&view, &snapshot);
    }
}

#[test]
fn history_before_the_first_snapshot_is_what_the_board_said_then() {
    let (tape, boards) = run(1_500);
    let attached = boards.last().unwrap();
    let oldest = boards[2].totals.recorded as usize + 7;
    let history = &tape.records()[oldest..attached.totals.recorded as usize];
    let mut model = model([board(attached.clone())]);
    for batch in history.chunks(100) {
        model.apply(events(batch));
    }
    let runtime = runtime(&model);
    assert_is_board(&runtime.view(), attached);
    let mut compared = 0;
    for then in boards.iter().filter(|then| then.totals.recorded as usize > oldest) {
        let view = runtime.view_at(then.taken);
        assert_eq!(view.certainty, Certainty::Exact);
        assert_eq!(view.next_seq, then.totals.recorded);
        assert_eq!(view.totals, then.totals);
        assert_eq!(view.tokens.len(), then.tokens.len());
        assert_eq!(view.tasks.len(), then.tasks.len());
        for row in &then.tokens {
            let ours = view.token(row.token).expect("the token lived").row;
            let lives_on = attached.tokens.iter().any(|later| later.token == row.token);
            assert_eq!(ours.readiness, row.readiness);
            if lives_on {
                assert_eq!((ours.interest, ours.owner), (row.interest, row.owner));
                assert_eq!(ours.counters, row.counters, "{}", row.token);
                assert_eq!((ours.local, ours.peer, ours.fd), (row.local, row.peer, row.fd));
                let waiters = (row.waiters_readable, row.waiters_writable);
                assert_eq!((ours.waiters_readable, ours.waiters_writable), waiters);
                compared += 1;
            }
        }
        for row in &then.tasks {
            let ours = view.task(row.task).expect("the task lived").row;
            if attached.tasks.iter().any(|later| later.task == row.task) {
                assert_eq!(ours.state, row.state);
                let longest = ours.counters.longest;
                let mut counters = row.counters;
                assert!(longest <= counters.longest, "the longest poll before is not known");
                counters.longest = longest;
                assert_eq!(ours.counters, counters, "task {}", row.task);
                assert_eq!((ours.waits, ours.waiting_for), (row.waits, row.waiting_for));
                compared += 1;
            }
        }
    }
    assert!(compared > 150, "{compared} rows is hardly a comparison");
}

#[test]
fn a_gap_leaves_rows_stale_until_the_next_snapshot() {
    let (tape, boards) = run(600);
    let records = tape.records();
    let (before, after) = (&boards[2], &boards[4]);
    let lost_from = before.totals.recorded + 50;
    let lost_to = lost_from + 100;
    let mut model = model([board(blank_board())]);
    model.apply(events(&records[..lost_from as usize]));
    assert_eq!(runtime(&model).view().certainty, Certainty::Exact);
    model.apply(loss(lost_from, lost_to));
    let Certainty::Stale(gap) = runtime(&model).view().certainty else {
        panic!("the records are gone")
    };
    assert_eq!((gap.from, gap.to), (lost_from, lost_to));
    model.apply(events(&records[lost_to as usize..after.totals.recorded as usize]));
    assert!(matches!(runtime(&model).view().certainty, Certainty::Stale(_)));
    model.apply(board(after.clone()));
    let view = runtime(&model).view();
    assert_eq!(view.certainty, Certainty::Exact);
    assert_is_board(&view, after);
    let then = runtime(&model).view_at(records[lost_to as usize + 10].at);
    assert!(matches!(then.certainty, Certainty::Stale(_)), "what was stale then stays so");
    let losses: Vec<_> = runtime(&model).losses().collect();
    assert_eq!(losses.len(), 1);
    assert_eq!(losses[0].after, records[lost_from as usize - 1].at);
    assert_eq!(losses[0].before, records[lost_to as usize].at);
    let counts = runtime(&model).counts();
    assert_eq!(counts.lost, 100);
    assert_eq!(counts.delivered + counts.lost, after.totals.recorded);
}

#[test]
fn rows_that_were_copied_later_than_the_totals_are_not_counted_twice() {
    let (tape, boards) = run(400);
    let records = tape.records();
    let (early, late) = (&boards[2], &boards[3]);
    // Totals of the earlier board, rows of the later one: as if the copy had taken that long.
    let mixed =
        Snapshot { tokens: late.tokens.clone(), tasks: late.tasks.clone(), ..early.clone() };
    let mut model = model([board(blank_board())]);
    model.apply(events(&records[..early.totals.recorded as usize]));
    model.apply(board(mixed));
    model.apply(events(&records[early.totals.recorded as usize..late.totals.recorded as usize]));
    assert_is_board(&runtime(&model).view(), late);
}

#[test]
fn an_attach_to_rows_that_were_copied_later_rolls_back_the_same() {
    let (tape, boards) = run(800);
    let records = tape.records();
    let (then, early, late) = (&boards[4], &boards[5], &boards[6]);
    let mixed =
        Snapshot { tokens: late.tokens.clone(), tasks: late.tasks.clone(), ..early.clone() };
    let history = &records[boards[1].totals.recorded as usize..late.totals.recorded as usize];
    let model = model([board(mixed), events(history)]);
    let view = runtime(&model).view_at(then.taken);
    for row in &then.tokens {
        if let Some(later) = late.tokens.iter().find(|later| later.token == row.token) {
            assert_eq!(view.token(later.token).unwrap().row.counters, row.counters);
        }
    }
    for row in &then.tasks {
        if late.tasks.iter().any(|later| later.task == row.task) {
            let ours = view.task(row.task).unwrap().row.counters;
            assert_eq!((ours.polls, ours.busy), (row.counters.polls, row.counters.busy));
        }
    }
    assert_is_board(&runtime(&model).view(), late);
}

#[test]
fn before_any_snapshot_there_is_what_the_records_tell() {
    let (tape, boards) = run(300);
    let model = model([events(tape.records())]);
    let view = runtime(&model).view();
    assert_eq!(view.certainty, Certainty::NoSnapshot);
    let last = boards.last().unwrap();
    assert_eq!(view.tokens.len(), last.tokens.len());
    assert_eq!(view.totals.polls, last.totals.polls);
}

#[test]
fn a_snapshot_shows_before_the_records_that_lead_up_to_it() {
    let (tape, boards) = run(300);
    let last = boards.last().unwrap();
    let mut model = model([board(last.clone())]);
    assert_is_board(&runtime(&model).view(), last);
    assert_eq!(runtime(&model).now(), last.taken);
    model.apply(ServerFrame::Goodbye(nexus_protocol::frame::Goodbye::ProcessEnding));
    assert_is_board(&runtime(&model).view(), last);
    assert!(tape.next_seq() > 0 && runtime(&model).history().is_empty());
}

#[test]
fn finished_tasks_are_kept_with_their_outcome() {
    let (tape, _) = run(600);
    let model = model([board(blank_board()), events(tape.records())]);
    let view = runtime(&model).view();
    let finished = view.totals.tasks_finished as usize;
    assert!(finished > 0);
    assert_eq!(view.finished.len(), finished);
    assert!(view.finished.iter().all(|row| row.outcome.is_some() && row.counters.polls > 1));
}

#[test]
fn a_row_that_was_copied_while_it_changed_stays_marked_until_a_whole_copy_comes() {
    let (tape, boards) = run(400);
    let records = tape.records();
    let (first, second, third) = (&boards[1], &boards[2], &boards[3]);
    let mut mixed = first.clone();
    let row = &mut mixed.tasks[0];
    (row.changing, row.counters.polls) = (true, row.counters.polls + 1);
    let task = row.task;
    let oldest = boards[0].totals.recorded as usize;
    let history = &records[oldest..second.totals.recorded as usize];
    let mut model = model([board(mixed), events(history)]);
    assert!(runtime(&model).view().task(task).unwrap().row.changing);
    model.apply(board(second.clone()));
    assert_is_board(&runtime(&model).view(), second);
    model.apply(events(&records[second.totals.recorded as usize..third.totals.recorded as usize]));
    let mut mixed = third.clone();
    (mixed.tasks[0].changing, mixed.tasks[0].counters.polls) = (true, 0);
    model.apply(board(mixed));
    assert_is_board(&runtime(&model).view(), third);
}

#[test]
fn totals_that_were_copied_in_the_middle_of_a_record_do_not_count_it_twice() {
    let (tape, boards) = run(500);
    let records = tape.records();
    let end = &boards[4];
    let mut model = model([board(blank_board())]);
    let mut sent = 0;
    for snapshot in &boards[1..4] {
        let until = snapshot.totals.recorded as usize;
        model.apply(events(&records[sent..until]));
        sent = until;
        let mut younger = snapshot.clone();
        younger.totals.polls += 1;
        younger.totals.wakes += 1;
        model.apply(board(younger));
        assert_is_board(&runtime(&model).view(), snapshot);
    }
    model.apply(events(&records[sent..end.totals.recorded as usize]));
    assert_is_board(&runtime(&model).view(), end);
}

/// Polls that were recorded as one count as what they stand for, forwards and backwards.
#[test]
fn repeats_count_as_the_polls_they_stand_for() {
    let mut tape = Tape::new(RUNTIME, START, 4);
    let mut boards = vec![tape.snapshot()];
    let task = tape.spawn(StringId::EMPTY, StringId::EMPTY);
    for cycle in [Cycle::SelfWake, Cycle::Yield] {
        for _ in 0..2 {
            tape.poll(task, PollResult::Pending, |tape| {
                tape.pass(40);
                tape.wake(task, cycle.cause());
            });
            tape.pass(10);
        }
        tape.repeats(task, cycle, 1_000, 25);
        boards.push(tape.snapshot());
        tape.pass(1);
        tape.look(0);
        tape.poll(task, PollResult::Pending, |tape| {
            tape.pass(5);
            tape.wake(task, cycle.cause());
        });
    }
    boards.push(tape.snapshot());
    let last = boards.last().unwrap();
    let counters = last.tasks[0].counters;
    assert_eq!((counters.polls, counters.wakes, counters.self_wakes), (2_006, 2_007, 1_003));
    assert_eq!((counters.spurious, counters.busy), (1_002, 50_000 + 4 * 40 + 2 * 5));

    let mut forwards = model([board(boards[0].clone())]);
    let mut sent = 0;
    for snapshot in &boards[1..] {
        let until = snapshot.totals.recorded as usize;
        forwards.apply(events(&tape.records()[sent..until]));
        sent = until;
        assert_is_board(&runtime(&forwards).view(), snapshot);
    }

    let mut backwards = model([board(last.clone())]);
    backwards.apply(events(tape.records()));
    for snapshot in &boards[1..] {
        let view = runtime(&backwards).view_at(snapshot.taken);
        assert_eq!(view.totals, snapshot.totals);
        assert_eq!(view.task_row(task).unwrap().counters, snapshot.tasks[0].counters);
    }

    let repeats = boards[1].taken;
    let cell = |from: u64, to: u64| {
        let (from, to) = (Stamp(repeats.0 - from), Stamp(repeats.0 - to));
        runtime(&forwards).lane(task, from, to, 1).cells[0]
    };
    let (all, half) = (cell(50_000, 1), cell(25_000, 1));
    assert_eq!((all.polls, all.spurious, all.busy_ns), (1_000, 1_000, 25_000));
    assert_eq!((half.polls, half.spurious, half.busy_ns), (500, 500, 12_500));
    assert_eq!(cell(10_002, 10_001).polls, 1, "of what lasts through a cell there is something");
}
