//! A runtime's board and description as they travel: copied without the runtime's help, with all stamps in nanoseconds.

use super::timeline::{StampReader, Timeline};
use crate::record::registry::{Observed, Recording};
use nexus_protocol::board::{Snapshot, TaskCounters, TaskRow, TokenRow, Totals, total_word};
use nexus_protocol::clock::ClockMap;
use nexus_protocol::event::{Cause, Event, Record, WokenBy};
use nexus_protocol::frame::RuntimeInfo;
use nexus_protocol::ids::{Seq, Stamp};
use nexus_protocol::record::Words;

/// Describes a runtime as it is now.
pub(super) fn info(runtime: &Observed, timeline: &Timeline) -> RuntimeInfo {
    let (mut ring_capacity, mut recorded, mut tokens, mut tasks) = (0, 0, 0, 0);
    if let Some(Recording { ring, board, .. }) = runtime.recording.as_deref() {
        let totals = Totals::from_words(&board.totals(ring).words);
        (ring_capacity, recorded) = (ring.capacity(), totals.recorded);
        (tokens, tasks) = (totals.live, totals.tasks());
    }
    RuntimeInfo {
        id: runtime.id,
        name: runtime.name.clone(),
        thread: runtime.thread,
        started: timeline.map(runtime.started),
        ended: timeline.map(runtime.ended()),
        ring_capacity,
        recorded,
        tokens,
        tasks,
    }
}

/// Copies the board of a runtime. The totals come first, then the rows: a row may be younger than the totals, not older.
pub(super) fn take(
    runtime: &Observed,
    recording: &Recording,
    now: Stamp,
    timeline: &Timeline,
) -> Snapshot {
    let Recording { ring, board, .. } = recording;
    let totals = board.totals(ring);
    let tokens = board.tokens.copies().filter_map(|row| {
        let row = TokenRow::from_words(&row.words, row.changing, &ClockMap::IDENTITY)?;
        Some(token_row(row, timeline))
    });
    let tasks = board.tasks.copies().filter_map(|row| {
        let row = TaskRow::from_words(&row.words, row.changing, &ClockMap::IDENTITY)?;
        Some(task_row(row, timeline))
    });
    let mut words = totals.words;
    for word in [total_word::BUSY, total_word::WASTED, total_word::PARKED] {
        words[word] = timeline.map_length(words[word]);
    }
    Snapshot {
        runtime: runtime.id,
        taken: timeline.map(now),
        activity: totals.activity,
        since: timeline.map(totals.since),
        totals: Totals::from_words(&words),
        tokens: tokens.collect(),
        tasks: tasks.collect(),
    }
}

fn token_row(row: TokenRow, timeline: &Timeline) -> TokenRow {
    TokenRow {
        claimed: timeline.map(row.claimed),
        last_active: timeline.map(row.last_active),
        read_closed: timeline.map(row.read_closed),
        ..row
    }
}

fn task_row(row: TaskRow, timeline: &Timeline) -> TaskRow {
    let counters = row.counters;
    TaskRow {
        spawned: timeline.map(row.spawned),
        since: timeline.map(row.since),
        counters: TaskCounters {
            busy: timeline.map_length(counters.busy),
            wasted: timeline.map_length(counters.wasted),
            longest: timeline.map_length(counters.longest),
            waited: timeline.map_length(counters.waited),
            ..counters
        },
        ..row
    }
}

/// A record of the ring with its stamps in nanoseconds.
#[inline]
pub(super) fn record(seq: Seq, words: Words, stamps: &mut StampReader<'_>) -> Record {
    let mut record = Record::from_words(seq, words, &ClockMap::IDENTITY);
    record.at = stamps.map(record.at);
    match &mut record.event {
        Event::Turn { parked: stamp, .. }
        | Event::PollEnd { started: stamp, .. }
        | Event::SpanExited { entered: stamp, .. }
        | Event::Wake { cause: Cause::Thread { woken: stamp, .. }, .. }
        | Event::Wake {
            cause: Cause::Primitive { by: WokenBy::Thread { woken: stamp, .. }, .. },
            ..
        } => {
            *stamp = stamps.map(*stamp);
        }
        Event::Repeats { first, busy, shortest, longest, .. } => {
            *first = stamps.map(*first);
            for length in [busy, shortest, longest] {
                *length = stamps.map_length(*length);
            }
        }
        _ => {}
    }
    record
}
