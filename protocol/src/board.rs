//! The board: what every token and task *is* right now, with counters that are exact for ever.
//!
//! The runtime keeps one row of plain words per slot and per task, which other threads may copy at any time; this module
//! owns the meaning of the words. A row names the number of the last record that changed it, so that a client applies
//! only later events to it.
//!
//! Deliberately knows nothing of how a row is read consistently: that is the runtime's business.

use crate::clock::ClockMap;
use crate::event::{Address, SourceKind, TaskOutcome, WaitFor};
use crate::ids::{RuntimeId, Seq, Stamp, StringId, TaskId, TokenId};
use crate::readiness::{Interest, Readiness};
use crate::record::{address_from_words, address_words, wait_from_words, wait_words};

/// Exact counters of one token since it was claimed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCounters {
    /// Kernel events delivered.
    pub events: u64,
    /// Wakes of tasks caused by it, redundant and dead ones included.
    pub wakes: u64,
    /// Polls queued by one of its wakes and judged spurious.
    pub spurious: u64,
    /// Kernel events for earlier generations of its slot that arrived while this one lived.
    pub stale: u64,
    /// Operations attempted.
    pub operations: u64,
    /// Operations to which the kernel answered `EAGAIN`.
    pub would_block: u64,
    /// Operations answered from the readiness held, without a system call.
    pub not_ready: u64,
    /// Operations that the kernel refused with another error.
    pub errors: u64,
    /// Bytes read or received.
    pub bytes_in: u64,
    /// Bytes written or sent.
    pub bytes_out: u64,
}

/// One live token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Number of the first record *not* yet taken into account in this row.
    pub next_seq: Seq,
    /// The token.
    pub token: TokenId,
    /// What it stands for.
    pub kind: SourceKind,
    /// The descriptor, or -1.
    pub fd: i32,
    /// What it is registered for.
    pub interest: Interest,
    /// Its readiness.
    pub readiness: Readiness,
    /// The task that claimed it, until another one uses it.
    pub owner: Option<TaskId>,
    /// Where in the program it was claimed.
    pub location: StringId,
    /// When it was claimed.
    pub claimed: Stamp,
    /// When the last kernel event or operation on it was recorded.
    pub last_active: Stamp,
    /// Since when the peer has closed its sending side; never if it has not.
    pub read_closed: Stamp,
    /// Its own address.
    pub local: Option<Address>,
    /// The peer's address.
    pub peer: Option<Address>,
    /// Waits under way for readable.
    pub waiters_readable: u32,
    /// Waits under way for writable.
    pub waiters_writable: u32,
    /// Counters.
    pub counters: TokenCounters,
    /// The row was being changed in every attempt to copy it: its fields may belong to different moments.
    pub changing: bool,
}

/// Where the words of a token's row are.
pub mod token_word {
    #![allow(missing_docs, reason = "each names the field of `TokenRow` it holds")]
    pub const NEXT_SEQ: usize = 0;
    pub const TOKEN: usize = 1;
    /// Bits 0–7 source kind, 8–15 interest, 16–23 readiness, 24 live, 32–63 descriptor.
    pub const STATE: usize = 2;
    pub const LOCATION: usize = 3;
    pub const OWNER: usize = 4;
    pub const CLAIMED: usize = 5;
    pub const LAST_ACTIVE: usize = 6;
    pub const READ_CLOSED: usize = 7;
    /// Bits 0–7 family, 16–31 port of the local address; 32–39 family, 48–63 port of the peer's.
    pub const ADDRESS_HEADS: usize = 8;
    pub const LOCAL: usize = 9;
    pub const PEER: usize = 11;
    /// Waiters for readable in the lower half, for writable in the upper one.
    pub const WAITERS: usize = 13;
    pub const EVENTS: usize = 14;
    pub const WAKES: usize = 15;
    pub const SPURIOUS: usize = 16;
    pub const STALE: usize = 17;
    pub const OPERATIONS: usize = 18;
    pub const WOULD_BLOCK: usize = 19;
    pub const NOT_READY: usize = 20;
    pub const ERRORS: usize = 21;
    pub const BYTES_IN: usize = 22;
    pub const BYTES_OUT: usize = 23;
    /// How many words a row has.
    pub const COUNT: usize = 24;
    /// The bit of [`STATE`] that says that the row is in use.
    pub const LIVE: u64 = 1 << 24;
}

/// The words of a token's row.
pub type TokenWords = [u64; token_word::COUNT];

impl TokenRow {
    /// The first word's worth of state, as the row holds it.
    #[must_use]
    pub fn state_word(kind: SourceKind, interest: Interest, readiness: Readiness, fd: i32) -> u64 {
        u64::from(kind.code())
            | u64::from(interest.bits()) << 8
            | u64::from(readiness.bits()) << 16
            | token_word::LIVE
            | u64::from(fd as u32) << 32
    }

    /// The words that hold two addresses: the heads, then two words for each.
    #[must_use]
    pub fn address_words(local: Option<Address>, peer: Option<Address>) -> [u64; 5] {
        let words = |address: Option<Address>| address.map_or((0, 0, 0, 0), address_words);
        let (family, port, x, y) = words(local);
        let (peer_family, peer_port, peer_x, peer_y) = words(peer);
        let head = |family: u8, port: u16| u64::from(family) | u64::from(port) << 16;
        [head(family, port) | head(peer_family, peer_port) << 32, x, y, peer_x, peer_y]
    }

    /// Reads a row, or `None` if the slot is free. `changing` says that the words may not belong together.
    #[must_use]
    pub fn from_words(words: &TokenWords, changing: bool, clock: &ClockMap) -> Option<Self> {
        use token_word as at;
        let state = words[at::STATE];
        if state & at::LIVE == 0 {
            return None;
        }
        let heads = words[at::ADDRESS_HEADS];
        let address = |head: u64, at: usize| {
            address_from_words(head as u8, (head >> 16) as u16, words[at], words[at + 1])
        };
        Some(Self {
            next_seq: words[at::NEXT_SEQ],
            token: TokenId::unpack(words[at::TOKEN]),
            kind: SourceKind::from_code(state as u8).unwrap_or(SourceKind::Other),
            fd: (state >> 32) as i32,
            interest: Interest::from_bits((state >> 8) as u8),
            readiness: Readiness::from_bits((state >> 16) as u8),
            owner: TaskId::from_word(words[at::OWNER]),
            location: StringId(words[at::LOCATION] as u32),
            claimed: clock.map(Stamp(words[at::CLAIMED])),
            last_active: clock.map(Stamp(words[at::LAST_ACTIVE])),
            read_closed: clock.map(Stamp(words[at::READ_CLOSED])),
            local: address(heads, at::LOCAL),
            peer: address(heads >> 32, at::PEER),
            waiters_readable: words[at::WAITERS] as u32,
            waiters_writable: (words[at::WAITERS] >> 32) as u32,
            counters: TokenCounters {
                events: words[at::EVENTS],
                wakes: words[at::WAKES],
                spurious: words[at::SPURIOUS],
                stale: words[at::STALE],
                operations: words[at::OPERATIONS],
                would_block: words[at::WOULD_BLOCK],
                not_ready: words[at::NOT_READY],
                errors: words[at::ERRORS],
                bytes_in: words[at::BYTES_IN],
                bytes_out: words[at::BYTES_OUT],
            },
            changing,
        })
    }
}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TaskState {
    /// It sleeps until somebody wakes it.
    Idle = 1,
    /// It is in the run queue.
    Queued = 2,
    /// It is being polled.
    Polling = 3,
    /// It has ended.
    Finished = 4,
}

impl TaskState {
    /// The state with this code, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Idle,
            2 => Self::Queued,
            3 => Self::Polling,
            4 => Self::Finished,
            _ => return None,
        })
    }

    /// The word on the screen and in traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Queued => "queued",
            Self::Polling => "polling",
            Self::Finished => "finished",
        }
    }
}

/// Exact counters of one task since it was spawned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskCounters {
    /// Polls begun.
    pub polls: u64,
    /// Wakes that put it into the run queue.
    pub wakes: u64,
    /// Wakes that found it in the run queue already.
    pub redundant: u64,
    /// Of all its wakes, those it caused itself (explicit yields not counted).
    pub self_wakes: u64,
    /// Polls judged spurious.
    pub spurious: u64,
    /// Polls without progress that cannot be judged.
    pub unattributed: u64,
    /// Operations attempted.
    pub operations: u64,
    /// Operations that completed.
    pub progress: u64,
    /// Time spent in its polls: ticks in the board, nanoseconds elsewhere.
    pub busy: u64,
    /// Time spent in spurious polls, in the same unit.
    pub wasted: u64,
    /// Its longest poll, in the same unit.
    pub longest: u64,
    /// Time between the wakes that queued it and the polls that answered them, in the same unit.
    pub waited: u64,
}

/// One live task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskRow {
    /// Number of the first record *not* yet taken into account in this row.
    pub next_seq: Seq,
    /// The task.
    pub task: TaskId,
    /// What it is doing.
    pub state: TaskState,
    /// How it ended, once it has.
    pub outcome: Option<TaskOutcome>,
    /// Where in the program it was spawned.
    pub location: StringId,
    /// Its name, or the empty string.
    pub name: StringId,
    /// When it was spawned.
    pub spawned: Stamp,
    /// When its current state began.
    pub since: Stamp,
    /// Code of the cause of its last wake, as in records; zero for none.
    pub last_wake_cause: u8,
    /// What it went to sleep on last, if it still sleeps on it.
    pub waiting_for: Option<WaitFor>,
    /// Waits under way.
    pub waits: u32,
    /// Counters.
    pub counters: TaskCounters,
    /// The row was being changed in every attempt to copy it: its fields may belong to different moments.
    pub changing: bool,
}

/// Where the words of a task's row are.
pub mod task_word {
    #![allow(missing_docs, reason = "each names the field of `TaskRow` it holds")]
    pub const NEXT_SEQ: usize = 0;
    pub const TASK: usize = 1;
    /// Bits 0–7 state (zero: row not in use), 8–15 outcome, 16–23 cause of the last wake, 24–31 kind and 32–39
    /// direction of what it waits for.
    pub const STATE: usize = 2;
    /// Location in the lower half, name in the upper one.
    pub const STRINGS: usize = 3;
    pub const SPAWNED: usize = 4;
    pub const SINCE: usize = 5;
    pub const WAITING_FOR: usize = 6;
    pub const WAITS: usize = 7;
    pub const POLLS: usize = 8;
    pub const WAKES: usize = 9;
    pub const REDUNDANT: usize = 10;
    pub const SELF_WAKES: usize = 11;
    pub const SPURIOUS: usize = 12;
    pub const UNATTRIBUTED: usize = 13;
    pub const OPERATIONS: usize = 14;
    pub const PROGRESS: usize = 15;
    pub const BUSY: usize = 16;
    pub const WASTED: usize = 17;
    pub const LONGEST: usize = 18;
    pub const WAITED: usize = 19;
    /// How many words a row has.
    pub const COUNT: usize = 20;
}

/// The words of a task's row.
pub type TaskWords = [u64; task_word::COUNT];

impl TaskRow {
    /// The state word, as the row holds it.
    #[must_use]
    pub fn state_word(
        state: TaskState,
        outcome: Option<TaskOutcome>,
        last_wake_cause: u8,
        waiting_for: Option<WaitFor>,
    ) -> u64 {
        let (kind, direction, _) = waiting_for.map_or((0, 0, 0), wait_words);
        u64::from(state as u8)
            | u64::from(outcome.map_or(0, TaskOutcome::code)) << 8
            | u64::from(last_wake_cause) << 16
            | u64::from(kind) << 24
            | u64::from(direction) << 32
    }

    /// The word that says what is waited for; its kind and direction are in the state word.
    #[must_use]
    pub fn waiting_word(waiting_for: Option<WaitFor>) -> u64 {
        waiting_for.map_or(0, |target| wait_words(target).2)
    }

    /// Reads a row, or `None` if it is not in use. `changing` says that the words may not belong together.
    #[must_use]
    pub fn from_words(words: &TaskWords, changing: bool, clock: &ClockMap) -> Option<Self> {
        use task_word as at;
        let state = words[at::STATE];
        Some(Self {
            next_seq: words[at::NEXT_SEQ],
            task: TaskId(words[at::TASK]),
            state: TaskState::from_code(state as u8)?,
            outcome: TaskOutcome::from_code((state >> 8) as u8),
            location: StringId(words[at::STRINGS] as u32),
            name: StringId((words[at::STRINGS] >> 32) as u32),
            spawned: clock.map(Stamp(words[at::SPAWNED])),
            since: clock.map(Stamp(words[at::SINCE])),
            last_wake_cause: (state >> 16) as u8,
            waiting_for: wait_from_words(
                (state >> 24) as u8,
                (state >> 32) as u8,
                words[at::WAITING_FOR],
            ),
            waits: words[at::WAITS] as u32,
            counters: TaskCounters {
                polls: words[at::POLLS],
                wakes: words[at::WAKES],
                redundant: words[at::REDUNDANT],
                self_wakes: words[at::SELF_WAKES],
                spurious: words[at::SPURIOUS],
                unattributed: words[at::UNATTRIBUTED],
                operations: words[at::OPERATIONS],
                progress: words[at::PROGRESS],
                busy: clock.map_length(words[at::BUSY]),
                wasted: clock.map_length(words[at::WASTED]),
                longest: clock.map_length(words[at::LONGEST]),
                waited: clock.map_length(words[at::WAITED]),
            },
            changing,
        })
    }
}

/// What the runtime thread is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// Not inside `block_on`.
    Outside,
    /// Between polls: taking wakes, timers and kernel events.
    Turning,
    /// Asleep in the kernel.
    Parked,
    /// Polling this task.
    Polling(TaskId),
}

impl Activity {
    /// Code and task, as the board holds them.
    #[must_use]
    pub fn words(self) -> (u64, u64) {
        match self {
            Self::Outside => (0, 0),
            Self::Turning => (1, 0),
            Self::Parked => (2, 0),
            Self::Polling(task) => (3, task.0),
        }
    }

    /// The inverse of [`Activity::words`]; codes not known here read as [`Activity::Turning`].
    #[must_use]
    pub fn from_words(code: u64, task: u64) -> Self {
        match code {
            0 => Self::Outside,
            2 => Self::Parked,
            3 => Self::Polling(TaskId(task)),
            _ => Self::Turning,
        }
    }
}

macro_rules! totals {
    ($($(#[$meta:meta])* $field:ident = $word:ident @ $index:literal;)*) => {
        /// Totals of one runtime since its start.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Totals {
            $($(#[$meta])* pub $field: u64,)*
        }

        /// Where the words of the totals are.
        pub mod total_word {
            #![allow(missing_docs, reason = "each names the field of `Totals` it holds")]
            $(pub const $word: usize = $index;)*
            /// How many words there are.
            pub const COUNT: usize = [$($index),*].len();
        }

        impl Totals {
            /// The names of the fields, in the order of the words.
            pub const NAMES: [&'static str; total_word::COUNT] = [$(stringify!($field)),*];

            /// Reads the totals. Times stay in the unit they are in.
            #[must_use]
            pub fn from_words(words: &[u64; total_word::COUNT]) -> Self {
                Self { $($field: words[$index],)* }
            }

            /// The words of these totals.
            #[must_use]
            pub fn to_words(&self) -> [u64; total_word::COUNT] {
                [$(self.$field),*]
            }
        }
    };
}

totals! {
    /// Records written to the ring: the number the next one will get.
    recorded = RECORDED @ 0;
    /// Turns.
    turns = TURNS @ 1;
    /// Kernel events delivered to tokens.
    events = EVENTS @ 2;
    /// Kernel events for registrations that were gone.
    stale = STALE @ 3;
    /// Polls begun.
    polls = POLLS @ 4;
    /// Polls judged spurious.
    spurious = SPURIOUS @ 5;
    /// Polls without progress that cannot be judged.
    unattributed = UNATTRIBUTED @ 6;
    /// Wakes that queued a task.
    wakes = WAKES @ 7;
    /// Wakes of tasks that were queued already.
    redundant = REDUNDANT @ 8;
    /// Wakes of finished tasks.
    dead = DEAD @ 9;
    /// Of all wakes, those from other threads.
    remote = REMOTE @ 10;
    /// Operations attempted.
    operations = OPERATIONS @ 11;
    /// Bytes read or received.
    bytes_in = BYTES_IN @ 12;
    /// Bytes written or sent.
    bytes_out = BYTES_OUT @ 13;
    /// Tasks spawned, root futures included.
    tasks_spawned = TASKS_SPAWNED @ 14;
    /// Tasks that ended.
    tasks_finished = TASKS_FINISHED @ 15;
    /// Tokens claimed.
    claims = CLAIMS @ 16;
    /// Tokens released.
    releases = RELEASES @ 17;
    /// Tokens handed back that were refused.
    releases_refused = RELEASES_REFUSED @ 18;
    /// Sources that failed to deregister.
    deregister_failures = DEREGISTER_FAILURES @ 19;
    /// Slots.
    capacity = CAPACITY @ 20;
    /// Live tokens.
    live = LIVE @ 21;
    /// Most live tokens there ever were.
    high_water = HIGH_WATER @ 22;
    /// How often the slot table has grown.
    growths = GROWTHS @ 23;
    /// Live tokens without a row, because the board is full.
    tokens_without_row = TOKENS_WITHOUT_ROW @ 24;
    /// Live tasks without a row, because the board is full.
    tasks_without_row = TASKS_WITHOUT_ROW @ 25;
    /// Timers armed now.
    timers = TIMERS @ 26;
    /// Timers that fired.
    timers_fired = TIMERS_FIRED @ 27;
    /// Tasks in the run queue, as of the last turn or poll.
    queued = QUEUED @ 28;
    /// Time spent in polls: ticks in the board, nanoseconds elsewhere.
    busy = BUSY @ 29;
    /// Time spent in spurious polls, in the same unit.
    wasted = WASTED @ 30;
    /// Time asleep in the kernel, in the same unit.
    parked = PARKED @ 31;
}

impl Totals {
    /// Live tasks.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.tasks_spawned.saturating_sub(self.tasks_finished)
    }

    /// Free slots.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.live)
    }

    /// These totals with their times in nanoseconds.
    #[must_use]
    pub fn in_ns(mut self, clock: &ClockMap) -> Self {
        for time in [&mut self.busy, &mut self.wasted, &mut self.parked] {
            *time = clock.map_length(*time);
        }
        self
    }
}

/// The board of one runtime at one moment. Rows may be a little younger than the totals; each says how young.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Whose board.
    pub runtime: RuntimeId,
    /// When the copy began.
    pub taken: Stamp,
    /// What the runtime thread was doing.
    pub activity: Activity,
    /// Since when.
    pub since: Stamp,
    /// Totals.
    pub totals: Totals,
    /// Live tokens, by slot.
    pub tokens: Vec<TokenRow>,
    /// Live tasks, in no particular order.
    pub tasks: Vec<TaskRow>,
}
