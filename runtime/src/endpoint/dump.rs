//! The last seconds of all runtimes, written to a trace when a thread of the process panics.
//!
//! The hook for panics does it, after the one that was there before, for every panic of every thread, also for those
//! that stay within a task: the first one, and then at most one in [`PAUSE`], [`MOST`] in all. A panic that comes while
//! another one is being dumped does not wait for it.
//!
//! A panicking thread may hold any lock and be in the middle of anything, and a panic in a hook ends the process. So a
//! thread of its own does the work, and the panicking one waits for it, up to [`PATIENCE`]. It takes no lock that it
//! would have to wait for, and what it allocates does not depend on how much there is: records are read, translated and
//! written batch by batch.

use super::publisher::{Present, Publisher, Sink, Sources};
use super::timeline::Timeline;
use super::{TARGET, identity, is_secure, snapshot, with_signals_blocked};
use crate::record::clock::{Clock, monotonic_ns};
use crate::record::registry::Registry;
use crate::record::strings::Strings;
use nexus_protocol::frame::{Goodbye, KindFilter, Process, ServerFrame, Subscribe, VERSION};
use nexus_protocol::trace::native::Writer;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Names the directory for traces, if no builder does.
const DIRECTORY: &str = "NEXUS_DUMP_ON_PANIC";

/// The ending of the files.
const ENDING: &str = "nxt";

/// How long after a dump the next one may begin.
const PAUSE: Duration = Duration::from_secs(60);

/// How many dumps there are in the life of a process.
const MOST: u32 = 16;

/// How long a panicking thread waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where traces go, once that is known. The first to say so is heard.
static PLACE: OnceLock<PathBuf> = OnceLock::new();

/// Prepares for panics, if the builder or the environment says so and nobody has before.
///
/// # Errors
///
/// If the directory that the builder names cannot be made, or if this thread is panicking. The environment's is a wish.
pub(crate) fn arm(directory: Option<&Path>) -> io::Result<()> {
    if cfg!(not(feature = "recorder")) {
        return Ok(());
    }
    if let Some(directory) = directory {
        return arm_in(directory);
    }
    let wanted = std::env::var_os(DIRECTORY).filter(|value| !value.is_empty());
    if let Some(directory) = wanted.filter(|_| !is_secure())
        && let Err(error) = arm_in(directory.as_ref())
    {
        tracing::warn!(target: TARGET, %error, ?directory, "{DIRECTORY}: no dump when a thread panics");
    }
    Ok(())
}

fn arm_in(directory: &Path) -> io::Result<()> {
    if PLACE.get().is_some() {
        return Ok(());
    }
    if thread::panicking() {
        return Err(io::Error::other("the hook for panics cannot be changed during one"));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    // The process may go elsewhere later.
    let directory = std::path::absolute(directory)?;
    if PLACE.set(directory).is_ok() {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            previous(info);
            on_panic();
        }));
    }
    Ok(())
}

/// Dumps, unless another thread is at it or it was done lately. Called in the middle of a panic: must not panic.
fn on_panic() {
    static BUSY: AtomicBool = AtomicBool::new(false);
    static NEXT_NS: AtomicU64 = AtomicU64::new(0);
    static MADE: AtomicU32 = AtomicU32::new(0);
    let Some(directory) = PLACE.get() else { return };
    if BUSY.swap(true, Ordering::AcqRel) {
        return;
    }
    let now = monotonic_ns();
    if now >= NEXT_NS.load(Ordering::Relaxed) && MADE.load(Ordering::Relaxed) < MOST {
        MADE.fetch_add(1, Ordering::Relaxed);
        let pause = u64::try_from(PAUSE.as_nanos()).unwrap_or(u64::MAX);
        NEXT_NS.store(now.saturating_add(pause), Ordering::Relaxed);
        say(&match dump_elsewhere(directory) {
            Ok(path) => {
                format!("nexus: what was recorded up to this panic is in {}\n", path.display())
            }
            Err(error) => {
                format!("nexus: cannot write what was recorded up to this panic: {error}\n")
            }
        });
    }
    BUSY.store(false, Ordering::Release);
}

/// Says something on standard error, whoever has its lock.
fn say(text: &str) {
    let _ = rustix::io::write(io::stderr(), text.as_bytes());
}

/// Has another thread dump.
fn dump_elsewhere(directory: &'static Path) -> io::Result<PathBuf> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name("nexus-dump".to_owned());
    with_signals_blocked(|| {
        thread.spawn(move || {
            let (path, file) = create(directory)?;
            // Whether anybody still waits for it does not matter.
            let _ = sender.send((path, dump(file)));
            Ok::<_, io::Error>(())
        })
    })?;
    let told = receiver.recv_timeout(PATIENCE);
    let (path, dumped) = told.map_err(|error| match error {
        mpsc::RecvTimeoutError::Timeout => io::Error::other("it takes too long"),
        mpsc::RecvTimeoutError::Disconnected => io::Error::other("no file can be made for it"),
    })?;
    dumped.map(|()| path)
}

/// Makes a file that nobody else can read, under a name that is free.
fn create(directory: &Path) -> io::Result<(PathBuf, File)> {
    let (program, pid) = (identity::program(), std::process::id());
    for number in 1..10_000 {
        let path = directory.join(format!("{program}-{pid}-{number}.{ENDING}"));
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

/// Writes everything that rings and boards hold.
fn dump(file: File) -> io::Result<()> {
    let registry = Registry::of_process();
    let runtimes = registry
        .try_runtimes()
        .ok_or_else(|| io::Error::other("a runtime is being built or dropped"))?;
    // A registry of our own: nothing of what follows waits for a lock.
    let registry = Registry::of(runtimes.clone());
    let clock = Clock::of_process();
    let timeline = timeline(clock);
    let mut sink = Written { trace: Writer::new(file), result: Ok(()) };
    sink.queue(&ServerFrame::Hello {
        version: VERSION,
        process: process()?,
        runtimes: runtimes.iter().map(|runtime| snapshot::info(runtime, &timeline)).collect(),
    });
    let everything = Subscribe { history: true, kinds: KindFilter::ALL, snapshot_every_ms: 0 };
    let now = Instant::now();
    let mut publisher = Publisher::new(&runtimes, registry.version());
    publisher.subscribe(everything, now);
    publisher.finish(Goodbye::Finished);
    let strings = Strings::of_process();
    let clock = Present::Now(clock);
    let sources = Sources { registry: &registry, strings, timeline: &timeline, clock };
    while !publisher.is_done() && sink.result.is_ok() {
        publisher.publish(&sources, now, &mut sink);
    }
    sink.result?;
    sink.trace.finish().map(drop)
}

fn process() -> io::Result<Process> {
    Ok(identity::describe(identity::start_time()?))
}

fn timeline(clock: Clock) -> Timeline {
    let mut timeline = Timeline::new(clock.first_anchor());
    while !timeline.is_known() {
        timeline.refine(clock);
        if !timeline.is_known() {
            thread::sleep(Duration::from_millis(1));
        }
    }
    timeline
}

/// A sink that writes at once.
struct Written {
    trace: Writer<File>,
    result: io::Result<()>,
}

impl Sink for Written {
    fn queue(&mut self, frame: &ServerFrame) {
        if self.result.is_ok() {
            self.result = self.trace.frame(frame);
        }
    }

    fn queued_bytes(&self) -> usize {
        0
    }
}
