//! What stands in a native trace: the server's frames, and the summary that no connection has.

use super::cursor::{Cursor, DecodeError};
use super::frame::runtime;
use super::sealed::{Outcome, Payload};
use super::{Decode, Skipped, board};
use crate::encode::frame_kind;
use crate::frame::ServerFrame;
use crate::limits;
use crate::trace::{Reason, RuntimeSummary, Summary};

/// A frame of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// One that the server has sent.
    Frame(ServerFrame),
    /// The end.
    Summary(Summary),
}

impl Decode for Entry {}

impl Payload for Entry {
    type Partial = board::Partial;

    fn payload(
        kind: u8,
        mut payload: Cursor<'_>,
        partial: &mut board::Partial,
        skipped: &mut Skipped,
    ) -> Result<Outcome<Self>, DecodeError> {
        if kind == frame_kind::TRACE_SUMMARY {
            return Ok(Outcome::Frame(Self::Summary(summary(&mut payload)?)));
        }
        Ok(match ServerFrame::payload(kind, payload, partial, skipped)? {
            Outcome::Frame(frame) => Outcome::Frame(Self::Frame(frame)),
            Outcome::Part => Outcome::Part,
            Outcome::Unknown => Outcome::Unknown,
        })
    }
}

fn summary(payload: &mut Cursor<'_>) -> Result<Summary, DecodeError> {
    let reason = Reason::from_code(payload.byte("reason of an end")?);
    let count = payload.count(limits::MAX_FRAME, "number of runtimes")?;
    let mut runtimes = Vec::new();
    for _ in 0..count {
        let block = &mut payload.block("runtime of a summary")?;
        let id = runtime(block)?;
        let delivered = block.varint("records delivered")?;
        let filtered = block.varint("records filtered out")?;
        let lost = block.varint("records lost")?;
        let first_seq = block.varint("first record")?;
        let end_seq = block.varint("end of the records")?;
        let recorded = end_seq.saturating_sub(first_seq);
        runtimes.push(RuntimeSummary {
            runtime: id,
            recorded,
            delivered,
            filtered,
            lost,
            first_seq,
            end_seq,
        });
    }
    Ok(Summary { runtimes, reason: reason.unwrap_or(Reason::NoGoodbye) })
}
