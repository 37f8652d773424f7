//! Putting text into one line of cells, cut where it has to be.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands for a part that was left out.
const ELLIPSIS: char = '…';

/// The number of cells that a text takes.
#[must_use]
pub fn width(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// The text, or as much of its beginning as fits with an ellipsis behind it.
#[must_use]
pub fn keep_start(text: &str, cells: u16) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut room = usize::from(cells.saturating_sub(1));
    for character in text.chars() {
        let needed = character.width().unwrap_or(0);
        if needed > room {
            break;
        }
        room -= needed;
        kept.push(character);
    }
    if cells > 0 {
        kept.push(ELLIPSIS);
    }
    kept
}

/// The text, or as much of its end as fits with an ellipsis before it: right for paths and source locations.
#[must_use]
pub fn keep_end(text: &str, cells: u16) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let mut kept = Vec::new();
    let mut room = usize::from(cells.saturating_sub(1));
    for character in text.chars().rev() {
        let needed = character.width().unwrap_or(0);
        if needed > room {
            break;
        }
        room -= needed;
        kept.push(character);
    }
    if cells > 0 {
        kept.push(ELLIPSIS);
    }
    kept.iter().rev().collect()
}

/// A piece of text in one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text, clean.
    pub text: String,
    /// Its style.
    pub style: Style,
    /// How soon it may be left out when room is short: the largest number goes first, zero stays to the end.
    pub rank: u8,
}

/// A piece that is left out in the order of `rank`.
#[must_use]
pub fn piece(text: impl Into<String>, style: Style, rank: u8) -> Piece {
    Piece { text: text.into(), style, rank }
}

/// Leaves pieces out, those of the largest rank first and of equal ones the last, until `pieces` with `gap` cells
/// between them fit. One piece of rank zero always remains, cut if need be.
#[must_use]
pub fn fit(mut pieces: Vec<Piece>, gap: u16, cells: u16) -> Vec<Piece> {
    pieces.retain(|piece| !piece.text.is_empty());
    while total(&pieces, gap) > cells {
        let Some(rank) = pieces.iter().map(|piece| piece.rank).max() else { break };
        if pieces.len() <= 1 {
            if let Some(last) = pieces.first_mut() {
                last.text = keep_start(&last.text, cells);
            }
            break;
        }
        let at = pieces.iter().rposition(|piece| piece.rank == rank).unwrap_or(0);
        pieces.remove(at);
    }
    pieces
}

/// The cells that pieces take with `gap` between them.
#[must_use]
pub fn total(pieces: &[Piece], gap: u16) -> u16 {
    let gaps =
        gap.saturating_mul(u16::try_from(pieces.len().saturating_sub(1)).unwrap_or(u16::MAX));
    pieces.iter().fold(gaps, |sum, piece| sum.saturating_add(width(&piece.text)))
}

/// Writes a text at a place and returns the column behind it. Nothing outside of `area` is touched.
pub fn put(buffer: &mut Buffer, area: Rect, x: u16, y: u16, text: &str, style: Style) -> u16 {
    let area = area.intersection(buffer.area);
    if y < area.top() || y >= area.bottom() || x < area.left() || x >= area.right() {
        return x;
    }
    buffer.set_stringn(x, y, text, usize::from(area.right() - x), style).0
}

/// Writes as many pieces as fit from the left of the area's first line, and returns the column behind the last.
pub fn put_left(buffer: &mut Buffer, area: Rect, pieces: Vec<Piece>, gap: u16) -> u16 {
    let mut x = area.left();
    for (at, piece) in fit(pieces, gap, area.width).into_iter().enumerate() {
        if at > 0 {
            x = x.saturating_add(gap);
        }
        x = put(buffer, area, x, area.top(), &piece.text, piece.style);
    }
    x
}

/// Writes as many pieces as fit against the right end of the area's first line, and returns the first column they take.
pub fn put_right(buffer: &mut Buffer, area: Rect, pieces: Vec<Piece>, gap: u16) -> u16 {
    let pieces = fit(pieces, gap, area.width);
    let start = area.right().saturating_sub(total(&pieces, gap)).max(area.left());
    let inner = Rect { x: start, width: area.right().saturating_sub(start), ..area };
    put_left(buffer, inner, pieces, gap);
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_the_end_that_says_less() {
        assert_eq!(keep_start("gateway", 7), "gateway");
        assert_eq!(keep_start("gateway", 5), "gate…");
        assert_eq!(keep_end("src/net/feed.rs:88", 10), "…eed.rs:88");
        assert_eq!(keep_end("abc", 0), "");
        assert_eq!(keep_start("日本語", 4), "日…", "half of a wide character is never shown");
    }

    #[test]
    fn the_least_important_piece_goes_first() {
        let pieces = || {
            vec![
                piece("name", Style::new(), 0),
                piece("pid", Style::new(), 2),
                piece("up", Style::new(), 1),
            ]
        };
        let texts = |cells| -> Vec<String> {
            fit(pieces(), 1, cells).into_iter().map(|piece| piece.text).collect()
        };
        assert_eq!(texts(11), ["name", "pid", "up"]);
        assert_eq!(texts(10), ["name", "up"]);
        assert_eq!(texts(6), ["name"]);
        assert_eq!(texts(3), ["na…"]);
    }

    #[test]
    fn nothing_is_written_outside() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 4, 1));
        let area = Rect::new(1, 0, 2, 1);
        put(&mut buffer, area, 1, 0, "abcdef", Style::new());
        put(&mut buffer, area, 1, 5, "zzz", Style::new());
        put(&mut buffer, area, 9, 0, "zzz", Style::new());
        assert_eq!(buffer, Buffer::with_lines([" ab "]));
    }
}
