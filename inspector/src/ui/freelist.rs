//! The freelist: how full the slot table is, has been, and with what.
//!
//! ```text
//!  live 23 of 64   free 41   high water 31   growths 3
//!  64 ┤                      ▁▁▁▂▂▂▃▃▃▃▃
//!     │▂▂▂▃▃▃▃▃▄▄▄▄▄▅▅▅▅▆▆▆▆▇████████████
//!   0 └─┬0:30 ───────┬0:45 ───────┬1:00 ─
//!  ■ active  □ idle  ▫ quiet for 10 s  ! looks forgotten  · free
//!      0  ■ □ □ □ ! ■ · · ■ □ □ □ □ ■ · ·
//!  slot 4: token 4.2 tcp-stream …
//! ```

use super::layout::{CHART_SCALE, FreelistAreas};
use super::theme::Theme;
use super::widget::axis::{self, TimeScale};
use super::widget::line::{Piece, keep_start, piece, put, put_left, width};
use crate::app::App;
use crate::app::freelist::{SlotState, suspicion};
use crate::app::tokens::address_text;
use crate::model::OccupancyCell;
use crate::text;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

const BLOCKS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// Draws the pane.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, theme: &Theme) {
    let parts = FreelistAreas::new(area);
    draw_numbers(buffer, parts.numbers, app, theme);
    draw_chart(buffer, parts.chart, app, theme);
    draw_legend(buffer, parts.legend, app, theme);
    draw_map(buffer, parts.map, app, theme);
    draw_selected(buffer, parts.selected, app, theme);
}

fn draw_numbers(buffer: &mut Buffer, area: Rect, app: &App, theme: &Theme) {
    let free = app.view.freelist();
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let number = |label: &str, number: u64, rank| {
        piece(format!("{label} {}", text::count(number)), theme.plain(), rank)
    };
    let mut pieces = vec![
        piece(
            format!("live {} of {}", text::count(free.live), text::count(free.capacity)),
            theme.strong(),
            0,
        ),
        number("free", free.free, 1),
        number("high water", free.high_water, 2),
        number("growths", free.growths, 3),
        number("claims", app.view.totals.claims, 4),
        number("releases", app.view.totals.releases, 4),
    ];
    for (label, wrong) in [
        ("refused", app.view.totals.releases_refused),
        ("failed to deregister", app.view.totals.deregister_failures),
        ("without row", app.view.totals.tokens_without_row),
    ] {
        if wrong > 0 {
            pieces.push(piece(format!("{label} {}", text::count(wrong)), theme.bad(), 1));
        }
    }
    put_left(buffer, inner, pieces, 3);
}

fn draw_chart(buffer: &mut Buffer, area: Rect, app: &App, theme: &Theme) {
    if area.height < 3 || area.width <= CHART_SCALE {
        return;
    }
    let cells = &app.freelist.chart;
    let highest = cells.iter().map(|cell| cell.capacity.max(cell.max)).max().unwrap_or(0).max(1);
    let plot = Rect {
        x: area.x + CHART_SCALE,
        width: area.width - CHART_SCALE,
        height: area.height - 1,
        ..area
    };
    draw_scale(buffer, Rect { width: CHART_SCALE, ..area }, highest, theme);
    for (cell, x) in cells.iter().zip(plot.left()..plot.right()) {
        if cell.known {
            draw_bar(buffer, plot, x, cell, highest, theme);
        }
    }
    let (from, to) = app.freelist.range;
    let scale = TimeScale {
        start_ns: from.0.saturating_sub(app.origin().0),
        span_ns: to.since(from),
        cells: plot.width,
    };
    let line = Rect { y: area.bottom() - 1, height: 1, ..plot };
    axis::draw_time(buffer, line, &scale, theme.dim());
}

fn draw_scale(buffer: &mut Buffer, area: Rect, highest: u32, theme: &Theme) {
    let rows = area.height - 1;
    for row in 0..rows {
        let at_top = row == 0;
        let middle = row == rows / 2 && rows >= 6;
        let label = match (at_top, middle) {
            (true, _) => text::short_count(u64::from(highest)),
            (_, true) => {
                text::short_count(u64::from(highest) * u64::from(rows - row) / u64::from(rows))
            }
            _ => String::new(),
        };
        let mark = if label.is_empty() { '│' } else { '┤' };
        let line = format!("{label:>5} {mark}");
        put(buffer, area, area.x, area.y + row, &line, theme.dim());
    }
    put(buffer, area, area.x, area.y + rows, "    0 └", theme.dim());
}

/// One cell of the chart: live slots as a bar, the capacity as a line above it.
fn draw_bar(
    buffer: &mut Buffer,
    plot: Rect,
    x: u16,
    cell: &OccupancyCell,
    highest: u32,
    theme: &Theme,
) {
    let eighths = |slots: u32| {
        (u64::from(slots) * u64::from(plot.height) * 8).div_ceil(u64::from(highest)) as u16
    };
    let live = eighths(cell.max);
    for row in 0..plot.height {
        let below = (plot.height - 1 - row) * 8;
        let part = live.saturating_sub(below).min(8);
        if part > 0 {
            // Only the crest stands out.
            let style = if live - below <= 8 { theme.good() } else { theme.dim() };
            put(buffer, plot, x, plot.y + row, BLOCKS[usize::from(part)], style);
        }
    }
    let capacity_row = plot.height.saturating_sub(eighths(cell.capacity).div_ceil(8).max(1));
    let y = plot.y + capacity_row;
    if y < plot.bottom() && buffer[(x, y)].symbol() == " " {
        put(buffer, plot, x, y, "▔", theme.dim());
    }
}

fn draw_legend(buffer: &mut Buffer, area: Rect, app: &App, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    let counts = counts(app);
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let mut x = inner.x;
    for state in SlotState::ALL {
        let text = format!("{} {}", state.name(), text::short_count(counts(state)));
        if x + 2 + width(&text) > inner.right() {
            break;
        }
        x = put(buffer, inner, x, inner.y, &state.glyph().to_string(), slot_style(state, theme));
        x = put(buffer, inner, x + 1, inner.y, &text, theme.dim()) + 2;
    }
}

/// How many slots are in which state.
fn counts(app: &App) -> impl Fn(SlotState) -> u64 + use<> {
    let mut counts = [0_u64; SlotState::ALL.len()];
    for token in &app.view.tokens {
        counts[SlotState::of(&token.row, app.view.at) as usize] += 1;
    }
    counts[SlotState::Free as usize] = app.view.totals.free();
    move |state| counts[state as usize]
}

/// How the map lays out its marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapLayout {
    /// Cells at the left that hold the number of a line's first slot.
    labels: u16,
    /// Cells from one mark to the next.
    pitch: u16,
    /// Marks in a line.
    per_line: u16,
    /// Slots that share a mark.
    per_mark: u64,
}

impl MapLayout {
    /// The layout for so many slots: with room between the marks if there is enough, with several slots to a mark if
    /// there is not.
    #[must_use]
    pub fn new(area: Rect, capacity: u64) -> Self {
        let labels = if area.width >= 24 { 8 } else { 0 };
        let room = area.width.saturating_sub(labels);
        let per_line = |pitch: u16| match room / pitch {
            marks @ 16.. => marks - marks % 16,
            marks => marks.max(1),
        };
        let fits = |pitch: u16| u64::from(per_line(pitch)) * u64::from(area.height) >= capacity;
        let pitch = if fits(2) { 2 } else { 1 };
        let marks = u64::from(per_line(pitch)) * u64::from(area.height);
        let per_mark = capacity.div_ceil(marks.max(1)).max(1);
        Self { labels, pitch, per_line: per_line(pitch), per_mark }
    }

    /// Slots from one line to the next.
    #[must_use]
    pub fn slots_per_line(&self) -> u64 {
        u64::from(self.per_line) * self.per_mark
    }
}

/// One mark for each slot, or for several when they are too many: the state most worth a look among them.
fn draw_map(buffer: &mut Buffer, area: Rect, app: &App, theme: &Theme) {
    let capacity = app.view.totals.capacity;
    let layout = MapLayout::new(area, capacity);
    if capacity == 0 || area.is_empty() {
        return;
    }
    for mark in 0..capacity.div_ceil(layout.per_mark) {
        let (line, column) = (mark / u64::from(layout.per_line), mark % u64::from(layout.per_line));
        let y = area.y + line as u16;
        let slots = mark * layout.per_mark..((mark + 1) * layout.per_mark).min(capacity);
        if column == 0 && layout.labels > 0 {
            put(buffer, area, area.x, y, &format!("{:>6}", slots.start), theme.dim());
        }
        let holds_selected =
            app.freelist.selected.is_some_and(|slot| slots.contains(&u64::from(slot)));
        let state = worst(app, slots);
        let mut style = slot_style(state, theme);
        if holds_selected {
            style = style.add_modifier(Modifier::REVERSED);
        }
        let x = area.x + layout.labels + column as u16 * layout.pitch;
        put(buffer, area, x, y, &state.glyph().to_string(), style);
    }
}

fn worst(app: &App, slots: std::ops::Range<u64>) -> SlotState {
    let tokens = &app.view.tokens;
    let from = tokens.partition_point(|token| u64::from(token.row.token.slot) < slots.start);
    tokens[from..]
        .iter()
        .take_while(|token| u64::from(token.row.token.slot) < slots.end)
        .map(|token| SlotState::of(&token.row, app.view.at))
        .max()
        .unwrap_or(SlotState::Free)
}

fn slot_style(state: SlotState, theme: &Theme) -> Style {
    match state {
        SlotState::Free => theme.dim(),
        SlotState::Active => theme.good(),
        SlotState::Idle => theme.plain(),
        SlotState::Quiet => theme.dim(),
        SlotState::Suspect => theme.bad(),
    }
}

fn draw_selected(buffer: &mut Buffer, area: Rect, app: &App, theme: &Theme) {
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let Some(slot) = app.freelist.selected else {
        let hint = "← → ↑ ↓ select a slot";
        put(buffer, inner, inner.x, inner.y, &keep_start(hint, inner.width), theme.dim());
        return;
    };
    let pieces = match app.view.slot(slot) {
        None => {
            vec![piece(format!("slot {slot}"), theme.strong(), 0), piece("free", theme.dim(), 0)]
        }
        Some(token) => token_pieces(app, token, theme),
    };
    put_left(buffer, inner, pieces, 2);
}

fn token_pieces(app: &App, token: &crate::model::Token, theme: &Theme) -> Vec<Piece> {
    let (row, at, strings) = (&token.row, app.view.at, app.model.strings());
    let mut pieces = vec![
        piece(format!("token {}", row.token), theme.strong(), 0),
        piece(row.kind.name(), theme.plain(), 1),
    ];
    if let Some(peer) = row.peer {
        pieces.push(piece(address_text(peer, strings), theme.plain(), 4));
    }
    if let Some(owner) = row.owner {
        pieces.push(piece(format!("task {owner}"), theme.plain(), 3));
    }
    let age = text::duration_ns(at.since(row.claimed));
    pieces.push(piece(format!("age {age}"), theme.plain(), 5));
    match suspicion(row, at) {
        Some(why) => pieces.push(piece(why, theme.bad(), 2)),
        None => {
            let quiet = at.since(row.last_active.known().unwrap_or(row.claimed));
            pieces.push(piece(format!("quiet {}", text::duration_ns(quiet)), theme.plain(), 2));
        }
    }
    pieces.push(piece(text::clean(strings.get(row.location)), theme.dim(), 6));
    pieces
}
