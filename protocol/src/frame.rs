//! What the two sides of a connection say to each other.
//!
//! The server (the endpoint of an observed process) speaks [`ServerFrame`]s, the client (an inspector) [`ClientFrame`]s.
//! Their bytes are the business of `encode` and `decode`, and of SPEC.md.

use crate::board::Snapshot;
use crate::event::{Record, kind};
use crate::ids::{RuntimeId, Seq, Stamp, StringId};
use std::fmt;

/// The version of the protocol that this crate speaks.
pub const VERSION: u16 = 1;

/// The observed process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id, in its own PID namespace.
    pub pid: u32,
    /// Its start time in clock ticks since boot, as in field 22 of `/proc/<pid>/stat`; tells reused ids apart.
    pub start_time: u64,
    /// The base name of its program.
    pub program: String,
    /// Its command line, cut to [`limits::MAX_STRING`](crate::limits::MAX_STRING) bytes.
    pub command_line: String,
    /// When the process started, in nanoseconds of `CLOCK_MONOTONIC`.
    pub started: Stamp,
    /// What to add to a stamp for nanoseconds since the Unix epoch, for display only.
    pub wall_offset_ns: i64,
    /// The recorder's clock: `tsc` or `monotonic`.
    pub clock: String,
}

/// One runtime of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeInfo {
    /// Its id.
    pub id: RuntimeId,
    /// The name given to its builder, or the empty string.
    pub name: String,
    /// The kernel's id of its thread.
    pub thread: u32,
    /// When it was built.
    pub started: Stamp,
    /// When it was dropped; never if it lives.
    pub ended: Stamp,
    /// Records its ring can hold; zero if its recorder is off.
    pub ring_capacity: u64,
    /// Records written so far.
    pub recorded: u64,
    /// Live tokens.
    pub tokens: u64,
    /// Live tasks.
    pub tasks: u64,
}

impl RuntimeInfo {
    /// Whether its recorder is on. If not, nothing is known of it: its counts are zero, and no board or record of it comes.
    #[must_use]
    pub fn is_recorded(&self) -> bool {
        self.ring_capacity > 0
    }

    /// Number of the oldest record that its ring still held when this was said: zero unless the ring has gone around.
    #[must_use]
    pub fn oldest_seq(&self) -> Seq {
        self.recorded.saturating_sub(self.ring_capacity)
    }
}

/// Why the server closes a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goodbye {
    /// The client said [`ClientFrame::Finish`], and everything recorded before has been sent.
    Finished,
    /// The process is ending, or its last runtime has been dropped; everything recorded has been sent.
    ProcessEnding,
    /// The client's bytes could not be understood.
    ProtocolError(String),
    /// There are too many clients.
    Busy,
    /// The client speaks a version this server does not.
    Version {
        /// The version the server speaks.
        server: u16,
    },
}

impl fmt::Display for Goodbye {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("everything asked for has been sent"),
            Self::ProcessEnding => f.write_str("the process is ending"),
            Self::ProtocolError(text) => write!(f, "it did not understand us: {text}"),
            Self::Busy => f.write_str("it has too many clients already"),
            Self::Version { server } => write!(f, "it speaks version {server} of the protocol"),
        }
    }
}

/// Frames from the observed process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFrame {
    /// Who this is: the first frame, sent as soon as the client has said hello.
    Hello {
        /// The protocol's version.
        version: u16,
        /// The process.
        process: Process,
        /// Its runtimes, with those that ended recently.
        runtimes: Vec<RuntimeInfo>,
    },
    /// A runtime was built or its description changed.
    Runtime(RuntimeInfo),
    /// Entries of the string table, in order, beginning with number `first`. Sent before anything that refers to them.
    Strings {
        /// Number of the first entry.
        first: StringId,
        /// The entries.
        strings: Vec<String>,
    },
    /// The board of a runtime. A large one travels in several frames and is put together by the client session.
    Snapshot(Box<Snapshot>),
    /// Consecutive records of a runtime's ring.
    Events {
        /// Whose.
        runtime: RuntimeId,
        /// The records, ascending; numbers that are missing between them were filtered out.
        records: Vec<Record>,
        /// Number after the last record that this frame accounts for.
        next_seq: Seq,
        /// Records between that the client's filter left out.
        filtered: u64,
    },
    /// Records that the client will never see: they were overwritten before they could be sent.
    Loss {
        /// Whose.
        runtime: RuntimeId,
        /// Number of the first one.
        from: Seq,
        /// Number after the last one.
        to: Seq,
    },
    /// From here on only events of these kinds are sent, as the client has asked for; the others count as filtered. Sent
    /// when that changes; before the first such frame it is [`KindFilter::ALL`].
    Filter(KindFilter),
    /// The last frame.
    Goodbye(Goodbye),
}

/// Which kinds of event a client wants: bit `n` stands for kind `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindFilter(pub u64);

impl KindFilter {
    /// Everything, kinds of future versions included.
    pub const ALL: Self = Self(u64::MAX);
    /// Nothing.
    pub const NONE: Self = Self(0);

    /// Events of these kinds.
    #[must_use]
    pub fn of(kinds: impl IntoIterator<Item = u8>) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | 1 << kind.min(63)))
    }

    /// The words of the kinds that are wanted, as far as this version knows them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let known = (0_u8..).zip(kind::NAMES).skip(1);
        known.filter(move |(kind, _)| self.wants(*kind)).map(|(_, name)| name)
    }

    /// Whether events of this kind are wanted. Kinds beyond 63 share the last bit.
    #[must_use]
    pub fn wants(self, kind: u8) -> bool {
        self.0 & (1 << kind.min(63)) != 0
    }
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// Begin with the oldest record still in the ring instead of the next one. Only the first subscription of a
    /// connection can ask for history.
    pub history: bool,
    /// Which events to send.
    pub kinds: KindFilter,
    /// Send the board of every runtime this often; zero for once, now.
    pub snapshot_every_ms: u32,
}

/// Frames from an inspector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// The first frame.
    Hello {
        /// The newest version of the protocol that the client speaks.
        version: u16,
    },
    /// Start or change the stream. The server answers with a snapshot of each runtime, then events.
    Subscribe(Subscribe),
    /// Send everything recorded until now and a last snapshot, then say goodbye. Ends a pause.
    Finish,
    /// Send nothing of the stream until further notice. Records go on to be made, and stay in the ring for as long as
    /// it holds them.
    Pause,
    /// Go on where the stream was paused. What the ring has overwritten meanwhile is lost, and counted.
    Resume,
}
