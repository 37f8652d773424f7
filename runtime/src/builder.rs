//! What can be chosen about a runtime before it is built.

use crate::record::{self, RecordingPlace};
use crate::runtime::Runtime;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Configures and builds a [`Runtime`].
///
/// # Examples
///
/// ```
/// let runtime = nexus_runtime::Builder::new().name("gateway").event_capacity(512).build()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Builder {
    pub(crate) event_capacity: usize,
    pub(crate) initial_slots: u32,
    pub(crate) max_slots: u32,
    pub(crate) polls_per_turn: u32,
    pub(crate) task_budget: u32,
    pub(crate) io_check_interval: Duration,
    pub(crate) spin: Duration,
    pub(crate) record: record::Options,
    pub(crate) endpoint: crate::endpoint::Options,
    pub(crate) dump_on_panic: Option<PathBuf>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// The defaults, as each method states them.
    #[must_use]
    pub fn new() -> Self {
        Self {
            event_capacity: 1024,
            initial_slots: 64,
            max_slots: nexus_protocol::TokenId::RESERVED_SLOT,
            polls_per_turn: 64,
            task_budget: 128,
            io_check_interval: Duration::from_micros(20),
            spin: Duration::ZERO,
            record: record::Options::default(),
            endpoint: crate::endpoint::Options::default(),
            dump_on_panic: None,
        }
    }

    /// The runtime's name, as the inspector shows it and finds it. Default: none.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.record.name = name.into();
        self
    }

    /// How many kernel events one turn takes in at most. Default: 1,024; at least 1.
    #[must_use]
    pub fn event_capacity(mut self, events: usize) -> Self {
        self.event_capacity = events.max(1);
        self
    }

    /// Slots for tokens from the start; more are added as needed. Default: 64; zero is fine.
    #[must_use]
    pub fn initial_slots(mut self, slots: u32) -> Self {
        self.initial_slots = slots;
        self
    }

    /// The most slots there may be. Registering a source beyond it is an error. Default: no limit but the format's, a
    /// little under 2³².
    #[must_use]
    pub fn max_slots(mut self, slots: u32) -> Self {
        self.max_slots = slots.min(nexus_protocol::TokenId::RESERVED_SLOT);
        self
    }

    /// How many tasks are polled before the loop looks at other threads' wakes again, and thinks of asking the kernel.
    /// Default: 64; at least 1.
    #[must_use]
    pub fn polls_per_turn(mut self, polls: u32) -> Self {
        self.polls_per_turn = polls.max(1);
        self
    }

    /// How many operations on sockets, channels, timers and the like may complete in one poll of a task; then the next one
    /// makes the task yield, so that one that always finds something to do does not starve the others. Default: 128; at
    /// least 1. Operations that don't wait (`try_read` and the like) are not limited.
    #[must_use]
    pub fn task_budget(mut self, operations: u32) -> Self {
        self.task_budget = operations.max(1);
        self
    }

    /// While there are always tasks to poll, the kernel is asked for events when this long has passed since it last was (to
    /// be precise: at the end of the round of polls in which it has). Default: 20 µs. Zero asks it after each round, which
    /// costs more and is hardly ever sooner. When there is nothing to poll it is asked at once, whatever this says.
    #[must_use]
    pub fn io_check_interval(mut self, interval: Duration) -> Self {
        self.io_check_interval = interval;
        self
    }

    /// How long the loop stays awake when there is nothing to poll, looking at the kernel and at other threads' wakes in
    /// turn, before it goes to sleep. Default: zero.
    ///
    /// Saves the time that the kernel takes to put a thread to sleep and to wake it up, some microseconds a message, and
    /// makes wakes from other threads cheap for them; costs the CPU, fully, for that long.
    #[must_use]
    pub fn spin(mut self, at_most: Duration) -> Self {
        self.spin = at_most;
        self
    }

    /// Never sleep: as [`Builder::spin`] without a bound. The thread takes a CPU of its own as long as `block_on` lasts.
    #[must_use]
    pub fn busy_poll(self) -> Self {
        self.spin(Duration::MAX)
    }

    /// Whether to record. Default: yes, unless the environment has `NEXUS_RECORDER=off`. Without it the inspector sees
    /// that there is a runtime, and nothing more.
    #[must_use]
    pub fn recorder(mut self, on: bool) -> Self {
        self.record.enabled = on;
        self
    }

    /// How many records of 32 bytes the ring holds; rounded up to a power of two. Default: 262,144, which is 8 MiB.
    #[must_use]
    pub fn ring_records(mut self, records: usize) -> Self {
        self.record.ring_records = records;
        self
    }

    /// How many tokens, and how many tasks, have a row on the board at most. Default: 8,192 of each, which is 3.5 MiB if
    /// all are in use; memory is taken as rows are needed. Tokens and tasks beyond it run as usual, and are counted.
    #[must_use]
    pub fn board_rows(mut self, rows: usize) -> Self {
        self.record.board_rows = rows;
        self
    }

    /// Where the recording lives: in a file it can be read after a crash. Default: in this process's memory, unless the
    /// environment has `NEXUS_INSPECT_MAP`, which names a directory for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use nexus_runtime::{Builder, RecordingPlace};
    ///
    /// let runtime = Builder::new().recording_place(RecordingPlace::Memfd).build()?;
    /// assert!(runtime.recording_fd().is_some());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn recording_place(mut self, place: RecordingPlace) -> Self {
        self.record.place = place;
        self
    }

    /// Whether inspectors may attach to the process. Default: yes, unless the environment has `NEXUS_INSPECT=off`. The
    /// first runtime of a process whose builder says yes starts the endpoint for all.
    #[must_use]
    pub fn endpoint(mut self, on: bool) -> Self {
        self.endpoint.enabled = on;
        self
    }

    /// The CPUs that the endpoint's thread may run on. Default: those of the process's first thread.
    ///
    /// A program that pins its first thread and runs the runtime there says here where the endpoint may run instead;
    /// otherwise the two share that CPU, fairly, whenever somebody is attached.
    #[must_use]
    pub fn endpoint_cpus(mut self, cpus: impl IntoIterator<Item = usize>) -> Self {
        self.endpoint.cpus = Some(cpus.into_iter().collect());
        self
    }

    /// Writes the last seconds of all runtimes of the process to a trace in this directory, which is made if need be, when
    /// a thread panics, and says on standard error where it is. Default: no, unless the environment has
    /// `NEXUS_DUMP_ON_PANIC`, which names a directory.
    ///
    /// It is done by the process's panic hook, after what the hook did before; whoever replaces the hook later takes it
    /// away. Every panic of every thread counts, also one that becomes the error of a task's handle: the first one, and
    /// then at most one a minute and 16 in all, so that a server that lives with panics does not fill the disk. The
    /// panicking thread waits until the file is written, for five seconds at most. The first runtime of a process that
    /// asks for it decides where the files go. They have mode 0600: what is in them is the program's business.
    #[must_use]
    pub fn dump_on_panic(mut self, directory: impl Into<PathBuf>) -> Self {
        self.dump_on_panic = Some(directory.into());
        self
    }

    /// Builds the runtime. It belongs to this thread.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the descriptors it needs: an epoll instance, an eventfd and a timerfd; or the memory for the
    /// recording, or the file or directory that something is to be written to.
    pub fn build(self) -> io::Result<Runtime> {
        Runtime::build(&self)
    }
}
