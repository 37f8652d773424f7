//! A recording in a file as a subscriber would have got it: the publisher's work over a copy of the file.
//!
//! The file is read, not mapped: if it is cut meanwhile, reading fails, where touching a mapped page would kill us. If its
//! process lives, the copy is of several moments; what changed while it was made is found by a second look, and counts as
//! lost (records) or as changing (rows). Totals may then be a few records older or younger than they say.
//!
//! Stamps are converted by the anchors in the header, which the process has noted as it ran. If it has not, since its
//! thread was stuck from the beginning, and the machine is still the same as then, this moment serves as another one.

use super::publisher::{Present, Publisher, Sink, Sources};
use super::snapshot;
use super::timeline::Timeline;
use crate::record::clock::Clock;
use crate::record::header::{Header, Identity, NoHeader};
use crate::record::layout::{HEADER_WORDS, Layout};
use crate::record::mapped::boot_id;
use crate::record::memory::Memory;
use crate::record::registry::{Observed, Recording, Registry};
use crate::record::strings::Strings;
use crate::record::texts::Texts;
use nexus_protocol::clock::ClockMap;
use nexus_protocol::frame::{
    Goodbye, KindFilter, Process, RuntimeInfo, ServerFrame, Subscribe, VERSION,
};
use nexus_protocol::ids::{Seq, Stamp};
use rustix::fs::{FlockOperation, flock};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Why a file cannot be read as a recording.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemainsError {
    /// It could not be opened or read.
    #[error("cannot read it: {0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("it is not the recording of a nexus runtime")]
    Foreign,
    /// It was written by another version.
    #[error("{0}: read it with the nexus-inspect of the version that recorded it")]
    Version(String),
    /// It is shorter than its header says.
    #[error("it was cut: it has {actual} of {stated} bytes")]
    Cut {
        /// Bytes there should be.
        stated: u64,
        /// Bytes there are.
        actual: u64,
    },
    /// It contradicts itself.
    #[error("{0}")]
    Damaged(String),
}

impl From<NoHeader> for RemainsError {
    fn from(error: NoHeader) -> Self {
        match error {
            NoHeader::Foreign => Self::Foreign,
            NoHeader::Version { .. } => Self::Version(error.to_string()),
            NoHeader::Damaged(_) => Self::Damaged(error.to_string()),
        }
    }
}

/// The recording of one runtime, as it was when it was opened.
pub struct Remains {
    process: Process,
    alive: bool,
    registry: Registry,
    runtime: Arc<Observed>,
    strings: Box<Strings>,
    timeline: Timeline,
    present: Present,
}

impl Remains {
    /// Reads the recording at this path. Costs a copy of it, some megabytes as a rule.
    ///
    /// # Errors
    ///
    /// If there is none, or it cannot be read. See [`RemainsError`].
    pub fn open(path: &Path) -> Result<Self, RemainsError> {
        Self::read(&File::open(path)?)
    }

    /// Reads the recording in this file, a memfd for example, from its beginning.
    ///
    /// # Errors
    ///
    /// As [`Remains::open`].
    pub fn read(file: &File) -> Result<Self, RemainsError> {
        // Before the rest is read: if the process is gone now, nothing changes any more.
        let mapped = is_locked(file);
        let (layout, identity) = read_header(file)?;
        let actual = file.metadata()?.len();
        if actual < layout.bytes() as u64 {
            return Err(RemainsError::Cut { stated: layout.bytes() as u64, actual });
        }
        let memory = copy(file, layout.bytes())?;
        let recording = Recording::within(&memory, &layout, None);
        look_again(file, &layout, &recording)?;
        let header = Header::within(&memory);
        let texts = Texts::within(&memory, &layout).read();
        let same_boot = identity.boot != [0; 2] && identity.boot == boot_id();
        let comparable = same_boot && identity.clock == Clock::of_process();
        let last = last_moment(&recording, &header, &identity);
        let (first, noted) = (identity.first_anchor, header.anchor());
        let measured = noted.ticks.saturating_sub(first.ticks);
        let is_long = measured >= last.0.saturating_sub(first.ticks) / 4;
        let mut timeline = Timeline::new(first);
        timeline.add(if is_long || !comparable { noted } else { identity.clock.anchor() });
        let ended = header.ended();
        let alive = mapped && ended.is_never();
        let present =
            if alive && comparable { Present::Now(identity.clock) } else { Present::Was(last) };
        let runtime = Observed::remembered(&identity, ended, recording);
        Ok(Self {
            process: identity.process,
            alive,
            registry: Registry::of(vec![Arc::clone(&runtime)]),
            runtime,
            strings: Strings::of(texts),
            timeline,
            present,
        })
    }

    /// Whether this file begins as a recording does.
    #[must_use]
    pub fn are_in(file: &File) -> bool {
        !matches!(read_header(file), Err(RemainsError::Foreign | RemainsError::Io(_)))
    }

    /// Whether nothing more will be recorded in this file: its runtime has ended, or its process is gone. False if it is
    /// no recording. Reads a page, where [`Remains::read`] reads all.
    #[must_use]
    pub fn are_final_in(file: &File) -> bool {
        let gone = !is_locked(file);
        header_of(file)
            .is_ok_and(|header| header.layout().is_ok() && (gone || !header.ended().is_never()))
    }

    /// The process that recorded.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Whether the runtime lived when the file was opened: if not, nothing more will be recorded.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.alive
    }

    /// The runtime, with its times in nanoseconds.
    #[must_use]
    pub fn runtime(&self) -> RuntimeInfo {
        snapshot::info(&self.runtime, &self.timeline)
    }

    /// The number that the next record would have had: the records before it are here, or lost.
    #[must_use]
    pub fn end_seq(&self) -> Seq {
        self.runtime.recording.as_deref().map_or(0, |recording| recording.ring.committed())
    }

    /// Everything, as a subscriber to a process with this one runtime gets it: a hello, the board, strings and records,
    /// the board at the end, and a goodbye. The latter says [`Goodbye::ProcessEnding`] unless the runtime lives.
    #[must_use]
    pub fn frames(&self) -> Frames<'_> {
        let mut frames = self.frames_of(KindFilter::ALL);
        frames.sink.frames.push_front(ServerFrame::Hello {
            version: VERSION,
            process: self.process.clone(),
            runtimes: vec![self.runtime()],
        });
        frames
    }

    /// As [`Remains::frames`], without the hello and the first board, and with the records from `seq` on, of these kinds:
    /// for whoever has had the others already.
    #[must_use]
    pub fn frames_from(&self, seq: Seq, kinds: KindFilter) -> Frames<'_> {
        let mut frames = self.frames_of(kinds);
        frames.publisher.resume_at(seq);
        frames
    }

    /// As [`Remains::frames`], without the hello, and with the records of these kinds.
    #[must_use]
    pub fn frames_of(&self, kinds: KindFilter) -> Frames<'_> {
        let subscribe = Subscribe { history: true, kinds, snapshot_every_ms: 0 };
        let known = [Arc::clone(&self.runtime)];
        let version = self.registry.version();
        let mut publisher = Publisher::new(&known, version);
        publisher.subscribe(subscribe, Instant::now());
        publisher.finish(if self.alive { Goodbye::Finished } else { Goodbye::ProcessEnding });
        Frames { of: self, publisher, sink: Few::default() }
    }
}

/// The frames of [`Remains`], made as they are asked for.
pub struct Frames<'a> {
    of: &'a Remains,
    publisher: Publisher,
    sink: Few,
}

impl Iterator for Frames<'_> {
    type Item = ServerFrame;

    fn next(&mut self) -> Option<ServerFrame> {
        while self.sink.frames.is_empty() && !self.publisher.is_done() {
            let sources = Sources {
                registry: &self.of.registry,
                strings: &self.of.strings,
                timeline: &self.of.timeline,
                clock: self.of.present,
            };
            self.publisher.publish(&sources, Instant::now(), &mut self.sink);
        }
        self.sink.frames.pop_front()
    }
}

/// A sink that has room for a few frames.
#[derive(Default)]
struct Few {
    frames: VecDeque<ServerFrame>,
}

impl Sink for Few {
    fn queue(&mut self, frame: &ServerFrame) {
        self.frames.push_back(frame.clone());
    }

    fn queued_bytes(&self) -> usize {
        if self.frames.len() < 8 { 0 } else { usize::MAX }
    }
}

/// Whether the process that made the file has it still mapped.
fn is_locked(file: &File) -> bool {
    let locked = flock(file, FlockOperation::NonBlockingLockShared);
    let _ = flock(file, FlockOperation::Unlock);
    locked == Err(rustix::io::Errno::WOULDBLOCK)
}

fn read_header(file: &File) -> Result<(Layout, Identity), RemainsError> {
    let header = header_of(file)?;
    Ok((header.layout()?, header.identity()?))
}

fn header_of(file: &File) -> Result<Header, RemainsError> {
    let bytes = HEADER_WORDS * 8;
    let memory = Arc::new(Memory::filled(bytes, |bytes| {
        file.read_exact_at(bytes, 0).map_err(|error| match error.kind() {
            // Whatever is shorter than a header is something else.
            io::ErrorKind::UnexpectedEof => RemainsError::Foreign,
            _ => error.into(),
        })
    })?);
    Ok(Header::within(&memory))
}

fn copy(file: &File, bytes: usize) -> Result<Arc<Memory>, RemainsError> {
    let memory = Memory::filled(bytes, |bytes| {
        // From the beginning: the ring's indices are read before the ring.
        file.read_exact_at(bytes, 0).map_err(RemainsError::from)
    });
    memory.map(Arc::new)
}

/// Reads the indices and the board a second time, and marks what has changed meanwhile.
fn look_again(file: &File, layout: &Layout, first: &Recording) -> Result<(), RemainsError> {
    let damaged = |text: &str| RemainsError::Damaged(text.to_owned());
    let end = layout.tasks().end;
    let memory = Memory::filled(end, |bytes| {
        // First the board, then the indices, which guard the ring. The ring itself stays zeros.
        let board = layout.tokens().start;
        file.read_exact_at(&mut bytes[board..], board as u64)?;
        let ring = layout.ring().start;
        file.read_exact_at(&mut bytes[..ring], 0)?;
        Ok::<_, io::Error>(())
    })?;
    let again = Recording::within(&Arc::new(memory), layout, None);
    first.board.tokens.confirm(&again.board.tokens);
    first.board.tasks.confirm(&again.board.tasks);
    first.ring.confirm(again.ring.reserved()).map_err(damaged)
}

/// The last moment of which the recording knows, in ticks.
fn last_moment(recording: &Recording, header: &Header, identity: &Identity) -> Stamp {
    let Recording { ring, board, .. } = recording;
    let mut words = Vec::new();
    ring.read(ring.committed().saturating_sub(1), 1, &mut words);
    let recorded = words
        .first()
        .map(|&words| nexus_protocol::Record::from_words(0, words, &ClockMap::IDENTITY).at)
        .unwrap_or(identity.started);
    recorded.max(board.activity().1).max(header.ended()).max(identity.started)
}
