//! Batches of records to bytes: a header, then for each record a tag and its fields, told relative to what the records
//! before let a reader expect ([`Context`]). What is as expected is zero, and zeros at the end are left out.

use super::chunk::Chunk;
use super::{frame_kind, framed};
use crate::context::{
    ACTION_ARMED, ACTION_FIRED, Context, LENGTH_FOLLOWS, OPERATION_ELSEWHERE, TAG_CLOCK, TAG_GAP,
    TAG_LENGTH_SHIFT, TAG_OTHER, WAIT_ELSEWHERE, is_stamped,
};
use crate::event::{
    Address, Cause, Event, OperationResult, Record, Side, Subject, TimerAction, WaitFor,
    WakeOutcome, WokenBy,
};
use crate::ids::{PrimitiveId, RuntimeId, Seq, SpanId, TaskId, TimerId, TokenId};
use crate::limits;
use crate::record::{BY_OUTSIDE, BY_TASK, BY_THREAD, result_words};
use crate::varint::{put, zigzag};
use std::net::SocketAddr;
use std::ops::Range;

/// Appends as many frames as the records need.
pub(super) fn batches(
    runtime: RuntimeId,
    records: &[Record],
    next_seq: Seq,
    filtered: u64,
    out: &mut Vec<u8>,
) {
    let accounted = records.len() as u64 + filtered;
    debug_assert!(accounted <= next_seq, "a batch accounts for numbers from zero up");
    let mut first = next_seq.saturating_sub(accounted);
    let mut rest = records;
    while rest.len() > limits::MAX_BATCH {
        let (now, later) = rest.split_at(limits::MAX_BATCH);
        let next = later[0].seq;
        batch(runtime, now.iter().copied(), now.len(), first..next, out);
        first = next;
        rest = later;
    }
    batch(runtime, rest.iter().copied(), rest.len(), first..next_seq, out);
}

/// Appends one frame that accounts for these numbers, with so many records.
#[inline]
pub(super) fn batch(
    runtime: RuntimeId,
    records: impl Iterator<Item = Record>,
    count: usize,
    numbers: Range<Seq>,
    out: &mut Vec<u8>,
) {
    framed(out, frame_kind::SERVER_EVENTS, |out| {
        put(out, u64::from(runtime.0));
        put(out, numbers.start);
        put(out, numbers.end.saturating_sub(numbers.start));
        put(out, count as u64);
        let (mut context, mut chunk) = (Context::new(), Chunk::new());
        let mut expected = numbers.start;
        let mut told = 0;
        for record in records {
            debug_assert!(expected <= record.seq && record.seq < numbers.end);
            chunk.make_room(out);
            if record.seq != expected {
                chunk.byte(TAG_GAP);
                chunk.number(record.seq.wrapping_sub(expected));
            }
            append(&record, &mut context, &mut chunk);
            expected = record.seq.wrapping_add(1);
            told += 1;
        }
        assert_eq!(told, count, "the number of records is told before them");
        chunk.pass_on(out);
    });
}

/// Appends one record: the tag with the kind and the length of what follows, then that.
#[inline]
fn append(record: &Record, context: &mut Context, out: &mut Chunk) {
    let kind = record.event.kind();
    // A record of a known kind that could not be understood is written like one of an unknown kind, and stays so.
    let unknown = matches!(record.event, Event::Unknown { .. });
    let later = record.at.0.wrapping_sub(context.at);
    let previous = std::mem::replace(&mut context.at, record.at.0);
    let stamped = is_stamped(kind) && !unknown;
    if later != 0 && !stamped {
        out.byte(TAG_CLOCK);
        out.number(later);
    }
    let tag = out.len();
    if unknown || kind >= TAG_OTHER {
        out.byte(TAG_OTHER);
        out.byte(kind);
    } else {
        out.byte(kind);
    }
    let start = out.len();
    if stamped {
        out.number(later);
    }
    Body { seq: record.seq, at: record.at.0, previous, context, out }.event(&record.event);
    out.trim(start);
    let length = out.len() - start;
    debug_assert!(length < 128, "no record is that long");
    if length < LENGTH_FOLLOWS {
        out.add_bits(tag, (length as u8) << TAG_LENGTH_SHIFT);
    } else {
        out.add_bits(tag, (LENGTH_FOLLOWS as u8) << TAG_LENGTH_SHIFT);
        out.insert(start, length as u8);
    }
}

/// A record's fields on their way out.
struct Body<'a> {
    seq: Seq,
    at: u64,
    /// Stamp of the record before.
    previous: u64,
    context: &'a mut Context,
    out: &'a mut Chunk,
}

impl Body<'_> {
    #[inline]
    fn event(&mut self, event: &Event) {
        match *event {
            Event::Turn { number, events, mode, parked } => {
                self.number(u64::from(mode.code()) | u64::from(events) << 4);
                self.number(parked.0.wrapping_sub(self.previous));
                self.distance(number, self.context.turn.wrapping_add(1));
                self.context.turn = number;
            }
            Event::TokenClaimed { token, kind, fd, location, live } => {
                self.token(token);
                self.byte(kind.code());
                self.out.signed(i64::from(fd));
                self.number(location.0);
                self.number(live);
            }
            Event::TokenRegistered { token, before, after, errno } => {
                self.token(token);
                self.byte(before.bits());
                self.byte(after.bits());
                self.number(errno);
            }
            Event::TokenAddress { slot, side, address } => self.token_address(slot, side, address),
            Event::TokenReleased { token, live, errno } => {
                self.token(token);
                self.number(live);
                self.number(errno);
            }
            Event::ReleaseRefused { token, reason } => {
                self.byte(reason.code());
                self.token(token);
            }
            Event::Transition { token, before, after, reason, wakers } => {
                self.number(u64::from(reason.code()) | u64::from(wakers) << 4);
                self.byte(before.bits() ^ after.bits());
                self.byte(before.bits());
                self.token(token);
                self.context.transition = Some(self.seq);
            }
            Event::StaleEvent { token, current, readiness } => {
                self.token(token);
                self.number(current);
                self.byte(readiness.bits());
            }
            Event::TaskSpawned { task, location, name, poll } => {
                self.number(location.0);
                self.number(name.0);
                self.distance(task.0, self.context.spawned.wrapping_add(1));
                self.link(poll, self.context.poll.seq);
                (self.context.spawned, self.context.task) = (task.0, task.0);
            }
            Event::TaskFinished { task, outcome } => {
                self.byte(outcome.code());
                self.task(task);
            }
            Event::Wake { task, cause, outcome } => self.wake(task, cause, outcome),
            Event::PollStart { task, number, wake } => {
                self.task(task);
                let known = *self.context.remembered(task.0);
                self.link(wake, known.wake);
                self.distance(number, known.polls.wrapping_add(1));
                self.context.poll_started(self.seq, task.0, number);
            }
            Event::PollEnd { task, started, result, verdict, operations, progress } => {
                let poll = self.context.poll;
                self.byte(result.code() | verdict.code() << 4);
                self.out.signed(i64::from(operations) - i64::from(poll.operations));
                self.out.signed(i64::from(progress) - i64::from(poll.progress));
                self.distance(task.0, poll.task);
                self.distance(started.0, poll.started);
                self.context.task = task.0;
                self.context.poll.seq = None;
            }
            Event::Operation { operation, subject, result, task, poll } => {
                self.operation(operation.code(), subject, result, task, poll);
            }
            Event::WaitBegin { task, target } => self.wait(target, task, 0),
            Event::WaitEnd { task, target, outcome } => self.wait(target, task, outcome.code()),
            Event::Timer { timer, action, deadline_ns, poll } => {
                self.timer_changed(timer, action, deadline_ns, poll);
            }
            Event::FreelistGrown { capacity, live, growths } => {
                self.number(capacity);
                self.number(live);
                self.number(growths);
            }
            Event::Repeats { task, cycle, count, first, busy, shortest, longest } => {
                self.byte(cycle.code());
                self.task(task);
                self.number(count);
                self.distance(self.at, first.0);
                self.number(busy);
                self.number(shortest);
                self.number(longest);
                self.context.repeated(self.seq, task.0, count);
            }
            Event::SpanEntered { span, name, target, location, level, texts, task, poll } => {
                self.byte(level.code() | texts << 4);
                self.number(name.0);
                self.number(target.0);
                self.number(location.0);
                self.span(span.0);
                self.polled(task, poll);
            }
            Event::SpanExited { span, name, entered, task, poll } => {
                self.number(name.0);
                self.distance(self.at, entered.0);
                self.span(span.0);
                self.polled(task, poll);
            }
            Event::Log { level, message, target, location, span, texts, task, poll } => {
                self.byte(level.code() | texts << 4);
                self.number(message.0);
                self.number(target.0);
                self.number(location.0);
                self.span(SpanId::word(span));
                self.polled(task, poll);
            }
            Event::Text { text } => {
                self.number(text.as_bytes().len() as u64);
                self.out.bytes(text.as_bytes());
            }
            Event::Unknown { .. } => {}
        }
    }

    fn token_address(&mut self, slot: u32, side: Side, address: Address) {
        let family = match address {
            Address::Inet(SocketAddr::V4(_)) => 1,
            Address::Inet(SocketAddr::V6(_)) => 2,
            Address::Unix(_) => 3,
        };
        self.byte(side.code() | family << 4);
        self.number(slot);
        match address {
            Address::Inet(address) => {
                self.number(address.port());
                match address.ip() {
                    std::net::IpAddr::V4(ip) => self.out.bytes(&ip.octets()),
                    std::net::IpAddr::V6(ip) => self.out.bytes(&ip.octets()),
                }
            }
            Address::Unix(path) => self.number(path.0),
        }
    }

    fn wake(&mut self, task: TaskId, cause: Cause, outcome: WakeOutcome) {
        let further = match cause {
            Cause::Io { direction, .. } => direction as u8,
            Cause::Primitive { by: WokenBy::Outside, .. } => BY_OUTSIDE,
            Cause::Primitive { by: WokenBy::Task(_), .. } => BY_TASK,
            Cause::Primitive { by: WokenBy::Thread { .. }, .. } => BY_THREAD,
            _ => 0,
        };
        self.byte(cause.code() | outcome.code() << 4 | further << 6);
        self.task(task);
        match cause {
            Cause::Io { token, event, .. } => {
                self.token(token);
                self.link(event, self.context.transition);
            }
            Cause::Timer { timer, fired } => {
                self.timer(timer);
                self.link(fired, self.context.fired);
            }
            Cause::Join { task } => self.joined(task),
            Cause::Task { task } => self.distance(task.0, self.context.poll.task),
            Cause::Thread { thread, woken } => self.by_thread(thread, woken.0),
            Cause::Primitive { primitive, by } => {
                self.primitive(primitive);
                match by {
                    WokenBy::Outside => {}
                    WokenBy::Task(task) => self.distance(task.0, self.context.poll.task),
                    WokenBy::Thread { thread, woken } => self.by_thread(thread, woken.0),
                }
            }
            Cause::SelfWake | Cause::Yield | Cause::Spawn | Cause::Outside | Cause::Shutdown => {}
        }
        self.context.woken(self.seq, task.0, outcome.code());
    }

    fn by_thread(&mut self, thread: u32, woken: u64) {
        self.out.signed(i64::from(thread) - i64::from(self.context.thread));
        self.distance(self.at, woken);
        self.context.thread = thread;
    }

    #[inline]
    fn operation(
        &mut self,
        operation: u8,
        subject: Subject,
        result: OperationResult,
        task: Option<TaskId>,
        poll: Option<Seq>,
    ) {
        let (result, value) = result_words(result);
        let as_expected = task == self.context.polled() && poll == self.context.poll.seq;
        let elsewhere = if as_expected { 0 } else { OPERATION_ELSEWHERE };
        self.byte(operation | subject_code(subject) << 4 | elsewhere);
        self.number(u64::from(result) | u64::from(value) << 3);
        if as_expected {
            self.context.operated(result);
        } else {
            self.optional_task(task);
            self.link(poll, self.context.poll.seq);
        }
        self.subject(subject);
    }

    /// A wait's beginning, if the outcome is zero, or end.
    #[inline]
    fn wait(&mut self, target: WaitFor, task: Option<TaskId>, outcome: u8) {
        let as_expected = task == self.context.polled();
        let elsewhere = if as_expected { 0 } else { WAIT_ELSEWHERE };
        self.byte(target_code(target) | elsewhere | outcome << 6);
        if as_expected {
            self.context.task = task.map_or(self.context.task, |task| task.0);
        } else {
            self.optional_task(task);
        }
        self.subject(match target {
            WaitFor::Token(token, _) => Subject::Token(token),
            WaitFor::Timer(timer) => Subject::Timer(timer),
            WaitFor::Task(task) => Subject::Task(task),
            WaitFor::Primitive(primitive) => Subject::Primitive(primitive),
        });
    }

    fn timer_changed(
        &mut self,
        timer: TimerId,
        action: TimerAction,
        deadline_ns: u64,
        poll: Option<Seq>,
    ) {
        self.byte(action.code());
        self.distance(deadline_ns, self.at);
        if action.code() == ACTION_ARMED {
            self.distance(timer.0, self.context.armed.wrapping_add(1));
            (self.context.armed, self.context.timer) = (timer.0, timer.0);
        } else {
            self.timer(timer);
        }
        self.link(poll, self.context.poll.seq);
        if action.code() == ACTION_FIRED {
            self.context.fired = Some(self.seq);
        }
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.out.byte(byte);
    }

    #[inline]
    fn number(&mut self, number: impl Into<u64>) {
        self.out.number(number.into());
    }

    /// A number, by how far it lies from the one that is expected.
    #[inline]
    fn distance(&mut self, number: u64, expected: u64) {
        self.out.signed(number.wrapping_sub(expected) as i64);
    }

    #[inline]
    fn task(&mut self, task: TaskId) {
        self.distance(task.0, self.context.task);
        self.context.task = task.0;
    }

    /// A task, or zero for none, which is not kept.
    #[inline]
    fn optional_task(&mut self, task: Option<TaskId>) {
        let number = TaskId::word(task);
        self.distance(number, self.context.task);
        if number != 0 {
            self.context.task = number;
        }
    }

    /// The task that was being polled, and its poll, where both may be named all the same. The context stays as it is.
    fn polled(&mut self, task: Option<TaskId>, poll: Option<Seq>) {
        self.distance(TaskId::word(task), TaskId::word(self.context.polled()));
        self.link(poll, self.context.poll.seq);
    }

    /// A span, or zero for none, which is not kept.
    fn span(&mut self, span: u64) {
        self.distance(span, self.context.span);
        if span != 0 {
            self.context.span = span;
        }
    }

    fn joined(&mut self, task: TaskId) {
        self.distance(task.0, self.context.joined);
        self.context.joined = task.0;
    }

    #[inline]
    fn timer(&mut self, timer: TimerId) {
        self.distance(timer.0, self.context.timer);
        self.context.timer = timer.0;
    }

    fn primitive(&mut self, primitive: PrimitiveId) {
        self.distance(primitive.0, self.context.primitive);
        self.context.primitive = primitive.0;
    }

    #[inline]
    fn token(&mut self, token: TokenId) {
        let last = self.context.token;
        let slots = i64::from(token.slot) - i64::from(last.slot);
        let other_generation = token.generation != last.generation;
        self.out.number(zigzag(slots) << 1 | u64::from(other_generation));
        if other_generation {
            self.out.signed(i64::from(token.generation) - i64::from(last.generation));
        }
        self.context.token = token;
    }

    /// An earlier record: zero for the one that is expected, one for none, else one more than how far back it lies.
    #[inline]
    fn link(&mut self, target: Option<Seq>, expected: Option<Seq>) {
        self.out.number(match target {
            _ if target == expected => 0,
            None => 1,
            Some(target) => self.seq.wrapping_sub(target).wrapping_add(1),
        });
    }

    #[inline]
    fn subject(&mut self, subject: Subject) {
        match subject {
            Subject::Token(token) => self.token(token),
            Subject::Timer(timer) => self.timer(timer),
            Subject::Task(task) => self.joined(task),
            Subject::Primitive(primitive) => self.primitive(primitive),
        }
    }
}

fn subject_code(subject: Subject) -> u8 {
    match subject {
        Subject::Token(_) => 1,
        Subject::Timer(_) => 2,
        Subject::Task(_) => 3,
        Subject::Primitive(_) => 4,
    }
}

/// What is waited for in the lower three bits, the direction in bits 4 and 5.
fn target_code(target: WaitFor) -> u8 {
    match target {
        WaitFor::Token(_, direction) => 1 | (direction as u8) << 4,
        WaitFor::Timer(_) => 2,
        WaitFor::Task(_) => 3,
        WaitFor::Primitive(_) => 4,
    }
}
