//! The native trace: the frames of the wire in a file, some four bytes an event.
//!
//! It begins with the server's hello and goes on with what the server said, byte for byte as it could have come through a
//! socket; a stream that was caught on its way is a native trace. A [`Writer`] adds a summary at the end. Knows the
//! protocol's frames, and nothing of what is in them.

use super::{Summary, TraceError};
use crate::decode::{Decoder, Entry};
use crate::encode::{self, HEADER_BYTES, MAGIC, frame_kind};
use crate::frame::{self, ServerFrame};
use crate::session::OLDEST_VERSION;
use std::io::{self, Read, Write};

/// Bytes kept before they are written.
const BUFFER_BYTES: usize = 64 * 1024;

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;

/// What can be told before anything is decoded: the header of the first frame, its magic, and the version.
const BEGINNING_BYTES: usize = HEADER_BYTES + MAGIC.len() + 2;

/// Whether a file that begins like this is a native trace, of whatever version, or may become one.
pub(super) fn is_native(beginning: &[u8]) -> bool {
    let expected = [&[frame_kind::SERVER_HELLO], &MAGIC[..]].concat();
    let found = beginning.get(HEADER_BYTES - 1..).unwrap_or_default();
    found.iter().zip(&expected).all(|(found, expected)| found == expected)
}

/// Writes a trace, frame by frame.
///
/// Frames reach the writer beneath in pieces of about 64 KiB, or at [`Writer::flush`]. Whatever happens to the recording,
/// all whole frames written so far can be read.
#[derive(Debug)]
pub struct Writer<W: Write> {
    inner: W,
    buffer: Vec<u8>,
    begun: bool,
    summary: Summary,
    bytes: u64,
}

impl<W: Write> Writer<W> {
    /// A writer of one trace. Nothing is written before the first frame.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            buffer: Vec::with_capacity(2 * BUFFER_BYTES),
            begun: false,
            summary: Summary::new(),
            bytes: 0,
        }
    }

    /// Adds a frame. The first one has to be the hello, and only that one. The version in it is that of the bytes that
    /// are written, whatever the hello says.
    ///
    /// # Errors
    ///
    /// If the writer beneath fails, or ([`io::ErrorKind::InvalidInput`]) if frames come in a wrong order.
    pub fn frame(&mut self, frame: &ServerFrame) -> io::Result<()> {
        match (self.begun, frame) {
            (false, ServerFrame::Hello { process, runtimes, .. }) => {
                let (process, runtimes) = (process.clone(), runtimes.clone());
                let hello = ServerFrame::Hello { version: frame::VERSION, process, runtimes };
                encode::server(&hello, &mut self.buffer);
                self.begun = true;
            }
            (false, _) => return Err(misplaced("a trace begins with a hello")),
            (true, ServerFrame::Hello { .. }) => return Err(misplaced("a trace has one hello")),
            (true, _) => {
                self.summary.count(frame);
                encode::server(frame, &mut self.buffer);
            }
        }
        if self.buffer.len() < BUFFER_BYTES { Ok(()) } else { self.write_buffer() }
    }

    /// Passes on everything written so far.
    ///
    /// # Errors
    ///
    /// If the writer beneath fails.
    pub fn flush(&mut self) -> io::Result<()> {
        self.write_buffer()?;
        self.inner.flush()
    }

    /// Ends the trace and passes everything on.
    ///
    /// # Errors
    ///
    /// If the writer beneath fails, or ([`io::ErrorKind::InvalidInput`]) if there was no hello.
    pub fn finish(mut self) -> io::Result<Summary> {
        if !self.begun {
            return Err(misplaced("a trace begins with a hello"));
        }
        encode::summary(&self.summary, &mut self.buffer);
        self.flush()?;
        Ok(self.summary)
    }

    /// What the frames so far account for.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Bytes of the trace so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes + self.buffer.len() as u64
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        let result = self.inner.write_all(&self.buffer);
        self.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        result
    }
}

fn misplaced(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Reads a trace, frame by frame: what the [`Writer`] was given, or the server has sent.
///
/// A trace that was cut off anywhere yields its whole frames; [`Reader::truncated`] says so afterwards.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    decoder: Decoder<Entry>,
    buffer: Vec<u8>,
    /// The first bytes, until there are enough of them to tell what this is.
    beginning: Option<Vec<u8>>,
    summary: Option<Summary>,
    said_goodbye: bool,
    over: bool,
}

impl<R: Read> Reader<R> {
    /// A reader at the beginning of a trace. Nothing is read yet.
    pub fn new(input: R) -> Self {
        Self {
            input,
            decoder: Decoder::new(),
            buffer: vec![0; READ_BYTES],
            beginning: Some(Vec::new()),
            summary: None,
            said_goodbye: false,
            over: false,
        }
    }

    /// Whether the trace ends before its summary, or the server's goodbye. Final once the iterator has returned `None`.
    pub fn truncated(&self) -> bool {
        let whole =
            self.summary.is_some() || self.said_goodbye && self.decoder.pending_bytes() == 0;
        self.over && !whole
    }

    /// The trace's own summary, once it has been read.
    pub fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    fn advance(&mut self) -> Result<Option<ServerFrame>, TraceError> {
        loop {
            match self.decoder.next()? {
                Some(Entry::Summary(summary)) => {
                    self.summary = Some(summary);
                    return Ok(None);
                }
                Some(Entry::Frame(frame)) => {
                    self.said_goodbye |= matches!(frame, ServerFrame::Goodbye(_));
                    return Ok(Some(frame));
                }
                None => {}
            }
            match self.input.read(&mut self.buffer) {
                Ok(0) => return self.end_of_input(),
                Ok(count) => self.take(count)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes in bytes that were read.
    fn take(&mut self, count: usize) -> Result<(), TraceError> {
        let Some(mut beginning) = self.beginning.take() else {
            self.decoder.feed(&self.buffer[..count]);
            return Ok(());
        };
        beginning.extend_from_slice(&self.buffer[..count]);
        if !is_native(&beginning) {
            return Err(TraceError::NotATrace("it does not begin with a hello"));
        }
        let Some(&[.., low, high]) = beginning.first_chunk::<BEGINNING_BYTES>() else {
            self.beginning = Some(beginning);
            return Ok(());
        };
        let found = u16::from_le_bytes([low, high]);
        if !(OLDEST_VERSION..=frame::VERSION).contains(&found) {
            return Err(TraceError::Version { found: found.into(), known: frame::VERSION.into() });
        }
        self.decoder.feed(&beginning);
        Ok(())
    }

    fn end_of_input(&self) -> Result<Option<ServerFrame>, TraceError> {
        match &self.beginning {
            Some(beginning) if beginning.is_empty() => {
                Err(TraceError::NotATrace("the file is empty"))
            }
            _ => Ok(None),
        }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<ServerFrame, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let next = self.advance().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}
