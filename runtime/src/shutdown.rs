//! Graceful shutdown: tasks are told that it is time, get a while to finish, and what is left is reported.
//!
//! A [`Shutdown`] is cloned into whatever takes part. Long-running tasks wait for [`Shutdown::requested`] beside their
//! work, in a `select` or through [`CancellationToken::run_until_cancelled`]. Whatever should be waited for holds a
//! [`Guard`]: a task that was spawned with [`Shutdown::spawn`], a future wrapped by [`Shutdown::track`], or a function
//! on another thread that a guard was moved into. In the end somebody awaits [`Shutdown::finish`].
//!
//! # Examples
//!
//! ```
//! use nexus_runtime::shutdown::Shutdown;
//! use std::time::Duration;
//!
//! let runtime = nexus_runtime::Runtime::new()?;
//! let report = runtime.block_on(async {
//!     let shutdown = Shutdown::new();
//!     // Ctrl-C and SIGTERM request it from now on.
//!     shutdown.listen_to_signals()?;
//!     let stop = shutdown.clone();
//!     shutdown.spawn(async move {
//!         stop.requested().await;
//!         // … say goodbye …
//!     });
//!     # shutdown.request();
//!     shutdown.requested().await;
//!     Ok::<_, std::io::Error>(shutdown.finish(Duration::from_secs(5)).await)
//! })?;
//! assert!(report.is_complete(), "{report}");
//! # Ok::<(), std::io::Error>(())
//! ```

mod report;

pub use report::{Left, Report};

use crate::signal::{SignalKind, signal};
use crate::sync::{CancellationToken, Cancelled, Notify};
use crate::task::{self, JoinHandle, TaskId};
use crate::time::sleep;
use crate::{context, spawn};
use nexus_protocol::RuntimeId;
use pin_project_lite::pin_project;
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A shutdown that can be requested, once, and awaited. Clones are the same shutdown; threads may have some.
///
/// See the [module](self) for how it is used.
#[derive(Clone)]
pub struct Shutdown {
    token: CancellationToken,
    guards: Arc<Guards>,
}

/// What has to end.
struct Guards {
    held: Mutex<Held>,
    /// Wakes those who wait for the last guard.
    released: Notify,
}

#[derive(Default)]
struct Held {
    last: u64,
    guards: BTreeMap<u64, Holder>,
}

/// Who holds a guard.
#[derive(Clone, Copy, Debug)]
struct Holder {
    /// Where the guard was asked for.
    location: &'static Location<'static>,
    task: Option<(RuntimeId, TaskId)>,
}

/// The task being polled on this thread, if recording tells.
fn current_task() -> Option<(RuntimeId, TaskId)> {
    context::try_with(|core| Some((core.id, core.recorder.current_task()?))).flatten()
}

impl Shutdown {
    /// A shutdown that nobody has requested yet.
    #[must_use]
    pub fn new() -> Self {
        let guards = Guards { held: Mutex::default(), released: Notify::new() };
        Self { token: CancellationToken::of_shutdown(), guards: Arc::new(guards) }
    }

    /// Requests the shutdown, and wakes all who wait for that, once. From any thread; at any time but the first it does
    /// nothing.
    pub fn request(&self) {
        self.token.cancel();
    }

    /// Whether the shutdown was requested.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until the shutdown is requested; ready at once if it was.
    pub fn requested(&self) -> Cancelled<'_> {
        self.token.cancelled()
    }

    /// A token that is cancelled when the shutdown is requested, for what knows tokens. Cancelling it does not request
    /// the shutdown.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.child_token()
    }

    /// Requests the shutdown when Ctrl-C (`SIGINT`) or `SIGTERM` comes, from now on. The first one does; what further
    /// ones should do is up to others who [listen](crate::signal).
    ///
    /// # Errors
    ///
    /// If the signals can't be listened to, see [`signal`].
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    #[track_caller]
    pub fn listen_to_signals(&self) -> io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let shutdown = self.clone();
        drop(spawn(async move {
            let mut signals = (pin!(interrupt.recv()), pin!(terminate.recv()));
            let mut requested = pin!(shutdown.requested());
            poll_fn(|cx| {
                let came = signals.0.as_mut().poll(cx).is_ready()
                    || signals.1.as_mut().poll(cx).is_ready();
                if came {
                    shutdown.request();
                }
                // Whoever has requested it, this task is done.
                if came { Poll::Ready(()) } else { requested.as_mut().poll(cx) }
            })
            .await;
        }));
        Ok(())
    }

    /// Something that the shutdown waits for as long as it lives. It can be moved to other tasks and threads.
    ///
    /// Guards can be taken after the shutdown was requested, too: work that ends may need further work.
    #[track_caller]
    pub fn guard(&self) -> Guard {
        self.guard_of(Holder { location: Location::caller(), task: current_task() })
    }

    fn guard_of(&self, holder: Holder) -> Guard {
        let mut held = self.guards.lock();
        held.last += 1;
        let number = held.last;
        held.guards.insert(number, holder);
        drop(held);
        Guard { number, guards: Arc::clone(&self.guards) }
    }

    /// Makes a future hold a guard until it is done, or dropped. To be spawned as a named task, say.
    #[track_caller]
    pub fn track<F: Future>(&self, future: F) -> Tracked<F> {
        let guard = self.guard_of(Holder { location: Location::caller(), task: None });
        Tracked { future, known: false, guard: Some(guard) }
    }

    /// Spawns a task that the shutdown waits for, see [`task::spawn`].
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
    {
        let tracked = self.track(future);
        let location = Location::caller();
        context::with(|core| task::spawn_on(core, tracked, location, None))
    }

    /// How many guards there are.
    #[must_use]
    pub fn guards(&self) -> usize {
        self.guards.lock().guards.len()
    }

    /// Requests the shutdown, and waits until there is no guard any more, or so much time has passed. The report says
    /// what is left then, and what it is doing.
    ///
    /// What is left goes on. It ends with the runtime, or not at all if it is on another thread.
    ///
    /// Who awaits this should not hold a guard: it would wait for itself.
    pub async fn finish(&self, within: Duration) -> Report {
        self.request();
        let began = Instant::now();
        let awaited = self.guards();
        let mut limit = pin!(sleep(within));
        loop {
            // Before looking, so that no release is missed in between.
            let mut released = pin!(self.guards.released.notified());
            if self.guards() == 0 {
                break;
            }
            let is_over = poll_fn(|cx| match released.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(false),
                Poll::Pending => limit.as_mut().poll(cx).map(|()| true),
            });
            if is_over.await {
                break;
            }
        }
        let left: Vec<Holder> = self.guards.lock().guards.values().copied().collect();
        Report::new(awaited, began.elapsed(), left)
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("requested", &self.is_requested())
            .field("guards", &self.guards())
            .finish()
    }
}

impl Guards {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a [`Shutdown`] waits for, see [`Shutdown::guard`].
#[must_use = "the shutdown does not wait for a guard that is dropped"]
pub struct Guard {
    number: u64,
    guards: Arc<Guards>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut held = self.guards.lock();
        held.guards.remove(&self.number);
        let last = held.guards.is_empty();
        drop(held);
        if last {
            self.guards.released.notify_waiters();
        }
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("number", &self.number).finish_non_exhaustive()
    }
}

pin_project! {
    /// See [`Shutdown::track`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Tracked<F> {
        #[pin]
        future: F,
        // Whether the guard knows the task that polls this.
        known: bool,
        // After the future, so that the shutdown waits for what its drop does.
        guard: Option<Guard>,
    }
}

impl<F: Future> Future for Tracked<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if !std::mem::replace(this.known, true)
            && let Some(guard) = this.guard
            && let Some(holder) = guard.guards.lock().guards.get_mut(&guard.number)
        {
            holder.task = current_task();
        }
        let polled = this.future.poll(cx);
        if polled.is_ready() {
            drop(this.guard.take());
        }
        polled
    }
}
