//! What all listeners of one runtime to one signal share: a counter of the kernel that the signal's handler raises, and
//! that is registered with the runtime as a source like any other.
//!
//! Whoever finds the counter raised takes it back to zero, and notes that in [`Hub::taken`], which each listener compares
//! with what it has seen. The driver wakes all who wait, since they wait for the same token.

use super::hook::Hook;
use crate::context;
use crate::io::source::{Attempt, Registered};
use crate::io::{Interest, SourceKind};
use nexus_protocol::RuntimeId;
use nexus_protocol::event::{Operation, OperationResult, Subject};
use rustix::event::{EventfdFlags, eventfd};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::panic::Location;
use std::rc::{Rc, Weak};
use std::sync::Arc;

thread_local! {
    /// The hubs of this thread's runtimes, while somebody listens.
    static HUBS: RefCell<Vec<(RuntimeId, i32, Weak<Hub>)>> = const { RefCell::new(Vec::new()) };
}

/// See the [module](self).
pub(super) struct Hub {
    signal: i32,
    counter: Registered<Counter>,
    taken: Cell<u64>,
    /// Makes the handler raise the counter.
    _hook: Hook,
}

/// A counter in the kernel.
#[derive(Debug)]
struct Counter(Arc<OwnedFd>);

impl Counter {
    /// Takes the counter back to zero.
    fn take(&self) -> io::Result<Attempt<()>> {
        let mut count = [0; 8];
        rustix::io::read(&*self.0, &mut count)?;
        Ok(Attempt { value: (), result: OperationResult::Done(0), short: true })
    }
}

impl AsRawFd for Counter {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl Hub {
    /// The hub of the runtime this thread is inside of.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub(super) fn of_this_runtime(
        signal: i32,
        location: &'static Location<'static>,
    ) -> io::Result<Rc<Self>> {
        let runtime = context::with(|core| core.id);
        let known = HUBS.with_borrow_mut(|hubs| {
            hubs.retain(|(_, _, hub)| hub.strong_count() > 0);
            let mut of_signal = hubs.iter().filter(|(id, of, _)| (*id, *of) == (runtime, signal));
            of_signal.find_map(|(_, _, hub)| hub.upgrade())
        });
        if let Some(hub) = known {
            return Ok(hub);
        }
        let hub = Rc::new(Self::new(signal, location)?);
        HUBS.with_borrow_mut(|hubs| hubs.push((runtime, signal, Rc::downgrade(&hub))));
        Ok(hub)
    }

    fn new(signal: i32, location: &'static Location<'static>) -> io::Result<Self> {
        let descriptor = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let counter = Arc::new(descriptor);
        let hook = Hook::new(signal, Arc::clone(&counter))?;
        let counter =
            Registered::new(Counter(counter), SourceKind::Signal, Interest::READABLE, location)?;
        Ok(Self { signal, counter, taken: Cell::new(0), _hook: hook })
    }

    pub(super) fn signal(&self) -> i32 {
        self.signal
    }

    /// How many times the counter was found raised.
    pub(super) fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// Waits until the counter is raised, and takes it back to zero.
    pub(super) async fn take(&self) -> io::Result<()> {
        self.counter.operate(Operation::Signal, Counter::take).await?;
        self.taken.set(self.taken.get() + 1);
        Ok(())
    }

    /// Records that a listener has learned of what another one has taken.
    pub(super) fn record_done(&self) {
        let token = self.counter.token();
        context::with_runtime(token.runtime, |core| {
            let (subject, result) = (Subject::Token(token.id), OperationResult::Done(0));
            core.recorder.operation(Operation::Signal, subject, result);
        });
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("signal", &self.signal).finish_non_exhaustive()
    }
}
