//! A small piece of a batch under construction.
//!
//! Records are a few bytes long, and bytes appended one by one to a vector cost more than what they say: each asks
//! whether there is room. Here there always is room for one record more, and whole pieces go to the vector.

use crate::varint::zigzag;

/// Bytes in a piece; a power of two, so that an index that is cut to it needs no check.
const BYTES: usize = 4096;

/// Bytes that one record takes at most, with whatever stands before it.
const MOST: usize = 256;

/// Bytes that have not been passed on.
#[derive(Debug)]
pub(super) struct Chunk {
    bytes: [u8; BYTES],
    len: usize,
}

impl Chunk {
    /// An empty one.
    pub(super) fn new() -> Self {
        Self { bytes: [0; BYTES], len: 0 }
    }

    /// Where the next byte will be.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Passes everything on if there may be too little room for another record.
    #[inline]
    pub(super) fn make_room(&mut self, out: &mut Vec<u8>) {
        if self.len > BYTES - MOST {
            self.pass_on(out);
        }
    }

    /// Passes everything on.
    pub(super) fn pass_on(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes[..self.len]);
        self.len = 0;
    }

    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        debug_assert!(self.len < BYTES, "a record takes more than was allowed for");
        self.bytes[self.len % BYTES] = byte;
        self.len += 1;
    }

    #[inline]
    pub(super) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.byte(value as u8 | 0x80);
            value >>= 7;
        }
        self.byte(value as u8);
    }

    #[inline]
    pub(super) fn signed(&mut self, value: i64) {
        self.number(zigzag(value));
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.byte(byte));
    }

    /// Changes bits of a byte that was written before.
    #[inline]
    pub(super) fn add_bits(&mut self, at: usize, bits: u8) {
        self.bytes[at % BYTES] |= bits;
    }

    /// Takes zeros from the end away, down to `start`: a reader supplies them.
    #[inline]
    pub(super) fn trim(&mut self, start: usize) {
        while self.len > start && self.bytes[(self.len - 1) % BYTES] == 0 {
            self.len -= 1;
        }
    }

    /// Puts a byte before those from `at` on.
    pub(super) fn insert(&mut self, at: usize, byte: u8) {
        self.byte(0);
        self.bytes.copy_within(at..self.len - 1, at + 1);
        self.bytes[at] = byte;
    }
}
