//! Channels for many messages, from any number of senders to one receiver.
//!
//! A [`channel`] has a capacity, and a sender waits while it is full: senders that are too fast are slowed down. An
//! [`unbounded_channel`] never makes a sender wait, and takes as much memory as its receiver lags behind.
//!
//! The receiver gets what was sent, in order, then `None` once all senders are gone. If the receiver goes first, sending
//! fails and gives the message back.

mod bounded;
mod receiving;
mod unbounded;

pub use bounded::{Permit, Receiver, Sender};
pub use unbounded::{UnboundedReceiver, UnboundedSender};

use super::probe::next_primitive;
use std::fmt;
use tokio::sync::mpsc as inner;

/// A channel in which this many messages can lie.
///
/// # Panics
///
/// If the capacity is zero, or more than `usize::MAX >> 3`.
///
/// # Examples
///
/// ```
/// use nexus_runtime::sync::mpsc;
///
/// let runtime = nexus_runtime::Runtime::new()?;
/// runtime.block_on(async {
///     let (sender, mut receiver) = mpsc::channel(1);
///     nexus_runtime::spawn(async move {
///         for number in 0..3 {
///             sender.send(number).await.unwrap();
///         }
///     });
///     let mut numbers = Vec::new();
///     while let Some(number) = receiver.recv().await {
///         numbers.push(number);
///     }
///     assert_eq!(numbers, [0, 1, 2]);
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let primitive = next_primitive();
    let (sender, receiver) = inner::channel(capacity);
    (Sender::new(primitive, sender), Receiver::new(primitive, receiver))
}

/// A channel in which any number of messages can lie.
#[must_use]
pub fn unbounded_channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let primitive = next_primitive();
    let (sender, receiver) = inner::unbounded_channel();
    (UnboundedSender::new(primitive, sender), UnboundedReceiver::new(primitive, receiver))
}

/// The receiver is gone, or has closed the channel. Here is the message that it does not get.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Why a message could not be sent at once, and the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The channel is full.
    Full(T),
    /// The receiver is gone, or has closed the channel.
    Closed(T),
}

/// Why nothing could be received at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TryRecvError {
    /// There is nothing in the channel now.
    #[error("the channel is empty")]
    Empty,
    /// There is nothing in the channel, and there never will be.
    #[error("the channel is empty and closed")]
    Disconnected,
}

impl<T> TrySendError<T> {
    /// The message that was not sent.
    #[must_use]
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is closed")
    }
}

impl<T> std::error::Error for SendError<T> {}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the channel is full",
            Self::Closed(_) => "the channel is closed",
        })
    }
}

impl<T> std::error::Error for TrySendError<T> {}
