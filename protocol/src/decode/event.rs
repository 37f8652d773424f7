//! Batches of bytes to records: the mirror of `encode/event.rs`.

use super::Skipped;
use super::cursor::{Cursor, DecodeError, Problem};
use super::fields::Fields;
use super::frame::runtime;
use crate::context::{
    ACTION_ARMED, ACTION_FIRED, Context, LENGTH_FOLLOWS, OPERATION_ELSEWHERE, TAG_CLOCK, TAG_GAP,
    TAG_KIND, TAG_LENGTH_SHIFT, TAG_OTHER, WAIT_ELSEWHERE, is_stamped,
};
use crate::event::{
    Address, Cause, Cycle, Event, Level, Operation, PollResult, Record, RefusalReason, Side,
    SourceKind, Subject, TaskOutcome, TimerAction, TransitionReason, TurnMode, Verdict, WaitFor,
    WaitOutcome, WakeOutcome, WokenBy, kind,
};
use crate::fragment::Fragment;
use crate::frame::ServerFrame;
use crate::ids::{PrimitiveId, Seq, SpanId, Stamp, StringId, TaskId, TimerId, TokenId};
use crate::limits;
use crate::readiness::{Direction, Interest, Readiness};
use crate::record::{BY_OUTSIDE, BY_TASK, BY_THREAD, result_from_words};
use crate::varint::unzigzag;
use std::net::SocketAddr;

/// Reads the payload of an events frame.
pub(super) fn batch(
    payload: &mut Cursor<'_>,
    skipped: &mut Skipped,
) -> Result<ServerFrame, DecodeError> {
    let runtime = runtime(payload)?;
    let first = payload.varint("first record of a batch")?;
    let span = payload.varint("records a batch accounts for")?;
    let contradiction = |payload: &Cursor<'_>, what| payload.error(Problem::Contradiction { what });
    let next_seq = first
        .checked_add(span)
        .ok_or_else(|| contradiction(payload, "a batch ends beyond the last record number"))?;
    let count = payload.count(limits::MAX_BATCH, "number of records")?;
    if count as u64 > span {
        return Err(contradiction(payload, "a batch has more records than it accounts for"));
    }
    let mut records = Vec::with_capacity(count);
    let mut context = Context::new();
    let mut expected = first;
    while records.len() < count {
        let tag = payload.byte("tag of a record")?;
        match tag {
            TAG_GAP => {
                let missing = payload.varint("gap between records")?;
                expected = expected.checked_add(missing).ok_or_else(|| {
                    contradiction(payload, "a gap reaches beyond the last number")
                })?;
            }
            TAG_CLOCK => {
                context.at = context.at.wrapping_add(payload.varint("stamp of a record")?);
            }
            _ if tag & TAG_KIND == 0 => {
                return Err(contradiction(payload, "a tag that has no meaning"));
            }
            _ if expected >= next_seq => {
                let what = "a record is beyond what its batch accounts for";
                return Err(contradiction(payload, what));
            }
            _ => {
                let record = record(payload, tag, expected, &mut context)?;
                skipped.records += u64::from(matches!(record.event, Event::Unknown { .. }));
                records.push(record);
                expected += 1;
            }
        }
    }
    let filtered = span - count as u64;
    Ok(ServerFrame::Events { runtime, records, next_seq, filtered })
}

#[inline]
fn record(
    payload: &mut Cursor<'_>,
    tag: u8,
    seq: Seq,
    context: &mut Context,
) -> Result<Record, DecodeError> {
    let (kind, apart) = match tag & TAG_KIND {
        TAG_OTHER => (payload.byte("kind of a record")?, true),
        kind => (kind, false),
    };
    let length = match usize::from(tag >> TAG_LENGTH_SHIFT) {
        LENGTH_FOLLOWS => {
            payload.at_most(limits::MAX_RECORD as u64, "length of a record")? as usize
        }
        short => short,
    };
    let mut fields = Fields::new(payload.part(length, "record")?);
    // A small kind that is written like a large one has no fields that the sender could understand.
    let understood = !apart || kind >= TAG_OTHER;
    let previous = context.at;
    if understood && is_stamped(kind) {
        context.at = previous.wrapping_add(fields.number("stamp of a record")?);
    }
    let at = context.at;
    let mut body = Body { seq, at, previous, context, fields };
    let event = if understood { body.event(kind)? } else { None };
    Ok(Record { seq, at: Stamp(at), event: event.unwrap_or(Event::Unknown { kind }) })
}

/// A record's fields on their way in.
struct Body<'a, 'c> {
    seq: Seq,
    at: u64,
    /// Stamp of the record before.
    previous: u64,
    context: &'c mut Context,
    fields: Fields<'a>,
}

impl Body<'_, '_> {
    /// The event, or `None` if it is of a kind, or carries a code, that is not known here.
    ///
    /// All fields are read before a code is judged, so that the context is right for the next record either way. Only
    /// what follows a cause, a subject or a target that is not known is left, since it leaves the context alone.
    #[inline]
    fn event(&mut self, kind: u8) -> Result<Option<Event>, DecodeError> {
        match kind {
            kind::TURN => self.turn(),
            kind::TOKEN_CLAIMED => self.token_claimed().map(Some),
            kind::TOKEN_REGISTERED => Ok(Some(Event::TokenRegistered {
                token: self.token()?,
                before: Interest::from_bits(self.byte()),
                after: Interest::from_bits(self.byte()),
                errno: self.u32("errno")?,
            })),
            kind::TOKEN_ADDRESS => self.token_address(),
            kind::TOKEN_RELEASED => Ok(Some(Event::TokenReleased {
                token: self.token()?,
                live: self.u32("live tokens")?,
                errno: self.u32("errno")?,
            })),
            kind::RELEASE_REFUSED => {
                let reason = RefusalReason::from_code(self.byte());
                let token = self.token()?;
                Ok(reason.map(|reason| Event::ReleaseRefused { token, reason }))
            }
            kind::TRANSITION => self.transition(),
            kind::STALE_EVENT => Ok(Some(Event::StaleEvent {
                token: self.token()?,
                current: self.u32("generation")?,
                readiness: Readiness::from_bits(self.byte()),
            })),
            kind::TASK_SPAWNED => self.task_spawned().map(Some),
            kind::TASK_FINISHED => {
                let outcome = TaskOutcome::from_code(self.byte());
                let task = self.task()?;
                Ok(outcome.map(|outcome| Event::TaskFinished { task, outcome }))
            }
            kind::WAKE => self.wake(),
            kind::POLL_START => self.poll_start().map(Some),
            kind::POLL_END => self.poll_end(),
            kind::OPERATION => self.operation(),
            kind::WAIT_BEGIN => {
                let (target, task, _) = self.wait()?;
                Ok(target.map(|target| Event::WaitBegin { task, target }))
            }
            kind::WAIT_END => {
                let (target, task, outcome) = self.wait()?;
                let outcome = WaitOutcome::from_code(outcome);
                Ok(target.zip(outcome).map(|(target, outcome)| Event::WaitEnd {
                    task,
                    target,
                    outcome,
                }))
            }
            kind::TIMER => self.timer_changed(),
            kind::FREELIST_GROWN => Ok(Some(Event::FreelistGrown {
                capacity: self.u32("capacity")?,
                live: self.u32("live tokens")?,
                growths: self.u32("growths")?,
            })),
            kind::REPEATS => self.repeats(),
            kind::SPAN_ENTERED => self.span_entered(),
            kind::SPAN_EXITED => self.span_exited().map(Some),
            kind::LOG => self.log(),
            kind::TEXT => self.text(),
            _ => Ok(None),
        }
    }

    fn turn(&mut self) -> Result<Option<Event>, DecodeError> {
        let packed = self.at_most(u64::from(u32::MAX) << 4 | 0xF, "events of a turn")?;
        let parked = Stamp(self.previous.wrapping_add(self.number("start of a turn")?));
        let number = self.distance("number of a turn", self.context.turn.wrapping_add(1))?;
        self.context.turn = number;
        let mode = TurnMode::from_code(packed as u8 & 0xF);
        let events = (packed >> 4) as u32;
        Ok(mode.map(|mode| Event::Turn { number, events, mode, parked }))
    }

    fn token_claimed(&mut self) -> Result<Event, DecodeError> {
        let token = self.token()?;
        let kind = SourceKind::from_code(self.byte());
        // Wrapped, not checked: descriptors come from the kernel, and nothing depends on this one.
        let fd = self.fields.signed("descriptor")? as i32;
        Ok(Event::TokenClaimed {
            token,
            kind: kind.unwrap_or(SourceKind::Other),
            fd,
            location: StringId(self.u32("location")?),
            live: self.u32("live tokens")?,
        })
    }

    fn token_address(&mut self) -> Result<Option<Event>, DecodeError> {
        let codes = self.byte();
        let slot = self.u32("slot")?;
        let address = match codes >> 4 {
            1 => {
                let port = self.fields.u16("port")?;
                Address::Inet(SocketAddr::from((self.fields.array::<4>(), port)))
            }
            2 => {
                let port = self.fields.u16("port")?;
                Address::Inet(SocketAddr::from((self.fields.array::<16>(), port)))
            }
            3 => Address::Unix(StringId(self.u32("path of an address")?)),
            _ => return Ok(None),
        };
        let side = Side::from_code(codes & 0xF);
        Ok(side.map(|side| Event::TokenAddress { slot, side, address }))
    }

    fn transition(&mut self) -> Result<Option<Event>, DecodeError> {
        let packed = self.at_most(u64::from(u32::MAX) << 4 | 0xF, "reason of a transition")?;
        let changed = self.byte();
        let before = self.byte();
        let token = self.token()?;
        self.context.transition = Some(self.seq);
        let wakers = (packed >> 4) as u32;
        let after = Readiness::from_bits(before ^ changed);
        let before = Readiness::from_bits(before);
        let reason = TransitionReason::from_code(packed as u8 & 0xF);
        Ok(reason.map(|reason| Event::Transition { token, before, after, reason, wakers }))
    }

    fn task_spawned(&mut self) -> Result<Event, DecodeError> {
        let location = StringId(self.u32("location")?);
        let name = StringId(self.u32("name")?);
        let task = self.distance("task", self.context.spawned.wrapping_add(1))?;
        let poll = self.link(self.context.poll.seq)?;
        (self.context.spawned, self.context.task) = (task, task);
        Ok(Event::TaskSpawned { task: TaskId(task), location, name, poll })
    }

    fn wake(&mut self) -> Result<Option<Event>, DecodeError> {
        let codes = self.byte();
        let task = self.task()?;
        let cause = self.cause(codes & 0xF, codes >> 6)?;
        let outcome = codes >> 4 & 3;
        self.context.woken(self.seq, task.0, outcome);
        let outcome = WakeOutcome::from_code(outcome);
        Ok(cause.zip(outcome).map(|(cause, outcome)| Event::Wake { task, cause, outcome }))
    }

    /// `further` is a direction or says who used a primitive.
    fn cause(&mut self, code: u8, further: u8) -> Result<Option<Cause>, DecodeError> {
        Ok(Some(match code {
            1 => {
                let (token, event) = (self.token()?, self.link(self.context.transition)?);
                let direction = Direction::from_code(further);
                return Ok(direction.map(|direction| Cause::Io { token, direction, event }));
            }
            2 => Cause::Timer { timer: self.timer()?, fired: self.link(self.context.fired)? },
            3 => Cause::Join { task: self.joined()? },
            4 => Cause::Task { task: self.by_task()? },
            5 => Cause::SelfWake,
            6 => Cause::Yield,
            7 => Cause::Spawn,
            8 => {
                let (thread, woken) = self.by_thread()?;
                Cause::Thread { thread, woken }
            }
            9 => Cause::Outside,
            10 => Cause::Shutdown,
            11 => {
                let primitive = self.primitive()?;
                let by = match further {
                    BY_OUTSIDE => WokenBy::Outside,
                    BY_TASK => WokenBy::Task(self.by_task()?),
                    BY_THREAD => {
                        let (thread, woken) = self.by_thread()?;
                        WokenBy::Thread { thread, woken }
                    }
                    _ => return Ok(None),
                };
                Cause::Primitive { primitive, by }
            }
            _ => return Ok(None),
        }))
    }

    fn by_task(&mut self) -> Result<TaskId, DecodeError> {
        self.distance("task of a wake", self.context.poll.task).map(TaskId)
    }

    fn by_thread(&mut self) -> Result<(u32, Stamp), DecodeError> {
        let thread = self.fields.signed("thread of a wake")?;
        let thread = self.context.thread.wrapping_add(thread as u32);
        self.context.thread = thread;
        let ago = self.fields.signed("stamp of a wake")?;
        Ok((thread, Stamp(self.at.wrapping_sub(ago as u64))))
    }

    fn poll_start(&mut self) -> Result<Event, DecodeError> {
        let task = self.task()?;
        let known = *self.context.remembered(task.0);
        let wake = self.link(known.wake)?;
        let number = self.distance("number of a poll", known.polls.wrapping_add(1))?;
        self.context.poll_started(self.seq, task.0, number);
        Ok(Event::PollStart { task, number, wake })
    }

    fn poll_end(&mut self) -> Result<Option<Event>, DecodeError> {
        let poll = self.context.poll;
        let codes = self.byte();
        let operations = self.fields.signed("operations of a poll")?;
        let progress = self.fields.signed("progress of a poll")?;
        let task = TaskId(self.distance("task", poll.task)?);
        let started = Stamp(self.distance("start of a poll", poll.started)?);
        self.context.task = task.0;
        self.context.poll.seq = None;
        let result = PollResult::from_code(codes & 0xF);
        Ok(result.zip(Verdict::from_code(codes >> 4)).map(|(result, verdict)| Event::PollEnd {
            task,
            started,
            result,
            verdict,
            operations: poll.operations.wrapping_add(operations as u16),
            progress: poll.progress.wrapping_add(progress as u16),
        }))
    }

    fn operation(&mut self) -> Result<Option<Event>, DecodeError> {
        let codes = self.byte();
        let packed = self.at_most(u64::from(u32::MAX) << 3 | 7, "result of an operation")?;
        let result = packed as u8 & 7;
        let (task, poll) = if codes & OPERATION_ELSEWHERE == 0 {
            self.context.operated(result);
            (self.context.polled(), self.context.poll.seq)
        } else {
            (self.optional_task()?, self.link(self.context.poll.seq)?)
        };
        let subject = match codes >> 4 & 7 {
            1 => Subject::Token(self.token()?),
            2 => Subject::Timer(self.timer()?),
            3 => Subject::Task(self.joined()?),
            4 => Subject::Primitive(self.primitive()?),
            _ => return Ok(None),
        };
        let operation = Operation::from_code(codes & 0xF);
        let result = result_from_words(result, (packed >> 3) as u32);
        Ok(operation.zip(result).map(|(operation, result)| Event::Operation {
            operation,
            subject,
            result,
            task,
            poll,
        }))
    }

    /// What is waited for, if it is known, the task that waits, and the code of the outcome.
    fn wait(&mut self) -> Result<(Option<WaitFor>, Option<TaskId>, u8), DecodeError> {
        let codes = self.byte();
        let task = if codes & WAIT_ELSEWHERE == 0 {
            let task = self.context.polled();
            self.context.task = task.map_or(self.context.task, |task| task.0);
            task
        } else {
            self.optional_task()?
        };
        let target = match codes & 7 {
            1 => {
                let token = self.token()?;
                let direction = Direction::from_code(codes >> 4 & 3);
                direction.map(|direction| WaitFor::Token(token, direction))
            }
            2 => Some(WaitFor::Timer(self.timer()?)),
            3 => Some(WaitFor::Task(self.joined()?)),
            4 => Some(WaitFor::Primitive(self.primitive()?)),
            _ => None,
        };
        Ok((target, task, codes >> 6))
    }

    fn timer_changed(&mut self) -> Result<Option<Event>, DecodeError> {
        let action = self.byte();
        let deadline_ns = self.distance("deadline", self.at)?;
        let timer = if action == ACTION_ARMED {
            let timer = self.distance("timer", self.context.armed.wrapping_add(1))?;
            (self.context.armed, self.context.timer) = (timer, timer);
            TimerId(timer)
        } else {
            self.timer()?
        };
        let poll = self.link(self.context.poll.seq)?;
        if action == ACTION_FIRED {
            self.context.fired = Some(self.seq);
        }
        let action = TimerAction::from_code(action);
        Ok(action.map(|action| Event::Timer { timer, action, deadline_ns, poll }))
    }

    fn repeats(&mut self) -> Result<Option<Event>, DecodeError> {
        let cycle = Cycle::from_code(self.byte());
        let task = self.task()?;
        let count = self.u32("number of repeats")?;
        let first = Stamp(self.at.wrapping_sub(self.fields.signed("start of repeats")? as u64));
        let busy = self.number("time in repeats")?;
        let shortest = self.number("shortest repeat")?;
        let longest = self.number("longest repeat")?;
        self.context.repeated(self.seq, task.0, count);
        Ok(cycle.map(|cycle| Event::Repeats { task, cycle, count, first, busy, shortest, longest }))
    }

    fn span_entered(&mut self) -> Result<Option<Event>, DecodeError> {
        let codes = self.byte();
        let name = StringId(self.u32("name")?);
        let (target, location) = (StringId(self.u32("target")?), StringId(self.u32("location")?));
        let span = SpanId(self.span()?);
        let (task, poll) = self.polled()?;
        let texts = codes >> 4;
        Ok(Level::from_code(codes & 0xF).map(|level| Event::SpanEntered {
            span,
            name,
            target,
            location,
            level,
            texts,
            task,
            poll,
        }))
    }

    fn span_exited(&mut self) -> Result<Event, DecodeError> {
        let name = StringId(self.u32("name")?);
        let ago = self.fields.signed("entry into a span")?;
        let entered = Stamp(self.at.wrapping_sub(ago as u64));
        let span = SpanId(self.span()?);
        let (task, poll) = self.polled()?;
        Ok(Event::SpanExited { span, name, entered, task, poll })
    }

    fn log(&mut self) -> Result<Option<Event>, DecodeError> {
        let codes = self.byte();
        let message = StringId(self.u32("message")?);
        let (target, location) = (StringId(self.u32("target")?), StringId(self.u32("location")?));
        let span = SpanId::from_word(self.span()?);
        let (task, poll) = self.polled()?;
        let texts = codes >> 4;
        Ok(Level::from_code(codes & 0xF).map(|level| Event::Log {
            level,
            message,
            target,
            location,
            span,
            texts,
            task,
            poll,
        }))
    }

    /// A text that is too long, or is none, makes an unknown record.
    fn text(&mut self) -> Result<Option<Event>, DecodeError> {
        let length = self.number("length of a text")?;
        let bytes = self.fields.array::<{ Fragment::MAX }>();
        let bytes = usize::try_from(length).ok().and_then(|length| bytes.get(..length));
        Ok(bytes.and_then(Fragment::from_bytes).map(|text| Event::Text { text }))
    }

    /// The task that was being polled, and its poll, where both may be named all the same.
    fn polled(&mut self) -> Result<(Option<TaskId>, Option<Seq>), DecodeError> {
        let task = self.distance("task", TaskId::word(self.context.polled()))?;
        Ok((TaskId::from_word(task), self.link(self.context.poll.seq)?))
    }

    fn span(&mut self) -> Result<u64, DecodeError> {
        let span = self.distance("span", self.context.span)?;
        if span != 0 {
            self.context.span = span;
        }
        Ok(span)
    }

    #[inline]
    fn byte(&mut self) -> u8 {
        self.fields.byte()
    }

    #[inline]
    fn number(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.fields.number(what)
    }

    #[inline]
    fn at_most(&mut self, limit: u64, what: &'static str) -> Result<u64, DecodeError> {
        self.fields.at_most(limit, what)
    }

    #[inline]
    fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.fields.u32(what)
    }

    #[inline]
    fn distance(&mut self, what: &'static str, expected: u64) -> Result<u64, DecodeError> {
        Ok(expected.wrapping_add(self.fields.signed(what)? as u64))
    }

    #[inline]
    fn task(&mut self) -> Result<TaskId, DecodeError> {
        self.context.task = self.distance("task", self.context.task)?;
        Ok(TaskId(self.context.task))
    }

    #[inline]
    fn optional_task(&mut self) -> Result<Option<TaskId>, DecodeError> {
        let task = TaskId::from_word(self.distance("task", self.context.task)?);
        self.context.task = task.map_or(self.context.task, |task| task.0);
        Ok(task)
    }

    #[inline]
    fn joined(&mut self) -> Result<TaskId, DecodeError> {
        self.context.joined = self.distance("task", self.context.joined)?;
        Ok(TaskId(self.context.joined))
    }

    #[inline]
    fn timer(&mut self) -> Result<TimerId, DecodeError> {
        self.context.timer = self.distance("timer", self.context.timer)?;
        Ok(TimerId(self.context.timer))
    }

    #[inline]
    fn primitive(&mut self) -> Result<PrimitiveId, DecodeError> {
        self.context.primitive = self.distance("primitive", self.context.primitive)?;
        Ok(PrimitiveId(self.context.primitive))
    }

    #[inline]
    fn token(&mut self) -> Result<TokenId, DecodeError> {
        let number = self.at_most((1 << 34) - 1, "slot of a token")?;
        let last = self.context.token;
        let slot = i64::from(last.slot) + unzigzag(number >> 1);
        let mut generation = i64::from(last.generation);
        if number & 1 != 0 {
            let limit = (1 << 33) - 1;
            generation += unzigzag(self.at_most(limit, "generation of a token")?);
        }
        let contradiction = |what| self.fields.error(Problem::Contradiction { what });
        let token = TokenId {
            slot: u32::try_from(slot).map_err(|_| contradiction("a slot is out of range"))?,
            generation: u32::try_from(generation)
                .map_err(|_| contradiction("a generation is out of range"))?,
        };
        self.context.token = token;
        Ok(token)
    }

    #[inline]
    fn link(&mut self, expected: Option<Seq>) -> Result<Option<Seq>, DecodeError> {
        Ok(match self.number("link to an earlier record")? {
            0 => expected,
            1 => None,
            more => self.seq.checked_sub(more - 1),
        })
    }
}
