//! What a snapshot says that the records did not: the difference between the board and the state that was followed to
//! the same record.
//!
//! While every record arrives, that is next to nothing (counts of which no record tells, rows that were copied a few
//! records later), so keeping corrections instead of whole snapshots is what makes many of them affordable. After a
//! gap, a correction holds all that changed meanwhile.
//!
//! Times are compared with a tolerance: a row whose sums of nanoseconds differ by rounding is left as it is.

use super::limits::Limits;
use super::state::{State, TaskEntry};
use super::view::Certainty;
use nexus_protocol::board::{Activity, Snapshot, TaskRow, TaskState, TokenRow, Totals, total_word};
use nexus_protocol::{Seq, Stamp, TaskId};
use std::collections::BTreeSet;

/// The difference that one snapshot made.
#[derive(Clone, Debug)]
pub(super) struct Correction {
    /// The record before which it belongs: the snapshot's totals take all records below this one into account.
    pub(super) next_seq: Seq,
    /// When the snapshot was taken.
    pub(super) taken: Stamp,
    activity: Activity,
    since: Stamp,
    totals: Totals,
    tokens: Vec<TokenRow>,
    released: Vec<u32>,
    tasks: Vec<TaskRow>,
    ended: Vec<TaskId>,
    needed: bool,
}

impl Correction {
    /// The difference between `state`, which has to stand at the snapshot's place, and `snapshot`.
    pub(super) fn between(state: &State, snapshot: &Snapshot, limits: &Limits) -> Self {
        let next_seq = snapshot.totals.recorded;
        let complete = state.certainty == Certainty::Exact && state.next_seq == next_seq;
        let known_tokens: BTreeSet<u32> =
            snapshot.tokens.iter().map(|row| row.token.slot).collect();
        let known_tasks: BTreeSet<TaskId> = snapshot.tasks.iter().map(|row| row.task).collect();
        // Rows that the board has no room for, or that were gone when their turn to be copied came, are live all the
        // same at this record; their end will be told.
        let keep_tokens = complete && (snapshot.tokens.len() as u64) < snapshot.totals.live;
        let keep_tasks = complete && (snapshot.tasks.len() as u64) < snapshot.totals.tasks();
        // A row that was copied while it changed is no better than one that was followed from a whole copy.
        let tokens: Vec<TokenRow> = snapshot
            .tokens
            .iter()
            .take(limits.rows)
            .filter(|theirs| match state.tokens.get(&theirs.token.slot) {
                Some(ours) if complete && theirs.changing => ours.changing,
                Some(ours) => !token_agrees(ours, theirs, next_seq),
                None => true,
            })
            .copied()
            .collect();
        let tasks: Vec<TaskRow> = snapshot
            .tasks
            .iter()
            .take(limits.rows)
            .filter(|theirs| match state.tasks.get(&theirs.task) {
                Some(ours) if complete && theirs.changing => ours.row.changing,
                Some(ours) => !task_agrees(&ours.row, theirs, next_seq),
                None => true,
            })
            .copied()
            .collect();
        let released: Vec<u32> = state
            .tokens
            .keys()
            .filter(|slot| !keep_tokens && !known_tokens.contains(slot))
            .copied()
            .collect();
        let ended: Vec<TaskId> = state
            .tasks
            .keys()
            .filter(|task| !keep_tasks && !known_tasks.contains(task))
            .copied()
            .collect();
        let same_rows =
            tokens.is_empty() && tasks.is_empty() && released.is_empty() && ended.is_empty();
        let totals =
            if complete { settle_totals(&state.totals, &snapshot.totals) } else { snapshot.totals };
        let same_totals = totals_agree(&state.totals, &totals);
        let same_activity =
            state.activity == snapshot.activity && stamps_agree(state.since, snapshot.since);
        let needed = !(complete && same_rows && same_totals && same_activity);
        Self {
            next_seq,
            taken: snapshot.taken,
            activity: snapshot.activity,
            since: snapshot.since,
            totals,
            tokens,
            released,
            tasks,
            ended,
            needed,
        }
    }

    /// Whether applying it would make a difference.
    pub(super) fn is_needed(&self) -> bool {
        self.needed
    }

    /// How much it holds, in rows; its own size counts as two.
    pub(super) fn rows(&self) -> usize {
        2 + self.tokens.len() + self.tasks.len() + (self.released.len() + self.ended.len()) / 16
    }

    /// Makes the difference, as far as rows may be kept.
    pub(super) fn apply(&self, state: &mut State, limits: &Limits) {
        state.next_seq = state.next_seq.max(self.next_seq);
        state.at = state.at.max(self.taken);
        state.certainty = Certainty::Exact;
        state.activity = self.activity;
        state.since = self.since;
        state.totals = self.totals;
        for slot in &self.released {
            state.tokens.remove(slot);
        }
        for task in &self.ended {
            state.tasks.remove(task);
        }
        for row in &self.tokens {
            let slot = row.token.slot;
            if state.tokens.len() < limits.rows || state.tokens.contains_key(&slot) {
                state.tokens.insert(slot, *row);
            }
        }
        for row in &self.tasks {
            if state.tasks.len() >= limits.rows && !state.tasks.contains_key(&row.task) {
                continue;
            }
            let fresh = TaskEntry::from(*row);
            let entry = match state.tasks.get(&row.task) {
                // What stands in no row is kept, as far as it fits; a row that knows of later records need not.
                Some(known) if row.next_seq > self.next_seq => TaskEntry { row: *row, ..*known },
                Some(known) => TaskEntry {
                    queued: match row.state {
                        TaskState::Queued => known.queued.or(fresh.queued),
                        TaskState::Polling => known.queued,
                        TaskState::Idle | TaskState::Finished => None,
                    },
                    answering: known.answering.filter(|_| row.state == TaskState::Polling),
                    ..fresh
                },
                None => fresh,
            };
            state.tasks.insert(row.task, entry);
        }
    }
}

/// The larger of a microsecond and a four-thousandth: what rounding and the refinement of the clock's rate may change.
fn tolerance(value: u64) -> u64 {
    1_000 + (value >> 12)
}

fn agree(ours: u64, theirs: u64) -> bool {
    ours.abs_diff(theirs) <= tolerance(theirs)
}

fn stamps_agree(ours: Stamp, theirs: Stamp) -> bool {
    ours.is_never() == theirs.is_never() && ours.0.abs_diff(theirs.0) <= 1_000
}

/// Takes over what agrees, so that plain equality can judge the rest.
fn settle_stamp(ours: &mut Stamp, theirs: Stamp) {
    if stamps_agree(*ours, theirs) {
        *ours = theirs;
    }
}

fn settle(ours: &mut u64, theirs: u64) {
    if agree(*ours, theirs) {
        *ours = theirs;
    }
}

/// Numbers of records that are both behind mean the same: the row knows of everything before.
fn settle_seq(ours: &mut Seq, theirs: Seq, next_seq: Seq) {
    if (*ours).max(theirs) <= next_seq {
        *ours = theirs;
    }
}

fn token_agrees(ours: &TokenRow, theirs: &TokenRow, next_seq: Seq) -> bool {
    let mut ours = *ours;
    settle_seq(&mut ours.next_seq, theirs.next_seq, next_seq);
    settle_stamp(&mut ours.claimed, theirs.claimed);
    settle_stamp(&mut ours.last_active, theirs.last_active);
    settle_stamp(&mut ours.read_closed, theirs.read_closed);
    ours == *theirs
}

fn task_agrees(ours: &TaskRow, theirs: &TaskRow, next_seq: Seq) -> bool {
    let mut ours = *ours;
    settle_seq(&mut ours.next_seq, theirs.next_seq, next_seq);
    settle_stamp(&mut ours.spawned, theirs.spawned);
    settle_stamp(&mut ours.since, theirs.since);
    let (mine, other) = (&mut ours.counters, &theirs.counters);
    settle(&mut mine.busy, other.busy);
    settle(&mut mine.wasted, other.wasted);
    settle(&mut mine.longest, other.longest);
    settle(&mut mine.waited, other.waited);
    ours == *theirs
}

/// The best of two totals for the same record. When the thread is held up in the middle of a record, some words of a
/// copy are already younger than the rest. Such a count is too high, never too low, and so is one that was followed
/// from such a copy: the lower one is right. Everything else is as the board says: what can fall again, what has no records, and times, which
/// a better known clock may change either way.
fn settle_totals(ours: &Totals, theirs: &Totals) -> Totals {
    use total_word as at;
    let (mine, mut words) = (ours.to_words(), theirs.to_words());
    for (word, value) in words.iter_mut().enumerate() {
        let can_fall_or_has_no_records = matches!(
            word,
            at::LIVE
                | at::CAPACITY
                | at::GROWTHS
                | at::TIMERS
                | at::QUEUED
                | at::TOKENS_WITHOUT_ROW
                | at::TASKS_WITHOUT_ROW
                | at::REDUNDANT
                | at::DEAD
                | at::REMOTE
        );
        let is_time = matches!(word, at::BUSY | at::WASTED | at::PARKED);
        if !can_fall_or_has_no_records && !is_time {
            *value = (*value).min(mine[word]);
        }
    }
    Totals::from_words(&words)
}

fn totals_agree(ours: &Totals, theirs: &Totals) -> bool {
    let mut ours = *ours;
    settle(&mut ours.busy, theirs.busy);
    settle(&mut ours.wasted, theirs.wasted);
    settle(&mut ours.parked, theirs.parked);
    ours == *theirs
}
