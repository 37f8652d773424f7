//! The state of a runtime at one moment, as values that can be kept, compared and drawn.
//!
//! Knows nothing of where it came from: [`Runtime`](super::Runtime) makes views.

use super::history::Loss;
use super::state::State;
use nexus_protocol::board::{Activity, TaskCounters, TaskRow, TokenCounters, TokenRow, Totals};
use nexus_protocol::{RuntimeId, Seq, Stamp, StringId, TaskId, TokenId};

/// How far a view can be trusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Certainty {
    /// No snapshot has arrived: there are only the rows that events told of, with counters since then.
    #[default]
    NoSnapshot,
    /// Rows and counters are what the board said, and every change since is known.
    Exact,
    /// Records between the last snapshot and this moment were lost or filtered out: rows may be stale.
    Stale(Loss),
}

/// What happened in a second, over the last [`Rates::WINDOW_NS`] of the process's time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Turns.
    pub turns: f64,
    /// Kernel events delivered to tokens.
    pub events: f64,
    /// Records written.
    pub records: f64,
    /// Wakes that queued a task.
    pub wakes: f64,
    /// Polls begun.
    pub polls: f64,
    /// Polls judged spurious.
    pub spurious: f64,
    /// Operations attempted.
    pub operations: f64,
    /// Bytes read or received.
    pub bytes_in: f64,
    /// Bytes written or sent.
    pub bytes_out: f64,
    /// Part of the time spent in polls, from 0 to 1.
    pub busy: f64,
    /// Part of the time spent in spurious polls, from 0 to 1.
    pub wasted: f64,
    /// Part of the time asleep in the kernel, from 0 to 1.
    pub parked: f64,
}

impl Rates {
    /// How far rates look back.
    pub const WINDOW_NS: u64 = 2_000_000_000;
}

/// A token's part of [`Rates`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TokenRates {
    /// Kernel events delivered.
    pub events: f64,
    /// Wakes of tasks caused by it.
    pub wakes: f64,
    /// Spurious polls charged to it.
    pub spurious: f64,
    /// Stale events for its slot.
    pub stale: f64,
    /// Operations attempted.
    pub operations: f64,
    /// Bytes read or received.
    pub bytes_in: f64,
    /// Bytes written or sent.
    pub bytes_out: f64,
}

/// A task's part of [`Rates`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TaskRates {
    /// Polls begun.
    pub polls: f64,
    /// Wakes that queued it.
    pub wakes: f64,
    /// Wakes that found it queued.
    pub redundant: f64,
    /// Wakes by itself.
    pub self_wakes: f64,
    /// Spurious polls.
    pub spurious: f64,
    /// Operations attempted.
    pub operations: f64,
    /// Part of the time spent in its polls, from 0 to 1.
    pub busy: f64,
    /// Part of the time spent in its spurious polls, from 0 to 1.
    pub wasted: f64,
}

/// The time over which a rate is taken.
struct Span {
    ns: f64,
}

impl Span {
    /// Shorter spans than this would make large rates of single events.
    const SHORTEST_NS: u64 = 100_000_000;

    fn between(since: Stamp, at: Stamp) -> Self {
        Self { ns: at.since(since).max(Self::SHORTEST_NS) as f64 }
    }

    /// How many a second, of what rose from `before` to `now`.
    fn rate(&self, now: u64, before: u64) -> f64 {
        now.saturating_sub(before) as f64 * 1e9 / self.ns
    }

    /// Which part of the time.
    fn part(&self, now: u64, before: u64) -> f64 {
        (now.saturating_sub(before) as f64 / self.ns).min(1.0)
    }

    fn totals(&self, now: &Totals, before: &Totals) -> Rates {
        Rates {
            turns: self.rate(now.turns, before.turns),
            events: self.rate(now.events, before.events),
            records: self.rate(now.recorded, before.recorded),
            wakes: self.rate(now.wakes, before.wakes),
            polls: self.rate(now.polls, before.polls),
            spurious: self.rate(now.spurious, before.spurious),
            operations: self.rate(now.operations, before.operations),
            bytes_in: self.rate(now.bytes_in, before.bytes_in),
            bytes_out: self.rate(now.bytes_out, before.bytes_out),
            busy: self.part(now.busy, before.busy),
            wasted: self.part(now.wasted, before.wasted),
            parked: self.part(now.parked, before.parked),
        }
    }

    fn token(&self, now: &TokenCounters, before: &TokenCounters) -> TokenRates {
        TokenRates {
            events: self.rate(now.events, before.events),
            wakes: self.rate(now.wakes, before.wakes),
            spurious: self.rate(now.spurious, before.spurious),
            stale: self.rate(now.stale, before.stale),
            operations: self.rate(now.operations, before.operations),
            bytes_in: self.rate(now.bytes_in, before.bytes_in),
            bytes_out: self.rate(now.bytes_out, before.bytes_out),
        }
    }

    fn task(&self, now: &TaskCounters, before: &TaskCounters) -> TaskRates {
        TaskRates {
            polls: self.rate(now.polls, before.polls),
            wakes: self.rate(now.wakes, before.wakes),
            redundant: self.rate(now.redundant, before.redundant),
            self_wakes: self.rate(now.self_wakes, before.self_wakes),
            spurious: self.rate(now.spurious, before.spurious),
            operations: self.rate(now.operations, before.operations),
            busy: self.part(now.busy, before.busy),
            wasted: self.part(now.wasted, before.wasted),
        }
    }
}

/// One live token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Token {
    /// What it is, with its counters.
    pub row: TokenRow,
    /// What it does now.
    pub rates: TokenRates,
}

/// One live task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Task {
    /// What it is, with its counters. Times are nanoseconds.
    pub row: TaskRow,
    /// What it does now.
    pub rates: TaskRates,
}

/// How full the slot table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freelist {
    /// Slots.
    pub capacity: u64,
    /// Slots in use.
    pub live: u64,
    /// Slots free.
    pub free: u64,
    /// Most slots there ever were in use.
    pub high_water: u64,
    /// How often the table has grown.
    pub growths: u64,
}

/// A runtime at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Whose.
    pub runtime: RuntimeId,
    /// The moment.
    pub at: Stamp,
    /// Number after the last record taken into account.
    pub next_seq: Seq,
    /// How far this can be trusted.
    pub certainty: Certainty,
    /// What the runtime thread was doing.
    pub activity: Activity,
    /// Since when.
    pub since: Stamp,
    /// Totals since the runtime's start. Times are nanoseconds.
    pub totals: Totals,
    /// Rates of the whole runtime.
    pub rates: Rates,
    /// Live tokens, by slot.
    pub tokens: Vec<Token>,
    /// Live tasks, by id.
    pub tasks: Vec<Task>,
    /// Tasks that ended recently, the latest one last.
    pub finished: Vec<TaskRow>,
}

impl View {
    /// A view of nothing.
    #[must_use]
    pub fn empty(runtime: RuntimeId) -> Self {
        Self {
            runtime,
            at: Stamp::NEVER,
            next_seq: 0,
            certainty: Certainty::NoSnapshot,
            activity: Activity::Outside,
            since: Stamp::NEVER,
            totals: Totals::default(),
            rates: Rates::default(),
            tokens: Vec::new(),
            tasks: Vec::new(),
            finished: Vec::new(),
        }
    }

    /// The view of `state` at `at`, with rates since it was `before`, at `since`.
    pub(super) fn between(
        runtime: RuntimeId,
        at: Stamp,
        state: &State,
        before: &State,
        since: Stamp,
    ) -> Self {
        let span = Span::between(since, at);
        let token = |row: &TokenRow| {
            let known = before.tokens.get(&row.token.slot).filter(|old| old.token == row.token);
            let earlier = known.map_or(TokenCounters::default(), |old| old.counters);
            Token { row: *row, rates: span.token(&row.counters, &earlier) }
        };
        let task = |row: &TaskRow| {
            let known = before.tasks.get(&row.task);
            let earlier = known.map_or(TaskCounters::default(), |old| old.row.counters);
            Task { row: *row, rates: span.task(&row.counters, &earlier) }
        };
        Self {
            runtime,
            at,
            next_seq: state.next_seq,
            certainty: state.certainty,
            activity: state.activity,
            since: state.since,
            totals: state.totals,
            rates: span.totals(&state.totals, &before.totals),
            tokens: state.tokens.values().map(token).collect(),
            tasks: state.tasks.values().map(|entry| task(&entry.row)).collect(),
            finished: state.finished.iter().copied().collect(),
        }
    }

    /// The live token of this name.
    #[must_use]
    pub fn token(&self, token: TokenId) -> Option<&Token> {
        self.slot(token.slot).filter(|found| found.row.token == token)
    }

    /// The live token in this slot.
    #[must_use]
    pub fn slot(&self, slot: u32) -> Option<&Token> {
        let at = self.tokens.binary_search_by_key(&slot, |token| token.row.token.slot).ok()?;
        Some(&self.tokens[at])
    }

    /// The live task of this number.
    #[must_use]
    pub fn task(&self, task: TaskId) -> Option<&Task> {
        let at = self.tasks.binary_search_by_key(&task, |found| found.row.task).ok()?;
        Some(&self.tasks[at])
    }

    /// What is known of a task of this number, live or ended recently.
    #[must_use]
    pub fn task_row(&self, task: TaskId) -> Option<&TaskRow> {
        self.task(task)
            .map(|found| &found.row)
            .or_else(|| self.finished.iter().rev().find(|row| row.task == task))
    }

    /// How full the slot table is.
    #[must_use]
    pub fn freelist(&self) -> Freelist {
        let totals = &self.totals;
        Freelist {
            capacity: totals.capacity,
            live: totals.live,
            free: totals.free(),
            high_water: totals.high_water,
            growths: totals.growths,
        }
    }

    /// The live tokens in groups, the largest group first.
    #[must_use]
    pub fn token_groups(&self, by: GroupBy) -> Vec<Group> {
        let mut groups = std::collections::BTreeMap::<GroupKey, Group>::new();
        for (index, token) in self.tokens.iter().enumerate() {
            let key = match by {
                GroupBy::Location => GroupKey::Location(token.row.location),
                GroupBy::Owner => GroupKey::Owner(token.row.owner),
            };
            groups.entry(key).or_insert_with(|| Group::new(key)).add(index, token);
        }
        let mut groups: Vec<_> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.members.len()));
        groups
    }
}

/// What tokens are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Where they were claimed.
    Location,
    /// The task that owns them.
    Owner,
}

/// What the members of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupKey {
    /// Where they were claimed.
    Location(StringId),
    /// The task that owns them, if one does.
    Owner(Option<TaskId>),
}

/// Tokens with something in common, and their sums.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// What they have in common.
    pub key: GroupKey,
    /// Their indices in [`View::tokens`].
    pub members: Vec<usize>,
    /// The sums of their counters.
    pub counters: TokenCounters,
    /// The sums of their rates.
    pub rates: TokenRates,
    /// When the oldest of them was claimed.
    pub oldest: Stamp,
}

impl Group {
    fn new(key: GroupKey) -> Self {
        Self {
            key,
            members: Vec::new(),
            counters: Default::default(),
            rates: TokenRates::default(),
            oldest: Stamp(u64::MAX),
        }
    }

    fn add(&mut self, index: usize, token: &Token) {
        self.members.push(index);
        self.oldest = self.oldest.min(token.row.claimed);
        let (sum, one) = (&mut self.counters, &token.row.counters);
        sum.events = sum.events.saturating_add(one.events);
        sum.wakes = sum.wakes.saturating_add(one.wakes);
        sum.spurious = sum.spurious.saturating_add(one.spurious);
        sum.stale = sum.stale.saturating_add(one.stale);
        sum.operations = sum.operations.saturating_add(one.operations);
        sum.would_block = sum.would_block.saturating_add(one.would_block);
        sum.not_ready = sum.not_ready.saturating_add(one.not_ready);
        sum.errors = sum.errors.saturating_add(one.errors);
        sum.bytes_in = sum.bytes_in.saturating_add(one.bytes_in);
        sum.bytes_out = sum.bytes_out.saturating_add(one.bytes_out);
        let (sum, one) = (&mut self.rates, &token.rates);
        sum.events += one.events;
        sum.wakes += one.wakes;
        sum.spurious += one.spurious;
        sum.stale += one.stale;
        sum.operations += one.operations;
        sum.bytes_in += one.bytes_in;
        sum.bytes_out += one.bytes_out;
    }
}
