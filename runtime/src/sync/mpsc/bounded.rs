//! The ends of a channel with a capacity.

use super::receiving::Receiving;
use super::{SendError, TryRecvError, TrySendError, inner};
use crate::sync::assert_may_block;
use crate::sync::probe;
use crate::sync::wait::Wait;
use nexus_protocol::PrimitiveId;
use nexus_protocol::event::{Operation, OperationResult};
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

/// Sends into a channel that has a capacity. Clones are further senders of the same channel.
pub struct Sender<T> {
    primitive: PrimitiveId,
    inner: inner::Sender<T>,
}

impl<T> Sender<T> {
    pub(super) fn new(primitive: PrimitiveId, inner: inner::Sender<T>) -> Self {
        Self { primitive, inner }
    }

    /// Sends a message, after waiting for room if the channel is full. Senders are served in the order in which they
    /// began to wait.
    ///
    /// If the future is dropped, nothing is sent, and the message is dropped with it; [`Sender::reserve`] waits without
    /// a message.
    ///
    /// # Errors
    ///
    /// If the receiver is gone or has closed the channel.
    pub async fn send(&self, message: T) -> Result<(), SendError<T>> {
        // Room that is there can be had without waiting, and without getting in before those who wait: what a receive
        // makes free goes to them.
        let at_once = if probe::has_budget() { self.inner.try_reserve().ok() } else { None };
        let permit = match at_once {
            Some(permit) => {
                probe::spend_budget();
                probe::operation(self.primitive, Operation::Send, OperationResult::Done(1));
                Ok(permit)
            }
            None => self.permit(Operation::Send, 1).await,
        };
        match permit {
            Ok(permit) => {
                permit.send(message);
                Ok(())
            }
            Err(_) => Err(SendError(message)),
        }
    }

    /// Waits for room for one message.
    ///
    /// # Errors
    ///
    /// If the receiver is gone or has closed the channel.
    pub async fn reserve(&self) -> Result<Permit<'_, T>, SendError<()>> {
        let inner = self.permit(Operation::Ready, 0).await.map_err(|_| SendError(()))?;
        Ok(Permit { primitive: self.primitive, inner })
    }

    async fn permit(
        &self,
        operation: Operation,
        messages: u32,
    ) -> Result<inner::Permit<'_, T>, inner::error::SendError<()>> {
        let mut wait = Wait::new(self.primitive, operation);
        let mut reserve = pin!(self.inner.reserve());
        poll_fn(|cx| {
            wait.poll(
                cx,
                |cx| reserve.as_mut().poll(cx),
                |reserved| match reserved {
                    Ok(_) => OperationResult::Done(messages),
                    Err(_) => OperationResult::EndOfFile,
                },
            )
        })
        .await
    }

    /// Sends a message if there is room for it now.
    ///
    /// # Errors
    ///
    /// If the channel is full, or the receiver is gone or has closed the channel.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let sent = self.inner.try_send(message).map_err(|error| match error {
            inner::error::TrySendError::Full(message) => TrySendError::Full(message),
            inner::error::TrySendError::Closed(message) => TrySendError::Closed(message),
        });
        let result = match &sent {
            Ok(()) => OperationResult::Done(1),
            Err(TrySendError::Full(_)) => OperationResult::NotReady,
            Err(TrySendError::Closed(_)) => OperationResult::EndOfFile,
        };
        probe::operation(self.primitive, Operation::Send, result);
        sent
    }

    /// Sends a message from a thread that may block until there is room for it.
    ///
    /// # Errors
    ///
    /// If the receiver is gone or has closed the channel.
    ///
    /// # Panics
    ///
    /// Inside a runtime.
    #[track_caller]
    pub fn blocking_send(&self, message: T) -> Result<(), SendError<T>> {
        assert_may_block("blocking_send");
        self.inner.blocking_send(message).map_err(|error| SendError(error.0))
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

    /// For how many more messages there is room now.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.inner.capacity()
    }

    /// For how many messages there is room in all.
    #[must_use]
    pub fn max_capacity(&self) -> usize {
        self.inner.max_capacity()
    }

    /// Whether both send into the same channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        self.inner.same_channel(&other.inner)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self { primitive: self.primitive, inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

/// Room for one message, see [`Sender::reserve`]. It is given back if the permit is dropped.
#[derive(Debug)]
#[must_use = "the room is given back when the permit is dropped"]
pub struct Permit<'a, T> {
    primitive: PrimitiveId,
    inner: inner::Permit<'a, T>,
}

impl<T> Permit<'_, T> {
    /// Sends a message. If the receiver is gone, the message is dropped.
    pub fn send(self, message: T) {
        probe::operation(self.primitive, Operation::Send, OperationResult::Done(1));
        self.inner.send(message);
    }
}

/// Receives from a channel that has a capacity.
#[derive(Debug)]
pub struct Receiver<T>(Receiving<inner::Receiver<T>>);

impl<T> Receiver<T> {
    pub(super) fn new(primitive: PrimitiveId, inner: inner::Receiver<T>) -> Self {
        Self(Receiving::new(primitive, inner))
    }

    /// Waits for the next message; `None` if all senders are gone, or the channel was closed, and everything was
    /// received.
    ///
    /// If the future is dropped, no message is lost.
    pub async fn recv(&mut self) -> Option<T> {
        self.0.recv().await
    }

    /// Waits for messages, and appends up to `limit` of them to a buffer. How many there were: zero if there will be no
    /// more, or if the limit is zero.
    ///
    /// If the future is dropped, no message is lost.
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

    /// For futures written by hand: as [`Receiver::recv`]. Once it was pending, the task waits until the message has
    /// come, or the receiver is dropped or used otherwise.
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

    /// Refuses further messages. Those in the channel, and those for which a [`Permit`] was given, can still be received.
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

    /// For how many more messages there is room now.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.source.capacity()
    }

    /// For how many messages there is room in all.
    #[must_use]
    pub fn max_capacity(&self) -> usize {
        self.0.source.max_capacity()
    }
}
