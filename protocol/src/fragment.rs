//! Pieces of text that travel in records.
//!
//! Names are interned, since there are few of them; what a program says about its data differs each time, and would fill
//! any table. So such a text is cut into pieces, each small enough for a record. Knows characters, and nothing of what
//! the text says.

use std::fmt;

/// A piece of text: at most [`Fragment::MAX`] bytes of UTF-8, whole characters.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Fragment {
    length: u8,
    bytes: [u8; Self::MAX],
}

impl Fragment {
    /// Bytes in a piece at most.
    pub const MAX: usize = 22;

    /// As much of the beginning of a text as fits, and the rest of it.
    #[must_use]
    pub fn split(text: &str) -> (Self, &str) {
        let mut end = text.len().min(Self::MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, rest) = text.split_at(end);
        let mut bytes = [0; Self::MAX];
        bytes[..end].copy_from_slice(piece.as_bytes());
        (Self { length: end as u8, bytes }, rest)
    }

    /// The piece with these bytes. None if there are too many, or they are not UTF-8.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (fragment, rest) = Self::split(text);
        rest.is_empty().then_some(fragment)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // What was not UTF-8 did not get in.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The text as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length).min(Self::MAX)]
    }

    /// The length, and the bytes with zeros behind them, as a record holds them.
    pub(crate) fn parts(self) -> (u8, [u8; Self::MAX]) {
        (self.length, self.bytes)
    }
}

impl fmt::Debug for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Fragment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_put_together_again() {
        let text = "straße ".repeat(9);
        let (mut whole, mut rest) = (String::new(), &*text);
        while !rest.is_empty() {
            let (fragment, after) = Fragment::split(rest);
            assert!(
                (Fragment::MAX - 3..=Fragment::MAX).contains(&fragment.as_str().len())
                    || after.is_empty()
            );
            whole.push_str(fragment.as_str());
            rest = after;
        }
        assert_eq!(whole, text);
        assert_eq!(Fragment::split("").0, Fragment::default());
    }

    #[test]
    fn only_short_text_is_a_fragment() {
        assert_eq!(Fragment::from_bytes("grün".as_bytes()).unwrap().as_str(), "grün");
        assert_eq!(Fragment::from_bytes(&[0xFF]), None);
        assert_eq!(Fragment::from_bytes(&[b'x'; Fragment::MAX + 1]), None);
    }
}
