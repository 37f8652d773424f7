//! Bytes to frames.
//!
//! A [`Decoder`] takes bytes in pieces of any size and hands out whole frames. It is told nothing about where the bytes
//! come from, and trusts them with nothing: every length and count is checked against [`limits`] before memory is taken
//! for it, and every error says at which byte of the stream it was found and what was expected there.
//!
//! What a later version may add is skipped: frames and events of unknown kinds (counted), and what follows the known
//! fields of a frame, a block or a record.

mod board;
mod cursor;
mod event;
mod fields;
mod frame;
mod trace;

use crate::encode::HEADER_BYTES;
use crate::frame::{ClientFrame, ServerFrame};
use crate::limits;
use cursor::Cursor;
pub use cursor::{DecodeError, Problem};
pub(crate) use trace::Entry;

/// What a [`Decoder`] can make of bytes: [`ServerFrame`] or [`ClientFrame`].
pub trait Decode: sealed::Payload {}

impl Decode for ServerFrame {}
impl Decode for ClientFrame {}

mod sealed {
    use super::{Cursor, DecodeError};

    /// What one frame of the wire meant.
    pub enum Outcome<F> {
        /// A frame.
        Frame(F),
        /// A part of a frame that is still to be completed.
        Part,
        /// A kind that this version does not know.
        Unknown,
    }

    pub trait Payload: Sized {
        /// What is kept between frames.
        type Partial: Default + std::fmt::Debug;

        fn payload(
            kind: u8,
            payload: Cursor<'_>,
            partial: &mut Self::Partial,
            skipped: &mut super::Skipped,
        ) -> Result<Outcome<Self>, DecodeError>;
    }
}

/// What a decoder did not understand and passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Frames of unknown kinds.
    pub frames: u64,
    /// Records of unknown kinds or with unknown codes. They are delivered as [`Event::Unknown`](crate::Event::Unknown).
    pub records: u64,
    /// Rows of a snapshot in a state that is not known. They are left out.
    pub rows: u64,
}

/// Turns a stream of bytes into frames.
///
/// Keeps less than one frame ([`limits::MAX_FRAME`]) and the bytes last fed, provided that [`Decoder::next`] is called
/// until it returns `None` before more bytes are fed; and up to [`limits::MAX_SNAPSHOT_ROWS`] rows of either kind of a
/// snapshot in several parts.
///
/// ```
/// use nexus_protocol::{decode::Decoder, encode, frame::ClientFrame};
///
/// let mut bytes = Vec::new();
/// encode::client(&ClientFrame::Finish, &mut bytes);
/// let mut decoder = Decoder::<ClientFrame>::new();
/// decoder.feed(&bytes[..3]);
/// assert_eq!(decoder.next()?, None);
/// decoder.feed(&bytes[3..]);
/// assert_eq!(decoder.next()?, Some(ClientFrame::Finish));
/// # Ok::<(), nexus_protocol::decode::DecodeError>(())
/// ```
#[derive(Debug)]
pub struct Decoder<F: Decode> {
    buffer: Vec<u8>,
    /// How much of the buffer has been decoded.
    start: usize,
    /// Position of the buffer's first byte in the stream.
    offset: u64,
    partial: F::Partial,
    skipped: Skipped,
    failed: Option<DecodeError>,
}

impl<F: Decode> Default for Decoder<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Decode> Decoder<F> {
    /// A decoder at the beginning of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            offset: 0,
            partial: F::Partial::default(),
            skipped: Skipped::default(),
            failed: None,
        }
    }

    /// Takes in the next bytes of the stream.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.failed.is_some() {
            return;
        }
        self.buffer.drain(..self.start);
        self.offset += self.start as u64;
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, or `None` if more bytes are needed.
    ///
    /// # Errors
    ///
    /// If the bytes break a rule of SPEC.md. The stream cannot be understood from there on: the same error is returned
    /// ever after.
    #[expect(clippy::should_implement_trait, reason = "none means not yet, so it is no iterator")]
    pub fn next(&mut self) -> Result<Option<F>, DecodeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let result = self.decode();
        if let Err(error) = &result {
            self.failed = Some(error.clone());
            self.buffer = Vec::new();
            self.partial = F::Partial::default();
            self.start = 0;
        }
        result
    }

    fn decode(&mut self) -> Result<Option<F>, DecodeError> {
        loop {
            let offset = self.offset + self.start as u64;
            let bytes = &self.buffer[self.start..];
            let Some((&[l0, l1, l2, l3, kind], rest)) = bytes.split_first_chunk::<HEADER_BYTES>()
            else {
                return Ok(None);
            };
            let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
            if length > limits::MAX_FRAME {
                let what = "length of a frame";
                let (value, limit) = (length as u64, limits::MAX_FRAME as u64);
                return Err(DecodeError::new(offset, Problem::TooLarge { what, value, limit }));
            }
            let Some(payload) = rest.get(..length) else {
                return Ok(None);
            };
            self.start += HEADER_BYTES + length;
            let cursor = Cursor::new(payload, offset + HEADER_BYTES as u64);
            match F::payload(kind, cursor, &mut self.partial, &mut self.skipped)? {
                sealed::Outcome::Frame(frame) => return Ok(Some(frame)),
                sealed::Outcome::Part => {}
                sealed::Outcome::Unknown => self.skipped.frames += 1,
            }
        }
    }

    /// What has been passed over so far.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        self.skipped
    }

    /// Position in the stream of the first byte that has not been decoded.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.offset + self.start as u64
    }

    /// How many bytes wait for the rest of their frame.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len() - self.start
    }
}
