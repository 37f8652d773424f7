//! Plain text tables: columns as wide as their widest cell, numbers to the right.

use crate::text;
use std::fmt::Write as _;

/// A column: its heading and its side.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    /// Text.
    Left(&'static str),
    /// Numbers.
    Right(&'static str),
}

impl Column {
    fn heading(self) -> &'static str {
        match self {
            Self::Left(heading) | Self::Right(heading) => heading,
        }
    }
}

/// Lays out a table, with its headings, each line ending in a newline. Control characters in cells are made harmless.
///
/// # Panics
///
/// Panics if a row has more cells than there are columns.
pub(crate) fn render(columns: &[Column], rows: &[Vec<String>]) -> String {
    let headings = columns.iter().map(|column| column.heading().to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(&headings)
        .chain(rows)
        .map(|row| row.iter().map(|cell| text::clean(cell).into_owned()).collect())
        .collect();
    let mut widths = vec![0; columns.len()];
    for line in &lines {
        for (at, cell) in line.iter().enumerate() {
            widths[at] = widths[at].max(cell.chars().count());
        }
    }
    let mut table = String::new();
    for line in &lines {
        let mut laid_out = String::new();
        for ((cell, column), &width) in line.iter().zip(columns).zip(&widths) {
            let _ = match column {
                Column::Left(_) => write!(laid_out, "{cell:<width$}  "),
                Column::Right(_) => write!(laid_out, "{cell:>width$}  "),
            };
        }
        table.push_str(laid_out.trim_end());
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let columns = [Column::Right("PID"), Column::Left("NAME"), Column::Right("TOKENS")];
        let rows = [
            vec!["7".to_owned(), "größer".to_owned(), "1,000".to_owned()],
            vec!["12345".to_owned(), "a\x1b".to_owned(), "2".to_owned()],
        ];
        let expected = "  PID  NAME    TOKENS\n    7  größer   1,000\n12345  a␛           2\n";
        assert_eq!(render(&columns, &rows), expected);
    }
}
