//! What the detectors need to know of a runtime's tokens, tasks and timers, followed record by record.
//!
//! Less than the model keeps, and cheaper: nothing here can go back in time. Where records are missing, what may have
//! changed meanwhile is unknown again, until a snapshot tells it.

use super::subject::{TaskFacts, TokenFacts};
use super::wakes::Pending;
use nexus_protocol::board::{Snapshot, TaskRow, TaskState, TokenRow};
use nexus_protocol::event::{Event, Side, TransitionReason, WaitFor};
use nexus_protocol::{
    Direction, Interest, Readiness, Record, Seq, Stamp, TaskId, TimerId, TokenId,
};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// Live tokens, tasks, timers and waits followed; of more, nothing is said.
const MAX_LIVE: usize = 65_536;

/// Waits of one task followed.
const MAX_WAITS: usize = 256;

/// Ended tasks and released tokens whose description is kept.
const MAX_GONE: usize = 4_096;

/// A live token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) facts: TokenFacts,
    pub(super) interest: Interest,
    pub(super) readiness: Readiness,
    /// When a direction became ready that is ready still, by [`side`].
    pub(super) ready_since: [Stamp; 2],
    /// The record that says so.
    pub(super) ready_seq: [Seq; 2],
    /// Directions in which anything was ever tried.
    pub(super) used: [bool; 2],
    /// Whether anybody ever waited for it.
    pub(super) waited_for: bool,
    pub(super) claimed: Stamp,
    pub(super) claimed_seq: Seq,
    pub(super) last_active: Stamp,
    /// Tasks that wait for it.
    pub(super) waiters: u32,
    /// Kernel events that said nothing but that a direction is ready, by [`side`].
    pub(super) lone_events: [u64; 2],
    pub(super) last_lone: [Seq; 2],
    /// The record that changed it last.
    touched: Seq,
}

/// A live task.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) facts: TaskFacts,
    pub(super) state: TaskState,
    pub(super) since: Stamp,
    pub(super) spawned: Stamp,
    pub(super) spawned_seq: Seq,
    /// The wakes that its next poll will answer.
    pub(super) pending: Pending,
    /// Waits under way.
    pub(super) waits: Vec<Wait>,
    /// How long a row of fruitless polls it is in that answer nothing but its own wakes, and what they cost.
    pub(super) own_row: (u64, u64, Seq),
    touched: Seq,
}

/// A wait under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wait {
    pub(super) target: WaitFor,
    pub(super) since: Stamp,
    pub(super) seq: Seq,
}

/// An armed timer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    pub(super) deadline: Stamp,
    pub(super) armed: Seq,
    pub(super) task: Option<TaskId>,
}

/// The index of a direction.
pub(super) fn side(direction: Direction) -> usize {
    match direction {
        Direction::Readable => 0,
        Direction::Writable => 1,
    }
}

/// The bits that say that data can be read, or written. Not those that say that the end is reached.
pub(super) fn bit(direction: Direction) -> Readiness {
    match direction {
        Direction::Readable => Readiness::READABLE,
        Direction::Writable => Readiness::WRITABLE,
    }
}

/// All that is followed.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) tokens: HashMap<TokenId, Token>,
    /// The token that was claimed last in a slot.
    slots: HashMap<u32, TokenId>,
    pub(super) tasks: HashMap<TaskId, Task>,
    pub(super) timers: BTreeMap<TimerId, Timer>,
    gone_tokens: (HashMap<TokenId, TokenFacts>, VecDeque<TokenId>),
    gone_tasks: (HashMap<TaskId, TaskFacts>, VecDeque<TaskId>),
    /// Number after the last record that was lost; rows before it may be of things that are gone.
    gap: Seq,
}

impl World {
    /// The live tokens, by number: findings do not depend on the order of a hash table.
    pub(super) fn tokens_in_order(&self) -> Vec<&Token> {
        let mut tokens: Vec<&Token> = self.tokens.values().collect();
        tokens.sort_unstable_by_key(|token| token.facts.token);
        tokens
    }

    /// The live tasks, by number.
    pub(super) fn tasks_in_order(&self) -> Vec<&Task> {
        let mut tasks: Vec<&Task> = self.tasks.values().collect();
        tasks.sort_unstable_by_key(|task| task.facts.task);
        tasks
    }

    /// What is known of a token, living or not.
    pub(super) fn token_facts(&self, token: TokenId) -> TokenFacts {
        let known = self.tokens.get(&token).map(|token| token.facts);
        known
            .or_else(|| self.gone_tokens.0.get(&token).copied())
            .unwrap_or_else(|| TokenFacts::unknown(token))
    }

    /// What is known of a task, living or not.
    pub(super) fn task_facts(&self, task: TaskId) -> TaskFacts {
        let known = self.tasks.get(&task).map(|task| task.facts);
        known
            .or_else(|| self.gone_tasks.0.get(&task).copied())
            .unwrap_or_else(|| TaskFacts::unknown(task))
    }

    /// The live task, from now on followed if it was not.
    pub(super) fn task(&mut self, task: TaskId) -> Option<&mut Task> {
        if !self.tasks.contains_key(&task) {
            if self.tasks.len() >= MAX_LIVE || self.gone_tasks.0.contains_key(&task) {
                return None;
            }
            self.tasks.insert(task, Task::new(TaskFacts::unknown(task)));
        }
        self.tasks.get_mut(&task)
    }

    fn token(&mut self, token: TokenId, seq: Seq) -> Option<&mut Token> {
        if !self.tokens.contains_key(&token) {
            if self.tokens.len() >= MAX_LIVE || self.gone_tokens.0.contains_key(&token) {
                return None;
            }
            self.slots.insert(token.slot, token);
            self.tokens.insert(token, Token::new(TokenFacts::unknown(token)));
        }
        let found = self.tokens.get_mut(&token)?;
        found.touched = seq;
        Some(found)
    }

    /// Takes in a record, except for polls and wakes, which are the engine's business.
    pub(super) fn apply(&mut self, record: &Record) {
        let &Record { seq, at, ref event } = record;
        match *event {
            Event::TokenClaimed { token, kind, fd, location, .. } => {
                self.forget_slot(token.slot);
                let Some(found) = self.token(token, seq) else { return };
                let facts = TokenFacts { kind, fd, location, ..TokenFacts::unknown(token) };
                *found = Token { facts, claimed: at, claimed_seq: seq, ..Token::new(facts) };
                (found.last_active, found.touched) = (at, seq);
            }
            Event::TokenRegistered { token, after, errno: 0, .. } => {
                if let Some(token) = self.token(token, seq) {
                    token.interest = after;
                }
            }
            Event::TokenAddress { slot, side, address } => {
                let token = self.slots.get(&slot).and_then(|token| self.tokens.get_mut(token));
                if let Some(token) = token {
                    match side {
                        Side::Local => token.facts.local = Some(address),
                        Side::Peer => token.facts.peer = Some(address),
                    }
                }
            }
            Event::TokenReleased { token, .. } => self.forget_token(token),
            Event::Transition { token, before, after, reason, .. } => {
                self.transition((token, before, after), reason, seq, at);
            }
            Event::TaskSpawned { task, location, name, .. } => {
                let Some(found) = self.task(task) else { return };
                found.facts = TaskFacts { task, name, location };
                (found.spawned, found.spawned_seq, found.touched) = (at, seq, seq);
                found.pending = Pending::known();
            }
            Event::TaskFinished { task, .. } => self.forget_task(task),
            Event::WaitBegin { task, target } => self.wait_begin(task, target, seq, at),
            Event::WaitEnd { task, target, .. } => self.wait_end(task, target, seq),
            _ => {}
        }
    }

    fn transition(
        &mut self,
        (id, before, after): (TokenId, Readiness, Readiness),
        reason: TransitionReason,
        seq: Seq,
        at: Stamp,
    ) {
        let Some(token) = self.token(id, seq) else { return };
        token.readiness = after;
        for direction in Direction::BOTH {
            let at_side = side(direction);
            let (was, is) = (before.contains(bit(direction)), after.contains(bit(direction)));
            if is && (!was || token.ready_since[at_side].is_never()) {
                (token.ready_since[at_side], token.ready_seq[at_side]) = (at, seq);
            } else if !is {
                token.ready_since[at_side] = Stamp::NEVER;
            }
        }
        if reason == TransitionReason::Event {
            token.last_active = at;
        }
    }

    fn wait_begin(&mut self, task: Option<TaskId>, target: WaitFor, seq: Seq, at: Stamp) {
        if let WaitFor::Token(token, _) = target
            && let Some(token) = self.token(token, seq)
        {
            token.waited_for = true;
            token.waiters = token.waiters.saturating_add(1);
        }
        let Some(task) = task.and_then(|task| self.task(task)) else { return };
        task.touched = seq;
        let wait = Wait { target, since: at, seq };
        let room = task.waits.len() < MAX_WAITS;
        match task.waits.iter_mut().find(|wait| wait.target == target) {
            Some(known) => *known = wait,
            None if room => task.waits.push(wait),
            None => {}
        }
    }

    fn wait_end(&mut self, task: Option<TaskId>, target: WaitFor, seq: Seq) {
        if let WaitFor::Token(token, _) = target
            && let Some(token) = self.tokens.get_mut(&token)
        {
            token.waiters = token.waiters.saturating_sub(1);
            token.touched = seq;
        }
        if let Some(task) = task.and_then(|task| self.tasks.get_mut(&task)) {
            task.touched = seq;
            task.waits.retain(|wait| wait.target != target);
        }
    }

    /// Notes that a direction of a token is used.
    pub(super) fn used(&mut self, token: TokenId, directions: [bool; 2], seq: Seq, at: Stamp) {
        if let Some(token) = self.token(token, seq) {
            token.used[0] |= directions[0];
            token.used[1] |= directions[1];
            token.last_active = at;
        }
    }

    pub(super) fn arm(&mut self, timer: TimerId, armed: Timer) {
        if self.timers.len() < MAX_LIVE {
            self.timers.insert(timer, armed);
        }
    }

    fn forget_slot(&mut self, slot: u32) {
        if let Some(token) = self.slots.get(&slot).copied() {
            self.forget_token(token);
        }
    }

    fn forget_token(&mut self, token: TokenId) {
        let Some(old) = self.tokens.remove(&token) else { return };
        if self.slots.get(&token.slot) == Some(&token) {
            self.slots.remove(&token.slot);
        }
        let (facts, order) = &mut self.gone_tokens;
        keep(facts, order, token, old.facts);
    }

    fn forget_task(&mut self, task: TaskId) {
        let Some(old) = self.tasks.remove(&task) else { return };
        let (facts, order) = &mut self.gone_tasks;
        keep(facts, order, task, old.facts);
    }

    /// Records are missing: what they may have changed is not known any more.
    pub(super) fn gap(&mut self, to: Seq) {
        self.gap = to;
        for task in self.tasks.values_mut() {
            task.pending = Pending::default();
            task.waits.clear();
            task.own_row = (0, 0, 0);
        }
        for token in self.tokens.values_mut() {
            token.readiness = Readiness::EMPTY;
            token.ready_since = [Stamp::NEVER; 2];
            token.waiters = 0;
        }
        self.timers.clear();
    }

    /// Takes in what the board says of things that no record has told of, or not since records were missing.
    /// `next` is the number of the next record.
    pub(super) fn snapshot(&mut self, snapshot: &Snapshot, next: Seq) {
        let ahead = snapshot.totals.recorded > next;
        for row in &snapshot.tokens {
            self.token_row(row);
        }
        for row in &snapshot.tasks {
            self.task_row(row);
        }
        if self.gap == 0 || ahead {
            return;
        }
        // What was released or ended while records were missing is not on the board.
        let gap = std::mem::take(&mut self.gap);
        let tokens: std::collections::HashSet<_> =
            snapshot.tokens.iter().map(|row| row.token).collect();
        let tasks: std::collections::HashSet<_> =
            snapshot.tasks.iter().map(|row| row.task).collect();
        let gone: Vec<_> = (self.tokens.iter())
            .filter(|(id, token)| token.touched < gap && !tokens.contains(id))
            .map(|(&id, _)| id)
            .collect();
        gone.into_iter().for_each(|token| self.forget_token(token));
        let gone: Vec<_> = (self.tasks.iter())
            .filter(|(id, task)| task.touched < gap && !tasks.contains(id))
            .map(|(&id, _)| id)
            .collect();
        gone.into_iter().for_each(|task| self.forget_task(task));
    }

    fn token_row(&mut self, row: &TokenRow) {
        let gap = self.gap;
        if row.changing
            || self.tokens.len() >= MAX_LIVE
            || self.gone_tokens.0.contains_key(&row.token)
        {
            return;
        }
        let fresh = !self.tokens.contains_key(&row.token);
        self.slots.entry(row.token.slot).or_insert(row.token);
        let token = self
            .tokens
            .entry(row.token)
            .or_insert_with(|| Token::new(TokenFacts::unknown(row.token)));
        token.facts.location = row.location;
        token.facts.kind = row.kind;
        token.facts.fd = row.fd;
        token.facts.local = token.facts.local.or(row.local);
        token.facts.peer = token.facts.peer.or(row.peer);
        token.claimed = row.claimed;
        let written = row.counters.bytes_out > 0;
        let read = row.counters.bytes_in > 0;
        token.used = [token.used[0] || read, token.used[1] || written];
        token.waited_for |= row.waiters_readable > 0 || row.waiters_writable > 0;
        token.last_active = token.last_active.max(row.last_active).max(row.claimed);
        // The row is at least as young as what is known from records.
        if fresh || (token.touched < gap && row.next_seq >= gap) {
            token.interest = row.interest;
            token.waiters = row.waiters_readable.saturating_add(row.waiters_writable);
        }
    }

    fn task_row(&mut self, row: &TaskRow) {
        let gap = self.gap;
        if row.changing {
            return;
        }
        let fresh = !self.tasks.contains_key(&row.task);
        let Some(task) = self.task(row.task) else { return };
        task.facts = TaskFacts { task: row.task, name: row.name, location: row.location };
        task.spawned = row.spawned;
        if fresh || (task.touched < gap && row.next_seq >= gap) {
            (task.state, task.since) = (row.state, row.since);
            if let Some(target) = row.waiting_for {
                let seq = row.next_seq.saturating_sub(1);
                task.waits = vec![Wait { target, since: row.since, seq }];
            }
        }
    }
}

/// Keeps the description of something that is gone, and forgets the oldest one if there are too many.
fn keep<K: Copy + Eq + std::hash::Hash, V>(
    facts: &mut HashMap<K, V>,
    order: &mut VecDeque<K>,
    id: K,
    value: V,
) {
    if order.len() >= MAX_GONE
        && let Some(oldest) = order.pop_front()
    {
        facts.remove(&oldest);
    }
    if facts.insert(id, value).is_none() {
        order.push_back(id);
    }
}

impl Token {
    fn new(facts: TokenFacts) -> Self {
        Self {
            facts,
            interest: Interest::EMPTY,
            readiness: Readiness::EMPTY,
            ready_since: [Stamp::NEVER; 2],
            ready_seq: [0; 2],
            used: [false; 2],
            waited_for: false,
            claimed: Stamp::NEVER,
            claimed_seq: 0,
            last_active: Stamp::NEVER,
            waiters: 0,
            lone_events: [0; 2],
            last_lone: [0; 2],
            touched: 0,
        }
    }
}

impl Task {
    fn new(facts: TaskFacts) -> Self {
        Self {
            facts,
            state: TaskState::Idle,
            since: Stamp::NEVER,
            spawned: Stamp::NEVER,
            spawned_seq: 0,
            pending: Pending::default(),
            waits: Vec::new(),
            own_row: (0, 0, 0),
            touched: 0,
        }
    }
}
