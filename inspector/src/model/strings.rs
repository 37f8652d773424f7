//! The names and source locations of the process.

use nexus_protocol::StringId;
use nexus_protocol::limits::MAX_STRINGS;

/// The string table, as far as it has been sent. Its texts come from the observed process: whoever prints them has to
/// clean them first.
#[derive(Clone, Debug, Default)]
pub struct Strings {
    entries: Vec<String>,
}

impl Strings {
    /// The text with this number; the empty string for number zero and for what has not been sent.
    #[must_use]
    pub fn get(&self, id: StringId) -> &str {
        self.entries.get(id.0 as usize).map_or("", String::as_str)
    }

    /// How many numbers are in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing has been sent yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes in entries that begin with number `first`. Entries beyond the protocol's limit are dropped.
    pub(crate) fn insert(&mut self, first: StringId, strings: Vec<String>) {
        for (at, text) in (first.0 as usize..MAX_STRINGS).zip(strings) {
            if at >= self.entries.len() {
                self.entries.resize_with(at + 1, String::new);
            }
            self.entries[at] = text;
        }
    }
}
