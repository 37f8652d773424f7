//! A copy of the process's strings in a mapped recording, so that its records can be read by themselves.
//!
//! Strings are appended in the order of their numbers, each as a word with its length and words with its bytes, and
//! shown by the count of used words in the header. What does not fit is counted, and reads as `<overflow>`.
//!
//! Appended to by whoever has the string table's lock; read by whoever has the file.

use super::header::{Header, text_of, word_of};
use super::layout::Layout;
use super::memory::{Memory, Part};
use super::strings::OVERFLOW;
use crate::primitives::atomic::{AtomicU64, Ordering};
use nexus_protocol::limits::{MAX_STRING, MAX_STRINGS};
use std::sync::Arc;

/// Words for strings in a mapped recording: 1 MiB, which is enough for some 15,000 source locations.
pub(crate) const TEXT_WORDS: usize = 1 << 17;

/// The strings of a mapped recording.
pub(crate) struct Texts {
    header: Header,
    words: Part<[AtomicU64]>,
}

impl Texts {
    /// The strings in this memory.
    pub(crate) fn within(memory: &Arc<Memory>, layout: &Layout) -> Self {
        Self {
            header: Header::within(memory),
            words: memory.slice(layout.strings().start, layout.string_words),
        }
    }

    /// Appends the string with the number that follows. For one thread at a time.
    pub(super) fn append(&self, text: &str) {
        let (used, total) = self.header.texts();
        let rest = usize::try_from(used).ok().and_then(|used| self.words.get(used..));
        let words = 1 + text.len().div_ceil(8);
        // What is full stays full: a shorter string would get a wrong number.
        match rest.filter(|rest| rest.len() > words && !self.is_full()) {
            Some(rest) => {
                rest[0].store(text.len() as u64, Ordering::Relaxed);
                for (word, chunk) in rest[1..].iter().zip(text.as_bytes().chunks(8)) {
                    word.store(word_of(chunk), Ordering::Relaxed);
                }
                self.header.set_texts(used + words as u64, total + 1);
            }
            None => {
                self.mark_full();
                self.header.set_texts(used, total + 1);
            }
        }
    }

    /// The last word tells that a string was left out; no string ever reaches it.
    fn mark_full(&self) {
        if let Some(last) = self.words.last() {
            last.store(1, Ordering::Relaxed);
        }
    }

    fn is_full(&self) -> bool {
        self.words.last().is_none_or(|last| last.load(Ordering::Relaxed) != 0)
    }

    /// All strings, by number. Of the words nothing is taken for granted.
    pub(crate) fn read(&self) -> Vec<String> {
        let (used, total) = self.header.texts();
        let used =
            usize::try_from(used).map_or(self.words.len(), |used| used.min(self.words.len()));
        let (mut texts, mut rest) = (Vec::new(), &self.words[..used]);
        while let Some((len, words)) = rest.split_first()
            && texts.len() < MAX_STRINGS
        {
            let len = usize::try_from(len.load(Ordering::Acquire)).unwrap_or(usize::MAX);
            let Some((text, next)) = words.split_at_checked(len.div_ceil(8)) else { break };
            if len > MAX_STRING {
                break;
            }
            texts.push(text_of(text, len));
            rest = next;
        }
        let total = usize::try_from(total).map_or(MAX_STRINGS, |total| total.min(MAX_STRINGS));
        texts.resize_with(total.max(texts.len()), || OVERFLOW.to_owned());
        texts
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn texts(words: usize) -> Texts {
        let layout = Layout::new(2, 0, words);
        Texts::within(&Arc::new(Memory::private(layout.bytes()).unwrap()), &layout)
    }

    #[test]
    fn strings_are_read_as_they_were_appended() {
        let texts = texts(100);
        assert!(texts.read().is_empty());
        let all = ["", "a", "src/main.rs:1:5", "12345678", "ä"];
        all.iter().for_each(|text| texts.append(text));
        assert_eq!(texts.read(), all);
    }

    #[test]
    fn what_does_not_fit_is_overflow_and_so_is_all_that_follows() {
        let texts = texts(6);
        ["a", "a string of some length that needs more", "b"]
            .into_iter()
            .for_each(|text| texts.append(text));
        assert_eq!(texts.read(), ["a", OVERFLOW, OVERFLOW]);
        let none = super::tests::texts(0);
        none.append("a");
        assert_eq!(none.read(), [OVERFLOW]);
    }

    #[test]
    fn garbage_is_read_without_harm() {
        let texts = texts(10);
        texts.append("whole");
        texts.words[2].store(u64::MAX, Ordering::Relaxed);
        texts.header.set_texts(u64::MAX, 3);
        assert_eq!(texts.read(), ["whole", OVERFLOW, OVERFLOW]);
        texts.words[2].store(8 * 7, Ordering::Relaxed);
        assert_eq!(texts.read().len(), 3);
        texts.header.set_texts(u64::MAX, u64::MAX);
        assert_eq!(texts.read().len(), MAX_STRINGS);
    }
}
