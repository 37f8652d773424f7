//! Lines of events.
//!
//! All kinds share one struct of optional fields, which is filled without allocating; which of them an event needs is
//! decided by its kind.

use super::{
    Fault, Intern, Target, Text, Token, Words, address, direction, need, target, text, word,
};
use crate::event::{
    Cause, Cycle, Event, Level, Operation, OperationResult, PollResult, RefusalReason, Side,
    SourceKind, Subject, TaskOutcome, TimerAction, TransitionReason, TurnMode, Verdict, WaitFor,
    WaitOutcome, WakeOutcome, WokenBy, kind,
};
use crate::fragment::Fragment;
use crate::ids::{PrimitiveId, Seq, SpanId, Stamp, TaskId, TimerId, TokenId};
use crate::readiness::Direction;
use crate::trace::json::event::value_key;
use serde::Deserialize;

/// The fields of all kinds of event.
#[derive(Deserialize)]
pub(in crate::trace::json) struct EventLine<'a> {
    pub(in crate::trace::json) seq: Seq,
    pub(in crate::trace::json) runtime: u32,
    pub(in crate::trace::json) at_ns: u64,
    #[serde(borrow)]
    kind: Text<'a>,
    code: Option<u8>,
    token: Option<Token>,
    task: Option<u64>,
    timer: Option<u64>,
    joined_task: Option<u64>,
    primitive: Option<u64>,
    #[serde(borrow)]
    by: Option<Text<'a>>,
    by_task: Option<u64>,
    by_thread: Option<u32>,
    #[serde(borrow)]
    cause: Option<Text<'a>>,
    #[serde(borrow)]
    outcome: Option<Text<'a>>,
    #[serde(borrow)]
    direction: Option<Text<'a>>,
    #[serde(borrow)]
    operation: Option<Text<'a>>,
    #[serde(borrow)]
    result: Option<Text<'a>>,
    #[serde(borrow)]
    verdict: Option<Text<'a>>,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
    #[serde(borrow)]
    mode: Option<Text<'a>>,
    #[serde(borrow)]
    source: Option<Text<'a>>,
    #[serde(borrow)]
    side: Option<Text<'a>>,
    #[serde(borrow)]
    action: Option<Text<'a>>,
    #[serde(borrow)]
    cycle: Option<Text<'a>>,
    count: Option<u32>,
    first_ns: Option<u64>,
    busy_ns: Option<u64>,
    shortest_ns: Option<u64>,
    longest_ns: Option<u64>,
    #[serde(borrow)]
    address: Option<Text<'a>>,
    #[serde(borrow)]
    location: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    level: Option<Text<'a>>,
    #[serde(borrow)]
    target: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    span: Option<u64>,
    texts: Option<u8>,
    entered_ns: Option<u64>,
    before: Option<Words>,
    after: Option<Words>,
    readiness: Option<Words>,
    poll: Option<Seq>,
    wake: Option<Seq>,
    event: Option<Seq>,
    number: Option<u64>,
    events: Option<u32>,
    fd: Option<i32>,
    live: Option<u32>,
    errno: Option<u32>,
    slot: Option<u32>,
    wakers: Option<u32>,
    current_generation: Option<u32>,
    operations: Option<u16>,
    progress: Option<u16>,
    bytes: Option<u32>,
    messages: Option<u32>,
    accepted_fd: Option<u32>,
    value: Option<u32>,
    capacity: Option<u32>,
    growths: Option<u32>,
    parked_ns: Option<u64>,
    started_ns: Option<u64>,
    woken_ns: Option<u64>,
    deadline_ns: Option<u64>,
}

impl EventLine<'_> {
    /// The event. A kind or a word that is not known here gives [`Event::Unknown`].
    pub(in crate::trace::json) fn event(&self, intern: &mut dyn Intern) -> Result<Event, Fault> {
        if self.kind.0 == "unknown" {
            return Ok(Event::Unknown { kind: need(self.code, "code")? });
        }
        let code = kind::NAMES.iter().skip(1).position(|name| *name == self.kind.0);
        let Some(code) = code.map(|index| index as u8 + 1) else {
            return Ok(Event::Unknown { kind: u8::MAX });
        };
        Ok(self.known(code, intern)?.unwrap_or(Event::Unknown { kind: code }))
    }

    fn known(&self, code: u8, intern: &mut dyn Intern) -> Result<Option<Event>, Fault> {
        match code {
            kind::TURN => {
                let number = need(self.number, "number")?;
                let events = need(self.events, "events")?;
                let parked = Stamp(need(self.parked_ns, "parked_ns")?);
                let mode = word(&self.mode, "mode", TurnMode::from_name)?;
                Ok(mode.map(|mode| Event::Turn { number, events, mode, parked }))
            }
            kind::TOKEN_CLAIMED
            | kind::TOKEN_REGISTERED
            | kind::TOKEN_ADDRESS
            | kind::TOKEN_RELEASED
            | kind::RELEASE_REFUSED
            | kind::TRANSITION
            | kind::STALE_EVENT => self.about_a_token(code, intern),
            kind::TASK_SPAWNED | kind::TASK_FINISHED | kind::POLL_START | kind::POLL_END => {
                self.about_a_task(code, intern)
            }
            kind::WAKE => self.wake(),
            kind::OPERATION => self.operation(),
            kind::WAIT_BEGIN => {
                let task = self.task.map(TaskId);
                Ok(self.target()?.map(|target| Event::WaitBegin { task, target }))
            }
            kind::WAIT_END => {
                let task = self.task.map(TaskId);
                let outcome = word(&self.outcome, "outcome", WaitOutcome::from_name)?;
                let known = self.target()?.zip(outcome);
                Ok(known.map(|(target, outcome)| Event::WaitEnd { task, target, outcome }))
            }
            kind::TIMER => {
                let timer = TimerId(need(self.timer, "timer")?);
                let deadline_ns = need(self.deadline_ns, "deadline_ns")?;
                let action = word(&self.action, "action", TimerAction::from_name)?;
                let poll = self.poll;
                Ok(action.map(|action| Event::Timer { timer, action, deadline_ns, poll }))
            }
            kind::REPEATS => Ok(word(&self.cycle, "cycle", Cycle::from_name)?
                .map(|cycle| self.repeats(cycle))
                .transpose()?),
            kind::SPAN_ENTERED | kind::SPAN_EXITED | kind::LOG | kind::TEXT => {
                self.of_the_application(code, intern)
            }
            kind::FREELIST_GROWN => Ok(Some(Event::FreelistGrown {
                capacity: need(self.capacity, "capacity")?,
                live: need(self.live, "live")?,
                growths: need(self.growths, "growths")?,
            })),
            _ => Ok(None),
        }
    }

    fn about_a_token(&self, code: u8, intern: &mut dyn Intern) -> Result<Option<Event>, Fault> {
        if code == kind::TOKEN_ADDRESS {
            let slot = need(self.slot, "slot")?;
            let side = word(&self.side, "side", Side::from_name)?;
            let end = self.address.as_ref().ok_or("the field \"address\" is missing")?;
            let address = address(&end.0, intern)?;
            return Ok(side.map(|side| Event::TokenAddress { slot, side, address }));
        }
        let token = self.token()?;
        Ok(Some(match code {
            kind::TOKEN_CLAIMED => Event::TokenClaimed {
                token,
                kind: word(&self.source, "source", SourceKind::from_name)?
                    .unwrap_or(SourceKind::Other),
                fd: self.fd.unwrap_or(-1),
                location: text(&self.location, "location", intern)?,
                live: need(self.live, "live")?,
            },
            kind::TOKEN_REGISTERED => Event::TokenRegistered {
                token,
                before: need(self.before, "before")?.interest,
                after: need(self.after, "after")?.interest,
                errno: need(self.errno, "errno")?,
            },
            kind::TOKEN_RELEASED => Event::TokenReleased {
                token,
                live: need(self.live, "live")?,
                errno: need(self.errno, "errno")?,
            },
            kind::RELEASE_REFUSED => {
                match word(&self.reason, "reason", RefusalReason::from_name)? {
                    Some(reason) => Event::ReleaseRefused { token, reason },
                    None => return Ok(None),
                }
            }
            kind::TRANSITION => {
                let before = need(self.before, "before")?.readiness;
                let after = need(self.after, "after")?.readiness;
                let wakers = need(self.wakers, "wakers")?;
                match word(&self.reason, "reason", TransitionReason::from_name)? {
                    Some(reason) => Event::Transition { token, before, after, reason, wakers },
                    None => return Ok(None),
                }
            }
            _ => Event::StaleEvent {
                token,
                current: need(self.current_generation, "current_generation")?,
                readiness: need(self.readiness, "readiness")?.readiness,
            },
        }))
    }

    fn about_a_task(&self, code: u8, intern: &mut dyn Intern) -> Result<Option<Event>, Fault> {
        let task = TaskId(need(self.task, "task")?);
        Ok(Some(match code {
            kind::TASK_SPAWNED => Event::TaskSpawned {
                task,
                location: text(&self.location, "location", intern)?,
                name: text(&self.name, "name", intern)?,
                poll: self.poll,
            },
            kind::TASK_FINISHED => match word(&self.outcome, "outcome", TaskOutcome::from_name)? {
                Some(outcome) => Event::TaskFinished { task, outcome },
                None => return Ok(None),
            },
            kind::POLL_START => {
                Event::PollStart { task, number: need(self.number, "number")?, wake: self.wake }
            }
            _ => {
                let started = Stamp(need(self.started_ns, "started_ns")?);
                let operations = need(self.operations, "operations")?;
                let progress = need(self.progress, "progress")?;
                let result = word(&self.result, "result", PollResult::from_name)?;
                match result.zip(word(&self.verdict, "verdict", Verdict::from_name)?) {
                    Some((result, verdict)) => {
                        Event::PollEnd { task, started, result, verdict, operations, progress }
                    }
                    None => return Ok(None),
                }
            }
        }))
    }

    fn of_the_application(
        &self,
        code: u8,
        intern: &mut dyn Intern,
    ) -> Result<Option<Event>, Fault> {
        if code == kind::TEXT {
            let text = self.text.as_ref().ok_or("the field \"text\" is missing")?;
            return Ok(Fragment::from_bytes(text.0.as_bytes()).map(|text| Event::Text { text }));
        }
        let (task, poll) = (self.task.map(TaskId), self.poll);
        if code == kind::SPAN_EXITED {
            let span = SpanId(need(self.span, "span")?);
            let name = text(&self.name, "name", intern)?;
            let entered = Stamp(need(self.entered_ns, "entered_ns")?);
            return Ok(Some(Event::SpanExited { span, name, entered, task, poll }));
        }
        let Some(level) = word(&self.level, "level", Level::from_name)? else { return Ok(None) };
        let target = text(&self.target, "target", intern)?;
        let location = text(&self.location, "location", intern)?;
        let texts = need(self.texts, "texts")?;
        if texts > 0xF {
            return Err("the field \"texts\" is out of range".into());
        }
        Ok(Some(if code == kind::LOG {
            let message = text(&self.message, "message", intern)?;
            let span = self.span.map(SpanId);
            Event::Log { level, message, target, location, span, texts, task, poll }
        } else {
            let span = SpanId(need(self.span, "span")?);
            let name = text(&self.name, "name", intern)?;
            Event::SpanEntered { span, name, target, location, level, texts, task, poll }
        }))
    }

    fn repeats(&self, cycle: Cycle) -> Result<Event, Fault> {
        Ok(Event::Repeats {
            task: TaskId(need(self.task, "task")?),
            cycle,
            count: need(self.count, "count")?,
            first: Stamp(need(self.first_ns, "first_ns")?),
            busy: need(self.busy_ns, "busy_ns")?,
            shortest: need(self.shortest_ns, "shortest_ns")?,
            longest: need(self.longest_ns, "longest_ns")?,
        })
    }

    fn wake(&self) -> Result<Option<Event>, Fault> {
        let task = TaskId(need(self.task, "task")?);
        let outcome = word(&self.outcome, "outcome", WakeOutcome::from_name)?;
        let cause = self.cause.as_ref().ok_or("the field \"cause\" is missing")?;
        let cause = match &*cause.0 {
            "io" => self
                .direction()?
                .zip(Some(self.token()?))
                .map(|(direction, token)| Cause::Io { token, direction, event: self.event }),
            "timer" => {
                Some(Cause::Timer { timer: TimerId(need(self.timer, "timer")?), fired: self.event })
            }
            "join" => Some(Cause::Join { task: TaskId(need(self.joined_task, "joined_task")?) }),
            "task" => Some(Cause::Task { task: TaskId(need(self.by_task, "by_task")?) }),
            "self" => Some(Cause::SelfWake),
            "yield" => Some(Cause::Yield),
            "spawn" => Some(Cause::Spawn),
            "thread" => Some(Cause::Thread {
                thread: need(self.by_thread, "by_thread")?,
                woken: Stamp(need(self.woken_ns, "woken_ns")?),
            }),
            "outside" => Some(Cause::Outside),
            "shutdown" => Some(Cause::Shutdown),
            "primitive" => {
                let primitive = PrimitiveId(need(self.primitive, "primitive")?);
                let by = self.by.as_ref().ok_or("the field \"by\" is missing")?;
                let by = match &*by.0 {
                    "outside" => Some(WokenBy::Outside),
                    "task" => Some(WokenBy::Task(TaskId(need(self.by_task, "by_task")?))),
                    "thread" => Some(WokenBy::Thread {
                        thread: need(self.by_thread, "by_thread")?,
                        woken: Stamp(need(self.woken_ns, "woken_ns")?),
                    }),
                    _ => None,
                };
                by.map(|by| Cause::Primitive { primitive, by })
            }
            _ => None,
        };
        Ok(cause.zip(outcome).map(|(cause, outcome)| Event::Wake { task, cause, outcome }))
    }

    fn operation(&self) -> Result<Option<Event>, Fault> {
        let subject = if let Some(Token(token)) = self.token {
            Subject::Token(token)
        } else if let Some(timer) = self.timer {
            Subject::Timer(TimerId(timer))
        } else if let Some(task) = self.joined_task {
            Subject::Task(TaskId(task))
        } else if let Some(primitive) = self.primitive {
            Subject::Primitive(PrimitiveId(primitive))
        } else {
            return Err("an operation needs a token, a timer, a joined_task or a primitive".into());
        };
        let Some(operation) = word(&self.operation, "operation", Operation::from_name)? else {
            return Ok(None);
        };
        let result = self.result.as_ref().ok_or("the field \"result\" is missing")?;
        let result = match &*result.0 {
            "done" => {
                let key = value_key(operation, subject);
                let value = match key {
                    "bytes" => self.bytes,
                    "messages" => self.messages,
                    "accepted_fd" => self.accepted_fd,
                    _ => self.value,
                };
                OperationResult::Done(need(value, key)?)
            }
            "end-of-file" => OperationResult::EndOfFile,
            "error" => OperationResult::Error(need(self.errno, "errno")?),
            "would-block" => OperationResult::WouldBlock,
            "not-ready" => OperationResult::NotReady,
            _ => return Ok(None),
        };
        let task = self.task.map(TaskId);
        Ok(Some(Event::Operation { operation, subject, result, task, poll: self.poll }))
    }

    fn target(&self) -> Result<Option<WaitFor>, Fault> {
        target(&Target {
            token: self.token.as_ref().map(|token| token.0),
            direction: &self.direction,
            timer: self.timer,
            joined_task: self.joined_task,
            primitive: self.primitive,
        })
    }

    fn token(&self) -> Result<TokenId, Fault> {
        need(self.token.as_ref(), "token").map(|token| token.0)
    }

    fn direction(&self) -> Result<Option<Direction>, Fault> {
        word(&self.direction, "direction", direction)
    }
}
