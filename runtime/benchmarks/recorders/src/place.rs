//! Where threads run: the runtime's on its processor, a recorder's own threads and whoever looks at them on the other.

use crate::host::{self, Cpus};
use std::sync::OnceLock;

/// Known before the process's first thread is pinned, and can no longer say what it was allowed.
static CPUS: OnceLock<Cpus> = OnceLock::new();

/// Pins the calling thread to the runtime's processor.
pub(crate) fn begin(cpus: Cpus) {
    CPUS.set(cpus).expect("a process has one cell");
    host::pin(cpus.runtime);
}

/// The processor for everybody but the runtime.
pub(crate) fn other() -> usize {
    CPUS.get().expect("a cell begins with its place").other
}

/// Starts something whose threads are not to run on the runtime's processor, as they would not on a machine with more of
/// them: threads begin where the one that starts them is.
pub(crate) fn elsewhere<T>(start: impl FnOnce() -> T) -> T {
    let cpus = CPUS.get().expect("a cell begins with its place");
    host::pin(cpus.other);
    let started = start();
    host::pin(cpus.runtime);
    started
}
