//! The endpoint's end of a connection.

use super::{OLDEST_VERSION, SessionError, is_gone, is_idle};
use crate::decode::Decoder;
use crate::encode;
use crate::event::Record;
use crate::frame::{self, ClientFrame, Goodbye, ServerFrame};
use crate::ids::{RuntimeId, Seq};
use std::io::{self, Read, Write};
use std::ops::Range;

/// Bytes taken from the stream at once: clients have little to say.
const READ_BYTES: usize = 4096;

/// Reads in one call of [`Server::receive`]: whoever talks without end does not keep others waiting.
const READS: usize = 16;

/// A connection to an inspector, over a non-blocking stream.
///
/// What is queued is kept until the stream takes it, without a bound of its own: look at [`Server::queued_bytes`] before
/// encoding events, so that a slow client loses records in the ring, where they are counted, and never here.
#[derive(Debug)]
pub struct Server<S> {
    stream: S,
    decoder: Decoder<ClientFrame>,
    state: State,
    queue: Vec<u8>,
    /// How much of the queue has been written.
    written: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    AwaitsHello,
    Open,
    Over,
}

impl<S: Read + Write> Server<S> {
    /// A session in which the client has yet to say hello.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            decoder: Decoder::new(),
            state: State::AwaitsHello,
            queue: Vec::new(),
            written: 0,
        }
    }

    /// The next frame from the client, or `None` if there is none yet.
    ///
    /// The first one is a hello with a version that this side speaks; answer it with [`ServerFrame::Hello`]. No other
    /// hello follows. Call until `None`, but not without end: a client may say more than one cares to hear. After
    /// sixteen pieces that bring no whole frame there is `None` as well, though the stream has more.
    ///
    /// # Errors
    ///
    /// If the stream fails ([`SessionError::Closed`] if the client is gone) or the client breaks the protocol. In the
    /// latter case a goodbye that says so is queued: [`Server::flush`] once and drop the session.
    pub fn receive(&mut self) -> Result<Option<ClientFrame>, SessionError> {
        let mut buffer = [0; READ_BYTES];
        let mut reads = 0;
        loop {
            if self.state == State::Over {
                return Err(SessionError::Closed);
            }
            match self.decoder.next() {
                Ok(Some(frame)) => return self.accept(frame).map(Some),
                Ok(None)
                    if self.state == State::AwaitsHello && self.decoder.skipped().frames > 0 =>
                {
                    return Err(self.refuse(SessionError::NotNexus(None)));
                }
                Ok(None) => {}
                Err(error) if self.state == State::AwaitsHello => {
                    return Err(self.refuse(SessionError::NotNexus(Some(error))));
                }
                Err(error) => return Err(self.refuse(error.into())),
            }
            if reads == READS {
                return Ok(None);
            }
            reads += 1;
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    self.state = State::Over;
                    return Err(SessionError::Closed);
                }
                Ok(count) => self.decoder.feed(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_idle(&error) => return Ok(None),
                Err(error) if is_gone(&error) => {
                    self.state = State::Over;
                    return Err(SessionError::Closed);
                }
                Err(error) => return Err(SessionError::Io { what: "read from the client", error }),
            }
        }
    }

    fn accept(&mut self, frame: ClientFrame) -> Result<ClientFrame, SessionError> {
        match (self.state, &frame) {
            (State::AwaitsHello, ClientFrame::Hello { version }) if *version >= OLDEST_VERSION => {
                self.state = State::Open;
                Ok(frame)
            }
            (State::AwaitsHello, ClientFrame::Hello { version }) => {
                Err(self.refuse(SessionError::Version { peer: *version, own: frame::VERSION }))
            }
            (State::AwaitsHello, _) => {
                Err(self.refuse(SessionError::Order("the first frame is not a hello")))
            }
            (_, ClientFrame::Hello { .. }) => {
                Err(self.refuse(SessionError::Order("a second hello")))
            }
            _ => Ok(frame),
        }
    }

    /// Ends the session for the reason given, and tells the client.
    fn refuse(&mut self, error: SessionError) -> SessionError {
        let goodbye = match &error {
            SessionError::Version { own, .. } => Goodbye::Version { server: *own },
            SessionError::NotNexus(Some(detail)) | SessionError::Decode(detail) => {
                Goodbye::ProtocolError(detail.to_string())
            }
            other => Goodbye::ProtocolError(other.to_string()),
        };
        self.dismiss(goodbye);
        error
    }

    /// Whether the client has said hello and nothing has gone wrong since.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Where in the client's bytes a frame has begun that is not whole yet, if one has: as long as this stays the same,
    /// it is the same frame.
    #[must_use]
    pub fn unfinished_frame(&self) -> Option<u64> {
        (self.decoder.pending_bytes() > 0).then(|| self.decoder.position())
    }

    /// Bytes that the client has said so far, as far as they were read.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.decoder.position() + self.decoder.pending_bytes() as u64
    }

    /// Ends the session because of the client, and tells it so: [`Server::flush`] once and drop the session.
    pub fn dismiss(&mut self, goodbye: Goodbye) {
        self.state = State::Over;
        self.queue(&ServerFrame::Goodbye(goodbye));
    }

    /// Adds a frame to what is to be written.
    pub fn queue(&mut self, frame: &ServerFrame) {
        encode::server(frame, &mut self.queue);
    }

    /// Adds a frame of events, whose records need not be collected first: see [`encode::events`].
    ///
    /// # Panics
    ///
    /// As that does.
    #[inline]
    pub fn queue_events(
        &mut self,
        runtime: RuntimeId,
        numbers: Range<Seq>,
        count: usize,
        records: impl IntoIterator<Item = Record>,
    ) {
        encode::events(runtime, numbers, count, records, &mut self.queue);
    }

    /// Writes as much of the queue as the stream takes; true if nothing is left.
    ///
    /// # Errors
    ///
    /// If the stream fails. The client is gone then.
    pub fn flush(&mut self) -> io::Result<bool> {
        while self.written < self.queue.len() {
            match self.stream.write(&self.queue[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_idle(&error) => {
                    self.reclaim();
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        self.queue.clear();
        self.written = 0;
        Ok(true)
    }

    /// Moves what is left to the front once it is the smaller part, so that every byte moves a bounded number of times.
    fn reclaim(&mut self) {
        if self.written > self.queue.len() / 2 {
            self.queue.drain(..self.written);
            self.written = 0;
        }
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queue.len() - self.written
    }

    /// The stream, for its descriptor and credentials.
    #[must_use]
    pub fn stream(&self) -> &S {
        &self.stream
    }
}
