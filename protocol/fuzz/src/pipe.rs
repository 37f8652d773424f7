//! A stream that is all in memory: gives the bytes it was made with in pieces, and keeps what is written to it.

use std::io::{self, Read, Write};

/// The stream. Between two pieces it says that there is nothing yet, as a non-blocking socket does.
#[derive(Debug)]
pub(crate) struct Pipe<'a> {
    input: &'a [u8],
    piece: usize,
    paused: bool,
    output: Vec<u8>,
}

impl<'a> Pipe<'a> {
    pub(crate) fn new(input: &'a [u8], piece: usize) -> Self {
        Self { input, piece, paused: false, output: Vec::new() }
    }

    /// What was written.
    pub(crate) fn output(&self) -> &[u8] {
        &self.output
    }
}

impl Read for Pipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.paused = !self.paused && self.piece < usize::MAX;
        if self.paused {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.input.len().min(self.piece).min(buffer.len());
        let (now, later) = self.input.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.input = later;
        Ok(count)
    }
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
