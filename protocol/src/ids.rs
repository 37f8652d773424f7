//! Identifiers: small `Copy` numbers that mean the same in the ring, on the wire, in a trace and on the screen.
//!
//! An identifier never points at anything. Zero means "none" where a word has to hold an optional one, so live task,
//! timer, primitive, span, string and runtime ids start at one.

use std::fmt;
use std::str::FromStr;

/// The position of a record in its runtime's ring: the first record ever written has number 0.
pub type Seq = u64;

/// A point in time: ticks of the recorder's clock inside the ring and the board, nanoseconds of `CLOCK_MONOTONIC`
/// everywhere else. [`ClockMap`](crate::clock::ClockMap) turns the one into the other. Zero means "never".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub u64);

impl Stamp {
    /// The stamp of something that has not happened.
    pub const NEVER: Self = Self(0);

    /// The distance from `earlier` to this stamp, or zero if `earlier` is the later one.
    #[inline]
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whether this is [`Stamp::NEVER`].
    #[inline]
    #[must_use]
    pub fn is_never(self) -> bool {
        self.0 == 0
    }

    /// This stamp, or `None` if it is [`Stamp::NEVER`].
    #[inline]
    #[must_use]
    pub fn known(self) -> Option<Self> {
        (self.0 != 0).then_some(self)
    }
}

macro_rules! number_id {
    ($(#[$meta:meta])* $name:ident($inner:ty)) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl $name {
            /// The id held by a word in which zero means "none".
            #[inline]
            #[must_use]
            pub fn from_word(word: u64) -> Option<Self> {
                <$inner>::try_from(word).ok().filter(|&id| id != 0).map(Self)
            }

            /// The word for an optional id: zero for none.
            #[inline]
            #[must_use]
            pub fn word(id: Option<Self>) -> u64 {
                id.map_or(0, |id| u64::from(id.0))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

number_id! {
    /// A task of one runtime. Numbers are never reused; the root future of the first `block_on` is task 1.
    /// At most 48 bits wide ([`TaskId::MAX`]), which at five million spawns a second lasts for 650 days.
    TaskId(u64)
}

impl TaskId {
    /// The largest task number a record can carry.
    pub const MAX: Self = Self((1 << 48) - 1);
}

number_id! {
    /// A timer of one runtime: one deadline from its arming to its firing or cancelling.
    TimerId(u64)
}

number_id! {
    /// A channel, notification or token that tasks wait for. Numbered per process, since several runtimes and other
    /// threads may share one: it has the same number in all of them. At most 48 bits wide ([`PrimitiveId::MAX`]).
    PrimitiveId(u64)
}

impl PrimitiveId {
    /// The largest number of a primitive that a record can carry.
    pub const MAX: Self = Self((1 << 48) - 1);
}

number_id! {
    /// A `tracing` span of the application's, numbered per process. At most 48 bits wide ([`SpanId::MAX`]).
    SpanId(u64)
}

impl SpanId {
    /// The largest number of a span that a record can carry.
    pub const MAX: Self = Self((1 << 48) - 1);
}

number_id! {
    /// A runtime within its process, counted from one.
    RuntimeId(u32)
}

number_id! {
    /// An entry of the process's string table: a name or a source location. Zero is the empty string.
    StringId(u32)
}

impl StringId {
    /// The empty string: no name, no location.
    pub const EMPTY: Self = Self(0);
}

/// One registration of an I/O source: a slot of the driver's table and the generation that tells its owners apart.
/// Written `7.3`: slot 7, generation 3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId {
    /// Index of the slot.
    pub slot: u32,
    /// How often the slot has been claimed, counted from one and wrapping past zero.
    pub generation: u32,
}

impl TokenId {
    /// Slot indices from here up are reserved for the runtime's own registrations.
    pub const RESERVED_SLOT: u32 = 0xFFFF_FFF0;

    /// Both halves in one word: the generation above, the slot below. This is also what `mio::Token` carries.
    #[must_use]
    pub const fn pack(self) -> u64 {
        (self.generation as u64) << 32 | self.slot as u64
    }

    /// The inverse of [`TokenId::pack`].
    #[must_use]
    pub const fn unpack(word: u64) -> Self {
        Self { slot: word as u32, generation: (word >> 32) as u32 }
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.slot, self.generation)
    }
}

/// Why a text is not a token.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a token: expected SLOT.GENERATION, such as 7.3")]
pub struct ParseTokenError(String);

impl FromStr for TokenId {
    type Err = ParseTokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split_once('.')
            .and_then(|(slot, generation)| {
                Some(Self { slot: slot.parse().ok()?, generation: generation.parse().ok()? })
            })
            .ok_or_else(|| ParseTokenError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_packing_and_printing() {
        let token = TokenId { slot: 7, generation: 3 };
        assert_eq!(TokenId::unpack(token.pack()), token);
        assert_eq!(token.to_string(), "7.3");
        assert_eq!("7.3".parse::<TokenId>().unwrap(), token);
        assert!("7".parse::<TokenId>().is_err());
        assert!("7.x".parse::<TokenId>().is_err());
    }

    #[test]
    fn zero_is_no_id() {
        assert_eq!(TaskId::from_word(0), None);
        assert_eq!(TaskId::word(None), 0);
        assert_eq!(RuntimeId::from_word(u64::from(u32::MAX) + 1), None);
    }
}
