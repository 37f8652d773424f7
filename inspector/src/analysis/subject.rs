//! Who a finding is about.

use crate::model::Strings;
use nexus_protocol::event::{Address, SourceKind};
use nexus_protocol::{PrimitiveId, StringId, TaskId, TokenId};

/// What is known of a token, for good: also after it was released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenFacts {
    /// The token.
    pub token: TokenId,
    /// What it stands for.
    pub kind: SourceKind,
    /// Its descriptor, or -1.
    pub fd: i32,
    /// Where it was claimed.
    pub location: StringId,
    /// Its own address.
    pub local: Option<Address>,
    /// That of its peer.
    pub peer: Option<Address>,
}

/// What is known of a task, for good: also after it has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskFacts {
    /// The task.
    pub task: TaskId,
    /// Its name, or the empty string.
    pub name: StringId,
    /// Where it was spawned.
    pub location: StringId,
}

/// Who a finding is about: the worst of those that it was told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A token.
    Token(TokenFacts),
    /// A task.
    Task(TaskFacts),
    /// A channel, notification or the like.
    Primitive(PrimitiveId),
    /// The loop itself.
    Loop,
}

/// What is counted together: those that came from one place in the program. Those of unknown origin stand for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Group {
    Tokens(StringId),
    Token(TokenId),
    Tasks(StringId, StringId),
    Task(TaskId),
    Primitive(PrimitiveId),
    Loop,
}

impl TokenFacts {
    /// A token of which only the number is known.
    pub(super) fn unknown(token: TokenId) -> Self {
        let (location, kind) = (StringId::EMPTY, SourceKind::Other);
        Self { token, kind, fd: -1, location, local: None, peer: None }
    }
}

impl TaskFacts {
    /// A task of which only the number is known.
    pub(super) fn unknown(task: TaskId) -> Self {
        Self { task, name: StringId::EMPTY, location: StringId::EMPTY }
    }

    /// In words: `task 12 "feed" (src/feed.rs:88)`.
    #[must_use]
    pub fn text(&self, strings: &Strings) -> String {
        let mut text = format!("task {}", self.task);
        let name = strings.get(self.name);
        if !name.is_empty() {
            text += &format!(" {name:?}");
        }
        located(text, strings.get(self.location))
    }
}

impl Subject {
    pub(super) fn group(&self) -> Group {
        match self {
            Self::Token(token) if token.location == StringId::EMPTY => Group::Token(token.token),
            Self::Token(token) => Group::Tokens(token.location),
            Self::Task(task) if task.location == StringId::EMPTY => Group::Task(task.task),
            Self::Task(task) => Group::Tasks(task.location, task.name),
            Self::Primitive(primitive) => Group::Primitive(*primitive),
            Self::Loop => Group::Loop,
        }
    }

    /// The sort of thing it is, and its number as it is written on the screen.
    #[must_use]
    pub fn id(&self) -> (&'static str, String) {
        match self {
            Self::Token(token) => ("token", token.token.to_string()),
            Self::Task(task) => ("task", task.task.to_string()),
            Self::Primitive(primitive) => ("primitive", primitive.to_string()),
            Self::Loop => ("loop", String::new()),
        }
    }

    /// Where in the program it comes from.
    #[must_use]
    pub fn location(&self) -> StringId {
        match self {
            Self::Token(token) => token.location,
            Self::Task(task) => task.location,
            Self::Primitive(_) | Self::Loop => StringId::EMPTY,
        }
    }

    /// In words: `token 7.3 (tcp-stream 127.0.0.1:9000, fd 12)`.
    #[must_use]
    pub fn text(&self, strings: &Strings) -> String {
        match self {
            Self::Token(token) => token_text(token, strings),
            Self::Task(task) => task.text(strings),
            Self::Primitive(primitive) => format!("primitive {primitive}"),
            Self::Loop => "the loop".to_owned(),
        }
    }
}

fn token_text(token: &TokenFacts, strings: &Strings) -> String {
    let mut parts = token.kind.name().to_owned();
    if let Some(address) = token.peer.or(token.local) {
        parts += &match address {
            Address::Inet(address) => format!(" {address}"),
            Address::Unix(path) => format!(" {}", strings.get(path)),
        };
    }
    if token.fd >= 0 {
        parts += &format!(", fd {}", token.fd);
    }
    located(format!("token {} ({parts})", token.token), strings.get(token.location))
}

fn located(text: String, location: &str) -> String {
    if location.is_empty() { text } else { format!("{text} at {location}") }
}
