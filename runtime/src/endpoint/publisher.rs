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
use nexus_protocol::frame::{Goodbye, KindFilter, RuntimeInfo, ServerFrame, Subscribe};
use nexus_protocol::ids::{RuntimeId, Seq, Stamp, StringId};
use nexus_protocol::record::Words;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bytes that may wait for a client before it is given no more.
const QUEUE_BYTES: usize = 1 << 20;

/// Records read at once.
const BATCH: usize = 4096;

/// Bytes of strings put into one frame: a full table must not come all at once.
const STRINGS_BYTES: usize = 1 << 18;

/// Runtimes that may have come and gone while a client took nothing, before it is given up.
pub(super) const MAX_UNREAD_RUNTIMES: usize = 1024;

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

/// The state of one client's subscription, from the hello on.
pub(super) struct Publisher {
    streams: Vec<Stream>,
    registry_version: u64,
    strings_sent: usize,
    kinds: KindFilter,
    /// The filter that the client has been told of.
    kinds_told: KindFilter,
    snapshots: Snapshots,
    subscribed: bool,
    paused: bool,
    ending: Option<Goodbye>,
    /// The ends of all streams are fixed, because of `ending`.
    end_is_known: bool,
    done: bool,
    words: Vec<Words>,
}

/// One runtime, as far as the client has got it.
struct Stream {
    source: Source,
    /// The client knows that there is this runtime.
    announced: bool,
    cursor: Seq,
    /// A snapshot is to be sent before any further event.
    snapshot_due: bool,
    /// Where the stream ends, once that is known.
    end: Option<Seq>,
    /// The client knows that the runtime has ended, and its last state.
    closed: bool,
    /// The client has the last snapshot before the goodbye.
    farewell: bool,
}

/// Where a stream's records are.
enum Source {
    /// In this runtime's ring.
    Ring(Arc<Observed>),
    /// Nowhere any more: the runtime has ended, others have ended after it, and the client had not taken what was left.
    /// Rings are not kept for those who do not read.
    Gone(Box<RuntimeInfo>),
}

/// When boards are sent.
struct Snapshots {
    every: Option<Duration>,
    next: Option<Instant>,
}

impl Publisher {
    /// For a client that has learnt of the runtimes `known` by the hello; `registry_version` is the registry's before
    /// they were listed.
    pub(super) fn new(known: &[Arc<Observed>], registry_version: u64) -> Self {
        Self {
            streams: known.iter().map(|runtime| Stream::new(runtime, true)).collect(),
            registry_version,
            strings_sent: 0,
            kinds: KindFilter::ALL,
            kinds_told: KindFilter::ALL,
            snapshots: Snapshots { every: None, next: None },
            subscribed: false,
            paused: false,
            ending: None,
            end_is_known: false,
            done: false,
            words: Vec::new(),
        }
    }

    /// Passes over the records before this one, of all runtimes that are known so far, and over the first board: the
    /// client has had them from somebody else.
    pub(super) fn resume_at(&mut self, seq: Seq) {
        for stream in &mut self.streams {
            stream.cursor = stream.cursor.max(seq);
        }
        self.snapshots.next = None;
    }

    /// Starts the stream or, if it has begun, changes the filter and the rate of snapshots; the first one is due now.
    pub(super) fn subscribe(&mut self, subscribe: Subscribe, now: Instant) {
        if !self.subscribed && !subscribe.history {
            self.streams.iter_mut().filter(|stream| stream.announced).for_each(Stream::skip_past);
        }
        self.subscribed = true;
        let every = u64::from(subscribe.snapshot_every_ms);
        self.kinds = subscribe.kinds;
        self.snapshots.every = (every > 0).then(|| Duration::from_millis(every));
        self.snapshots.next = Some(now);
    }

    /// Whether the stream has begun.
    pub(super) fn is_subscribed(&self) -> bool {
        self.subscribed
    }

    /// Sends nothing until told otherwise, or goes on. Does nothing before the stream has begun.
    pub(super) fn pause(&mut self, paused: bool) {
        self.paused = paused && self.subscribed && self.ending.is_none();
    }

    /// From the next call of [`Publisher::publish`] on, goes on to what has been recorded until then, then to a last
    /// snapshot of each board, and ends with this goodbye.
    pub(super) fn finish(&mut self, goodbye: Goodbye) {
        self.ending.get_or_insert(goodbye);
        self.paused = false;
    }

    /// Whether the goodbye has been given to the sink.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the client has been given everything of the runtimes that have ended, or does not want it now.
    pub(super) fn is_drained(&self) -> bool {
        self.paused || self.streams.iter().all(|stream| stream.closed || !stream.has_ended())
    }

    /// Whether so many runtimes have come and gone that to remember them all would take memory without end.
    pub(super) fn is_overwhelmed(&self) -> bool {
        let gone = |stream: &&Stream| matches!(stream.source, Source::Gone(_)) && !stream.closed;
        self.streams.iter().filter(gone).count() > MAX_UNREAD_RUNTIMES
    }

    /// When it should run again at the latest, for a snapshot.
    pub(super) fn wants_to_run_at(&self) -> Option<Instant> {
        self.snapshots.next.filter(|_| !self.paused)
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
                    stream.end = Some(stream.recorded());
                }
            }
        }
        let mut progress = Progress::default();
        if !self.subscribed || self.paused {
            return progress;
        }
        if self.kinds != self.kinds_told {
            if !has_room(sink) {
                return Progress { blocked: true, ..progress };
            }
            self.kinds_told = self.kinds;
            sink.queue(&ServerFrame::Filter(self.kinds));
        }
        if has_room(sink) && self.snapshots.next.is_some_and(|next| next <= now) {
            self.snapshots.next = self.snapshots.every.map(|every| now + every);
            self.streams.iter_mut().for_each(|stream| stream.snapshot_due = !stream.closed);
        }
        for index in 0..self.streams.len() {
            self.announce(index, sources, sink);
            if self.streams[index].snapshot_due && self.send_snapshot(index, sources, sink) {
                self.streams[index].snapshot_due = false;
            }
            self.send_events(index, sources, sink, &mut progress);
            self.close_if_ended(index, sources, sink);
        }
        self.say_goodbye(sources, sink);
        progress
    }

    /// Takes in runtimes that have appeared, and forgets those that are over and done with. A client that has no room,
    /// or does not want to hear, does not hold on to the rings of runtimes that everybody else has forgotten.
    fn follow_registry(&mut self, sources: &Sources<'_>, sink: &impl Sink) {
        let version = sources.registry.version();
        if version == self.registry_version {
            return;
        }
        self.registry_version = version;
        let listed = sources.registry.runtimes();
        for runtime in &listed {
            if !self.streams.iter().any(|stream| stream.reads(runtime)) {
                self.streams.push(Stream::new(runtime, false));
            }
        }
        let takes = self.subscribed && !self.paused && has_room(sink);
        self.streams.retain_mut(|stream| {
            let forgotten = !listed.iter().any(|runtime| stream.reads(runtime));
            if forgotten && !takes {
                stream.let_go(sources.timeline);
            }
            !(stream.closed && forgotten)
        });
    }

    /// Tells the client of a runtime, before anything else of it.
    fn announce(&mut self, index: usize, sources: &Sources<'_>, sink: &mut impl Sink) {
        let stream = &mut self.streams[index];
        if !stream.announced && has_room(sink) {
            stream.announced = true;
            sink.queue(&ServerFrame::Runtime(stream.info(sources.timeline)));
        }
    }

    /// Sends strings that have been interned since the last time. To be called after reading what may refer to them, and
    /// before sending that. False if the sink had no room for all of them.
    fn send_strings(&mut self, sources: &Sources<'_>, sink: &mut impl Sink) -> bool {
        let len = sources.strings.len();
        while self.strings_sent < len {
            if !has_room(sink) {
                return false;
            }
            let first = StringId(self.strings_sent as u32);
            let (mut strings, mut bytes) = (Vec::new(), 0);
            while self.strings_sent < len && bytes < STRINGS_BYTES {
                let text = sources.strings.get(self.strings_sent).unwrap_or_default();
                bytes += text.len();
                strings.push(text.to_owned());
                self.strings_sent += 1;
            }
            sink.queue(&ServerFrame::Strings { first, strings });
        }
        true
    }

    /// Sends the board of a runtime. False if the sink had no room.
    fn send_snapshot(&mut self, index: usize, sources: &Sources<'_>, sink: &mut impl Sink) -> bool {
        if !has_room(sink) || !self.send_strings(sources, sink) {
            return false;
        }
        let Some(runtime) = self.streams[index].ring() else { return true };
        let Some(recording) = &runtime.recording else { return true };
        let now = sources.clock.stamp();
        let snapshot = snapshot::take(&runtime, recording, now, sources.timeline);
        let can_be_read = self.send_strings(sources, sink);
        if can_be_read {
            sink.queue(&ServerFrame::Snapshot(Box::new(snapshot)));
        }
        can_be_read
    }

    /// Sends what the ring holds beyond the cursor, up to what it held when this began.
    fn send_events(
        &mut self,
        index: usize,
        sources: &Sources<'_>,
        sink: &mut impl Sink,
        progress: &mut Progress,
    ) {
        let Some(runtime) = self.streams[index].ring() else {
            progress.blocked |= !self.send_loss_of_all(index, sink);
            return;
        };
        let Some(Recording { ring, .. }) = runtime.recording.as_deref() else { return };
        let end = self.streams[index].end.unwrap_or_else(|| ring.committed());
        let behind = end.saturating_sub(self.streams[index].cursor);
        progress.hurried |= behind > ring.capacity() / 4;
        while self.streams[index].cursor < end {
            if !has_room(sink) || self.streams[index].snapshot_due {
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
            if !self.send_strings(sources, sink) {
                self.words = words;
                progress.blocked = true;
                return;
            }
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

    /// Tells of the records of a runtime whose ring is gone. False if the sink had no room.
    fn send_loss_of_all(&mut self, index: usize, sink: &mut impl Sink) -> bool {
        let has_room = has_room(sink);
        let stream = &mut self.streams[index];
        let (runtime, from, to) = (stream.id(), stream.cursor, stream.recorded());
        if has_room && from < to {
            sink.queue(&ServerFrame::Loss { runtime, from, to });
            stream.cursor = to;
        }
        has_room
    }

    /// Tells the client that a runtime has ended, once it has all of it, with its last state.
    fn close_if_ended(&mut self, index: usize, sources: &Sources<'_>, sink: &mut impl Sink) {
        let stream = &self.streams[index];
        // The order matters: what is committed after the end was seen does not exist.
        if stream.closed || !stream.has_ended() || !stream.is_at_end() {
            return;
        }
        if self.send_snapshot(index, sources, sink) {
            let stream = &mut self.streams[index];
            stream.closed = true;
            sink.queue(&ServerFrame::Runtime(stream.info(sources.timeline)));
        }
    }

    /// Ends the stream, once everything that was promised is with the sink.
    fn say_goodbye(&mut self, sources: &Sources<'_>, sink: &mut impl Sink) {
        let Some(goodbye) = self.ending.clone() else { return };
        if !self.streams.iter().all(Stream::is_at_end) {
            return;
        }
        for index in 0..self.streams.len() {
            if self.streams[index].closed || self.streams[index].farewell {
                continue;
            }
            if !self.send_snapshot(index, sources, sink) {
                return;
            }
            self.streams[index].farewell = true;
        }
        sink.queue(&ServerFrame::Goodbye(goodbye));
        self.done = true;
    }
}

impl Stream {
    fn new(runtime: &Arc<Observed>, announced: bool) -> Self {
        Self {
            source: Source::Ring(Arc::clone(runtime)),
            announced,
            cursor: 0,
            snapshot_due: false,
            end: None,
            closed: false,
            farewell: false,
        }
    }

    fn reads(&self, other: &Arc<Observed>) -> bool {
        matches!(&self.source, Source::Ring(runtime) if Arc::ptr_eq(runtime, other))
    }

    /// The runtime, unless it is gone.
    fn ring(&self) -> Option<Arc<Observed>> {
        match &self.source {
            Source::Ring(runtime) => Some(Arc::clone(runtime)),
            Source::Gone(_) => None,
        }
    }

    fn id(&self) -> RuntimeId {
        match &self.source {
            Source::Ring(runtime) => runtime.id,
            Source::Gone(info) => info.id,
        }
    }

    fn info(&self, timeline: &Timeline) -> RuntimeInfo {
        match &self.source {
            Source::Ring(runtime) => snapshot::info(runtime, timeline),
            Source::Gone(info) => RuntimeInfo::clone(info),
        }
    }

    fn has_ended(&self) -> bool {
        match &self.source {
            Source::Ring(runtime) => runtime.has_ended(),
            Source::Gone(_) => true,
        }
    }

    /// Records written so far.
    fn recorded(&self) -> Seq {
        match &self.source {
            Source::Ring(runtime) => {
                runtime.recording.as_deref().map_or(0, |recording| recording.ring.committed())
            }
            Source::Gone(info) => info.recorded,
        }
    }

    /// Begins with what is recorded from now on.
    fn skip_past(&mut self) {
        self.cursor = match &self.source {
            Source::Ring(runtime) => match runtime.recording.as_deref() {
                Some(Recording { ring, board, .. }) => board.stands_at(ring),
                None => 0,
            },
            Source::Gone(info) => info.recorded,
        };
    }

    /// Keeps no more than what the runtime was, and how many records there were.
    fn let_go(&mut self, timeline: &Timeline) {
        if let Source::Ring(runtime) = &self.source
            && runtime.has_ended()
        {
            let recorded = self.recorded();
            let info = RuntimeInfo { recorded, ..snapshot::info(runtime, timeline) };
            self.source = Source::Gone(Box::new(info));
        }
    }

    /// Whether the client has everything up to the stream's end or, if that is not known, up to now.
    fn is_at_end(&self) -> bool {
        self.cursor >= self.end.unwrap_or_else(|| self.recorded())
    }
}

fn has_room(sink: &impl Sink) -> bool {
    sink.queued_bytes() < QUEUE_BYTES
}
