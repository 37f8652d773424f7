//! Whichever format a trace has.

use super::{Summary, TraceError, json, native};
use crate::frame::ServerFrame;
use std::io::{self, BufRead, Cursor, Read, Write};
use std::path::Path;

/// How a trace is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON document, an event a line: `.json`.
    Json,
    /// JSON objects, one a line, for streams: `.jsonl`.
    JsonLines,
    /// The frames of the wire: `.nxt`.
    Native,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Json, Self::JsonLines, Self::Native];

    /// The ending of its files, which is its name on command lines as well.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::Native => "nxt",
        }
    }

    /// The format with this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The format that a file's ending names, if it names one.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        path.extension().and_then(|ending| ending.to_str()).and_then(Self::from_name)
    }
}

/// Writes a trace in a format that is chosen as the program runs. See the formats' own writers for what they promise.
#[derive(Debug)]
pub struct Writer<W: Write>(Written<W>);

#[derive(Debug)]
enum Written<W: Write> {
    Json(json::Writer<W>),
    Native(native::Writer<W>),
}

impl<W: Write> Writer<W> {
    /// A writer of one trace. Nothing is written before the first frame.
    pub fn new(format: Format, inner: W) -> Self {
        Self(match format {
            Format::Json => Written::Json(json::Writer::new(inner)),
            Format::JsonLines => Written::Json(json::Writer::lines(inner)),
            Format::Native => Written::Native(native::Writer::new(inner)),
        })
    }

    /// Adds a frame. The first one has to be the hello, and only that one.
    ///
    /// # Errors
    ///
    /// If the writer beneath fails, or ([`io::ErrorKind::InvalidInput`]) if frames come in a wrong order.
    pub fn frame(&mut self, frame: &ServerFrame) -> io::Result<()> {
        match &mut self.0 {
            Written::Json(writer) => writer.frame(frame),
            Written::Native(writer) => writer.frame(frame),
        }
    }

    /// Passes on everything written so far.
    ///
    /// # Errors
    ///
    /// If the writer beneath fails.
    pub fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Written::Json(writer) => writer.flush(),
            Written::Native(writer) => writer.flush(),
        }
    }

    /// Ends the trace and passes everything on.
    ///
    /// # Errors
    ///
    /// If the writer beneath fails, or ([`io::ErrorKind::InvalidInput`]) if there was no hello.
    pub fn finish(self) -> io::Result<Summary> {
        match self.0 {
            Written::Json(writer) => writer.finish(),
            Written::Native(writer) => writer.finish(),
        }
    }

    /// What the frames so far account for.
    #[must_use]
    pub fn summary(&self) -> Summary {
        match &self.0 {
            Written::Json(writer) => writer.summary(),
            Written::Native(writer) => writer.summary().clone(),
        }
    }

    /// Bytes of the trace so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match &self.0 {
            Written::Json(writer) => writer.bytes(),
            Written::Native(writer) => writer.bytes(),
        }
    }
}

/// Bytes by which the formats are told apart: as far as the end of a hello's magic.
const BEGINNING_BYTES: usize = 11;

/// Reads a trace in whatever format it turns out to have.
#[derive(Debug)]
pub struct Reader<R>(Opened<R>);

/// What is read, after the first bytes that were looked at.
type Whole<R> = io::Chain<Cursor<Vec<u8>>, R>;

#[derive(Debug)]
enum Opened<R> {
    /// Nothing was looked at yet.
    Unknown(R),
    Json(json::Reader<Whole<R>>),
    Native(native::Reader<Whole<R>>),
    /// It could not be looked at.
    Failed,
}

impl<R: BufRead> Reader<R> {
    /// A reader at the beginning of a trace. Nothing is read yet.
    pub fn new(input: R) -> Self {
        Self(Opened::Unknown(input))
    }

    /// The format, once a frame has been read.
    pub fn format(&self) -> Option<Format> {
        match &self.0 {
            Opened::Json(reader) if reader.is_in_lines() => Some(Format::JsonLines),
            Opened::Json(_) => Some(Format::Json),
            Opened::Native(_) => Some(Format::Native),
            Opened::Unknown(_) | Opened::Failed => None,
        }
    }

    /// Whether the trace breaks off before its end. Final once the iterator has returned `None`.
    pub fn truncated(&self) -> bool {
        match &self.0 {
            Opened::Json(reader) => reader.truncated(),
            Opened::Native(reader) => reader.truncated(),
            Opened::Unknown(_) | Opened::Failed => false,
        }
    }

    /// The trace's own summary, once it has been read.
    pub fn summary(&self) -> Option<&Summary> {
        match &self.0 {
            Opened::Json(reader) => reader.summary(),
            Opened::Native(reader) => reader.summary(),
            Opened::Unknown(_) | Opened::Failed => None,
        }
    }

    fn open(mut input: R) -> io::Result<Opened<R>> {
        let mut beginning = Vec::with_capacity(BEGINNING_BYTES);
        input.by_ref().take(BEGINNING_BYTES as u64).read_to_end(&mut beginning)?;
        // What is neither is told so by the reader of JSON, which can say what it expects.
        let native = !beginning.is_empty()
            && !beginning.starts_with(b"{\"")
            && native::is_native(&beginning);
        let whole = Cursor::new(beginning).chain(input);
        Ok(if native {
            Opened::Native(native::Reader::new(whole))
        } else {
            Opened::Json(json::Reader::new(whole))
        })
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<ServerFrame, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Opened::Unknown(_) = self.0
            && let Opened::Unknown(input) = std::mem::replace(&mut self.0, Opened::Failed)
        {
            match Self::open(input) {
                Ok(opened) => self.0 = opened,
                Err(error) => return Some(Err(error.into())),
            }
        }
        match &mut self.0 {
            Opened::Json(reader) => reader.next(),
            Opened::Native(reader) => reader.next(),
            Opened::Unknown(_) | Opened::Failed => None,
        }
    }
}
