//! Batches of bytes to records: the mirror of `encode/event.rs`.

use super::Skipped;
use super::board::address;
use super::cursor::{Cursor, DecodeError, Problem};
use super::frame::runtime;
use crate::context::{
    Context, LENGTH_BIAS, LENGTH_FOLLOWS, TAG_GAP, TAG_KIND, TAG_LENGTH_SHIFT, TAG_OTHER,
};
use crate::event::{
    Cause, Cycle, Event, Level, Operation, PollResult, Record, RefusalReason, Side, SourceKind,
    Subject, TaskOutcome, TimerAction, TransitionReason, TurnMode, Verdict, WaitFor, WaitOutcome,
    WakeOutcome, WokenBy, kind,
};
use crate::fragment::Fragment;
use crate::frame::ServerFrame;
use crate::ids::{PrimitiveId, Seq, SpanId, Stamp, StringId, TaskId, TimerId, TokenId};
use crate::limits;
use crate::readiness::{Direction, Interest, Readiness};
use crate::record::{BY_OUTSIDE, BY_TASK, BY_THREAD, result_from_words};
use crate::varint::unzigzag;

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
    let mut context = Context::default();
    let mut expected = first;
    while records.len() < count {
        let tag = payload.byte("tag of a record")?;
        if tag & TAG_KIND == TAG_GAP {
            let missing = payload.varint("gap between records")?;
            expected = expected
                .checked_add(missing)
                .ok_or_else(|| contradiction(payload, "a gap reaches beyond the last number"))?;
            continue;
        }
        if expected >= next_seq {
            return Err(contradiction(payload, "a record is beyond what its batch accounts for"));
        }
        let record = record(payload, tag, expected, &mut context)?;
        skipped.records += u64::from(matches!(record.event, Event::Unknown { .. }));
        records.push(record);
        expected += 1;
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
    let kind = match tag & TAG_KIND {
        TAG_OTHER => payload.byte("kind of a record")?,
        kind => kind,
    };
    let length = match usize::from(tag >> TAG_LENGTH_SHIFT) {
        LENGTH_FOLLOWS => {
            payload.at_most(limits::MAX_RECORD as u64, "length of a record")? as usize
        }
        short => short + LENGTH_BIAS,
    };
    let fields = payload.part(length, "record")?;
    let mut body = Body { seq, at: 0, context, fields };
    body.at = body.context.at.wrapping_add(body.number("stamp of a record")?);
    body.context.at = body.at;
    let event = if body.fields.is_empty() { None } else { body.event(kind)? };
    Ok(Record { seq, at: Stamp(body.at), event: event.unwrap_or(Event::Unknown { kind }) })
}

/// A record's fields on their way in.
struct Body<'a, 'c> {
    seq: Seq,
    at: u64,
    context: &'c mut Context,
    fields: Cursor<'a>,
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
                before: Interest::from_bits(self.byte("interest before")?),
                after: Interest::from_bits(self.byte("interest after")?),
                errno: self.u32("errno")?,
            })),
            kind::TOKEN_ADDRESS => self.token_address(),
            kind::TOKEN_RELEASED => Ok(Some(Event::TokenReleased {
                token: self.token()?,
                live: self.u32("live tokens")?,
                errno: self.u32("errno")?,
            })),
            kind::RELEASE_REFUSED => {
                let token = self.token()?;
                let reason = RefusalReason::from_code(self.byte("reason of a refusal")?);
                Ok(reason.map(|reason| Event::ReleaseRefused { token, reason }))
            }
            kind::TRANSITION => self.transition(),
            kind::STALE_EVENT => Ok(Some(Event::StaleEvent {
                token: self.token()?,
                current: self.u32("generation")?,
                readiness: Readiness::from_bits(self.byte("readiness")?),
            })),
            kind::TASK_SPAWNED => Ok(Some(Event::TaskSpawned {
                task: self.task()?,
                location: StringId(self.u32("location")?),
                name: StringId(self.u32("name")?),
                poll: self.link()?,
            })),
            kind::TASK_FINISHED => {
                let task = self.task()?;
                let outcome = TaskOutcome::from_code(self.byte("outcome of a task")?);
                Ok(outcome.map(|outcome| Event::TaskFinished { task, outcome }))
            }
            kind::WAKE => self.wake(),
            kind::POLL_START => Ok(Some(Event::PollStart {
                task: self.task()?,
                number: self.number("number of a poll")?,
                wake: self.link()?,
            })),
            kind::POLL_END => self.poll_end(),
            kind::OPERATION => self.operation(),
            kind::WAIT_BEGIN => {
                let code = self.byte("target of a wait")?;
                let (target, task) = self.target(code)?;
                Ok(target.map(|target| Event::WaitBegin { task, target }))
            }
            kind::WAIT_END => {
                let code = self.byte("target of a wait")?;
                let (target, task) = self.target(code)?;
                let outcome = WaitOutcome::from_code(code >> 6);
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
            kind::SPAN_EXITED => Ok(Some(Event::SpanExited {
                span: SpanId(self.number("span")?),
                name: StringId(self.u32("name")?),
                entered: Stamp(self.ago("entry into a span")?),
                task: self.absolute_task()?,
                poll: self.link()?,
            })),
            kind::LOG => self.log(),
            kind::TEXT => self.text(),
            _ => Ok(None),
        }
    }

    fn span_entered(&mut self) -> Result<Option<Event>, DecodeError> {
        let codes = self.byte("level and texts")?;
        let (span, name) = (SpanId(self.number("span")?), StringId(self.u32("name")?));
        let (target, location) = (StringId(self.u32("target")?), StringId(self.u32("location")?));
        let (task, poll) = (self.absolute_task()?, self.link()?);
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

    fn log(&mut self) -> Result<Option<Event>, DecodeError> {
        let codes = self.byte("level and texts")?;
        let message = StringId(self.u32("message")?);
        let (target, location) = (StringId(self.u32("target")?), StringId(self.u32("location")?));
        let span = SpanId::from_word(self.number("span")?);
        let (task, poll) = (self.absolute_task()?, self.link()?);
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
        let length = self.at_most(limits::MAX_RECORD as u64, "length of a text")? as usize;
        let bytes = self.fields.take(length, "text")?;
        Ok(Fragment::from_bytes(bytes).map(|text| Event::Text { text }))
    }

    fn repeats(&mut self) -> Result<Option<Event>, DecodeError> {
        let task = self.task()?;
        let cycle = Cycle::from_code(self.byte("cycle of repeats")?);
        let count = self.u32("number of repeats")?;
        let first = Stamp(self.ago("start of repeats")?);
        let busy = self.number("time in repeats")?;
        let shortest = self.number("shortest repeat")?;
        let longest = self.number("longest repeat")?;
        Ok(cycle.map(|cycle| Event::Repeats { task, cycle, count, first, busy, shortest, longest }))
    }

    fn turn(&mut self) -> Result<Option<Event>, DecodeError> {
        let number = self.near("number of a turn", |context| &mut context.turn)?;
        let mode = TurnMode::from_code(self.byte("mode of a turn")?);
        let events = self.u32("events of a turn")?;
        let parked = Stamp(self.ago("start of a turn")?);
        Ok(mode.map(|mode| Event::Turn { number, events, mode, parked }))
    }

    fn token_claimed(&mut self) -> Result<Event, DecodeError> {
        let token = self.token()?;
        let kind = SourceKind::from_code(self.byte("kind of a source")?);
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
        let slot = self.u32("slot")?;
        let side = Side::from_code(self.byte("side of an address")?);
        let address = address(&mut self.fields)?;
        Ok(side.zip(address).map(|(side, address)| Event::TokenAddress { slot, side, address }))
    }

    fn transition(&mut self) -> Result<Option<Event>, DecodeError> {
        let token = self.token()?;
        let before = Readiness::from_bits(self.byte("readiness before")?);
        let after = Readiness::from_bits(self.byte("readiness after")?);
        let packed = self.at_most(u64::from(u32::MAX) << 4 | 0xF, "reason of a transition")?;
        let wakers = (packed >> 4) as u32;
        let reason = TransitionReason::from_code(packed as u8 & 0xF);
        Ok(reason.map(|reason| Event::Transition { token, before, after, reason, wakers }))
    }

    fn wake(&mut self) -> Result<Option<Event>, DecodeError> {
        let task = self.task()?;
        let codes = self.byte("cause of a wake")?;
        let outcome = WakeOutcome::from_code(codes >> 4 & 3);
        let cause = self.cause(codes & 0xF, codes >> 6)?;
        Ok(cause.zip(outcome).map(|(cause, outcome)| Event::Wake { task, cause, outcome }))
    }

    /// `further` is a direction or says who used a primitive.
    fn cause(&mut self, code: u8, further: u8) -> Result<Option<Cause>, DecodeError> {
        Ok(Some(match code {
            1 => {
                let (token, event) = (self.token()?, self.link()?);
                let direction = Direction::from_code(further);
                return Ok(direction.map(|direction| Cause::Io { token, direction, event }));
            }
            2 => Cause::Timer { timer: self.timer()?, fired: self.link()? },
            3 => Cause::Join { task: self.task()? },
            4 => Cause::Task { task: self.task()? },
            5 => Cause::SelfWake,
            6 => Cause::Yield,
            7 => Cause::Spawn,
            8 => Cause::Thread {
                thread: self.u32("thread of a wake")?,
                woken: Stamp(self.ago("stamp of a wake")?),
            },
            9 => Cause::Outside,
            10 => Cause::Shutdown,
            11 => {
                let primitive = self.primitive()?;
                let by = match further {
                    BY_OUTSIDE => WokenBy::Outside,
                    BY_TASK => WokenBy::Task(TaskId(self.number("task of a wake")?)),
                    BY_THREAD => WokenBy::Thread {
                        thread: self.u32("thread of a wake")?,
                        woken: Stamp(self.ago("stamp of a wake")?),
                    },
                    _ => return Ok(None),
                };
                Cause::Primitive { primitive, by }
            }
            _ => return Ok(None),
        }))
    }

    fn poll_end(&mut self) -> Result<Option<Event>, DecodeError> {
        let task = self.task()?;
        let started = Stamp(self.ago("start of a poll")?);
        let codes = self.byte("result of a poll")?;
        let operations = self.fields.u16("operations of a poll")?;
        let progress = self.fields.u16("progress of a poll")?;
        let result = PollResult::from_code(codes & 0xF);
        Ok(result.zip(Verdict::from_code(codes >> 4)).map(|(result, verdict)| Event::PollEnd {
            task,
            started,
            result,
            verdict,
            operations,
            progress,
        }))
    }

    fn operation(&mut self) -> Result<Option<Event>, DecodeError> {
        let codes = self.byte("operation")?;
        let packed = self.at_most(u64::from(u32::MAX) << 3 | 7, "result of an operation")?;
        let (subject, task) = match codes >> 4 {
            1 => (Subject::Token(self.token()?), self.optional_task()?),
            2 => (Subject::Timer(self.timer()?), self.optional_task()?),
            3 => (Subject::Task(self.task()?), self.optional_task()?),
            4 => (Subject::Primitive(self.primitive()?), self.absolute_task()?),
            _ => return Ok(None),
        };
        let poll = self.link()?;
        let operation = Operation::from_code(codes & 0xF);
        let result = result_from_words(packed as u8 & 7, (packed >> 3) as u32);
        Ok(operation.zip(result).map(|(operation, result)| Event::Operation {
            operation,
            subject,
            result,
            task,
            poll,
        }))
    }

    /// What is waited for, if it is known, and the task that waits.
    fn target(&mut self, codes: u8) -> Result<(Option<WaitFor>, Option<TaskId>), DecodeError> {
        let target = match codes & 0xF {
            1 => {
                let token = self.token()?;
                let direction = Direction::from_code(codes >> 4 & 3);
                direction.map(|direction| WaitFor::Token(token, direction))
            }
            2 => Some(WaitFor::Timer(self.timer()?)),
            3 => Some(WaitFor::Task(self.task()?)),
            4 => {
                let target = WaitFor::Primitive(self.primitive()?);
                return Ok((Some(target), self.absolute_task()?));
            }
            _ => return Ok((None, None)),
        };
        Ok((target, self.optional_task()?))
    }

    fn timer_changed(&mut self) -> Result<Option<Event>, DecodeError> {
        let timer = self.timer()?;
        let action = TimerAction::from_code(self.byte("action on a timer")?);
        let deadline_ns = self.ago("deadline")?;
        let poll = self.link()?;
        Ok(action.map(|action| Event::Timer { timer, action, deadline_ns, poll }))
    }

    #[inline]
    fn byte(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        self.fields.byte(what)
    }

    #[inline]
    fn number(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.fields.varint(what)
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
    fn ago(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        Ok(self.at.wrapping_sub(self.fields.signed(what)? as u64))
    }

    #[inline]
    fn near(
        &mut self,
        what: &'static str,
        last: impl FnOnce(&mut Context) -> &mut u64,
    ) -> Result<u64, DecodeError> {
        let distance = self.fields.signed(what)?;
        let last = last(self.context);
        *last = last.wrapping_add(distance as u64);
        Ok(*last)
    }

    #[inline]
    fn task(&mut self) -> Result<TaskId, DecodeError> {
        self.near("task", |context| &mut context.task).map(TaskId)
    }

    #[inline]
    fn timer(&mut self) -> Result<TimerId, DecodeError> {
        self.near("timer", |context| &mut context.timer).map(TimerId)
    }

    #[inline]
    fn primitive(&mut self) -> Result<PrimitiveId, DecodeError> {
        self.near("primitive", |context| &mut context.primitive).map(PrimitiveId)
    }

    #[inline]
    fn absolute_task(&mut self) -> Result<Option<TaskId>, DecodeError> {
        self.number("task").map(TaskId::from_word)
    }

    #[inline]
    fn optional_task(&mut self) -> Result<Option<TaskId>, DecodeError> {
        let number = self.number("task")?;
        if number == 0 {
            return Ok(None);
        }
        let distance = unzigzag(number - 1) as u64;
        self.context.task = self.context.task.wrapping_add(distance);
        Ok(Some(TaskId(self.context.task)))
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
    fn link(&mut self) -> Result<Option<Seq>, DecodeError> {
        let distance = self.number("link to an earlier record")?;
        Ok(if distance == 0 { None } else { self.seq.checked_sub(distance) })
    }
}
