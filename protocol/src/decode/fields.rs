//! Reading the body of one record, which goes on with zeros for ever after its end.

use super::cursor::{Cursor, DecodeError, Problem};
use crate::varint::{MAX_BYTES, unzigzag};

/// What is left of a record's body.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    bytes: Cursor<'a>,
}

impl<'a> Fields<'a> {
    /// The fields in these bytes, and zeros after them.
    #[inline]
    pub(super) fn new(bytes: Cursor<'a>) -> Self {
        Self { bytes }
    }

    /// An error at the current position.
    pub(super) fn error(&self, problem: Problem) -> DecodeError {
        self.bytes.error(problem)
    }

    #[inline]
    pub(super) fn byte(&mut self) -> u8 {
        self.bytes.byte_or_zero()
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    #[inline]
    pub(super) fn number(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let first = self.byte();
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut value = u64::from(first & 0x7F);
        for index in 1..MAX_BYTES {
            let byte = self.byte();
            if index == MAX_BYTES - 1 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7F) << (7 * index);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.error(Problem::Overflow { what }))
    }

    #[inline]
    pub(super) fn signed(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        self.number(what).map(unzigzag)
    }

    /// A number that has to be at most `limit`.
    #[inline]
    pub(super) fn at_most(&mut self, limit: u64, what: &'static str) -> Result<u64, DecodeError> {
        let value = self.number(what)?;
        if value > limit {
            return Err(self.error(Problem::TooLarge { what, value, limit }));
        }
        Ok(value)
    }

    #[inline]
    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.at_most(u64::from(u32::MAX), what).map(|value| value as u32)
    }

    #[inline]
    pub(super) fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.at_most(u64::from(u16::MAX), what).map(|value| value as u16)
    }
}
