//! The line of panes, which is also the rule between header and pane.
//!
//! ```text
//! ─ 1 Tokens 23 ─ 2 Tasks 41 ─ 3 Timeline ─ 4 Freelist ───────── by ev/s ▼ ─ grouped by owner ─
//! ```

use super::theme::Theme;
use super::widget::line::{piece, put, put_right, width};
use crate::app::App;
use crate::app::table::{Column, TableState};
use crate::keymap::Pane;
use crate::text;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Draws the line.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, theme: &Theme) {
    for x in area.left()..area.right() {
        put(buffer, area, x, area.top(), "─", theme.dim());
    }
    let mut x = area.left() + 1;
    let narrow = area.width < 60;
    for (at, pane) in Pane::ALL.into_iter().enumerate() {
        let selected = pane == app.pane;
        let title = match count(pane, app) {
            _ if narrow && !selected => format!(" {} ", at + 1),
            Some(count) => format!(" {} {} {count} ", at + 1, pane.title()),
            None => format!(" {} {} ", at + 1, pane.title()),
        };
        let style = match (selected, theme.has_color()) {
            (true, true) => theme.accent(),
            (true, false) => theme.selected(),
            (false, _) => theme.plain(),
        };
        if x.saturating_add(width(&title)) > area.right() {
            return;
        }
        x = put(buffer, area, x, area.top(), &title, style).saturating_add(1);
    }
    let rest = Rect { x, width: area.right().saturating_sub(x + 1), ..area };
    let note = note(app);
    if width(&note) < rest.width {
        put_right(buffer, rest, vec![piece(note, theme.dim(), 0)], 0);
    }
}

fn count(pane: Pane, app: &App) -> Option<String> {
    match pane {
        // Nobody has counted them.
        _ if app.is_off() => None,
        Pane::Tokens => Some(text::short_count(app.view.tokens.len() as u64)),
        Pane::Tasks => Some(text::short_count(app.view.tasks.len() as u64)),
        Pane::Timeline => None,
        Pane::Freelist => None,
    }
}

/// How the pane on top is arranged.
fn note(app: &App) -> String {
    match app.pane {
        _ if app.is_off() => String::new(),
        Pane::Tokens => table_note(&app.tokens, &app.filter),
        Pane::Tasks => table_note(&app.tasks, &app.filter),
        Pane::Timeline => {
            let lanes = app.timeline.scene.as_ref().map_or(0, |scene| scene.total);
            let filter = filter_note(&app.filter);
            format!(" {lanes} lanes{filter} · {} wide ", text::duration_ns(app.timeline.span_ns))
        }
        Pane::Freelist => {
            let (from, to) = app.freelist.range;
            format!(" the last {} ", text::duration_ns(to.since(from)))
        }
    }
}

fn table_note<C: Column>(state: &TableState<C>, filter: &str) -> String {
    let group =
        state.group.map_or(String::new(), |by| format!(" · grouped by {}", by.group_name()));
    let place = match state.selected_index() {
        Some(at) => format!("{}/{}", at + 1, state.lines.len()),
        None => format!("{} rows", state.lines.len()),
    };
    format!(" {place}{group}{} ", filter_note(filter))
}

fn filter_note(filter: &str) -> String {
    if filter.is_empty() { String::new() } else { format!(" · with {:?}", text::clean(filter)) }
}
