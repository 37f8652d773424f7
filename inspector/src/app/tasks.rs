//! The columns of the task table.

use super::table::{Column, Context, Fold};
use super::value::Value;
use crate::model::{Strings, Task, View};
use crate::text;
use crate::ui::widget::table::{Align, Column as Layout};
use nexus_protocol::TaskId;
use nexus_protocol::board::{TaskRow, TaskState};
use nexus_protocol::event::WaitFor;

/// A column of the task table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskColumn {
    /// Its number.
    Task,
    /// Its name, or where it was spawned.
    Name,
    /// What it is doing.
    State,
    /// How long it has been doing that.
    Since,
    /// What it waits for.
    WaitingFor,
    /// Polls.
    Polls,
    /// Polls a second.
    PollRate,
    /// Wakes a second.
    Wakes,
    /// Redundant wakes.
    Redundant,
    /// Wakes by itself.
    SelfWakes,
    /// Spurious polls.
    Spurious,
    /// Polls without progress that cannot be judged.
    Unattributed,
    /// Part of the time spent in its polls.
    Busy,
    /// Its longest poll.
    Longest,
    /// Mean time from a wake to the poll that answers it.
    Wait,
    /// Time since it was spawned.
    Age,
    /// Where it was spawned.
    Location,
}

impl Column for TaskColumn {
    type Row = Task;
    type Key = TaskId;

    const ALL: &'static [Self] = &[
        Self::Task,
        Self::Name,
        Self::State,
        Self::Since,
        Self::WaitingFor,
        Self::Polls,
        Self::PollRate,
        Self::Wakes,
        Self::Redundant,
        Self::SelfWakes,
        Self::Spurious,
        Self::Unattributed,
        Self::Busy,
        Self::Longest,
        Self::Wait,
        Self::Age,
        Self::Location,
    ];
    const GROUPS: &'static [Self] = &[Self::Location];

    fn rows(view: &View) -> &[Task] {
        &view.tasks
    }

    fn key(row: &Task) -> TaskId {
        row.row.task
    }

    fn layout(self) -> Layout {
        let (title, min, max, align, rank) = match self {
            Self::Task => ("task", 5, 5, Align::Right, 0),
            Self::Name => ("name", 14, 28, Align::Path, 1),
            Self::State => ("state", 7, 7, Align::Left, 2),
            Self::Since => ("since", 7, 7, Align::Right, 5),
            Self::WaitingFor => ("waits for", 14, 16, Align::Left, 3),
            Self::Polls => ("polls", 5, 5, Align::Right, 7),
            Self::PollRate => ("polls/s", 7, 7, Align::Right, 1),
            Self::Wakes => ("wk/s", 5, 5, Align::Right, 6),
            Self::Redundant => ("redun", 5, 5, Align::Right, 8),
            Self::SelfWakes => ("self", 5, 5, Align::Right, 4),
            Self::Spurious => ("spur", 5, 5, Align::Right, 2),
            Self::Unattributed => ("unatt", 5, 5, Align::Right, 8),
            Self::Busy => ("busy", 5, 5, Align::Right, 2),
            Self::Longest => ("longest", 7, 7, Align::Right, 5),
            Self::Wait => ("wake→poll", 9, 9, Align::Right, 7),
            Self::Age => ("age", 7, 7, Align::Right, 7),
            Self::Location => ("spawned at", 14, 44, Align::Path, 6),
        };
        Layout { title, min, max, align, rank }
    }

    fn value(self, task: &Task, context: Context<'_>) -> Value {
        let Task { row, rates } = task;
        let counters = &row.counters;
        let at = context.view.at;
        match self {
            Self::Task => Value::Task(row.task),
            Self::Name => Value::words(label(row, context.strings)),
            Self::State => Value::Text(row.state.name().to_owned()),
            Self::Since => Value::Duration(at.since(row.since)),
            Self::WaitingFor => row
                .waiting_for
                .filter(|_| row.state == TaskState::Idle)
                .map_or(Value::Nothing, |target| Value::Text(target_text(target))),
            Self::Polls => Value::Count(counters.polls),
            Self::PollRate => Value::Rate(rates.polls),
            Self::Wakes => Value::Rate(rates.wakes),
            Self::Redundant => Value::Count(counters.redundant),
            Self::SelfWakes => Value::Count(counters.self_wakes),
            Self::Spurious => Value::Count(counters.spurious),
            Self::Unattributed => Value::Count(counters.unattributed),
            Self::Busy => Value::Share(rates.busy),
            Self::Longest => Value::Duration(counters.longest),
            Self::Wait => mean_wait(row).map_or(Value::Nothing, Value::Duration),
            Self::Age => Value::Duration(at.since(row.spawned)),
            Self::Location => Value::words(context.strings.get(row.location)),
        }
    }

    fn group_name(self) -> &'static str {
        if self == Self::Location { "place" } else { self.layout().title }
    }

    fn fold(self) -> Fold {
        match self {
            Self::Task | Self::Name | Self::State | Self::WaitingFor | Self::Location => Fold::Same,
            Self::Since | Self::Longest | Self::Wait | Self::Age => Fold::Max,
            _ => Fold::Sum,
        }
    }
}

/// The name of a task, or where it was spawned if it has none. Not yet clean.
#[must_use]
pub fn label<'a>(row: &TaskRow, strings: &'a Strings) -> &'a str {
    match strings.get(row.name) {
        "" => strings.get(row.location),
        name => name,
    }
}

/// `task 12`, with its name behind it if it has one: how sentences speak of a task. Clean.
#[must_use]
pub fn task_text(task: TaskId, view: &View, strings: &Strings) -> String {
    match view.task_row(task).map(|row| strings.get(row.name)) {
        None | Some("") => format!("task {task}"),
        Some(name) => format!("task {task} ({})", text::clean(name)),
    }
}

/// Mean time from the wakes of a task to the polls that answered them; none before the first.
#[must_use]
pub fn mean_wait(row: &TaskRow) -> Option<u64> {
    row.counters.waited.checked_div(row.counters.wakes)
}

/// What is waited for, in words.
#[must_use]
pub fn target_text(target: WaitFor) -> String {
    match target {
        WaitFor::Token(token, direction) => format!("{token} {direction}"),
        WaitFor::Timer(timer) => format!("timer {timer}"),
        WaitFor::Task(task) => format!("task {task}"),
        WaitFor::Primitive(primitive) => format!("primitive {primitive}"),
    }
}
