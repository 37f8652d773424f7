//! Drawing: the state of the app as cells. Every function here is pure: the same state gives the same screen.

use crate::app::App;
use crate::keymap::Pane;
use ratatui::Frame;
use ratatui::buffer::Buffer;

pub mod detail;
pub mod freelist;
pub mod header;
pub mod help;
pub mod layout;
pub mod picker;
pub mod status;
pub mod tables;
pub mod tabs;
pub mod theme;
pub mod timeline;
pub mod widget;

#[cfg(test)]
mod tests;

use theme::Theme;

/// Draws the whole screen.
pub fn draw(frame: &mut Frame<'_>, app: &App, theme: &Theme) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    // A terminal that has just become smaller than the app knows gets what fits.
    let areas = app.areas();
    let fit = |part: ratatui::layout::Rect| part.intersection(area);
    header::draw(buffer, fit(areas.header), app, theme);
    tabs::draw(buffer, fit(areas.tabs), app, theme);
    draw_pane(buffer, fit(areas.body), app, theme);
    if let Some(detail) = &app.detail {
        detail::draw(buffer, fit(areas.detail), detail, theme);
    }
    status::draw(buffer, fit(areas.status), app, theme);
    if let Some(scroll) = app.help {
        help::draw(buffer, area, scroll, theme);
    }
}

fn draw_pane(buffer: &mut Buffer, area: ratatui::layout::Rect, app: &App, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    if app.runtime().is_none() {
        tables::draw_empty(buffer, area, &empty_reason(app), theme);
        return;
    }
    if app.is_off() {
        let why = "not recorded: the recorder of this runtime is off";
        tables::draw_empty(buffer, area, why, theme);
        return;
    }
    match app.pane {
        Pane::Tokens => tables::draw(buffer, area, app, &app.tokens, theme),
        Pane::Tasks => tables::draw(buffer, area, app, &app.tasks, theme),
        Pane::Timeline => timeline::draw(buffer, area, app, theme),
        Pane::Freelist => freelist::draw(buffer, area, app, theme),
    }
}

/// Why there is no runtime to show.
fn empty_reason(app: &App) -> String {
    match (&app.ending, app.model.process()) {
        (Some(_), _) => "it ended before it showed a runtime".to_owned(),
        (None, None) => "waiting for the process to say who it is".to_owned(),
        (None, Some(_)) => "waiting for the process to enter block_on".to_owned(),
    }
}
