//! What happened, in sentences: records, wakes, polls and chains as a person would tell them.
//!
//! Everything that comes out of here is clean.

use super::tasks::{target_text, task_text};
use crate::model::{Chain, Strings, View};
use crate::text;
use nexus_protocol::event::{
    Cause, Event, Level, Operation, OperationResult, Subject, TimerAction, Verdict, WakeOutcome,
    WokenBy,
};
use nexus_protocol::{Record, Stamp, TaskId};

/// How something is to be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// A plain fact.
    #[default]
    Plain,
    /// Of little weight.
    Quiet,
    /// As it should be.
    Good,
    /// Worth a look.
    Notice,
    /// Wrong.
    Bad,
    /// A heading.
    Heading,
}

/// A line of a panel: a word of what it is about, and what there is to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub label: String,
    /// What there is to say.
    pub text: String,
    /// How it is to be taken.
    pub tone: Tone,
}

/// A line of a panel.
#[must_use]
pub fn note(label: &str, text: impl Into<String>, tone: Tone) -> Note {
    Note { label: label.to_owned(), text: text.into(), tone }
}

/// What names are looked up in, and the moment from which times count.
#[derive(Clone, Copy, Debug)]
pub struct Speaker<'a> {
    /// The shown moment.
    pub view: &'a View,
    /// The process's strings.
    pub strings: &'a Strings,
    /// The beginning of the process, or of whatever else times are told from.
    pub origin: Stamp,
}

impl Speaker<'_> {
    /// A task, with its name.
    #[must_use]
    pub fn task(&self, task: TaskId) -> String {
        task_text(task, self.view, self.strings)
    }

    /// A moment since the beginning, to the microsecond.
    #[must_use]
    pub fn moment(&self, at: Stamp) -> String {
        crate::ui::widget::axis::moment(at.since(self.origin), 1_000)
    }

    /// Why a task was woken: `token 7.3 became readable`.
    #[must_use]
    pub fn cause(&self, cause: &Cause) -> String {
        match *cause {
            Cause::Io { token, direction, .. } => format!("token {token} {direction}"),
            Cause::Timer { timer, .. } => format!("timer {timer}"),
            Cause::Join { task } => format!("{} finished", self.task(task)),
            Cause::Task { task } => format!("woken by {}", self.task(task)),
            Cause::SelfWake => "woke itself".to_owned(),
            Cause::Yield => "yielded".to_owned(),
            Cause::Spawn => "spawned".to_owned(),
            Cause::Thread { thread, .. } => format!("woken by thread {thread}"),
            Cause::Outside => "woken from outside of any poll".to_owned(),
            Cause::Shutdown => "aborted or shut down".to_owned(),
            Cause::Primitive { primitive, by } => match by {
                WokenBy::Outside => format!("primitive {primitive}, used outside of any poll"),
                WokenBy::Task(task) => format!("primitive {primitive}, by {}", self.task(task)),
                WokenBy::Thread { thread, .. } => {
                    format!("primitive {primitive}, by thread {thread}")
                }
            },
        }
    }

    /// What came of a wake, if that is worth a word.
    #[must_use]
    pub fn outcome(outcome: WakeOutcome) -> (&'static str, Tone) {
        match outcome {
            WakeOutcome::Queued => ("queued", Tone::Plain),
            WakeOutcome::Redundant => ("redundant: it was queued already", Tone::Notice),
            WakeOutcome::Dead => ("dead: the task had finished", Tone::Notice),
        }
    }

    /// One operation with its result: `read 7.3 → 512 bytes`.
    #[must_use]
    pub fn operation(&self, record: &Record) -> Option<String> {
        let Event::Operation { operation, subject, result, .. } = record.event else { return None };
        let on = match subject {
            Subject::Token(token) => token.to_string(),
            Subject::Timer(timer) => format!("timer {timer}"),
            Subject::Task(task) => self.task(task),
            Subject::Primitive(primitive) => format!("on primitive {primitive}"),
        };
        let verb =
            if matches!(operation, Operation::Timer) { "wait for" } else { operation.name() };
        Some(format!("{verb} {on} → {}", result_text(operation, subject, result)))
    }

    /// The event behind a wake.
    fn origin_of(&self, record: &Record) -> String {
        match record.event {
            Event::Transition { token, before, after, reason, .. } => {
                format!("token {token}: {before} → {after} ({reason})")
            }
            Event::Timer { timer, action: TimerAction::Fired, deadline_ns, .. } => {
                let late = record.at.since(Stamp(deadline_ns));
                format!("timer {timer} fired, {} after its deadline", text::duration_ns(late))
            }
            _ => format!("record {}", record.seq),
        }
    }

    /// The chain of a poll, link by link: event, wake, poll, operations, and a verdict.
    #[must_use]
    pub fn chain(&self, chain: &Chain) -> Vec<Note> {
        let mut notes = Vec::new();
        if let Some(event) = &chain.event {
            let told = format!("{}  at {}", self.origin_of(event), self.moment(event.at));
            notes.push(note("event", told, Tone::Plain));
        }
        notes.extend(self.wake_notes(chain));
        notes.extend(self.poll_note(chain));
        notes.extend(self.operation_note(chain));
        notes.extend(self.said_notes(chain));
        if chain.incomplete {
            let why = "records of this chain were lost, left out, or are no longer kept";
            notes.push(note("", why, Tone::Notice));
        }
        notes
    }

    fn wake_notes(&self, chain: &Chain) -> Vec<Note> {
        let told = |record: &Record| match &record.event {
            Event::Wake { task, cause, outcome } => {
                let (outcome, tone) = Self::outcome(*outcome);
                Some((format!("{} → {} {outcome}", self.cause(cause), self.task(*task)), tone))
            }
            Event::Repeats { task, cycle, count, .. } => {
                let times = text::count(u64::from(*count));
                let why = self.cause(&cycle.cause());
                Some((
                    format!("{why}, as {times} times before → {}", self.task(*task)),
                    Tone::Plain,
                ))
            }
            _ => None,
        };
        let mut notes = Vec::new();
        if let Some((mut text, tone)) = chain.wake.as_ref().and_then(told) {
            if let (Some(wake), Some(start)) = (&chain.wake, &chain.start) {
                let waited = text::duration_ns(start.at.since(wake.at));
                text.push_str(&format!(", polled {waited} later"));
            }
            notes.push(note("wake", text, tone));
        }
        match chain.redundant.as_slice() {
            [] => {}
            [one] => {
                let cause = match &one.event {
                    Event::Wake { cause, .. } => self.cause(cause),
                    _ => String::new(),
                };
                notes.push(note("also", format!("a redundant wake: {cause}"), Tone::Notice));
            }
            many => {
                let text = format!("{} redundant wakes", many.len());
                notes.push(note("also", text, Tone::Notice));
            }
        }
        notes
    }

    fn poll_note(&self, chain: &Chain) -> Option<Note> {
        let number = match chain.start.map(|record| record.event) {
            Some(Event::PollStart { number, .. }) => format!("number {} ", text::count(number)),
            _ => String::new(),
        };
        if let Some(told) = chain.start.as_ref().and_then(|record| self.repeats_text(record)) {
            return Some(note("polls", told.0, told.1));
        }
        let Some(end) = chain.end else {
            return Some(note("poll", format!("{number}is under way"), Tone::Notice));
        };
        let Event::PollEnd { started, result, verdict, .. } = end.event else { return None };
        let took = text::duration_ns(end.at.since(started));
        let (judged, tone) = verdict_text(verdict);
        let text = format!("{number}took {took}, {result}: {judged}");
        Some(note("poll", text, tone))
    }

    /// Polls that were recorded as one, and their verdict.
    fn repeats_text(&self, record: &Record) -> Option<(String, Tone)> {
        let Event::Repeats { cycle, count, first, busy, shortest, longest, .. } = record.event
        else {
            return None;
        };
        let (judged, tone) = verdict_text(cycle.verdict());
        let told = format!(
            "{} in {}, in each of which it {}; busy {}, {} to {} each: {judged}",
            text::count(u64::from(count)),
            text::duration_ns(record.at.since(first)),
            self.cause(&cycle.cause()),
            text::duration_ns(busy),
            text::duration_ns(shortest),
            text::duration_ns(longest),
        );
        Some((told, tone))
    }

    fn operation_note(&self, chain: &Chain) -> Option<Note> {
        const SHOWN: usize = 6;
        chain.start?;
        if chain.operations.is_empty() {
            return Some(note("did", "no operation of ours", Tone::Quiet));
        }
        let mut told: Vec<String> = chain
            .operations
            .iter()
            .take(SHOWN)
            .filter_map(|record| self.operation(record))
            .collect();
        if let Some(more) = chain.operations.len().checked_sub(SHOWN).filter(|&more| more > 0) {
            told.push(format!("{more} more"));
        }
        Some(note("did", told.join("; "), Tone::Plain))
    }

    /// What the application said in a poll, and behind that the spans that it entered there.
    fn said_notes(&self, chain: &Chain) -> Vec<Note> {
        const SHOWN: usize = 8;
        let (mut said, mut spans) = (Vec::<Note>::new(), Vec::<Note>::new());
        let (mut entered, mut more) = (Vec::new(), 0);
        // What a piece of text belongs to.
        let mut last_is_span = false;
        for record in &chain.others {
            match record.event {
                Event::Log { .. } | Event::SpanEntered { .. }
                    if said.len() + spans.len() == SHOWN =>
                {
                    more += 1;
                }
                Event::Log { level, .. } => {
                    let text = self.said(record).unwrap_or_default();
                    said.push(note(level.name(), text, level_tone(level)));
                    last_is_span = false;
                }
                Event::SpanEntered { span, name, texts, .. } => {
                    entered.push((span, spans.len()));
                    let name = text::clean(self.strings.get(name));
                    let space = if texts == 0 { "" } else { " " };
                    spans.push(note("span", format!("{name}{space}"), Tone::Quiet));
                    last_is_span = true;
                }
                Event::SpanExited { span, entered: since, .. } => {
                    let known = entered.iter().rposition(|&(known, _)| known == span);
                    if let Some((_, index)) = known.map(|index| entered.remove(index)) {
                        let took = text::duration_ns(record.at.since(since));
                        spans[index].text.push_str(&format!(", for {took}"));
                    }
                }
                Event::Text { text: piece } if more == 0 => {
                    let told = if last_is_span { spans.last_mut() } else { said.last_mut() };
                    if let Some(told) = told {
                        told.text.push_str(&text::clean(piece.as_str()));
                    }
                }
                _ => {}
            }
        }
        said.append(&mut spans);
        if more > 0 {
            said.push(note("", format!("and {more} more lines and spans"), Tone::Quiet));
        }
        said
    }

    /// The beginning of what the application said: which part of it, and the message. Texts follow, if there are any.
    fn said(&self, record: &Record) -> Option<String> {
        let Event::Log { message, target, texts, .. } = record.event else { return None };
        let target = text::clean(self.strings.get(target));
        let message = text::clean(self.strings.get(message));
        let space = if message.is_empty() || texts == 0 { "" } else { " " };
        Some(format!("{target}: {message}{space}"))
    }

    /// What the application said as a line of a list, with its texts: when, how much it matters, what.
    #[must_use]
    pub fn said_line(&self, record: &Record, texts: &str) -> Option<Note> {
        let Event::Log { level, .. } = record.event else { return None };
        let told = format!("{level} {}{}", self.said(record)?, text::clean(texts));
        Some(note(&self.moment(record.at), told, level_tone(level)))
    }

    /// A wake of a task as a line of a list: when, why, what came of it.
    #[must_use]
    pub fn task_wake(&self, record: &Record) -> Option<Note> {
        match &record.event {
            Event::Wake { cause, outcome, .. } => {
                Some(self.wake_line(record, self.cause(cause), *outcome))
            }
            Event::Repeats { cycle, count, .. } => {
                let times = text::count(u64::from(*count));
                let text = format!("{} {times} times", self.cause(&cycle.cause()));
                Some(self.wake_line(record, text, WakeOutcome::Queued))
            }
            _ => None,
        }
    }

    /// A wake by a token as a line of a list: when, by which direction, whom, what came of it.
    #[must_use]
    pub fn token_wake(&self, record: &Record) -> Option<Note> {
        let Event::Wake { task, cause: Cause::Io { direction, .. }, outcome } = &record.event
        else {
            return None;
        };
        Some(self.wake_line(record, format!("{direction} → {}", self.task(*task)), *outcome))
    }

    fn wake_line(&self, record: &Record, text: String, outcome: WakeOutcome) -> Note {
        let (outcome, tone) = match outcome {
            WakeOutcome::Queued => ("", Tone::Plain),
            WakeOutcome::Redundant => (", redundant", Tone::Notice),
            WakeOutcome::Dead => (", dead", Tone::Notice),
        };
        note(&self.moment(record.at), text + outcome, tone)
    }

    /// What a task waits for.
    #[must_use]
    pub fn waiting(&self, target: nexus_protocol::event::WaitFor) -> String {
        target_text(target)
    }
}

/// How something that the application says is to be taken.
fn level_tone(level: Level) -> Tone {
    match level {
        Level::Error => Tone::Bad,
        Level::Warn => Tone::Notice,
        Level::Info => Tone::Plain,
        Level::Debug | Level::Trace => Tone::Quiet,
    }
}

/// How a poll is judged, in words.
#[must_use]
pub fn verdict_text(verdict: Verdict) -> (&'static str, Tone) {
    match verdict {
        Verdict::Progress => ("progress", Tone::Good),
        Verdict::Spurious => ("spurious, it achieved nothing", Tone::Bad),
        Verdict::Unattributed => {
            ("no progress, but a foreign waker may have had a reason", Tone::Notice)
        }
        Verdict::Excused => ("no progress, and nothing wrong with that", Tone::Quiet),
    }
}

fn result_text(operation: Operation, subject: Subject, result: OperationResult) -> String {
    let through_channel = matches!(subject, Subject::Primitive(_));
    match result {
        OperationResult::Done(messages)
            if through_channel && matches!(operation, Operation::Receive | Operation::Send) =>
        {
            let plural = if messages == 1 { "" } else { "s" };
            format!("{} message{plural}", text::count(u64::from(messages)))
        }
        OperationResult::Done(bytes) => match operation {
            Operation::Read | Operation::Write | Operation::Receive | Operation::Send => {
                format!("{} bytes", text::count(u64::from(bytes)))
            }
            Operation::Accept => format!("fd {bytes}"),
            _ => "done".to_owned(),
        },
        OperationResult::EndOfFile if through_channel => "closed".to_owned(),
        OperationResult::EndOfFile => "end of file".to_owned(),
        OperationResult::Error(errno) => {
            std::io::Error::from_raw_os_error(errno as i32).to_string()
        }
        OperationResult::WouldBlock => "would-block".to_owned(),
        OperationResult::NotReady => "not-ready".to_owned(),
    }
}
