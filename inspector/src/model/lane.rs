//! A task's lane on the timeline: its polls, wakes and waits, in any stretch of time at any resolution.
//!
//! Each lane is an index beside the records: polls with running sums, so that a cell of any width costs two searches,
//! and the stamps of wakes by cause. Exact items are there for zooming in.
//!
//! Knows the order of things in one task, and nothing of other tasks or of links between records.

use nexus_protocol::event::{Cause, Level, PollResult, Verdict, WaitFor, WaitOutcome, WakeOutcome};
use nexus_protocol::{Seq, Stamp, TaskId};
use std::collections::VecDeque;

/// How many causes of a wake there are, code zero (none) included.
pub const CAUSES: usize = Cause::NAMES.len();

/// How many levels of what the application says there are, code zero (none) included.
pub const LEVELS: usize = Level::ALL.len() + 1;

/// Waits under way that a lane remembers; beyond, the oldest one is forgotten.
const OPEN_WAITS: usize = 64;

/// One poll, or many alike that were recorded as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poll {
    /// Number of its `PollStart`, unless that record is not known.
    pub start_seq: Option<Seq>,
    /// Number of its `PollEnd`; none while it is under way.
    pub end_seq: Option<Seq>,
    /// When it began.
    pub start: Stamp,
    /// When it ended; the runtime's latest stamp while it is under way.
    pub end: Stamp,
    /// What it returned; none while it is under way.
    pub result: Option<PollResult>,
    /// How it was judged; none while it is under way.
    pub verdict: Option<Verdict>,
    /// How many polls these are.
    pub count: u32,
}

/// One wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    /// Number of its record.
    pub seq: Seq,
    /// When it was recorded.
    pub at: Stamp,
    /// Why.
    pub cause: Cause,
    /// What came of it.
    pub outcome: WakeOutcome,
}

/// One wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// What for.
    pub target: WaitFor,
    /// When it began; never if that was before the history.
    pub begin: Stamp,
    /// When it ended; never while it is under way.
    pub end: Stamp,
    /// How it ended; none while it is under way.
    pub outcome: Option<WaitOutcome>,
}

/// What happened in one cell of a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LaneCell {
    /// Nanoseconds of the cell spent in polls.
    pub busy_ns: u64,
    /// Part of the cell spent in polls, from 0 to 1.
    pub busy: f32,
    /// Polls that touch the cell. Repeats, recorded as one, are spread evenly over their time.
    pub polls: u32,
    /// Of those, spurious ones.
    pub spurious: u32,
    /// Of those, unattributed ones.
    pub unattributed: u32,
    /// Of those, excused ones.
    pub excused: u32,
    /// Wakes in the cell, by code of their cause. Repeats count as one, where they end.
    pub wakes: [u32; CAUSES],
    /// What the application said in the cell, by code of the level.
    pub logs: [u32; LEVELS],
}

impl LaneCell {
    /// The verdict to draw: the worst one of the polls in the cell. None if there was no poll.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Self { polls: 0, .. } => None,
            Self { spurious: 1.., .. } => Some(Verdict::Spurious),
            Self { unattributed: 1.., .. } => Some(Verdict::Unattributed),
            Self { excused: 1.., .. } => Some(Verdict::Excused),
            _ => Some(Verdict::Progress),
        }
    }

    /// The level to draw: the worst one of what the application said in the cell. None if it said nothing.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        Level::ALL.iter().copied().find(|level| self.logs[usize::from(level.code())] > 0)
    }

    /// How many wakes there were.
    #[must_use]
    pub fn wake_count(&self) -> u32 {
        self.wakes.iter().sum()
    }

    /// The code of the cause to draw: the rarest kind of news first, so that a wake by a thread is not hidden by a
    /// thousand by I/O; and a self-wake before what began the round. None if there was no wake.
    #[must_use]
    pub fn cause(&self) -> Option<u8> {
        // shutdown, spawn, thread, outside, self, task, primitive, join, timer, I/O, yield
        const ORDER: [u8; CAUSES - 1] = [10, 7, 8, 9, 5, 4, 11, 3, 2, 1, 6];
        ORDER.into_iter().find(|&code| self.wakes[usize::from(code)] > 0)
    }
}

/// A task's lane between two stamps, in cells of equal width.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// Whose.
    pub task: TaskId,
    /// Where the first cell begins.
    pub from: Stamp,
    /// Where the last cell ends.
    pub to: Stamp,
    /// The cells.
    pub cells: Vec<LaneCell>,
}

/// The borders of `cells` cells of equal width (to a nanosecond) between two stamps: one more than there are cells.
pub(super) fn borders(from: Stamp, to: Stamp, cells: usize) -> impl Iterator<Item = Stamp> {
    let length = u128::from(to.since(from));
    let count = cells.max(1) as u128;
    (0..=cells as u128)
        .map(move |cell| Stamp(from.0.saturating_add((length * cell / count) as u64)))
}

/// A poll in the index, with the sums over all polls before it.
#[derive(Clone, Copy, Debug)]
struct PollEntry {
    start: Stamp,
    end: Stamp,
    /// `Seq::MAX` if unknown.
    start_seq: Seq,
    end_seq: Seq,
    result: PollResult,
    verdict: Verdict,
    /// How many polls these are, and how long they took together.
    count: u32,
    busy: u64,
    before: Sums,
}

impl PollEntry {
    /// What lies within the first `part` nanoseconds, rounded down: polls, and time in them.
    fn within(&self, part: u64) -> (u32, u64) {
        let length = u128::from(self.end.since(self.start).max(1));
        let of = |amount: u64| (u128::from(amount) * u128::from(part) / length) as u64;
        (of(self.count.into()) as u32, of(self.busy))
    }
}

/// Running sums over the polls of a lane. The counts wrap; differences are right as long as they fit.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    busy: u64,
    polls: u32,
    spurious: u32,
    unattributed: u32,
    excused: u32,
}

impl Sums {
    fn with(mut self, busy: u64, count: u32, verdict: Verdict) -> Self {
        self.busy = self.busy.wrapping_add(busy);
        self.polls = self.polls.wrapping_add(count);
        if let Some(judged) = self.judged(verdict) {
            *judged = judged.wrapping_add(count);
        }
        self
    }

    /// The same less polls of this verdict.
    fn without(mut self, busy: u64, count: u32, verdict: Verdict) -> Self {
        self.busy = self.busy.wrapping_sub(busy);
        self.polls = self.polls.wrapping_sub(count);
        if let Some(judged) = self.judged(verdict) {
            *judged = judged.wrapping_sub(count);
        }
        self
    }

    fn judged(&mut self, verdict: Verdict) -> Option<&mut u32> {
        match verdict {
            Verdict::Progress => None,
            Verdict::Spurious => Some(&mut self.spurious),
            Verdict::Unattributed => Some(&mut self.unattributed),
            Verdict::Excused => Some(&mut self.excused),
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            busy: self.busy.wrapping_sub(before.busy),
            polls: self.polls.wrapping_sub(before.polls),
            spurious: self.spurious.wrapping_sub(before.spurious),
            unattributed: self.unattributed.wrapping_sub(before.unattributed),
            excused: self.excused.wrapping_sub(before.excused),
        }
    }
}

impl From<PollEntry> for Poll {
    fn from(entry: PollEntry) -> Self {
        Self {
            start_seq: (entry.start_seq != Seq::MAX).then_some(entry.start_seq),
            end_seq: Some(entry.end_seq),
            start: entry.start,
            end: entry.end,
            result: Some(entry.result),
            verdict: Some(entry.verdict),
            count: entry.count,
        }
    }
}

/// Stamps and numbers of marks, by a code.
type Marks = Vec<(u8, VecDeque<(Stamp, Seq)>)>;

fn enter(marks: &mut Marks, seq: Seq, at: Stamp, code: u8) {
    match marks.iter_mut().find(|(known, _)| *known == code) {
        Some((_, marks)) => marks.push_back((at, seq)),
        None => marks.push((code, VecDeque::from([(at, seq)]))),
    }
}

/// Counts the marks in `[from, to)`, by code.
fn count(marks: &Marks, from: Stamp, to: Stamp, counts: &mut [u32]) {
    let last = counts.len() - 1;
    for (code, marks) in marks {
        let start = marks.partition_point(|&(at, _)| at < from);
        let end = marks.partition_point(|&(at, _)| at < to);
        counts[usize::from(*code).min(last)] += (end - start) as u32;
    }
}

/// The index of one lane.
#[derive(Debug, Default)]
pub(super) struct LaneIndex {
    polls: VecDeque<PollEntry>,
    sums: Sums,
    open: Option<(Seq, Stamp)>,
    /// Stamps and numbers of the wakes, by code of the cause; only causes that occurred.
    wakes: Marks,
    /// The same of what the application said, by code of the level.
    logs: Marks,
    waits: VecDeque<Wait>,
    open_waits: Vec<Wait>,
}

impl LaneIndex {
    pub(super) fn poll_start(&mut self, seq: Seq, at: Stamp) {
        self.open = Some((seq, at));
    }

    pub(super) fn poll_end(
        &mut self,
        seq: Seq,
        (started, at): (Stamp, Stamp),
        result: PollResult,
        verdict: Verdict,
    ) {
        // A start that lies before the end of the poll before is a clock's rounding; lanes don't overlap themselves.
        let floor = self.polls.back().map_or(Stamp::NEVER, |last| last.end);
        let (start_seq, start) = match self.open.take() {
            Some((start_seq, start)) => (start_seq, start),
            None => (Seq::MAX, started),
        };
        let start = start.max(floor).min(at);
        let entry = PollEntry {
            start,
            end: at,
            start_seq,
            end_seq: seq,
            result,
            verdict,
            count: 1,
            busy: at.since(start),
            before: self.sums,
        };
        self.push(entry);
    }

    /// Polls that were recorded as one, with this number.
    pub(super) fn repeats(
        &mut self,
        seq: Seq,
        (first, at): (Stamp, Stamp),
        (count, busy): (u32, u64),
        verdict: Verdict,
    ) {
        let floor = self.polls.back().map_or(Stamp::NEVER, |last| last.end);
        let start = first.max(floor).min(at);
        self.open = None;
        self.push(PollEntry {
            start,
            end: at,
            start_seq: seq,
            end_seq: seq,
            result: PollResult::Pending,
            verdict,
            count,
            busy: busy.min(at.since(start)),
            before: self.sums,
        });
    }

    fn push(&mut self, entry: PollEntry) {
        self.sums = self.sums.with(entry.busy, entry.count, entry.verdict);
        self.polls.push_back(entry);
    }

    pub(super) fn wake(&mut self, seq: Seq, at: Stamp, code: u8) {
        enter(&mut self.wakes, seq, at, code);
    }

    pub(super) fn log(&mut self, seq: Seq, at: Stamp, level: Level) {
        enter(&mut self.logs, seq, at, level.code());
    }

    pub(super) fn wait_begin(&mut self, at: Stamp, target: WaitFor) {
        if self.open_waits.len() == OPEN_WAITS {
            self.open_waits.remove(0);
        }
        self.open_waits.push(Wait { target, begin: at, end: Stamp::NEVER, outcome: None });
    }

    pub(super) fn wait_end(&mut self, at: Stamp, target: WaitFor, outcome: WaitOutcome) {
        let known = self.open_waits.iter().rposition(|wait| wait.target == target);
        let begin = known.map_or(Stamp::NEVER, |index| self.open_waits.remove(index).begin);
        self.waits.push_back(Wait { target, begin, end: at, outcome: Some(outcome) });
    }

    /// Forgets what ended before record `seq`, at `at`. Returns whether anything is left but waits under way.
    pub(super) fn forget(&mut self, seq: Seq, at: Stamp) -> bool {
        // Nothing is recorded while a poll hangs, so this one's end was lost.
        self.open = self.open.filter(|&(start, _)| start >= seq);
        while self.polls.front().is_some_and(|poll| poll.end_seq < seq) {
            self.polls.pop_front();
        }
        for marks in [&mut self.wakes, &mut self.logs] {
            for (_, marks) in &mut *marks {
                while marks.front().is_some_and(|&(_, mark)| mark < seq) {
                    marks.pop_front();
                }
            }
            marks.retain(|(_, marks)| !marks.is_empty());
        }
        while self.waits.front().is_some_and(|wait| wait.end < at) {
            self.waits.pop_front();
        }
        !(self.polls.is_empty()
            && self.open.is_none()
            && self.wakes.is_empty()
            && self.logs.is_empty()
            && self.waits.is_empty())
    }

    /// The sums over the polls before the one with this index.
    fn sums_before(&self, index: usize) -> Sums {
        self.polls.get(index).map_or(self.sums, |poll| poll.before)
    }

    /// The polls that touch `[from, to)`; one of no length belongs to the cell in which it is.
    fn touching(&self, from: Stamp, to: Stamp) -> std::ops::Range<usize> {
        let start = self.polls.partition_point(|poll| poll.end <= from && poll.start < from);
        let end = self.polls.partition_point(|poll| poll.start < to);
        start..end.max(start)
    }

    /// What happened in `[from, to)`, with a poll under way lasting until `now`.
    pub(super) fn cell(&self, from: Stamp, to: Stamp, now: Stamp) -> LaneCell {
        let polls = self.touching(from, to);
        let mut sums = self.sums_before(polls.end).since(self.sums_before(polls.start));
        if let (Some(first), Some(last)) =
            (self.polls.get(polls.start), self.polls.get(polls.end.wrapping_sub(1)))
            && !polls.is_empty()
        {
            // Of those at the edges, without what lies outside; something of each lies within.
            let (mut count, busy) = first.within(from.min(first.end).since(first.start));
            count = count.min(first.count.saturating_sub(1));
            sums = sums.without(busy, count, first.verdict);
            let (rest, busy) = last.within(last.end.since(to.max(last.start)));
            let left = if polls.len() == 1 { last.count - count } else { last.count };
            sums = sums.without(busy, rest.min(left.saturating_sub(1)), last.verdict);
        }
        let mut busy = sums.busy;
        let mut cell = LaneCell {
            polls: sums.polls,
            spurious: sums.spurious,
            unattributed: sums.unattributed,
            excused: sums.excused,
            ..LaneCell::default()
        };
        if let Some((_, start)) = self.open
            && start < to
            && (now > from || start >= from)
        {
            cell.polls += 1;
            busy = busy.wrapping_add(now.min(to).since(start.max(from)));
        }
        cell.busy_ns = busy;
        let length = to.since(from);
        cell.busy = if length == 0 { 0.0 } else { (busy as f64 / length as f64).min(1.0) as f32 };
        count(&self.wakes, from, to, &mut cell.wakes);
        count(&self.logs, from, to, &mut cell.logs);
        cell
    }

    /// The polls that touch `[from, to]`, ascending.
    pub(super) fn polls(&self, from: Stamp, to: Stamp, now: Stamp) -> impl Iterator<Item = Poll> {
        let range = self.touching(from, Stamp(to.0.saturating_add(1)));
        let open = self.open.filter(|&(_, start)| start <= to && now >= from);
        let open = open.map(|(seq, start)| Poll {
            start_seq: Some(seq),
            end_seq: None,
            start,
            end: now.max(start),
            result: None,
            verdict: None,
            count: 1,
        });
        self.polls.range(range).map(|&entry| Poll::from(entry)).chain(open)
    }

    /// The numbers of the wakes in `[from, to]`, ascending; at most `limit` of them.
    pub(super) fn wakes(&self, from: Stamp, to: Stamp, limit: usize) -> Vec<Seq> {
        let mut found: Vec<Seq> = self
            .wakes
            .iter()
            .flat_map(|(_, wakes)| {
                let start = wakes.partition_point(|&(at, _)| at < from);
                wakes.range(start..).take_while(move |&&(at, _)| at <= to).take(limit)
            })
            .map(|&(_, seq)| seq)
            .collect();
        found.sort_unstable();
        found.truncate(limit);
        found
    }

    /// The waits that touch `[from, to]`, those that ended by their end, then those under way.
    pub(super) fn waits(&self, from: Stamp, to: Stamp) -> impl Iterator<Item = Wait> {
        let start = self.waits.partition_point(|wait| wait.end < from);
        let ended = self.waits.range(start..).filter(move |wait| wait.begin <= to);
        ended.chain(self.open_waits.iter().filter(move |wait| wait.begin <= to)).copied()
    }

    /// The poll that the record with this number begins, ends, or lies in.
    pub(super) fn poll_around(&self, seq: Seq) -> Option<(Option<Seq>, Option<Seq>)> {
        let index = self.polls.partition_point(|poll| poll.end_seq < seq);
        if let Some(poll) = self.polls.get(index).map(|&entry| Poll::from(entry))
            && (poll.end_seq == Some(seq) || poll.start_seq.is_some_and(|start| start <= seq))
        {
            return Some((poll.start_seq, poll.end_seq));
        }
        self.open.filter(|&(start, _)| start <= seq).map(|(start, _)| (Some(start), None))
    }

    /// The first poll that began after the record with this number.
    pub(super) fn poll_after(&self, seq: Seq) -> Option<(Option<Seq>, Option<Seq>)> {
        let index = self.polls.partition_point(|poll| poll.end_seq <= seq || poll.start_seq <= seq);
        match self.polls.get(index).map(|&entry| Poll::from(entry)) {
            Some(poll) => Some((poll.start_seq, poll.end_seq)),
            None => {
                self.open.filter(|&(start, _)| start > seq).map(|(start, _)| (Some(start), None))
            }
        }
    }
}
