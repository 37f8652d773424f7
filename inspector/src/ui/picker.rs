//! The choice of a process.

use super::detail::draw_notes;
use super::layout;
use super::status;
use super::tables::draw_empty;
use super::theme::Theme;
use super::widget::line::{piece, put, put_left, put_right};
use super::widget::table::{Align, Cell, Column, Table};
use crate::app::picker::Picker;
use crate::app::words::{Tone, note};
use crate::keymap::Scope;
use crate::target::{Found, HOW_TO_GET_ONE};
use crate::text;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

const COLUMNS: [Column; 7] = [
    Column { title: "pid", min: 7, max: 7, align: Align::Right, rank: 0 },
    Column { title: "name", min: 10, max: 24, align: Align::Left, rank: 0 },
    Column { title: "age", min: 7, max: 7, align: Align::Right, rank: 2 },
    Column { title: "runtimes", min: 8, max: 8, align: Align::Right, rank: 3 },
    Column { title: "tokens", min: 6, max: 6, align: Align::Right, rank: 1 },
    Column { title: "tasks", min: 6, max: 6, align: Align::Right, rank: 1 },
    Column { title: "command", min: 12, max: 100, align: Align::Left, rank: 4 },
];

/// Draws the whole screen.
pub fn draw(frame: &mut Frame<'_>, picker: &Picker, theme: &Theme) {
    let area = frame.area();
    let areas = layout::areas(area.as_size(), false);
    let buffer = frame.buffer_mut();
    draw_header(buffer, areas.header, picker, theme);
    for x in areas.tabs.left()..areas.tabs.right() {
        put(buffer, areas.tabs, x, areas.tabs.y, "─", theme.dim());
    }
    match &picker.found {
        None => draw_empty(buffer, areas.body, "looking for processes", theme),
        Some(found) if found.is_empty() => draw_none(buffer, areas.body, theme),
        Some(found) => draw_table(buffer, areas.body, found, picker, theme),
    }
    status::draw_keys(buffer, areas.status, Scope::Picker, theme);
}

fn draw_header(buffer: &mut Buffer, area: Rect, picker: &Picker, theme: &Theme) {
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let line = Rect { height: inner.height.min(1), ..inner };
    put_left(buffer, line, vec![piece("nexus-inspect", theme.strong(), 0)], 0);
    if picker.searching {
        put_right(buffer, line, vec![piece("looking…", theme.notice(), 0)], 0);
    }
    if inner.height > 1 {
        let below = Rect { y: inner.y + 1, height: 1, ..inner };
        put_left(buffer, below, vec![piece("Attach to which process?", theme.plain(), 0)], 0);
    }
}

fn draw_none(buffer: &mut Buffer, area: Rect, theme: &Theme) {
    let inner = Rect {
        x: area.x + 2,
        y: area.y + area.height / 4,
        width: area.width.saturating_sub(4),
        height: area.height - area.height / 4,
    };
    let notes =
        [note("", "nothing to attach to", Tone::Notice), note("", HOW_TO_GET_ONE, Tone::Plain)];
    draw_notes(buffer, inner, &notes, theme);
}

fn draw_table(buffer: &mut Buffer, area: Rect, found: &[Found], picker: &Picker, theme: &Theme) {
    let table = Table {
        columns: &COLUMNS,
        sorted: None,
        rows: found.len(),
        selected: picker.selected_index(),
    };
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    table.draw(buffer, inner, theme, |row, column| Cell {
        text: cell(&found[row], column),
        style: theme.plain(),
    });
}

fn cell(found: &Found, column: usize) -> String {
    match column {
        0 => found.pid.to_string(),
        1 => text::clean(found.name()).into_owned(),
        2 => text::duration_ns(found.age_ns),
        3 => found.live_runtimes().count().to_string(),
        4 => found.tokens().text(text::short_count),
        5 => found.tasks().text(text::short_count),
        _ => text::clean(&found.process.command_line).into_owned(),
    }
}
