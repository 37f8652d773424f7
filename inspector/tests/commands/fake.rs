//! A made-up observed process: an endpoint in this process that says what it is told to.

use nexus_protocol::board::{
    Activity, Snapshot, TaskCounters, TaskRow, TaskState, TokenCounters, TokenRow, Totals,
};
use nexus_protocol::event::{Event, Record, SourceKind, TurnMode, WaitFor};
use nexus_protocol::frame::{
    ClientFrame, Goodbye, KindFilter, Process, RuntimeInfo, ServerFrame, VERSION,
};
use nexus_protocol::session::Server;
use nexus_protocol::{Direction, Interest, Readiness, RuntimeId, Stamp, StringId, TaskId, TokenId};
use std::io::Write;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// When the process was started, on its clock.
const STARTED: Stamp = Stamp(1_000_000_000);

/// Records in each batch of events.
pub(crate) const BATCH: u64 = 100;

/// Records in its ring.
pub(crate) const RING: u64 = 1 << 17;

/// Records that were overwritten, if its ring has gone around.
pub(crate) const OVERWRITTEN: u64 = 3 * RING;

/// What the process does once it is subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conduct {
    /// It sends a batch of events every millisecond until it is asked to finish.
    Busy,
    /// The same, but after three batches the connection ends without a goodbye.
    Dies,
    /// The same, but after three batches it says that it is ending.
    Ends,
    /// It sends some events, then reports a loss, then goes on.
    Loses,
    /// It says what is no frame.
    Babbles,
    /// Its recorder is off: it has nothing to tell.
    Off,
    /// Its ring has gone around: it begins with the loss of all that was overwritten.
    Wrapped,
}

/// An endpoint at work in a directory of its own. It answers until the test ends.
pub(crate) struct Endpoint {
    directory: TempDir,
    /// The name of its runtime. The inspector finds the endpoints of all tests, so each has a name of its own.
    pub(crate) name: String,
    pub(crate) socket: PathBuf,
}

impl Endpoint {
    /// An endpoint of this test process.
    pub(crate) fn new(conduct: Conduct) -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let directory = tempfile::tempdir().unwrap();
        let own = std::process::id();
        let name = format!("gateway-{own}-{}", MADE.fetch_add(1, Ordering::Relaxed));
        let socket = listen(directory.path(), "1", &name, conduct);
        Self { directory, name, socket }
    }

    /// Where it can be found.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Another endpoint beside it.
    pub(crate) fn twin(&self, conduct: Conduct) {
        listen(self.directory(), "2", &self.name, conduct);
    }
}

fn listen(directory: &Path, start_time: &str, name: &str, conduct: Conduct) -> PathBuf {
    let socket = directory.join(format!("{}-{start_time}.sock", std::process::id()));
    let listener = UnixListener::bind(&socket).unwrap();
    let name = name.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let name = name.clone();
            thread::spawn(move || serve(stream, name, conduct));
        }
    });
    socket
}

fn serve(stream: UnixStream, name: String, conduct: Conduct) {
    stream.set_nonblocking(true).unwrap();
    let server = Server::new(stream);
    let next_seq = if conduct == Conduct::Wrapped { OVERWRITTEN } else { 0 };
    let mut session = Session { server, name, conduct, next_seq, wants: None };
    // A client that goes away is no failure of the test.
    while session.step() == Some(()) {
        thread::sleep(Duration::from_millis(1));
    }
}

struct Session {
    server: Server<UnixStream>,
    name: String,
    conduct: Conduct,
    next_seq: u64,
    wants: Option<KindFilter>,
}

impl Session {
    /// One round; `None` when the connection is over.
    fn step(&mut self) -> Option<()> {
        let mut over = false;
        while let Some(frame) = self.server.receive().ok()? {
            match frame {
                ClientFrame::Hello { .. } => {
                    self.say(&hello(&self.name, self.conduct, self.next_seq))
                }
                ClientFrame::Subscribe(subscribe) => {
                    self.wants = Some(subscribe.kinds);
                    if subscribe.kinds != KindFilter::ALL {
                        self.say(&ServerFrame::Filter(subscribe.kinds));
                    }
                    self.say(&strings());
                    self.snapshot();
                    if self.conduct == Conduct::Wrapped {
                        let to = OVERWRITTEN;
                        self.say(&ServerFrame::Loss { runtime: RuntimeId(1), from: 0, to });
                    }
                }
                ClientFrame::Finish => {
                    self.snapshot();
                    self.say(&ServerFrame::Goodbye(Goodbye::Finished));
                    over = true;
                }
                ClientFrame::Pause | ClientFrame::Resume => {}
            }
        }
        if !over && self.wants.is_some_and(|kinds| kinds != KindFilter::NONE) {
            over = self.events();
        }
        while !self.server.flush().ok()? {
            thread::sleep(Duration::from_millis(1));
        }
        if over { None } else { Some(()) }
    }

    /// A batch of events; true when that was the last one.
    fn events(&mut self) -> bool {
        if self.conduct == Conduct::Off {
            return false;
        }
        let batches = self.next_seq / BATCH;
        if self.conduct == Conduct::Loses && batches == 1 {
            let (from, to) = (self.next_seq, self.next_seq + BATCH);
            self.say(&ServerFrame::Loss { runtime: RuntimeId(1), from, to });
            self.next_seq = to;
            return false;
        }
        if batches == 3 {
            match self.conduct {
                Conduct::Dies => return true,
                Conduct::Ends => {
                    self.say(&ServerFrame::Goodbye(Goodbye::ProcessEnding));
                    return true;
                }
                Conduct::Babbles => {
                    // A frame longer than any can be.
                    let _ = self.server.stream().write_all(&[0xFF; 64]);
                    return true;
                }
                Conduct::Busy | Conduct::Loses | Conduct::Off | Conduct::Wrapped => {}
            }
        }
        let wanted =
            |record: &Record| self.wants.is_some_and(|kinds| kinds.wants(record.event.kind()));
        let records: Vec<_> =
            (self.next_seq..self.next_seq + BATCH).map(turn).filter(wanted).collect();
        self.next_seq += BATCH;
        let (next_seq, filtered) = (self.next_seq, BATCH - records.len() as u64);
        self.say(&ServerFrame::Events { runtime: RuntimeId(1), records, next_seq, filtered });
        false
    }

    fn snapshot(&mut self) {
        if self.conduct != Conduct::Off {
            self.say(&snapshot(self.next_seq));
        }
    }

    fn say(&mut self, frame: &ServerFrame) {
        self.server.queue(frame);
    }
}

fn turn(seq: u64) -> Record {
    let at = Stamp(2_000_000_000 + seq * 1_000);
    let event =
        Event::Turn { number: seq + 1, events: 1, mode: TurnMode::Park, parked: Stamp(at.0 - 500) };
    Record { seq, at, event }
}

fn hello(name: &str, conduct: Conduct, recorded: u64) -> ServerFrame {
    let is_on = conduct != Conduct::Off;
    let process = Process {
        pid: std::process::id(),
        start_time: start_time(),
        program: format!("{name}-program"),
        command_line: "made-up --with \x1b[31mcolour".to_owned(),
        started: STARTED,
        wall_offset_ns: 0,
        clock: "monotonic".to_owned(),
    };
    let runtime = RuntimeInfo {
        id: RuntimeId(1),
        name: name.to_owned(),
        thread: std::process::id(),
        started: STARTED,
        ended: Stamp::NEVER,
        ring_capacity: if is_on { RING } else { 0 },
        recorded,
        tokens: if is_on { 2 } else { 0 },
        tasks: u64::from(is_on),
    };
    ServerFrame::Hello { version: VERSION, process, runtimes: vec![runtime] }
}

/// When this process started, in clock ticks since boot.
fn start_time() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(19).unwrap().parse().unwrap()
}

fn strings() -> ServerFrame {
    let strings = ["src/main.rs:12:5".to_owned(), "evil \x1b]0;name\x07".to_owned()];
    ServerFrame::Strings { first: StringId(1), strings: strings.into() }
}

fn snapshot(next_seq: u64) -> ServerFrame {
    let token = |slot, fd| TokenRow {
        next_seq,
        token: TokenId { slot, generation: 3 },
        kind: SourceKind::TcpStream,
        fd,
        interest: Interest::READABLE,
        readiness: Readiness::READABLE,
        owner: Some(TaskId(1)),
        location: StringId(1),
        claimed: Stamp(1_500_000_000),
        last_active: Stamp(1_600_000_000),
        read_closed: Stamp::NEVER,
        local: None,
        peer: None,
        waiters_readable: 1,
        waiters_writable: 0,
        counters: TokenCounters { events: 1234, bytes_in: 4096, ..TokenCounters::default() },
        changing: false,
    };
    let task = TaskRow {
        next_seq,
        task: TaskId(1),
        state: TaskState::Idle,
        outcome: None,
        location: StringId(1),
        name: StringId(2),
        spawned: STARTED,
        since: Stamp(1_900_000_000),
        last_wake_cause: 1,
        waiting_for: Some(WaitFor::Token(TokenId { slot: 7, generation: 3 }, Direction::Readable)),
        waits: 1,
        counters: TaskCounters { polls: 77, ..TaskCounters::default() },
        changing: false,
    };
    let totals = Totals {
        recorded: next_seq,
        turns: next_seq,
        capacity: 16,
        live: 2,
        high_water: 4,
        tasks_spawned: 1,
        ..Totals::default()
    };
    ServerFrame::Snapshot(Box::new(Snapshot {
        runtime: RuntimeId(1),
        taken: Stamp(2_000_000_000 + next_seq * 1_000),
        activity: Activity::Parked,
        since: Stamp(1_999_000_000),
        totals,
        tokens: vec![token(7, 12), token(8, 13)],
        tasks: vec![task],
    }))
}
