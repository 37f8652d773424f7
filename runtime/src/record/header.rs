//! What a mapped recording says of itself: all that a reader has to know and that ring and board do not hold.
//!
//! Words at fixed places, in the machine's byte order; texts of up to 1,024 bytes with their length before them. The
//! magic number is written last: without it nothing else counts.
//!
//! Knows how the process and the runtime are described, and the moments at which both clocks were read. Does not know
//! files.

use super::clock::Clock;
use super::layout::{HEADER_WORDS, Layout};
use super::memory::{Memory, Part};
use crate::primitives::atomic::{AtomicU64, Ordering};
use nexus_protocol::board::{task_word, token_word, total_word};
use nexus_protocol::clock::Anchor;
use nexus_protocol::frame::Process;
use nexus_protocol::ids::{RuntimeId, Stamp};
use nexus_protocol::limits::{MAX_STRING, cut};
use std::sync::Arc;

/// `NEXUSMAP`, as bytes in the file on a little-endian machine.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"NEXUSMAP");

/// The version of the layout and of all that the words mean.
const VERSION: u64 = 1;

/// Words of a text: its length, and its bytes.
const TEXT_WORDS: usize = 1 + MAX_STRING / 8;

/// Places of words.
mod at {
    use super::TEXT_WORDS;
    pub(super) const MAGIC: usize = 0;
    pub(super) const VERSION: usize = 1;
    /// Words of a token's row, of a task's row, and of the totals: what the version stands for, once more.
    pub(super) const SIZES: usize = 2;
    pub(super) const RECORDS: usize = 5;
    pub(super) const ROWS: usize = 6;
    pub(super) const STRING_WORDS: usize = 7;
    pub(super) const CLOCK: usize = 8;
    pub(super) const PID: usize = 9;
    pub(super) const START_TIME: usize = 10;
    pub(super) const PROCESS_STARTED: usize = 11;
    pub(super) const WALL_OFFSET: usize = 12;
    pub(super) const RUNTIME: usize = 13;
    pub(super) const THREAD: usize = 14;
    pub(super) const STARTED: usize = 15;
    pub(super) const ENDED: usize = 16;
    /// Two words.
    pub(super) const BOOT: usize = 17;
    /// Two words.
    pub(super) const FIRST_ANCHOR: usize = 19;
    /// Which of the two anchors that follow is the last one.
    pub(super) const WHICH_ANCHOR: usize = 21;
    /// Twice two words.
    pub(super) const ANCHORS: usize = 22;
    pub(super) const TEXTS_USED: usize = 26;
    pub(super) const TEXTS_TOTAL: usize = 27;
    pub(super) const NAME: usize = 64;
    pub(super) const PROGRAM: usize = NAME + TEXT_WORDS;
    pub(super) const COMMAND_LINE: usize = PROGRAM + TEXT_WORDS;
}

/// Who recorded, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) process: Process,
    pub(crate) runtime: RuntimeId,
    pub(crate) name: String,
    pub(crate) thread: u32,
    /// When the runtime was built, in ticks.
    pub(crate) started: Stamp,
    /// The clock of all stamps.
    pub(crate) clock: Clock,
    /// Tells whether the machine has been started anew since; zeros if it is not known.
    pub(crate) boot: [u64; 2],
    /// The first moment at which both clocks were read.
    pub(crate) first_anchor: Anchor,
}

/// Why a header is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoHeader {
    /// It does not begin as one.
    #[error("it is not the recording of a nexus runtime")]
    Foreign,
    /// It is another version's.
    #[error("its layout is version {found}, and this program reads version {VERSION}")]
    Version { found: u64 },
    /// It contradicts itself.
    #[error("its header is damaged: {0}")]
    Damaged(&'static str),
}

/// The header of a mapped recording. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Header(Part<[AtomicU64]>);

impl Header {
    /// The header in this memory.
    pub(crate) fn within(memory: &Arc<Memory>) -> Self {
        Self(memory.slice(0, HEADER_WORDS))
    }

    fn get(&self, at: usize) -> u64 {
        self.0[at].load(Ordering::Acquire)
    }

    fn set(&self, at: usize, value: u64) {
        self.0[at].store(value, Ordering::Release);
    }

    /// Writes everything, and with the last word makes it count.
    pub(crate) fn write(&self, layout: &Layout, identity: &Identity) {
        let Identity { process, .. } = identity;
        sizes().into_iter().zip(at::SIZES..).for_each(|(size, at)| self.set(at, size));
        self.set(at::VERSION, VERSION);
        self.set(at::RECORDS, layout.records as u64);
        self.set(at::ROWS, layout.rows as u64);
        self.set(at::STRING_WORDS, layout.string_words as u64);
        self.set(at::CLOCK, clock_code(identity.clock));
        self.set(at::PID, process.pid.into());
        self.set(at::START_TIME, process.start_time);
        self.set(at::PROCESS_STARTED, process.started.0);
        self.set(at::WALL_OFFSET, process.wall_offset_ns.cast_unsigned());
        self.set(at::RUNTIME, identity.runtime.0.into());
        self.set(at::THREAD, identity.thread.into());
        self.set(at::STARTED, identity.started.0);
        identity.boot.into_iter().zip(at::BOOT..).for_each(|(word, at)| self.set(at, word));
        self.set_anchor_at(at::FIRST_ANCHOR, identity.first_anchor);
        self.set_anchor(identity.first_anchor);
        self.set_text(at::NAME, &identity.name);
        self.set_text(at::PROGRAM, &process.program);
        self.set_text(at::COMMAND_LINE, &process.command_line);
        self.set(at::MAGIC, MAGIC);
    }

    /// The sizes of what follows, if this is a header.
    pub(crate) fn layout(&self) -> Result<Layout, NoHeader> {
        if self.get(at::MAGIC) != MAGIC {
            return Err(NoHeader::Foreign);
        }
        let found = self.get(at::VERSION);
        if found != VERSION {
            return Err(NoHeader::Version { found });
        }
        if sizes().into_iter().zip(at::SIZES..).any(|(size, at)| self.get(at) != size) {
            return Err(NoHeader::Damaged("it states other sizes of rows than its version has"));
        }
        Layout::stated(self.get(at::RECORDS), self.get(at::ROWS), self.get(at::STRING_WORDS))
            .ok_or(NoHeader::Damaged("it states impossible sizes"))
    }

    /// Who recorded.
    pub(crate) fn identity(&self) -> Result<Identity, NoHeader> {
        let number = |at: usize| {
            u32::try_from(self.get(at)).map_err(|_| NoHeader::Damaged("an id is out of bounds"))
        };
        let clock = [Clock::Tsc, Clock::Monotonic]
            .into_iter()
            .find(|&clock| clock_code(clock) == self.get(at::CLOCK))
            .ok_or(NoHeader::Damaged("it names no clock"))?;
        let process = Process {
            pid: number(at::PID)?,
            start_time: self.get(at::START_TIME),
            program: self.text(at::PROGRAM),
            command_line: self.text(at::COMMAND_LINE),
            started: Stamp(self.get(at::PROCESS_STARTED)),
            wall_offset_ns: self.get(at::WALL_OFFSET).cast_signed(),
            clock: clock.name().to_owned(),
        };
        Ok(Identity {
            process,
            runtime: RuntimeId(number(at::RUNTIME)?),
            name: self.text(at::NAME),
            thread: number(at::THREAD)?,
            started: Stamp(self.get(at::STARTED)),
            clock,
            boot: [self.get(at::BOOT), self.get(at::BOOT + 1)],
            first_anchor: self.anchor_at(at::FIRST_ANCHOR),
        })
    }

    /// Says that the runtime has ended.
    pub(crate) fn set_ended(&self, at: Stamp) {
        self.set(at::ENDED, at.0);
    }

    /// When the runtime ended, in ticks; [`Stamp::NEVER`] if it has not.
    pub(crate) fn ended(&self) -> Stamp {
        Stamp(self.get(at::ENDED))
    }

    /// Notes another moment at which both clocks were read, beside the one before: whoever comes while this is going on
    /// finds that one.
    pub(crate) fn set_anchor(&self, anchor: Anchor) {
        let other = 1 - (self.get(at::WHICH_ANCHOR) & 1);
        self.set_anchor_at(at::ANCHORS + 2 * other as usize, anchor);
        self.set(at::WHICH_ANCHOR, other);
    }

    /// The last moment at which both clocks were read.
    pub(crate) fn anchor(&self) -> Anchor {
        self.anchor_at(at::ANCHORS + 2 * (self.get(at::WHICH_ANCHOR) & 1) as usize)
    }

    fn set_anchor_at(&self, at: usize, anchor: Anchor) {
        self.set(at, anchor.ticks);
        self.set(at + 1, anchor.mono_ns);
    }

    fn anchor_at(&self, at: usize) -> Anchor {
        Anchor { ticks: self.get(at), mono_ns: self.get(at + 1) }
    }

    fn set_text(&self, at: usize, text: &str) {
        let bytes = cut(text).as_bytes();
        for (word, chunk) in self.0[at + 1..at + TEXT_WORDS].iter().zip(bytes.chunks(8)) {
            word.store(word_of(chunk), Ordering::Relaxed);
        }
        self.set(at, bytes.len() as u64);
    }

    fn text(&self, at: usize) -> String {
        let len = usize::try_from(self.get(at)).map_or(MAX_STRING, |len| len.min(MAX_STRING));
        text_of(&self.0[at + 1..at + TEXT_WORDS], len)
    }

    /// How many words of the strings are in use, and how many strings there are, whether they found room or not.
    pub(super) fn texts(&self) -> (u64, u64) {
        let used = self.get(at::TEXTS_USED);
        (used, self.get(at::TEXTS_TOTAL))
    }

    /// Changes what [`Header::texts`] says. What has been stored in the words before is seen by whoever sees this.
    pub(super) fn set_texts(&self, used: u64, total: u64) {
        self.set(at::TEXTS_USED, used);
        self.set(at::TEXTS_TOTAL, total);
    }
}

fn sizes() -> [u64; 3] {
    [token_word::COUNT, task_word::COUNT, total_word::COUNT].map(|size| size as u64)
}

fn clock_code(clock: Clock) -> u64 {
    match clock {
        Clock::Tsc => 1,
        Clock::Monotonic => 2,
    }
}

/// Up to eight bytes in a word, as they lie in memory.
pub(super) fn word_of(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_ne_bytes(word)
}

/// The first `len` bytes of these words, of which nothing is taken for granted.
pub(super) fn text_of(words: &[AtomicU64], len: usize) -> String {
    let bytes = words.iter().flat_map(|word| word.load(Ordering::Acquire).to_ne_bytes());
    String::from_utf8_lossy(&bytes.take(len).collect::<Vec<_>>()).into_owned()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn identity() -> Identity {
        let process = Process {
            pid: 4711,
            start_time: 99,
            program: "gateway".to_owned(),
            command_line: "gateway --feed".to_owned(),
            started: Stamp(5),
            wall_offset_ns: -7,
            clock: "tsc".to_owned(),
        };
        Identity {
            process,
            runtime: RuntimeId(3),
            name: "ä".repeat(40),
            thread: 4712,
            started: Stamp(1234),
            clock: Clock::Tsc,
            boot: [1, 2],
            first_anchor: Anchor { ticks: 10, mono_ns: 20 },
        }
    }

    fn header() -> Header {
        Header::within(&Arc::new(Memory::private(HEADER_WORDS * 8).unwrap()))
    }

    #[test]
    fn what_is_written_is_read() {
        let header = header();
        assert_eq!(header.layout(), Err(NoHeader::Foreign));
        let layout = Layout::new(64, 5, 100);
        header.write(&layout, &identity());
        assert_eq!(header.layout(), Ok(layout));
        assert_eq!(header.identity(), Ok(identity()));
        assert_eq!(header.anchor(), identity().first_anchor);
        for ticks in 20..25 {
            let anchor = Anchor { ticks, mono_ns: 2 * ticks };
            header.set_anchor(anchor);
            assert_eq!(header.anchor(), anchor);
        }
        assert!(header.ended().is_never());
        header.set_ended(Stamp(77));
        assert_eq!(header.ended(), Stamp(77));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let damaged = |at: usize, value: u64| {
            let header = header();
            header.write(&Layout::new(64, 5, 100), &identity());
            header.set(at, value);
            header.layout().and_then(|_| header.identity()).unwrap_err()
        };
        assert_eq!(damaged(at::MAGIC, 0), NoHeader::Foreign);
        assert_eq!(damaged(at::VERSION, 2), NoHeader::Version { found: 2 });
        for (at, value) in [
            (at::SIZES, 0),
            (at::RECORDS, 63),
            (at::ROWS, u64::MAX),
            (at::STRING_WORDS, u64::MAX),
            (at::CLOCK, 3),
            (at::PID, u64::MAX),
        ] {
            assert!(matches!(damaged(at, value), NoHeader::Damaged(_)), "word {at}");
        }
    }

    #[test]
    fn texts_of_any_length_and_content_are_texts() {
        let header = header();
        header.set_text(at::NAME, &"x".repeat(MAX_STRING + 5));
        assert_eq!(header.text(at::NAME), "x".repeat(MAX_STRING));
        header.set(at::NAME, u64::MAX);
        header.set(at::NAME + 1, u64::MAX);
        assert!(header.text(at::NAME).starts_with('\u{FFFD}'));
    }
}
