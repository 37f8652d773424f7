//! The process's string table: names and source locations, each stored once and named by number ever after.
//!
//! Entries are appended by runtime threads, under a lock, at the first use of a name or call site; they are read by the
//! endpoint without one, at any time, and never change or move. The table is capped: what does not fit is
//! `<overflow>`, the last entry. Mapped recordings get a copy each.
//!
//! Knows nothing of records. Its atomics are `std`'s in loom models too: it is a process-wide constant structure of
//! `OnceLock`s, which loom has not.

use super::texts::Texts;
use nexus_protocol::ids::StringId;
use nexus_protocol::limits::{MAX_STRINGS, cut};
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

const CHUNK: usize = 1024;
const CHUNKS: usize = MAX_STRINGS / CHUNK;

/// Stands for every string that did not fit.
pub(super) const OVERFLOW: &str = "<overflow>";

type Chunk = Box<[OnceLock<Box<str>>]>;

/// The table. There is one, [`Strings::of_process`]; tests make more.
pub(crate) struct Strings {
    chunks: [OnceLock<Chunk>; CHUNKS],
    /// Entries that readers may see.
    len: AtomicUsize,
    writers: Mutex<Writers>,
}

/// What those who append need.
struct Writers {
    /// The inverse of the table; none before the first entry.
    index: Option<HashMap<Box<str>, StringId>>,
    /// Copies of the table in mapped recordings.
    copies: Vec<Weak<Texts>>,
}

impl Strings {
    pub(crate) const fn new() -> Self {
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            len: AtomicUsize::new(0),
            writers: Mutex::new(Writers { index: None, copies: Vec::new() }),
        }
    }

    /// The table of this process.
    pub(crate) fn of_process() -> &'static Self {
        static STRINGS: Strings = Strings::new();
        &STRINGS
    }

    /// How many entries there are. Entry zero, the empty string, counts once anything has been interned.
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// The entry with this number, if it exists.
    pub(crate) fn get(&self, number: usize) -> Option<&str> {
        let entry = self.chunks.get(number / CHUNK)?.get()?.get(number % CHUNK)?;
        entry.get().map(|text| &**text)
    }

    /// The number of `text`, which becomes an entry if it is none yet. Text longer than
    /// [`MAX_STRING`](nexus_protocol::limits::MAX_STRING) bytes is cut.
    pub(crate) fn intern(&self, text: &str) -> StringId {
        let text = cut(text);
        if text.is_empty() {
            return StringId::EMPTY;
        }
        let mut writers = self.writers();
        let Writers { index, copies } = &mut *writers;
        let index = index.get_or_insert_with(|| {
            self.append("", copies);
            HashMap::new()
        });
        if let Some(&id) = index.get(text) {
            return id;
        }
        match self.len() {
            full @ MAX_STRINGS.. => StringId(full as u32 - 1),
            last if last == MAX_STRINGS - 1 => self.append(OVERFLOW, copies),
            _ => {
                let id = self.append(text, copies);
                index.insert(text.into(), id);
                id
            }
        }
    }

    fn writers(&self) -> MutexGuard<'_, Writers> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies the table to a mapped recording, now and with every entry that is added, as long as the recording lives.
    pub(crate) fn copy_to(&self, texts: &Arc<Texts>) {
        let copies = &mut self.writers().copies;
        copies.retain(|copy| copy.strong_count() > 0);
        (0..self.len()).filter_map(|number| self.get(number)).for_each(|text| texts.append(text));
        copies.push(Arc::downgrade(texts));
    }

    /// A table with these entries, as another process had them.
    pub(crate) fn of(texts: Vec<String>) -> Box<Self> {
        let table = Box::new(Self::new());
        texts.iter().take(MAX_STRINGS).for_each(|text| _ = table.append(text, &[]));
        table
    }

    /// Adds an entry, in the mapped recordings first: whoever knows its number will find it there. Called by one writer
    /// at a time.
    fn append(&self, text: &str, copies: &[Weak<Texts>]) -> StringId {
        copies.iter().filter_map(Weak::upgrade).for_each(|copy| copy.append(text));
        let number = self.len.load(Ordering::Relaxed);
        let chunk = self.chunks[number / CHUNK]
            .get_or_init(|| (0..CHUNK).map(|_| OnceLock::new()).collect());
        chunk[number % CHUNK].set(text.into()).expect("an entry is set once");
        self.len.store(number + 1, Ordering::Release);
        StringId(number as u32)
    }
}

/// A runtime thread's memory of what it has interned, so that a call site costs one look-up by address from its second
/// use on, without a lock.
pub(super) struct Interner {
    table: &'static Strings,
    locations: RefCell<HashMap<usize, StringId, AddressHasher>>,
    names: RefCell<HashMap<Box<str>, StringId>>,
}

impl Interner {
    pub(super) fn new(table: &'static Strings) -> Self {
        Self { table, locations: RefCell::default(), names: RefCell::default() }
    }

    /// The entry for a source location: `path/file.rs:line:column`.
    pub(super) fn location(&self, location: &'static Location<'static>) -> StringId {
        // An address stands for its location for ever, since it is 'static.
        let address = std::ptr::from_ref(location).addr();
        *self.locations.borrow_mut().entry(address).or_insert_with(|| {
            let (file, line, column) = (location.file(), location.line(), location.column());
            self.table.intern(&format!("{file}:{line}:{column}"))
        })
    }

    /// The entry for a name.
    pub(super) fn name(&self, name: Option<&str>) -> StringId {
        let Some(name) = name else { return StringId::EMPTY };
        if let Some(&id) = self.names.borrow().get(name) {
            return id;
        }
        let id = self.table.intern(name);
        let mut names = self.names.borrow_mut();
        // A program that makes up names without end fills the table, but not this thread's memory as well.
        if names.len() < MAX_STRINGS {
            names.insert(name.into(), id);
        }
        id
    }
}

/// Hashes an address by one multiplication: addresses of statics are no attacker's choice.
#[derive(Clone, Copy, Default)]
pub(crate) struct AddressHasher(u64);

impl std::hash::BuildHasher for AddressHasher {
    type Hasher = Self;
    fn build_hasher(&self) -> Self {
        *self
    }
}

impl std::hash::Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(usize::from(byte));
        }
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_right(20);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_protocol::limits::MAX_STRING;

    #[test]
    fn a_string_is_stored_once_and_can_be_read() {
        let table = Strings::new();
        assert_eq!((table.len(), table.intern("")), (0, StringId::EMPTY));
        let first = table.intern("src/feed.rs:88:5");
        assert_eq!(first, StringId(1));
        assert_eq!(table.intern("src/feed.rs:88:5"), first);
        assert_eq!(table.intern("other"), StringId(2));
        assert_eq!(table.get(0), Some(""));
        assert_eq!(table.get(1), Some("src/feed.rs:88:5"));
        assert_eq!((table.len(), table.get(3), table.get(usize::MAX)), (3, None, None));
    }

    #[test]
    fn a_full_table_overflows_into_its_last_entry() {
        let table = Strings::new();
        for number in 1..MAX_STRINGS - 1 {
            assert_eq!(table.intern(&format!("name {number}")), StringId(number as u32));
        }
        let last = StringId(MAX_STRINGS as u32 - 1);
        for late in ["too", "many"] {
            assert_eq!(table.intern(late), last);
        }
        assert_eq!(table.get(MAX_STRINGS - 1), Some(OVERFLOW));
        assert_eq!(table.len(), MAX_STRINGS);
        assert_eq!(table.intern("name 7"), StringId(7), "earlier entries are still found");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let table = Strings::new();
        let id = table.intern(&"ä".repeat(MAX_STRING));
        assert_eq!(table.get(id.0 as usize), Some(&*"ä".repeat(MAX_STRING / 2)));
        assert_eq!(cut(&format!("x{}", "ä".repeat(MAX_STRING))).len(), MAX_STRING - 1);
    }

    #[test]
    fn a_location_is_written_as_editors_understand_it() {
        let interner = Interner::new(Box::leak(Box::new(Strings::new())));
        let here = Location::caller();
        let id = interner.location(here);
        assert_eq!(interner.location(here), id);
        let expected = format!("{}:{}:{}", file!(), here.line(), here.column());
        assert_eq!(interner.table.get(id.0 as usize), Some(&*expected));
        assert_eq!(interner.name(Some("feed")), interner.name(Some("feed")));
        assert_eq!(interner.name(None), StringId::EMPTY);
    }
}
