//! Lines of snapshots.

use super::{Fault, Intern, Target, Text, Token, Words, address, moment, target};
use crate::board::{
    Activity, Snapshot, TaskCounters, TaskRow, TaskState, TokenCounters, TokenRow, Totals,
    total_word,
};
use crate::event::{Address, Cause, SourceKind, TaskOutcome};
use crate::ids::{RuntimeId, Seq, Stamp, TaskId};
use crate::trace::json::board::total_key;
use serde::Deserialize;
use std::collections::HashMap;

#[derive(Deserialize)]
pub(in crate::trace::json) struct SnapshotLine<'a> {
    runtime: u32,
    taken_ns: u64,
    #[serde(borrow)]
    activity: Text<'a>,
    task: Option<u64>,
    since_ns: u64,
    #[serde(borrow)]
    totals: HashMap<&'a str, u64>,
    #[serde(borrow)]
    tokens: Vec<TokenObject<'a>>,
    #[serde(borrow)]
    tasks: Vec<TaskObject<'a>>,
}

#[derive(Deserialize)]
struct TokenObject<'a> {
    token: Token,
    next_seq: Seq,
    #[serde(borrow)]
    source: Text<'a>,
    fd: Option<i32>,
    interest: Words,
    readiness: Words,
    owner: Option<u64>,
    #[serde(borrow)]
    location: Text<'a>,
    claimed_ns: u64,
    last_active_ns: Option<u64>,
    read_closed_ns: Option<u64>,
    #[serde(borrow)]
    local: Option<Text<'a>>,
    #[serde(borrow)]
    peer: Option<Text<'a>>,
    waiters_readable: u32,
    waiters_writable: u32,
    counters: TokenCountersObject,
    changing: bool,
}

#[derive(Deserialize)]
struct TokenCountersObject {
    events: u64,
    wakes: u64,
    spurious: u64,
    stale: u64,
    operations: u64,
    would_block: u64,
    not_ready: u64,
    errors: u64,
    bytes_in: u64,
    bytes_out: u64,
}

#[derive(Deserialize)]
struct TaskObject<'a> {
    task: u64,
    next_seq: Seq,
    #[serde(borrow)]
    state: Text<'a>,
    #[serde(borrow)]
    outcome: Option<Text<'a>>,
    #[serde(borrow)]
    location: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    spawned_ns: u64,
    since_ns: u64,
    #[serde(borrow)]
    last_wake: Option<Text<'a>>,
    #[serde(borrow)]
    waiting_for: Option<TargetObject<'a>>,
    waits: u32,
    counters: TaskCountersObject,
    changing: bool,
}

#[derive(Deserialize)]
struct TargetObject<'a> {
    token: Option<Token>,
    #[serde(borrow)]
    direction: Option<Text<'a>>,
    timer: Option<u64>,
    joined_task: Option<u64>,
    primitive: Option<u64>,
}

#[derive(Deserialize)]
struct TaskCountersObject {
    polls: u64,
    wakes: u64,
    redundant: u64,
    self_wakes: u64,
    spurious: u64,
    unattributed: u64,
    operations: u64,
    progress: u64,
    busy_ns: u64,
    wasted_ns: u64,
    longest_ns: u64,
    waited_ns: u64,
}

impl SnapshotLine<'_> {
    /// The snapshot. Tasks in a state that is not known here are left out.
    pub(in crate::trace::json) fn snapshot(
        self,
        intern: &mut dyn Intern,
    ) -> Result<Snapshot, Fault> {
        let mut words = [0; total_word::COUNT];
        for (word, name) in words.iter_mut().zip(Totals::NAMES) {
            // A total that an older writer did not know stays zero.
            *word = self.totals.get(total_key(name)).copied().unwrap_or(0);
        }
        let activity = match &*self.activity.0 {
            "outside" => Activity::Outside,
            "parked" => Activity::Parked,
            "polling" => Activity::Polling(TaskId(super::need(self.task, "task")?)),
            _ => Activity::Turning,
        };
        let tokens =
            self.tokens.into_iter().map(|row| row.row(intern)).collect::<Result<_, _>>()?;
        let mut tasks = Vec::with_capacity(self.tasks.len());
        for row in self.tasks {
            tasks.extend(row.row(intern)?);
        }
        Ok(Snapshot {
            runtime: RuntimeId(self.runtime),
            taken: Stamp(self.taken_ns),
            activity,
            since: Stamp(self.since_ns),
            totals: Totals::from_words(&words),
            tokens,
            tasks,
        })
    }
}

fn end(text: Option<Text<'_>>, intern: &mut dyn Intern) -> Result<Option<Address>, Fault> {
    text.map(|text| address(&text.0, intern)).transpose()
}

impl TokenObject<'_> {
    fn row(self, intern: &mut dyn Intern) -> Result<TokenRow, Fault> {
        Ok(TokenRow {
            next_seq: self.next_seq,
            token: self.token.0,
            kind: SourceKind::from_name(&self.source.0).unwrap_or(SourceKind::Other),
            fd: self.fd.unwrap_or(-1),
            interest: self.interest.interest,
            readiness: self.readiness.readiness,
            owner: self.owner.map(TaskId),
            location: intern.intern(&self.location.0),
            claimed: Stamp(self.claimed_ns),
            last_active: moment(self.last_active_ns),
            read_closed: moment(self.read_closed_ns),
            local: end(self.local, intern)?,
            peer: end(self.peer, intern)?,
            waiters_readable: self.waiters_readable,
            waiters_writable: self.waiters_writable,
            counters: self.counters.into(),
            changing: self.changing,
        })
    }
}

impl From<TokenCountersObject> for TokenCounters {
    fn from(object: TokenCountersObject) -> Self {
        Self {
            events: object.events,
            wakes: object.wakes,
            spurious: object.spurious,
            stale: object.stale,
            operations: object.operations,
            would_block: object.would_block,
            not_ready: object.not_ready,
            errors: object.errors,
            bytes_in: object.bytes_in,
            bytes_out: object.bytes_out,
        }
    }
}

impl TaskObject<'_> {
    fn row(self, intern: &mut dyn Intern) -> Result<Option<TaskRow>, Fault> {
        let Some(state) = state(&self.state.0) else {
            return Ok(None);
        };
        let waiting_for = match self.waiting_for {
            Some(object) => target(&Target {
                token: object.token.map(|token| token.0),
                direction: &object.direction,
                timer: object.timer,
                joined_task: object.joined_task,
                primitive: object.primitive,
            })?,
            None => None,
        };
        Ok(Some(TaskRow {
            next_seq: self.next_seq,
            task: TaskId(self.task),
            state,
            outcome: self.outcome.and_then(|outcome| TaskOutcome::from_name(&outcome.0)),
            location: intern.intern(&self.location.0),
            name: intern.intern(&self.name.0),
            spawned: Stamp(self.spawned_ns),
            since: Stamp(self.since_ns),
            last_wake_cause: self.last_wake.map_or(0, |name| cause_code(&name.0)),
            waiting_for,
            waits: self.waits,
            counters: self.counters.into(),
            changing: self.changing,
        }))
    }
}

impl From<TaskCountersObject> for TaskCounters {
    fn from(object: TaskCountersObject) -> Self {
        Self {
            polls: object.polls,
            wakes: object.wakes,
            redundant: object.redundant,
            self_wakes: object.self_wakes,
            spurious: object.spurious,
            unattributed: object.unattributed,
            operations: object.operations,
            progress: object.progress,
            busy: object.busy_ns,
            wasted: object.wasted_ns,
            longest: object.longest_ns,
            waited: object.waited_ns,
        }
    }
}

fn state(name: &str) -> Option<TaskState> {
    (1..=u8::MAX).map_while(TaskState::from_code).find(|state| state.name() == name)
}

/// The code of a cause by its word, or by `code-` and the code where there is no word for it.
fn cause_code(name: &str) -> u8 {
    match Cause::NAMES.iter().position(|known| *known == name) {
        Some(code) => code as u8,
        None => name.strip_prefix("code-").and_then(|code| code.parse().ok()).unwrap_or(0),
    }
}
