//! The inspector's end of a connection.

use super::{HELLO_TIMEOUT, OLDEST_VERSION, Received, SessionError, is_gone, is_idle};
use crate::decode::{Decoder, Skipped};
use crate::encode;
use crate::frame::{self, ClientFrame, Goodbye, Process, RuntimeInfo, ServerFrame, Subscribe};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Bytes taken from the stream at once.
const READ_BYTES: usize = 64 * 1024;

/// Reads in which the server's hello must be complete, so that one that trickles cannot hold us.
const HELLO_READS: usize = 64;

/// A connection to an observed process.
#[derive(Debug)]
pub struct Client<S> {
    stream: S,
    decoder: Decoder<ServerFrame>,
    buffer: Vec<u8>,
    version: u16,
    process: Process,
    runtimes: Vec<RuntimeInfo>,
}

impl Client<UnixStream> {
    /// Connects to the socket at `path` and exchanges hellos, which takes at most [`HELLO_TIMEOUT`] for each step.
    /// A path that begins with a NUL byte names an abstract socket.
    ///
    /// Afterwards [`Client::next`] waits for `timeout` before it says [`Received::Idle`].
    ///
    /// # Errors
    ///
    /// If nobody listens there, does not answer in time, refuses us, or is not a nexus endpoint.
    ///
    /// # Panics
    ///
    /// If `timeout` is zero.
    pub fn connect_unix(path: &Path, timeout: Duration) -> Result<Self, SessionError> {
        assert!(!timeout.is_zero(), "a timeout of zero would never see a frame");
        let io = |what| move |error| SessionError::Io { what, error };
        let stream = connect(path).map_err(io("connect"))?;
        let set = "set the timeouts of the connection";
        stream.set_read_timeout(Some(HELLO_TIMEOUT)).map_err(io(set))?;
        let client = Self::new(stream)?;
        client.stream.set_read_timeout(Some(timeout)).map_err(io(set))?;
        Ok(client)
    }
}

/// Connects within [`HELLO_TIMEOUT`], also when the listener's backlog is full: the timeout for sending bounds that too.
fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    socket.set_write_timeout(Some(HELLO_TIMEOUT))?;
    socket.connect(&socket2::SockAddr::unix(path)?)?;
    Ok(UnixStream::from(std::os::fd::OwnedFd::from(socket)))
}

impl<S: Read + Write> Client<S> {
    /// Exchanges hellos over `stream`, which should be blocking, with a read timeout of at most [`HELLO_TIMEOUT`].
    ///
    /// # Errors
    ///
    /// If the stream fails or times out, or if the peer does not answer with the hello of a nexus endpoint.
    pub fn new(mut stream: S) -> Result<Self, SessionError> {
        send(&mut stream, &ClientFrame::Hello { version: frame::VERSION })?;
        let mut decoder = Decoder::new();
        let mut buffer = vec![0; READ_BYTES];
        for _ in 0..HELLO_READS {
            match decoder.next() {
                Ok(Some(frame)) => {
                    let (version, process, runtimes) = check_hello(frame)?;
                    return Ok(Self { stream, decoder, buffer, version, process, runtimes });
                }
                // A first frame of a kind that we do not know is none of our server's.
                Ok(None) if decoder.skipped().frames > 0 => {
                    return Err(SessionError::NotNexus(None));
                }
                Ok(None) => {}
                Err(error) => return Err(SessionError::NotNexus(Some(error))),
            }
            match stream.read(&mut buffer) {
                Ok(0) => return Err(closed_before_hello(&decoder)),
                Ok(count) => decoder.feed(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_idle(&error) => return Err(SessionError::NoHello),
                Err(error) if is_gone(&error) => return Err(closed_before_hello(&decoder)),
                Err(error) => return Err(SessionError::Io { what: "read the hello", error }),
            }
        }
        Err(SessionError::NoHello)
    }

    /// The process and its runtimes, as they were when the connection was made.
    #[must_use]
    pub fn hello(&self) -> (&Process, &[RuntimeInfo]) {
        (&self.process, &self.runtimes)
    }

    /// The hello as the frame that it was, for those who take a connection as a sequence of frames.
    #[must_use]
    pub fn hello_frame(&self) -> ServerFrame {
        ServerFrame::Hello {
            version: self.version,
            process: self.process.clone(),
            runtimes: self.runtimes.clone(),
        }
    }

    /// Asks for the stream of events and snapshots, or changes it.
    ///
    /// # Errors
    ///
    /// If the stream fails; [`SessionError::Closed`] if the server is gone.
    pub fn subscribe(&mut self, subscribe: Subscribe) -> Result<(), SessionError> {
        send(&mut self.stream, &ClientFrame::Subscribe(subscribe))
    }

    /// Asks for all that was recorded until now, a last snapshot and a goodbye. Go on with [`Client::next`].
    ///
    /// # Errors
    ///
    /// If the stream fails; [`SessionError::Closed`] if the server is gone. What it has sent can still be read then.
    pub fn finish(&mut self) -> Result<(), SessionError> {
        send(&mut self.stream, &ClientFrame::Finish)
    }

    /// Asks for silence: no events, no snapshots, until [`Client::resume`] or [`Client::finish`]. What was on its way
    /// still comes. Needs a subscription.
    ///
    /// # Errors
    ///
    /// If the stream fails; [`SessionError::Closed`] if the server is gone.
    pub fn pause(&mut self) -> Result<(), SessionError> {
        send(&mut self.stream, &ClientFrame::Pause)
    }

    /// Asks for the stream to go on where it was paused. What the ring could not hold that long comes as a loss.
    ///
    /// # Errors
    ///
    /// If the stream fails; [`SessionError::Closed`] if the server is gone.
    pub fn resume(&mut self) -> Result<(), SessionError> {
        send(&mut self.stream, &ClientFrame::Resume)
    }

    /// The next frame. Waits at most for the stream's read timeout.
    ///
    /// # Errors
    ///
    /// If the stream fails or the server's bytes cannot be understood. A server that is gone is no error.
    #[expect(
        clippy::should_implement_trait,
        reason = "it can fail and go on, so it is no iterator"
    )]
    pub fn next(&mut self) -> Result<Received, SessionError> {
        loop {
            if let Some(frame) = self.decoder.next()? {
                return Ok(Received::Frame(frame));
            }
            match self.stream.read(&mut self.buffer) {
                Ok(0) => return Ok(Received::Closed),
                Ok(count) => self.decoder.feed(&self.buffer[..count]),
                Err(error) if is_idle(&error) => return Ok(Received::Idle),
                Err(error) if is_gone(&error) => return Ok(Received::Closed),
                Err(error) => return Err(SessionError::Io { what: "read from the server", error }),
            }
        }
    }

    /// What the server sent that this version does not know.
    #[must_use]
    pub fn skipped(&self) -> Skipped {
        self.decoder.skipped()
    }

    /// The stream, for its credentials and timeouts.
    #[must_use]
    pub fn stream(&self) -> &S {
        &self.stream
    }
}

fn send(stream: &mut impl Write, frame: &ClientFrame) -> Result<(), SessionError> {
    let mut bytes = Vec::new();
    encode::client(frame, &mut bytes);
    stream.write_all(&bytes).and_then(|()| stream.flush()).map_err(|error| {
        if is_gone(&error) {
            SessionError::Closed
        } else {
            SessionError::Io { what: "write to the server", error }
        }
    })
}

fn check_hello(frame: ServerFrame) -> Result<(u16, Process, Vec<RuntimeInfo>), SessionError> {
    match frame {
        ServerFrame::Hello { version, process, runtimes } => {
            let own = frame::VERSION;
            if (OLDEST_VERSION..=own).contains(&version) {
                Ok((version, process, runtimes))
            } else {
                Err(SessionError::Version { peer: version, own })
            }
        }
        ServerFrame::Goodbye(Goodbye::Version { server }) => {
            Err(SessionError::Version { peer: server, own: frame::VERSION })
        }
        ServerFrame::Goodbye(reason) => Err(SessionError::Refused(reason)),
        _ => Err(SessionError::NotNexus(None)),
    }
}

/// A peer that hangs up without a byte may have died; one that said something else first is not ours.
fn closed_before_hello(decoder: &Decoder<ServerFrame>) -> SessionError {
    if decoder.pending_bytes() > 0 { SessionError::NotNexus(None) } else { SessionError::Closed }
}
