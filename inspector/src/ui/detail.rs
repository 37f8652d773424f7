//! The detail panel, and notes in general: a word of what each line is about, and what there is to say.

use super::theme::Theme;
use super::widget::line::{piece, put, put_left, width};
use crate::app::detail::Detail;
use crate::app::words::{Note, Tone};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

/// Draws the panel with a rule at its left or top.
pub fn draw(buffer: &mut Buffer, area: Rect, detail: &Detail, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    let beside = area.y > 0 && area.height > area.width / 3 && area.x > 0;
    if beside {
        for y in area.top()..area.bottom() {
            put(buffer, area, area.x, y, "│", theme.dim());
        }
    } else {
        for x in area.left()..area.right() {
            put(buffer, area, x, area.y, "─", theme.dim());
        }
    }
    let inner = if beside {
        Rect { x: area.x + 2, width: area.width.saturating_sub(3), ..area }
    } else {
        Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }
    };
    let title = if beside { detail.title.clone() } else { format!(" {} ", detail.title) };
    put_left(buffer, Rect { height: 1, ..inner }, vec![piece(title, theme.accent(), 0)], 0);
    let below = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
    draw_columns(buffer, below, &detail.notes, theme);
}

/// In a low and wide panel, notes run in two columns.
fn draw_columns(buffer: &mut Buffer, area: Rect, notes: &[Note], theme: &Theme) {
    let rows = usize::from(area.height);
    if notes.len() <= rows || area.width < 70 || rows == 0 {
        draw_notes(buffer, area, notes, theme);
        return;
    }
    let half = area.width / 2;
    let (left, right) = notes.split_at(rows.max(notes.len() / 2).min(rows));
    draw_notes(buffer, Rect { width: half - 1, ..area }, left, theme);
    draw_notes(buffer, Rect { x: area.x + half, width: area.width - half, ..area }, right, theme);
}

/// Draws notes below each other, long ones wrapped, as far as there is room.
pub fn draw_notes(buffer: &mut Buffer, area: Rect, notes: &[Note], theme: &Theme) {
    let longest = notes.iter().map(|note| width(&note.label)).max().unwrap_or(0);
    let labels = (longest + 2).min(area.width / 3);
    let mut y = area.y;
    for note in notes {
        if note.tone == Tone::Heading {
            put(buffer, area, area.x, y, &note.label, theme.strong());
            y = y.saturating_add(1);
            continue;
        }
        let label = Rect { width: labels.saturating_sub(1), ..area };
        put(buffer, label, area.x, y, &note.label, theme.dim());
        for line in wrap(&note.text, area.width.saturating_sub(labels)) {
            put(buffer, area, area.x + labels, y, &line, style(note.tone, theme));
            y = y.saturating_add(1);
        }
        if y >= area.bottom() {
            return;
        }
    }
}

fn style(tone: Tone, theme: &Theme) -> Style {
    match tone {
        Tone::Plain => theme.plain(),
        Tone::Quiet => theme.dim(),
        Tone::Good => theme.good(),
        Tone::Notice => theme.notice(),
        Tone::Bad => theme.bad(),
        Tone::Heading => theme.strong(),
    }
}

/// The text in lines of at most `cells`, broken at spaces where there are any. At least one line.
fn wrap(text: &str, cells: u16) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        let gap = u16::from(!line.is_empty());
        if line.is_empty() || width(line) + gap + width(word) <= cells {
            if gap == 1 {
                line.push(' ');
            }
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.iter().flat_map(|line| chop(line, cells)).collect()
}

/// A word that is too long for a line, in pieces that are not.
fn chop(line: &str, cells: u16) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for character in line.chars() {
        let last = pieces.last_mut().expect("there is always a piece");
        if width(last) + width(character.encode_utf8(&mut [0; 4])) > cells && !last.is_empty() {
            pieces.push(character.to_string());
        } else {
            last.push(character);
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_wrap_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), [""]);
        assert_eq!(wrap("ab", 0), ["a", "b"]);
    }
}
