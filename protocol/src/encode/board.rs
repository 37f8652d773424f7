//! Snapshots of the board to bytes. A row is a block of its own, so that later versions can add fields to it.

use super::{block, frame_kind, framed};
use crate::board::{Snapshot, TaskRow, TokenRow};
use crate::event::Address;
use crate::limits;
use crate::record::wait_words;
use crate::varint::{put, put_signed};
use std::net::SocketAddr;

/// Appends as many frames as the rows need; the last one says that it is the last.
pub(super) fn snapshot(snapshot: &Snapshot, out: &mut Vec<u8>) {
    let bounded = |rows: usize| rows.min(limits::MAX_SNAPSHOT_ROWS);
    let mut tokens = &snapshot.tokens[..bounded(snapshot.tokens.len())];
    let mut tasks = &snapshot.tasks[..bounded(snapshot.tasks.len())];
    let mut part = 0;
    loop {
        let (tokens_now, tokens_later) = tokens.split_at(tokens.len().min(limits::MAX_ROWS));
        let (tasks_now, tasks_later) = tasks.split_at(tasks.len().min(limits::MAX_ROWS));
        let last = tokens_later.is_empty() && tasks_later.is_empty();
        framed(out, frame_kind::SERVER_SNAPSHOT, |out| {
            put(out, u64::from(snapshot.runtime.0));
            put(out, part);
            out.push(u8::from(last));
            if part == 0 {
                block(out, |out| head(snapshot, out));
            }
            put(out, tokens_now.len() as u64);
            tokens_now.iter().for_each(|row| block(out, |out| token(row, out)));
            put(out, tasks_now.len() as u64);
            tasks_now.iter().for_each(|row| block(out, |out| task(row, out)));
        });
        if last {
            return;
        }
        (tokens, tasks, part) = (tokens_later, tasks_later, part + 1);
    }
}

fn head(snapshot: &Snapshot, out: &mut Vec<u8>) {
    let (activity, task) = snapshot.activity.words();
    put(out, snapshot.taken.0);
    put(out, activity);
    put(out, task);
    put(out, snapshot.since.0);
    let totals = snapshot.totals.to_words();
    put(out, totals.len() as u64);
    totals.into_iter().for_each(|total| put(out, total));
}

fn token(row: &TokenRow, out: &mut Vec<u8>) {
    put(out, row.next_seq);
    put(out, u64::from(row.token.slot));
    put(out, u64::from(row.token.generation));
    out.push(u8::from(row.changing));
    out.push(row.kind.code());
    put_signed(out, i64::from(row.fd));
    out.push(row.interest.bits());
    out.push(row.readiness.bits());
    put(out, row.owner.map_or(0, |task| task.0));
    put(out, u64::from(row.location.0));
    for stamp in [row.claimed, row.last_active, row.read_closed] {
        put(out, stamp.0);
    }
    address(row.local, out);
    address(row.peer, out);
    put(out, u64::from(row.waiters_readable));
    put(out, u64::from(row.waiters_writable));
    let counters = &row.counters;
    for counter in [
        counters.events,
        counters.wakes,
        counters.spurious,
        counters.stale,
        counters.operations,
        counters.would_block,
        counters.not_ready,
        counters.errors,
        counters.bytes_in,
        counters.bytes_out,
    ] {
        put(out, counter);
    }
}

fn task(row: &TaskRow, out: &mut Vec<u8>) {
    put(out, row.next_seq);
    put(out, row.task.0);
    out.push(u8::from(row.changing));
    out.push(row.state as u8);
    out.push(row.outcome.map_or(0, |outcome| outcome.code()));
    put(out, u64::from(row.location.0));
    put(out, u64::from(row.name.0));
    put(out, row.spawned.0);
    put(out, row.since.0);
    out.push(row.last_wake_cause);
    let (kind, direction, id) = row.waiting_for.map_or((0, 0, 0), wait_words);
    out.extend_from_slice(&[kind, direction]);
    put(out, id);
    put(out, u64::from(row.waits));
    let counters = &row.counters;
    for counter in [
        counters.polls,
        counters.wakes,
        counters.redundant,
        counters.self_wakes,
        counters.spurious,
        counters.unattributed,
        counters.operations,
        counters.progress,
        counters.busy,
        counters.wasted,
        counters.longest,
        counters.waited,
    ] {
        put(out, counter);
    }
}

/// Appends an address as a block: empty for none, else a family and what it takes.
fn address(address: Option<Address>, out: &mut Vec<u8>) {
    block(out, |out| match address {
        None => {}
        Some(Address::Inet(SocketAddr::V4(v4))) => {
            out.push(1);
            put(out, u64::from(v4.port()));
            out.extend_from_slice(&v4.ip().octets());
        }
        Some(Address::Inet(SocketAddr::V6(v6))) => {
            out.push(2);
            put(out, u64::from(v6.port()));
            out.extend_from_slice(&v6.ip().octets());
        }
        Some(Address::Unix(path)) => {
            out.push(3);
            put(out, u64::from(path.0));
        }
    });
}
