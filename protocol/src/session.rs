//! The two ends of a connection, over anything that reads and writes.
//!
//! [`Client`] is the inspector's end: it blocks for as long as its stream's read timeout says. [`Server`] is the
//! endpoint's end, for a non-blocking stream: it reads what is there and queues what it cannot write yet.
//!
//! Both keep the order that SPEC.md asks for: the client says hello, the server answers with its own, then both are free
//! to speak. Neither knows a clock, where a stream comes from (but for [`Client::connect_unix`]), or what the frames are
//! good for.

mod client;
mod server;

use crate::decode::DecodeError;
use crate::frame::{Goodbye, ServerFrame};
pub use client::Client;
pub use server::Server;
use std::io;
use std::time::Duration;

/// How long each step of making a connection may take: connecting, and each wait for bytes of the server's hello.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(1);

/// The oldest version of the protocol that a [`Server`] still speaks with a client.
pub const OLDEST_VERSION: u16 = 1;

/// What a [`Client`] got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A frame.
    Frame(ServerFrame),
    /// Nothing, for as long as the stream's read timeout, or because a signal came.
    Idle,
    /// The server has closed the connection; if no goodbye came before, it died.
    Closed,
}

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The stream failed.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        #[source]
        error: io::Error,
    },
    /// The peer did not say hello in time.
    #[error(
        "the peer accepted the connection but did not say hello within a second; it may be stuck or not a nexus endpoint"
    )]
    NoHello,
    /// What the peer said first was no hello.
    #[error("the peer does not speak the nexus protocol; is this another program's socket?")]
    NotNexus(#[source] Option<DecodeError>),
    /// The server said goodbye instead of hello.
    #[error("the server refused the connection: {0}")]
    Refused(Goodbye),
    /// The peer speaks a version that this side does not.
    #[error(
        "the peer speaks version {peer} of the protocol, this side {own}; use tools of the same release"
    )]
    Version {
        /// The peer's version.
        peer: u16,
        /// The newest version spoken here.
        own: u16,
    },
    /// The peer's bytes break the protocol.
    #[error("the peer broke the protocol")]
    Decode(#[from] DecodeError),
    /// The peer's frames are not in an order that the protocol allows.
    #[error("the peer broke the protocol: {0}")]
    Order(&'static str),
    /// The peer has closed the connection.
    #[error("the peer closed the connection")]
    Closed,
}

/// Whether a stream has only nothing to say yet.
fn is_idle(error: &io::Error) -> bool {
    // A read timeout shows as either of the first two.
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

/// Whether a stream's end is gone, rather than failing.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}
