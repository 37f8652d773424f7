//! Records as lines.

use super::board::address;
use super::object::Object;
use crate::event::{
    Cause, Event, Operation, OperationResult, Record, Subject, WaitFor, WokenBy, kind,
};
use crate::ids::RuntimeId;
use crate::strings::Strings;

/// Appends a record as an object.
#[inline]
pub(super) fn record(runtime: RuntimeId, record: &Record, strings: &Strings, out: &mut Vec<u8>) {
    let mut line = Object::open(out);
    line.number("seq", record.seq);
    line.number("runtime", runtime.0);
    line.number("at_ns", record.at.0);
    match record.event {
        Event::Unknown { kind } => {
            line.word("kind", "unknown");
            line.number("code", kind);
        }
        event => {
            line.word("kind", kind::NAMES[usize::from(event.kind())]);
            fields(&event, strings, &mut line);
        }
    }
    line.close();
}

fn fields(event: &Event, strings: &Strings, line: &mut Object<'_>) {
    match *event {
        Event::Turn { number, events, mode, parked } => {
            line.number("number", number);
            line.number("events", events);
            line.word("mode", mode.name());
            line.number("parked_ns", parked.0);
        }
        Event::TokenClaimed { token, kind, fd, location, live } => {
            line.token("token", token);
            line.word("source", kind.name());
            line.descriptor("fd", fd);
            line.text("location", strings.text(location));
            line.number("live", live);
        }
        Event::TokenRegistered { token, before, after, errno } => {
            line.token("token", token);
            line.words("before", before.names());
            line.words("after", after.names());
            line.number("errno", errno);
        }
        Event::TokenAddress { slot, side, address: end } => {
            line.number("slot", slot);
            line.word("side", side.name());
            address("address", Some(end), strings, line);
        }
        Event::TokenReleased { token, live, errno } => {
            line.token("token", token);
            line.number("live", live);
            line.number("errno", errno);
        }
        Event::ReleaseRefused { token, reason } => {
            line.token("token", token);
            line.word("reason", reason.name());
        }
        Event::Transition { token, before, after, reason, wakers } => {
            line.token("token", token);
            line.words("before", before.names());
            line.words("after", after.names());
            line.word("reason", reason.name());
            line.number("wakers", wakers);
        }
        Event::StaleEvent { token, current, readiness } => {
            line.token("token", token);
            line.number("current_generation", current);
            line.words("readiness", readiness.names());
        }
        Event::TaskSpawned { task, location, name, poll } => {
            line.number("task", task.0);
            line.text("location", strings.text(location));
            line.text("name", strings.text(name));
            line.optional("poll", poll);
        }
        Event::TaskFinished { task, outcome } => {
            line.number("task", task.0);
            line.word("outcome", outcome.name());
        }
        Event::Wake { task, cause, outcome } => {
            line.number("task", task.0);
            line.word("outcome", outcome.name());
            line.word("cause", cause.name());
            cause_fields(cause, line);
        }
        Event::PollStart { task, number, wake } => {
            line.number("task", task.0);
            line.number("number", number);
            line.optional("wake", wake);
        }
        Event::PollEnd { task, started, result, verdict, operations, progress } => {
            line.number("task", task.0);
            line.number("started_ns", started.0);
            line.word("result", result.name());
            line.word("verdict", verdict.name());
            line.number("operations", operations);
            line.number("progress", progress);
        }
        Event::Operation { operation, subject, result, task, poll } => {
            line.word("operation", operation.name());
            match subject {
                Subject::Token(token) => line.token("token", token),
                Subject::Timer(timer) => line.number("timer", timer.0),
                Subject::Task(task) => line.number("joined_task", task.0),
                Subject::Primitive(primitive) => line.number("primitive", primitive.0),
            }
            line.word("result", result.name());
            result_fields(value_key(operation, subject), result, line);
            line.task("task", task);
            line.optional("poll", poll);
        }
        Event::WaitBegin { task, target } => {
            line.task("task", task);
            target_fields(target, line);
        }
        Event::WaitEnd { task, target, outcome } => {
            line.task("task", task);
            target_fields(target, line);
            line.word("outcome", outcome.name());
        }
        Event::Timer { timer, action, deadline_ns, poll } => {
            line.number("timer", timer.0);
            line.word("action", action.name());
            line.number("deadline_ns", deadline_ns);
            line.optional("poll", poll);
        }
        Event::FreelistGrown { capacity, live, growths } => {
            line.number("capacity", capacity);
            line.number("live", live);
            line.number("growths", growths);
        }
        Event::Repeats { task, cycle, count, first, busy, shortest, longest } => {
            line.number("task", task.0);
            line.word("cycle", cycle.name());
            line.number("count", count);
            line.number("first_ns", first.0);
            line.number("busy_ns", busy);
            line.number("shortest_ns", shortest);
            line.number("longest_ns", longest);
        }
        Event::SpanEntered { span, name, target, location, level, texts, task, poll } => {
            line.number("span", span.0);
            line.text("name", strings.text(name));
            line.word("level", level.name());
            line.text("target", strings.text(target));
            line.text("location", strings.text(location));
            line.number("texts", texts);
            line.task("task", task);
            line.optional("poll", poll);
        }
        Event::SpanExited { span, name, entered, task, poll } => {
            line.number("span", span.0);
            line.text("name", strings.text(name));
            line.number("entered_ns", entered.0);
            line.task("task", task);
            line.optional("poll", poll);
        }
        Event::Log { level, message, target, location, span, texts, task, poll } => {
            line.word("level", level.name());
            line.text("message", strings.text(message));
            line.text("target", strings.text(target));
            line.text("location", strings.text(location));
            line.optional("span", span.map(|span| span.0));
            line.number("texts", texts);
            line.task("task", task);
            line.optional("poll", poll);
        }
        Event::Text { text } => line.text("text", text.as_str()),
        Event::Unknown { .. } => {}
    }
}

fn cause_fields(cause: Cause, line: &mut Object<'_>) {
    match cause {
        Cause::Io { token, direction, event } => {
            line.token("token", token);
            line.word("direction", direction.name());
            line.optional("event", event);
        }
        Cause::Timer { timer, fired } => {
            line.number("timer", timer.0);
            line.optional("event", fired);
        }
        Cause::Join { task } => line.number("joined_task", task.0),
        Cause::Task { task } => line.number("by_task", task.0),
        Cause::Thread { thread, woken } => {
            line.number("by_thread", thread);
            line.number("woken_ns", woken.0);
        }
        Cause::Primitive { primitive, by } => {
            line.number("primitive", primitive.0);
            line.word("by", by.name());
            match by {
                WokenBy::Outside => {}
                WokenBy::Task(task) => line.number("by_task", task.0),
                WokenBy::Thread { thread, woken } => {
                    line.number("by_thread", thread);
                    line.number("woken_ns", woken.0);
                }
            }
        }
        Cause::SelfWake | Cause::Yield | Cause::Spawn | Cause::Outside | Cause::Shutdown => {}
    }
}

fn result_fields(value_key: &'static str, result: OperationResult, line: &mut Object<'_>) {
    match result {
        OperationResult::Done(value) => line.number(value_key, value),
        OperationResult::Error(errno) => line.number("errno", errno),
        OperationResult::EndOfFile | OperationResult::WouldBlock | OperationResult::NotReady => {}
    }
}

/// What the number of an operation that completed says.
pub(super) fn value_key(operation: Operation, subject: Subject) -> &'static str {
    match (operation, subject) {
        (Operation::Receive | Operation::Send, Subject::Primitive(_)) => "messages",
        (Operation::Read | Operation::Write | Operation::Receive | Operation::Send, _) => "bytes",
        (Operation::Accept, _) => "accepted_fd",
        _ => "value",
    }
}

/// What is waited for, as fields of an event or of an object of its own.
pub(super) fn target_fields(target: WaitFor, line: &mut Object<'_>) {
    match target {
        WaitFor::Token(token, direction) => {
            line.token("token", token);
            line.word("direction", direction.name());
        }
        WaitFor::Timer(timer) => line.number("timer", timer.0),
        WaitFor::Task(task) => line.number("joined_task", task.0),
        WaitFor::Primitive(primitive) => line.number("primitive", primitive.0),
    }
}
