//! A recording of an echo server with a few sins, the same every time.
//!
//! Ten tasks: the root, an acceptor, four connections that come and go, a ticker on a timer, a feed that is woken by
//! writable but only reads, a spinner that wakes itself in bursts, and a task that a thread sends jobs to. Twelve
//! tokens: the listener, the connections, the feed, a UDP socket for the ticker, and a pool of five of which the last
//! is never used. One poll takes 30 ms. An inspector attaches after a third of the time and finds some history;
//! later it loses 150 records.

use super::tape::Tape;
use nexus_protocol::board::Snapshot;
use nexus_protocol::event::{
    Address, Cause, Operation, OperationResult, PollResult, SourceKind, WaitFor, WaitOutcome,
};
use nexus_protocol::frame::{Process, RuntimeInfo, ServerFrame, VERSION};
use nexus_protocol::{
    Direction, Interest, Readiness, RuntimeId, Stamp, StringId, TaskId, TimerId, TokenId,
};
use std::net::{Ipv4Addr, SocketAddr};

const MS: u64 = 1_000_000;
const US: u64 = 1_000;
/// When the process starts.
const START: Stamp = Stamp(5_000_000_000_000);
const RUNTIME: RuntimeId = RuntimeId(1);
const BATCH: usize = 512;
/// How many records the inspector loses.
const LOST: usize = 150;

const STRINGS: [&str; 20] = [
    "",
    "main",
    "src/main.rs:24:13",
    "acceptor",
    "src/server.rs:31:9",
    "connection",
    "src/server.rs:57:17",
    "ticker",
    "src/metrics.rs:12:5",
    "feed",
    "src/feed.rs:88:9",
    "spinner",
    "src/queue.rs:140:5",
    "jobs",
    "src/jobs.rs:19:5",
    "src/server.rs:28:30",
    "src/server.rs:44:41",
    "src/feed.rs:71:22",
    "src/metrics.rs:9:20",
    "src/pool.rs:23:18",
];

fn text(wanted: &str) -> StringId {
    StringId(STRINGS.iter().position(|text| *text == wanted).unwrap_or(0) as u32)
}

/// The recording of 2.4 seconds, without a goodbye: as from a live process.
#[must_use]
pub fn trace() -> Vec<ServerFrame> {
    trace_of(2_400)
}

/// The same server for so many milliseconds, some thirty records each.
#[must_use]
pub fn trace_of(milliseconds: u64) -> Vec<ServerFrame> {
    let (tape, mut boards) = run(milliseconds);
    let attached = boards.len() / 3;
    frames(&tape, boards.split_off(attached))
}

/// Runs the server for so many milliseconds. Returns all it recorded, with its board every 100 milliseconds and at the
/// end.
#[must_use]
pub fn run(milliseconds: u64) -> (Tape, Vec<Snapshot>) {
    let mut server = Echo::start();
    let end = START.0 + milliseconds * MS;
    let mut boards = Vec::new();
    while server.tape.now().0 < end {
        server.step();
        let due = START.0 + boards.len() as u64 * 100 * MS;
        if server.tape.now().0 >= due {
            boards.push(server.tape.snapshot());
        }
    }
    boards.push(server.tape.snapshot());
    (server.tape, boards)
}

/// What an inspector is sent, that attached when the first of `boards` was taken.
fn frames(tape: &Tape, boards: Vec<Snapshot>) -> Vec<ServerFrame> {
    let records = tape.records();
    let attached = boards[0].totals.recorded as usize;
    let lossy = boards.len() / 2;
    let mut frames = vec![
        hello(&boards[0]),
        ServerFrame::Strings {
            first: StringId(0),
            strings: STRINGS.iter().map(|text| (*text).to_owned()).collect(),
        },
    ];
    // The ring has been overwritten up to here.
    let mut sent = attached / 3;
    for (index, board) in boards.into_iter().enumerate() {
        let until = board.totals.recorded as usize;
        frames.push(ServerFrame::Snapshot(Box::new(board)));
        if index == lossy && until - sent > LOST {
            let (from, to) = (sent as u64, (sent + LOST) as u64);
            frames.push(ServerFrame::Loss { runtime: RUNTIME, from, to });
            sent += LOST;
        }
        for batch in records[sent..until].chunks(BATCH) {
            sent += batch.len();
            frames.push(ServerFrame::Events {
                runtime: RUNTIME,
                records: batch.to_vec(),
                next_seq: sent as u64,
                filtered: 0,
            });
        }
    }
    frames
}

fn hello(board: &Snapshot) -> ServerFrame {
    ServerFrame::Hello {
        version: VERSION,
        process: Process {
            pid: 4711,
            start_time: 500_000,
            program: "echo-server".to_owned(),
            command_line: "./echo-server --listen 127.0.0.1:7007".to_owned(),
            started: Stamp(START.0 - 20 * MS),
            wall_offset_ns: 1_700_000_000_000_000_000,
            clock: "tsc".to_owned(),
        },
        runtimes: vec![RuntimeInfo {
            id: RUNTIME,
            name: "echo".to_owned(),
            thread: 4711,
            started: START,
            ended: Stamp::NEVER,
            ring_capacity: 131_072,
            recorded: board.totals.recorded,
            tokens: board.totals.live,
            tasks: board.totals.tasks(),
        }],
    }
}

/// One connection: its task, its token, and how often it is used.
#[derive(Clone, Copy)]
struct Connection {
    task: TaskId,
    token: TokenId,
    one_in: u64,
}

struct Echo {
    tape: Tape,
    random: u64,
    listener: TokenId,
    acceptor: TaskId,
    connections: Vec<Connection>,
    ticker: (TaskId, TimerId),
    metrics: TokenId,
    feed: (TaskId, TokenId),
    spinner: TaskId,
    jobs: TaskId,
    pool: Vec<TokenId>,
    steps: u64,
    clients: u16,
    slow_poll_done: bool,
}

fn local(port: u16) -> Option<Address> {
    Some(Address::Inet(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)))
}

fn read_write() -> Interest {
    Interest::READABLE | Interest::WRITABLE
}

impl Echo {
    fn start() -> Self {
        let mut tape = Tape::new(RUNTIME, START, 8);
        let root = tape.spawn(text("main"), text("src/main.rs:24:13"));
        tape.pass(30 * US);
        tape.poll_start(root);
        let listener = tape.claim(
            (SourceKind::TcpListener, 5),
            text("src/server.rs:28:30"),
            Interest::READABLE,
            (local(7007), None),
        );
        let pool = (0..5).map(|index| {
            let peer = local(9000 + index);
            let source = (SourceKind::TcpStream, 6 + i32::from(index));
            let ends = (local(41_200 + index), peer);
            tape.claim(source, text("src/pool.rs:23:18"), read_write(), ends)
        });
        let pool: Vec<TokenId> = pool.collect();
        let source = (SourceKind::TcpStream, 11);
        let ends = (local(41_300), local(9100));
        let feed = tape.claim(source, text("src/feed.rs:71:22"), read_write(), ends);
        let source = (SourceKind::UdpSocket, 12);
        let metrics =
            tape.claim(source, text("src/metrics.rs:9:20"), read_write(), (local(41_400), None));
        let acceptor = tape.spawn(text("acceptor"), text("src/server.rs:31:9"));
        let ticker = tape.spawn(text("ticker"), text("src/metrics.rs:12:5"));
        let feed_task = tape.spawn(text("feed"), text("src/feed.rs:88:9"));
        let spinner = tape.spawn(text("spinner"), text("src/queue.rs:140:5"));
        let jobs = tape.spawn(text("jobs"), text("src/jobs.rs:19:5"));
        tape.wait(WaitFor::Task(acceptor));
        tape.pass(90 * US);
        tape.poll_end(PollResult::Pending);
        let mut echo = Self {
            tape,
            random: 0x9E37_79B9_7F4A_7C15,
            listener,
            acceptor,
            connections: Vec::new(),
            ticker: (ticker, TimerId(0)),
            metrics,
            feed: (feed_task, feed),
            spinner,
            jobs,
            pool,
            steps: 0,
            clients: 0,
            slow_poll_done: false,
        };
        echo.first_polls();
        for one_in in [1, 2, 5, 20] {
            echo.accept(one_in);
        }
        echo
    }

    fn first_polls(&mut self) {
        let (listener, feed) = (self.listener, self.feed.1);
        self.short_poll(self.acceptor, |tape| {
            tape.operate(Operation::Accept, listener, OperationResult::WouldBlock);
            tape.wait(WaitFor::Token(listener, Direction::Readable));
        });
        let mut timer = TimerId(0);
        self.short_poll(self.ticker.0, |tape| timer = tape.arm(50 * MS));
        self.ticker.1 = timer;
        self.short_poll(self.feed.0, |tape| {
            tape.operate(Operation::Read, feed, OperationResult::WouldBlock);
            tape.wait(WaitFor::Token(feed, Direction::Writable));
        });
        self.short_poll(self.spinner, |_| {});
        self.short_poll(self.jobs, |_| {});
    }

    /// A number below `bound`, in no order that shows.
    fn random(&mut self, bound: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % bound
    }

    fn short_poll(&mut self, task: TaskId, body: impl FnOnce(&mut Tape)) {
        let before = 500 + self.random(3_000);
        let within = 2 * US + self.random(12 * US);
        self.tape.pass(before);
        self.tape.poll_start(task);
        body(&mut self.tape);
        self.tape.pass(within);
        self.tape.poll_end(PollResult::Pending);
    }

    /// A turn of the loop, and the polls after it.
    fn step(&mut self) {
        self.steps += 1;
        let spinning = self.tape.now().since(START) % (800 * MS) < 120 * MS;
        let woken: Vec<Connection> = {
            let all = self.connections.clone();
            all.into_iter().filter(|connection| self.random(connection.one_in) == 0).collect()
        };
        let due = self.steps.is_multiple_of(40);
        if spinning {
            self.tape.pass(150 * US);
            self.tape.look(woken.len() as u32);
        } else {
            let ns = 600 * US + self.random(900 * US);
            self.tape.sleep(ns, woken.len() as u32);
        }
        for connection in &woken {
            self.tape.ready(connection.token, Readiness::READABLE | Readiness::WRITABLE);
        }
        if self.steps.is_multiple_of(3) {
            self.tape.ready(self.feed.1, Readiness::WRITABLE);
        }
        if due {
            let thread = 4720 + self.random(3) as u32;
            let woken = Stamp(self.tape.now().0 - 40 * US);
            self.tape.wake(self.jobs, Cause::Thread { thread, woken });
        }
        for connection in woken {
            self.echo(connection);
        }
        self.feed();
        if spinning {
            self.spin();
        }
        if due {
            self.job();
        }
        self.tick();
        if self.steps.is_multiple_of(230) {
            self.turnover();
        }
    }

    fn echo(&mut self, Connection { task, token, .. }: Connection) {
        let bytes = 64 + self.random(900) as u32;
        let slow = !self.slow_poll_done && self.steps > 700;
        self.slow_poll_done |= slow;
        let upstream = self.random(4) as usize;
        let upstream = self.pool[upstream];
        let forward = self.random(4) == 0;
        self.short_poll(task, |tape| {
            let readable = WaitFor::Token(token, Direction::Readable);
            tape.wait_end(readable, WaitOutcome::Done);
            tape.operate(Operation::Read, token, OperationResult::Done(bytes));
            tape.consume(token, Readiness::READABLE);
            tape.operate(Operation::Write, token, OperationResult::Done(bytes));
            if forward {
                tape.operate(Operation::Write, upstream, OperationResult::Done(bytes / 2));
            }
            if slow {
                tape.pass(30 * MS);
            }
            tape.operate(Operation::Read, token, OperationResult::NotReady);
            tape.wait(readable);
        });
    }

    /// Woken by writable, but it only reads.
    fn feed(&mut self) {
        let (task, token) = self.feed;
        if !self.is_queued(task) {
            return;
        }
        let data = self.random(50) == 0;
        self.short_poll(task, |tape| {
            let writable = WaitFor::Token(token, Direction::Writable);
            tape.wait_end(writable, WaitOutcome::Done);
            let result =
                if data { OperationResult::Done(1400) } else { OperationResult::WouldBlock };
            tape.operate(Operation::Read, token, result);
            tape.consume(token, Readiness::WRITABLE);
            tape.wait(writable);
        });
    }

    fn is_queued(&self, task: TaskId) -> bool {
        self.tape.is_queued(task)
    }

    /// Wakes itself in its own poll, and finds nothing to do in the next one.
    fn spin(&mut self) {
        let spinner = self.spinner;
        if !self.is_queued(spinner) {
            self.tape.wake(spinner, Cause::Task { task: self.acceptor });
        }
        self.short_poll(spinner, |tape| {
            tape.wake(spinner, Cause::SelfWake);
        });
    }

    /// Takes what a thread has sent; who sent it, and how much, is not known to the recorder.
    fn job(&mut self) {
        let more = self.random(3) == 0;
        let (jobs, spinner) = (self.jobs, self.spinner);
        if more {
            self.tape.wake(jobs, Cause::Outside);
        }
        self.short_poll(jobs, |tape| {
            if more && !tape.is_queued(spinner) {
                tape.wake(spinner, Cause::Task { task: jobs });
            }
        });
        if self.is_queued(spinner) {
            self.short_poll(spinner, |_| {});
        }
    }

    fn tick(&mut self) {
        let (task, timer) = self.ticker;
        if !self.tape.is_due(timer) {
            return;
        }
        let metrics = self.metrics;
        let mut next = timer;
        self.tape.fire(timer);
        self.short_poll(task, |tape| {
            tape.timer_done(timer);
            tape.operate(Operation::Send, metrics, OperationResult::Done(220));
            next = tape.arm(50 * MS);
        });
        self.ticker.1 = next;
    }

    /// A client leaves, and a new one comes.
    fn turnover(&mut self) {
        let index = self.random(self.connections.len() as u64) as usize;
        let Connection { task, token, one_in } = self.connections.remove(index);
        self.tape.ready(token, Readiness::READABLE | Readiness::READ_CLOSED);
        self.tape.pass(4 * US);
        self.tape.poll(task, PollResult::Ready, |tape| {
            tape.wait_end(WaitFor::Token(token, Direction::Readable), WaitOutcome::Done);
            tape.operate(Operation::Read, token, OperationResult::EndOfFile);
            tape.pass(20 * US);
            tape.release(token);
        });
        self.accept(one_in);
        let reused = self.connections.last().map(|last| last.token);
        if let Some(reused) = reused.filter(|reused| reused.generation > 2) {
            self.tape.stale(reused, Readiness::READ_CLOSED);
        }
    }

    fn accept(&mut self, one_in: u64) {
        let listener = self.listener;
        self.clients += 1;
        let (fd, peer) = (13 + i32::from(self.clients), local(50_000 + 7 * self.clients));
        self.tape.sleep(300 * US, 1);
        self.tape.ready(listener, Readiness::READABLE);
        let (mut task, mut token) = (TaskId(0), listener);
        self.short_poll(self.acceptor, |tape| {
            let readable = WaitFor::Token(listener, Direction::Readable);
            tape.wait_end(readable, WaitOutcome::Done);
            tape.operate(Operation::Accept, listener, OperationResult::Done(fd as u32));
            let source = (SourceKind::TcpStream, fd);
            let location = text("src/server.rs:44:41");
            token = tape.claim(source, location, read_write(), (local(7007), peer));
            task = tape.spawn(text("connection"), text("src/server.rs:57:17"));
            tape.operate(Operation::Accept, listener, OperationResult::WouldBlock);
            tape.consume(listener, Readiness::READABLE);
            tape.wait(readable);
        });
        self.short_poll(task, |tape| {
            tape.operate(Operation::Read, token, OperationResult::NotReady);
            tape.wait(WaitFor::Token(token, Direction::Readable));
        });
        self.connections.push(Connection { task, token, one_in });
    }
}
