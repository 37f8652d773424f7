//! The event model: everything a runtime records, once, for the ring, the wire, the trace and the screen.
//!
//! Events name each other by sequence number ([`Seq`]): a wake names the transition or timer that caused it, a poll the
//! wake that queued it, an operation the poll that made it. A chain is therefore followed by number, never guessed
//! from stamps. A link is `None` where there was no such record, or where it is too far back for the record to say
//! (2³² records; 65,535 from an operation to its poll).
//!
//! Knows nothing of bytes: [`record`](crate::record) packs an event into four words, `encode` and `decode` put it on
//! the wire.

use crate::fragment::Fragment;
use crate::ids::{PrimitiveId, Seq, SpanId, Stamp, StringId, TaskId, TimerId, TokenId};
use crate::readiness::{Direction, Interest, Readiness};
use std::net::SocketAddr;

/// One record of a ring: an event, its number and the time at which it was recorded.
///
/// Stamps never run backwards within a runtime. The clock is read at turns, at both ends of a poll and at wakes of
/// another task; all other records carry the stamp of the record before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number, counted from the first record of the runtime.
    pub seq: Seq,
    /// When it was recorded.
    pub at: Stamp,
    /// What happened.
    pub event: Event,
}

macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $code:literal, $word:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$variant_meta])* $variant = $code,)*
        }

        impl $name {
            /// Every value, in the order of the codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code in records and frames.
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The value with this code, if there is one.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// The word on the screen and in traces.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            /// The value with this word, if there is one.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

codes! {
    /// What kind of I/O source a token stands for.
    SourceKind {
        /// A source registered through the raw handle.
        Other = 0, "other";
        /// A listening TCP socket.
        TcpListener = 1, "tcp-listener";
        /// A TCP connection, also while it is being made.
        TcpStream = 2, "tcp-stream";
        /// A UDP socket.
        UdpSocket = 3, "udp";
        /// A listening Unix socket.
        UnixListener = 4, "unix-listener";
        /// A Unix stream connection.
        UnixStream = 5, "unix-stream";
        /// A Unix datagram socket.
        UnixDatagram = 6, "unix-datagram";
        /// What a handler of one of the operating system's signals rings.
        Signal = 7, "signal";
    }
}

codes! {
    /// How long the loop was prepared to wait for the kernel in a turn.
    TurnMode {
        /// Not at all: there was work.
        Look = 1, "look";
        /// Until the next event or timer.
        Park = 2, "park";
        /// It asked again and again without sleeping, until something happened or its time was over.
        Spin = 3, "spin";
    }
}

codes! {
    /// Why a token's readiness changed.
    TransitionReason {
        /// The kernel said so.
        Event = 1, "event";
        /// An operation found nothing left, or the owner cleared it.
        Consumed = 2, "consumed";
        /// The slot was claimed or released.
        Reset = 3, "reset";
    }
}

codes! {
    /// Why a token could not be released. The freelist is unchanged by such an attempt.
    RefusalReason {
        /// The token's generation is not the slot's: it was released before.
        Stale = 1, "stale";
        /// The token belongs to another runtime.
        Foreign = 2, "foreign";
        /// The slot does not exist.
        Unknown = 3, "unknown";
    }
}

codes! {
    /// What a wake did.
    WakeOutcome {
        /// The task was put into the run queue.
        Queued = 1, "queued";
        /// The task was in the queue already.
        Redundant = 2, "redundant";
        /// The task had finished.
        Dead = 3, "dead";
    }
}

codes! {
    /// How a poll ended.
    PollResult {
        /// The future is not done.
        Pending = 1, "pending";
        /// The future is done.
        Ready = 2, "ready";
        /// The future panicked.
        Panicked = 3, "panicked";
    }
}

codes! {
    /// How a poll is to be judged.
    Verdict {
        /// An operation completed, the future is done, or it was the task's first poll.
        Progress = 1, "progress";
        /// Nothing was achieved, and every wake it answers is ours to judge.
        Spurious = 2, "spurious";
        /// Nothing was achieved, but a wake came through a foreign waker, which may have carried something.
        Unattributed = 3, "unattributed";
        /// Nothing was achieved, and nothing is wrong with that: an explicit yield, or a first self-wake.
        Excused = 4, "excused";
    }
}

codes! {
    /// What a task does again and again in [`Event::Repeats`].
    Cycle {
        /// It fires its own waker.
        SelfWake = 1, "self";
        /// It yields explicitly.
        Yield = 2, "yield";
    }
}

impl Cycle {
    /// The cause of the wakes.
    #[must_use]
    pub fn cause(self) -> Cause {
        match self {
            Self::SelfWake => Cause::SelfWake,
            Self::Yield => Cause::Yield,
        }
    }

    /// The verdict on each of the polls.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self {
            Self::SelfWake => Verdict::Spurious,
            Self::Yield => Verdict::Excused,
        }
    }
}

codes! {
    /// How much a span or log record of the application's matters, as `tracing` has it.
    Level {
        /// Something failed.
        Error = 1, "error";
        /// Something is not as it should be.
        Warn = 2, "warn";
        /// Of interest.
        Info = 3, "info";
        /// Of interest to developers.
        Debug = 4, "debug";
        /// Everything else.
        Trace = 5, "trace";
    }
}

codes! {
    /// How a task ended.
    TaskOutcome {
        /// Its future returned.
        Completed = 1, "completed";
        /// Its future panicked.
        Panicked = 2, "panicked";
        /// It was aborted through its handle.
        Aborted = 3, "aborted";
        /// The runtime was dropped.
        Dropped = 4, "dropped";
    }
}

codes! {
    /// What an operation tries to do.
    Operation {
        /// Accept a connection.
        Accept = 1, "accept";
        /// Finish a connection attempt.
        Connect = 2, "connect";
        /// Read from a byte stream.
        Read = 3, "read";
        /// Write to a byte stream.
        Write = 4, "write";
        /// Receive a datagram, or from a channel.
        Receive = 5, "receive";
        /// Send a datagram, or to a channel.
        Send = 6, "send";
        /// Wait until a direction of a token is ready.
        Ready = 7, "ready";
        /// Wait for a timer.
        Timer = 8, "timer";
        /// Wait for a task's result.
        Join = 9, "join";
        /// Wait for a notification.
        Notified = 10, "notified";
        /// Wait for a cancellation or shutdown.
        Cancelled = 11, "cancelled";
        /// Wait for a signal of the operating system.
        Signal = 12, "signal";
        /// Wait for work on another thread.
        Blocking = 13, "blocking";
        /// Ask a foreign future, through the adapter that counts it.
        Foreign = 14, "foreign";
    }
}

codes! {
    /// How a wait ended.
    WaitOutcome {
        /// What was waited for happened.
        Done = 1, "done";
        /// The waiting future was dropped first.
        Dropped = 2, "dropped";
    }
}

codes! {
    /// What happened to a timer.
    TimerAction {
        /// It was armed.
        Armed = 1, "armed";
        /// It was given another deadline.
        Reset = 2, "reset";
        /// It was dropped before its deadline.
        Cancelled = 3, "cancelled";
        /// Its deadline was reached.
        Fired = 4, "fired";
    }
}

codes! {
    /// Which end of a connection an address belongs to.
    Side {
        /// Ours.
        Local = 1, "local";
        /// The other one.
        Peer = 2, "peer";
    }
}

/// Why a task's waker was fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The kernel reported readiness of a token.
    Io {
        /// The token.
        token: TokenId,
        /// The direction in which the task waited.
        direction: Direction,
        /// The transition that was recorded for the kernel's event.
        event: Option<Seq>,
    },
    /// A timer reached its deadline.
    Timer {
        /// The timer.
        timer: TimerId,
        /// The record of its firing.
        fired: Option<Seq>,
    },
    /// A task it waited for finished.
    Join {
        /// The finished task.
        task: TaskId,
    },
    /// Another task fired the waker while it was polled; what passed between them is not known here.
    Task {
        /// The task that was being polled.
        task: TaskId,
    },
    /// The task fired its own waker while it was polled.
    SelfWake,
    /// The task yielded explicitly.
    Yield,
    /// The task was spawned.
    Spawn,
    /// Another thread fired the waker.
    Thread {
        /// The kernel's id of that thread.
        thread: u32,
        /// When it did so; the record's own stamp says when the runtime thread took notice.
        woken: Stamp,
    },
    /// The runtime thread fired the waker outside of any poll and turn.
    Outside,
    /// The task was aborted, or it waited for a shutdown that was requested.
    Shutdown,
    /// A primitive of ours on which it waited fired the waker.
    Primitive {
        /// The channel, notification or token.
        primitive: PrimitiveId,
        /// Who used it.
        by: WokenBy,
    },
}

/// Who used the primitive that fired a waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WokenBy {
    /// The runtime thread, outside of any poll.
    Outside,
    /// The task that was being polled.
    Task(TaskId),
    /// Another thread.
    Thread {
        /// The kernel's id of that thread.
        thread: u32,
        /// When it did so, to 256 ticks of the recorder's clock, and at most 2⁴⁰ ticks ago; the record's own stamp says
        /// when the runtime thread took notice.
        woken: Stamp,
    },
}

impl WokenBy {
    /// The word in traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Outside => "outside",
            Self::Task(_) => "task",
            Self::Thread { .. } => "thread",
        }
    }
}

impl Cause {
    /// Whether the runtime can judge what a poll made of this wake. It can't when the wake came through a waker that
    /// foreign code held: another task or thread may have delivered something the recorder does not see.
    #[must_use]
    pub fn is_attributable(self) -> bool {
        !matches!(self, Self::Task { .. } | Self::Thread { .. } | Self::Outside)
    }

    /// Whether another thread fired the waker.
    #[must_use]
    pub fn is_remote(self) -> bool {
        matches!(self, Self::Thread { .. } | Self::Primitive { by: WokenBy::Thread { .. }, .. })
    }

    /// The word on the screen and in traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[usize::from(self.code())]
    }

    /// The words of all causes, by code; no cause has code zero.
    pub const NAMES: [&'static str; 12] = [
        "none",
        "io",
        "timer",
        "join",
        "task",
        "self",
        "yield",
        "spawn",
        "thread",
        "outside",
        "shutdown",
        "primitive",
    ];

    /// The code in records and in a task's row.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Io { .. } => 1,
            Self::Timer { .. } => 2,
            Self::Join { .. } => 3,
            Self::Task { .. } => 4,
            Self::SelfWake => 5,
            Self::Yield => 6,
            Self::Spawn => 7,
            Self::Thread { .. } => 8,
            Self::Outside => 9,
            Self::Shutdown => 10,
            Self::Primitive { .. } => 11,
        }
    }
}

/// What an operation works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A token.
    Token(TokenId),
    /// A timer.
    Timer(TimerId),
    /// Another task.
    Task(TaskId),
    /// A channel, notification or token of ours, or what a foreign future is counted as.
    Primitive(PrimitiveId),
}

/// What a task sleeps on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WaitFor {
    /// A direction of a token.
    Token(TokenId, Direction),
    /// A timer.
    Timer(TimerId),
    /// The end of another task.
    Task(TaskId),
    /// A channel, notification or token of ours.
    Primitive(PrimitiveId),
}

/// How an operation went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationResult {
    /// It completed. The number is bytes for transfers on a token, messages for those on a primitive, the new descriptor
    /// for accept, and zero otherwise.
    Done(u32),
    /// A read found the end of the stream, or a channel was closed by its other side.
    EndOfFile,
    /// The kernel refused with this `errno`.
    Error(u32),
    /// The kernel said `EAGAIN`.
    WouldBlock,
    /// Answered from the readiness we hold, without a system call.
    NotReady,
}

impl Operation {
    /// Bytes that it took in and gave out. Messages of a channel are none.
    #[inline]
    #[must_use]
    pub fn bytes(self, subject: Subject, result: OperationResult) -> (u64, u64) {
        match (self, result) {
            (_, OperationResult::Done(_)) if matches!(subject, Subject::Primitive(_)) => (0, 0),
            (Self::Read | Self::Receive, OperationResult::Done(bytes)) => (bytes.into(), 0),
            (Self::Write | Self::Send, OperationResult::Done(bytes)) => (0, bytes.into()),
            _ => (0, 0),
        }
    }

    /// The direction of a token in which the operation waits; readable for those that are not on tokens.
    #[must_use]
    pub fn direction(self) -> Direction {
        match self {
            Self::Connect | Self::Write | Self::Send => Direction::Writable,
            _ => Direction::Readable,
        }
    }
}

impl OperationResult {
    /// The result that an I/O error stands for. Errors without an `errno` get `u32::MAX`.
    #[must_use]
    pub fn of_error(error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::WouldBlock => Self::WouldBlock,
            _ => Self::Error(error.raw_os_error().map_or(u32::MAX, i32::unsigned_abs)),
        }
    }

    /// Whether this counts as progress: the caller learned something it can act on.
    #[must_use]
    pub fn is_progress(self) -> bool {
        !matches!(self, Self::WouldBlock | Self::NotReady)
    }

    /// The word on the screen and in traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::EndOfFile => "end-of-file",
            Self::Error(_) => "error",
            Self::WouldBlock => "would-block",
            Self::NotReady => "not-ready",
        }
    }
}

/// An address of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address and port. The scope and flow label of IPv6 are not recorded.
    Inet(SocketAddr),
    /// The path of a Unix socket, in the string table.
    Unix(StringId),
}

/// Everything a runtime records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A pass around `epoll_wait` has returned from the kernel.
    Turn {
        /// Number of the turn, counted from one. Turns that only looked, while there was work, and to which the kernel had
        /// nothing to say but that timers are due, are counted, but hardly ever recorded: theirs are the numbers that are
        /// left out.
        number: u64,
        /// How many kernel events it brought, the runtime's own wake-up and timer descriptors not counted.
        events: u32,
        /// Whether the loop slept.
        mode: TurnMode,
        /// When the call began. The record's own stamp says when it returned.
        parked: Stamp,
    },
    /// A slot was taken from the freelist.
    TokenClaimed {
        /// The new token.
        token: TokenId,
        /// What it stands for.
        kind: SourceKind,
        /// The descriptor, or -1 if the source does not tell.
        fd: i32,
        /// Where in the program it was claimed.
        location: StringId,
        /// Live tokens afterwards.
        live: u32,
    },
    /// A token's registration with the kernel changed.
    TokenRegistered {
        /// The token.
        token: TokenId,
        /// Interest before.
        before: Interest,
        /// Interest afterwards.
        after: Interest,
        /// Zero, or why the kernel refused.
        errno: u32,
    },
    /// An address of the token that lives in this slot at this point became known.
    TokenAddress {
        /// The slot; its token is the one claimed last. (An IPv6 address leaves no room for the generation.)
        slot: u32,
        /// Which end.
        side: Side,
        /// The address.
        address: Address,
    },
    /// A token went back to the freelist.
    TokenReleased {
        /// The token, which is stale from now on.
        token: TokenId,
        /// Live tokens afterwards.
        live: u32,
        /// Zero, or why the kernel would not deregister the source. The slot is free all the same.
        errno: u32,
    },
    /// A token was handed back that could not be released. Nothing changed.
    ReleaseRefused {
        /// The token as it was handed in.
        token: TokenId,
        /// Why it was refused.
        reason: RefusalReason,
    },
    /// A token's readiness was reported, consumed or reset.
    Transition {
        /// The token.
        token: TokenId,
        /// Readiness before.
        before: Readiness,
        /// Readiness afterwards; equal to `before` when the kernel reported the same again.
        after: Readiness,
        /// Why.
        reason: TransitionReason,
        /// How many wakers this fires; the wakes follow as records of their own.
        wakers: u32,
    },
    /// The kernel reported an event for a registration that is gone. It was delivered to nobody.
    StaleEvent {
        /// The token the event was for.
        token: TokenId,
        /// The generation that the slot has now.
        current: u32,
        /// What was reported.
        readiness: Readiness,
    },
    /// A task was spawned.
    TaskSpawned {
        /// The task.
        task: TaskId,
        /// Where in the program.
        location: StringId,
        /// The name it was given, or the empty string.
        name: StringId,
        /// The poll that spawned it.
        poll: Option<Seq>,
    },
    /// A task ended.
    TaskFinished {
        /// The task.
        task: TaskId,
        /// How.
        outcome: TaskOutcome,
    },
    /// A task's waker was fired.
    Wake {
        /// The task.
        task: TaskId,
        /// Why.
        cause: Cause,
        /// What came of it.
        outcome: WakeOutcome,
    },
    /// A poll begins.
    PollStart {
        /// The task.
        task: TaskId,
        /// How many polls of this task there have been, this one included.
        number: u64,
        /// The wake that queued it. Redundant wakes it answers as well lie between that record and this one.
        wake: Option<Seq>,
    },
    /// A poll ends.
    PollEnd {
        /// The task.
        task: TaskId,
        /// When the poll began.
        started: Stamp,
        /// What the future returned.
        result: PollResult,
        /// How the poll is to be judged.
        verdict: Verdict,
        /// Operations made in it, at most 65,535.
        operations: u16,
        /// Operations that completed, at most 65,535.
        progress: u16,
    },
    /// A leaf future tried something.
    Operation {
        /// What it tried.
        operation: Operation,
        /// On what.
        subject: Subject,
        /// How it went.
        result: OperationResult,
        /// The task that was being polled.
        task: Option<TaskId>,
        /// The poll in which it happened.
        poll: Option<Seq>,
    },
    /// A task goes to sleep on something.
    WaitBegin {
        /// The task.
        task: Option<TaskId>,
        /// What it waits for.
        target: WaitFor,
    },
    /// A wait is over.
    WaitEnd {
        /// The task that waited.
        task: Option<TaskId>,
        /// What it waited for.
        target: WaitFor,
        /// How it ended.
        outcome: WaitOutcome,
    },
    /// A timer changed.
    Timer {
        /// The timer.
        timer: TimerId,
        /// What happened.
        action: TimerAction,
        /// Its deadline in nanoseconds of `CLOCK_MONOTONIC`, in the ring too.
        deadline_ns: u64,
        /// The poll that did it; none when it fired.
        poll: Option<Seq>,
    },
    /// The slot table grew.
    FreelistGrown {
        /// Slots afterwards.
        capacity: u32,
        /// Live tokens.
        live: u32,
        /// How often it has grown so far.
        growths: u32,
    },
    /// A task was polled again and again, and did the same each time: it queued itself, made no operation, and returned
    /// pending. Stands for the records of all these polls and wakes, which were not written.
    ///
    /// The polls lie between `first` and the record's own stamp; what is not `busy` of that time, the task was queued. The
    /// last of the wakes counts as fired at the record's stamp: a poll that follows names this record as its wake.
    Repeats {
        /// The task.
        task: TaskId,
        /// What it did.
        cycle: Cycle,
        /// How many polls there were, and as many wakes; less than 2²⁴.
        count: u32,
        /// When the poll before them ended.
        first: Stamp,
        /// How long the polls took together, in the unit of the stamps; less than 2²⁴ ticks.
        busy: u64,
        /// How long the shortest one took; rounded down to 12 significant bits.
        shortest: u64,
        /// How long the longest one took.
        longest: u64,
    },
    /// The application has entered a `tracing` span on the runtime's thread. A future in a span enters it at each poll.
    SpanEntered {
        /// The span.
        span: SpanId,
        /// Its name.
        name: StringId,
        /// What part of the application it belongs to: a module path, as a rule.
        target: StringId,
        /// Where in the program it is made.
        location: StringId,
        /// How much it matters.
        level: Level,
        /// How many records of [`Event::Text`] follow directly: its fields, if they have not been told yet.
        texts: u8,
        /// The task that was being polled.
        task: Option<TaskId>,
        /// The poll in which it happened.
        poll: Option<Seq>,
    },
    /// The application has left a `tracing` span.
    SpanExited {
        /// The span.
        span: SpanId,
        /// Its name.
        name: StringId,
        /// When it was entered; at most 2⁴⁸ ticks ago.
        entered: Stamp,
        /// The task that was being polled.
        task: Option<TaskId>,
        /// The poll in which it happened.
        poll: Option<Seq>,
    },
    /// The application has said something: an event of `tracing`.
    Log {
        /// How much it matters.
        level: Level,
        /// What it said, if that is always the same at this place; else the empty string.
        message: StringId,
        /// What part of the application said it: a module path, as a rule.
        target: StringId,
        /// Where in the program.
        location: StringId,
        /// The span in which it was said.
        span: Option<SpanId>,
        /// How many records of [`Event::Text`] follow directly: the rest of the message, and its fields.
        texts: u8,
        /// The task that was being polled.
        task: Option<TaskId>,
        /// The poll in which it happened.
        poll: Option<Seq>,
    },
    /// A piece of the text that belongs to the last [`Event::SpanEntered`] or [`Event::Log`].
    Text {
        /// The piece.
        text: Fragment,
    },
    /// A record of a kind that this version does not know.
    Unknown {
        /// The kind's code.
        kind: u8,
    },
}

impl Event {
    /// The event's kind as a code: the first byte of its record.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::Turn { .. } => kind::TURN,
            Self::TokenClaimed { .. } => kind::TOKEN_CLAIMED,
            Self::TokenRegistered { .. } => kind::TOKEN_REGISTERED,
            Self::TokenAddress { .. } => kind::TOKEN_ADDRESS,
            Self::TokenReleased { .. } => kind::TOKEN_RELEASED,
            Self::ReleaseRefused { .. } => kind::RELEASE_REFUSED,
            Self::Transition { .. } => kind::TRANSITION,
            Self::StaleEvent { .. } => kind::STALE_EVENT,
            Self::TaskSpawned { .. } => kind::TASK_SPAWNED,
            Self::TaskFinished { .. } => kind::TASK_FINISHED,
            Self::Wake { .. } => kind::WAKE,
            Self::PollStart { .. } => kind::POLL_START,
            Self::PollEnd { .. } => kind::POLL_END,
            Self::Operation { .. } => kind::OPERATION,
            Self::WaitBegin { .. } => kind::WAIT_BEGIN,
            Self::WaitEnd { .. } => kind::WAIT_END,
            Self::Timer { .. } => kind::TIMER,
            Self::FreelistGrown { .. } => kind::FREELIST_GROWN,
            Self::Repeats { .. } => kind::REPEATS,
            Self::SpanEntered { .. } => kind::SPAN_ENTERED,
            Self::SpanExited { .. } => kind::SPAN_EXITED,
            Self::Log { .. } => kind::LOG,
            Self::Text { .. } => kind::TEXT,
            Self::Unknown { kind } => *kind,
        }
    }

    /// The task this event is about, if it is about one.
    #[must_use]
    pub fn task(&self) -> Option<TaskId> {
        match *self {
            Self::TaskSpawned { task, .. }
            | Self::TaskFinished { task, .. }
            | Self::Wake { task, .. }
            | Self::PollStart { task, .. }
            | Self::PollEnd { task, .. }
            | Self::Repeats { task, .. } => Some(task),
            Self::Operation { task, .. }
            | Self::SpanEntered { task, .. }
            | Self::SpanExited { task, .. }
            | Self::Log { task, .. }
            | Self::WaitBegin { task, .. }
            | Self::WaitEnd { task, .. } => task,
            _ => None,
        }
    }
}

/// The codes of the kinds of event. A code is never given a new meaning; zero is no record.
pub mod kind {
    #![allow(missing_docs, reason = "each names the variant of `Event` it stands for")]
    pub const TURN: u8 = 1;
    pub const TOKEN_CLAIMED: u8 = 2;
    pub const TOKEN_REGISTERED: u8 = 3;
    pub const TOKEN_ADDRESS: u8 = 4;
    pub const TOKEN_RELEASED: u8 = 5;
    pub const RELEASE_REFUSED: u8 = 6;
    pub const TRANSITION: u8 = 7;
    pub const STALE_EVENT: u8 = 8;
    pub const TASK_SPAWNED: u8 = 9;
    pub const TASK_FINISHED: u8 = 10;
    pub const WAKE: u8 = 11;
    pub const POLL_START: u8 = 12;
    pub const POLL_END: u8 = 13;
    pub const OPERATION: u8 = 14;
    pub const WAIT_BEGIN: u8 = 15;
    pub const WAIT_END: u8 = 16;
    pub const TIMER: u8 = 17;
    pub const FREELIST_GROWN: u8 = 18;
    pub const REPEATS: u8 = 19;
    pub const SPAN_ENTERED: u8 = 20;
    pub const SPAN_EXITED: u8 = 21;
    pub const LOG: u8 = 22;
    pub const TEXT: u8 = 23;

    /// The largest code in use.
    pub const LAST: u8 = TEXT;

    /// The words on the screen and in traces, by code.
    pub const NAMES: [&str; LAST as usize + 1] = [
        "none",
        "turn",
        "token-claimed",
        "token-registered",
        "token-address",
        "token-released",
        "release-refused",
        "transition",
        "stale-event",
        "task-spawned",
        "task-finished",
        "wake",
        "poll-start",
        "poll-end",
        "operation",
        "wait-begin",
        "wait-end",
        "timer",
        "freelist-grown",
        "repeats",
        "span-entered",
        "span-exited",
        "log",
        "text",
    ];
}
