//! Readiness, interest and directions of a token.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Not};

/// One of the two halves of a token in which a task can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Direction {
    /// Reading, accepting, receiving.
    Readable = 1,
    /// Writing, connecting, sending.
    Writable = 2,
}

impl Direction {
    /// Both directions, the readable one first.
    pub const BOTH: [Self; 2] = [Self::Readable, Self::Writable];

    /// The direction with this code, if there is one.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Readable),
            2 => Some(Self::Writable),
            _ => None,
        }
    }

    /// The word on the screen and in traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Readable => "readable",
            Self::Writable => "writable",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

macro_rules! bit_set {
    ($(#[$meta:meta])* $name:ident { $($(#[$bit_meta:meta])* $bit:ident = $value:expr, $word:literal, $letter:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $name(u8);

        impl $name {
            /// Nothing set.
            pub const EMPTY: Self = Self(0);
            $($(#[$bit_meta])* pub const $bit: Self = Self($value);)*
            const ALL: u8 = $($value)|*;

            /// The set with these bits; bits without a meaning are dropped.
            #[must_use]
            pub const fn from_bits(bits: u8) -> Self {
                Self(bits & Self::ALL)
            }

            /// The bits, for a record or the wire.
            #[must_use]
            pub const fn bits(self) -> u8 {
                self.0
            }

            /// Whether nothing is set.
            #[must_use]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Whether all of `other` is set here too.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether any of `other` is set here too.
            #[must_use]
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// This set without what `other` has.
            #[must_use]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }

            /// The words of the members, in a fixed order.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                [$(($value, $word)),*].into_iter().filter(move |(bit, _)| self.0 & bit != 0).map(|(_, word)| word)
            }

            /// One letter a member and `·` for what is not set, at a fixed width.
            #[must_use]
            pub fn letters(self) -> String {
                [$(($value, $letter)),*].into_iter().map(|(bit, letter)| if self.0 & bit != 0 { letter } else { '·' }).collect()
            }

            /// The member with this word.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($word => Some(Self::$bit),)*
                    _ => None,
                }
            }
        }

        impl BitOr for $name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl BitAnd for $name {
            type Output = Self;
            fn bitand(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
        }

        impl BitOrAssign for $name {
            fn bitor_assign(&mut self, other: Self) {
                self.0 |= other.0;
            }
        }

        impl Not for $name {
            type Output = Self;
            fn not(self) -> Self {
                Self(!self.0 & Self::ALL)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                if self.is_empty() {
                    return f.pad("none");
                }
                f.pad(&self.names().collect::<Vec<_>>().join("+"))
            }
        }
    };
}

bit_set! {
    /// What the kernel has said of a token and nobody has consumed yet.
    Readiness {
        /// A read may make progress.
        READABLE = 1, "readable", 'r';
        /// A write may make progress.
        WRITABLE = 2, "writable", 'w';
        /// The peer will send no more; never cleared while the token lives.
        READ_CLOSED = 4, "read-closed", 'R';
        /// Nothing more can be sent; never cleared while the token lives.
        WRITE_CLOSED = 8, "write-closed", 'W';
        /// The source is in error; never cleared while the token lives.
        ERROR = 16, "error", 'e';
        /// Out-of-band data.
        PRIORITY = 32, "priority", 'p';
    }
}

impl Readiness {
    /// The bits that nothing clears while the token lives.
    pub const STICKY: Self = Self(Self::READ_CLOSED.0 | Self::WRITE_CLOSED.0 | Self::ERROR.0);

    /// Whether an operation in `direction` is worth trying. Closed and error bits say yes to both directions.
    #[must_use]
    pub const fn is_ready(self, direction: Direction) -> bool {
        let own = match direction {
            Direction::Readable => Self::READABLE.0 | Self::PRIORITY.0,
            Direction::Writable => Self::WRITABLE.0,
        };
        self.0 & (own | Self::STICKY.0) != 0
    }
}

bit_set! {
    /// What a token is registered for with the kernel.
    Interest {
        /// Readable events, and with them read-closed.
        READABLE = 1, "readable", 'r';
        /// Writable events, and with them write-closed.
        WRITABLE = 2, "writable", 'w';
        /// Priority events.
        PRIORITY = 4, "priority", 'p';
    }
}

impl From<Direction> for Interest {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Readable => Self::READABLE,
            Direction::Writable => Self::WRITABLE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_and_error_are_ready_both_ways() {
        for bit in [Readiness::READ_CLOSED, Readiness::WRITE_CLOSED, Readiness::ERROR] {
            assert!(Direction::BOTH.into_iter().all(|direction| bit.is_ready(direction)), "{bit}");
        }
        assert!(!Readiness::READABLE.is_ready(Direction::Writable));
        assert!(!Readiness::WRITABLE.is_ready(Direction::Readable));
    }

    #[test]
    fn names_and_letters() {
        let both = Readiness::READABLE | Readiness::ERROR;
        assert_eq!(both.to_string(), "readable+error");
        assert_eq!(both.letters(), "r···e·");
        assert_eq!(Readiness::EMPTY.to_string(), "none");
        assert_eq!(Readiness::from_name("read-closed"), Some(Readiness::READ_CLOSED));
        assert_eq!(Readiness::from_bits(0xFF), !Readiness::EMPTY);
    }
}
