//! A short conversation with every kind of frame and of event in it: the golden files hold its bytes.

use nexus_protocol::board::{
    Activity, Snapshot, TaskCounters, TaskRow, TaskState, TokenCounters, TokenRow, Totals,
};
use nexus_protocol::event::{
    Address, Cause, Cycle, Level, Operation, OperationResult, PollResult, RefusalReason, Side,
    SourceKind, Subject, TaskOutcome, TimerAction, TransitionReason, TurnMode, Verdict, WaitFor,
    WaitOutcome, WakeOutcome, WokenBy, kind,
};
use nexus_protocol::fragment::Fragment;
use nexus_protocol::frame::{
    ClientFrame, Goodbye, KindFilter, Process, RuntimeInfo, ServerFrame, Subscribe,
};
use nexus_protocol::{
    Direction, Event, Interest, PrimitiveId, Readiness, Record, RuntimeId, SpanId, Stamp, StringId,
    TaskId, TimerId, TokenId,
};
use std::net::SocketAddr;

const RUNTIME: RuntimeId = RuntimeId(1);
const LISTENER: TokenId = TokenId { slot: 0, generation: 1 };
const STREAM: TokenId = TokenId { slot: 7, generation: 3 };
const MAIN: TaskId = TaskId(1);
const CONNECTION: TaskId = TaskId(2);
const TIMER: TimerId = TimerId(40);
const CHANNEL: PrimitiveId = PrimitiveId(12);
const SPAN: SpanId = SpanId(3);

/// What the client says.
pub(crate) fn client() -> Vec<ClientFrame> {
    let kinds = KindFilter::ALL;
    vec![
        ClientFrame::Hello { version: 1 },
        ClientFrame::Subscribe(Subscribe { history: true, kinds, snapshot_every_ms: 250 }),
        ClientFrame::Pause,
        ClientFrame::Resume,
        ClientFrame::Finish,
    ]
}

/// What the server says.
pub(crate) fn server() -> Vec<ServerFrame> {
    let strings = ["src/main.rs:20:9", "connection", "/run/app.sock"].map(String::from).to_vec();
    vec![
        ServerFrame::Hello { version: 1, process: process(), runtimes: vec![runtime()] },
        ServerFrame::Runtime(RuntimeInfo { ended: Stamp(1_234_590_000_000), ..runtime() }),
        ServerFrame::Strings { first: StringId(1), strings },
        ServerFrame::Snapshot(Box::new(snapshot())),
        ServerFrame::Loss { runtime: RUNTIME, from: 0, to: 1000 },
        events(),
        ServerFrame::Events { runtime: RUNTIME, records: vec![], next_seq: 1056, filtered: 3 },
        ServerFrame::Filter(KindFilter::of([kind::WAKE, kind::POLL_END, 200])),
        ServerFrame::Goodbye(Goodbye::Finished),
    ]
}

/// The other ways to say goodbye.
pub(crate) fn goodbyes() -> Vec<ServerFrame> {
    [
        Goodbye::ProcessEnding,
        Goodbye::ProtocolError("a second hello".into()),
        Goodbye::Busy,
        Goodbye::Version { server: 1 },
    ]
    .map(ServerFrame::Goodbye)
    .to_vec()
}

fn process() -> Process {
    Process {
        pid: 4711,
        start_time: 123_456,
        program: "echo".into(),
        command_line: "echo 127.0.0.1:7007".into(),
        started: Stamp(1_234_560_000_000),
        wall_offset_ns: 1_700_000_000_000_000_000,
        clock: "tsc".into(),
    }
}

fn runtime() -> RuntimeInfo {
    RuntimeInfo {
        id: RUNTIME,
        name: "gateway".into(),
        thread: 4711,
        started: Stamp(1_234_570_000_000),
        ended: Stamp::NEVER,
        ring_capacity: 131_072,
        recorded: 1030,
        tokens: 2,
        tasks: 2,
    }
}

fn inet(text: &str) -> Address {
    Address::Inet(text.parse::<SocketAddr>().expect("an address"))
}

fn snapshot() -> Snapshot {
    let listener = TokenRow {
        next_seq: 1004,
        token: LISTENER,
        kind: SourceKind::TcpListener,
        fd: 5,
        interest: Interest::READABLE,
        readiness: Readiness::EMPTY,
        owner: Some(MAIN),
        location: StringId(1),
        claimed: Stamp(1_234_570_100_000),
        last_active: Stamp::NEVER,
        read_closed: Stamp::NEVER,
        local: Some(inet("[::1]:7007")),
        peer: None,
        waiters_readable: 1,
        waiters_writable: 0,
        counters: TokenCounters::default(),
        changing: false,
    };
    let stream = TokenRow {
        next_seq: 1029,
        token: STREAM,
        kind: SourceKind::TcpStream,
        fd: 9,
        interest: Interest::READABLE | Interest::WRITABLE,
        readiness: Readiness::WRITABLE | Readiness::READ_CLOSED,
        owner: Some(CONNECTION),
        last_active: Stamp(1_234_580_000_500),
        read_closed: Stamp(1_234_580_000_500),
        local: Some(inet("127.0.0.1:7007")),
        peer: Some(Address::Unix(StringId(3))),
        counters: TokenCounters {
            events: 12,
            wakes: 11,
            spurious: 1,
            stale: 2,
            operations: 30,
            would_block: 10,
            not_ready: 3,
            errors: 0,
            bytes_in: 4096,
            bytes_out: 4095,
        },
        changing: true,
        ..listener
    };
    let main = TaskRow {
        next_seq: 1001,
        task: MAIN,
        state: TaskState::Idle,
        outcome: None,
        location: StringId(1),
        name: StringId::EMPTY,
        spawned: Stamp(1_234_570_000_001),
        since: Stamp(1_234_570_100_100),
        last_wake_cause: Cause::Spawn.code(),
        waiting_for: Some(WaitFor::Token(LISTENER, Direction::Readable)),
        waits: 1,
        counters: TaskCounters { polls: 1, wakes: 1, ..TaskCounters::default() },
        changing: false,
    };
    let connection = TaskRow {
        next_seq: 1030,
        task: CONNECTION,
        state: TaskState::Finished,
        outcome: Some(TaskOutcome::Completed),
        name: StringId(2),
        last_wake_cause: 1,
        waiting_for: None,
        waits: 0,
        counters: TaskCounters {
            polls: 12,
            wakes: 12,
            redundant: 1,
            self_wakes: 2,
            spurious: 1,
            unattributed: 3,
            operations: 30,
            progress: 17,
            busy: 250_000,
            wasted: 900,
            longest: 70_000,
            waited: 12_345,
        },
        ..main
    };
    Snapshot {
        runtime: RUNTIME,
        taken: Stamp(1_234_580_001_000),
        activity: Activity::Polling(MAIN),
        since: Stamp(1_234_580_000_990),
        totals: Totals {
            recorded: 1030,
            turns: 17,
            events: 12,
            polls: 13,
            capacity: 16,
            live: 2,
            high_water: 3,
            busy: 251_000,
            parked: 9_000_000,
            ..Totals::default()
        },
        tokens: vec![listener, stream],
        tasks: vec![main, connection],
    }
}

/// One event of each kind and then some, in an order that a runtime could have recorded, beginning with record 1000.
fn events() -> ServerFrame {
    let (both, none) = (Interest::READABLE | Interest::WRITABLE, Interest::EMPTY);
    let readable = Readiness::READABLE;
    let operation = |operation, result| Event::Operation {
        operation,
        subject: Subject::Token(STREAM),
        result,
        task: Some(CONNECTION),
        poll: Some(1012),
    };
    let wake = |task, cause, outcome| Event::Wake { task, cause, outcome };
    let io = Cause::Io { token: STREAM, direction: Direction::Readable, event: Some(1010) };
    let timed_out = Cause::Timer { timer: TIMER, fired: Some(1025) };
    let thread = Cause::Thread { thread: 4712, woken: Stamp(1_234_580_000_650) };
    let by = WokenBy::Thread { thread: 4712, woken: Stamp(1_234_580_001_244) };
    let by_thread = Cause::Primitive { primitive: CHANNEL, by };
    let target = WaitFor::Token(STREAM, Direction::Readable);
    let task = Some(CONNECTION);
    #[rustfmt::skip]
    let list = [
        (0, Event::FreelistGrown { capacity: 16, live: 1, growths: 1 }),
        (0, Event::TokenClaimed { token: STREAM, kind: SourceKind::TcpStream, fd: 9, location: StringId(1), live: 2 }),
        (0, Event::TokenAddress { slot: 7, side: Side::Local, address: inet("127.0.0.1:7007") }),
        (0, Event::TokenAddress { slot: 7, side: Side::Peer, address: inet("[2001:db8::2]:50123") }),
        (0, Event::TokenAddress { slot: 7, side: Side::Peer, address: Address::Unix(StringId(3)) }),
        (0, Event::TokenRegistered { token: STREAM, before: none, after: both, errno: 0 }),
        (0, Event::TaskSpawned { task: CONNECTION, location: StringId(1), name: StringId(2), poll: Some(998) }),
        (0, wake(CONNECTION, Cause::Spawn, WakeOutcome::Queued)),
        (0, Event::Timer { timer: TIMER, action: TimerAction::Armed, deadline_ns: 1_234_580_000_700, poll: Some(998) }),
        (400, Event::Turn { number: 17, events: 1, mode: TurnMode::Park, parked: Stamp(1_234_580_000_100) }),
        (0, Event::Transition { token: STREAM, before: Readiness::EMPTY, after: readable, reason: TransitionReason::Event, wakers: 1 }),
        (0, wake(CONNECTION, io, WakeOutcome::Redundant)),
        (100, Event::PollStart { task: CONNECTION, number: 2, wake: Some(1007) }),
        (0, operation(Operation::Read, OperationResult::Done(4096))),
        (0, operation(Operation::Write, OperationResult::Done(4095))),
        (0, operation(Operation::Read, OperationResult::WouldBlock)),
        (0, Event::Transition { token: STREAM, before: readable, after: Readiness::EMPTY, reason: TransitionReason::Consumed, wakers: 0 }),
        (0, operation(Operation::Read, OperationResult::NotReady)),
        (0, Event::WaitBegin { task, target }),
        (50, wake(CONNECTION, Cause::SelfWake, WakeOutcome::Queued)),
        (0, wake(MAIN, Cause::Task { task: CONNECTION }, WakeOutcome::Queued)),
        (0, Event::PollEnd { task: CONNECTION, started: Stamp(1_234_580_000_500), result: PollResult::Pending, verdict: Verdict::Progress, operations: 4, progress: 2 }),
        (100, wake(MAIN, thread, WakeOutcome::Redundant)),
        (0, Event::StaleEvent { token: TokenId { generation: 2, ..STREAM }, current: 3, readiness: Readiness::WRITE_CLOSED | Readiness::ERROR }),
        (100, Event::Turn { number: 18, events: 0, mode: TurnMode::Look, parked: Stamp(1_234_580_000_740) }),
        (0, Event::Timer { timer: TIMER, action: TimerAction::Fired, deadline_ns: 1_234_580_000_700, poll: None }),
        (0, wake(CONNECTION, timed_out, WakeOutcome::Dead)),
        (0, Event::WaitEnd { task, target, outcome: WaitOutcome::Dropped }),
        (0, Event::TokenReleased { token: STREAM, live: 1, errno: 0 }),
        // What a filter left out lies here.
        (0, Event::ReleaseRefused { token: STREAM, reason: RefusalReason::Stale }),
        (0, Event::TaskFinished { task: CONNECTION, outcome: TaskOutcome::Completed }),
        (0, Event::Unknown { kind: 200 }),
        (100, Event::Operation { operation: Operation::Receive, subject: Subject::Primitive(CHANNEL), result: OperationResult::Done(3), task: Some(MAIN), poll: None }),
        (0, Event::Operation { operation: Operation::Notified, subject: Subject::Primitive(PrimitiveId(13)), result: OperationResult::NotReady, task: Some(MAIN), poll: Some(1030) }),
        (0, Event::WaitBegin { task: Some(MAIN), target: WaitFor::Primitive(CHANNEL) }),
        (600, wake(MAIN, Cause::Primitive { primitive: CHANNEL, by: WokenBy::Task(CONNECTION) }, WakeOutcome::Queued)),
        (0, Event::WaitEnd { task: Some(MAIN), target: WaitFor::Primitive(CHANNEL), outcome: WaitOutcome::Done }),
        (0, wake(MAIN, by_thread, WakeOutcome::Redundant)),
        (0, wake(MAIN, Cause::Primitive { primitive: CHANNEL, by: WokenBy::Outside }, WakeOutcome::Redundant)),
        (5_000_000, Event::Repeats { task: MAIN, cycle: Cycle::SelfWake, count: 204_011, first: Stamp(1_234_580_001_700), busy: 4_900_321, shortest: 19, longest: 1_230 }),
        (100, Event::PollStart { task: MAIN, number: 204_013, wake: Some(1044) }),
        (20, Event::SpanEntered { span: SPAN, name: StringId(2), target: StringId(1), location: StringId(1), level: Level::Info, texts: 1, task: Some(MAIN), poll: Some(1045) }),
        (0, Event::Text { text: Fragment::split("order=7").0 }),
        (30, Event::Log { level: Level::Warn, message: StringId(2), target: StringId(1), location: StringId(1), span: Some(SPAN), texts: 2, task: Some(MAIN), poll: Some(1045) }),
        (0, Event::Text { text: Fragment::split("reason=\"straße\" late=t").0 }),
        (0, Event::Text { text: Fragment::split("rue").0 }),
        (40, Event::SpanExited { span: SPAN, name: StringId(2), entered: Stamp(1_234_585_001_570), task: Some(MAIN), poll: Some(1045) }),
        (0, Event::Log { level: Level::Trace, message: StringId::EMPTY, target: StringId(1), location: StringId(1), span: None, texts: 0, task: None, poll: None }),
    ];
    let mut at = 1_234_580_000_000;
    let mut records = Vec::new();
    for (index, (later, event)) in list.into_iter().enumerate() {
        at += later;
        let filtered = if index < 29 { 0 } else { 5 };
        records.push(Record { seq: 1000 + index as u64 + filtered, at: Stamp(at), event });
    }
    ServerFrame::Events { runtime: RUNTIME, records, next_seq: 1053, filtered: 5 }
}
