//! The I/O driver and the raw handle to it.
//!
//! Each source that is registered gets a [`Token`]: a slot of the driver's table and a generation. The driver keeps what
//! the kernel has said of a token, its [`Readiness`], until an operation consumes it, and wakes those who wait, by
//! [`Direction`].

mod async_fd;
pub(crate) mod bell;
pub(crate) mod driver;
mod handle;
pub(crate) mod slots;
pub(crate) mod source;
mod token;
mod waits;

pub use async_fd::{AsyncFd, AsyncFdReadyGuard, TryIoError};
pub use handle::IoHandle;
pub use mio::event::Source;
pub use nexus_protocol::event::{Operation, RefusalReason, SourceKind};
pub use nexus_protocol::{Direction, Interest, Readiness, TokenId};
pub use token::{Token, TokenError};

use std::io;

/// Bits besides which a short read does not mean that there is no more: one edge can carry data and an end of file.
const MORE_THAN_DATA: Readiness =
    Readiness::from_bits(Readiness::STICKY.bits() | Readiness::PRIORITY.bits());

fn runtime_gone() -> io::Error {
    io::Error::other("the runtime of this source is gone, or lives on another thread")
}
