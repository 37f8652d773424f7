//! What the deliberate sinners share: their arguments, what they confess at their end, and clean work to do in between.
//!
//! Knows nothing of any sin: each stands in a file of its own, so that it reads like the code in which it is found.

use mio::net::UnixStream;
use nexus_runtime::io::{Direction, Interest, IoHandle, Operation, SourceKind, Token};
use nexus_runtime::sync::mpsc;
use nexus_runtime::task::{self, JoinHandle};
use nexus_runtime::{Builder, Runtime};
use std::fmt::Display;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::panic::Location;
use std::process;
use std::rc::Rc;
use std::str::FromStr;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How long a program runs, and how often it sins.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    kind: &'static str,
    end: Instant,
    every: u64,
    steps: u64,
}

impl Plan {
    /// Reads `--for DURATION` (3 s by default) and `--every N` (one sin in N steps; by default each is one). Ends the
    /// process with a word on its use if there is anything else.
    #[must_use]
    pub fn from_args(kind: &'static str) -> Self {
        let (mut length, mut every) = (Duration::from_secs(3), 1);
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let value = arguments.next();
            let known = match argument.as_str() {
                "--for" => value.as_deref().and_then(duration).map(|value| length = value),
                "--every" => value
                    .as_deref()
                    .and_then(|value| u64::from_str(value).ok())
                    .filter(|&value| value > 0)
                    .map(|value| every = value),
                _ => None,
            };
            if known.is_none() {
                eprintln!("usage: {kind} [--for DURATION, such as 3s or 500ms] [--every N]");
                process::exit(2);
            }
        }
        Self { kind, end: Instant::now() + length, every, steps: 0 }
    }

    /// A runtime that has the program's name.
    ///
    /// # Errors
    ///
    /// If the kernel refuses its descriptors.
    pub fn runtime(&self) -> io::Result<Runtime> {
        Builder::new().name(self.kind).build()
    }

    /// Whether the time is over. However slow the machine, there is a sin before.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let has_sinned = self.every == 1 || self.steps >= self.every;
        has_sinned && Instant::now() >= self.end
    }

    /// One more step: whether it is to be a sin.
    pub fn sins_now(&mut self) -> bool {
        self.steps += 1;
        self.steps.is_multiple_of(self.every)
    }

    /// Whether there are steps without a sin.
    #[must_use]
    pub fn is_throttled(&self) -> bool {
        self.every > 1
    }

    /// Prints what was done: one line of JSON. `subject` is written as on the inspector's screen, `source` is where it was
    /// spawned or claimed.
    pub fn confess(&self, subject: impl Display, source: &Location<'_>, count: u64) {
        let kind = self.kind;
        println!(
            "{{\"kind\":\"{kind}\",\"subject\":\"{subject}\",\"source\":\"{source}\",\"count\":{count}}}"
        );
    }
}

/// A number with a unit: `3s`, `500ms`, `250us`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(unit);
    let number = number.parse().ok()?;
    match unit {
        "s" => Some(Duration::from_secs(number)),
        "ms" => Some(Duration::from_millis(number)),
        "us" => Some(Duration::from_micros(number)),
        _ => None,
    }
}

/// A task, and where it was spawned.
pub struct Spawned<T> {
    handle: JoinHandle<T>,
    /// Where it was spawned.
    pub source: &'static Location<'static>,
}

impl<T> Spawned<T> {
    /// As the inspector writes it.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("task {}", self.handle.id())
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// If the task has panicked.
    pub async fn join(self) -> T {
        self.handle.await.expect("no task of an example panics")
    }
}

/// Spawns a task with a name.
#[track_caller]
pub fn spawn<F>(name: &str, future: F) -> Spawned<F::Output>
where
    F: Future + 'static,
{
    let handle = task::Builder::new().name(name).spawn(future);
    Spawned { handle, source: Location::caller() }
}

/// Clean work: each turn is one poll of its user, woken by a channel and with a message for it.
pub struct Mill {
    requests: mpsc::UnboundedSender<()>,
    answers: mpsc::UnboundedReceiver<()>,
}

impl Default for Mill {
    fn default() -> Self {
        Self::new()
    }
}

impl Mill {
    /// Starts the task that answers.
    #[must_use]
    pub fn new() -> Self {
        let (requests, mut asked) = mpsc::unbounded_channel();
        let (answer, answers) = mpsc::unbounded_channel();
        drop(spawn("mill", async move {
            while let Some(()) = asked.recv().await {
                if answer.send(()).is_err() {
                    break;
                }
            }
        }));
        Self { requests, answers }
    }

    /// Asks, and waits for the answer.
    pub async fn turn(&mut self) {
        // The task ends only after this end of its channels.
        let _ = self.requests.send(());
        let _ = self.answers.recv().await;
    }
}

/// A Unix stream on the raw handle, as hand-written futures use it.
pub struct Raw {
    io: IoHandle,
    token: Token,
    stream: UnixStream,
    /// Where it was claimed.
    pub source: &'static Location<'static>,
}

impl Raw {
    /// Registers a stream.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    #[track_caller]
    pub fn new(mut stream: UnixStream, interest: Interest) -> io::Result<Self> {
        let io = IoHandle::current();
        let token = io.register_fd(&mut stream, SourceKind::UnixStream, interest, Waker::noop())?;
        Ok(Self { io, token, stream, source: Location::caller() })
    }

    /// As the inspector writes it.
    #[must_use]
    pub fn subject(&self) -> String {
        format!("token {}", self.token)
    }

    /// Whether the kernel has reported this direction, and nobody has found it used up since.
    #[must_use]
    pub fn is_ready(&self, direction: Direction) -> bool {
        self.io.readiness(self.token).is_ok_and(|readiness| readiness.is_ready(direction))
    }

    /// One read, whatever the readiness. Zero if it would block.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        none_if_blocked(self.io.attempt(self.token, Operation::Read, || self.stream.read(buffer)))
    }

    /// Reads until it would block. How many bytes there were.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn drain(&mut self) -> io::Result<usize> {
        let (mut buffer, mut total) = ([0; 512], 0);
        loop {
            match self.read(&mut buffer)? {
                0 => return Ok(total),
                bytes => total += bytes,
            }
        }
    }

    /// One write. Zero if it would block.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        none_if_blocked(self.io.attempt(self.token, Operation::Write, || self.stream.write(bytes)))
    }

    /// Has the task woken by the next event in this direction.
    ///
    /// # Panics
    ///
    /// If the token is not live, which it is as long as this is.
    pub fn wake_when(&self, direction: Direction, cx: &Context<'_>) {
        self.io.set_waker(self.token, direction, cx.waker().clone()).expect("the token is live");
    }

    /// Waits for something to read, as it should be done: reads first, and waits only when that would block.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub async fn drain_when_readable(&mut self) -> io::Result<usize> {
        poll_fn(|cx| match self.drain() {
            Ok(0) => {
                self.wake_when(Direction::Readable, cx);
                Poll::Pending
            }
            drained => Poll::Ready(drained),
        })
        .await
    }
}

fn none_if_blocked(done: io::Result<usize>) -> io::Result<usize> {
    match done {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        done => done,
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The runtime has nothing left to do for a token that it refuses.
        let _ = self.io.deregister(self.token, &mut self.stream);
    }
}

/// Something that two tasks of one thread change.
pub type Shared<T> = Rc<std::cell::RefCell<T>>;

/// See [`Shared`].
pub fn shared<T>(value: T) -> Shared<T> {
    Rc::new(std::cell::RefCell::new(value))
}
