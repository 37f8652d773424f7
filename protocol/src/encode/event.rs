//! Batches of records to bytes: a header, then for each record a tag, its stamp and its fields, told relative to the
//! record before ([`Context`]).

use super::{frame_kind, framed};
use crate::context::{Context, LENGTH_BIAS, LENGTH_FOLLOWS, TAG_GAP, TAG_LENGTH_SHIFT, TAG_OTHER};
use crate::event::{Cause, Event, Record, Subject, WaitFor, WakeOutcome, WokenBy};
use crate::ids::{PrimitiveId, RuntimeId, Seq, SpanId, TaskId, TokenId};
use crate::limits;
use crate::record::{BY_OUTSIDE, BY_TASK, BY_THREAD, result_words};
use crate::varint::{put, put_signed};

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
        batch(runtime, now, first, next, out);
        first = next;
        rest = later;
    }
    batch(runtime, rest, first, next_seq, out);
}

/// Appends one frame that accounts for the records from `first` to before `next`.
fn batch(runtime: RuntimeId, records: &[Record], first: Seq, next: Seq, out: &mut Vec<u8>) {
    debug_assert!(records.iter().all(|record| (first..next).contains(&record.seq)));
    debug_assert!(records.is_sorted_by(|one, other| one.seq < other.seq));
    framed(out, frame_kind::SERVER_EVENTS, |out| {
        put(out, u64::from(runtime.0));
        put(out, first);
        put(out, next.saturating_sub(first));
        put(out, records.len() as u64);
        let mut context = Context::default();
        let mut expected = first;
        for record in records {
            if record.seq != expected {
                out.push(TAG_GAP);
                put(out, record.seq.wrapping_sub(expected));
            }
            append(record, &mut context, out);
            expected = record.seq.wrapping_add(1);
        }
    });
}

/// Appends one record: the tag with the kind and the length of what follows, then that.
#[inline]
fn append(record: &Record, context: &mut Context, out: &mut Vec<u8>) {
    let kind = record.event.kind();
    let named = if kind == TAG_GAP || kind >= TAG_OTHER { TAG_OTHER } else { kind };
    let tag = out.len();
    out.push(named);
    if named == TAG_OTHER {
        out.push(kind);
    }
    let start = out.len();
    put(out, record.at.0.wrapping_sub(context.at));
    context.at = record.at.0;
    Body { seq: record.seq, at: record.at.0, context, out }.event(&record.event);
    let length = out.len() - start;
    debug_assert!(length < 128, "no record is that long");
    match length.checked_sub(LENGTH_BIAS) {
        Some(short) if short < LENGTH_FOLLOWS => out[tag] |= (short as u8) << TAG_LENGTH_SHIFT,
        _ => {
            out[tag] |= (LENGTH_FOLLOWS as u8) << TAG_LENGTH_SHIFT;
            out.insert(start, length as u8);
        }
    }
}

/// A record's fields on their way out.
struct Body<'a> {
    seq: Seq,
    at: u64,
    context: &'a mut Context,
    out: &'a mut Vec<u8>,
}

impl Body<'_> {
    #[inline]
    fn event(&mut self, event: &Event) {
        match *event {
            Event::Turn { number, events, mode, parked } => {
                self.near(number, |context| &mut context.turn);
                self.byte(mode.code());
                self.number(events);
                self.ago(parked.0);
            }
            Event::TokenClaimed { token, kind, fd, location, live } => {
                self.token(token);
                self.byte(kind.code());
                put_signed(self.out, i64::from(fd));
                self.number(location.0);
                self.number(live);
            }
            Event::TokenRegistered { token, before, after, errno } => {
                self.token(token);
                self.byte(before.bits());
                self.byte(after.bits());
                self.number(errno);
            }
            Event::TokenAddress { slot, side, address } => {
                self.number(slot);
                self.byte(side.code());
                super::board::address(Some(address), self.out);
            }
            Event::TokenReleased { token, live, errno } => {
                self.token(token);
                self.number(live);
                self.number(errno);
            }
            Event::ReleaseRefused { token, reason } => {
                self.token(token);
                self.byte(reason.code());
            }
            Event::Transition { token, before, after, reason, wakers } => {
                self.token(token);
                self.byte(before.bits());
                self.byte(after.bits());
                self.number(u64::from(reason.code()) | u64::from(wakers) << 4);
            }
            Event::StaleEvent { token, current, readiness } => {
                self.token(token);
                self.number(current);
                self.byte(readiness.bits());
            }
            Event::TaskSpawned { task, location, name, poll } => {
                self.task(task);
                self.number(location.0);
                self.number(name.0);
                self.link(poll);
            }
            Event::TaskFinished { task, outcome } => {
                self.task(task);
                self.byte(outcome.code());
            }
            Event::Wake { task, cause, outcome } => self.wake(task, cause, outcome),
            Event::PollStart { task, number, wake } => {
                self.task(task);
                self.number(number);
                self.link(wake);
            }
            Event::PollEnd { task, started, result, verdict, operations, progress } => {
                self.task(task);
                self.ago(started.0);
                self.byte(result.code() | verdict.code() << 4);
                self.number(operations);
                self.number(progress);
            }
            Event::Operation { operation, subject, result, task, poll } => {
                self.byte(operation.code() | subject_code(subject) << 4);
                let (code, value) = result_words(result);
                self.number(u64::from(code) | u64::from(value) << 3);
                self.subject(subject);
                self.task_after(task, matches!(subject, Subject::Primitive(_)));
                self.link(poll);
            }
            Event::WaitBegin { task, target } => {
                self.byte(target_code(target));
                self.target(target);
                self.task_after(task, matches!(target, WaitFor::Primitive(_)));
            }
            Event::WaitEnd { task, target, outcome } => {
                self.byte(target_code(target) | outcome.code() << 6);
                self.target(target);
                self.task_after(task, matches!(target, WaitFor::Primitive(_)));
            }
            Event::Timer { timer, action, deadline_ns, poll } => {
                self.near(timer.0, |context| &mut context.timer);
                self.byte(action.code());
                self.ago(deadline_ns);
                self.link(poll);
            }
            Event::FreelistGrown { capacity, live, growths } => {
                self.number(capacity);
                self.number(live);
                self.number(growths);
            }
            Event::Repeats { task, cycle, count, first, busy, shortest, longest } => {
                self.task(task);
                self.byte(cycle.code());
                self.number(count);
                self.ago(first.0);
                self.number(busy);
                self.number(shortest);
                self.number(longest);
            }
            Event::SpanEntered { span, name, target, location, level, texts, task, poll } => {
                self.byte(level.code() | texts << 4);
                self.number(span.0);
                for string in [name, target, location] {
                    self.number(string.0);
                }
                self.task_and_poll(task, poll);
            }
            Event::SpanExited { span, name, entered, task, poll } => {
                self.number(span.0);
                self.number(name.0);
                self.ago(entered.0);
                self.task_and_poll(task, poll);
            }
            Event::Log { level, message, target, location, span, texts, task, poll } => {
                self.byte(level.code() | texts << 4);
                for string in [message, target, location] {
                    self.number(string.0);
                }
                self.number(SpanId::word(span));
                self.task_and_poll(task, poll);
            }
            Event::Text { text } => {
                self.number(text.as_bytes().len() as u64);
                self.out.extend_from_slice(text.as_bytes());
            }
            Event::Unknown { .. } => {}
        }
    }

    /// The context stays as it is, for readers that skip the record.
    fn task_and_poll(&mut self, task: Option<TaskId>, poll: Option<Seq>) {
        self.number(TaskId::word(task));
        self.link(poll);
    }

    fn wake(&mut self, task: TaskId, cause: Cause, outcome: WakeOutcome) {
        let further = match cause {
            Cause::Io { direction, .. } => direction as u8,
            Cause::Primitive { by: WokenBy::Outside, .. } => BY_OUTSIDE,
            Cause::Primitive { by: WokenBy::Task(_), .. } => BY_TASK,
            Cause::Primitive { by: WokenBy::Thread { .. }, .. } => BY_THREAD,
            _ => 0,
        };
        self.task(task);
        self.byte(cause.code() | outcome.code() << 4 | further << 6);
        match cause {
            Cause::Io { token, event, .. } => {
                self.token(token);
                self.link(event);
            }
            Cause::Timer { timer, fired } => {
                self.near(timer.0, |context| &mut context.timer);
                self.link(fired);
            }
            Cause::Join { task } | Cause::Task { task } => self.task(task),
            Cause::Thread { thread, woken } => {
                self.number(thread);
                self.ago(woken.0);
            }
            Cause::Primitive { primitive, by } => {
                self.primitive(primitive);
                match by {
                    WokenBy::Outside => {}
                    WokenBy::Task(task) => self.number(task.0),
                    WokenBy::Thread { thread, woken } => {
                        self.number(thread);
                        self.ago(woken.0);
                    }
                }
            }
            Cause::SelfWake | Cause::Yield | Cause::Spawn | Cause::Outside | Cause::Shutdown => {}
        }
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.out.push(byte);
    }

    #[inline]
    fn number(&mut self, number: impl Into<u64>) {
        put(self.out, number.into());
    }

    /// A stamp, by how far it lies before the record's own.
    #[inline]
    fn ago(&mut self, stamp: u64) {
        put_signed(self.out, self.at.wrapping_sub(stamp) as i64);
    }

    /// A number, by how far it lies from the last one of its sort, which it replaces.
    #[inline]
    fn near(&mut self, number: u64, last: impl FnOnce(&mut Context) -> &mut u64) {
        let last = last(self.context);
        put_signed(self.out, number.wrapping_sub(*last) as i64);
        *last = number;
    }

    #[inline]
    fn task(&mut self, task: TaskId) {
        self.near(task.0, |context| &mut context.task);
    }

    #[inline]
    fn primitive(&mut self, primitive: PrimitiveId) {
        self.near(primitive.0, |context| &mut context.primitive);
    }

    /// The task of a record with a subject or target. What version 1 began with names it relative to the context; what
    /// came later must leave the context alone, for readers that skip it.
    #[inline]
    fn task_after(&mut self, task: Option<TaskId>, later: bool) {
        if later { self.number(TaskId::word(task)) } else { self.optional_task(task) }
    }

    /// A byte's worth of presence, folded into the task's number: zero for none.
    #[inline]
    fn optional_task(&mut self, task: Option<TaskId>) {
        match task {
            None => self.out.push(0),
            Some(task) => {
                let near = crate::varint::zigzag(task.0.wrapping_sub(self.context.task) as i64);
                put(self.out, near.wrapping_add(1));
                self.context.task = task.0;
            }
        }
    }

    #[inline]
    fn token(&mut self, token: TokenId) {
        let last = self.context.token;
        let slots = i64::from(token.slot) - i64::from(last.slot);
        let other_generation = token.generation != last.generation;
        put(self.out, crate::varint::zigzag(slots) << 1 | u64::from(other_generation));
        if other_generation {
            put_signed(self.out, i64::from(token.generation) - i64::from(last.generation));
        }
        self.context.token = token;
    }

    /// An earlier record, by how far back it lies; zero for none.
    #[inline]
    fn link(&mut self, target: Option<Seq>) {
        put(self.out, target.map_or(0, |target| self.seq.wrapping_sub(target)));
    }

    fn subject(&mut self, subject: Subject) {
        match subject {
            Subject::Token(token) => self.token(token),
            Subject::Timer(timer) => self.near(timer.0, |context| &mut context.timer),
            Subject::Task(task) => self.task(task),
            Subject::Primitive(primitive) => self.primitive(primitive),
        }
    }

    fn target(&mut self, target: WaitFor) {
        match target {
            WaitFor::Token(token, _) => self.token(token),
            WaitFor::Timer(timer) => self.near(timer.0, |context| &mut context.timer),
            WaitFor::Task(task) => self.task(task),
            WaitFor::Primitive(primitive) => self.primitive(primitive),
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

/// What is waited for in the lower four bits, the direction in the next two.
fn target_code(target: WaitFor) -> u8 {
    match target {
        WaitFor::Token(_, direction) => 1 | (direction as u8) << 4,
        WaitFor::Timer(_) => 2,
        WaitFor::Task(_) => 3,
        WaitFor::Primitive(_) => 4,
    }
}
