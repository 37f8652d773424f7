//! The wakeup timeline.
//!
//! ```text
//!                  ─┬12.30 s ───────┬12.35 s ───────┬12.40 s ────
//!  loop             ▁▁▂▁▁▇█▇▁▁▁▁▂▁▁
//!  3 feed           i   i   tis                                    wakes, by cause; what the application says, by level
//!   1.2k/s          ▁┈┈┈▂┈┈┈▇▇▁┈┈┈┈                                polls, by verdict
//! ```

use super::detail::draw_notes;
use super::layout::{LANE_HEIGHT, TimelineAreas};
use super::theme::{Theme, cause_letter, level_mark};
use super::widget::axis::{self, TimeScale, moment};
use super::widget::line::{keep_end, keep_start, put, width};
use crate::app::App;
use crate::app::timeline::{Gap, Scene, SceneLane};
use crate::app::value::short_rate;
use crate::model::LaneCell;
use nexus_protocol::board::TaskState;
use nexus_protocol::event::{Cause, Level, Verdict};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

const BLOCKS: [&str; 7] = ["▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Draws the pane.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, theme: &Theme) {
    let Some(scene) = &app.timeline.scene else { return };
    let parts = TimelineAreas::new(area, app.timeline.cursor.is_some());
    let right_of_labels = |part: Rect| Rect {
        x: part.x + parts.labels.min(part.width),
        width: part.width.saturating_sub(parts.labels),
        ..part
    };
    draw_axis(buffer, right_of_labels(parts.axis), app, scene, theme);
    draw_strip(buffer, parts.strip, right_of_labels(parts.strip), scene, theme);
    for (lane, at) in scene.lanes.iter().zip(0_u16..) {
        let y = parts.lanes.y + at * LANE_HEIGHT;
        let area = Rect { y, height: LANE_HEIGHT, ..parts.lanes }.intersection(parts.lanes);
        if area.height == LANE_HEIGHT {
            draw_label(buffer, Rect { width: parts.labels, ..area }, app, lane, theme);
            draw_lane(buffer, right_of_labels(area), app, scene, lane, theme);
        }
    }
    if let Some(cell) = scene.cursor {
        let lanes = right_of_labels(parts.strip.union(parts.lanes));
        draw_cursor(buffer, lanes, cell, theme);
    }
    draw_legend(buffer, parts.legend, scene, theme);
    draw_story(buffer, parts.story, app, scene, theme);
}

/// The axis counts from the start of the process.
fn draw_axis(buffer: &mut Buffer, area: Rect, app: &App, scene: &Scene, theme: &Theme) {
    let start_ns = scene.scale.start_ns.saturating_sub(app.origin().0);
    axis::draw_time(buffer, area, &TimeScale { start_ns, ..scene.scale }, theme.dim());
    if let Some(cell) = scene.cursor {
        put(buffer, area, area.x + cell, area.y, "▼", theme.accent());
    }
}

/// What the loop did: the higher, the less of the cell it slept.
fn draw_strip(buffer: &mut Buffer, line: Rect, area: Rect, scene: &Scene, theme: &Theme) {
    put(buffer, line, line.x, line.y, " loop", theme.dim());
    for (at, (cell, gap)) in scene.parked.cells.iter().zip(&scene.gaps).enumerate() {
        let x = area.x + at as u16;
        if !draw_gap(buffer, area, x, area.y, *gap, theme) {
            put(buffer, area, x, area.y, block(1.0 - cell.busy), theme.plain());
        }
    }
}

fn draw_label(buffer: &mut Buffer, area: Rect, app: &App, lane: &SceneLane, theme: &Theme) {
    let selected = app.timeline.selected == Some(lane.task);
    let number = format!("{} ", lane.task);
    let room = area.width.saturating_sub(2 + width(&number));
    // Of a path the end says most, of a name the beginning.
    let name = if lane.named { keep_start(&lane.label, room) } else { keep_end(&lane.label, room) };
    let name = number + &name;
    let style = if selected { theme.accent() } else { theme.plain() };
    let mark = if selected { "▌" } else { " " };
    put(buffer, area, area.x, area.y, mark, theme.accent());
    put(buffer, area, area.x + 1, area.y, &name, style);
    put(buffer, area, area.x, area.y + 1, mark, theme.accent());
    let note = match app.view.task(lane.task) {
        None => "ended".to_owned(),
        Some(task) if task.rates.polls < 0.005 => task.row.state.name().to_owned(),
        Some(task) => format!("{}/s", short_rate(task.rates.polls)),
    };
    let room = Rect { width: area.width.saturating_sub(1), ..area };
    let x = put(buffer, room, area.x + 2, area.y + 1, &note, theme.dim());
    let spurious = app.view.task(lane.task).map_or(0.0, |task| task.rates.spurious);
    let note = format!("!{}/s", short_rate(spurious));
    if spurious >= 0.005 && x + 1 + width(&note) < area.right() {
        put(buffer, room, x + 1, area.y + 1, &note, theme.bad());
    }
}

fn draw_lane(
    buffer: &mut Buffer,
    area: Rect,
    app: &App,
    scene: &Scene,
    lane: &SceneLane,
    theme: &Theme,
) {
    let row = app.view.task_row(lane.task);
    let spawned = row.map_or(u64::MAX, |row| row.spawned.0);
    // An ended task's row says since when it has been in that state.
    let ended =
        row.filter(|row| row.state == TaskState::Finished).map_or(u64::MAX, |row| row.since.0);
    for (at, (cell, gap)) in lane.lane.cells.iter().zip(&scene.gaps).enumerate() {
        let (x, y) = (area.x + at as u16, area.y);
        draw_mark(buffer, area, x, y, cell, theme);
        if let Some(verdict) = cell.verdict() {
            draw_poll(buffer, area, x, y + 1, cell, verdict, theme);
        } else if !draw_gap(buffer, area, x, y + 1, *gap, theme)
            && scene.scale.cell_start(at as u16 + 1) > spawned
            && scene.scale.cell_start(at as u16) < ended
        {
            put(buffer, area, x, y + 1, "┈", theme.dim());
        }
    }
}

/// Why the task was woken, or how bad what the application said is. What is said for users to read is rarer than wakes, what
/// is said for developers is not.
fn draw_mark(buffer: &mut Buffer, area: Rect, x: u16, y: u16, cell: &LaneCell, theme: &Theme) {
    match (cell.cause(), cell.level()) {
        (None, Some(level))
        | (Some(_), Some(level @ (Level::Error | Level::Warn | Level::Info))) => {
            put(buffer, area, x, y, level_mark(level), theme.level(level));
        }
        (Some(cause), _) => {
            put(buffer, area, x, y, &cause_letter(cause).to_string(), theme.cause(cause));
        }
        (None, None) => {}
    }
}

fn draw_poll(
    buffer: &mut Buffer,
    area: Rect,
    x: u16,
    y: u16,
    cell: &LaneCell,
    verdict: Verdict,
    theme: &Theme,
) {
    let style = theme.verdict(verdict);
    if theme.has_color() || verdict == Verdict::Progress {
        put(buffer, area, x, y, block(cell.busy), style);
    } else {
        put(buffer, area, x, y, &theme.verdict_sample(verdict).to_string(), style);
    }
}

/// A bar for a part of a cell; never nothing. Its height grows with the square root, so that the short polls of a fast
/// program can still be told from shorter ones.
fn block(part: f32) -> &'static str {
    let steps = (part.max(0.0).sqrt() * BLOCKS.len() as f32).ceil();
    BLOCKS[(steps as usize).clamp(1, BLOCKS.len()) - 1]
}

/// Marks a cell in which records are missing. Returns whether it is one.
fn draw_gap(buffer: &mut Buffer, area: Rect, x: u16, y: u16, gap: Gap, theme: &Theme) -> bool {
    match gap {
        Gap::None => return false,
        Gap::Lost => put(buffer, area, x, y, "╳", theme.bad()),
        Gap::Unkept => put(buffer, area, x, y, " ", theme.dim()),
    };
    true
}

/// Draws the crosshair through what is there already.
fn draw_cursor(buffer: &mut Buffer, area: Rect, cell: u16, theme: &Theme) {
    let x = area.x + cell;
    if x >= area.right() {
        return;
    }
    for y in area.top()..area.bottom() {
        match buffer[(x, y)].symbol() {
            " " | "┈" => {
                put(buffer, area, x, y, "│", theme.dim());
            }
            _ => {
                let cell = &mut buffer[(x, y)];
                cell.set_style(cell.style().add_modifier(Modifier::REVERSED));
            }
        }
    }
}

fn draw_legend(buffer: &mut Buffer, area: Rect, scene: &Scene, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    let mut x = area.x + 1;
    let verdicts = [Verdict::Progress, Verdict::Spurious, Verdict::Unattributed, Verdict::Excused];
    for verdict in verdicts {
        let mark = theme.verdict_sample(verdict).to_string();
        x = put(buffer, area, x, area.y, &mark, theme.verdict(verdict));
        x = put(buffer, area, x + 1, area.y, verdict.name(), theme.dim()) + 1;
    }
    x += 1;
    let cells = scene.lanes.iter().flat_map(|lane| &lane.lane.cells);
    if cells.into_iter().any(|cell| cell.level().is_some()) {
        for level in [Level::Error, Level::Warn, Level::Info] {
            x = put(buffer, area, x, area.y, level_mark(level), theme.level(level));
            x = put(buffer, area, x + 1, area.y, level.name(), theme.dim()) + 1;
        }
        x += 1;
    }
    for (code, name) in (0_u8..).zip(Cause::NAMES).skip(1) {
        if x + 3 + name.len() as u16 > area.right() {
            break;
        }
        x = put(buffer, area, x, area.y, &cause_letter(code).to_string(), theme.cause(code));
        x = put(buffer, area, x + 1, area.y, name, theme.dim()) + 1;
    }
}

/// What happened under the cursor, below a rule.
fn draw_story(buffer: &mut Buffer, area: Rect, app: &App, scene: &Scene, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    for x in area.left()..area.right() {
        put(buffer, area, x, area.y, "─", theme.dim());
    }
    let inner = Rect {
        x: area.x + 1,
        y: area.y + 1,
        width: area.width.saturating_sub(2),
        height: area.height - 1,
    };
    let Some(cursor) = app.timeline.cursor else {
        let hint = "← → set a cursor and hold; p n jump between polls, P N between spurious ones";
        put(buffer, inner, inner.x, inner.y, &keep_start(hint, inner.width), theme.dim());
        return;
    };
    let polls = match scene.polls {
        0 | 1 => String::new(),
        polls => format!("· one of {polls} polls in this cell "),
    };
    let title = format!(" at {} {polls}", moment(cursor.since(app.origin()), 1_000));
    put(buffer, area, area.x + 1, area.y, &title, theme.accent());
    draw_notes(buffer, inner, &scene.story, theme);
}
