//! Finding everything that can be attached to.

use super::directories;
use super::endpoint::{self, Candidate, Connection, Expected, Socket};
use super::process::{self, Process};
use nexus_protocol::frame::{self, RuntimeInfo};
use std::collections::HashSet;
use std::thread;

/// What to tell a user who finds nothing to attach to.
pub const HOW_TO_GET_ONE: &str = "\
A program can be attached to if it is built with nexus_runtime, is inside Runtime::block_on, and has not switched \
recorder or endpoint off (NEXUS_INSPECT=off, NEXUS_RECORDER=off, or its Builder). \
To see one now: nexus-inspect demo";

/// A process that can be attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where its endpoint listens.
    pub socket: Socket,
    /// Its number here. It may have another one for itself, in a container.
    pub pid: u32,
    /// The kernel's short name for it, or the empty string if it cannot be seen from here.
    pub comm: String,
    /// What it says of itself.
    pub process: frame::Process,
    /// Its runtimes, with those that ended recently.
    pub runtimes: Vec<RuntimeInfo>,
    /// How long it has been running, in nanoseconds.
    pub age_ns: u64,
}

/// A count over the runtimes of a process. Nothing is known of those whose recorder is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// All of them were counted.
    All(u64),
    /// Some were.
    Some(u64),
    /// None was.
    Unknown,
}

impl Counted {
    /// The number, as far as it is known.
    #[must_use]
    pub fn known(self) -> Option<u64> {
        match self {
            Self::All(number) | Self::Some(number) => Some(number),
            Self::Unknown => None,
        }
    }

    /// The number as `show` has it, with a plus sign if there may be more; `off` if the recorders are.
    #[must_use]
    pub fn text(self, show: impl Fn(u64) -> String) -> String {
        match self {
            Self::All(number) => show(number),
            Self::Some(number) => show(number) + "+",
            Self::Unknown => "off".to_owned(),
        }
    }
}

impl Found {
    /// Asks who is at a connection that was just made.
    pub(crate) fn at(socket: Socket, connection: &Connection) -> Self {
        let (process, runtimes) = connection.client.hello();
        Self {
            socket,
            pid: connection.pid,
            comm: Process::look(connection.pid).map(|process| process.comm).unwrap_or_default(),
            process: process.clone(),
            runtimes: runtimes.to_vec(),
            age_ns: monotonic_ns().saturating_sub(process.started.0),
        }
    }

    /// The name it is best known by: that of its first runtime with a name, else its program's.
    #[must_use]
    pub fn name(&self) -> &str {
        let mut names = self.runtimes.iter().map(|runtime| runtime.name.as_str());
        names.find(|name| !name.is_empty()).unwrap_or(&self.process.program)
    }

    /// Whether a user who says `name` may mean this process: a name given to a runtime of its, the base name of its
    /// program, or its comm.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.process.program == name
            || self.comm == name
            || self.runtimes.iter().any(|runtime| runtime.name == name)
    }

    /// Its runtimes that have not ended.
    pub fn live_runtimes(&self) -> impl Iterator<Item = &RuntimeInfo> {
        self.runtimes.iter().filter(|runtime| runtime.ended.is_never())
    }

    /// Live tokens, over all its runtimes.
    #[must_use]
    pub fn tokens(&self) -> Counted {
        self.count(|runtime| runtime.tokens)
    }

    /// Live tasks, over all its runtimes.
    #[must_use]
    pub fn tasks(&self) -> Counted {
        self.count(|runtime| runtime.tasks)
    }

    fn count(&self, of: impl Fn(&RuntimeInfo) -> u64) -> Counted {
        let (recorded, off): (Vec<_>, Vec<_>) =
            self.live_runtimes().partition(|runtime| runtime.is_recorded());
        let sum = recorded.iter().map(|runtime| of(runtime)).sum();
        match (recorded.is_empty(), off.is_empty()) {
            (_, true) => Counted::All(sum),
            (false, false) => Counted::Some(sum),
            (true, false) => Counted::Unknown,
        }
    }
}

/// Everything that can be attached to, by PID. Asks all candidates at once, so that it takes a second or two at most,
/// and some milliseconds usually. What does not answer as it should is left out.
#[must_use]
pub fn discover() -> Vec<Found> {
    let candidates = candidates();
    let mut found: Vec<Found> = thread::scope(|scope| {
        let probes: Vec<_> = candidates
            .into_iter()
            .map(|candidate| scope.spawn(move || probe(candidate.socket)))
            .collect();
        probes.into_iter().filter_map(|probe| probe.join().ok()?).collect()
    });
    found.sort_by_key(|found| (found.pid, found.process.start_time));
    found
}

fn probe(socket: Socket) -> Option<Found> {
    let connection = endpoint::connect(&socket, None).ok()?;
    Some(Found::at(socket, &connection))
}

/// All sockets that look like an endpoint's, each once.
fn candidates() -> Vec<Candidate> {
    let mut directories = directories::ours();
    directories.extend(directories::of_others());
    let files = directories.iter().flat_map(|directory| Candidate::in_directory(directory));
    unique(files.chain(Candidate::abstract_ones()).chain(in_other_networks()))
}

/// The abstract sockets in each network that some process has for itself.
fn in_other_networks() -> Vec<Candidate> {
    let mut seen = HashSet::new();
    let processes = process::all().into_iter().filter_map(Process::look);
    let networks = processes
        .filter(|process| process.foreign_network().is_some_and(|network| seen.insert(network)));
    networks.flat_map(|process| Candidate::abstract_ones_near(&process)).collect()
}

/// The sockets that look like those of one process's endpoint.
pub(crate) fn candidates_of(process: &Process) -> Vec<Candidate> {
    let directories = directories::of_process(process);
    let files = directories.iter().flat_map(|directory| Candidate::in_directory(directory));
    let all = match process.foreign_network() {
        Some(_) => unique(files.chain(Candidate::abstract_ones_near(process))),
        None => unique(files.chain(Candidate::abstract_ones())),
    };
    all.into_iter().filter(|candidate| candidate.pid == process.inner_pid).collect()
}

fn unique(candidates: impl Iterator<Item = Candidate>) -> Vec<Candidate> {
    let mut seen = HashSet::new();
    candidates.filter(|candidate| seen.insert(candidate.identity())).collect()
}

/// Who has to answer when this process is meant.
pub(crate) fn expected(process: &Process) -> Expected {
    Expected {
        pid: process.pid,
        inner_pid: process.inner_pid,
        start_time: process.shared_start_time(),
    }
}

/// The clock that stamps are in.
fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
