//! The recorder's probe points: all that executor, driver and timers know of recording.
//!
//! Each probe is one method, called at the moment its event happens. With recording switched off a probe is one
//! predictable branch. Probes never wait, allocate, lock or make a system call, with these exceptions: a call site's
//! or name's first use interns a string.
//!
//! What a probe records goes to two places: a record to the [`ring`], and to the [`board`] what has changed of the
//! token, the task and the totals that the record is about, exactly once. A row names the first record that it does not
//! contain yet (`next_seq`), so that a reader can apply later ones to a copy by these rules:
//!
//! | record | the row of its task | the row of its token | totals |
//! | --- | --- | --- | --- |
//! | `Turn` | | | turns, parked if the mode is `Park` |
//! | `TokenClaimed` | | a new row; owner is the task being polled | claims, live, high water |
//! | `TokenRegistered` | | interest, unless it failed | |
//! | `TokenAddress` | | the address | |
//! | `TokenReleased` | | the row is free | releases, live, deregister failures |
//! | `ReleaseRefused` | | | releases refused |
//! | `Transition` | | readiness; since when read-closed; if the kernel said so: events, last active | events likewise |
//! | `StaleEvent` | | stale (the row of the slot's owner now) | stale |
//! | `TaskSpawned` | a new row, idle | | tasks spawned |
//! | `TaskFinished` | the row is free | | tasks finished |
//! | `Wake` | last cause; wakes or redundant by outcome; self-wakes; queued since, unless it is being polled | wakes, if it is the cause | wakes, redundant or dead by outcome; remote |
//! | `PollStart` | polling since; polls; waited, since the wake that queued it | | polls |
//! | `PollEnd` | queued if a wake during the poll did so, else idle; since; busy, longest; by verdict: spurious and wasted, unattributed | spurious, if its wake queued the poll | busy; by verdict likewise |
//! | `Repeats` | queued; since; last cause; polls, wakes, busy, longest, waited, by cycle: self-wakes, spurious and wasted | | polls, wakes, busy, by cycle: spurious and wasted |
//! | `Operation` | operations, progress | operations, bytes, by result; last active; owner is the task | operations, bytes |
//! | `WaitBegin`, `WaitEnd` | waits, waiting for | waiters of the direction | |
//! | `Timer` | | | timers, timers fired |
//! | `FreelistGrown` | | | capacity; growths, unless there was none before |
//!
//! The verdict on a poll follows the table in [`verdict`]. Two counts have no records: wakes by other threads of a task
//! that was queued already are added to the task's and the totals' redundant ones when the runtime thread learns of
//! them, and wakes of finished tasks by other threads go to the totals directly.
//!
//! The clock is read at turns (once; twice around a sleep), at the start and end of a poll (once for both if one poll
//! follows another without a record between), at a spawn, and at a wake of another task than the one being polled. All
//! other records, wakes by the driver, by expired timers and by the end of a task among them, share the stamp of the
//! record before. Stamps never run backwards.
//!
//! Polls that do the same again and again are counted, and told of by one record: see [`repeats`]. So are turns that only
//! looked, and found nothing, while there was work: see [`Recorder::turn_end`].
//!
//! Without the cargo feature `recorder` all of this is compiled, but nothing of it used.
//!
//! What a poll's start and its task's own wake change is put on the board with the poll's end, or with the next record of
//! another sort: see [`polls`].

pub(crate) mod board;
pub(crate) mod clock;
mod foreign;
pub(crate) mod header;
pub(crate) mod layout;
#[cfg(feature = "tracing")]
mod logs;
pub(crate) mod mapped;
pub(crate) mod memory;
mod polls;
mod probes;
mod questions;
pub(crate) mod registry;
mod repeats;
pub(crate) mod ring;
pub(crate) mod row;
pub(crate) mod strings;
mod tasks;
#[cfg(all(test, not(loom), feature = "recorder"))]
mod tests;
pub(crate) mod texts;
mod through;
mod tokens;
mod verdict;
mod writer;

use self::clock::Clock;
use self::mapped::{Mapped, Owner};
#[cfg(feature = "recorder")]
use self::registry::Description;
use self::registry::{Observed, Recording, Registry};
use self::strings::Strings;
use self::writer::Writer;
use crate::endpoint;
use nexus_protocol::event::{Cause, WokenBy};
use nexus_protocol::{RuntimeId, Stamp};
use std::ffi::OsStr;
use std::io;
use std::sync::Arc;

#[cfg(feature = "tracing")]
pub(crate) use self::logs::{Place, Saying};
pub use self::mapped::RecordingPlace;
pub(crate) use self::tasks::{TaskProbe, WaitProbe};
pub(crate) use self::through::{Noted, Through};
pub(crate) use self::tokens::SocketName;

/// Switches recording off for a whole process when it is `off`, whatever the builder says.
const SWITCH: &str = "NEXUS_RECORDER";

/// Names a directory for recordings that outlive their process, if the builder does not say where they are to be.
const MAP: &str = "NEXUS_INSPECT_MAP";

/// The `tracing` target of what the recorder has to say.
const TARGET: &str = "nexus::runtime";

/// What the builder decides about recording.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Whether to record at all.
    pub(crate) enabled: bool,
    /// Records the ring holds; rounded up to a power of two. A record takes 32 bytes.
    pub(crate) ring_records: usize,
    /// Rows of either kind the board may grow to. A token's takes 256 bytes, a task's 192.
    pub(crate) board_rows: usize,
    /// The runtime's name, or the empty string.
    pub(crate) name: String,
    /// Where ring and board are.
    pub(crate) place: RecordingPlace,
}

impl Default for Options {
    /// Records on, 8 MiB of ring and up to 3.5 MiB of board.
    fn default() -> Self {
        Self {
            enabled: true,
            ring_records: 1 << 18,
            board_rows: 8192,
            name: String::new(),
            place: RecordingPlace::Process,
        }
    }
}

/// The runtime thread's end of the recorder. Not `Sync`: all probes run on the runtime thread.
///
/// Without the cargo feature `recorder` there is nothing behind it: the compiler sees that [`Recorder::live`] never says
/// anything else but `None`, and leaves out all that would follow.
pub(crate) struct Recorder {
    #[cfg(feature = "recorder")]
    end: End,
}

struct End {
    registry: &'static Registry,
    observed: Arc<Observed>,
    /// `None` if recording is off: the one branch of each probe.
    live: Option<Box<Writer>>,
}

/// What other threads may ask of the recorder: the time at which they fired a waker, and somewhere to count.
pub(crate) struct RemoteProbe {
    #[cfg(feature = "recorder")]
    observed: Arc<Observed>,
    #[cfg(feature = "recorder")]
    clock: Clock,
}

impl RemoteProbe {
    /// The stamp of a wake that happens now, in ticks; [`Stamp::NEVER`] if recording is off.
    pub(crate) fn now(&self) -> Stamp {
        #[cfg(feature = "recorder")]
        if self.observed.recording.is_some() {
            return self.clock.now();
        }
        Stamp::NEVER
    }

    /// A waker of a finished task was fired from another thread.
    pub(crate) fn count_dead(&self) {
        #[cfg(feature = "recorder")]
        if let Some(recording) = &self.observed.recording {
            recording.board.count_remote_dead();
        }
    }
}

impl Recorder {
    /// A recorder for the runtime that is built on this thread, made known to the endpoint.
    ///
    /// # Errors
    ///
    /// If there is no memory for it of the kind that was asked for.
    #[cfg(feature = "recorder")]
    pub(crate) fn new(runtime: RuntimeId, options: &Options) -> io::Result<Self> {
        Self::known_to(Registry::of_process(), runtime, options)
    }

    /// Nothing.
    #[cfg(not(feature = "recorder"))]
    #[allow(clippy::unnecessary_wraps, reason = "as with the feature")]
    pub(crate) fn new(_: RuntimeId, _: &Options) -> io::Result<Self> {
        Ok(Self {})
    }

    /// The writer, if recording is on.
    #[inline(always)]
    #[cfg_attr(
        not(feature = "recorder"),
        allow(clippy::unused_self, reason = "as with the feature")
    )]
    fn live(&self) -> Option<&Writer> {
        #[cfg(feature = "recorder")]
        let live = self.end.live.as_deref();
        #[cfg(not(feature = "recorder"))]
        let live = None;
        live
    }

    /// A recorder that is made known to this registry.
    #[cfg(feature = "recorder")]
    pub(crate) fn known_to(
        registry: &'static Registry,
        runtime: RuntimeId,
        options: &Options,
    ) -> io::Result<Self> {
        let clock = Clock::of_process();
        clock.first_anchor();
        let enabled = options.enabled && !is_off(std::env::var_os(SWITCH).as_deref());
        let started = clock.now();
        let recording = enabled.then(|| record_in(options, runtime, started));
        let recording = recording.transpose()?.map(Arc::new);
        let observed = registry.register(Description {
            id: runtime,
            name: options.name.clone(),
            started,
            recording: recording.clone(),
        });
        let live = recording.map(|recording| Box::new(Writer::new(&recording, clock, started)));
        Ok(Self { end: End { registry, observed, live } })
    }

    /// What the recording's file has in addition, if it is in one.
    pub(crate) fn mapped(&self) -> Option<&Mapped> {
        #[cfg(feature = "recorder")]
        let mapped = self.end.observed.mapped();
        #[cfg(not(feature = "recorder"))]
        let mapped = None;
        mapped
    }

    /// The part for other threads.
    pub(crate) fn remote(&self) -> RemoteProbe {
        RemoteProbe {
            #[cfg(feature = "recorder")]
            observed: Arc::clone(&self.end.observed),
            #[cfg(feature = "recorder")]
            clock: Clock::of_process(),
        }
    }

    /// Runs `body` with all wakes in it attributed to `cause`.
    #[inline]
    pub(crate) fn with_cause<R>(&self, cause: Cause, body: impl FnOnce() -> R) -> R {
        match self.live() {
            Some(live) => live.with_cause(cause, body),
            None => body(),
        }
    }

    /// Runs `body` with all wakes in it attributed to the primitive, used by the task being polled.
    #[inline]
    pub(crate) fn with_through<R>(&self, through: Through, body: impl FnOnce() -> R) -> R {
        match self.live() {
            Some(live) => {
                let by = live.polled_task().map_or(WokenBy::Outside, WokenBy::Task);
                live.with_cause(through.cause(by), body)
            }
            None => body(),
        }
    }
}

impl Drop for End {
    /// Says that the runtime has ended, and gives attached clients a moment to take the rest. Its records stay readable
    /// as long as anybody reads them, and until a few more runtimes have ended.
    fn drop(&mut self) {
        self.registry.end(&self.observed, Clock::of_process().now());
        endpoint::drain();
    }
}

/// Makes the recording at its place.
fn record_in(options: &Options, runtime: RuntimeId, started: Stamp) -> io::Result<Recording> {
    let (records, rows) = (options.ring_records, options.board_rows);
    let mapped_at = |place: &RecordingPlace| {
        let owner = Owner { runtime, name: &options.name, started };
        let (memory, layout, mapped) = Mapped::make(place, &owner, records, rows)?;
        Strings::of_process().copy_to(&mapped.texts);
        Ok(Recording::within(&memory, &layout, Some(mapped)))
    };
    if options.place != RecordingPlace::Process {
        return mapped_at(&options.place);
    }
    if let Some(directory) = std::env::var_os(MAP).filter(|value| !value.is_empty())
        && !endpoint::is_secure()
    {
        match mapped_at(&RecordingPlace::Directory(directory.clone().into())) {
            Ok(recording) => return Ok(recording),
            Err(error) => {
                tracing::warn!(target: TARGET, %error, ?directory, "{MAP}: no recording in a file");
            }
        }
    }
    Recording::private(records, rows)
}

/// Whether a switch in the environment says no.
pub(crate) fn is_off(switch: Option<&OsStr>) -> bool {
    switch.is_some_and(|value| value.eq_ignore_ascii_case("off") || value == "0")
}
