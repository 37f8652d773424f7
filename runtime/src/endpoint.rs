//! The endpoint that inspectors attach to: one thread per process, and a Unix socket.
//!
//! It is started by the first `block_on`, or the first turn of an observed loop, and sleeps until somebody connects. It never touches a runtime: it reads the
//! ring and the board that each recorder leaves in memory, so an attach neither wakes nor slows the observed thread, and
//! works while that thread hangs.
//!
//! If it cannot start, the program runs on, and `tracing` says why (target `nexus::endpoint`). It does not start if the
//! builder says so, if the environment has `NEXUS_INSPECT=off`, or if the program runs with more rights than its caller.
//!
//! | part | knows |
//! | --- | --- |
//! | [`directory`] | where the socket lies, and that this is safe |
//! | [`seat`] | that it may have to be made again |
//! | [`admission`] | who may connect to it |
//! | [`server`] | the thread: waiting, accepting |
//! | [`client`] | one connection: hello, subscription, goodbye, and how much of what it says is heard |
//! | [`publisher`] | what one subscriber has got, and what it gets next |
//! | [`snapshot`], [`timeline`] | boards and stamps as they travel |
//! | [`remains`] | the same as a subscriber gets, from a recording in a file, without the process |
//! | [`dump`] | the same once more, written to a trace when a thread panics |
//! | [`control`] | what runtimes wait for: a first client, a last record delivered |
//! | [`system`] | signals, scheduling, fork, exit |
//!
//! **The end of a runtime.** When it is dropped, subscribers are given up to [`DRAIN`] to take what is left of its ring.
//! They are not told goodbye, since the process may build another one, which they follow too. The goodbye comes when the
//! process ends by `exit` or by returning from `main`, after another [`DRAIN`] at most; a process that is killed just
//! hangs up. A subscriber that let one such time pass is not waited for again until it takes something.
//!
//! **Fork.** A forked child closes its copies of the endpoint's descriptors, and its next `block_on` starts an endpoint
//! of its own. The runtimes that it has inherited are not shown there.

mod admission;
mod client;
mod control;
mod directory;
pub(crate) mod dump;
pub(crate) mod identity;
mod publisher;
pub(crate) mod remains;
mod seat;
mod server;
mod snapshot;
mod system;
#[cfg(all(test, not(loom)))]
mod tests;
mod timeline;

use self::control::Control;
use self::seat::Seat;
use self::server::Server;
pub(crate) use self::system::{is_secure, with_signals_blocked};
use crate::record::registry::Registry;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

/// The `tracing` target of everything the endpoint has to say.
const TARGET: &str = "nexus::endpoint";

/// Clients that may be attached at the same time.
const MAX_CLIENTS: usize = 16;

/// How long the end of a runtime, or of the process, may be held up for subscribers.
const DRAIN: Duration = Duration::from_millis(200);

/// Milliseconds for which the first `block_on` waits for a first subscriber, so that it misses nothing.
const HOLD: &str = "NEXUS_INSPECT_HOLD";

/// What the builder decides about the endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// Whether there should be one.
    pub(crate) enabled: bool,
    /// The CPUs its thread may use; those of the process's first thread if it is not said.
    pub(crate) cpus: Option<Vec<usize>>,
}

impl Default for Options {
    /// On, on all CPUs.
    fn default() -> Self {
        Self { enabled: true, cpus: None }
    }
}

/// A running endpoint, as the rest of the process sees it. Leaked: the process has at most one in its life.
struct Running {
    control: Arc<Control>,
}

/// The running endpoint, or null. Only ever set to a leaked [`Running`].
static RUNNING: AtomicPtr<Running> = AtomicPtr::new(ptr::null_mut());

/// Whether somebody has tried to start it. Not reset after a failure: what failed once would fail at each `block_on`.
static TRIED: AtomicBool = AtomicBool::new(false);

fn running() -> Option<&'static Running> {
    // SAFETY: the pointer is null or comes from `Box::leak`, and nothing of it is ever changed but through `&`.
    unsafe { RUNNING.load(Ordering::Acquire).as_ref() }
}

/// Starts the process's endpoint, unless it runs already, was tried before, or is switched off. Never fails, and does
/// not wait for it: the socket appears a little later.
pub(crate) fn start(options: &Options) {
    if cfg!(not(feature = "recorder")) || !options.enabled || TRIED.swap(true, Ordering::AcqRel) {
        return;
    }
    if directory::is_switched_off() {
        tracing::debug!(target: TARGET, "switched off by NEXUS_INSPECT");
        return;
    }
    if system::is_secure() {
        tracing::warn!(target: TARGET, "no endpoint: the program has more rights than its caller");
        return;
    }
    if let Err(error) = spawn(options.cpus.clone()) {
        tracing::warn!(target: TARGET, %error, "cannot start the endpoint");
    }
}

fn spawn(cpus: Option<Vec<usize>>) -> io::Result<()> {
    static HOOKED: OnceLock<()> = OnceLock::new();
    if HOOKED.get().is_none() {
        system::hook(in_forked_child, at_exit)?;
        let _ = HOOKED.set(());
    }
    let control = Arc::new(Control::new()?);
    let running = Running { control: Arc::clone(&control) };
    let running: &'static Running = Box::leak(Box::new(running));
    RUNNING.store(ptr::from_ref(running).cast_mut(), Ordering::Release);
    let thread = thread::Builder::new().name("nexus-endpoint".to_owned());
    let spawned = system::with_signals_blocked(|| {
        thread.spawn(move || {
            let _dies = Dies(&running.control);
            system::schedule_ordinarily(cpus.as_deref());
            if let Err(error) = serve(running) {
                tracing::warn!(target: TARGET, %error, "cannot start the endpoint");
            }
        })
    });
    spawned.map(drop).inspect_err(|_| control.die())
}

/// Tells those who wait that the thread is gone, also if it panics.
struct Dies(&'static Control);

impl Drop for Dies {
    fn drop(&mut self) {
        self.0.die();
    }
}

/// The body of the thread.
fn serve(running: &'static Running) -> io::Result<()> {
    let start_time = identity::start_time()?;
    let process = identity::describe(start_time);
    let name = format!("{}-{start_time}", process.pid);
    let seat = Seat::take(directory::candidates(), name)?;
    tracing::debug!(target: TARGET, place = ?seat.place(), "inspectors can attach");
    let control = Arc::clone(&running.control);
    control.sits_at(seat.place().clone());
    Server::new(control, seat, process, Registry::of_process()).run(|| true);
    Ok(())
}

/// At the first call, waits until a client has subscribed, if the environment asks for it. Does nothing ever after.
pub(crate) fn hold() {
    static HELD: AtomicBool = AtomicBool::new(false);
    if cfg!(not(feature = "recorder")) || HELD.swap(true, Ordering::AcqRel) {
        return;
    }
    let Some(value) = std::env::var_os(HOLD) else { return };
    let Some(ms) = value.to_str().and_then(|text| text.parse().ok()) else {
        tracing::warn!(target: TARGET, ?value, "{HOLD} is not a number of milliseconds");
        return;
    };
    if let Some(running) = running()
        && !running.control.wait_for_subscriber(Duration::from_millis(ms))
    {
        tracing::warn!(target: TARGET, ms, "nobody attached while {HOLD} asked to wait");
    }
}

/// Gives subscribers a while to take the rest of the runtimes that have ended.
pub(crate) fn drain() {
    if let Some(running) = running() {
        running.control.drain(DRAIN);
    }
}

/// The process ends: says goodbye to the clients, and removes the socket.
extern "C" fn at_exit() {
    let Some(running) = running() else { return };
    running.control.end(DRAIN);
    running.control.leave_place();
}

/// A forked child has none of its parent's threads: it has no endpoint, and may start one.
extern "C" fn in_forked_child() {
    system::close_guarded_in_child();
    RUNNING.store(ptr::null_mut(), Ordering::Release);
    TRIED.store(false, Ordering::Release);
}
