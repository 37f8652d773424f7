//! A channel for a single message.
//!
//! # Examples
//!
//! ```
//! use nexus_runtime::sync::oneshot;
//!
//! let runtime = nexus_runtime::Runtime::new()?;
//! runtime.block_on(async {
//!     let (sender, receiver) = oneshot::channel();
//!     nexus_runtime::spawn(async move { sender.send(42).unwrap() });
//!     assert_eq!(receiver.await, Ok(42));
//! });
//! # Ok::<(), std::io::Error>(())
//! ```

use super::assert_may_block;
use super::probe::{self, next_primitive};
use super::wait::Wait;
use nexus_protocol::PrimitiveId;
use nexus_protocol::event::{Operation, OperationResult, WaitOutcome};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot as inner;

/// A channel for one message.
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let primitive = next_primitive();
    let (sender, receiver) = inner::channel();
    let wait = Wait::new(primitive, Operation::Cancelled);
    let sender = Sender { primitive, inner: sender, wait };
    (sender, Receiver { inner: receiver, wait: Wait::new(primitive, Operation::Receive) })
}

/// The sender was dropped, or the channel closed, before the message was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the channel is closed")]
pub struct RecvError(());

/// Why nothing could be received at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TryRecvError {
    /// Nothing was sent yet.
    #[error("the channel is empty")]
    Empty,
    /// The sender was dropped, or the channel closed, before anything was sent; or it was received already.
    #[error("the channel is closed")]
    Closed,
}

/// Sends the message.
#[derive(Debug)]
pub struct Sender<T> {
    primitive: PrimitiveId,
    inner: inner::Sender<T>,
    wait: Wait,
}

impl<T> Sender<T> {
    /// Sends the message, without waiting, from any thread.
    ///
    /// # Errors
    ///
    /// Gives the message back if the receiver is gone or has closed the channel.
    pub fn send(self, message: T) -> Result<(), T> {
        let sent = self.inner.send(message);
        let result = match &sent {
            Ok(()) => OperationResult::Done(1),
            Err(_) => OperationResult::EndOfFile,
        };
        probe::operation(self.primitive, Operation::Send, result);
        sent
    }

    /// Waits until the receiver is gone or has closed the channel.
    pub async fn closed(&mut self) {
        let waiting = EndsWait(self);
        poll_fn(|cx| waiting.0.poll_closed(cx)).await;
    }

    /// For futures written by hand: as [`Sender::closed`]. Once it was pending, the task waits until it is ready, or the
    /// sender is gone.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let inner = &mut self.inner;
        self.wait.poll(cx, |cx| inner.poll_closed(cx), |()| OperationResult::Done(0))
    }

    /// Whether the receiver is gone or has closed the channel.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }
}

/// A future that waits for the channel to be closed: when it is dropped, it waits no more.
struct EndsWait<'a, T>(&'a mut Sender<T>);

impl<T> Drop for EndsWait<'_, T> {
    fn drop(&mut self) {
        self.0.wait.end(WaitOutcome::Dropped);
    }
}

/// Waits for the message.
#[derive(Debug)]
pub struct Receiver<T> {
    inner: inner::Receiver<T>,
    wait: Wait,
}

impl<T> Receiver<T> {
    /// The message, if it is there.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let tried = self.inner.try_recv().map_err(|error| match error {
            inner::error::TryRecvError::Empty => TryRecvError::Empty,
            inner::error::TryRecvError::Closed => TryRecvError::Closed,
        });
        self.wait.record(match &tried {
            Ok(_) => OperationResult::Done(1),
            Err(TryRecvError::Empty) => OperationResult::NotReady,
            Err(TryRecvError::Closed) => OperationResult::EndOfFile,
        });
        tried
    }

    /// The message, for a thread that may block until it comes.
    ///
    /// # Errors
    ///
    /// If there will be none.
    ///
    /// # Panics
    ///
    /// Inside a runtime.
    #[track_caller]
    pub fn blocking_recv(self) -> Result<T, RecvError> {
        assert_may_block("blocking_recv");
        self.inner.blocking_recv().map_err(|_| RecvError(()))
    }

    /// Refuses the message, unless it was sent before: then it can still be received.
    pub fn close(&mut self) {
        self.inner.close();
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    /// # Panics
    ///
    /// When polled again after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { inner, wait } = &mut *self;
        let result = |received: &Result<T, _>| match received {
            Ok(_) => OperationResult::Done(1),
            Err(_) => OperationResult::EndOfFile,
        };
        let polled = wait.poll(cx, |cx| Pin::new(&mut *inner).poll(cx), result);
        polled.map_err(|_| RecvError(()))
    }
}
