//! A made-up process for tests of the screen: a gateway with a feed, sessions that come and go, and three sins.
//!
//! The same on every run. Everything is told by records from the first one on, so that every number on a screen follows
//! from what is written here.

use nexus_protocol::board::{Activity, Snapshot, Totals};
use nexus_protocol::event::{
    Address, Cause, Event, Operation, OperationResult, PollResult, Record, Side, SourceKind,
    Subject, TaskOutcome, TimerAction, TransitionReason, TurnMode, Verdict, WaitFor, WaitOutcome,
    WakeOutcome,
};
use nexus_protocol::frame::{Process, RuntimeInfo, ServerFrame, VERSION};
use nexus_protocol::readiness::{Direction, Interest, Readiness};
use nexus_protocol::{RuntimeId, Seq, Stamp, StringId, TaskId, TimerId, TokenId};

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// When the process started.
pub(crate) const STARTED: Stamp = Stamp(100 * S);

/// The runtime's id.
pub(crate) const RUNTIME: RuntimeId = RuntimeId(1);

/// The task that wakes itself.
pub(crate) const SPINNER: TaskId = TaskId(4);

/// The task that reads, and is woken by writable.
pub(crate) const SINNER: TaskId = TaskId(3);

/// The token that nobody uses any more.
pub(crate) const FORGOTTEN: TokenId = TokenId { slot: 3, generation: 1 };

const STRINGS: [&str; 11] = [
    "",
    "src/main.rs:31:17",
    "feed",
    "src/feed.rs:88:9",
    "quotes",
    "src/quotes.rs:120:21",
    "src/spin.rs:12:5",
    "heartbeat",
    "src/heartbeat.rs:9:5",
    "src/session.rs:44:30",
    "src/session/handshake.rs:203:13",
];

/// The frames of the process's first seconds.
pub(crate) fn frames(seconds: u64) -> Vec<ServerFrame> {
    let mut world = World::new();
    world.set_up();
    while world.at < STARTED.0 + seconds * S {
        world.turn();
    }
    let mut frames = hello();
    let total = world.records.len() as u64;
    for batch in world.records.chunks(4_096) {
        let next_seq = batch.last().map_or(0, |record| record.seq + 1);
        frames.push(ServerFrame::Events {
            runtime: RUNTIME,
            records: batch.to_vec(),
            next_seq,
            filtered: 0,
        });
    }
    assert_eq!(total, world.seq, "every number is used once");
    frames
}

fn hello() -> Vec<ServerFrame> {
    let info = RuntimeInfo {
        id: RUNTIME,
        name: "gateway".to_owned(),
        thread: 4711,
        started: Stamp(STARTED.0 + 2 * MS),
        ended: Stamp::NEVER,
        ring_capacity: 262_144,
        recorded: 0,
        tokens: 0,
        tasks: 0,
    };
    let process = Process {
        pid: 4711,
        start_time: 99,
        program: "gateway".to_owned(),
        command_line: "gateway --feed 10.1.7.7:9000".to_owned(),
        started: STARTED,
        wall_offset_ns: 0,
        clock: "tsc".to_owned(),
    };
    let snapshot = Snapshot {
        runtime: RUNTIME,
        taken: info.started,
        activity: Activity::Outside,
        since: info.started,
        totals: Totals { capacity: 16, ..Totals::default() },
        tokens: Vec::new(),
        tasks: Vec::new(),
    };
    vec![
        ServerFrame::Hello { version: VERSION, process, runtimes: vec![info] },
        ServerFrame::Strings {
            first: StringId(0),
            strings: STRINGS.iter().map(|&text| text.to_owned()).collect(),
        },
        ServerFrame::Snapshot(Box::new(snapshot)),
    ]
}

fn string(text: &str) -> StringId {
    StringId(STRINGS.iter().position(|&known| known == text).expect("a known string") as u32)
}

/// A connection with a task of its own.
struct Session {
    token: TokenId,
    task: TaskId,
    polls: u64,
    left: u32,
}

struct World {
    records: Vec<Record>,
    seq: Seq,
    at: u64,
    turns: u64,
    random: u64,
    live: u32,
    capacity: u32,
    growths: u32,
    free: Vec<(u32, u32)>,
    next_slot: u32,
    next_task: u64,
    next_timer: u64,
    polls: [u64; 8],
    sessions: Vec<Session>,
    next_beat: u64,
    beat: Option<(TimerId, u64)>,
}

impl World {
    fn new() -> Self {
        Self {
            records: Vec::new(),
            seq: 0,
            at: STARTED.0 + 2 * MS,
            turns: 0,
            random: 0x2545_F491_4F6C_DD1D,
            live: 0,
            capacity: 16,
            growths: 0,
            free: Vec::new(),
            next_slot: 0,
            next_task: 1,
            next_timer: 1,
            polls: [0; 8],
            sessions: Vec::new(),
            next_beat: STARTED.0 + 100 * MS,
            beat: None,
        }
    }

    /// A number below `below`, as good as random and always the same.
    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    fn record(&mut self, event: Event) -> Seq {
        let seq = self.seq;
        self.records.push(Record { seq, at: Stamp(self.at), event });
        self.seq += 1;
        seq
    }

    fn claim(&mut self, kind: SourceKind, location: &str, peer: Option<&str>) -> TokenId {
        let (slot, generation) = self.free.pop().unwrap_or_else(|| {
            self.next_slot += 1;
            (self.next_slot - 1, 0)
        });
        if slot >= self.capacity {
            self.capacity *= 2;
            self.growths += 1;
            let (capacity, live, growths) = (self.capacity, self.live, self.growths);
            self.record(Event::FreelistGrown { capacity, live, growths });
        }
        let token = TokenId { slot, generation: generation + 1 };
        self.live += 1;
        let (location, live) = (string(location), self.live);
        self.record(Event::TokenClaimed { token, kind, fd: slot as i32 + 5, location, live });
        let address = |world: &mut Self, side, text: &str| {
            let address = Address::Inet(text.parse().expect("an address"));
            world.record(Event::TokenAddress { slot, side, address });
        };
        address(self, Side::Local, "10.1.7.1:7007");
        if let Some(peer) = peer {
            address(self, Side::Peer, peer);
        }
        let (before, after) = (Interest::EMPTY, Interest::READABLE);
        self.record(Event::TokenRegistered { token, before, after, errno: 0 });
        token
    }

    fn release(&mut self, token: TokenId) {
        self.live -= 1;
        self.record(Event::TokenReleased { token, live: self.live, errno: 0 });
        self.free.push((token.slot, token.generation));
    }

    fn spawn(&mut self, location: &str, name: &str, poll: Option<Seq>) -> (TaskId, Seq) {
        let task = TaskId(self.next_task);
        self.next_task += 1;
        let (location, name) = (string(location), string(name));
        self.record(Event::TaskSpawned { task, location, name, poll });
        let wake = self.wake(task, Cause::Spawn);
        (task, wake)
    }

    fn wake(&mut self, task: TaskId, cause: Cause) -> Seq {
        self.record(Event::Wake { task, cause, outcome: WakeOutcome::Queued })
    }

    /// Reports a direction of a token as ready and wakes the task that waits for it.
    fn ready(&mut self, token: TokenId, direction: Direction, task: TaskId) -> Seq {
        let bit = match direction {
            Direction::Readable => Readiness::READABLE,
            Direction::Writable => Readiness::WRITABLE,
        };
        let event = self.record(Event::Transition {
            token,
            before: Readiness::EMPTY,
            after: bit,
            reason: TransitionReason::Event,
            wakers: 1,
        });
        // The sinner is woken by a direction that it does not wait for.
        if task != SINNER {
            let (task, outcome) = (Some(task), WaitOutcome::Done);
            self.record(Event::WaitEnd { task, target: WaitFor::Token(token, direction), outcome });
        }
        self.wake(task, Cause::Io { token, direction, event: Some(event) })
    }

    /// Polls a task; `body` says what it does and how that is judged.
    fn poll(
        &mut self,
        task: TaskId,
        number: u64,
        wake: Seq,
        length_ns: u64,
        body: impl FnOnce(&mut Self, Seq) -> (PollResult, Verdict),
    ) {
        self.at += 400;
        let poll = self.record(Event::PollStart { task, number, wake: Some(wake) });
        let (started, before) = (Stamp(self.at), self.records.len());
        let (result, verdict) = body(self, poll);
        self.at += length_ns;
        let of_poll = |record: &Record, only_progress: bool| match record.event {
            Event::Operation { result, .. } => !only_progress || result.is_progress(),
            _ => false,
        };
        let made = &self.records[before..];
        let operations = made.iter().filter(|record| of_poll(record, false)).count() as u16;
        let progress = made.iter().filter(|record| of_poll(record, true)).count() as u16;
        self.record(Event::PollEnd { task, started, result, verdict, operations, progress });
    }

    fn operate(
        &mut self,
        task: TaskId,
        poll: Seq,
        operation: Operation,
        subject: Subject,
        result: OperationResult,
    ) {
        let (task, poll) = (Some(task), Some(poll));
        self.record(Event::Operation { operation, subject, result, task, poll });
    }

    fn wait(&mut self, task: TaskId, target: WaitFor) {
        self.record(Event::WaitBegin { task: Some(task), target });
    }

    /// Reads once with success and once in vain, then waits again.
    fn read(&mut self, task: TaskId, poll: Seq, token: TokenId, bytes: u32) {
        let subject = Subject::Token(token);
        self.operate(task, poll, Operation::Read, subject, OperationResult::Done(bytes));
        self.operate(task, poll, Operation::Read, subject, OperationResult::WouldBlock);
        self.record(Event::Transition {
            token,
            before: Readiness::READABLE,
            after: Readiness::EMPTY,
            reason: TransitionReason::Consumed,
            wakers: 0,
        });
        self.wait(task, WaitFor::Token(token, Direction::Readable));
    }

    /// The listener, the feed, the sinner, the spinner, the heartbeat, and a token that is soon forgotten.
    fn set_up(&mut self) {
        let (root, wake) = self.spawn("src/main.rs:31:17", "", None);
        self.poll(root, 1, wake, 90 * US, |world, poll| {
            let listener = world.claim(SourceKind::TcpListener, "src/main.rs:31:17", None);
            for (location, name) in [
                ("src/feed.rs:88:9", "feed"),
                ("src/quotes.rs:120:21", "quotes"),
                ("src/spin.rs:12:5", ""),
                ("src/heartbeat.rs:9:5", "heartbeat"),
            ] {
                world.spawn(location, name, Some(poll));
            }
            world.wait(root, WaitFor::Token(listener, Direction::Readable));
            (PollResult::Pending, Verdict::Progress)
        });
        let first = |world: &Self, task: u64| {
            let of_task = |record: &&Record| matches!(record.event, Event::Wake { task: woken, .. } if woken.0 == task);
            world.records.iter().find(of_task).expect("it was spawned").seq
        };
        for (task, place) in [(2, "src/feed.rs:88:9"), (3, "src/quotes.rs:120:21")] {
            let wake = first(self, task);
            let peer = if task == 2 { "10.1.7.7:9000" } else { "10.1.7.8:9100" };
            self.poll(TaskId(task), 1, wake, 30 * US, |world, _| {
                let token = world.claim(SourceKind::TcpStream, place, Some(peer));
                world.wait(TaskId(task), WaitFor::Token(token, Direction::Readable));
                (PollResult::Pending, Verdict::Progress)
            });
        }
        let wake = first(self, SPINNER.0);
        self.poll(SPINNER, 1, wake, 2 * US, |_, _| (PollResult::Pending, Verdict::Progress));
        let wake = first(self, 5);
        self.poll(TaskId(5), 1, wake, 2 * US, |world, poll| {
            world.arm(poll);
            let place = "src/session/handshake.rs:203:13";
            world.claim(SourceKind::TcpStream, place, Some("192.168.20.14:51877"));
            (PollResult::Pending, Verdict::Progress)
        });
        self.polls = [1; 8];
    }

    fn arm(&mut self, poll: Seq) {
        let timer = TimerId(self.next_timer);
        self.next_timer += 1;
        let (action, deadline_ns) = (TimerAction::Armed, self.next_beat);
        self.record(Event::Timer { timer, action, deadline_ns, poll: Some(poll) });
        self.wait(TaskId(5), WaitFor::Timer(timer));
        self.beat = Some((timer, deadline_ns));
    }

    fn count(&mut self, task: TaskId) -> u64 {
        self.polls[task.0 as usize] += 1;
        self.polls[task.0 as usize]
    }

    /// One turn: some sleep, then whatever comes.
    fn turn(&mut self) {
        let parked = Stamp(self.at);
        self.at += 600 * US + self.random(3_600) * US;
        self.turns += 1;
        let mode = if self.random(4) == 0 { TurnMode::Look } else { TurnMode::Park };
        self.record(Event::Turn { number: self.turns, events: 2, mode, parked });
        self.feed();
        match self.random(8) {
            0 => self.sin(),
            1 => self.spin(),
            2 if self.random(6) == 0 => self.accept(),
            _ => self.serve(),
        }
        self.beat_if_due();
    }

    fn feed(&mut self) {
        let (task, token) = (TaskId(2), TokenId { slot: 1, generation: 1 });
        let wake = self.ready(token, Direction::Readable, task);
        let number = self.count(task);
        let length = 8 * US + self.random(20) * US;
        let bytes = 200 + self.random(1_000) as u32;
        self.poll(task, number, wake, length, |world, poll| {
            world.read(task, poll, token, bytes);
            (PollResult::Pending, Verdict::Progress)
        });
    }

    /// A reader woken by writable: nothing to read, nothing achieved.
    fn sin(&mut self) {
        let (task, token) = (SINNER, TokenId { slot: 2, generation: 1 });
        let wake = self.ready(token, Direction::Writable, task);
        let number = self.count(task);
        self.poll(task, number, wake, 6 * US, |world, poll| {
            let subject = Subject::Token(token);
            world.operate(task, poll, Operation::Read, subject, OperationResult::WouldBlock);
            (PollResult::Pending, Verdict::Spurious)
        });
    }

    /// A task that wakes itself three times.
    fn spin(&mut self) {
        let mut wake = self.wake(SPINNER, Cause::Thread { thread: 4720, woken: Stamp(self.at) });
        for round in 0..4 {
            let number = self.count(SPINNER);
            let mut next = wake;
            self.poll(SPINNER, number, wake, 12 * US, |world, _| {
                if round < 3 {
                    next = world.wake(SPINNER, Cause::SelfWake);
                }
                let verdict = match round {
                    0 => Verdict::Unattributed,
                    1 => Verdict::Excused,
                    _ => Verdict::Spurious,
                };
                (PollResult::Pending, verdict)
            });
            wake = next;
        }
    }

    fn accept(&mut self) {
        let (root, listener) = (TaskId(1), TokenId { slot: 0, generation: 1 });
        let wake = self.ready(listener, Direction::Readable, root);
        let number = self.count(root);
        let port = 50_000 + self.random(9_999);
        let mut spawned = None;
        self.poll(root, number, wake, 25 * US, |world, poll| {
            let subject = Subject::Token(listener);
            let peer = format!("192.168.20.{}:{port}", 10 + port % 7);
            let token = world.claim(SourceKind::TcpStream, "src/session.rs:44:30", Some(&peer));
            let fd = OperationResult::Done(token.slot + 5);
            world.operate(root, poll, Operation::Accept, subject, fd);
            let (task, wake) = world.spawn("src/session.rs:44:30", "", Some(poll));
            spawned = Some((token, task, wake));
            world.wait(root, WaitFor::Token(listener, Direction::Readable));
            (PollResult::Pending, Verdict::Progress)
        });
        let (token, task, wake) = spawned.expect("the poll has run");
        let left = 10 + self.random(90) as u32;
        self.poll(task, 1, wake, 9 * US, |world, _| {
            world.wait(task, WaitFor::Token(token, Direction::Readable));
            (PollResult::Pending, Verdict::Progress)
        });
        self.sessions.push(Session { token, task, polls: 1, left });
    }

    /// A session answers a request, or ends.
    fn serve(&mut self) {
        if self.sessions.is_empty() {
            return;
        }
        let at = self.random(self.sessions.len() as u64) as usize;
        let Session { token, task, .. } = self.sessions[at];
        self.sessions[at].polls += 1;
        let number = self.sessions[at].polls;
        let wake = self.ready(token, Direction::Readable, task);
        let length = 15 * US + self.random(60) * US;
        if self.sessions[at].left == 0 {
            self.sessions.remove(at);
            self.poll(task, number, wake, 10 * US, |world, poll| {
                let subject = Subject::Token(token);
                world.operate(task, poll, Operation::Read, subject, OperationResult::EndOfFile);
                world.release(token);
                (PollResult::Ready, Verdict::Progress)
            });
            self.record(Event::TaskFinished { task, outcome: TaskOutcome::Completed });
            return;
        }
        self.sessions[at].left -= 1;
        self.poll(task, number, wake, length, |world, poll| {
            let subject = Subject::Token(token);
            world.operate(task, poll, Operation::Write, subject, OperationResult::Done(512));
            world.read(task, poll, token, 128);
            (PollResult::Pending, Verdict::Progress)
        });
    }

    fn beat_if_due(&mut self) {
        let Some((timer, deadline_ns)) = self.beat.filter(|&(_, due)| self.at >= due) else {
            return;
        };
        let task = TaskId(5);
        let action = TimerAction::Fired;
        let fired = self.record(Event::Timer { timer, action, deadline_ns, poll: None });
        let (target, outcome) = (WaitFor::Timer(timer), WaitOutcome::Done);
        self.record(Event::WaitEnd { task: Some(task), target, outcome });
        let wake = self.wake(task, Cause::Timer { timer, fired: Some(fired) });
        let number = self.count(task);
        self.next_beat += 100 * MS;
        self.poll(task, number, wake, 1_800 * US, |world, poll| {
            let done = OperationResult::Done(0);
            world.operate(task, poll, Operation::Timer, Subject::Timer(timer), done);
            world.arm(poll);
            (PollResult::Pending, Verdict::Progress)
        });
    }
}
