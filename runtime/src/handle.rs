//! A way back to a runtime.

use crate::context;
use crate::runtime::Core;
use crate::task::{self, JoinHandle};
use nexus_protocol::RuntimeId;
use std::marker::PhantomData;
use std::panic::Location;

/// Spawns tasks on a runtime from anywhere on its thread: inside of `block_on`, before it, or between two calls.
///
/// A handle is a number. It may be copied, and may outlive its runtime. It does not leave the thread: to have something
/// done from another one, send a message to a task (see [`sync`](crate::sync)).
#[derive(Clone, Copy, Debug)]
pub struct Handle {
    runtime: RuntimeId,
    /// Runtimes are found through the thread.
    not_send: PhantomData<*const ()>,
}

impl Handle {
    pub(crate) fn of(runtime: RuntimeId) -> Self {
        Self { runtime, not_send: PhantomData }
    }

    /// The handle of the runtime this thread is inside of.
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    #[must_use]
    #[track_caller]
    pub fn current() -> Self {
        Self::of(context::with(|core| core.id))
    }

    /// The handle of the runtime this thread is inside of, if it is inside of one.
    #[must_use]
    pub fn try_current() -> Option<Self> {
        context::try_with(|core| Self::of(core.id))
    }

    /// The runtime's number within its process, as the inspector shows it.
    #[must_use]
    pub fn id(&self) -> RuntimeId {
        self.runtime
    }

    /// Whether the runtime still exists.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        context::with_runtime(self.runtime, |core| !core.is_closing()).unwrap_or(false)
    }

    /// How many tasks have not ended, the root future not counted. Zero if the runtime is gone.
    #[must_use]
    pub fn tasks(&self) -> usize {
        context::with_runtime(self.runtime, Core::live_tasks).unwrap_or(0)
    }

    /// Spawns a task on the runtime, as [`spawn`](crate::spawn) does. Outside of `block_on`, it is polled from the next
    /// call on.
    ///
    /// # Panics
    ///
    /// If the runtime is gone.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
    {
        let location = Location::caller();
        let spawned = context::with_runtime(self.runtime, |core| {
            task::spawn_on(core, future, location, None)
        });
        match spawned {
            Some(handle) => handle,
            None => panic!("the runtime of this handle is gone"),
        }
    }
}
