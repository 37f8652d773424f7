//! The last line: the keys most worth knowing here, or the filter while it is typed.

use super::theme::Theme;
use super::widget::line::{keep_end, put, width};
use crate::app::App;
use crate::keymap::{self, Binding, Scope};
use crate::text;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Draws the line.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, theme: &Theme) {
    if app.typing {
        draw_filter(buffer, area, &app.filter, theme);
    } else if let Some(notice) = &app.notice {
        put(buffer, area, area.x + 1, area.y, notice, theme.notice());
    } else {
        draw_keys(buffer, area, Scope::of(app.pane), theme);
    }
}

fn draw_filter(buffer: &mut Buffer, area: Rect, filter: &str, theme: &Theme) {
    let x = put(buffer, area, area.x, area.y, " show only with: ", theme.accent());
    let room = area.right().saturating_sub(x + 1);
    let x = put(buffer, area, x, area.y, &keep_end(&text::clean(filter), room), theme.plain());
    let x = put(buffer, area, x, area.y, " ", theme.selected());
    let hint = "  Enter keeps it, Esc takes it back";
    if x.saturating_add(width(hint)) <= area.right() {
        put(buffer, area, x, area.y, hint, theme.dim());
    }
}

/// Draws the keys that hold in a scope, its own before those that hold everywhere, as far as there is room.
pub fn draw_keys(buffer: &mut Buffer, area: Rect, scope: Scope, theme: &Theme) {
    let everywhere: Vec<&Binding> = keymap::bindings(Scope::Everywhere).collect();
    let first = everywhere.iter().take(2).copied();
    let rest = everywhere.iter().skip(2).copied();
    let general: Box<dyn Iterator<Item = &Binding>> =
        if scope == Scope::Picker { Box::new(std::iter::empty()) } else { Box::new(rest) };
    let mut x = area.x;
    for binding in first.chain(keymap::bindings(scope)).chain(general) {
        let Some(short) = binding.short else { continue };
        let needed = width(binding.label) + width(short) + 3;
        if x.saturating_add(needed) > area.right() {
            break;
        }
        x = put(buffer, area, x + 1, area.y, binding.label, theme.accent());
        x = put(buffer, area, x + 1, area.y, short, theme.dim()) + 1;
    }
}
