//! Payloads to frames, kind by kind.

use super::cursor::{Cursor, DecodeError, Problem};
use super::sealed::{Outcome, Payload};
use super::{Skipped, board, event};
use crate::encode::{MAGIC, frame_kind};
use crate::frame::{
    ClientFrame, Goodbye, KindFilter, Process, RuntimeInfo, ServerFrame, Subscribe,
};
use crate::ids::{RuntimeId, Stamp, StringId};
use crate::limits;

impl Payload for ServerFrame {
    type Partial = board::Partial;

    fn payload(
        kind: u8,
        mut payload: Cursor<'_>,
        partial: &mut board::Partial,
        skipped: &mut Skipped,
    ) -> Result<Outcome<Self>, DecodeError> {
        let payload = &mut payload;
        partial.allows(kind, payload)?;
        Ok(Outcome::Frame(match kind {
            frame_kind::SERVER_HELLO => hello(payload)?,
            frame_kind::SERVER_RUNTIME => Self::Runtime(runtime_info(payload)?),
            frame_kind::SERVER_STRINGS => strings(payload)?,
            frame_kind::SERVER_SNAPSHOT => match partial.add(payload, skipped)? {
                Some(snapshot) => Self::Snapshot(Box::new(snapshot)),
                None => return Ok(Outcome::Part),
            },
            frame_kind::SERVER_EVENTS => event::batch(payload, skipped)?,
            frame_kind::SERVER_LOSS => loss(payload)?,
            frame_kind::SERVER_FILTER => {
                Self::Filter(KindFilter(u64::from_le_bytes(payload.array("kinds of a filter")?)))
            }
            frame_kind::SERVER_GOODBYE => Self::Goodbye(goodbye(payload)?),
            _ => return Ok(Outcome::Unknown),
        }))
    }
}

impl Payload for ClientFrame {
    type Partial = ();

    fn payload(
        kind: u8,
        mut payload: Cursor<'_>,
        (): &mut (),
        _skipped: &mut Skipped,
    ) -> Result<Outcome<Self>, DecodeError> {
        let payload = &mut payload;
        Ok(Outcome::Frame(match kind {
            frame_kind::CLIENT_HELLO => Self::Hello { version: magic_and_version(payload)? },
            frame_kind::CLIENT_SUBSCRIBE => Self::Subscribe(Subscribe {
                history: payload.byte("flags of a subscription")? & 1 != 0,
                kinds: KindFilter(u64::from_le_bytes(payload.array("kinds of a subscription")?)),
                snapshot_every_ms: u32::from_le_bytes(payload.array("snapshot interval")?),
            }),
            frame_kind::CLIENT_FINISH => Self::Finish,
            frame_kind::CLIENT_PAUSE => Self::Pause,
            frame_kind::CLIENT_RESUME => Self::Resume,
            _ => return Ok(Outcome::Unknown),
        }))
    }
}

fn magic_and_version(payload: &mut Cursor<'_>) -> Result<u16, DecodeError> {
    let start = payload.clone();
    if payload.array("magic of a hello")? != MAGIC {
        return Err(start.error(Problem::Magic));
    }
    Ok(u16::from_le_bytes(payload.array("version of a hello")?))
}

fn hello(payload: &mut Cursor<'_>) -> Result<ServerFrame, DecodeError> {
    let version = magic_and_version(payload)?;
    let process = process(&mut payload.block("process of a hello")?)?;
    let count = payload.count(limits::MAX_RUNTIMES, "number of runtimes")?;
    let mut runtimes = Vec::with_capacity(count);
    for _ in 0..count {
        runtimes.push(runtime_info(&mut payload.block("runtime of a hello")?)?);
    }
    Ok(ServerFrame::Hello { version, process, runtimes })
}

fn process(block: &mut Cursor<'_>) -> Result<Process, DecodeError> {
    Ok(Process {
        pid: block.u32("process id")?,
        start_time: block.varint("start time of the process")?,
        program: block.string("name of the program")?,
        command_line: block.string("command line")?,
        started: Stamp(block.varint("start of the process")?),
        wall_offset_ns: block.signed("offset of the wall clock")?,
        clock: block.string("name of the clock")?,
    })
}

fn runtime_info(block: &mut Cursor<'_>) -> Result<RuntimeInfo, DecodeError> {
    Ok(RuntimeInfo {
        id: runtime(block)?,
        name: block.string("name of a runtime")?,
        thread: block.u32("thread of a runtime")?,
        started: Stamp(block.varint("start of a runtime")?),
        ended: Stamp(block.varint("end of a runtime")?),
        ring_capacity: block.varint("capacity of a ring")?,
        recorded: block.varint("number of records")?,
        tokens: block.varint("number of tokens")?,
        tasks: block.varint("number of tasks")?,
    })
}

pub(super) fn runtime(cursor: &mut Cursor<'_>) -> Result<RuntimeId, DecodeError> {
    cursor.u32("runtime").map(RuntimeId)
}

fn strings(payload: &mut Cursor<'_>) -> Result<ServerFrame, DecodeError> {
    let first = payload.at_most(limits::MAX_STRINGS as u64, "number of the first string")?;
    let count = payload.count(limits::MAX_STRINGS - first as usize, "number of strings")?;
    let mut strings = Vec::with_capacity(count);
    for _ in 0..count {
        strings.push(payload.string("string")?);
    }
    Ok(ServerFrame::Strings { first: StringId(first as u32), strings })
}

fn loss(payload: &mut Cursor<'_>) -> Result<ServerFrame, DecodeError> {
    let runtime = runtime(payload)?;
    let from = payload.varint("first lost record")?;
    let to = payload.varint("record after the lost ones")?;
    if from > to {
        let what = "a loss ends before it begins";
        return Err(payload.error(Problem::Contradiction { what }));
    }
    Ok(ServerFrame::Loss { runtime, from, to })
}

fn goodbye(payload: &mut Cursor<'_>) -> Result<Goodbye, DecodeError> {
    Ok(match payload.byte("reason of a goodbye")? {
        1 => Goodbye::Finished,
        2 => Goodbye::ProcessEnding,
        3 => Goodbye::ProtocolError(payload.string("text of a goodbye")?),
        4 => Goodbye::Busy,
        5 => Goodbye::Version { server: u16::from_le_bytes(payload.array("server's version")?) },
        code => Goodbye::ProtocolError(format!("a reason that is not known here: {code}")),
    })
}
