//! Lines of a trace as serde sees them, and back to the types of the crate. Fields that are not known are ignored.

mod event;
mod snapshot;

use crate::event::{Address, WaitFor};
use crate::frame::{Process, RuntimeInfo};
use crate::ids::{PrimitiveId, RuntimeId, Seq, Stamp, StringId, TaskId, TimerId, TokenId};
use crate::readiness::{Direction, Interest, Readiness};
pub(super) use event::EventLine;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
pub(super) use snapshot::SnapshotLine;
use std::borrow::Cow;
use std::fmt;

/// What is wrong with a line.
pub(super) type Fault = String;

/// Numbers texts; zero for the empty one.
pub(super) trait Intern {
    fn intern(&mut self, text: &str) -> StringId;
}

/// Enough of a line to tell what it is.
#[derive(Deserialize)]
pub(super) struct Head<'a> {
    #[serde(borrow)]
    pub(super) kind: Text<'a>,
    pub(super) seq: Option<Seq>,
    pub(super) at_ns: Option<u64>,
}

/// The beginning and the end of the document, an object each.
#[derive(Deserialize)]
pub(super) struct Outside<'a> {
    pub(super) version: Option<u32>,
    pub(super) protocol: Option<u16>,
    #[serde(borrow)]
    pub(super) process: Option<ProcessObject<'a>>,
    #[serde(borrow)]
    pub(super) runtimes: Option<Vec<RuntimeObject<'a>>>,
    #[serde(borrow)]
    pub(super) summary: Option<SummaryObject<'a>>,
}

#[derive(Deserialize)]
pub(super) struct ProcessObject<'a> {
    pid: u32,
    start_time_ticks: u64,
    #[serde(borrow)]
    program: Text<'a>,
    #[serde(borrow)]
    command_line: Text<'a>,
    started_ns: u64,
    wall_offset_ns: i64,
    #[serde(borrow)]
    clock: Text<'a>,
}

impl From<ProcessObject<'_>> for Process {
    fn from(object: ProcessObject<'_>) -> Self {
        Self {
            pid: object.pid,
            start_time: object.start_time_ticks,
            program: object.program.0.into_owned(),
            command_line: object.command_line.0.into_owned(),
            started: Stamp(object.started_ns),
            wall_offset_ns: object.wall_offset_ns,
            clock: object.clock.0.into_owned(),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct RuntimeObject<'a> {
    runtime: u32,
    #[serde(borrow)]
    name: Text<'a>,
    thread: u32,
    started_ns: u64,
    ended_ns: Option<u64>,
    ring_capacity: u64,
    recorded: u64,
    tokens: u64,
    tasks: u64,
}

impl From<RuntimeObject<'_>> for RuntimeInfo {
    fn from(object: RuntimeObject<'_>) -> Self {
        Self {
            id: RuntimeId(object.runtime),
            name: object.name.0.into_owned(),
            thread: object.thread,
            started: Stamp(object.started_ns),
            ended: moment(object.ended_ns),
            ring_capacity: object.ring_capacity,
            recorded: object.recorded,
            tokens: object.tokens,
            tasks: object.tasks,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct SummaryObject<'a> {
    pub(super) runtimes: Vec<RuntimeSummaryObject>,
    #[serde(borrow)]
    pub(super) reason: Text<'a>,
}

#[derive(Deserialize)]
pub(super) struct RuntimeSummaryObject {
    pub(super) runtime: u32,
    pub(super) recorded: u64,
    pub(super) delivered: u64,
    pub(super) filtered: u64,
    pub(super) lost: u64,
    pub(super) first_seq: Seq,
    pub(super) end_seq: Seq,
}

/// `start`, `loss` and `filtered`.
#[derive(Deserialize)]
pub(super) struct RangeLine {
    pub(super) runtime: u32,
    pub(super) seq: Option<Seq>,
    pub(super) from_seq: Option<Seq>,
    pub(super) to_seq: Option<Seq>,
}

#[derive(Deserialize)]
pub(super) struct FilterLine {
    pub(super) bits: u64,
}

#[derive(Deserialize)]
pub(super) struct GoodbyeLine<'a> {
    #[serde(borrow)]
    pub(super) reason: Text<'a>,
    #[serde(borrow)]
    pub(super) text: Option<Text<'a>>,
    pub(super) server_version: Option<u16>,
}

/// A text of the observed process, borrowed if nothing in it is escaped.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// An array of words, as either of the sets they can mean. Words that are not known are dropped.
#[derive(Clone, Copy, Default)]
struct Words {
    readiness: Readiness,
    interest: Interest,
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordsVisitor;
        impl<'de> Visitor<'de> for WordsVisitor {
            type Value = Words;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of words")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<Words, A::Error> {
                let mut sets = Words::default();
                while let Some(word) = words.next_element::<Text<'de>>()? {
                    sets.readiness |= Readiness::from_name(&word.0).unwrap_or_default();
                    sets.interest |= Interest::from_name(&word.0).unwrap_or_default();
                }
                Ok(sets)
            }
        }
        deserializer.deserialize_seq(WordsVisitor)
    }
}

/// A token, written as on the screen.
struct Token(TokenId);

impl<'de> Deserialize<'de> for Token {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        text.0.parse().map(Token).map_err(de::Error::custom)
    }
}

/// A field that the kind of line needs.
fn need<T>(field: Option<T>, name: &str) -> Result<T, Fault> {
    field.ok_or_else(|| format!("the field {name:?} is missing"))
}

/// The value that a word stands for. A word that is not known is one of a later version: `Ok(None)`.
fn word<T>(
    text: &Option<Text<'_>>,
    name: &str,
    from_name: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Fault> {
    let text = text.as_ref().ok_or_else(|| format!("the field {name:?} is missing"))?;
    Ok(from_name(&text.0))
}

/// A stamp whose null means never.
fn moment(ns: Option<u64>) -> Stamp {
    Stamp(ns.unwrap_or(0))
}

fn address(text: &str, intern: &mut dyn Intern) -> Result<Address, Fault> {
    match text.strip_prefix("unix:") {
        Some(path) => Ok(Address::Unix(intern.intern(path))),
        None => text
            .parse()
            .map(Address::Inet)
            .map_err(|_| format!("{text:?} is not an address such as 127.0.0.1:80 or unix:/path")),
    }
}

fn text(text: &Option<Text<'_>>, name: &str, intern: &mut dyn Intern) -> Result<StringId, Fault> {
    match text {
        Some(text) => Ok(intern.intern(&text.0)),
        None => Err(format!("the field {name:?} is missing")),
    }
}

fn direction(name: &str) -> Option<Direction> {
    Direction::BOTH.into_iter().find(|direction| direction.name() == name)
}

/// The fields of which one says what is waited for.
struct Target<'a> {
    token: Option<TokenId>,
    direction: &'a Option<Text<'a>>,
    timer: Option<u64>,
    joined_task: Option<u64>,
    primitive: Option<u64>,
}

/// What is waited for; `Ok(None)` if it is a direction of a later version.
fn target(fields: &Target<'_>) -> Result<Option<WaitFor>, Fault> {
    if let Some(token) = fields.token {
        let direction = word(fields.direction, "direction", direction)?;
        return Ok(direction.map(|direction| WaitFor::Token(token, direction)));
    }
    let timer = fields.timer.map(|timer| WaitFor::Timer(TimerId(timer)));
    let task = fields.joined_task.map(|task| WaitFor::Task(TaskId(task)));
    let primitive = fields.primitive.map(|number| WaitFor::Primitive(PrimitiveId(number)));
    match timer.or(task).or(primitive) {
        Some(target) => Ok(Some(target)),
        None => Err("a wait needs a token, a timer, a joined_task or a primitive".into()),
    }
}
