//! The panes that are tables: tokens and tasks.

use super::theme::Theme;
use super::widget::line::{keep_start, put, width};
use super::widget::table::{Cell, Column as Layout, Table};
use crate::app::App;
use crate::app::table::{Column, Line, TableState};
use crate::app::value::Value;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Draws a table.
pub fn draw<C: Column + Looks>(
    buffer: &mut Buffer,
    area: Rect,
    app: &App,
    state: &TableState<C>,
    theme: &Theme,
) {
    let columns: Vec<Layout> = C::ALL.iter().map(|column| column.layout()).collect();
    let sorted = C::ALL.iter().position(|&column| column == state.sort);
    let table = Table {
        columns: &columns,
        sorted: sorted.map(|index| (index, state.descending)),
        rows: state.lines.len(),
        selected: state.selected_index(),
    };
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    table.draw(buffer, inner, theme, |row, column| {
        cell(app, state, &state.lines[row], column, theme)
    });
    if state.lines.is_empty() {
        let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let why = if state.total == 0 {
            C::NONE.to_owned()
        } else {
            format!("none of {} contains {:?}", state.total, app.filter)
        };
        draw_empty(buffer, below, &why, theme);
    }
}

/// What a table's cells look like beyond their text.
pub trait Looks: Sized {
    /// What to say when there are no rows.
    const NONE: &'static str;

    /// Whether a number other than zero in this column is bad news.
    fn counts_blemishes(self) -> bool;
}

impl Looks for crate::app::tokens::TokenColumn {
    const NONE: &'static str = "no live tokens";

    fn counts_blemishes(self) -> bool {
        matches!(self, Self::Spurious | Self::Stale)
    }
}

impl Looks for crate::app::tasks::TaskColumn {
    const NONE: &'static str = "no live tasks";

    fn counts_blemishes(self) -> bool {
        matches!(self, Self::Spurious)
    }
}

fn cell<C: Column + Looks>(
    app: &App,
    state: &TableState<C>,
    line: &Line<C::Key>,
    index: usize,
    theme: &Theme,
) -> Cell {
    let column = C::ALL[index];
    let value = state.value(line, column, app.context());
    let is_blemish = column.counts_blemishes() && !value.is_zero() && value != Value::Nothing;
    let style = match line {
        _ if is_blemish => theme.bad(),
        _ if value.is_zero() => theme.dim(),
        Line::Group { .. } => theme.strong(),
        Line::Row { .. } => theme.plain(),
    };
    let text = match line {
        Line::Group { members, open, .. } if index == 0 => {
            format!("{} {members}×", if *open { '▾' } else { '▸' })
        }
        Line::Group { name, .. } if state.group == Some(column) && name.is_empty() => {
            "none".to_owned()
        }
        _ => value.text(),
    };
    Cell { text, style }
}

/// Says in the middle of an area why it is empty.
pub fn draw_empty(buffer: &mut Buffer, area: Rect, why: &str, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    let text = keep_start(why, area.width);
    let x = area.x + (area.width - width(&text)) / 2;
    put(buffer, area, x, area.y + area.height / 3, &text, theme.dim());
}
