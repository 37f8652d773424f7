//! Arbitrary records, rows and frames, within what the types' documentation allows.

use nexus_protocol::board::{
    Activity, Snapshot, TaskCounters, TaskRow, TaskState, TokenCounters, TokenRow, Totals,
    total_word,
};
use nexus_protocol::event::{
    Address, Cause, Cycle, Level, Operation, OperationResult, PollResult, RefusalReason, Side,
    SourceKind, Subject, TaskOutcome, TimerAction, TransitionReason, TurnMode, Verdict, WaitFor,
    WaitOutcome, WakeOutcome, WokenBy,
};
use nexus_protocol::fragment::Fragment;
use nexus_protocol::frame::{
    ClientFrame, Goodbye, KindFilter, Process, RuntimeInfo, ServerFrame, Subscribe,
};
use nexus_protocol::{
    Direction, Event, Interest, PrimitiveId, Readiness, Record, RuntimeId, Seq, SpanId, Stamp,
    StringId, TaskId, TimerId, TokenId,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Numbers of strings that events and rows refer to: what a test's string table has to hold.
pub(crate) const STRINGS: u32 = 12;

/// Small numbers often, all numbers sometimes: codecs break at the edges.
pub(crate) fn number() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![3 => 0..200_u64, 2 => 0..1_u64 << 40, 1 => any::<u64>()]
}

/// A length of repeats, in ticks.
fn short() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![3 => 0..1_u64 << 12, 1 => 0..1_u64 << 24]
}

fn small() -> impl Strategy<Value = u32> + Clone {
    prop_oneof![3 => 0..200_u32, 1 => any::<u32>()]
}

pub(crate) fn stamp() -> impl Strategy<Value = Stamp> + Clone {
    prop_oneof![1 => Just(0), 6 => 1..1_u64 << 50, 1 => any::<u64>()].prop_map(Stamp)
}

fn task() -> impl Strategy<Value = TaskId> + Clone {
    prop_oneof![4 => 1..300_u64, 1 => 1..=TaskId::MAX.0].prop_map(TaskId)
}

fn timer() -> impl Strategy<Value = TimerId> + Clone {
    prop_oneof![4 => 1..300_u64, 1 => 1..u64::MAX].prop_map(TimerId)
}

fn primitive() -> impl Strategy<Value = PrimitiveId> + Clone {
    prop_oneof![4 => 1..300_u64, 1 => 1..=PrimitiveId::MAX.0].prop_map(PrimitiveId)
}

pub(crate) fn token() -> impl Strategy<Value = TokenId> + Clone {
    (small(), small()).prop_map(|(slot, generation)| TokenId { slot, generation })
}

fn string_id() -> impl Strategy<Value = StringId> + Clone {
    (0..STRINGS).prop_map(StringId)
}

fn direction() -> impl Strategy<Value = Direction> + Clone {
    select(&Direction::BOTH[..])
}

fn readiness() -> impl Strategy<Value = Readiness> + Clone {
    any::<u8>().prop_map(Readiness::from_bits)
}

fn interest() -> impl Strategy<Value = Interest> + Clone {
    any::<u8>().prop_map(Interest::from_bits)
}

pub(crate) fn address() -> impl Strategy<Value = Address> + Clone {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>()).prop_map(|address| Address::Inet(address.into())),
        (any::<[u8; 16]>(), any::<u16>()).prop_map(|address| Address::Inet(address.into())),
        string_id().prop_map(Address::Unix),
    ]
}

/// A link, as a distance; [`record`] turns it into a number.
fn distance() -> impl Strategy<Value = Option<Seq>> + Clone {
    option::of(prop_oneof![4 => 1..40_u64, 1 => 1..=65_535_u64])
}

fn cause() -> BoxedStrategy<Cause> {
    prop_oneof![
        (token(), direction(), distance()).prop_map(|(token, direction, event)| Cause::Io {
            token,
            direction,
            event
        }),
        (timer(), distance()).prop_map(|(timer, fired)| Cause::Timer { timer, fired }),
        task().prop_map(|task| Cause::Join { task }),
        task().prop_map(|task| Cause::Task { task }),
        Just(Cause::SelfWake),
        Just(Cause::Yield),
        Just(Cause::Spawn),
        (small(), stamp()).prop_map(|(thread, woken)| Cause::Thread { thread, woken }),
        Just(Cause::Outside),
        Just(Cause::Shutdown),
        (primitive(), woken_by()).prop_map(|(primitive, by)| Cause::Primitive { primitive, by }),
    ]
    .boxed()
}

/// Who used a primitive; the stamp as an age, as coarse as the ring tells it, which [`linked`] turns into one.
fn woken_by() -> impl Strategy<Value = WokenBy> + Clone {
    let age = prop_oneof![3 => 0..2000_u64, 1 => 0..=u64::from(u32::MAX)];
    prop_oneof![
        Just(WokenBy::Outside),
        task().prop_map(WokenBy::Task),
        (small(), age).prop_map(|(thread, age)| WokenBy::Thread { thread, woken: Stamp(age << 8) }),
    ]
}

fn subject() -> impl Strategy<Value = Subject> + Clone {
    prop_oneof![
        token().prop_map(Subject::Token),
        timer().prop_map(Subject::Timer),
        task().prop_map(Subject::Task),
        primitive().prop_map(Subject::Primitive),
    ]
}

fn target() -> impl Strategy<Value = WaitFor> + Clone {
    prop_oneof![
        (token(), direction()).prop_map(|(token, direction)| WaitFor::Token(token, direction)),
        timer().prop_map(WaitFor::Timer),
        task().prop_map(WaitFor::Task),
        primitive().prop_map(WaitFor::Primitive),
    ]
}

fn result() -> impl Strategy<Value = OperationResult> + Clone {
    prop_oneof![
        small().prop_map(OperationResult::Done),
        Just(OperationResult::EndOfFile),
        small().prop_map(OperationResult::Error),
        Just(OperationResult::WouldBlock),
        Just(OperationResult::NotReady),
    ]
}

/// Any event of a known kind, with its links as distances.
fn event() -> BoxedStrategy<Event> {
    prop_oneof![token_event(), task_event(), other_event()].boxed()
}

fn token_event() -> BoxedStrategy<Event> {
    prop_oneof![
        (token(), select(SourceKind::ALL), any::<i32>(), string_id(), small()).prop_map(
            |(token, kind, fd, location, live)| {
                Event::TokenClaimed { token, kind, fd, location, live }
            }
        ),
        (token(), interest(), interest(), small()).prop_map(|(token, before, after, errno)| {
            Event::TokenRegistered { token, before, after, errno }
        }),
        (small(), select(Side::ALL), address())
            .prop_map(|(slot, side, address)| Event::TokenAddress { slot, side, address }),
        (token(), small(), small()).prop_map(|(token, live, errno)| Event::TokenReleased {
            token,
            live,
            errno
        }),
        (token(), select(RefusalReason::ALL))
            .prop_map(|(token, reason)| Event::ReleaseRefused { token, reason }),
        (token(), readiness(), readiness(), select(TransitionReason::ALL), small()).prop_map(
            |(token, before, after, reason, wakers)| {
                Event::Transition { token, before, after, reason, wakers }
            }
        ),
        (token(), small(), readiness()).prop_map(|(token, current, readiness)| {
            Event::StaleEvent { token, current, readiness }
        }),
    ]
    .boxed()
}

fn task_event() -> BoxedStrategy<Event> {
    prop_oneof![
        (task(), string_id(), string_id(), distance()).prop_map(|(task, location, name, poll)| {
            Event::TaskSpawned { task, location, name, poll }
        }),
        (task(), select(TaskOutcome::ALL))
            .prop_map(|(task, outcome)| Event::TaskFinished { task, outcome }),
        (task(), cause(), select(WakeOutcome::ALL))
            .prop_map(|(task, cause, outcome)| Event::Wake { task, cause, outcome }),
        (task(), number(), distance()).prop_map(|(task, number, wake)| Event::PollStart {
            task,
            number,
            wake
        }),
        (
            task(),
            stamp(),
            select(PollResult::ALL),
            select(Verdict::ALL),
            any::<u16>(),
            any::<u16>()
        )
            .prop_map(|(task, started, result, verdict, operations, progress)| {
                Event::PollEnd { task, started, result, verdict, operations, progress }
            }),
        (select(Operation::ALL), subject(), result(), option::of(task()), distance()).prop_map(
            |(operation, subject, result, task, poll)| {
                Event::Operation { operation, subject, result, task, poll }
            }
        ),
        (task(), select(Cycle::ALL), 0_u32..1 << 24, stamp(), short(), short(), short()).prop_map(
            |(task, cycle, count, first, busy, shortest, longest)| Event::Repeats {
                task,
                cycle,
                count,
                first,
                busy,
                // Twelve significant bits are kept.
                shortest: if shortest < 1 << 12 { shortest } else { shortest >> 12 << 12 },
                longest,
            }
        ),
        (option::of(task()), target()).prop_map(|(task, target)| Event::WaitBegin { task, target }),
        (option::of(task()), target(), select(WaitOutcome::ALL))
            .prop_map(|(task, target, outcome)| Event::WaitEnd { task, target, outcome }),
    ]
    .boxed()
}

fn span() -> impl Strategy<Value = SpanId> + Clone {
    prop_oneof![4 => 1..300_u64, 1 => 1..=SpanId::MAX.0].prop_map(SpanId)
}

/// What the application's own spans and events leave. The stamp of an entry is an age, as in [`linked`].
fn of_the_application() -> BoxedStrategy<Event> {
    let place = (select(Level::ALL), string_id(), string_id(), string_id(), 0..16_u8);
    let poll = (option::of(task()), distance());
    let age = prop_oneof![3 => 0..2000_u64, 1 => 0..1_u64 << 48];
    prop_oneof![
        (span(), place.clone(), poll.clone()).prop_map(
            |(span, (level, name, target, location, texts), (task, poll))| {
                Event::SpanEntered { span, name, target, location, level, texts, task, poll }
            }
        ),
        (span(), string_id(), age, poll.clone()).prop_map(|(span, name, age, (task, poll))| {
            Event::SpanExited { span, name, entered: Stamp(age), task, poll }
        }),
        (option::of(span()), place, poll).prop_map(
            |(span, (level, message, target, location, texts), (task, poll))| {
                Event::Log { level, message, target, location, span, texts, task, poll }
            }
        ),
        ".{0,22}".prop_map(|text| Event::Text { text: Fragment::split(&text).0 }),
    ]
    .boxed()
}

fn other_event() -> BoxedStrategy<Event> {
    prop_oneof![
        of_the_application(),
        (number(), small(), select(TurnMode::ALL), stamp()).prop_map(
            |(number, events, mode, parked)| Event::Turn { number, events, mode, parked }
        ),
        (timer(), select(TimerAction::ALL), number(), distance()).prop_map(
            |(timer, action, deadline_ns, poll)| Event::Timer { timer, action, deadline_ns, poll }
        ),
        (small(), small(), small()).prop_map(|(capacity, live, growths)| {
            Event::FreelistGrown { capacity, live, growths }
        }),
    ]
    .boxed()
}

/// The same event with its links as numbers and its age as a stamp, for the record with this number and stamp.
fn linked(event: Event, seq: Seq, at: Stamp) -> Event {
    let link = |distance: Option<Seq>| distance.and_then(|distance| seq.checked_sub(distance));
    match event {
        Event::TaskSpawned { task, location, name, poll } => {
            Event::TaskSpawned { task, location, name, poll: link(poll) }
        }
        Event::Wake { task, cause: Cause::Io { token, direction, event }, outcome } => {
            let cause = Cause::Io { token, direction, event: link(event) };
            Event::Wake { task, cause, outcome }
        }
        Event::Wake { task, cause: Cause::Timer { timer, fired }, outcome } => {
            Event::Wake { task, cause: Cause::Timer { timer, fired: link(fired) }, outcome }
        }
        Event::Wake {
            task,
            cause: Cause::Primitive { primitive, by: WokenBy::Thread { thread, woken: age } },
            outcome,
        } => {
            let woken = Stamp(at.0.saturating_sub(age.0));
            let woken = if woken.is_never() { at } else { woken };
            let by = WokenBy::Thread { thread, woken };
            Event::Wake { task, cause: Cause::Primitive { primitive, by }, outcome }
        }
        Event::PollStart { task, number, wake } => {
            Event::PollStart { task, number, wake: link(wake) }
        }
        Event::Operation { operation, subject, result, task, poll } => {
            Event::Operation { operation, subject, result, task, poll: link(poll) }
        }
        Event::Timer { timer, action, deadline_ns, poll } => {
            Event::Timer { timer, action, deadline_ns, poll: link(poll) }
        }
        Event::Repeats { task, cycle, count, first: age, busy, shortest, longest } => {
            let first = Stamp(at.0.saturating_sub(age.0 % (1 << 40)));
            Event::Repeats { task, cycle, count, first, busy, shortest, longest }
        }
        Event::SpanEntered { span, name, target, location, level, texts, task, poll } => {
            let poll = link(poll);
            Event::SpanEntered { span, name, target, location, level, texts, task, poll }
        }
        Event::SpanExited { span, name, entered: age, task, poll } => {
            let entered = Stamp(at.0.saturating_sub(age.0));
            Event::SpanExited { span, name, entered, task, poll: link(poll) }
        }
        Event::Log { level, message, target, location, span, texts, task, poll } => {
            let poll = link(poll);
            Event::Log { level, message, target, location, span, texts, task, poll }
        }
        other => other,
    }
}

/// A record of a known kind.
pub(crate) fn record() -> BoxedStrategy<Record> {
    (0..1_u64 << 60, stamp(), event())
        .prop_map(|(seq, at, event)| Record { seq, at, event: linked(event, seq, at) })
        .boxed()
}

/// A batch whose records carry the numbers from `first` up, with gaps of what was filtered out.
fn batch_from(first: Seq) -> BoxedStrategy<ServerFrame> {
    let any_event = prop_oneof![
        20 => event(),
        1 => any::<u8>().prop_map(|kind| Event::Unknown { kind }),
    ];
    let gap = prop_oneof![4 => Just(0_u64), 1 => 0..1000_u64];
    (1..4_u32, vec((gap.clone(), stamp(), any_event), 0..30), gap)
        .prop_map(move |(runtime, items, last_gap)| {
            let (mut seq, mut filtered) = (first, last_gap);
            let records = items.into_iter().map(|(gap, at, event)| {
                seq += gap;
                filtered += gap;
                let record = Record { seq, at, event: linked(event, seq, at) };
                seq += 1;
                record
            });
            let records = records.collect();
            let runtime = RuntimeId(runtime);
            ServerFrame::Events { runtime, records, next_seq: seq + last_gap, filtered }
        })
        .boxed()
}

pub(crate) fn token_row() -> BoxedStrategy<TokenRow> {
    let counters = any::<[u64; 10]>().prop_map(
        |[
            events,
            wakes,
            spurious,
            stale,
            operations,
            would_block,
            not_ready,
            errors,
            bytes_in,
            bytes_out,
        ]| TokenCounters {
            events,
            wakes,
            spurious,
            stale,
            operations,
            would_block,
            not_ready,
            errors,
            bytes_in,
            bytes_out,
        },
    );
    let what = (number(), token(), select(SourceKind::ALL), any::<i32>(), interest(), readiness());
    let who = (option::of(task()), string_id(), stamp(), stamp(), stamp());
    let ends = (option::of(address()), option::of(address()), small(), small());
    (what, who, ends, counters, any::<bool>())
        .prop_map(|(what, who, ends, counters, changing)| {
            let (next_seq, token, kind, fd, interest, readiness) = what;
            let (owner, location, claimed, last_active, read_closed) = who;
            let (local, peer, waiters_readable, waiters_writable) = ends;
            TokenRow {
                next_seq,
                token,
                kind,
                fd,
                interest,
                readiness,
                owner,
                location,
                claimed,
                last_active,
                read_closed,
                local,
                peer,
                waiters_readable,
                waiters_writable,
                counters,
                changing,
            }
        })
        .boxed()
}

pub(crate) fn task_row() -> BoxedStrategy<TaskRow> {
    let counters = any::<[u64; 12]>().prop_map(
        |[
            polls,
            wakes,
            redundant,
            self_wakes,
            spurious,
            unattributed,
            operations,
            progress,
            busy,
            wasted,
            longest,
            waited,
        ]| TaskCounters {
            polls,
            wakes,
            redundant,
            self_wakes,
            spurious,
            unattributed,
            operations,
            progress,
            busy,
            wasted,
            longest,
            waited,
        },
    );
    let states = [TaskState::Idle, TaskState::Queued, TaskState::Polling, TaskState::Finished];
    let what = (number(), task(), select(states.to_vec()), option::of(select(TaskOutcome::ALL)));
    let whence = (string_id(), string_id(), stamp(), stamp());
    let waits = (any::<u8>(), option::of(target()), small());
    (what, whence, waits, counters, any::<bool>())
        .prop_map(|(what, whence, waits, counters, changing)| {
            let (next_seq, task, state, outcome) = what;
            let (location, name, spawned, since) = whence;
            let (last_wake_cause, waiting_for, waits) = waits;
            TaskRow {
                next_seq,
                task,
                state,
                outcome,
                location,
                name,
                spawned,
                since,
                last_wake_cause,
                waiting_for,
                waits,
                counters,
                changing,
            }
        })
        .boxed()
}

fn snapshot() -> BoxedStrategy<Snapshot> {
    let activity = prop_oneof![
        Just(Activity::Outside),
        Just(Activity::Turning),
        Just(Activity::Parked),
        task().prop_map(Activity::Polling),
    ];
    let totals = any::<[u64; total_word::COUNT]>().prop_map(|words| Totals::from_words(&words));
    let head = (1..4_u32, stamp(), activity, stamp(), totals);
    (head, vec(token_row(), 0..6), vec(task_row(), 0..6))
        .prop_map(|(head, tokens, tasks)| {
            let (runtime, taken, activity, since, totals) = head;
            Snapshot { runtime: RuntimeId(runtime), taken, activity, since, totals, tokens, tasks }
        })
        .boxed()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z/.:0-9]{0,40}", "\\PC{0,20}", any::<String>()]
}

pub(crate) fn process() -> BoxedStrategy<Process> {
    let numbers = (any::<u32>(), number(), stamp(), any::<i64>());
    (numbers, text(), text(), text())
        .prop_map(|(numbers, program, command_line, clock)| {
            let (pid, start_time, started, wall_offset_ns) = numbers;
            Process { pid, start_time, program, command_line, started, wall_offset_ns, clock }
        })
        .boxed()
}

fn runtime_info() -> BoxedStrategy<RuntimeInfo> {
    let numbers = (number(), number(), number(), number());
    (1..100_u32, text(), small(), stamp(), stamp(), numbers)
        .prop_map(|(id, name, thread, started, ended, (ring_capacity, recorded, tokens, tasks))| {
            let id = RuntimeId(id);
            RuntimeInfo { id, name, thread, started, ended, ring_capacity, recorded, tokens, tasks }
        })
        .boxed()
}

pub(crate) fn hello() -> BoxedStrategy<ServerFrame> {
    (any::<u16>(), process(), vec(runtime_info(), 0..4))
        .prop_map(|(version, process, runtimes)| ServerFrame::Hello { version, process, runtimes })
        .boxed()
}

/// The string table that events and rows of the other strategies refer to.
pub(crate) fn strings() -> BoxedStrategy<ServerFrame> {
    vec(text(), STRINGS as usize)
        .prop_map(|strings| ServerFrame::Strings { first: StringId(1), strings })
        .boxed()
}

fn goodbye() -> impl Strategy<Value = Goodbye> {
    prop_oneof![
        Just(Goodbye::Finished),
        Just(Goodbye::ProcessEnding),
        text().prop_map(Goodbye::ProtocolError),
        Just(Goodbye::Busy),
        any::<u16>().prop_map(|server| Goodbye::Version { server }),
    ]
}

/// Any frame that may follow the hello.
pub(crate) fn later_frame() -> BoxedStrategy<ServerFrame> {
    prop_oneof![
        2 => runtime_info().prop_map(ServerFrame::Runtime),
        3 => snapshot().prop_map(|snapshot| ServerFrame::Snapshot(Box::new(snapshot))),
        6 => (0..1_u64 << 60).prop_flat_map(batch_from),
        2 => (1..4_u32, 0..1_u64 << 60, number()).prop_map(|(runtime, from, count)| {
            let (runtime, to) = (RuntimeId(runtime), from.saturating_add(count));
            ServerFrame::Loss { runtime, from, to }
        }),
        1 => any::<u64>().prop_map(|kinds| ServerFrame::Filter(KindFilter(kinds))),
        1 => goodbye().prop_map(ServerFrame::Goodbye),
    ]
    .boxed()
}

/// Any frame of a server.
pub(crate) fn server_frame() -> BoxedStrategy<ServerFrame> {
    prop_oneof![1 => hello(), 1 => strings(), 6 => later_frame()].boxed()
}

/// Any frame of a client.
pub(crate) fn client_frame() -> impl Strategy<Value = ClientFrame> {
    prop_oneof![
        any::<u16>().prop_map(|version| ClientFrame::Hello { version }),
        (any::<bool>(), any::<u64>(), any::<u32>()).prop_map(
            |(history, kinds, snapshot_every_ms)| {
                let kinds = KindFilter(kinds);
                ClientFrame::Subscribe(Subscribe { history, kinds, snapshot_every_ms })
            }
        ),
        Just(ClientFrame::Finish),
        Just(ClientFrame::Pause),
        Just(ClientFrame::Resume),
    ]
}
