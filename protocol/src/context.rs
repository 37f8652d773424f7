//! What the records of a batch are told relative to: the record before.
//!
//! Both sides start a batch with [`Context::default`] and change it by the same rules, which stand in SPEC.md, section
//! "Events". Wrapping arithmetic throughout: any value survives, near ones are short.

use crate::ids::TokenId;

/// The values that the next record of a batch is told relative to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Context {
    /// Stamp of the last record.
    pub(crate) at: u64,
    /// Number of the last turn.
    pub(crate) turn: u64,
    /// The task named last.
    pub(crate) task: u64,
    /// The timer named last.
    pub(crate) timer: u64,
    /// The primitive named last.
    pub(crate) primitive: u64,
    /// The token named last.
    pub(crate) token: TokenId,
}

/// The tag's kind that announces missing numbers instead of a record.
pub(crate) const TAG_GAP: u8 = 0;

/// The tag's kind that says that the kind follows in a byte of its own.
pub(crate) const TAG_OTHER: u8 = 31;

/// Bits of the tag that hold the kind.
pub(crate) const TAG_KIND: u8 = 0x1F;

/// Where the body's length begins in the tag.
pub(crate) const TAG_LENGTH_SHIFT: u32 = 5;

/// The length in the tag is this much less than the body's.
pub(crate) const LENGTH_BIAS: usize = 3;

/// The length in the tag that says that the length follows as a number.
pub(crate) const LENGTH_FOLLOWS: usize = 7;
