//! Those who look: a process that takes all there is, while a cell runs, and the questions that a cell asks of its own
//! endpoint.
//!
//! The process is this program again (`recorders client …`). It says `attached` when the first data has come, and how
//! much it took when its standard input is closed.

use crate::contestant::Absent;
use crate::host;
use crate::place;
use crate::recorded::note;
use console_api::instrument::InstrumentRequest;
use console_api::instrument::instrument_client::InstrumentClient;
use nexus_protocol::event::Record;
use nexus_protocol::frame::{Goodbye, KindFilter, ServerFrame, Subscribe};
use nexus_protocol::session::{Client as Session, Received, SessionError};
use nexus_protocol::{Event, Stamp, TaskId};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What the process of a client is called with first.
pub(crate) const SUBCOMMAND: &str = "client";

const ATTACHED: &str = "attached";

/// How long anything may take that should take milliseconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whom a client watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Watched {
    /// Our endpoint, by the path of its socket.
    Ours,
    /// console-subscriber's server, by its address.
    Console,
}

impl Watched {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Console => "console",
        }
    }
}

/// A client's process, which takes what there is until it is ended.
pub(crate) struct Client {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Client {
    /// Starts one on the other processor, and waits until it gets something.
    pub(crate) fn attach(watched: Watched, address: &str) -> Result<Self, Absent> {
        let failed = |error: io::Error| Absent(format!("no client: {error}"));
        let this = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(this);
        command.args([SUBCOMMAND, watched.name(), address, &place::other().to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(failed)?;
        let input = process.stdin.take().expect("it is piped");
        let output = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut client = Self { process, input, output };
        match client.line()?.as_str() {
            ATTACHED => Ok(client),
            line => Err(Absent(format!("the client said {line:?}"))),
        }
    }

    /// Ends it, and notes what it says that it got.
    pub(crate) fn end(mut self) -> Result<(), Absent> {
        let said = {
            drop(self.input);
            let mut said = String::new();
            self.output
                .read_line(&mut said)
                .map_err(|error| Absent(format!("the client is gone: {error}")))?;
            said
        };
        let status = self.process.wait();
        if !status.is_ok_and(|status| status.success()) || said.is_empty() {
            return Err(Absent(format!("the client failed: {said}")));
        }
        note(format!("client {}", said.trim()));
        Ok(())
    }

    fn line(&mut self) -> Result<String, Absent> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        read.map_err(|error| Absent(format!("the client is gone: {error}")))?;
        Ok(line.trim().to_owned())
    }
}

/// What a client's process has got so far.
static TAKEN: AtomicU64 = AtomicU64::new(0);
static LOST: AtomicU64 = AtomicU64::new(0);

/// The process of a client. Ends when its standard input does.
pub(crate) fn be(watched: &str, address: &str, cpu: &str) -> Result<(), String> {
    host::pin(cpu.parse().map_err(|_| "a processor has a number")?);
    std::thread::spawn(|| {
        let mut nothing = Vec::new();
        let _ = io::stdin().read_to_end(&mut nothing);
        println!("took {}, lost {}", TAKEN.load(Ordering::Relaxed), LOST.load(Ordering::Relaxed));
        std::process::exit(0);
    });
    match watched {
        "ours" => take_from_ours(address),
        "console" => take_from_console(address),
        _ => Err("nobody of that name can be watched".to_owned()),
    }
}

fn take_from_ours(path: &str) -> Result<(), String> {
    let text = |error: SessionError| format!("cannot take events: {error}");
    let mut session = Session::connect_unix(Path::new(path), PATIENCE).map_err(text)?;
    session.subscribe(everything()).map_err(text)?;
    let mut attached = false;
    loop {
        match session.next().map_err(text)? {
            Received::Frame(ServerFrame::Snapshot(_)) if !attached => {
                attached = true;
                println!("{ATTACHED}");
            }
            Received::Frame(ServerFrame::Events { records, .. }) => {
                TAKEN.fetch_add(records.len() as u64, Ordering::Relaxed);
            }
            Received::Frame(ServerFrame::Loss { from, to, .. }) => {
                LOST.fetch_add(to - from, Ordering::Relaxed);
            }
            Received::Frame(_) | Received::Idle => {}
            Received::Closed => return Err("the endpoint is gone".to_owned()),
        }
    }
}

fn take_from_console(address: &str) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(async {
        let start = Instant::now();
        let mut client = loop {
            match InstrumentClient::connect(address.to_owned()).await {
                Ok(client) => break client,
                Err(error) if start.elapsed() > PATIENCE => {
                    return Err(format!("cannot connect: {error}"));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        let text = |error: tonic::Status| format!("cannot take updates: {error}");
        let updates = client.watch_updates(InstrumentRequest {}).await.map_err(text)?;
        let mut updates = updates.into_inner();
        let mut attached = false;
        while updates.message().await.map_err(text)?.is_some() {
            TAKEN.fetch_add(1, Ordering::Relaxed);
            if !attached {
                attached = true;
                println!("{ATTACHED}");
            }
        }
        Err("the server is gone".to_owned())
    })
}

fn everything() -> Subscribe {
    Subscribe { history: true, kinds: KindFilter::ALL, snapshot_every_ms: 1_000 }
}

/// Where this process's endpoint listens.
pub(crate) fn socket() -> Result<String, Absent> {
    let directory = std::env::var("NEXUS_INSPECT_DIR").map_err(|_| "no directory for sockets")?;
    let prefix = format!("{}-", std::process::id());
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let files = std::fs::read_dir(&directory).into_iter().flatten().flatten();
        let names = files.filter_map(|file| file.file_name().into_string().ok());
        let socket =
            names.into_iter().find(|name| name.starts_with(&prefix) && name.ends_with(".sock"));
        if let Some(socket) = socket {
            return Ok(format!("{directory}/{socket}"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err("the endpoint has no socket".into())
}

fn session() -> Result<Session<UnixStream>, Absent> {
    Session::connect_unix(Path::new(&socket()?), PATIENCE).map_err(unanswered)
}

fn unanswered(error: SessionError) -> Absent {
    Absent(format!("the endpoint does not answer: {error}"))
}

/// How many records the runtime of this process has made.
pub(crate) fn recorded() -> Result<u64, Absent> {
    Ok(session()?.hello().1.iter().map(|runtime| runtime.recorded).sum())
}

/// What is in the ring after a storm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct History {
    /// From the oldest record of the others to the newest one.
    pub(crate) seconds: f64,
    pub(crate) of_others_a_second: f64,
    pub(crate) of_the_storm_a_second: f64,
    pub(crate) of_the_loop_a_second: f64,
}

/// Takes all that is in the ring, as a client would that attaches now.
pub(crate) fn history() -> Result<History, Absent> {
    let mut session = session()?;
    session.subscribe(everything()).map_err(unanswered)?;
    session.finish().map_err(unanswered)?;
    let mut all: Vec<Record> = Vec::new();
    loop {
        match session.next().map_err(unanswered)? {
            Received::Frame(ServerFrame::Events { records, .. }) => all.extend(records),
            // What was overwritten before anybody attached is no loss of ours: the history begins behind it.
            Received::Frame(ServerFrame::Loss { .. }) if all.is_empty() => {}
            Received::Frame(ServerFrame::Loss { from, to, .. }) => {
                return Err(Absent(format!("{} records were lost to a client", to - from)));
            }
            Received::Frame(ServerFrame::Goodbye(Goodbye::Finished)) => break,
            Received::Frame(_) => {}
            Received::Idle | Received::Closed => return Err("it does not come to an end".into()),
        }
    }
    seen(&all).ok_or_else(|| "there was no storm in the ring".into())
}

fn seen(all: &[Record]) -> Option<History> {
    let storm: TaskId = all.iter().find_map(|record| match record.event {
        Event::Repeats { task, .. } => Some(task),
        _ => None,
    })?;
    let is_loop = |record: &&Record| matches!(record.event, Event::Turn { .. });
    let is_storm = |record: &&Record| record.event.task() == Some(storm);
    let others: Vec<Stamp> = all
        .iter()
        .filter(|record| !is_loop(record) && !is_storm(record))
        .map(|record| record.at)
        .collect();
    let seconds = others.last()?.since(*others.first()?) as f64 / 1e9;
    Some(History {
        seconds,
        of_others_a_second: others.len() as f64 / seconds,
        of_the_storm_a_second: all.iter().filter(is_storm).count() as f64 / seconds,
        of_the_loop_a_second: all.iter().filter(is_loop).count() as f64 / seconds,
    })
}
