//! What a shutdown has come to.

use super::Holder;
use crate::context;
use crate::record::Recorder;
use crate::record::strings::Strings;
use crate::task::TaskId;
use nexus_protocol::board::{TaskRow, TaskState, TokenRow};
use nexus_protocol::event::{Address, WaitFor};
use nexus_protocol::{RuntimeId, StringId, TokenId};
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// How a shutdown went: what it waited for, how long, and what was left. Printed, it says so in words, one line for each
/// guard that was left.
#[derive(Clone, Debug)]
#[must_use = "it says what has not ended"]
pub struct Report {
    awaited: usize,
    took: Duration,
    left: Vec<Left>,
}

/// Something that has not ended: who holds a guard, and what it does instead.
#[derive(Clone, Debug)]
pub struct Left {
    location: &'static Location<'static>,
    task: Option<(RuntimeId, TaskId)>,
    name: String,
    spawned: String,
    waiting_for: Option<WaitFor>,
    doing: String,
}

impl Report {
    pub(super) fn new(awaited: usize, took: Duration, left: Vec<Holder>) -> Self {
        Self { awaited, took, left: left.into_iter().map(Left::new).collect() }
    }

    /// Whether everything has ended in time.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.left.is_empty()
    }

    /// How many guards there were when the waiting began.
    #[must_use]
    pub fn awaited(&self) -> usize {
        self.awaited
    }

    /// How long it took, or how long was waited.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.took
    }

    /// What has not ended, the oldest guard first.
    #[must_use]
    pub fn left(&self) -> &[Left] {
        &self.left
    }
}

impl Left {
    fn new(holder: Holder) -> Self {
        let mut left = Self {
            location: holder.location,
            task: holder.task,
            name: String::new(),
            spawned: String::new(),
            waiting_for: None,
            doing: String::new(),
        };
        context::try_with(|core| {
            let (_, task) = holder.task.filter(|(runtime, _)| *runtime == core.id)?;
            let row = core.recorder.row_of_task(task)?;
            left.name = text(row.name);
            left.spawned = text(row.location);
            left.waiting_for = row.waiting_for;
            left.doing = doing(&row, &core.recorder);
            Some(())
        });
        left
    }

    /// Where the guard was asked for; for [`Shutdown::spawn`](super::Shutdown::spawn), where that was called.
    #[must_use]
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// The task that holds the guard: the one that was polled when it was taken, or that polls what is tracked. None if
    /// there was none, it was not polled yet, or recording is off.
    #[must_use]
    pub fn task(&self) -> Option<TaskId> {
        self.task.map(|(_, task)| task)
    }

    /// The runtime of that task.
    #[must_use]
    pub fn runtime(&self) -> Option<RuntimeId> {
        self.task.map(|(runtime, _)| runtime)
    }

    /// The task's name; empty if it has none, or none is known.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the task was spawned, as `file:line:column`; empty if that is not known.
    #[must_use]
    pub fn spawned(&self) -> &str {
        &self.spawned
    }

    /// What the task waits for, if that is something of ours and the task is of the runtime that awaited the shutdown.
    #[must_use]
    pub fn waiting_for(&self) -> Option<WaitFor> {
        self.waiting_for
    }
}

fn text(string: StringId) -> String {
    Strings::of_process().get(string.0 as usize).unwrap_or_default().to_owned()
}

/// What a task does, in words that follow its name.
fn doing(row: &TaskRow, recorder: &Recorder) -> String {
    let mut doing = match (row.state, row.waiting_for) {
        (TaskState::Polling, _) => "is being polled".to_owned(),
        (TaskState::Queued, _) => "is ready to go on".to_owned(),
        (TaskState::Finished, _) => "has ended".to_owned(),
        (TaskState::Idle, None) => "waits for something that is not known".to_owned(),
        (TaskState::Idle, Some(target)) => format!("waits for {}", wait_text(target, recorder)),
    };
    if row.state == TaskState::Idle && row.waits > 1 {
        doing.push_str(&format!(", and for {} more", row.waits - 1));
    }
    doing
}

fn wait_text(target: WaitFor, recorder: &Recorder) -> String {
    match target {
        WaitFor::Token(token, direction) => {
            format!("token {token} to become {direction}{}", token_text(token, recorder))
        }
        WaitFor::Timer(timer) => format!("timer {timer}"),
        WaitFor::Task(task) => format!("the end of task {task}"),
        WaitFor::Primitive(primitive) => format!("primitive {primitive}"),
    }
}

/// What a token is: ` (tcp-stream, peer 127.0.0.1:50123)`.
fn token_text(token: TokenId, recorder: &Recorder) -> String {
    let Some(row) = recorder.row_of_token(token) else { return String::new() };
    let TokenRow { kind, local, peer, .. } = row;
    let end = match (peer, local) {
        (Some(peer), _) => format!(", peer {}", address_text(peer)),
        (None, Some(local)) => format!(", {}", address_text(local)),
        (None, None) => String::new(),
    };
    format!(" ({kind}{end})")
}

fn address_text(address: Address) -> String {
    match address {
        Address::Inet(address) => address.to_string(),
        Address::Unix(path) => text(path),
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.task() {
            Some(task) => write!(f, "task {task}")?,
            None => f.write_str("a guard")?,
        }
        if !self.name.is_empty() {
            write!(f, " {:?}", self.name)?;
        }
        write!(f, " from {}", self.location)?;
        if !self.doing.is_empty() {
            write!(f, ": {}", self.doing)?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (awaited, took) = (self.awaited, self.took);
        match (self.left.len(), awaited) {
            (0, 0) => return f.write_str("there was nothing to wait for"),
            (0, 1) => return write!(f, "what was waited for ended within {took:.1?}"),
            (0, _) => return write!(f, "all {awaited} ended within {took:.1?}"),
            (1, _) => write!(f, "1 of {awaited} has not ended within {took:.1?}:")?,
            (left, _) => write!(f, "{left} of {awaited} have not ended within {took:.1?}:")?,
        }
        self.left.iter().try_for_each(|left| write!(f, "\n  {left}"))
    }
}
