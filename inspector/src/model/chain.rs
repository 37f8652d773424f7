//! Why a poll happened: event → wake → poll → operations, followed by the numbers that records name.
//!
//! Nothing here is guessed from stamps. Where a record names none, or the named one is not kept, the chain says that it
//! is incomplete.

use super::history::History;
use super::lane::LaneIndex;
use nexus_protocol::event::{Cause, Event, TransitionReason, WakeOutcome};
use nexus_protocol::{Record, Seq, TaskId};
use std::collections::BTreeMap;

/// How many records are looked at for a wake that answers an event, or for redundant wakes.
const REACH: usize = 65_536;

/// A poll with all that led to it and all that it did, by the numbers that the records name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Whose poll.
    pub task: TaskId,
    /// The transition or timer behind the wake. None also for wakes that have none: a spawn, a yield, another task.
    pub event: Option<Record>,
    /// The wake that queued the task.
    pub wake: Option<Record>,
    /// The wakes that it answers as well, ascending.
    pub redundant: Vec<Record>,
    /// Its beginning.
    pub start: Option<Record>,
    /// The operations made in it, ascending.
    pub operations: Vec<Record>,
    /// What else was recorded in it, ascending: tasks spawned, tasks woken, waits, timers, tokens.
    pub others: Vec<Record>,
    /// Its end; none while it is under way.
    pub end: Option<Record>,
    /// Whether records of this chain are missing: lost, filtered out, or older than the history.
    pub incomplete: bool,
}

/// Finds chains.
pub(super) struct Explainer<'a> {
    pub(super) history: &'a History,
    pub(super) lanes: &'a BTreeMap<TaskId, LaneIndex>,
}

type Ends = (TaskId, Option<Seq>, Option<Seq>);

impl Explainer<'_> {
    /// The chain of the poll that the record with this number belongs to.
    pub(super) fn explain(&self, seq: Seq) -> Option<Chain> {
        let (task, start, end) = self.poll_of(seq)?;
        let start = start.map(|start| (start, self.history.get(start)));
        let end = end.and_then(|end| self.history.get(end));
        let start_record = start.and_then(|(_, record)| record);
        let mut chain = Chain {
            task,
            event: None,
            wake: None,
            redundant: Vec::new(),
            start: start_record.copied(),
            operations: Vec::new(),
            others: Vec::new(),
            end: end.copied(),
            incomplete: start_record.is_none(),
        };
        // Repeats are whole by themselves.
        if let Some(start) = start_record
            && !matches!(start.event, Event::Repeats { .. })
        {
            self.lead_up(&mut chain, start);
            self.contents(&mut chain, start.seq, end.map(|record| record.seq));
        }
        Some(chain)
    }

    /// The poll that a record belongs to: its task, start and end.
    fn poll_of(&self, seq: Seq) -> Option<Ends> {
        let record = self.history.get(seq)?;
        match record.event {
            Event::Wake { outcome: WakeOutcome::Dead, .. } => None,
            Event::Wake { task, .. } => self.after(task, seq),
            Event::Operation { poll: Some(poll), .. }
            | Event::TaskSpawned { poll: Some(poll), .. }
            | Event::Timer { poll: Some(poll), .. } => {
                let task = self.history.get(poll)?.event.task()?;
                self.around(task, poll)
            }
            Event::Transition { reason: TransitionReason::Event, .. } | Event::Timer { .. } => {
                let (task, wake) = self.wake_for(seq)?;
                self.after(task, wake)
            }
            event => match event.task() {
                Some(task) => self.around(task, seq),
                None => self.enclosing(seq),
            },
        }
    }

    /// The poll in the middle of which a record lies that names no task. Only one task is polled at a time.
    fn enclosing(&self, seq: Seq) -> Option<Ends> {
        let last = self.history.before(seq).take(REACH).find(|record| {
            let event = &record.event;
            matches!(event, Event::PollStart { .. } | Event::PollEnd { .. } | Event::Turn { .. })
        })?;
        match last.event {
            Event::PollStart { task, .. } => self.around(task, last.seq),
            _ => None,
        }
    }

    fn around(&self, task: TaskId, seq: Seq) -> Option<Ends> {
        let (start, end) = self.lanes.get(&task)?.poll_around(seq)?;
        Some((task, start, end))
    }

    fn after(&self, task: TaskId, seq: Seq) -> Option<Ends> {
        let (start, end) = self.lanes.get(&task)?.poll_after(seq)?;
        Some((task, start, end))
    }

    /// The first wake that names this transition or timer.
    fn wake_for(&self, seq: Seq) -> Option<(TaskId, Seq)> {
        self.history.after(seq).take(REACH).find_map(|record| match record.event {
            Event::Wake { task, cause, outcome } if outcome != WakeOutcome::Dead => {
                (named(cause) == Some(seq)).then_some((task, record.seq))
            }
            _ => None,
        })
    }

    fn lead_up(&self, chain: &mut Chain, start: &Record) {
        let Event::PollStart { task, wake, .. } = start.event else { return };
        let wake = wake.and_then(|wake| self.history.get(wake));
        let Some(&wake) = wake else {
            chain.incomplete = true;
            return;
        };
        chain.wake = Some(wake);
        let mut expected = start.seq;
        for record in self.history.before(start.seq).take(REACH) {
            chain.incomplete |= record.seq + 1 != expected;
            expected = record.seq;
            if record.seq <= wake.seq {
                break;
            }
            if let Event::Wake { task: woken, outcome: WakeOutcome::Redundant, .. } = record.event
                && woken == task
            {
                chain.redundant.push(*record);
            }
        }
        chain.redundant.reverse();
        if let Event::Wake { cause, .. } = wake.event {
            chain.event = named(cause).and_then(|event| self.history.get(event)).copied();
            let has_event = matches!(cause, Cause::Io { .. } | Cause::Timer { .. });
            chain.incomplete |= has_event && chain.event.is_none();
        }
    }

    fn contents(&self, chain: &mut Chain, start: Seq, end: Option<Seq>) {
        let mut expected = start;
        for record in self.history.after(start).take(REACH) {
            chain.incomplete |= record.seq != expected;
            expected = record.seq + 1;
            match record.event {
                Event::PollStart { .. } if record.seq == start => {}
                // Another poll cannot begin within this one: its end is missing.
                Event::PollStart { .. } | Event::Turn { .. } => break,
                Event::PollEnd { .. } => break,
                Event::Operation { .. } => chain.operations.push(*record),
                _ => chain.others.push(*record),
            }
        }
        chain.incomplete |= end.is_some_and(|end| expected != end + 1);
    }
}

/// The record that a cause names.
fn named(cause: Cause) -> Option<Seq> {
    match cause {
        Cause::Io { event, .. } => event,
        Cause::Timer { fired, .. } => fired,
        _ => None,
    }
}
