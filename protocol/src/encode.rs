//! Frames to bytes.
//!
//! Every function appends to a buffer and cannot fail. What the protocol bounds is kept within its bounds here: strings
//! are cut, and a frame that says too much is written as several. The layouts stand in SPEC.md; what is written here is
//! read by [`decode`](crate::decode).

mod board;
mod chunk;
mod event;

use crate::event::Record;
use crate::frame::{ClientFrame, Goodbye, Process, RuntimeInfo, ServerFrame, Subscribe};
use crate::ids::{RuntimeId, Seq, StringId};
use crate::limits;
use crate::trace::Summary;
use crate::varint::{put, put_signed};
use std::ops::Range;

/// Bytes before a frame's payload: its length in four bytes, its kind in one.
pub const HEADER_BYTES: usize = 5;

/// What a hello's payload begins with, in both directions.
pub const MAGIC: [u8; 6] = *b"NEXUS\0";

/// The kinds of frame. The server's have the top bit, so that neither side takes its own bytes for the other's.
pub mod frame_kind {
    #![allow(
        missing_docs,
        reason = "each names the variant of `ServerFrame` or `ClientFrame` it stands for"
    )]
    pub const CLIENT_HELLO: u8 = 1;
    pub const CLIENT_SUBSCRIBE: u8 = 2;
    pub const CLIENT_FINISH: u8 = 3;
    pub const CLIENT_PAUSE: u8 = 4;
    pub const CLIENT_RESUME: u8 = 5;
    pub const SERVER_HELLO: u8 = 129;
    pub const SERVER_RUNTIME: u8 = 130;
    pub const SERVER_STRINGS: u8 = 131;
    pub const SERVER_SNAPSHOT: u8 = 132;
    pub const SERVER_EVENTS: u8 = 133;
    pub const SERVER_LOSS: u8 = 134;
    pub const SERVER_GOODBYE: u8 = 135;
    pub const SERVER_FILTER: u8 = 136;
    /// The last frame of a native trace; never on a wire.
    pub const TRACE_SUMMARY: u8 = 192;
}

/// Bytes of strings after which a further frame is begun.
const STRINGS_SPLIT: usize = limits::MAX_FRAME / 2;

/// Appends a frame from the server.
///
/// Strings, snapshots and batches beyond the limits are written as several frames, a hello's further runtimes as frames
/// of their own. Records of a batch must be ascending and lie within the numbers that it accounts for, which debug builds
/// check.
pub fn server(frame: &ServerFrame, out: &mut Vec<u8>) {
    match frame {
        ServerFrame::Hello { version, process, runtimes } => {
            let (first, further) = runtimes.split_at(runtimes.len().min(limits::MAX_RUNTIMES));
            framed(out, frame_kind::SERVER_HELLO, |out| hello(*version, process, first, out));
            for runtime in further {
                framed(out, frame_kind::SERVER_RUNTIME, |out| runtime_info(runtime, out));
            }
        }
        ServerFrame::Runtime(runtime) => {
            framed(out, frame_kind::SERVER_RUNTIME, |out| runtime_info(runtime, out));
        }
        ServerFrame::Strings { first, strings } => string_frames(*first, strings, out),
        ServerFrame::Snapshot(snapshot) => board::snapshot(snapshot, out),
        ServerFrame::Events { runtime, records, next_seq, filtered } => {
            event::batches(*runtime, records, *next_seq, *filtered, out);
        }
        ServerFrame::Loss { runtime, from, to } => framed(out, frame_kind::SERVER_LOSS, |out| {
            put(out, u64::from(runtime.0));
            put(out, *from);
            put(out, *to);
        }),
        ServerFrame::Filter(kinds) => framed(out, frame_kind::SERVER_FILTER, |out| {
            out.extend_from_slice(&kinds.0.to_le_bytes());
        }),
        ServerFrame::Goodbye(reason) => {
            framed(out, frame_kind::SERVER_GOODBYE, |out| goodbye(reason, out));
        }
    }
}

/// Appends a frame with records that were never collected: what [`server`] does with
/// [`ServerFrame::Events`], for those to whom every nanosecond counts.
///
/// The frame accounts for the records with these `numbers`; `count` of them are in it, and come from `records` in
/// ascending order.
///
/// # Panics
///
/// If there are not `count` records, or more than [`limits::MAX_BATCH`].
#[inline]
pub fn events(
    runtime: RuntimeId,
    numbers: Range<Seq>,
    count: usize,
    records: impl IntoIterator<Item = Record>,
    out: &mut Vec<u8>,
) {
    assert!(count <= limits::MAX_BATCH, "{count} records are too many for one frame");
    event::batch(runtime, records.into_iter(), count, numbers, out);
}

/// Appends the frame that ends a native trace.
pub(crate) fn summary(summary: &Summary, out: &mut Vec<u8>) {
    framed(out, frame_kind::TRACE_SUMMARY, |out| {
        out.push(summary.reason.code());
        put(out, summary.runtimes.len() as u64);
        for runtime in &summary.runtimes {
            block(out, |out| {
                put(out, u64::from(runtime.runtime.0));
                for number in [
                    runtime.delivered,
                    runtime.filtered,
                    runtime.lost,
                    runtime.first_seq,
                    runtime.end_seq,
                ] {
                    put(out, number);
                }
            });
        }
    });
}

/// Appends a frame from the client.
pub fn client(frame: &ClientFrame, out: &mut Vec<u8>) {
    match frame {
        ClientFrame::Hello { version } => framed(out, frame_kind::CLIENT_HELLO, |out| {
            out.extend_from_slice(&MAGIC);
            out.extend_from_slice(&version.to_le_bytes());
        }),
        ClientFrame::Subscribe(Subscribe { history, kinds, snapshot_every_ms }) => {
            framed(out, frame_kind::CLIENT_SUBSCRIBE, |out| {
                out.push(u8::from(*history));
                out.extend_from_slice(&kinds.0.to_le_bytes());
                out.extend_from_slice(&snapshot_every_ms.to_le_bytes());
            });
        }
        ClientFrame::Finish => framed(out, frame_kind::CLIENT_FINISH, |_| ()),
        ClientFrame::Pause => framed(out, frame_kind::CLIENT_PAUSE, |_| ()),
        ClientFrame::Resume => framed(out, frame_kind::CLIENT_RESUME, |_| ()),
    }
}

/// Appends one frame whose payload `write` appends.
fn framed(out: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, kind]);
    write(out);
    let length = out.len() - start - HEADER_BYTES;
    assert!(length <= limits::MAX_FRAME, "frames are split before they grow too long");
    out[start..start + 4].copy_from_slice(&(length as u32).to_le_bytes());
}

/// Appends a block: its length, then what `write` appends. A reader that knows fewer fields skips the rest.
fn block(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let length = out.len() - start;
    let mut prefix = Vec::with_capacity(crate::varint::MAX_BYTES);
    put(&mut prefix, length as u64);
    out.splice(start..start, prefix);
}

fn string(text: &str, out: &mut Vec<u8>) {
    let text = limits::cut(text);
    put(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn hello(version: u16, process: &Process, runtimes: &[RuntimeInfo], out: &mut Vec<u8>) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&version.to_le_bytes());
    block(out, |out| {
        put(out, u64::from(process.pid));
        put(out, process.start_time);
        string(&process.program, out);
        string(&process.command_line, out);
        put(out, process.started.0);
        put_signed(out, process.wall_offset_ns);
        string(&process.clock, out);
    });
    put(out, runtimes.len() as u64);
    for runtime in runtimes {
        block(out, |out| runtime_info(runtime, out));
    }
}

fn runtime_info(info: &RuntimeInfo, out: &mut Vec<u8>) {
    put(out, u64::from(info.id.0));
    string(&info.name, out);
    put(out, u64::from(info.thread));
    for number in
        [info.started.0, info.ended.0, info.ring_capacity, info.recorded, info.tokens, info.tasks]
    {
        put(out, number);
    }
}

fn string_frames(first: StringId, strings: &[String], out: &mut Vec<u8>) {
    let room = limits::MAX_STRINGS.saturating_sub(first.0 as usize);
    let mut rest = &strings[..strings.len().min(room)];
    let mut first = first.0;
    loop {
        let mut bytes = 0;
        let fits = |text: &&String| {
            bytes += text.len().min(limits::MAX_STRING);
            bytes <= STRINGS_SPLIT
        };
        let count = rest.iter().take_while(fits).count();
        let (now, later) = rest.split_at(count);
        framed(out, frame_kind::SERVER_STRINGS, |out| {
            put(out, u64::from(first));
            put(out, now.len() as u64);
            now.iter().for_each(|text| string(text, out));
        });
        if later.is_empty() {
            return;
        }
        first += count as u32;
        rest = later;
    }
}

fn goodbye(reason: &Goodbye, out: &mut Vec<u8>) {
    match reason {
        Goodbye::Finished => out.push(1),
        Goodbye::ProcessEnding => out.push(2),
        Goodbye::ProtocolError(text) => {
            out.push(3);
            string(text, out);
        }
        Goodbye::Busy => out.push(4),
        Goodbye::Version { server } => {
            out.push(5);
            out.extend_from_slice(&server.to_le_bytes());
        }
    }
}
