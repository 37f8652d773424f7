//! Where frames come from: a live process, a trace, a program started for the purpose.
//!
//! A source is a thread that puts [`Update`]s into a bounded channel; whoever takes them out (the TUI, `record`,
//! `snapshot`) does not know which kind of source it has. A consumer that falls behind makes the source wait: a live
//! one then stops reading its socket, and the observed process counts what it could not send as lost, to the record.
//!
//! Knows nothing of the screen and of traces that are being written.

mod file;
mod live;
mod merge;
mod remains;
mod spawn;

pub use live::{BOARD_OFTEN, BOARD_ONCE, EVERYTHING};
pub use spawn::{Aftermath, ProgramOutput};

use crate::failure::Failure;
use crate::target::{self, Found, Target};
use nexus_protocol::frame::{ServerFrame, Subscribe};
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Updates that may wait in the channel between a source and its consumer. Each holds at most one frame.
const CAPACITY: usize = 64;

/// How long a source that finds the channel full sleeps before it looks again.
const FULL_PAUSE: Duration = Duration::from_millis(1);

/// One thing a source has to say.
#[derive(Debug)]
pub enum Update {
    /// A frame.
    Frame(ServerFrame),
    /// There will be no more frames; the last update.
    Ended(Ending),
}

/// Why a source ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to finish, and has delivered everything up to that moment.
    Finished,
    /// The observed process has ended or closed the connection.
    TargetGone,
    /// The program that was started for the purpose has ended, and with it all that it started; everything they
    /// recorded has been delivered.
    CommandEnded(CommandEnd),
    /// Something broke; the text says what, and what to do.
    Failed(String),
    /// The trace is at its end.
    EndOfFile {
        /// The trace breaks off before its own end; what was read is complete up to that point.
        truncated: bool,
    },
}

/// How a program that was started for the purpose ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandEnd {
    /// Whether it exited with code 0.
    pub success: bool,
    /// In words: `exit code 1`, `signal 11 (SIGSEGV)`.
    pub status: String,
    /// How many of its processes had a runtime that could be attached to.
    pub attached: usize,
}

/// Whether the source has a present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The latest update is *now*.
    Live,
    /// Everything has happened already; *now* is wherever the user puts it.
    Replay,
}

/// A source, and what a program that was started for it leaves behind.
#[derive(Debug)]
pub struct Opened {
    /// The source.
    pub running: Running,
    /// How the program ended and what it printed, for a target that is a COMMAND or the demo workload.
    pub aftermath: Option<Aftermath>,
}

impl From<Running> for Opened {
    fn from(running: Running) -> Self {
        Self { running, aftermath: None }
    }
}

/// Opens a target: attaches, starts, or begins to read. `subscribe` says what is asked of a live one; `output` where a
/// program that has to be started prints to.
///
/// # Errors
///
/// A [`Failure`] that says why the target cannot be looked at, and what to do.
pub fn open(
    target: &Target,
    subscribe: Subscribe,
    output: ProgramOutput,
) -> Result<Opened, Failure> {
    let live = |connection| live::start(connection, subscribe).map(Opened::from);
    let started = |(running, aftermath)| Opened { running, aftermath: Some(aftermath) };
    match target {
        Target::Demo => spawn::demo(subscribe).map(started),
        Target::Command(words) => spawn::command(words, subscribe, output).map(started),
        Target::Stdin => Ok(file::stdin().into()),
        Target::File(path) => Ok(file::open(path)?.into()),
        Target::Socket(path) => live(target::by_socket(path)?),
        Target::Path(path) if is_socket(path) => live(target::by_socket(path)?),
        Target::Path(path) => Ok(file::open(path)?.into()),
        Target::Pid(pid) => live(target::by_pid(*pid)?),
        Target::Name(name) => live(target::by_name(name)?),
    }
}

/// Attaches to a process that was found before.
///
/// # Errors
///
/// A [`Failure`] if it has ended since, or does not let us.
pub fn attach(found: &Found, subscribe: Subscribe) -> Result<Running, Failure> {
    live::start(target::attach(found)?, subscribe)
}

/// Whether there is a socket at this path, or would be by its name if we cannot look.
#[must_use]
pub fn is_socket(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(at) => at.file_type().is_socket(),
        Err(_) => path.extension().is_some_and(|suffix| suffix == "sock"),
    }
}

/// A source at work.
///
/// The parts may be taken apart: the receiver can move to a thread of its own.
#[derive(Debug)]
pub struct Running {
    /// What it delivers, ending with [`Update::Ended`].
    pub updates: Receiver<Update>,
    /// What can be asked of it. Dropping this stops the source.
    pub control: Control,
    /// What it is, for a title line: `echo (4711)`, `trace.json`. Not yet clean for a terminal.
    pub title: String,
    /// Whether it has a present.
    pub mode: Mode,
}

impl Running {
    /// Starts `work` in a thread of its own. It should return soon after its [`Outlet`] says that it is stopped; what
    /// it returns becomes the last update.
    ///
    /// # Panics
    ///
    /// Panics if the system cannot start a thread.
    pub(crate) fn start<F>(title: String, mode: Mode, work: F) -> Self
    where
        F: FnOnce(&Outlet) -> Ending + Send + 'static,
    {
        let (updates, receiver) = mpsc::sync_channel(CAPACITY);
        let (requests, inbox) = mpsc::channel();
        let stopped = Arc::new(AtomicBool::new(false));
        let outlet = Outlet { updates, requests: inbox, stopped: Arc::clone(&stopped) };
        let thread = thread::Builder::new()
            .name("source".to_owned())
            .spawn(move || {
                let ending = work(&outlet);
                // If nobody listens any more, nobody needs to know.
                let _ = outlet.send(Update::Ended(ending));
            })
            .expect("the system refuses to start a thread");
        let control = Control { requests, stopped, thread: Some(thread) };
        Self { updates: receiver, control, title, mode }
    }
}

/// What a consumer asks of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Change the subscription.
    Subscribe(Subscribe),
    /// Deliver everything up to now, then end.
    Finish,
}

/// The consumer's hold on a source. Dropping it stops the source and waits for its thread, which takes at most a
/// moment: no update is delivered any more, and a program started for the purpose is ended.
#[derive(Debug)]
pub struct Control {
    requests: Sender<Request>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    /// Changes what a live source asks the observed process for. Traces are what they are and take no notice.
    pub fn subscribe(&self, subscribe: Subscribe) {
        // A source that has ended takes no requests, and says so by its last update.
        let _ = self.requests.send(Request::Subscribe(subscribe));
    }

    /// Asks for everything recorded until now and then the end. The consumer goes on taking updates until
    /// [`Update::Ended`].
    pub fn finish(&self) {
        let _ = self.requests.send(Request::Finish);
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A panic in the source has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

/// The source's end of the channels.
#[derive(Debug)]
pub(crate) struct Outlet {
    updates: SyncSender<Update>,
    requests: Receiver<Request>,
    stopped: Arc<AtomicBool>,
}

/// The consumer has gone: the source should end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopped;

impl Outlet {
    /// Delivers an update, waiting while the channel is full.
    pub(crate) fn send(&self, update: Update) -> Result<(), Stopped> {
        let mut update = update;
        loop {
            self.check()?;
            match self.updates.try_send(update) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(Stopped),
                // Not a blocking send: a consumer that holds the receiver but no longer looks at it must still be
                // able to stop us.
                Err(TrySendError::Full(back)) => update = back,
            }
            thread::sleep(FULL_PAUSE);
        }
    }

    /// Whether the source should go on.
    pub(crate) fn check(&self) -> Result<(), Stopped> {
        if self.stopped.load(Ordering::Acquire) { Err(Stopped) } else { Ok(()) }
    }

    /// The next request, if there is one.
    pub(crate) fn request(&self) -> Option<Request> {
        self.requests.try_recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_protocol::frame::Goodbye;

    fn frame() -> Update {
        Update::Frame(ServerFrame::Goodbye(Goodbye::Finished))
    }

    #[test]
    fn a_source_delivers_everything_and_then_its_end() {
        let running = Running::start("test".to_owned(), Mode::Live, |outlet| {
            for _ in 0..10 * CAPACITY {
                outlet.send(frame()).unwrap();
            }
            Ending::Finished
        });
        let updates: Vec<_> = running.updates.iter().collect();
        assert_eq!(updates.len(), 10 * CAPACITY + 1);
        assert!(matches!(updates.last(), Some(Update::Ended(Ending::Finished))));
    }

    #[test]
    fn a_consumer_that_stops_looking_can_still_stop_a_source() {
        let running = Running::start("test".to_owned(), Mode::Live, |outlet| {
            while outlet.send(frame()).is_ok() {}
            Ending::Finished
        });
        let Running { updates, control, .. } = running;
        updates.recv().unwrap();
        drop(control);
        assert!(updates.iter().count() <= CAPACITY);
    }

    #[test]
    fn a_request_reaches_the_source() {
        let running = Running::start("test".to_owned(), Mode::Live, |outlet| {
            while outlet.check().is_ok() {
                if outlet.request() == Some(Request::Finish) {
                    return Ending::Finished;
                }
                thread::yield_now();
            }
            Ending::TargetGone
        });
        running.control.finish();
        assert!(matches!(running.updates.recv(), Ok(Update::Ended(Ending::Finished))));
    }
}
