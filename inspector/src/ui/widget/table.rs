//! A table: columns chosen by importance for the room there is, rows in a window around the selected one.
//!
//! Knows widths and styles; what the cells mean, and in which order the rows stand, is the pane's business.

use super::line::{keep_end, keep_start, put, width};
use crate::ui::theme::Theme;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Cells between two columns.
const GAP: u16 = 1;

/// On which side a column's text stands, and which end of it is kept when it is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words: on the left, cut at the end.
    Left,
    /// Paths: on the left, cut at the beginning.
    Path,
    /// Numbers: on the right.
    Right,
}

/// The layout of a column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The heading.
    pub title: &'static str,
    /// Fewest cells with which the column is worth showing.
    pub min: u16,
    /// Most cells that it can make use of.
    pub max: u16,
    /// Its side.
    pub align: Align,
    /// How soon it is left out when room is short: the largest number goes first.
    pub rank: u8,
}

/// One cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The text, clean.
    pub text: String,
    /// Its style.
    pub style: Style,
}

/// A column that is shown: which one, where, how wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Placed {
    index: usize,
    x: u16,
    width: u16,
}

/// A table about to be drawn.
#[derive(Debug)]
pub struct Table<'a> {
    /// All columns.
    pub columns: &'a [Column],
    /// Index of the sorted column and whether the largest value comes first. This column is always shown.
    pub sorted: Option<(usize, bool)>,
    /// How many rows there are.
    pub rows: usize,
    /// Which of them is selected.
    pub selected: Option<usize>,
}

/// The first row of a window of `height` rows in which the selected one stands in the middle, where the ends allow.
#[must_use]
pub fn window_start(rows: usize, selected: Option<usize>, height: usize) -> usize {
    selected.unwrap_or(0).saturating_sub(height / 2).min(rows.saturating_sub(height))
}

impl Table<'_> {
    /// Draws the heading and as many rows as fit. `cell` gives the content of a row and column.
    pub fn draw(
        &self,
        buffer: &mut Buffer,
        area: Rect,
        theme: &Theme,
        cell: impl Fn(usize, usize) -> Cell,
    ) {
        if area.is_empty() {
            return;
        }
        let placed = place(self.columns, self.sorted.map(|(index, _)| index), area.width);
        self.draw_heading(buffer, area, theme, &placed);
        let height = usize::from(area.height - 1);
        let start = window_start(self.rows, self.selected, height);
        for (line, row) in (start..self.rows).take(height).enumerate() {
            let y = area.y + 1 + line as u16;
            for column in &placed {
                let Cell { text, style } = cell(row, column.index);
                let text = aligned(&text, self.columns[column.index].align, column.width);
                // Reversed colours of single cells would tear the selected row apart.
                let style = if self.selected == Some(row) { Style::new() } else { style };
                put(buffer, area, area.x + column.x, y, &text, style);
            }
            if self.selected == Some(row) {
                buffer.set_style(Rect { y, height: 1, ..area }, theme.selected());
            }
        }
    }

    fn draw_heading(&self, buffer: &mut Buffer, area: Rect, theme: &Theme, placed: &[Placed]) {
        for column in placed {
            let spec = &self.columns[column.index];
            let (title, style) = match self.sorted {
                Some((index, descending)) if index == column.index => (
                    format!("{}{}", spec.title, if descending { '▼' } else { '▲' }),
                    theme.accent(),
                ),
                _ => (spec.title.to_owned(), theme.dim()),
            };
            let align = if spec.align == Align::Path { Align::Left } else { spec.align };
            let text = aligned(&title, align, column.width);
            put(buffer, area, area.x + column.x, area.y, &text, style);
        }
    }
}

/// Chooses the columns for a width and places them. `sorted` is kept whatever its rank. Room left over goes to the
/// columns that can use it, the most important first.
fn place(columns: &[Column], sorted: Option<usize>, cells: u16) -> Vec<Placed> {
    let rank = |index: usize| if Some(index) == sorted { 0 } else { columns[index].rank };
    let needed = |index: usize| {
        // The mark of the sorted column needs a place beside its title.
        let title = width(columns[index].title) + u16::from(Some(index) == sorted);
        columns[index].min.max(title)
    };
    let mut by_rank: Vec<usize> = (0..columns.len()).collect();
    by_rank.sort_by_key(|&index| rank(index));
    let mut shown = Vec::new();
    let mut used = 0;
    for &index in &by_rank {
        let more = needed(index) + if shown.is_empty() { 0 } else { GAP };
        if used + more > cells && !shown.is_empty() {
            break;
        }
        used += more;
        shown.push((index, needed(index)));
    }
    let mut spare = cells.saturating_sub(used);
    for (index, width) in &mut shown {
        let more = columns[*index].max.saturating_sub(*width).min(spare);
        *width += more;
        spare -= more;
    }
    shown.sort_by_key(|&(index, _)| index);
    let mut x = 0;
    shown
        .into_iter()
        .map(|(index, width)| {
            let placed = Placed { index, x, width: width.min(cells.saturating_sub(x)) };
            x += width + GAP;
            placed
        })
        .collect()
}

/// The text in exactly `cells` cells.
fn aligned(text: &str, align: Align, cells: u16) -> String {
    let text = if align == Align::Path { keep_end(text, cells) } else { keep_start(text, cells) };
    let spaces = " ".repeat(usize::from(cells.saturating_sub(width(&text))));
    match align {
        Align::Right => spaces + &text,
        Align::Left | Align::Path => text + &spaces,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 4] = [
        Column { title: "task", min: 4, max: 4, align: Align::Right, rank: 0 },
        Column { title: "location", min: 8, max: 20, align: Align::Path, rank: 1 },
        Column { title: "polls", min: 6, max: 6, align: Align::Right, rank: 2 },
        Column { title: "age", min: 5, max: 5, align: Align::Right, rank: 3 },
    ];

    fn drawn(width: u16, sorted: Option<(usize, bool)>) -> Vec<String> {
        let area = Rect::new(0, 0, width, 3);
        let mut buffer = Buffer::empty(area);
        Table { columns: &COLUMNS, sorted, rows: 9, selected: Some(1) }.draw(
            &mut buffer,
            area,
            &Theme::new(false),
            |row, column| Cell { text: format!("src/r{row}c{column}"), style: Style::new() },
        );
        (0..3).map(|y| (0..width).map(|x| buffer[(x, y)].symbol()).collect()).collect()
    }

    #[test]
    fn unimportant_columns_go_first_and_room_goes_to_the_important_ones() {
        assert_eq!(drawn(26, None)[0], "task location  polls   age");
        assert_eq!(drawn(25, None)[0], "task location       polls");
        assert_eq!(drawn(13, None)[0], "task location");
        assert_eq!(drawn(13, None)[1], "src… src/r0c1");
        assert_eq!(drawn(3, None)[0], "ta…");
    }

    #[test]
    fn the_sorted_column_is_marked_and_stays() {
        assert_eq!(drawn(13, Some((3, true)))[0], "task  age▼   ");
        assert_eq!(drawn(13, Some((0, false)))[0], "task▲        ");
    }

    #[test]
    fn the_window_follows_the_selection() {
        assert_eq!(window_start(10, None, 4), 0);
        assert_eq!(window_start(10, Some(5), 4), 3);
        assert_eq!(window_start(10, Some(9), 4), 6);
        assert_eq!(window_start(3, Some(2), 4), 0);
    }

    #[test]
    fn no_size_is_too_small() {
        for width in 0..30 {
            for height in 0..3 {
                let area = Rect::new(0, 0, width, height);
                let mut buffer = Buffer::empty(area);
                Table { columns: &COLUMNS, sorted: Some((2, true)), rows: 5, selected: None }.draw(
                    &mut buffer,
                    area,
                    &Theme::new(true),
                    |_, _| Cell { text: "x".repeat(40), style: Style::new() },
                );
            }
        }
    }
}
