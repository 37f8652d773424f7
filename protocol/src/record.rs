//! An event as four words: what the ring holds.
//!
//! | word | bits | content |
//! | --- | --- | --- |
//! | 0 | 0–7 | kind |
//! | 0 | 8–15, 16–23, 24–31 | three small codes, `a`, `b`, `c` |
//! | 0 | 32–63 | a 32-bit number, `d` |
//! | 1 | | stamp |
//! | 2, 3 | | two 64-bit numbers, `x` and `y` |
//!
//! What `a`, `b`, `c`, `d`, `x` and `y` mean for each kind stands in SPEC.md, section "Records". Links to other records
//! are written as distances backwards, zero for none, so that they fit in 32 (or 16) bits.
//!
//! Deliberately knows no reader and no writer: the ring stores whatever four words it is given.

use crate::clock::ClockMap;
use crate::event::{
    Address, Cause, Cycle, Event, Level, Operation, OperationResult, PollResult, Record,
    RefusalReason, Side, SourceKind, Subject, TaskOutcome, TimerAction, TransitionReason, TurnMode,
    Verdict, WaitFor, WaitOutcome, WakeOutcome, WokenBy, kind,
};
use crate::fragment::Fragment;
use crate::ids::{PrimitiveId, Seq, SpanId, Stamp, StringId, TaskId, TimerId, TokenId};
use crate::readiness::{Direction, Interest, Readiness};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The words of one record.
pub type Words = [u64; 4];

/// Bytes of one record in the ring.
pub const RECORD_BYTES: usize = size_of::<Words>();

const TASK_BITS: u32 = 48;
const TASK_MASK: u64 = (1 << TASK_BITS) - 1;

/// The code of [`Cause::Primitive`].
const CAUSE_PRIMITIVE: u8 = 11;

/// Codes of [`WokenBy`], in records and frames.
pub(crate) const BY_OUTSIDE: u8 = 0;
/// See [`BY_OUTSIDE`].
pub(crate) const BY_TASK: u8 = 1;
/// See [`BY_OUTSIDE`].
pub(crate) const BY_THREAD: u8 = 2;

/// The age of a primitive's wake by another thread is told in units of so many bits of ticks.
const AGE_SHIFT: u32 = 8;

const FAMILY_V4: u8 = 1;
const FAMILY_V6: u8 = 2;
const FAMILY_UNIX: u8 = 3;

/// Bits of the lengths in [`Event::Repeats`], in ticks, and of its count.
const SHORT_BITS: u32 = 24;
/// The longest length in [`Event::Repeats`], in ticks, and the greatest count.
pub const SHORT_MAX: u64 = (1 << SHORT_BITS) - 1;
/// The largest age of [`Event::Repeats`], in ticks; older ones are made that young.
pub const AGE_MAX: u64 = (1 << (u64::BITS - SHORT_BITS)) - 1;

/// A length of at most [`SHORT_MAX`] with twelve significant bits; the four above say by how much they are shifted.
#[derive(Clone, Copy)]
struct Rough(u16);

impl Rough {
    const BITS: u32 = 12;

    fn of(length: u64) -> Self {
        let length = length.min(SHORT_MAX);
        let shift = (u64::BITS - length.leading_zeros()).saturating_sub(Self::BITS);
        Self((length >> shift) as u16 | (shift as u16) << Self::BITS)
    }

    fn length(self) -> u64 {
        u64::from(self.0 & ((1 << Self::BITS) - 1)) << (self.0 >> Self::BITS)
    }
}

impl Record {
    /// The record's words, as the ring holds them. `at` and the stamps inside the event are in ticks of the recorder's
    /// clock.
    ///
    /// Always inlined, with all it calls: the caller has just made the event, and only the few instructions for its kind
    /// are left.
    #[inline(always)]
    #[must_use]
    pub fn to_words(&self) -> Words {
        let packed = pack(self.seq, self.at, &self.event);
        [packed.head, self.at.0, packed.x, packed.y]
    }

    /// Reads a record back, with its stamps mapped by `clock`. A kind or a code that this version does not know gives
    /// [`Event::Unknown`].
    #[must_use]
    pub fn from_words(seq: Seq, words: Words, clock: &ClockMap) -> Self {
        let [head, at, x, y] = words;
        let fields = Fields {
            seq,
            at: Stamp(at),
            a: (head >> 8) as u8,
            b: (head >> 16) as u8,
            c: (head >> 24) as u8,
            d: (head >> 32) as u32,
            x,
            y,
        };
        let kind = head as u8;
        let event = unpack(kind, &fields, clock).unwrap_or(Event::Unknown { kind });
        Self { seq, at: clock.map(Stamp(at)), event }
    }
}

struct Packed {
    head: u64,
    x: u64,
    y: u64,
}

struct Fields {
    seq: Seq,
    at: Stamp,
    a: u8,
    b: u8,
    c: u8,
    d: u32,
    x: u64,
    y: u64,
}

#[inline]
const fn head(kind: u8, a: u8, b: u8, c: u8, d: u32) -> u64 {
    kind as u64 | (a as u64) << 8 | (b as u64) << 16 | (c as u64) << 24 | (d as u64) << 32
}

/// How far `target` lies before `seq`; zero if it does not, or too far.
#[inline]
fn distance(seq: Seq, target: Option<Seq>) -> u32 {
    target.and_then(|target| u32::try_from(seq.wrapping_sub(target)).ok()).unwrap_or(0)
}

#[inline]
fn link(seq: Seq, distance: u32) -> Option<Seq> {
    if distance == 0 { None } else { seq.checked_sub(u64::from(distance)) }
}

#[inline]
fn pair(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

#[inline]
fn halves(word: u64) -> (u32, u32) {
    (word as u32, (word >> 32) as u32)
}

#[inline(always)]
fn pack(seq: Seq, at: Stamp, event: &Event) -> Packed {
    let packed = |head, x, y| Packed { head, x, y };
    match *event {
        Event::Turn { number, events, mode, parked } => {
            packed(head(kind::TURN, mode.code(), 0, 0, events), number, parked.0)
        }
        Event::TokenClaimed { token, kind: source, fd, location, live } => packed(
            head(kind::TOKEN_CLAIMED, source.code(), 0, 0, fd as u32),
            token.pack(),
            pair(location.0, live),
        ),
        Event::TokenRegistered { token, before, after, errno } => packed(
            head(kind::TOKEN_REGISTERED, before.bits(), after.bits(), 0, errno),
            token.pack(),
            0,
        ),
        Event::TokenAddress { slot, side, address } => pack_address(slot, side, address),
        Event::TokenReleased { token, live, errno } => {
            packed(head(kind::TOKEN_RELEASED, 0, 0, 0, live), token.pack(), u64::from(errno))
        }
        Event::ReleaseRefused { token, reason } => {
            packed(head(kind::RELEASE_REFUSED, reason.code(), 0, 0, 0), token.pack(), 0)
        }
        Event::Transition { token, before, after, reason, wakers } => packed(
            head(kind::TRANSITION, before.bits(), after.bits(), reason.code(), wakers),
            token.pack(),
            0,
        ),
        Event::StaleEvent { token, current, readiness } => {
            packed(head(kind::STALE_EVENT, readiness.bits(), 0, 0, current), token.pack(), 0)
        }
        Event::TaskSpawned { task, location, name, poll } => packed(
            head(kind::TASK_SPAWNED, 0, 0, 0, distance(seq, poll)),
            task.0,
            pair(location.0, name.0),
        ),
        Event::TaskFinished { task, outcome } => {
            packed(head(kind::TASK_FINISHED, outcome.code(), 0, 0, 0), task.0, 0)
        }
        Event::Wake { task, cause, outcome } => pack_wake(seq, at, task, cause, outcome),
        Event::PollStart { task, number, wake } => {
            packed(head(kind::POLL_START, 0, 0, 0, distance(seq, wake)), task.0, number)
        }
        Event::PollEnd { task, started, result, verdict, operations, progress } => packed(
            head(
                kind::POLL_END,
                result.code(),
                verdict.code(),
                0,
                u32::from(operations) | u32::from(progress) << 16,
            ),
            task.0,
            started.0,
        ),
        Event::Operation { operation, subject, result, task, poll } => {
            let (subject_kind, id) = subject_words(subject);
            let (result_code, value) = result_words(result);
            let back = u16::try_from(distance(seq, poll)).unwrap_or(0);
            packed(
                head(kind::OPERATION, operation.code(), result_code, subject_kind, value),
                id,
                (TaskId::word(task) & TASK_MASK) | u64::from(back) << TASK_BITS,
            )
        }
        Event::WaitBegin { task, target } => {
            let (target_kind, direction, id) = wait_words(target);
            packed(head(kind::WAIT_BEGIN, target_kind, direction, 0, 0), TaskId::word(task), id)
        }
        Event::WaitEnd { task, target, outcome } => {
            let (target_kind, direction, id) = wait_words(target);
            packed(
                head(kind::WAIT_END, target_kind, direction, outcome.code(), 0),
                TaskId::word(task),
                id,
            )
        }
        Event::Timer { timer, action, deadline_ns, poll } => packed(
            head(kind::TIMER, action.code(), 0, 0, distance(seq, poll)),
            timer.0,
            deadline_ns,
        ),
        Event::FreelistGrown { capacity, live, growths } => {
            packed(head(kind::FREELIST_GROWN, 0, 0, 0, growths), pair(capacity, live), 0)
        }
        Event::Repeats { task, cycle, count, first, busy, shortest, longest } => {
            let [low, middle, high, ..] = longest.min(SHORT_MAX).to_le_bytes();
            let count = u64::from(count).min(SHORT_MAX) as u32;
            packed(
                head(kind::REPEATS, cycle.code(), low, middle, count | u32::from(high) << 24),
                task.0 & TASK_MASK | u64::from(Rough::of(shortest).0) << TASK_BITS,
                busy.min(SHORT_MAX) | at.since(first).min(AGE_MAX) << SHORT_BITS,
            )
        }
        Event::SpanEntered { span, name, target, location, level, texts, task, poll } => {
            let [low, high] = short(location).to_le_bytes();
            packed(
                head(
                    kind::SPAN_ENTERED,
                    level.code() | texts << 4,
                    low,
                    high,
                    shorts(name, target),
                ),
                span.0 & TASK_MASK,
                task_and_poll(seq, task, poll),
            )
        }
        Event::SpanExited { span, name, entered, task, poll } => {
            let age = at.since(entered).min(TASK_MASK);
            let [low, high] = ((age >> 32) as u16).to_le_bytes();
            packed(
                head(kind::SPAN_EXITED, 0, low, high, age as u32),
                span.0 & TASK_MASK | u64::from(short(name)) << TASK_BITS,
                task_and_poll(seq, task, poll),
            )
        }
        Event::Log { level, message, target, location, span, texts, task, poll } => {
            let [low, high] = short(location).to_le_bytes();
            packed(
                head(kind::LOG, level.code() | texts << 4, low, high, shorts(message, target)),
                SpanId::word(span) & TASK_MASK,
                task_and_poll(seq, task, poll),
            )
        }
        Event::Text { text } => pack_text(text),
        Event::Unknown { kind } => packed(head(kind, 0, 0, 0, 0), 0, 0),
    }
}

/// A string's number in 16 bits: the table has no more entries than that.
#[inline]
fn short(string: StringId) -> u16 {
    const { assert!(crate::limits::MAX_STRINGS == 1 << 16) };
    u16::try_from(string.0).unwrap_or(u16::MAX)
}

#[inline]
fn shorts(low: StringId, high: StringId) -> u32 {
    u32::from(short(low)) | u32::from(short(high)) << 16
}

/// The task of a record, and how far back the poll is.
#[inline]
fn task_and_poll(seq: Seq, task: Option<TaskId>, poll: Option<Seq>) -> u64 {
    let back = u16::try_from(distance(seq, poll)).unwrap_or(0);
    (TaskId::word(task) & TASK_MASK) | u64::from(back) << TASK_BITS
}

/// The text's first six bytes stand in the head, behind its length.
fn pack_text(text: Fragment) -> Packed {
    let (length, bytes) = text.parts();
    let (first, rest) = bytes.split_at(6);
    let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| rest[at + byte]));
    let [b, c, d @ ..] = std::array::from_fn::<u8, 6, _>(|byte| first[byte]);
    Packed { head: head(kind::TEXT, length, b, c, u32::from_le_bytes(d)), x: word(0), y: word(8) }
}

fn unpack_text(fields: &Fields) -> Option<Fragment> {
    let mut bytes = [0; Fragment::MAX];
    bytes[..2].copy_from_slice(&[fields.b, fields.c]);
    bytes[2..6].copy_from_slice(&fields.d.to_le_bytes());
    bytes[6..14].copy_from_slice(&fields.x.to_le_bytes());
    bytes[14..].copy_from_slice(&fields.y.to_le_bytes());
    Fragment::from_bytes(bytes.get(..usize::from(fields.a))?)
}

fn pack_address(slot: u32, side: Side, address: Address) -> Packed {
    let (family, port, x, y) = address_words(address);
    let [low, high] = port.to_le_bytes();
    Packed { head: head(kind::TOKEN_ADDRESS, side.code() | family << 4, low, high, slot), x, y }
}

/// Family, port and sixteen bytes of an address, as records and board rows hold them.
pub(crate) fn address_words(address: Address) -> (u8, u16, u64, u64) {
    match address {
        Address::Inet(SocketAddr::V4(v4)) => {
            (FAMILY_V4, v4.port(), u64::from(v4.ip().to_bits()), 0)
        }
        Address::Inet(SocketAddr::V6(v6)) => {
            let bits = v6.ip().to_bits();
            (FAMILY_V6, v6.port(), (bits >> 64) as u64, bits as u64)
        }
        Address::Unix(path) => (FAMILY_UNIX, 0, u64::from(path.0), 0),
    }
}

/// The inverse of [`address_words`]; `None` for family zero, no address, and for families not known here.
pub(crate) fn address_from_words(family: u8, port: u16, x: u64, y: u64) -> Option<Address> {
    let ip = match family {
        FAMILY_V4 => IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(x).ok()?)),
        FAMILY_V6 => IpAddr::V6(Ipv6Addr::from_bits(u128::from(x) << 64 | u128::from(y))),
        FAMILY_UNIX => return Some(Address::Unix(StringId(u32::try_from(x).ok()?))),
        _ => return None,
    };
    Some(Address::Inet(SocketAddr::new(ip, port)))
}

#[inline(always)]
fn pack_wake(seq: Seq, at: Stamp, task: TaskId, cause: Cause, outcome: WakeOutcome) -> Packed {
    let (direction, d, y) = match cause {
        Cause::Io { token, direction, event } => {
            (direction as u8, distance(seq, event), token.pack())
        }
        Cause::Timer { timer, fired } => (0, distance(seq, fired), timer.0),
        Cause::Join { task } | Cause::Task { task } => (0, 0, task.0),
        Cause::Thread { thread, woken } => (0, thread, woken.0),
        Cause::SelfWake | Cause::Yield | Cause::Spawn | Cause::Outside | Cause::Shutdown => {
            (0, 0, 0)
        }
        Cause::Primitive { primitive, by } => {
            return pack_primitive_wake(at, task, primitive, by, outcome);
        }
    };
    Packed { head: head(kind::WAKE, cause.code(), outcome.code(), direction, d), x: task.0, y }
}

/// Two ids of 48 bits, a thread and a time have to share what is left of a record: the 16 bits above each id, and `d`.
#[inline]
fn pack_primitive_wake(
    at: Stamp,
    task: TaskId,
    primitive: PrimitiveId,
    by: WokenBy,
    outcome: WakeOutcome,
) -> Packed {
    let (code, d, above_task, above_primitive) = match by {
        WokenBy::Outside => (BY_OUTSIDE, 0, 0, 0),
        WokenBy::Task(by) => (BY_TASK, (by.0 >> 16) as u32, 0, by.0 & 0xFFFF),
        WokenBy::Thread { thread, woken } => {
            let age = (at.since(woken) >> AGE_SHIFT).min(u64::from(u32::MAX));
            (BY_THREAD, thread, age >> 16, age & 0xFFFF)
        }
    };
    Packed {
        head: head(kind::WAKE, CAUSE_PRIMITIVE, outcome.code(), code, d),
        x: task.0 & TASK_MASK | above_task << TASK_BITS,
        y: primitive.0 & TASK_MASK | above_primitive << TASK_BITS,
    }
}

fn unpack_primitive_wake(fields: &Fields, clock: &ClockMap) -> Option<Cause> {
    let (above_task, above_primitive) = (fields.x >> TASK_BITS, fields.y >> TASK_BITS);
    let by = match fields.c {
        BY_OUTSIDE => WokenBy::Outside,
        BY_TASK => WokenBy::Task(TaskId(u64::from(fields.d) << 16 | above_primitive)),
        BY_THREAD => {
            let age = (above_task << 16 | above_primitive) << AGE_SHIFT;
            let woken = Stamp(fields.at.0.wrapping_sub(age));
            WokenBy::Thread { thread: fields.d, woken: clock.map(woken) }
        }
        _ => return None,
    };
    Some(Cause::Primitive { primitive: PrimitiveId(fields.y & TASK_MASK), by })
}

fn unpack_cause(fields: &Fields, clock: &ClockMap) -> Option<Cause> {
    Some(match fields.a {
        1 => Cause::Io {
            token: TokenId::unpack(fields.y),
            direction: Direction::from_code(fields.c)?,
            event: link(fields.seq, fields.d),
        },
        2 => Cause::Timer { timer: TimerId(fields.y), fired: link(fields.seq, fields.d) },
        3 => Cause::Join { task: TaskId(fields.y) },
        4 => Cause::Task { task: TaskId(fields.y) },
        5 => Cause::SelfWake,
        6 => Cause::Yield,
        7 => Cause::Spawn,
        8 => Cause::Thread { thread: fields.d, woken: clock.map(Stamp(fields.y)) },
        9 => Cause::Outside,
        10 => Cause::Shutdown,
        CAUSE_PRIMITIVE => return unpack_primitive_wake(fields, clock),
        _ => return None,
    })
}

#[inline]
fn subject_words(subject: Subject) -> (u8, u64) {
    match subject {
        Subject::Token(token) => (1, token.pack()),
        Subject::Timer(timer) => (2, timer.0),
        Subject::Task(task) => (3, task.0),
        Subject::Primitive(primitive) => (4, primitive.0),
    }
}

fn unpack_subject(code: u8, id: u64) -> Option<Subject> {
    Some(match code {
        1 => Subject::Token(TokenId::unpack(id)),
        2 => Subject::Timer(TimerId(id)),
        3 => Subject::Task(TaskId(id)),
        4 => Subject::Primitive(PrimitiveId(id)),
        _ => return None,
    })
}

/// Kind, direction and id of what is waited for, as records and board rows hold them.
#[inline]
pub(crate) fn wait_words(target: WaitFor) -> (u8, u8, u64) {
    match target {
        WaitFor::Token(token, direction) => (1, direction as u8, token.pack()),
        WaitFor::Timer(timer) => (2, 0, timer.0),
        WaitFor::Task(task) => (3, 0, task.0),
        WaitFor::Primitive(primitive) => (4, 0, primitive.0),
    }
}

/// The inverse of [`wait_words`].
pub(crate) fn wait_from_words(code: u8, direction: u8, id: u64) -> Option<WaitFor> {
    Some(match code {
        1 => WaitFor::Token(TokenId::unpack(id), Direction::from_code(direction)?),
        2 => WaitFor::Timer(TimerId(id)),
        3 => WaitFor::Task(TaskId(id)),
        4 => WaitFor::Primitive(PrimitiveId(id)),
        _ => return None,
    })
}

#[inline]
/// Code and value of an operation's result, as records and frames hold them.
pub(crate) fn result_words(result: OperationResult) -> (u8, u32) {
    match result {
        OperationResult::Done(value) => (1, value),
        OperationResult::EndOfFile => (2, 0),
        OperationResult::Error(errno) => (3, errno),
        OperationResult::WouldBlock => (4, 0),
        OperationResult::NotReady => (5, 0),
    }
}

/// The inverse of [`result_words`].
pub(crate) fn result_from_words(code: u8, value: u32) -> Option<OperationResult> {
    Some(match code {
        1 => OperationResult::Done(value),
        2 => OperationResult::EndOfFile,
        3 => OperationResult::Error(value),
        4 => OperationResult::WouldBlock,
        5 => OperationResult::NotReady,
        _ => return None,
    })
}

fn unpack(code: u8, fields: &Fields, clock: &ClockMap) -> Option<Event> {
    let &Fields { seq, a, b, c, d, x, y, .. } = fields;
    let token = TokenId::unpack(x);
    Some(match code {
        kind::TURN => Event::Turn {
            number: x,
            events: d,
            mode: TurnMode::from_code(a)?,
            parked: clock.map(Stamp(y)),
        },
        kind::TOKEN_CLAIMED => {
            let (location, live) = halves(y);
            Event::TokenClaimed {
                token,
                kind: SourceKind::from_code(a).unwrap_or(SourceKind::Other),
                fd: d as i32,
                location: StringId(location),
                live,
            }
        }
        kind::TOKEN_REGISTERED => Event::TokenRegistered {
            token,
            before: Interest::from_bits(a),
            after: Interest::from_bits(b),
            errno: d,
        },
        kind::TOKEN_ADDRESS => Event::TokenAddress {
            slot: d,
            side: Side::from_code(a & 0xF)?,
            address: address_from_words(a >> 4, u16::from_le_bytes([b, c]), x, y)?,
        },
        kind::TOKEN_RELEASED => {
            Event::TokenReleased { token, live: d, errno: u32::try_from(y).ok()? }
        }
        kind::RELEASE_REFUSED => {
            Event::ReleaseRefused { token, reason: RefusalReason::from_code(a)? }
        }
        kind::TRANSITION => Event::Transition {
            token,
            before: Readiness::from_bits(a),
            after: Readiness::from_bits(b),
            reason: TransitionReason::from_code(c)?,
            wakers: d,
        },
        kind::STALE_EVENT => {
            Event::StaleEvent { token, current: d, readiness: Readiness::from_bits(a) }
        }
        kind::TASK_SPAWNED => {
            let (location, name) = halves(y);
            Event::TaskSpawned {
                task: TaskId(x),
                location: StringId(location),
                name: StringId(name),
                poll: link(seq, d),
            }
        }
        kind::TASK_FINISHED => {
            Event::TaskFinished { task: TaskId(x), outcome: TaskOutcome::from_code(a)? }
        }
        kind::WAKE => Event::Wake {
            task: TaskId(if a == CAUSE_PRIMITIVE { x & TASK_MASK } else { x }),
            cause: unpack_cause(fields, clock)?,
            outcome: WakeOutcome::from_code(b)?,
        },
        kind::POLL_START => Event::PollStart { task: TaskId(x), number: y, wake: link(seq, d) },
        kind::POLL_END => Event::PollEnd {
            task: TaskId(x),
            started: clock.map(Stamp(y)),
            result: PollResult::from_code(a)?,
            verdict: Verdict::from_code(b)?,
            operations: d as u16,
            progress: (d >> 16) as u16,
        },
        kind::OPERATION => Event::Operation {
            operation: Operation::from_code(a)?,
            subject: unpack_subject(c, x)?,
            result: result_from_words(b, d)?,
            task: TaskId::from_word(y & TASK_MASK),
            poll: link(seq, (y >> TASK_BITS) as u32),
        },
        kind::WAIT_BEGIN => {
            Event::WaitBegin { task: TaskId::from_word(x), target: wait_from_words(a, b, y)? }
        }
        kind::WAIT_END => Event::WaitEnd {
            task: TaskId::from_word(x),
            target: wait_from_words(a, b, y)?,
            outcome: WaitOutcome::from_code(c)?,
        },
        kind::TIMER => Event::Timer {
            timer: TimerId(x),
            action: TimerAction::from_code(a)?,
            deadline_ns: y,
            poll: link(seq, d),
        },
        kind::FREELIST_GROWN => {
            let (capacity, live) = halves(x);
            Event::FreelistGrown { capacity, live, growths: d }
        }
        kind::REPEATS => {
            let (longest_low, longest_high) = (u64::from(b) | u64::from(c) << 8, d >> 24);
            Event::Repeats {
                task: TaskId(x & TASK_MASK),
                cycle: Cycle::from_code(a)?,
                count: d & SHORT_MAX as u32,
                first: clock.map(Stamp(fields.at.0.saturating_sub(y >> SHORT_BITS))),
                busy: clock.map_length(y & SHORT_MAX),
                shortest: clock.map_length(Rough((x >> TASK_BITS) as u16).length()),
                longest: clock.map_length(longest_low | u64::from(longest_high) << 16),
            }
        }
        kind::SPAN_ENTERED => Event::SpanEntered {
            span: SpanId(x & TASK_MASK),
            name: StringId(d & 0xFFFF),
            target: StringId(d >> 16),
            location: StringId(u16::from_le_bytes([b, c]).into()),
            level: Level::from_code(a & 0xF)?,
            texts: a >> 4,
            task: TaskId::from_word(y & TASK_MASK),
            poll: link(seq, (y >> TASK_BITS) as u32),
        },
        kind::SPAN_EXITED => {
            let age = u64::from(d) | u64::from(u16::from_le_bytes([b, c])) << 32;
            Event::SpanExited {
                span: SpanId(x & TASK_MASK),
                name: StringId((x >> TASK_BITS) as u32),
                entered: clock.map(Stamp(fields.at.0.saturating_sub(age))),
                task: TaskId::from_word(y & TASK_MASK),
                poll: link(seq, (y >> TASK_BITS) as u32),
            }
        }
        kind::LOG => Event::Log {
            level: Level::from_code(a & 0xF)?,
            message: StringId(d & 0xFFFF),
            target: StringId(d >> 16),
            location: StringId(u16::from_le_bytes([b, c]).into()),
            span: SpanId::from_word(x & TASK_MASK),
            texts: a >> 4,
            task: TaskId::from_word(y & TASK_MASK),
            poll: link(seq, (y >> TASK_BITS) as u32),
        },
        kind::TEXT => Event::Text { text: unpack_text(fields)? },
        _ => return None,
    })
}
