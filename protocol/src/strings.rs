//! The receiver's side of the string table: numbers back to texts.
//!
//! Names and source locations travel once, in [`ServerFrame::Strings`](crate::frame::ServerFrame::Strings); everything
//! else names them by [`StringId`].

use crate::ids::StringId;
use crate::limits;
use std::sync::Arc;

/// The texts received so far. Number zero is the empty string and always there.
#[derive(Clone, Debug)]
pub struct Strings {
    texts: Vec<Option<Arc<str>>>,
}

impl Default for Strings {
    fn default() -> Self {
        Self { texts: vec![Some(Arc::from(""))] }
    }
}

impl Strings {
    /// Takes in the entries of a `Strings` frame. Entries beyond [`limits::MAX_STRINGS`] are dropped, and so is an
    /// attempt to give the empty string another text.
    pub fn extend<T: AsRef<str>>(&mut self, first: StringId, texts: impl IntoIterator<Item = T>) {
        for (index, text) in (first.0 as usize..limits::MAX_STRINGS).zip(texts) {
            if index >= self.texts.len() {
                self.texts.resize(index + 1, None);
            }
            if index != 0 {
                self.texts[index] = Some(Arc::from(text.as_ref()));
            }
        }
    }

    /// The text with this number, or `None` if it has not been received.
    #[must_use]
    pub fn get(&self, id: StringId) -> Option<&str> {
        self.texts.get(id.0 as usize)?.as_deref()
    }

    /// The text with this number, or `<unknown>` if it has not been received: a peer that sends strings before use,
    /// as it must, never makes this happen.
    #[must_use]
    pub fn text(&self, id: StringId) -> &str {
        self.get(id).unwrap_or("<unknown>")
    }

    /// One more than the largest number received.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Always false: the empty string is always there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_under_their_numbers() {
        let mut strings = Strings::default();
        strings.extend(StringId(1), ["one", "two"]);
        strings.extend(StringId(5), ["five"]);
        assert_eq!(strings.get(StringId::EMPTY), Some(""));
        assert_eq!(strings.get(StringId(2)), Some("two"));
        assert_eq!(strings.get(StringId(4)), None);
        assert_eq!(strings.text(StringId(4)), "<unknown>");
        assert_eq!(strings.text(StringId(5)), "five");
    }

    #[test]
    fn the_table_is_bounded_and_the_empty_string_stays_empty() {
        let mut strings = Strings::default();
        strings.extend(StringId(limits::MAX_STRINGS as u32 - 1), ["last", "too many"]);
        strings.extend(StringId(u32::MAX), ["far too many"]);
        strings.extend(StringId::EMPTY, ["not empty"]);
        assert_eq!(strings.len(), limits::MAX_STRINGS);
        assert_eq!(strings.text(StringId::EMPTY), "");
    }
}
