//! What one client gets: its place in every ring, its filter, its snapshots.
//!
//! Reads rings and boards, never writes them, and turns what it finds into frames for a [`Sink`]. Looks at how much the
//! sink still holds before it reads on: what a slow client does not take stays in the ring, and is overwritten there,
//! and counted.

use super::snapshot;
use super::timeline::Timeline;
use crate::record::clock::Clock;
use crate::record::registry::{Observed, Recording, Registry};
use crate::record::strings::Strings;
use nexus_protocol::Record;
use nexus_protocol::frame::{Goodbye, KindFilter, ServerFrame, Subscribe};
use nexus_protocol::ids::{RuntimeId, Seq, Stamp, StringId};
use nexus_protocol::record::Words;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that may wait for a client before it is given no more.
const QUEUE_BYTES: usize = 1 << 20;

/// Records read at once.
const BATCH: usize = 4096;

/// Where frames go.
pub(super) trait Sink {
    /// Takes a frame.
    fn queue(&mut self, frame: &ServerFrame);

    /// Takes a frame of events with these numbers, of which `count` are told.
    fn queue_events(
        &mut self,
        runtime: RuntimeId,
        numbers: Range<Seq>,
        count: usize,
        records: impl Iterator<Item = Record>,
    ) {
        let filtered = numbers.end - numbers.start - count as u64;
        let (records, next_seq) = (records.collect(), numbers.end);
        self.queue(&ServerFrame::Events { runtime, records, next_seq, filtered });
    }

    /// Bytes taken and not passed on yet.
    fn queued_bytes(&self) -> usize;
}

/// What a publisher reads from.
pub(super) struct Sources<'a> {
    pub(super) registry: &'a Registry,
    pub(super) strings: &'a Strings,
    pub(super) timeline: &'a Timeline,
    pub(super) clock: Present,
}

/// What time it is where the records come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Present {
    /// What this clock says.
    Now(Clock),
    /// The past: this moment, in ticks.
    Was(Stamp),
}

impl Present {
    fn stamp(self) -> Stamp {
        match self {
            Self::Now(clock) => clock.now(),
            Self::Was(at) => at,
        }
    }
}

/// How far a publisher came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Something is left that the sink had no room for.
    pub(super) blocked: bool,
    /// A ring had so much that it should be read again soon.
    pub(super) hurried: bool,
}

/// The state of one client's subscription.
pub(super) struct Publisher {
    streams: Vec<Stream>,
    registry_version: u64,
    strings_sent: usize,
    kinds: KindFilter,
    snapshots: Snapshots,
    ending: Option<Goodbye>,
    /// The ends of all streams are fixed, because of `ending`.
    end_is_known: bool,
    done: bool,
    words: Vec<Words>,
}

/// One runtime, as far as the client has got it.
struct Stream {
    runtime: Arc<Observed>,
    cursor: Seq,
    /// Where the stream ends, once that is known.
    end: Option<Seq>,
    /// The client knows that the runtime has ended, and its last state.
    closed: bool,
}

/// When boards are sent.
struct Snapshots {
    every: Option<Duration>,
    next: Option<Instant>,
}

impl Publisher {
    /// Starts a subscription. `known` are the runtimes that the client has learnt of by the hello; `registry_version`
    /// is the registry's before they were listed.
    pub(super) fn new(
        subscribe: Subscribe,
        known: &[Arc<Observed>],
        registry_version: u64,
        now: Instant,
    ) -> Self {
        let stream = |runtime: &Arc<Observed>| Stream {
            cursor: match runtime.recording.as_deref() {
                Some(Recording { ring, board, .. }) if !subscribe.history => board.stands_at(ring),
                _ => 0,
            },
            end: None,
            closed: false,
            runtime: Arc::clone(runtime),
        };
        let mut publisher = Self {
            streams: known.iter().map(stream).collect(),
            registry_version,
            strings_sent: 0,
            kinds: KindFilter::ALL,
            snapshots: Snapshots { every: None, next: None },
            ending: None,
            end_is_known: false,
            done: false,
            words: Vec::new(),
        };
        publisher.change(subscribe, now);
        publisher
    }

    /// Passes over the records before this one, of all runtimes that are known so far, and over the first board: the
    /// client has had them from somebody else.
    pub(super) fn resume_at(&mut self, seq: Seq) {
        for stream in &mut self.streams {
            stream.cursor = stream.cursor.max(seq);
        }
        self.snapshots.next = None;
    }

    /// Changes the filter and the rate of snapshots; the first one is due now.
    pub(super) fn change(&mut self, subscribe: Subscribe, now: Instant) {
        let every = u64::from(subscribe.snapshot_every_ms);
        self.kinds = subscribe.kinds;
        self.snapshots.every = (every > 0).then(|| Duration::from_millis(every));
        self.snapshots.next = Some(now);
    }

    /// From the next call of [`Publisher::publish`] on, goes on to what has been recorded until then, then to a last
    /// snapshot of each board, and ends with this goodbye.
    pub(super) fn finish(&mut self, goodbye: Goodbye) {
        self.ending.get_or_insert(goodbye);
    }

    /// Whether the goodbye has been given to the sink.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the client has been given everything of the runtimes that have ended.
    pub(super) fn is_drained(&self) -> bool {
        self.streams.iter().all(|stream| stream.closed || !stream.runtime.has_ended())
    }

    /// When it should run again at the latest, for a snapshot.
    pub(super) fn wants_to_run_at(&self) -> Option<Instant> {
        self.snapshots.next
    }

    /// Gives the sink what there is, as far as it has room.
    pub(super) fn publish(
        &mut self,
        sources: &Sources<'_>,
        now: Instant,
        sink: &mut impl Sink,
    ) -> Progress {
        if self.done {
            return Progress::default();
        }
        if !self.end_is_known {
            self.follow_registry(sources, sink);
            if self.ending.is_some() {
                self.end_is_known = true;
                for stream in &mut self.streams {
                    stream.end = stream.recording().map(|recording| recording.ring.committed());
                }
            }
        }
        let mut progress = Progress::default();
        if has_room(sink) && self.snapshots.next.is_some_and(|next| next <= now) {
            self.snapshots.next = self.snapshots.every.map(|every| now + every);
            let open = |stream: &&Stream| !stream.closed;
            let due: Vec<_> = self.streams.iter().filter(open).map(Stream::shared).collect();
            due.iter().for_each(|runtime| self.send_snapshot(runtime, sources, sink));
        }
        for index in 0..self.streams.len() {
            self.send_events(index, sources, sink, &mut progress);
            self.close_if_ended(index, sources, sink);
        }
        self.say_goodbye(sources, sink);
        progress
    }

    /// Takes in runtimes that have appeared, and forgets those that are over and done with.
    fn follow_registry(&mut self, sources: &Sources<'_>, sink: &mut impl Sink) {
        let version = sources.registry.version();
        if version == self.registry_version || !has_room(sink) {
            return;
        }
        self.registry_version = version;
        let listed = sources.registry.runtimes();
        for runtime in &listed {
            if !self.streams.iter().any(|stream| Arc::ptr_eq(&stream.runtime, runtime)) {
                sink.queue(&ServerFrame::Runtime(snapshot::info(runtime, sources.timeline)));
                let runtime = Arc::clone(runtime);
                self.streams.push(Stream { runtime, cursor: 0, end: None, closed: false });
            }
        }
        self.streams.retain(|stream| {
            !stream.closed || listed.iter().any(|runtime| Arc::ptr_eq(&stream.runtime, runtime))
        });
    }

    /// Sends strings that have been interned since the last time. To be called after reading what may refer to them, and
    /// before sending that.
    fn send_strings(&mut self, sources: &Sources<'_>, sink: &mut impl Sink) {
        let len = sources.strings.len();
        if len > self.strings_sent {
            let range = self.strings_sent..len;
            let text = |number| sources.strings.get(number).unwrap_or_default().to_owned();
            let first = StringId(self.strings_sent as u32);
            self.strings_sent = len;
            sink.queue(&ServerFrame::Strings { first, strings: range.map(text).collect() });
        }
    }

    fn send_snapshot(&mut self, runtime: &Observed, sources: &Sources<'_>, sink: &mut impl Sink) {
        let Some(recording) = &runtime.recording else { return };
        let now = sources.clock.stamp();
        let snapshot = snapshot::take(runtime, recording, now, sources.timeline);
        self.send_strings(sources, sink);
        sink.queue(&ServerFrame::Snapshot(Box::new(snapshot)));
    }

    /// Sends what the ring holds beyond the cursor, up to what it held when this began.
    fn send_events(
        &mut self,
        index: usize,
        sources: &Sources<'_>,
        sink: &mut impl Sink,
        progress: &mut Progress,
    ) {
        let runtime = self.streams[index].shared();
        let Some(Recording { ring, .. }) = runtime.recording.as_deref() else { return };
        let end = self.streams[index].end.unwrap_or_else(|| ring.committed());
        let behind = end.saturating_sub(self.streams[index].cursor);
        progress.hurried |= behind > ring.capacity() / 4;
        while self.streams[index].cursor < end {
            if !has_room(sink) {
                progress.blocked = true;
                return;
            }
            let cursor = self.streams[index].cursor;
            let limit = BATCH.min(usize::try_from(end - cursor).unwrap_or(BATCH));
            let mut words = std::mem::take(&mut self.words);
            let batch = ring.read(cursor, limit, &mut words);
            // Where the writer has overtaken the reader, there may be more than was asked for, or nothing, before `end`.
            let lost_end = batch.lost.end.min(end);
            words.truncate(usize::try_from(end.saturating_sub(batch.first)).unwrap_or(0));
            self.send_strings(sources, sink);
            if lost_end > cursor {
                sink.queue(&ServerFrame::Loss { runtime: runtime.id, from: cursor, to: lost_end });
            }
            if !words.is_empty() {
                self.queue_events(&runtime, batch.first, &words, sources.timeline, sink);
            }
            self.streams[index].cursor = lost_end + words.len() as u64;
            self.words = words;
        }
    }

    /// Gives the sink those of these records that the client wants, from the ring's words to the frame's bytes in one go.
    fn queue_events(
        &self,
        runtime: &Observed,
        first: Seq,
        words: &[Words],
        timeline: &Timeline,
        sink: &mut impl Sink,
    ) {
        let numbers = first..first + words.len() as u64;
        let mut stamps = timeline.reader();
        let mut record = |(seq, words)| snapshot::record(seq, words, &mut stamps);
        let numbered = numbers.clone().zip(words.iter().copied());
        if self.kinds == KindFilter::ALL {
            sink.queue_events(runtime.id, numbers, words.len(), numbered.map(record));
            return;
        }
        let wanted = |words: &Words| self.kinds.wants(words[0] as u8);
        let count = words.iter().filter(|words| wanted(words)).count();
        let told = numbered.filter(|(_, words)| wanted(words)).map(&mut record);
        sink.queue_events(runtime.id, numbers, count, told);
    }

    /// Tells the client that a runtime has ended, once it has all of it, with its last state.
    fn close_if_ended(&mut self, index: usize, sources: &Sources<'_>, sink: &mut impl Sink) {
        let stream = &self.streams[index];
        let runtime = stream.shared();
        // The order matters: what is committed after the end was seen does not exist.
        if stream.closed || !runtime.has_ended() || !stream.is_at_end() || !has_room(sink) {
            return;
        }
        self.streams[index].closed = true;
        self.send_snapshot(&runtime, sources, sink);
        sink.queue(&ServerFrame::Runtime(snapshot::info(&runtime, sources.timeline)));
    }

    /// Ends the stream, once everything that was promised is with the sink.
    fn say_goodbye(&mut self, sources: &Sources<'_>, sink: &mut impl Sink) {
        let complete = || self.streams.iter().all(Stream::is_at_end);
        let Some(goodbye) = self.ending.clone().filter(|_| has_room(sink) && complete()) else {
            return;
        };
        let open = |stream: &&Stream| !stream.closed;
        let last: Vec<_> = self.streams.iter().filter(open).map(Stream::shared).collect();
        last.iter().for_each(|runtime| self.send_snapshot(runtime, sources, sink));
        sink.queue(&ServerFrame::Goodbye(goodbye));
        self.done = true;
    }
}

impl Stream {
    fn shared(&self) -> Arc<Observed> {
        Arc::clone(&self.runtime)
    }

    fn recording(&self) -> Option<&Recording> {
        self.runtime.recording.as_deref()
    }

    /// Whether the client has everything up to the stream's end or, if that is not known, up to now.
    fn is_at_end(&self) -> bool {
        self.recording().is_none_or(|recording| {
            self.cursor >= self.end.unwrap_or_else(|| recording.ring.committed())
        })
    }
}

fn has_room(sink: &impl Sink) -> bool {
    sink.queued_bytes() < QUEUE_BYTES
}
