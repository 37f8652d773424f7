//! Reading one payload, piece by piece, with every bound checked and every error placed.

use crate::limits;
use crate::varint::{self, VarintError};

/// Where and why bytes could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {offset} of the stream: {problem}")]
pub struct DecodeError {
    /// Position in the stream, counted from its first byte.
    pub offset: u64,
    /// What was wrong there.
    pub problem: Problem,
}

impl DecodeError {
    pub(super) fn new(offset: u64, problem: Problem) -> Self {
        Self { offset, problem }
    }
}

/// What can be wrong with bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A frame, block or record is over where a field was expected.
    #[error("the frame, block or record ends before its {what}")]
    Ended {
        /// What was expected.
        what: &'static str,
    },
    /// A number is larger than the protocol allows.
    #[error("{what} is {value}, the limit is {limit}")]
    TooLarge {
        /// Which number.
        what: &'static str,
        /// What it is.
        value: u64,
        /// What it may be.
        limit: u64,
    },
    /// A number takes more than 64 bits.
    #[error("{what} does not fit into 64 bits")]
    Overflow {
        /// Which number.
        what: &'static str,
    },
    /// A string is not UTF-8.
    #[error("{what} is not UTF-8")]
    NotUtf8 {
        /// Which string.
        what: &'static str,
    },
    /// A hello does not begin with `NEXUS\0`.
    #[error("a hello does not begin with the bytes NEXUS\\0")]
    Magic,
    /// Numbers contradict each other.
    #[error("{what}")]
    Contradiction {
        /// The rule that is broken.
        what: &'static str,
    },
}

/// What is left of a payload, a block or a record.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Position of the first byte in the stream.
    offset: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], offset: u64) -> Self {
        Self { bytes, at: 0, offset }
    }

    /// An error at the current position.
    pub(super) fn error(&self, problem: Problem) -> DecodeError {
        DecodeError::new(self.offset + self.at as u64, problem)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(super) fn take(
        &mut self,
        length: usize,
        what: &'static str,
    ) -> Result<&'a [u8], DecodeError> {
        let bytes = self.bytes[self.at..]
            .get(..length)
            .ok_or_else(|| self.error(Problem::Ended { what }))?;
        self.at += length;
        Ok(bytes)
    }

    pub(super) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], DecodeError> {
        let bytes = self.take(N, what)?;
        Ok(bytes.try_into().expect("`take` gives as many bytes as were asked for"))
    }

    #[inline]
    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, DecodeError> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.error(Problem::Ended { what }))?;
        self.at += 1;
        Ok(byte)
    }

    /// The next byte, or zero for ever after the end.
    #[inline]
    pub(super) fn byte_or_zero(&mut self) -> u8 {
        match self.bytes.get(self.at) {
            Some(&byte) => {
                self.at += 1;
                byte
            }
            None => 0,
        }
    }

    #[inline]
    pub(super) fn varint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let (value, length) = varint::get(&self.bytes[self.at..]).map_err(|error| {
            self.error(match error {
                VarintError::Short => Problem::Ended { what },
                VarintError::Overflow => Problem::Overflow { what },
            })
        })?;
        self.at += length;
        Ok(value)
    }

    #[inline]
    pub(super) fn signed(&mut self, what: &'static str) -> Result<i64, DecodeError> {
        self.varint(what).map(varint::unzigzag)
    }

    /// A number that has to be at most `limit`.
    #[inline]
    pub(super) fn at_most(&mut self, limit: u64, what: &'static str) -> Result<u64, DecodeError> {
        let before = self.at;
        let value = self.varint(what)?;
        if value > limit {
            self.at = before;
            return Err(self.error(Problem::TooLarge { what, value, limit }));
        }
        Ok(value)
    }

    #[inline]
    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        self.at_most(u64::from(u32::MAX), what).map(|value| value as u32)
    }

    pub(super) fn u16(&mut self, what: &'static str) -> Result<u16, DecodeError> {
        self.at_most(u64::from(u16::MAX), what).map(|value| value as u16)
    }

    /// How many things follow, each of which takes at least one byte.
    pub(super) fn count(&mut self, limit: usize, what: &'static str) -> Result<usize, DecodeError> {
        let before = self.at;
        let count = self.at_most(limit as u64, what)? as usize;
        if count > self.bytes.len() - self.at {
            self.at = before;
            return Err(self.error(Problem::Ended { what }));
        }
        Ok(count)
    }

    pub(super) fn string(&mut self, what: &'static str) -> Result<String, DecodeError> {
        let length = self.at_most(limits::MAX_STRING as u64, what)? as usize;
        let error = self.error(Problem::NotUtf8 { what });
        let bytes = self.take(length, what)?;
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| error)
    }

    /// A part with its own length in front. What is not read of it is passed over.
    pub(super) fn block(&mut self, what: &'static str) -> Result<Self, DecodeError> {
        let length = self.at_most(limits::MAX_FRAME as u64, what)? as usize;
        self.part(length, what)
    }

    /// The next `length` bytes as a cursor of their own.
    #[inline]
    pub(super) fn part(&mut self, length: usize, what: &'static str) -> Result<Self, DecodeError> {
        let offset = self.offset + self.at as u64;
        Ok(Self::new(self.take(length, what)?, offset))
    }
}
