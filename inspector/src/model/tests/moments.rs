//! Any moment, however it is reached, is what a model shows that never heard of anything later.

use super::rows::{assert_is_board, blank_board};
use super::streams::{Step, play, steps};
use super::{RUNTIME, START, board, events, loss, model_within, runtime};
use crate::model::testing::Tape;
use crate::model::{Limits, Runtime, View};
use nexus_protocol::board::{Activity, Snapshot};
use nexus_protocol::frame::ServerFrame;
use nexus_protocol::{Record, Stamp};
use proptest::prelude::*;

/// A made-up stream: all records, the boards taken on the way, and what the inspector gets of it.
#[derive(Debug)]
struct Stream {
    boards: Vec<Snapshot>,
    frames: Vec<ServerFrame>,
}

/// How a stretch of records, and the board at its end, are delivered.
#[derive(Clone, Copy, Debug)]
struct Delivery {
    board_first: bool,
    board_missing: bool,
    /// The board comes after the next stretch's records only.
    board_late: bool,
    /// How many records of the stretch are lost, at its beginning.
    lost: u8,
    batch: u8,
}

fn delivery() -> impl Strategy<Value = Delivery> {
    let lost = prop_oneof![4 => Just(0u8), 1 => 1u8..40];
    let (missing, late) = (prop::bool::weighted(0.2), prop::bool::weighted(0.3));
    (any::<bool>(), missing, late, lost, 1u8..60).prop_map(
        |(board_first, board_missing, board_late, lost, batch)| Delivery {
            board_first,
            board_missing,
            board_late,
            lost,
            batch,
        },
    )
}

fn stream(stretches: &[(Vec<Step>, Delivery)]) -> Stream {
    let mut tape = Tape::new(RUNTIME, START, 2);
    let first = blank_board();
    let mut boards = vec![first.clone()];
    let mut frames = vec![board(first)];
    let (mut sent, mut late) = (0, None);
    for (steps, delivery) in stretches {
        play(&mut tape, steps);
        let snapshot = tape.snapshot();
        let until = tape.records().len();
        let lost = usize::from(delivery.lost).min(until - sent);
        let mut records = Vec::new();
        if lost > 0 {
            records.push(loss(sent as u64, (sent + lost) as u64));
        }
        let rest = &tape.records()[sent + lost..];
        records.extend(rest.chunks(usize::from(delivery.batch)).map(events));
        sent = until;
        if delivery.board_missing {
            frames.extend(records);
            frames.extend(late.take());
            continue;
        }
        boards.push(snapshot.clone());
        let snapshot = board(snapshot);
        if delivery.board_first {
            frames.extend(late.take());
            frames.push(snapshot);
            frames.extend(records);
        } else {
            frames.extend(records);
            frames.extend(late.take());
            if delivery.board_late {
                late = Some(snapshot);
            } else {
                frames.push(snapshot);
            }
        }
    }
    frames.extend(late);
    Stream { boards, frames }
}

/// What had been sent, had the process stopped at `at`.
fn until(stream: &Stream, at: Stamp) -> Vec<ServerFrame> {
    let is_past = |record: &&Record| record.at <= at;
    let told = stream.frames.iter().filter_map(|frame| match frame {
        ServerFrame::Events { records, .. } => records.iter().rfind(is_past),
        _ => None,
    });
    let told = told.map(|record| record.seq + 1).max().unwrap_or(0);
    let has_board = |snapshot: &Snapshot| snapshot.totals.recorded < told || snapshot.taken <= at;
    let boards = stream.boards.iter().filter(|snapshot| has_board(snapshot));
    let end = boards.map(|snapshot| snapshot.totals.recorded).max().unwrap_or(0).max(told);
    // A loss behind the last record is known at the last moment only.
    let is_last = moments(stream).last() == Some(&at);
    let kept = stream.frames.iter().filter_map(|frame| match frame {
        ServerFrame::Events { records, .. } => {
            let past: Vec<Record> = records.iter().filter(is_past).copied().collect();
            (!past.is_empty()).then(|| events(&past))
        }
        ServerFrame::Snapshot(snapshot) => has_board(snapshot).then(|| frame.clone()),
        ServerFrame::Loss { to, .. } => (*to <= end || is_last).then(|| frame.clone()),
        _ => None,
    });
    kept.collect()
}

/// All moments at which something changes.
fn moments(stream: &Stream) -> Vec<Stamp> {
    let mut moments: Vec<Stamp> = stream.boards.iter().map(|snapshot| snapshot.taken).collect();
    for frame in &stream.frames {
        if let ServerFrame::Events { records, .. } = frame {
            moments.extend(records.iter().map(|record| record.at));
        }
    }
    moments.sort_unstable();
    moments.dedup();
    moments
}

/// A sleep is known only when it ends, so only a later view can tell of it.
fn without_sleep(mut view: View, other: &View) -> View {
    if view.activity == Activity::Parked {
        (view.activity, view.since) = (other.activity, other.since);
    }
    view
}

fn without_rates(mut view: View) -> View {
    view.rates = Default::default();
    view.tokens.iter_mut().for_each(|token| token.rates = Default::default());
    view.tasks.iter_mut().for_each(|task| task.rates = Default::default());
    view
}

/// Limits under which checkpoints are made every few records.
fn dense(records: usize) -> Limits {
    Limits { records, ..Limits::default() }
}

#[track_caller]
fn compare(
    runtime: &Runtime,
    stream: &Stream,
    at: Stamp,
    limits: Limits,
) -> Result<(), TestCaseError> {
    let naive = model_within(limits, until(stream, at));
    let naive = super::runtime(&naive);
    prop_assert_eq!(naive.now(), at);
    let expected = naive.view();
    let found = without_sleep(runtime.view_at(at), &expected);
    prop_assert_eq!(found, expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_view_of_any_moment_is_that_of_a_stream_that_ended_there(
        stretches in prop::collection::vec((steps(40), delivery()), 1..8),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 12),
    ) {
        let stream = stream(&stretches);
        // So many records are never reached, but checkpoints are made every 128.
        let limits = dense(1024);
        let model = model_within(limits, stream.frames.clone());
        let moments = moments(&stream);
        for pick in picks {
            compare(runtime(&model), &stream, *pick.get(&moments), Limits::default())?;
        }
    }

    #[test]
    fn what_is_forgotten_does_not_change_what_is_kept(
        mut stretches in prop::collection::vec((steps(60), delivery()), 2..8),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 4),
    ) {
        // A board that belongs before all that is kept is of no use.
        stretches.iter_mut().for_each(|(_, delivery)| delivery.board_late = false);
        let stream = stream(&stretches);
        let whole = model_within(Limits::default(), stream.frames.clone());
        let (whole, moments) = (runtime(&whole), moments(&stream));
        for limits in [dense(64), dense(1), Limits { checkpoint_rows: 40, ..dense(256) }] {
            let model = model_within(limits, stream.frames.clone());
            let few = runtime(&model);
            prop_assert!(few.history().len() <= limits.records);
            prop_assert_eq!(without_rates(few.view()), without_rates(whole.view()));
            for pick in &picks {
                let at = (*pick.get(&moments)).max(few.earliest());
                let (found, expected) = (few.view_at(at), whole.view_at(at));
                prop_assert_eq!(without_rates(found), without_rates(expected));
            }
        }
    }

    #[test]
    fn a_snapshot_with_late_rows_leads_to_the_same_board(
        stretches in (steps(40), steps(12), steps(40)),
        known_before in any::<bool>(),
    ) {
        let mut tape = Tape::new(RUNTIME, START, 2);
        play(&mut tape, &stretches.0);
        let early = tape.snapshot();
        play(&mut tape, &stretches.1);
        let late = tape.snapshot();
        play(&mut tape, &stretches.2);
        let mixed = Snapshot { tokens: late.tokens, tasks: late.tasks, ..early.clone() };
        let (before, after) = tape.records().split_at(early.totals.recorded as usize);
        let mut frames = vec![events(before), board(mixed), events(after)];
        if known_before {
            frames.insert(0, board(blank_board()));
        }
        let model = model_within(Limits::default(), frames);
        let (mut view, last) = (runtime(&model).view(), tape.snapshot());
        // Whether a task that ended without a row was in the queue cannot be told; turns set that right.
        view.totals.queued = last.totals.queued;
        assert_is_board(&view, &last);
    }
}
