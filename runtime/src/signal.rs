//! Signals of the operating system: [`ctrl_c`], [`terminate`], and [`signal`] for all others.
//!
//! Any number of tasks, of several runtimes, may wait for the same signal, and each of them gets it. Signals that come
//! while nobody receives are kept, but not counted: the next [`Signal::recv`] returns once for all of them. Who begins to
//! listen while another task of the runtime does so already may be told of a signal that came just before.
//!
//! Listening to a signal takes the place of what it does otherwise (Ctrl-C ends the process), and **dropping the last
//! listener does not restore that**: the signal is ignored from then on.
//!
//! A child made by `fork` inherits the handlers, but not the wakes: signals to the child are not reported to its parent.

mod hook;
mod hub;

use self::hub::Hub;
use crate::context;
use std::future::poll_fn;
use std::io;
use std::panic::Location;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

/// Which signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SignalKind(i32);

impl SignalKind {
    /// The signal with this number.
    #[must_use]
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// The signal's number.
    #[must_use]
    pub const fn as_raw_value(self) -> i32 {
        self.0
    }

    /// `SIGALRM`: a timer of the process.
    #[must_use]
    pub const fn alarm() -> Self {
        Self(libc::SIGALRM)
    }

    /// `SIGCHLD`: a child process changed its state.
    #[must_use]
    pub const fn child() -> Self {
        Self(libc::SIGCHLD)
    }

    /// `SIGHUP`: the terminal was closed; by custom also: read your configuration anew.
    #[must_use]
    pub const fn hangup() -> Self {
        Self(libc::SIGHUP)
    }

    /// `SIGINT`: Ctrl-C.
    #[must_use]
    pub const fn interrupt() -> Self {
        Self(libc::SIGINT)
    }

    /// `SIGIO`: I/O is possible.
    #[must_use]
    pub const fn io() -> Self {
        Self(libc::SIGIO)
    }

    /// `SIGPIPE`: a write to a pipe that nobody reads.
    #[must_use]
    pub const fn pipe() -> Self {
        Self(libc::SIGPIPE)
    }

    /// `SIGQUIT`: Ctrl-\\.
    #[must_use]
    pub const fn quit() -> Self {
        Self(libc::SIGQUIT)
    }

    /// `SIGTERM`: the wish that the process should end.
    #[must_use]
    pub const fn terminate() -> Self {
        Self(libc::SIGTERM)
    }

    /// `SIGUSR1`.
    #[must_use]
    pub const fn user_defined1() -> Self {
        Self(libc::SIGUSR1)
    }

    /// `SIGUSR2`.
    #[must_use]
    pub const fn user_defined2() -> Self {
        Self(libc::SIGUSR2)
    }

    /// `SIGWINCH`: the terminal's size changed.
    #[must_use]
    pub const fn window_change() -> Self {
        Self(libc::SIGWINCH)
    }
}

impl From<i32> for SignalKind {
    fn from(number: i32) -> Self {
        Self::from_raw(number)
    }
}

impl From<SignalKind> for i32 {
    fn from(kind: SignalKind) -> Self {
        kind.as_raw_value()
    }
}

/// Listens to a signal from now on.
///
/// # Errors
///
/// If the signal can't be listened to (`SIGKILL`, `SIGSTOP`, `SIGILL`, `SIGFPE`, `SIGSEGV`) or doesn't exist; or if
/// there is no slot or no descriptor left.
///
/// # Panics
///
/// Outside of `Runtime::block_on`.
///
/// # Examples
///
/// ```
/// use nexus_runtime::signal::{SignalKind, signal};
///
/// let runtime = nexus_runtime::Runtime::new()?;
/// runtime.block_on(async {
///     let mut hangups = signal(SignalKind::hangup())?;
///     nexus_runtime::spawn(async move {
///         while hangups.recv().await.is_some() {
///             println!("reading the configuration anew");
///         }
///     });
///     std::io::Result::Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    listen(kind, Location::caller())
}

fn listen(kind: SignalKind, location: &'static Location<'static>) -> io::Result<Signal> {
    let hub = Hub::of_this_runtime(kind.0, location)?;
    let seen = hub.taken();
    Ok(Signal { hub, seen })
}

/// Waits for Ctrl-C (`SIGINT`), from this call on.
///
/// The future is ready once; for further ones call this again, or use [`signal`], which misses none in between. Outside
/// of `Runtime::block_on`, it listens from its first poll on.
///
/// # Errors
///
/// Those of [`signal`].
///
/// # Examples
///
/// ```no_run
/// let runtime = nexus_runtime::Runtime::new()?;
/// runtime.block_on(nexus_runtime::signal::ctrl_c())?;
/// println!("the user wants us to end");
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn ctrl_c() -> impl Future<Output = io::Result<()>> {
    next(SignalKind::interrupt(), Location::caller())
}

/// Waits for `SIGTERM`, the system's wish that the process should end, in the same way as [`ctrl_c`].
///
/// # Errors
///
/// Those of [`signal`].
#[track_caller]
pub fn terminate() -> impl Future<Output = io::Result<()>> {
    next(SignalKind::terminate(), Location::caller())
}

fn next(
    kind: SignalKind,
    location: &'static Location<'static>,
) -> impl Future<Output = io::Result<()>> {
    let listening = context::is_entered().then(|| listen(kind, location));
    async move {
        let mut signal = listening.unwrap_or_else(|| listen(kind, location))?;
        let gone = || io::Error::other("the runtime that listened to the signal is gone");
        signal.recv().await.ok_or_else(gone)
    }
}

/// Listens to a signal, see [`signal`].
#[derive(Debug)]
pub struct Signal {
    hub: Rc<Hub>,
    /// How many times signals had been taken in when this listener last was told.
    seen: u64,
}

impl Signal {
    /// Waits for the signal. Ready at once if it has come since the last time, or since listening began.
    ///
    /// `None` only if the runtime in which listening began is gone.
    ///
    /// If the future is dropped, no signal is lost.
    pub async fn recv(&mut self) -> Option<()> {
        let Self { hub, seen } = self;
        let mut take = pin!(hub.take());
        poll_fn(|cx| {
            if hub.taken() == *seen {
                match take.as_mut().poll(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(_)) => return Poll::Ready(None),
                    Poll::Ready(Ok(())) => {}
                }
            } else {
                // Another listener has taken it in.
                hub.record_done();
            }
            *seen = hub.taken();
            Poll::Ready(Some(()))
        })
        .await
    }

    /// Which signal it listens to.
    #[must_use]
    pub fn kind(&self) -> SignalKind {
        SignalKind(self.hub.signal())
    }
}
