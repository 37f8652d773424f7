//! Bytes to snapshots, put together from their parts.

use super::Skipped;
use super::cursor::{Cursor, DecodeError, Problem};
use super::frame::runtime;
use crate::board::{
    Activity, Snapshot, TaskCounters, TaskRow, TaskState, TokenCounters, TokenRow, Totals,
    total_word,
};
use crate::encode::frame_kind;
use crate::event::{Address, SourceKind, TaskOutcome};
use crate::ids::{Stamp, StringId, TaskId, TokenId};
use crate::limits;
use crate::readiness::{Interest, Readiness};
use crate::record::wait_from_words;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// A snapshot of which more parts are to come.
#[derive(Debug, Default)]
pub struct Partial {
    begun: Option<(Snapshot, u64)>,
}

impl Partial {
    /// Refuses every frame but the next part while a snapshot is incomplete.
    pub(super) fn allows(&self, kind: u8, payload: &Cursor<'_>) -> Result<(), DecodeError> {
        if self.begun.is_some() && kind != frame_kind::SERVER_SNAPSHOT {
            return Err(contradiction(payload, "another frame interrupts a snapshot"));
        }
        Ok(())
    }

    /// Adds a part; the snapshot, if it was the last one.
    pub(super) fn add(
        &mut self,
        payload: &mut Cursor<'_>,
        skipped: &mut Skipped,
    ) -> Result<Option<Snapshot>, DecodeError> {
        let runtime = runtime(payload)?;
        let part = payload.varint("number of a snapshot's part")?;
        let last = payload.byte("flags of a snapshot")? & 1 != 0;
        let mut snapshot = match self.begun.take() {
            None if part == 0 => {
                let totals = &mut payload.block("head of a snapshot")?;
                head(runtime, totals)?
            }
            Some((snapshot, next)) if next == part && snapshot.runtime == runtime => snapshot,
            _ => return Err(contradiction(payload, "parts of a snapshot are not in order")),
        };
        rows(payload, &mut snapshot.tokens, "number of token rows", |block| {
            token(block).map(Some)
        })?;
        rows(payload, &mut snapshot.tasks, "number of task rows", |block| {
            let row = task(block)?;
            skipped.rows += u64::from(row.is_none());
            Ok(row)
        })?;
        if last {
            return Ok(Some(snapshot));
        }
        self.begun = Some((snapshot, part + 1));
        Ok(None)
    }
}

fn contradiction(payload: &Cursor<'_>, what: &'static str) -> DecodeError {
    payload.error(Problem::Contradiction { what })
}

fn rows<R>(
    payload: &mut Cursor<'_>,
    rows: &mut Vec<R>,
    what: &'static str,
    mut row: impl FnMut(&mut Cursor<'_>) -> Result<Option<R>, DecodeError>,
) -> Result<(), DecodeError> {
    let count = payload.count(limits::MAX_ROWS, what)?;
    if rows.len() + count > limits::MAX_SNAPSHOT_ROWS {
        let (value, limit) = ((rows.len() + count) as u64, limits::MAX_SNAPSHOT_ROWS as u64);
        return Err(payload.error(Problem::TooLarge { what, value, limit }));
    }
    for _ in 0..count {
        rows.extend(row(&mut payload.block("row of a snapshot")?)?);
    }
    Ok(())
}

fn head(runtime: crate::RuntimeId, block: &mut Cursor<'_>) -> Result<Snapshot, DecodeError> {
    let taken = Stamp(block.varint("stamp of a snapshot")?);
    let code = block.varint("activity")?;
    let activity = Activity::from_words(code, block.varint("polled task")?);
    let since = Stamp(block.varint("start of the activity")?);
    // Totals that an older peer does not send stay zero, those that only a newer one knows are passed over.
    let count = block.count(limits::MAX_FRAME, "number of totals")?;
    let mut words = [0; total_word::COUNT];
    for word in words.iter_mut().take(count) {
        *word = block.varint("total")?;
    }
    Ok(Snapshot {
        runtime,
        taken,
        activity,
        since,
        totals: Totals::from_words(&words),
        tokens: Vec::new(),
        tasks: Vec::new(),
    })
}

fn token(block: &mut Cursor<'_>) -> Result<TokenRow, DecodeError> {
    Ok(TokenRow {
        next_seq: block.varint("next record of a row")?,
        token: TokenId {
            slot: block.u32("slot of a row")?,
            generation: block.u32("generation of a row")?,
        },
        changing: block.byte("flags of a row")? & 1 != 0,
        kind: SourceKind::from_code(block.byte("kind of a source")?).unwrap_or(SourceKind::Other),
        fd: block.signed("descriptor")? as i32,
        interest: Interest::from_bits(block.byte("interest")?),
        readiness: Readiness::from_bits(block.byte("readiness")?),
        owner: TaskId::from_word(block.varint("owner")?),
        location: StringId(block.u32("location")?),
        claimed: Stamp(block.varint("stamp of a claim")?),
        last_active: Stamp(block.varint("stamp of the last activity")?),
        read_closed: Stamp(block.varint("stamp of the peer's close")?),
        local: address(block)?,
        peer: address(block)?,
        waiters_readable: block.u32("waiters for readable")?,
        waiters_writable: block.u32("waiters for writable")?,
        counters: TokenCounters {
            events: block.varint("events")?,
            wakes: block.varint("wakes")?,
            spurious: block.varint("spurious polls")?,
            stale: block.varint("stale events")?,
            operations: block.varint("operations")?,
            would_block: block.varint("operations that would block")?,
            not_ready: block.varint("operations that were not ready")?,
            errors: block.varint("errors")?,
            bytes_in: block.varint("bytes in")?,
            bytes_out: block.varint("bytes out")?,
        },
    })
}

/// A task's row, or `None` if its state is not known here.
fn task(block: &mut Cursor<'_>) -> Result<Option<TaskRow>, DecodeError> {
    let next_seq = block.varint("next record of a row")?;
    let task = TaskId(block.varint("task of a row")?);
    let changing = block.byte("flags of a row")? & 1 != 0;
    let Some(state) = TaskState::from_code(block.byte("state of a task")?) else {
        return Ok(None);
    };
    Ok(Some(TaskRow {
        next_seq,
        task,
        changing,
        state,
        outcome: TaskOutcome::from_code(block.byte("outcome of a task")?),
        location: StringId(block.u32("location")?),
        name: StringId(block.u32("name")?),
        spawned: Stamp(block.varint("stamp of a spawn")?),
        since: Stamp(block.varint("start of a state")?),
        last_wake_cause: block.byte("cause of the last wake")?,
        waiting_for: wait_from_words(
            block.byte("kind of a wait")?,
            block.byte("direction of a wait")?,
            block.varint("what is waited for")?,
        ),
        waits: block.u32("number of waits")?,
        counters: TaskCounters {
            polls: block.varint("polls")?,
            wakes: block.varint("wakes")?,
            redundant: block.varint("redundant wakes")?,
            self_wakes: block.varint("self-wakes")?,
            spurious: block.varint("spurious polls")?,
            unattributed: block.varint("unattributed polls")?,
            operations: block.varint("operations")?,
            progress: block.varint("operations that completed")?,
            busy: block.varint("busy time")?,
            wasted: block.varint("wasted time")?,
            longest: block.varint("longest poll")?,
            waited: block.varint("waiting time")?,
        },
    }))
}

/// An address, or `None` if there is none or if it is of a family that is not known here.
fn address(cursor: &mut Cursor<'_>) -> Result<Option<Address>, DecodeError> {
    let block = &mut cursor.block("address")?;
    if block.is_empty() {
        return Ok(None);
    }
    Ok(match block.byte("family of an address")? {
        1 => {
            let port = block.u16("port")?;
            let ip = Ipv4Addr::from(block.array::<4>("IPv4 address")?);
            Some(Address::Inet(SocketAddr::from((ip, port))))
        }
        2 => {
            let port = block.u16("port")?;
            let ip = Ipv6Addr::from(block.array::<16>("IPv6 address")?);
            Some(Address::Inet(SocketAddr::from((ip, port))))
        }
        3 => Some(Address::Unix(StringId(block.u32("path of an address")?))),
        _ => None,
    })
}
