//! JSON objects, written straight into a buffer.
//!
//! Keys and words are ours and need no escaping; texts come from the observed process and are escaped.

use crate::ids::{Stamp, TaskId, TokenId};

/// An object that is being written. Ends with [`Object::close`].
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    /// What goes before the next key.
    separator: u8,
}

impl<'a> Object<'a> {
    pub(super) fn open(out: &'a mut Vec<u8>) -> Self {
        Self { out, separator: b'{' }
    }

    pub(super) fn close(self) {
        if self.separator == b'{' {
            self.out.push(b'{');
        }
        self.out.push(b'}');
    }

    #[inline]
    fn key(&mut self, key: &str) {
        self.out.extend_from_slice(&[self.separator, b'"']);
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.separator = b',';
    }

    #[inline]
    pub(super) fn number(&mut self, key: &str, number: impl Into<u64>) {
        self.key(key);
        push(self.out, number.into());
    }

    #[inline]
    pub(super) fn signed(&mut self, key: &str, number: i64) {
        self.key(key);
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// A number, or null.
    #[inline]
    pub(super) fn optional(&mut self, key: &str, number: Option<u64>) {
        match number {
            Some(number) => self.number(key, number),
            None => self.null(key),
        }
    }

    pub(super) fn null(&mut self, key: &str) {
        self.key(key);
        self.out.extend_from_slice(b"null");
    }

    pub(super) fn boolean(&mut self, key: &str, value: bool) {
        self.key(key);
        self.out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A text that is known to need no escaping.
    #[inline]
    pub(super) fn word(&mut self, key: &str, word: &str) {
        self.key(key);
        quoted(self.out, word);
    }

    pub(super) fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        serde_json::to_writer(&mut *self.out, text).expect("a vector takes every byte");
    }

    /// Words without a need for escaping, as an array.
    #[inline]
    pub(super) fn words(&mut self, key: &str, words: impl Iterator<Item = &'static str>) {
        self.key(key);
        let mut separator = b'[';
        for word in words {
            self.out.push(separator);
            quoted(self.out, word);
            separator = b',';
        }
        self.out.extend_from_slice(if separator == b'[' { b"[]" } else { b"]" });
    }

    #[inline]
    pub(super) fn token(&mut self, key: &str, token: TokenId) {
        self.key(key);
        self.out.push(b'"');
        push(self.out, u64::from(token.slot));
        self.out.push(b'.');
        push(self.out, u64::from(token.generation));
        self.out.push(b'"');
    }

    #[inline]
    pub(super) fn task(&mut self, key: &str, task: Option<TaskId>) {
        self.optional(key, task.map(|task| task.0));
    }

    /// A descriptor, null if the source does not tell.
    pub(super) fn descriptor(&mut self, key: &str, fd: i32) {
        if fd == -1 { self.null(key) } else { self.signed(key, i64::from(fd)) }
    }

    /// A stamp that may be of something that never happened: null then.
    pub(super) fn moment(&mut self, key: &str, stamp: Stamp) {
        self.optional(key, stamp.known().map(|stamp| stamp.0));
    }

    pub(super) fn object(&mut self, key: &str, write: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        let mut object = Object::open(self.out);
        write(&mut object);
        object.close();
    }

    /// An array of objects.
    pub(super) fn objects<T>(
        &mut self,
        key: &str,
        items: impl IntoIterator<Item = T>,
        mut write: impl FnMut(T, &mut Object<'_>),
    ) {
        self.key(key);
        self.out.push(b'[');
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            let mut object = Object::open(self.out);
            write(item, &mut object);
            object.close();
        }
        self.out.push(b']');
    }
}

#[inline]
fn push(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[inline]
fn quoted(out: &mut Vec<u8>, word: &str) {
    out.push(b'"');
    out.extend_from_slice(word.as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_json() {
        let mut out = Vec::new();
        let mut object = Object::open(&mut out);
        object.text("text", "a \"b\"\n\u{1b}");
        object.words("none", [].into_iter());
        object.words("two", ["a", "b"].into_iter());
        object.object("empty", |_| ());
        object.objects("list", [1_u64, 2], |number, item| item.number("n", number));
        object.signed("minus", -7);
        object.moment("never", Stamp::NEVER);
        object.close();
        let text = r#"{"text":"a \"b\"\n\u001b","none":[],"two":["a","b"],"empty":{},"list":[{"n":1},{"n":2}],"minus":-7,"never":null}"#;
        assert_eq!(String::from_utf8(out).unwrap(), text);
        serde_json::from_str::<serde_json::Value>(text).unwrap();
    }
}
