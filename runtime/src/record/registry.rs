//! The runtimes of this process, as other threads may see them.
//!
//! A runtime's ring and board live in an [`Observed`] that the runtime and whoever reads it share, so that neither
//! outlives what it looks at. The registry holds those of all live runtimes and of the last few that ended.

use super::board::Board;
use super::header::Identity;
use super::layout::Layout;
use super::mapped::Mapped;
use super::memory::Memory;
use super::ring::Ring;
use nexus_protocol::ids::{RuntimeId, Stamp};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

/// Ended runtimes whose history is kept.
pub(crate) const KEPT: usize = 4;

/// What can be seen of one runtime. Its atomics here are `std`'s in loom models too: they only tell that it ended.
pub(crate) struct Observed {
    /// Its id.
    pub(crate) id: RuntimeId,
    /// The process it was built in: after a fork, the child's copy of it is nobody's.
    pub(crate) pid: u32,
    /// Its name, or the empty string.
    pub(crate) name: String,
    /// The kernel's id of its thread.
    pub(crate) thread: u32,
    /// When it was built, in ticks.
    pub(crate) started: Stamp,
    /// When it was dropped, in ticks; zero while it lives.
    ended: AtomicU64,
    /// Ring and board, unless its recorder is off.
    pub(crate) recording: Option<Arc<Recording>>,
}

/// The two things that are read while the runtime runs.
pub(crate) struct Recording {
    /// The recent past.
    pub(crate) ring: Ring,
    /// The present.
    pub(crate) board: Board,
    /// The file they are in, if they are in one.
    pub(crate) mapped: Option<Mapped>,
}

impl Recording {
    /// A recording in memory of this process alone.
    ///
    /// # Errors
    ///
    /// If there is no address space left for it.
    pub(crate) fn private(records: usize, rows: usize) -> io::Result<Self> {
        let layout = Layout::new(records, rows, 0);
        Ok(Self::within(&Arc::new(Memory::private(layout.bytes())?), &layout, None))
    }

    /// The recording in this memory.
    pub(crate) fn within(memory: &Arc<Memory>, layout: &Layout, mapped: Option<Mapped>) -> Self {
        Self { ring: Ring::within(memory, layout), board: Board::within(memory, layout), mapped }
    }
}

impl Observed {
    /// A runtime of another process, by the account that its recording gives.
    pub(crate) fn remembered(identity: &Identity, ended: Stamp, recording: Recording) -> Arc<Self> {
        Arc::new(Self {
            id: identity.runtime,
            // Of this process, as far as the registry is concerned that lists it.
            pid: std::process::id(),
            name: identity.name.clone(),
            thread: identity.thread,
            started: identity.started,
            ended: AtomicU64::new(ended.0),
            recording: Some(Arc::new(recording)),
        })
    }

    /// When the runtime was dropped, in ticks; [`Stamp::NEVER`] while it lives.
    pub(crate) fn ended(&self) -> Stamp {
        Stamp(self.ended.load(Ordering::Acquire))
    }

    /// What its recording's file has in addition, if it is in one.
    pub(crate) fn mapped(&self) -> Option<&Mapped> {
        self.recording.as_deref()?.mapped.as_ref()
    }

    /// Whether it was dropped: nothing more will be recorded.
    pub(crate) fn has_ended(&self) -> bool {
        !self.ended().is_never()
    }
}

/// The list. There is one, [`Registry::of_process`]; tests make more.
pub(crate) struct Registry {
    runtimes: Mutex<Vec<Arc<Observed>>>,
    /// Changes whenever the list, or the state of one of its runtimes, does.
    version: AtomicU64,
}

/// What a new runtime says of itself.
pub(crate) struct Description {
    pub(crate) id: RuntimeId,
    pub(crate) name: String,
    pub(crate) started: Stamp,
    pub(crate) recording: Option<Arc<Recording>>,
}

impl Registry {
    pub(crate) const fn new() -> Self {
        Self { runtimes: Mutex::new(Vec::new()), version: AtomicU64::new(0) }
    }

    /// A registry that holds these and no others.
    pub(crate) fn of(runtimes: Vec<Arc<Observed>>) -> Self {
        Self { runtimes: Mutex::new(runtimes), version: AtomicU64::new(0) }
    }

    /// The registry of this process.
    pub(crate) fn of_process() -> &'static Self {
        static REGISTRY: Registry = Registry::new();
        &REGISTRY
    }

    /// Makes a runtime known that is built on this thread.
    pub(crate) fn register(&self, description: Description) -> Arc<Observed> {
        let observed = Arc::new(Observed {
            id: description.id,
            pid: std::process::id(),
            name: description.name,
            thread: rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs(),
            started: description.started,
            ended: AtomicU64::new(0),
            recording: description.recording,
        });
        self.change(|runtimes| runtimes.push(Arc::clone(&observed)));
        observed
    }

    /// Says that a runtime was dropped, and forgets those that ended before the last [`KEPT`].
    pub(crate) fn end(&self, observed: &Observed, at: Stamp) {
        observed.ended.store(at.0.max(1), Ordering::Release);
        if let Some(mapped) = observed.mapped() {
            mapped.header().set_ended(observed.ended());
        }
        let mut forgotten = Vec::new();
        self.change(|runtimes| {
            let ended = runtimes.iter().filter(|runtime| runtime.has_ended()).count();
            for _ in KEPT..ended {
                let oldest = runtimes
                    .iter()
                    .enumerate()
                    .filter(|(_, runtime)| runtime.has_ended())
                    .min_by_key(|(_, runtime)| runtime.ended())
                    .map(|(index, _)| index);
                forgotten.extend(oldest.map(|index| runtimes.remove(index)));
            }
        });
        forgotten.iter().filter_map(|runtime| runtime.mapped()).for_each(Mapped::forget);
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Observed>>)) {
        let mut runtimes = self.runtimes.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut runtimes);
        self.version.fetch_add(1, Ordering::Release);
    }

    /// A number that changes when a runtime appears, ends or is forgotten. Takes no lock.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The runtimes of this process, in the order in which they were built, with the last that ended.
    pub(crate) fn runtimes(&self) -> Vec<Arc<Observed>> {
        own(&self.runtimes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// As [`Registry::runtimes`], for a thread that may not wait; `None` if another one has the list.
    pub(crate) fn try_runtimes(&self) -> Option<Vec<Arc<Observed>>> {
        match self.runtimes.try_lock() {
            Ok(runtimes) => Some(own(&runtimes)),
            Err(TryLockError::Poisoned(poisoned)) => Some(own(&poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

fn own(runtimes: &[Arc<Observed>]) -> Vec<Arc<Observed>> {
    let pid = std::process::id();
    runtimes.iter().filter(|runtime| runtime.pid == pid).map(Arc::clone).collect()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_last_ended_runtimes_are_kept() {
        let registry = Registry::new();
        let build = |id| {
            let name = format!("runtime {id}");
            let (id, started) = (RuntimeId(id), Stamp(1));
            registry.register(Description { id, name, started, recording: None })
        };
        let last = KEPT as u32 + 2;
        let all: Vec<_> = (1..=last).map(build).collect();
        let before = registry.version();
        for (later, runtime) in all.iter().enumerate() {
            assert!(!runtime.has_ended());
            registry.end(runtime, Stamp(100 + later as u64));
        }
        assert_ne!(registry.version(), before);
        let kept: Vec<_> = registry.runtimes().iter().map(|runtime| runtime.id.0).collect();
        assert_eq!(kept, (3..=last).collect::<Vec<_>>());
        assert_eq!(all[0].ended(), Stamp(100), "whoever still reads it may go on");
    }
}
