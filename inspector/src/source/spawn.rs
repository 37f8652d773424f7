//! A source that starts a program and takes in everything it and its children record.
//!
//! The program gets a private directory for endpoints (`NEXUS_INSPECT_DIR`), which is watched for sockets, and is told
//! to hold its first runtime until somebody has subscribed (`NEXUS_INSPECT_HOLD`), so that nothing is missed at its
//! beginning. For its end, its runtimes keep their recordings in files (`NEXUS_INSPECT_MAP`): what a process had no time
//! to tell, because it was killed for example, is read there. Its processes are merged into one stream. The demo workload
//! is such a program too: this one, started once more.

mod account;
mod directory;
mod remains;

use self::account::Account;
use self::remains::{Files, Found};
use super::merge::{Merge, Origin};
use super::{CommandEnd, Ending, Mode, Outlet, Request, Running, Stopped, Update, live};
use crate::failure::{self, Exit, Failure};
use crate::target::{Candidate, Connection, DIRECTORY_VARIABLE, Socket, connect};
use nexus_protocol::frame::{Goodbye, ServerFrame, Subscribe};
use nexus_protocol::session::{Client, Received, SessionError};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal};
use std::collections::{HashSet, VecDeque};
use std::ffi::OsString;
use std::io::{self, PipeReader, Read};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a runtime of the program waits for us, in milliseconds. Far more than we need to find its socket.
const HOLD_MS: &str = "10000";

/// How often to look for new sockets and for the program's end.
const WATCH_EVERY: Duration = Duration::from_millis(10);

/// How long a program that is asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(2);

/// Bytes kept of a program's captured output.
const CAPTURE_BYTES: usize = 64 * 1024;

/// Frames taken from one process before it is another one's turn.
const FRAMES_AT_ONCE: usize = 64;

/// Where the output of a started program goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramOutput {
    /// To our standard error: our standard output is for data.
    ToStderr,
    /// Into memory, its latest part, to be shown when the screen is ours no more. The program reads nothing.
    Captured,
}

/// What a started program leaves to be looked at after the source is gone.
#[derive(Clone, Debug, Default)]
pub struct Aftermath {
    end: Arc<Mutex<Option<CommandEnd>>>,
    output: Arc<Mutex<Output>>,
}

#[derive(Debug, Default)]
struct Output {
    tail: VecDeque<u8>,
    dropped: u64,
}

impl Aftermath {
    /// How the program ended, if it ended by itself.
    #[must_use]
    pub fn end(&self) -> Option<CommandEnd> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The latest part of its captured output, and how many bytes before it are gone.
    #[must_use]
    pub fn output(&self) -> (Vec<u8>, u64) {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        (output.tail.iter().copied().collect(), output.dropped)
    }
}

/// Starts COMMAND.
///
/// # Errors
///
/// A command [`Failure`] if the program cannot be started.
///
/// # Panics
///
/// Panics if `words` is empty.
pub(crate) fn command(
    words: &[OsString],
    subscribe: Subscribe,
    output: ProgramOutput,
) -> Result<(Running, Aftermath), Failure> {
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command.stdin(match output {
        ProgramOutput::ToStderr => Stdio::inherit(),
        // The keys are ours.
        ProgramOutput::Captured => Stdio::null(),
    });
    let title = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    start(command, Kind::Command, title, subscribe, output)
}

/// Starts the demo workload: a process of this program, which ends when its standard input does, and that is when we
/// end, however we do.
///
/// # Errors
///
/// A command [`Failure`] if it cannot be started.
pub(crate) fn demo(subscribe: Subscribe) -> Result<(Running, Aftermath), Failure> {
    // The link leads to the running program even if its file has been replaced since.
    let mut command = Command::new("/proc/self/exe");
    command.arg0("nexus-inspect").arg("demo-workload").stdin(Stdio::piped());
    start(command, Kind::Demo, "demo".to_owned(), subscribe, ProgramOutput::Captured)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Command,
    Demo,
}

fn start(
    mut command: Command,
    kind: Kind,
    title: String,
    subscribe: Subscribe,
    output: ProgramOutput,
) -> Result<(Running, Aftermath), Failure> {
    let directory = directory::make()
        .map_err(|error| Failure::local_io(format!("cannot make a private directory: {error}")))?;
    let files = Files::make(directory.path())
        .map_err(|error| Failure::local_io(format!("cannot make a private directory: {error}")))?;
    command.env(DIRECTORY_VARIABLE, directory.path()).env("NEXUS_INSPECT_HOLD", HOLD_MS);
    command.env(remains::VARIABLE, files.path());
    // Whoever asks for a program to be inspected wants it inspectable.
    command.env_remove("NEXUS_INSPECT").env_remove("NEXUS_RECORDER");
    let aftermath = Aftermath::default();
    let failed =
        |error: io::Error| Failure::new(Exit::Command, format!("cannot start `{title}`: {error}"));
    let captured = connect_output(&mut command, output).map_err(failed)?;
    let mut child = command.spawn().map_err(failed)?;
    // Our copies of the pipe's writing end go with it, so that its end can be seen.
    drop(command);
    if let Some(pipe) = captured {
        let output = Arc::clone(&aftermath.output);
        thread::spawn(move || capture(pipe, &output));
    }
    let follower = Follower {
        kind,
        stdin: child.stdin.take(),
        child,
        exited: None,
        files,
        directory,
        seen: HashSet::new(),
        peers: Vec::new(),
        gone: Vec::new(),
        attached: 0,
        merge: Merge::default(),
        subscribe,
        finishing: false,
    };
    let end = Arc::clone(&aftermath.end);
    let running = Running::start(title, Mode::Live, move |outlet| {
        let ending = follower.run(outlet);
        if let Ending::CommandEnded(command_end) = &ending {
            *end.lock().unwrap_or_else(PoisonError::into_inner) = Some(command_end.clone());
        }
        ending
    });
    Ok((running, aftermath))
}

fn connect_output(command: &mut Command, output: ProgramOutput) -> io::Result<Option<PipeReader>> {
    match output {
        ProgramOutput::ToStderr => {
            command.stdout(io::stderr()).stderr(Stdio::inherit());
            Ok(None)
        }
        ProgramOutput::Captured => {
            let (reader, writer) = io::pipe()?;
            command.stdout(writer.try_clone()?).stderr(writer);
            Ok(Some(reader))
        }
    }
}

/// Keeps the latest part of what a program prints, so that it never waits for us.
fn capture(mut pipe: PipeReader, output: &Mutex<Output>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut buffer) {
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        output.tail.extend(&buffer[..count]);
        let excess = output.tail.len().saturating_sub(CAPTURE_BYTES);
        output.tail.drain(..excess);
        output.dropped += excess as u64;
    }
}

/// A socket's name, and which socket had it.
type Seen = (OsString, (u64, u64, Vec<u8>));

/// The program, and the processes of it that we are attached to.
struct Follower {
    kind: Kind,
    child: Child,
    /// The demo workload's, which ends it when dropped.
    stdin: Option<ChildStdin>,
    exited: Option<ExitStatus>,
    /// The recordings of its runtimes.
    files: Files,
    directory: TempDir,
    /// Sockets that were found, whatever came of it.
    seen: HashSet<Seen>,
    peers: Vec<Peer>,
    /// What was told by processes that say nothing more.
    gone: Vec<Account>,
    /// How many processes there were in all.
    attached: usize,
    merge: Merge,
    subscribe: Subscribe,
    finishing: bool,
}

struct Peer {
    pid: u32,
    client: Client<UnixStream>,
    account: Account,
}

/// Whether a process has more to say.
enum Next {
    More,
    Over,
}

impl Follower {
    fn run(mut self, outlet: &Outlet) -> Ending {
        let ending = self.follow(outlet).unwrap_or(Ending::Finished);
        self.end_program();
        ending
    }

    fn follow(&mut self, outlet: &Outlet) -> Result<Ending, Stopped> {
        loop {
            outlet.check()?;
            self.answer_requests(outlet);
            let exited = self.has_exited();
            // After the exit, so that a socket made just before it is found.
            if !self.finishing
                && let Err(problem) = self.find_new(outlet)?
            {
                return Ok(Ending::Failed(problem));
            }
            let more_will_come = self.take_remains(outlet)?;
            let over = exited.is_some() && !more_will_come || self.finishing;
            if self.peers.is_empty() && over {
                return self.conclude(outlet, exited);
            }
            self.wait();
            self.read_all(outlet)?;
        }
    }

    /// The last frame and the ending, when there is nobody left to listen to.
    fn conclude(&mut self, outlet: &Outlet, exited: Option<ExitStatus>) -> Result<Ending, Stopped> {
        let goodbye = if self.finishing { Goodbye::Finished } else { Goodbye::ProcessEnding };
        if self.merge.has_begun() {
            outlet.send(Update::Frame(ServerFrame::Goodbye(goodbye)))?;
        }
        Ok(match exited {
            Some(_) if self.kind == Kind::Demo && !self.finishing => Ending::TargetGone,
            Some(status) if self.kind == Kind::Command => Ending::CommandEnded(CommandEnd {
                success: status.success(),
                status: describe(status),
                attached: self.attached,
            }),
            _ => Ending::Finished,
        })
    }

    fn answer_requests(&mut self, outlet: &Outlet) {
        while let Some(request) = outlet.request() {
            match request {
                Request::Subscribe(subscribe) => self.subscribe = subscribe,
                Request::Finish => self.finishing = true,
            }
            for peer in &mut self.peers {
                // A process that is gone shows when it is read from.
                let _ = match request {
                    Request::Subscribe(subscribe) => peer.client.subscribe(subscribe),
                    Request::Finish => peer.client.finish(),
                };
            }
        }
    }

    fn has_exited(&mut self) -> Option<ExitStatus> {
        if self.exited.is_none() {
            self.exited = self.child.try_wait().unwrap_or(None);
        }
        self.exited
    }

    /// Attaches to processes whose sockets have appeared. The inner error is one to end with.
    fn find_new(&mut self, outlet: &Outlet) -> Result<Result<(), String>, Stopped> {
        for candidate in Candidate::in_directory(self.directory.path()) {
            let Socket::Path(path) = &candidate.socket else { continue };
            let name = path.file_name().unwrap_or_default().to_owned();
            // A process that calls exec makes another socket of the same name.
            if !self.seen.insert((name, candidate.identity())) {
                continue;
            }
            // One that ended at once, or is not one of ours, is nothing to follow.
            let Ok(connection) = connect(&candidate.socket, None) else { continue };
            match self.attach(connection) {
                Ok((mut peer, hello)) => {
                    self.attached += 1;
                    peer.account.note(&hello, self.subscribe);
                    let sent = deliver(&mut self.merge, &mut peer.account.origin, hello, outlet);
                    self.peers.push(peer);
                    sent?;
                }
                Err(SessionError::Closed) => {}
                Err(error) => {
                    let error = failure::chain(&error);
                    return Ok(Err(format!("cannot attach to process {}: {error}", candidate.pid)));
                }
            }
        }
        Ok(Ok(()))
    }

    fn attach(&mut self, connection: Connection) -> Result<(Peer, ServerFrame), SessionError> {
        let Connection { mut client, pid } = connection;
        live::prepare(&mut client, self.subscribe)?;
        // All are waited for at once, by poll.
        client.stream().set_nonblocking(true).map_err(|error| SessionError::Io {
            what: "make the connection non-blocking",
            error,
        })?;
        let hello = client.hello_frame();
        Ok((Peer { pid, client, account: Account::default() }, hello))
    }

    /// Sleeps until a process has something to say, or it is time to look around.
    fn wait(&self) {
        let timeout = Timespec::try_from(WATCH_EVERY).unwrap_or_default();
        let mut fds: Vec<_> = self
            .peers
            .iter()
            .map(|peer| PollFd::new(peer.client.stream(), PollFlags::IN))
            .collect();
        // An interruption only means to look around earlier.
        let _ = rustix::event::poll(&mut fds, Some(&timeout));
    }

    fn read_all(&mut self, outlet: &Outlet) -> Result<(), Stopped> {
        let mut index = 0;
        while index < self.peers.len() {
            let peer = &mut self.peers[index];
            match read(&mut self.merge, peer, self.subscribe, outlet)? {
                Next::More => index += 1,
                Next::Over => self.gone.push(self.peers.swap_remove(index).account),
            }
        }
        Ok(())
    }

    /// Delivers what processes have left in files that say nothing more, or never said anything. True if there is a
    /// process of the latter sort that still records.
    fn take_remains(&mut self, outlet: &Outlet) -> Result<bool, Stopped> {
        loop {
            // Who is still telling, or has told all that it was asked for.
            let telling = self.peers.iter().map(|peer| &peer.account);
            let finished = self.gone.iter().filter(|account| account.has_finished());
            let told: Vec<_> = telling.chain(finished).collect();
            let is_told =
                |pid, start_time| told.iter().any(|account| account.has_number(pid, start_time));
            let remains = match self.files.take(self.finishing, is_told) {
                Found::Recording(remains) => remains,
                Found::Later => return Ok(true),
                Found::Nothing => return Ok(false),
            };
            let known = self.gone.iter().position(|account| account.includes(&remains));
            let known = known.unwrap_or_else(|| {
                self.gone.push(Account::default());
                self.attached += 1;
                self.gone.len() - 1
            });
            let (merge, account) = (&mut self.merge, &mut self.gone[known]);
            account.rest(&remains, self.subscribe, |origin, frame| {
                deliver(merge, origin, frame, outlet)
            })?;
        }
    }

    /// Ends what still runs: first by asking, then by force. What was started for the inspection goes with it.
    fn end_program(&mut self) {
        drop(self.stdin.take());
        let still_runs = self.has_exited().is_none();
        let mut pids: Vec<u32> = self.peers.iter().map(|peer| peer.pid).collect();
        if still_runs && self.kind == Kind::Command {
            pids.push(self.child.id());
        }
        for pid in pids {
            signal(pid, Signal::TERM);
        }
        let started = Instant::now();
        while self.has_exited().is_none() {
            if started.elapsed() > GRACE {
                // It is our child and not waited for, so the number is still its own.
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            thread::sleep(WATCH_EVERY);
        }
    }
}

fn read(
    merge: &mut Merge,
    peer: &mut Peer,
    subscribe: Subscribe,
    outlet: &Outlet,
) -> Result<Next, Stopped> {
    for _ in 0..FRAMES_AT_ONCE {
        match peer.client.next() {
            Ok(Received::Frame(frame)) => {
                let over = matches!(frame, ServerFrame::Goodbye(_));
                peer.account.note(&frame, subscribe);
                deliver(merge, &mut peer.account.origin, frame, outlet)?;
                if over {
                    return Ok(Next::Over);
                }
            }
            Ok(Received::Idle) => break,
            // One process less: the others go on.
            Ok(Received::Closed) | Err(_) => return Ok(Next::Over),
        }
    }
    Ok(Next::More)
}

fn deliver(
    merge: &mut Merge,
    origin: &mut Origin,
    frame: ServerFrame,
    outlet: &Outlet,
) -> Result<(), Stopped> {
    for frame in merge.take(origin, frame) {
        outlet.send(Update::Frame(frame))?;
    }
    Ok(())
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended by itself in the meantime.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => match signal_hook::low_level::signal_name(signal) {
            Some(name) => format!("signal {signal} ({name})"),
            None => format!("signal {signal}"),
        },
        (None, None) => status.to_string(),
    }
}
