//! Fields as text of bounded length, and the text in pieces.

use nexus_protocol::fragment::Fragment;
use nexus_protocol::limits::MAX_TEXTS;
use std::fmt::{self, Write};
use tracing::field::{Field, Visit};

/// Bytes that are kept of a text: no more than the pieces can hold.
const KEPT: usize = MAX_TEXTS * Fragment::MAX;

/// Stands for what did not fit.
const CUT: &str = "…";

/// The name of the field that `tracing` keeps an event's message in.
const MESSAGE: &str = "message";

/// A text that takes what fits.
#[derive(Debug, Default)]
pub(super) struct Text {
    text: String,
    cut: bool,
}

impl Text {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.cut = false;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty() && !self.cut
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Adds another text, with a space between.
    pub(super) fn append(&mut self, other: &Self) {
        if !other.is_empty() {
            self.space();
            self.push(&other.text);
            self.cut |= other.cut;
        }
    }

    fn space(&mut self) {
        if !self.text.is_empty() {
            self.push(" ");
        }
    }

    fn push(&mut self, text: &str) {
        if self.cut {
            return;
        }
        let mut end = text.len().min(KEPT - self.text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.text.push_str(&text[..end]);
        self.cut = end < text.len();
    }

    /// The text in pieces, as many as there may be. If it is cut, here or before, the last one says so.
    pub(super) fn pieces(&self) -> Pieces {
        let mut pieces = Pieces { pieces: [Fragment::default(); MAX_TEXTS], count: 0 };
        let mut rest = self.text.as_str();
        while !rest.is_empty() && pieces.count < MAX_TEXTS {
            (pieces.pieces[pieces.count], rest) = Fragment::split(rest);
            pieces.count += 1;
        }
        if self.cut || !rest.is_empty() {
            pieces.mark_cut();
        }
        pieces
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

/// A text in pieces.
pub(super) struct Pieces {
    pieces: [Fragment; MAX_TEXTS],
    count: usize,
}

impl Pieces {
    fn mark_cut(&mut self) {
        self.count = self.count.max(1);
        let last = &mut self.pieces[self.count - 1];
        let mut end = last.as_str().len().min(Fragment::MAX - CUT.len());
        while !last.as_str().is_char_boundary(end) {
            end -= 1;
        }
        let marked = format!("{}{CUT}", &last.as_str()[..end]);
        *last = Fragment::split(&marked).0;
    }
}

impl std::ops::Deref for Pieces {
    type Target = [Fragment];

    fn deref(&self) -> &[Fragment] {
        &self.pieces[..self.count]
    }
}

/// Writes down what a span or event carries: the message if it is asked for, and the fields as `name=value`.
pub(super) struct Fields<'a> {
    pub(super) message: Option<&'a mut Text>,
    pub(super) fields: &'a mut Text,
}

impl Fields<'_> {
    #[inline]
    fn write(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        // A field whose `Debug` fails is cut where it did.
        let _ = match &mut self.message {
            Some(message) if field.name() == MESSAGE => message.write_fmt(value),
            _ => {
                self.fields.space();
                self.fields.push(field.name());
                self.fields.push("=");
                self.fields.write_fmt(value)
            }
        };
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.write(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match &mut self.message {
            Some(message) if field.name() == MESSAGE => message.push(value),
            _ => self.write(field, format_args!("{value:?}")),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.write(field, format_args!("{value}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(pieces: &Pieces) -> String {
        pieces.iter().map(Fragment::as_str).collect()
    }

    #[test]
    fn what_fits_is_kept_and_what_does_not_is_marked() {
        let mut text = Text::default();
        text.push("order=7");
        assert_eq!(whole(&text.pieces()), "order=7");
        assert_eq!(text.pieces().len(), 1);
        for filler in ["x", "ß", "…", "🦀"] {
            text.clear();
            assert!(text.is_empty() && text.pieces().is_empty());
            for _ in 0..=KEPT {
                text.push(filler);
            }
            let pieces = text.pieces();
            let told = whole(&pieces);
            assert_eq!(pieces.len(), MAX_TEXTS);
            assert!(told.ends_with(CUT), "{told}");
            assert!(told.len() > KEPT - MAX_TEXTS * 4 - CUT.len(), "{} bytes", told.len());
        }
    }

    #[test]
    fn texts_are_joined_with_a_space() {
        let (mut one, mut other) = (Text::default(), Text::default());
        one.append(&other);
        assert!(one.is_empty());
        other.push("b=2");
        one.append(&other);
        one.append(&other);
        assert_eq!(one.as_str(), "b=2 b=2");
    }
}
