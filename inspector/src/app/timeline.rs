//! The state of the timeline: which stretch of time, which lanes, where the cursor is, and the scene that follows.
//!
//! The right edge is the shown moment, which all panes share; only the length of the stretch is the timeline's own. A
//! lane keeps its place as long as its task has anything to show, so that lanes do not dance.

use super::words::{Note, Speaker, Tone, note};
use crate::model::{Lane, Loss, Poll, Runtime};
use crate::text;
use crate::ui::widget::axis::TimeScale;
use nexus_protocol::event::Verdict;
use nexus_protocol::{Seq, Stamp, TaskId};
use std::collections::HashSet;

const S: u64 = 1_000_000_000;

/// The shortest stretch of time that can be shown.
const SHORTEST_NS: u64 = 1_000;

/// The longest one.
const LONGEST_NS: u64 = 3_600 * S;

/// Polls looked at to find the one under the cursor, or the next one.
const POLLS: usize = 4_096;

/// One lane with its label.
#[derive(Clone, Debug, PartialEq)]
pub struct SceneLane {
    /// Whose.
    pub task: TaskId,
    /// Its name, or where it was spawned; clean.
    pub label: String,
    /// Whether it has a name of its own.
    pub named: bool,
    /// The cells.
    pub lane: Lane,
}

/// Everything the timeline draws.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// The stretch of time.
    pub scale: TimeScale,
    /// What the loop did: the part of each cell in which it was parked.
    pub parked: Lane,
    /// The lanes that fit.
    pub lanes: Vec<SceneLane>,
    /// Index of the first of them among all.
    pub first: usize,
    /// How many there are in all.
    pub total: usize,
    /// For each cell whether records are missing in it: lost, or from before the history.
    pub gaps: Vec<Gap>,
    /// The cursor's cell.
    pub cursor: Option<u16>,
    /// How many polls of the selected lane there are in the cursor's cell.
    pub polls: usize,
    /// What happened under the cursor.
    pub story: Vec<Note>,
}

/// What is missing in a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gap {
    /// Nothing.
    #[default]
    None,
    /// Records were lost.
    Lost,
    /// It lies outside of what is kept.
    Unkept,
}

/// The timeline's state.
#[derive(Clone, Debug)]
pub struct Timeline {
    /// How much time is shown.
    pub span_ns: u64,
    /// The selected lane.
    pub selected: Option<TaskId>,
    /// The moment under the crosshair; none while time moves.
    pub cursor: Option<Stamp>,
    /// The poll that the cursor was sent to, by the number of one of its records.
    focus: Option<Seq>,
    order: Vec<TaskId>,
    /// What is drawn.
    pub scene: Option<Scene>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self {
            span_ns: S / 2,
            selected: None,
            cursor: None,
            focus: None,
            order: Vec::new(),
            scene: None,
        }
    }
}

/// The room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Cells that show time.
    pub cells: u16,
    /// Lanes that fit.
    pub lanes: usize,
}

impl Timeline {
    /// Forgets the order of the lanes, so that the busiest come first again.
    pub fn reorder(&mut self) {
        self.order.clear();
    }

    /// The stretch of time that ends at the shown moment.
    #[must_use]
    pub fn range(&self, at: Stamp) -> (Stamp, Stamp) {
        (Stamp(at.0.saturating_sub(self.span_ns)), at)
    }

    /// Makes the scene for the shown moment. Costs a query of the model for each lane that fits.
    pub fn refresh(&mut self, runtime: &Runtime, speaker: Speaker<'_>, filter: &str, room: Room) {
        let (from, to) = self.range(speaker.view.at);
        self.arrange(runtime, speaker, filter, from, to);
        let cells = usize::from(room.cells);
        let place = self.place();
        let first = crate::ui::widget::table::window_start(self.order.len(), place, room.lanes);
        let lanes = self.order.iter().skip(first).take(room.lanes);
        let lanes = lanes.map(|&task| SceneLane {
            task,
            label: lane_label(task, speaker),
            named: is_named(task, speaker),
            lane: runtime.lane(task, from, to, cells),
        });
        let scale = TimeScale { start_ns: from.0, span_ns: to.since(from), cells: room.cells };
        let (polls, story) = self.story(runtime, speaker, &scale);
        self.scene = Some(Scene {
            scale,
            parked: runtime.parked(from, to, cells),
            lanes: lanes.collect(),
            first,
            total: self.order.len(),
            gaps: gaps(runtime, &scale),
            cursor: self.cursor.and_then(|at| scale.cell_of(at.0)),
            polls,
            story,
        });
    }

    /// Lanes that are there stay where they are; new ones come behind them, the busiest first.
    fn arrange(
        &mut self,
        runtime: &Runtime,
        speaker: Speaker<'_>,
        filter: &str,
        from: Stamp,
        to: Stamp,
    ) {
        let filter = filter.to_lowercase();
        let mut wanted: HashSet<TaskId> = runtime.tasks_between(from, to).into_iter().collect();
        wanted.extend(speaker.view.tasks.iter().map(|task| task.row.task));
        wanted.retain(|&task| {
            format!("{task} {}", lane_label(task, speaker)).to_lowercase().contains(&filter)
        });
        wanted.extend(self.selected);
        self.order.retain(|task| wanted.remove(task));
        let mut new: Vec<TaskId> = wanted.into_iter().collect();
        let rate = |task: TaskId| speaker.view.task(task).map_or(0.0, |found| found.rates.polls);
        new.sort_by(|&a, &b| rate(b).total_cmp(&rate(a)).then(a.cmp(&b)));
        self.order.extend(new);
    }

    fn place(&self) -> Option<usize> {
        let selected = self.selected?;
        self.order.iter().position(|&task| task == selected)
    }

    /// Selects another lane.
    pub fn step_lane(&mut self, lanes: isize) {
        let Some(last) = self.order.len().checked_sub(1) else { return };
        let to = self.place().map_or(0, |at| at.saturating_add_signed(lanes).min(last));
        self.selected = Some(self.order[to]);
        self.focus = None;
    }

    /// Moves the cursor by so many cells. Returns how far the shown moment has to move with it, in nanoseconds, when the
    /// cursor runs into an edge.
    pub fn step_cursor(&mut self, cells: i64, at: Stamp, width: u16) -> i64 {
        self.focus = None;
        let (from, to) = self.range(at);
        let cell_ns = (self.span_ns / u64::from(width.max(1))).max(1);
        let Some(cursor) = self.cursor else {
            self.cursor = Some(Stamp(to.0.saturating_sub(cell_ns / 2 + 1)));
            return 0;
        };
        let step = cells.saturating_mul(i64::try_from(cell_ns).unwrap_or(i64::MAX));
        let moved = Stamp(cursor.0.saturating_add_signed(step));
        self.cursor = Some(moved);
        if moved < from || moved >= to { step } else { 0 }
    }

    /// A shorter or longer stretch of time. Returns the moment that should be at the right edge now, so that what is
    /// under the cursor stays there; a cursor close to an edge is moved away from it, to show what is on its other side.
    pub fn zoom(&mut self, longer: bool, at: Stamp) -> Stamp {
        let before = self.span_ns;
        let span = if longer { before.saturating_mul(2) } else { before / 2 };
        self.span_ns = span.clamp(SHORTEST_NS, LONGEST_NS);
        let Some(cursor) = self.cursor else { return at };
        let behind = u128::from(at.since(cursor)) * u128::from(self.span_ns) / u128::from(before);
        let behind = u64::try_from(behind).unwrap_or(u64::MAX);
        let margin = self.span_ns / 8;
        Stamp(cursor.0.saturating_add(behind.clamp(margin, self.span_ns - margin)))
    }

    /// Keeps the cursor within the stretch of time, after that has moved.
    pub fn keep_cursor(&mut self, at: Stamp) {
        let (from, to) = self.range(at);
        self.cursor = self.cursor.map(|cursor| cursor.clamp(from, Stamp(to.0.saturating_sub(1))));
    }

    /// Sends the cursor to the selected lane's next poll, or the one before; only to spurious ones if asked for. Returns
    /// whether there was one.
    pub fn seek_poll(
        &mut self,
        runtime: &Runtime,
        at: Stamp,
        forward: bool,
        spurious: bool,
    ) -> bool {
        let Some(task) = self.selected.or_else(|| self.order.first().copied()) else {
            return false;
        };
        self.selected = Some(task);
        let cursor = self.cursor.unwrap_or(at);
        let wanted = |poll: &Poll| !spurious || poll.verdict == Some(Verdict::Spurious);
        let found = if forward {
            next_poll(runtime, task, cursor, wanted)
        } else {
            previous_poll(runtime, task, cursor, wanted)
        };
        let Some(poll) = found else { return false };
        self.cursor = Some(poll.start);
        self.focus = poll.start_seq.or(poll.end_seq);
        true
    }

    /// How many polls there are under the cursor, and in words what happened in the most telling one.
    fn story(
        &self,
        runtime: &Runtime,
        speaker: Speaker<'_>,
        scale: &TimeScale,
    ) -> (usize, Vec<Note>) {
        let Some(cursor) = self.cursor else { return (0, Vec::new()) };
        let Some(task) = self.selected else {
            let hint = "select a lane with ↑ and ↓ to read its polls";
            return (0, vec![note("", hint, Tone::Quiet)]);
        };
        let Some(cell) = scale.cell_of(cursor.0) else { return (0, Vec::new()) };
        let from = Stamp(scale.cell_start(cell));
        let to = Stamp(scale.cell_start(cell + 1).max(from.0 + 1) - 1);
        let polls = runtime.polls(task, from, to, POLLS);
        let count = polls.iter().map(|poll| poll.count as usize).sum();
        let story = match self.poll_to_tell(&polls, cursor) {
            Some(poll) => poll_story(poll, runtime, speaker),
            None => vec![idle_story(task, cursor, runtime, speaker)],
        };
        (count, story)
    }

    /// The poll that the cursor was sent to; else the worst one in the cell; of several, the nearest.
    fn poll_to_tell<'a>(&self, polls: &'a [Poll], cursor: Stamp) -> Option<&'a Poll> {
        let focused = |poll: &&Poll| {
            self.focus.is_some() && (poll.start_seq == self.focus || poll.end_seq == self.focus)
        };
        let badness = |poll: &Poll| match poll.verdict {
            Some(Verdict::Spurious) => 0,
            Some(Verdict::Unattributed) => 1,
            Some(Verdict::Progress) | None => 2,
            Some(Verdict::Excused) => 3,
        };
        polls.iter().find(focused).or_else(|| {
            polls.iter().min_by_key(|poll| (badness(poll), poll.start.0.abs_diff(cursor.0)))
        })
    }
}

fn poll_story(poll: &Poll, runtime: &Runtime, speaker: Speaker<'_>) -> Vec<Note> {
    match poll.start_seq.or(poll.end_seq).and_then(|seq| runtime.explain(seq)) {
        Some(chain) => speaker.chain(&chain),
        None => vec![note("", "the records of this poll are no longer kept", Tone::Notice)],
    }
}

fn idle_story(task: TaskId, cursor: Stamp, runtime: &Runtime, speaker: Speaker<'_>) -> Note {
    let waits = runtime.waits(task, cursor, cursor, 8);
    let told: Vec<String> = waits
        .iter()
        .map(|wait| {
            let since = match wait.begin.known() {
                Some(begin) => format!(" for {}", text::duration_ns(cursor.since(begin))),
                None => String::new(),
            };
            format!("{}{since}", speaker.waiting(wait.target))
        })
        .collect();
    let who = speaker.task(task);
    if told.is_empty() {
        note(
            "idle",
            format!("{who} is not being polled, and waits for nothing we know of"),
            Tone::Quiet,
        )
    } else {
        note("idle", format!("{who} waits for {}", told.join(" and ")), Tone::Plain)
    }
}

/// Looks further and further ahead, so that the nearest poll is found without reading them all.
fn next_poll(
    runtime: &Runtime,
    task: TaskId,
    cursor: Stamp,
    wanted: impl Fn(&Poll) -> bool,
) -> Option<Poll> {
    let mut from = cursor;
    while from <= runtime.now() {
        let polls = runtime.polls(task, from, runtime.now(), POLLS);
        if let Some(poll) = polls.iter().find(|poll| poll.start > cursor && wanted(poll)) {
            return Some(*poll);
        }
        if polls.len() < POLLS {
            return None;
        }
        from = polls.last().map(|poll| Stamp(poll.end.0 + 1)).filter(|&next| next > from)?;
    }
    None
}

/// The same backwards, where a stretch with too many polls is halved until all of it is seen.
fn previous_poll(
    runtime: &Runtime,
    task: TaskId,
    cursor: Stamp,
    wanted: impl Fn(&Poll) -> bool,
) -> Option<Poll> {
    let earliest = runtime.earliest();
    let mut to = cursor;
    let mut length = 1_000_000;
    while to > earliest {
        let from = Stamp(to.0.saturating_sub(length)).max(earliest);
        let polls = runtime.polls(task, from, to, POLLS);
        if polls.len() == POLLS && length > 1_000 {
            length /= 4;
            continue;
        }
        if let Some(poll) = polls.iter().rev().find(|poll| poll.start < cursor && wanted(poll)) {
            return Some(*poll);
        }
        to = from;
        length = length.saturating_mul(2);
    }
    None
}

fn lane_label(task: TaskId, speaker: Speaker<'_>) -> String {
    let row = speaker.view.task_row(task);
    let name = row.map_or("", |row| super::tasks::label(row, speaker.strings));
    text::clean(name).into_owned()
}

fn is_named(task: TaskId, speaker: Speaker<'_>) -> bool {
    let row = speaker.view.task_row(task);
    row.is_some_and(|row| !speaker.strings.get(row.name).is_empty())
}

/// For each cell whether something is missing in it.
fn gaps(runtime: &Runtime, scale: &TimeScale) -> Vec<Gap> {
    let mut gaps = vec![Gap::None; usize::from(scale.cells)];
    let earliest = runtime.earliest();
    for cell in 0..scale.cells {
        if scale.cell_start(cell + 1) <= earliest.0 {
            gaps[usize::from(cell)] = Gap::Unkept;
        }
    }
    for loss in runtime.losses().rev().take_while(|loss| loss.after_or_end() >= scale.start_ns) {
        let from = loss.after.0.max(scale.start_ns);
        let to = loss.before.known().map_or(scale.end_ns(), |before| before.0);
        if from >= scale.end_ns() || to < scale.start_ns {
            continue;
        }
        let first = scale.cell_of(from).unwrap_or(0);
        let last = scale.cell_of(to).unwrap_or(scale.cells.saturating_sub(1));
        for gap in gaps.iter_mut().take(usize::from(last) + 1).skip(usize::from(first)) {
            *gap = Gap::Lost;
        }
    }
    gaps
}

trait LossEnd {
    fn after_or_end(&self) -> u64;
}

impl LossEnd for Loss {
    /// The last moment that the gap can touch.
    fn after_or_end(&self) -> u64 {
        self.before.known().map_or(u64::MAX, |before| before.0)
    }
}
