//! A part of a trace: the events between two moments, with the boards that they need.
//!
//! Events outside count as filtered out, so that every record stays accounted for. Of a runtime's boards, the first one
//! stays, since a stream begins with it, then the last one before the window, then those in it.

use nexus_protocol::frame::ServerFrame;
use nexus_protocol::ids::{RuntimeId, Stamp};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Which moments are wanted.
#[derive(Debug)]
pub(super) struct Window {
    /// Counted from the trace's first event, in nanoseconds, as is the next one.
    from_ns: u64,
    to_ns: Option<u64>,
    /// When the trace's first event was.
    start: Option<Stamp>,
    /// Runtimes that have sent a board.
    known: HashSet<RuntimeId>,
    /// The last board of a runtime before the window.
    held: HashMap<RuntimeId, ServerFrame>,
}

impl Window {
    /// Everything, but for what comes before `from` or not before `to`.
    pub(super) fn new(from: Option<Duration>, to: Option<Duration>) -> Self {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self {
            from_ns: from.map_or(0, ns),
            to_ns: to.map(ns),
            start: None,
            known: HashSet::new(),
            held: HashMap::new(),
        }
    }

    /// What of a frame belongs to the part, possibly after something that was held back.
    pub(super) fn pass(&mut self, frame: ServerFrame) -> Vec<ServerFrame> {
        if self.from_ns == 0 && self.to_ns.is_none() {
            return vec![frame];
        }
        match frame {
            ServerFrame::Events { runtime, mut records, next_seq, mut filtered } => {
                if self.start.is_none() {
                    self.start = records.first().map(|record| record.at);
                }
                let before = records.len();
                records.retain(|record| self.is_before(record.at) == Some(false));
                filtered += (before - records.len()) as u64;
                let board = if records.is_empty() { None } else { self.held.remove(&runtime) };
                let events = ServerFrame::Events { runtime, records, next_seq, filtered };
                board.into_iter().chain([events]).collect()
            }
            ServerFrame::Snapshot(snapshot) => {
                let (runtime, taken) = (snapshot.runtime, snapshot.taken);
                let frame = ServerFrame::Snapshot(snapshot);
                if self.known.insert(runtime) {
                    return vec![frame];
                }
                match self.is_before(taken) {
                    Some(true) => {
                        self.held.insert(runtime, frame);
                        Vec::new()
                    }
                    Some(false) => {
                        self.held.remove(&runtime);
                        vec![frame]
                    }
                    None => Vec::new(),
                }
            }
            frame => vec![frame],
        }
    }

    /// Whether a moment is before the window (true), in it (false), or after it (none). Without a first event there is
    /// nothing that it could be before.
    fn is_before(&self, at: Stamp) -> Option<bool> {
        let since = self.start.map_or(0, |start| at.since(start));
        match self.to_ns {
            Some(to_ns) if since >= to_ns => None,
            _ => Some(since < self.from_ns),
        }
    }
}
