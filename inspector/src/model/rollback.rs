//! The state before the first snapshot, worked out backwards.
//!
//! An attach delivers the board of now and the history that is still in the ring. To show the moments in that history,
//! the first snapshot is taken back to its beginning: what the records count is subtracted from the rows, tokens and
//! tasks that begin in the history are left out, and those that end in it are put back. What a record does not tell
//! (the descriptor of a token that was released, say) stays unknown.
//!
//! A row that was copied while it changed is taken back like any other, but stays marked: it is right only after a
//! snapshot with a whole copy of it.
//!
//! The counting itself is [`State`]'s, applied to rows of zeros, so that going forward again arrives at the snapshot.

use super::history::Loss;
use super::limits::Limits;
use super::state::{State, TaskEntry, blank_task, blank_token};
use super::view::Certainty;
use nexus_protocol::board::{
    Activity, Snapshot, TaskCounters, TaskRow, TaskState, TokenCounters, TokenRow, Totals,
    total_word,
};
use nexus_protocol::event::{Event, Subject, TurnMode, WaitFor};
use nexus_protocol::{Interest, Readiness, Record, Seq, Stamp, TaskId, TokenId};
use std::collections::BTreeMap;

/// Where counts that can go down start in the probe, so that they stay above zero.
const OFFSET: u32 = 1 << 30;

/// The state just before the first of `records`, which are those in the history, ascending. They may go on beyond the
/// snapshot's place, for rows that were copied later than its totals.
pub(super) fn rollback<'a>(
    snapshot: &Snapshot,
    records: impl Iterator<Item = &'a Record> + Clone,
    limits: &Limits,
) -> State {
    let place = snapshot.totals.recorded;
    let before = records.clone().take_while(|record| record.seq < place);
    let Some(first) = before.clone().next() else {
        return at_snapshot(snapshot, limits);
    };
    let survey = Survey::of(before.clone());
    let mut base = survey.beginning(snapshot, first, limits);
    let mut probe = base.clone();
    for record in before {
        probe.apply(record, limits);
    }
    let counted = probe.totals;
    count_on(&mut probe, snapshot, records.skip_while(|record| record.seq < place), limits);
    subtract_totals(&mut base.totals, &counted, &snapshot.totals);
    subtract_rows(&mut base, &probe, snapshot);
    base.next_seq = first.seq;
    base.totals.recorded = first.seq;
    base.at = first.at;
    base.certainty = survey.certainty(place);
    base
}

/// The first record beyond those that the snapshot's rows know of: with all records up to it, [`rollback`] is exact.
pub(super) fn needs(snapshot: &Snapshot) -> Seq {
    let tokens = snapshot.tokens.iter().filter(|row| !row.changing).map(|row| row.next_seq);
    let tasks = snapshot.tasks.iter().filter(|row| !row.changing).map(|row| row.next_seq);
    tokens.chain(tasks).chain([snapshot.totals.recorded]).max().unwrap_or(0)
}

/// The snapshot as it is.
pub(super) fn at_snapshot(snapshot: &Snapshot, limits: &Limits) -> State {
    let mut state = State::unknown(snapshot.totals.recorded);
    state.at = snapshot.taken;
    state.certainty = Certainty::Exact;
    state.activity = snapshot.activity;
    state.since = snapshot.since;
    state.totals = snapshot.totals;
    let tokens = snapshot.tokens.iter().take(limits.rows);
    state.tokens = tokens.map(|row| (row.token.slot, *row)).collect();
    let tasks = snapshot.tasks.iter().take(limits.rows);
    state.tasks = tasks.map(|row| (row.task, TaskEntry::from(*row))).collect();
    state
}

/// What the history tells of a token's beginning.
#[derive(Default)]
struct TokenPast {
    claimed: bool,
    released: bool,
    interest: Option<Interest>,
    readiness: Option<Readiness>,
    active: bool,
    closed: bool,
    /// The tasks that used it: none, one, or (`None` within) several.
    user: Option<Option<TaskId>>,
}

/// What the history tells of a task's beginning.
#[derive(Default)]
struct TaskPast {
    spawned: bool,
    finished: bool,
    state: Option<TaskState>,
    /// What it waited for at the beginning, if a wait ended before any began.
    waiting_for: Option<Option<WaitFor>>,
    woken: bool,
}

/// What the history tells of its own beginning.
#[derive(Default)]
struct Survey {
    tokens: BTreeMap<TokenId, TokenPast>,
    tasks: BTreeMap<TaskId, TaskPast>,
    live: Option<u32>,
    turns: Option<u64>,
    grown: Option<(u32, u32)>,
    activity: Option<(Activity, Stamp)>,
    gap: Option<Loss>,
    next: Option<(Seq, Stamp)>,
}

impl Survey {
    fn of<'a>(records: impl Iterator<Item = &'a Record>) -> Self {
        let mut survey = Self::default();
        for record in records {
            survey.note_gap(record.seq, record.at);
            survey.next = Some((record.seq + 1, record.at));
            survey.note(record);
        }
        survey
    }

    fn note_gap(&mut self, seq: Seq, at: Stamp) {
        if let Some((next, after)) = self.next
            && next < seq
            && self.gap.is_none()
        {
            self.gap = Some(Loss { from: next, to: seq, after, before: at });
        }
    }

    fn note(&mut self, record: &Record) {
        match record.event {
            Event::TokenClaimed { token, live, .. } => {
                self.live.get_or_insert(live.saturating_sub(1));
                self.token(token).claimed = true;
            }
            Event::TokenReleased { token, live, .. } => {
                self.live.get_or_insert(live.saturating_add(1));
                self.token(token).released = true;
            }
            Event::FreelistGrown { live, growths, .. } => {
                self.live.get_or_insert(live);
                self.grown.get_or_insert((live, growths.saturating_sub(1)));
            }
            Event::TokenRegistered { token, before, .. } => {
                self.token(token).interest.get_or_insert(before);
            }
            Event::Transition { token, before, after, reason, .. } => {
                let past = self.token(token);
                past.readiness.get_or_insert(before);
                past.active |= reason == nexus_protocol::event::TransitionReason::Event;
                past.closed |= after.contains(Readiness::READ_CLOSED);
            }
            Event::Operation { subject: Subject::Token(token), task, .. } => {
                let past = self.token(token);
                past.active = true;
                past.user = Some(match past.user {
                    None => task,
                    Some(known) => known.filter(|known| Some(*known) == task),
                });
            }
            Event::TaskSpawned { task, .. } => self.task(task).spawned = true,
            Event::TaskFinished { task, .. } => self.task(task).finished = true,
            Event::Wake { task, .. } => {
                let past = self.task(task);
                past.woken = true;
                past.state.get_or_insert(TaskState::Idle);
            }
            Event::PollStart { task, .. } => {
                self.task(task).state.get_or_insert(TaskState::Queued);
                self.activity.get_or_insert((Activity::Turning, record.at));
            }
            Event::PollEnd { task, started, .. } => {
                self.task(task).state.get_or_insert(TaskState::Polling);
                self.activity.get_or_insert((Activity::Polling(task), started));
            }
            Event::Repeats { task, .. } => {
                let past = self.task(task);
                past.woken = true;
                past.state.get_or_insert(TaskState::Queued);
            }
            Event::Turn { number, mode, parked, .. } => {
                self.turns.get_or_insert(number.saturating_sub(1));
                let activity =
                    if mode == TurnMode::Park { Activity::Parked } else { Activity::Turning };
                self.activity.get_or_insert((activity, parked));
            }
            Event::WaitBegin { task: Some(task), .. } => {
                self.task(task).waiting_for.get_or_insert(None);
            }
            Event::WaitEnd { task: Some(task), target, .. } => {
                self.task(task).waiting_for.get_or_insert(Some(target));
            }
            _ => {}
        }
    }

    fn token(&mut self, token: TokenId) -> &mut TokenPast {
        self.tokens.entry(token).or_default()
    }

    fn task(&mut self, task: TaskId) -> &mut TaskPast {
        self.tasks.entry(task).or_default()
    }

    fn certainty(mut self, place: Seq) -> Certainty {
        self.note_gap(place, Stamp::NEVER);
        self.gap.map_or(Certainty::Exact, Certainty::Stale)
    }

    /// The rows at the beginning, with zeros for all that is counted.
    fn beginning(&self, snapshot: &Snapshot, first: &Record, limits: &Limits) -> State {
        let mut state = State::unknown(first.seq);
        let (activity, since) = self.activity.unwrap_or((snapshot.activity, snapshot.since));
        (state.activity, state.since) = (activity, since.min(first.at));
        let totals = &mut state.totals;
        totals.live = self.live.map_or(snapshot.totals.live, u64::from);
        totals.high_water = totals.live;
        totals.turns = self.turns.unwrap_or(snapshot.totals.turns);
        // A table grows when it is full, so its capacity was what was live.
        let (capacity, growths) = self
            .grown
            .map_or((snapshot.totals.capacity, snapshot.totals.growths), |(live, growths)| {
                (u64::from(live), u64::from(growths))
            });
        (totals.capacity, totals.growths) = (capacity, growths);
        (totals.timers, totals.queued) = (u64::from(OFFSET), u64::from(OFFSET));
        for row in snapshot.tokens.iter().take(limits.rows) {
            let past = self.tokens.get(&row.token);
            if !past.is_some_and(|past| past.claimed) {
                state.tokens.insert(row.token.slot, token_before(row, past));
            }
        }
        for (token, past) in &self.tokens {
            if past.released && !past.claimed && state.tokens.len() < limits.rows {
                let row = token_before(&blank_token(*token), Some(past));
                state.tokens.entry(token.slot).or_insert(row);
            }
        }
        for row in snapshot.tasks.iter().take(limits.rows) {
            let past = self.tasks.get(&row.task);
            if !past.is_some_and(|past| past.spawned) {
                state.tasks.insert(row.task, task_before(row, past, first.at));
            }
        }
        for (task, past) in &self.tasks {
            if past.finished && !past.spawned && state.tasks.len() < limits.rows {
                let row = task_before(&blank_task(*task), Some(past), first.at);
                state.tasks.entry(*task).or_insert(row);
            }
        }
        state
    }
}

fn token_before(row: &TokenRow, past: Option<&TokenPast>) -> TokenRow {
    let mut row = TokenRow {
        next_seq: 0,
        waiters_readable: OFFSET,
        waiters_writable: OFFSET,
        counters: TokenCounters::default(),
        ..*row
    };
    let Some(past) = past else { return row };
    row.interest = past.interest.unwrap_or(row.interest);
    row.readiness = past.readiness.unwrap_or(row.readiness);
    row.owner = match past.user {
        None => row.owner,
        Some(user) => user,
    };
    if past.active {
        row.last_active = Stamp::NEVER;
    }
    if past.closed && !row.readiness.contains(Readiness::READ_CLOSED) {
        row.read_closed = Stamp::NEVER;
    }
    row
}

fn task_before(row: &TaskRow, past: Option<&TaskPast>, beginning: Stamp) -> TaskEntry {
    let mut row = TaskRow {
        next_seq: 0,
        outcome: None,
        waits: OFFSET,
        counters: TaskCounters::default(),
        ..*row
    };
    if let Some(past) = past {
        if let Some(state) = past.state {
            row.state = state;
            row.since = beginning;
        }
        if past.woken {
            row.last_wake_cause = 0;
        }
        row.waiting_for = past.waiting_for.unwrap_or(row.waiting_for);
    }
    TaskEntry::from(row)
}

/// Goes on counting for the rows that were copied later than the totals, each up to the record it knows of.
fn count_on<'a>(
    probe: &mut State,
    snapshot: &Snapshot,
    records: impl Iterator<Item = &'a Record>,
    limits: &Limits,
) {
    let place = snapshot.totals.recorded;
    let tokens: BTreeMap<_, _> =
        later(snapshot.tokens.iter().map(|r| (r.token, r.next_seq)), place);
    let tasks: BTreeMap<_, _> = later(snapshot.tasks.iter().map(|r| (r.task, r.next_seq)), place);
    let last = needs(snapshot);
    if last <= place {
        return;
    }
    probe.tokens.retain(|_, row| tokens.contains_key(&row.token) || freeze(&mut row.next_seq));
    probe.tasks.retain(|task, entry| tasks.contains_key(task) || freeze(&mut entry.row.next_seq));
    for record in records.take_while(|record| record.seq < last) {
        for (token, &knows) in &tokens {
            if knows <= record.seq
                && let Some(row) = probe.tokens.get_mut(&token.slot)
            {
                freeze(&mut row.next_seq);
            }
        }
        for (task, &knows) in &tasks {
            if knows <= record.seq
                && let Some(entry) = probe.tasks.get_mut(task)
            {
                freeze(&mut entry.row.next_seq);
            }
        }
        let coming_or_going = matches!(
            record.event,
            Event::TokenClaimed { .. }
                | Event::TokenReleased { .. }
                | Event::TaskSpawned { .. }
                | Event::TaskFinished { .. }
        );
        if !coming_or_going {
            probe.apply(record, limits);
        }
    }
}

fn later<Id: Ord>(rows: impl Iterator<Item = (Id, Seq)>, place: Seq) -> BTreeMap<Id, Seq> {
    rows.filter(|&(_, next_seq)| next_seq > place).collect()
}

/// Lets a row take in no further record. Returns `true`, to keep it.
fn freeze(next_seq: &mut Seq) -> bool {
    *next_seq = Seq::MAX;
    true
}

/// Takes from the snapshot's totals what was counted from `base` on.
fn subtract_totals(base: &mut Totals, counted: &Totals, snapshot: &Totals) {
    use total_word as at;
    let (began, ended, known) = (base.to_words(), counted.to_words(), snapshot.to_words());
    let mut words = began;
    for (word, value) in words.iter_mut().enumerate() {
        *value = match word {
            at::TURNS | at::LIVE | at::CAPACITY | at::GROWTHS => began[word],
            at::TOKENS_WITHOUT_ROW | at::TASKS_WITHOUT_ROW => known[word],
            // A maximum from before the history is known only if nothing in the history reached it.
            at::HIGH_WATER if known[word] > ended[word] => known[word],
            at::HIGH_WATER => began[word],
            _ => known[word].saturating_add(began[word]).saturating_sub(ended[word]),
        };
    }
    *base = Totals::from_words(&words);
}

fn subtract_rows(base: &mut State, probe: &State, snapshot: &Snapshot) {
    let tokens: BTreeMap<_, _> = snapshot.tokens.iter().map(|row| (row.token, row)).collect();
    for (slot, row) in &mut base.tokens {
        let known = tokens.get(&row.token);
        let counted = probe.tokens.get(slot).filter(|counted| counted.token == row.token);
        match (known, counted) {
            (Some(known), Some(counted)) => subtract_token(row, known, counted),
            _ => (row.waiters_readable, row.waiters_writable) = (0, 0),
        }
    }
    let tasks: BTreeMap<_, _> = snapshot.tasks.iter().map(|row| (row.task, row)).collect();
    for (task, entry) in &mut base.tasks {
        match (tasks.get(task), probe.tasks.get(task)) {
            (Some(known), Some(counted)) => subtract_task(&mut entry.row, known, &counted.row),
            _ => entry.row.waits = 0,
        }
    }
}

fn before(known: u32, counted: u32) -> u32 {
    (u64::from(known) + u64::from(OFFSET)).saturating_sub(u64::from(counted)) as u32
}

fn subtract_token(row: &mut TokenRow, known: &TokenRow, counted: &TokenRow) {
    row.waiters_readable = before(known.waiters_readable, counted.waiters_readable);
    row.waiters_writable = before(known.waiters_writable, counted.waiters_writable);
    let (all, some) = (&known.counters, &counted.counters);
    row.counters = TokenCounters {
        events: all.events.saturating_sub(some.events),
        wakes: all.wakes.saturating_sub(some.wakes),
        spurious: all.spurious.saturating_sub(some.spurious),
        stale: all.stale.saturating_sub(some.stale),
        operations: all.operations.saturating_sub(some.operations),
        would_block: all.would_block.saturating_sub(some.would_block),
        not_ready: all.not_ready.saturating_sub(some.not_ready),
        errors: all.errors.saturating_sub(some.errors),
        bytes_in: all.bytes_in.saturating_sub(some.bytes_in),
        bytes_out: all.bytes_out.saturating_sub(some.bytes_out),
    };
}

fn subtract_task(row: &mut TaskRow, known: &TaskRow, counted: &TaskRow) {
    row.waits = before(known.waits, counted.waits);
    let (all, some) = (&known.counters, &counted.counters);
    row.counters = TaskCounters {
        polls: all.polls.saturating_sub(some.polls),
        wakes: all.wakes.saturating_sub(some.wakes),
        redundant: all.redundant.saturating_sub(some.redundant),
        self_wakes: all.self_wakes.saturating_sub(some.self_wakes),
        spurious: all.spurious.saturating_sub(some.spurious),
        unattributed: all.unattributed.saturating_sub(some.unattributed),
        operations: all.operations.saturating_sub(some.operations),
        progress: all.progress.saturating_sub(some.progress),
        busy: all.busy.saturating_sub(some.busy),
        wasted: all.wasted.saturating_sub(some.wasted),
        // As for the high water: known only if the history did not reach it.
        longest: if all.longest > some.longest { all.longest } else { 0 },
        waited: all.waited.saturating_sub(some.waited),
    };
}
