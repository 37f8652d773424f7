//! The ends of a channel without a limit.

use super::receiving::Receiving;
use super::{SendError, TryRecvError, inner};
use crate::sync::probe;
use crate::sync::wait::Wait;
use nexus_protocol::PrimitiveId;
use nexus_protocol::event::{Operation, OperationResult};
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

/// Sends into a channel that has no limit. Clones are further senders of the same channel.
pub struct UnboundedSender<T> {
    primitive: PrimitiveId,
    inner: inner::UnboundedSender<T>,
}

impl<T> UnboundedSender<T> {
    pub(super) fn new(primitive: PrimitiveId, inner: inner::UnboundedSender<T>) -> Self {
        Self { primitive, inner }
    }

    /// Sends a message, without ever waiting.
    ///
    /// # Errors
    ///
    /// If the receiver is gone or has closed the channel.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let sent = self.inner.send(message).map_err(|error| SendError(error.0));
        let result = match &sent {
            Ok(()) => OperationResult::Done(1),
            Err(_) => OperationResult::EndOfFile,
        };
        probe::operation(self.primitive, Operation::Send, result);
        sent
    }

    /// Waits until the receiver is gone or has closed the channel.
    pub async fn closed(&self) {
        let mut wait = Wait::new(self.primitive, Operation::Cancelled);
        let mut closed = pin!(self.inner.closed());
        let done = |&(): &()| OperationResult::Done(0);
        poll_fn(|cx| wait.poll(cx, |cx| closed.as_mut().poll(cx), done)).await;
    }

    /// Whether the receiver is gone or has closed the channel.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    /// Whether both send into the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.inner.same_channel(&other.inner)
    }
}

impl<T> Clone for UnboundedSender<T> {
    fn clone(&self) -> Self {
        Self { primitive: self.primitive, inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for UnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedSender").finish_non_exhaustive()
    }
}

/// Receives from a channel that has no limit.
#[derive(Debug)]
pub struct UnboundedReceiver<T>(Receiving<inner::UnboundedReceiver<T>>);

impl<T> UnboundedReceiver<T> {
    pub(super) fn new(primitive: PrimitiveId, inner: inner::UnboundedReceiver<T>) -> Self {
        Self(Receiving::new(primitive, inner))
    }

    /// Waits for the next message, see [`Receiver::recv`](super::Receiver::recv).
    pub async fn recv(&mut self) -> Option<T> {
        self.0.recv().await
    }

    /// Waits for messages, and appends up to `limit` of them to a buffer, see
    /// [`Receiver::recv_many`](super::Receiver::recv_many).
    pub async fn recv_many(&mut self, buffer: &mut Vec<T>, limit: usize) -> usize {
        self.0.recv_many(buffer, limit).await
    }

    /// The next message, if it is there.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.0.try_recv()
    }

    /// For futures written by hand, see [`Receiver::poll_recv`](super::Receiver::poll_recv).
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(cx)
    }

    /// The next message, for a thread that may block until it comes.
    ///
    /// # Panics
    ///
    /// Inside a runtime.
    #[track_caller]
    pub fn blocking_recv(&mut self) -> Option<T> {
        self.0.blocking_recv()
    }

    /// Refuses further messages. Those in the channel can still be received.
    pub fn close(&mut self) {
        self.0.source.close();
    }

    /// Whether the channel was closed, or all senders are gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.source.is_closed()
    }

    /// Whether there is no message in the channel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.source.is_empty()
    }

    /// How many messages are in the channel.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.source.len()
    }
}
