//! What both kinds of receiver do, whatever they receive from.

use super::{TryRecvError, inner};
use crate::sync::assert_may_block;
use crate::sync::wait::Wait;
use nexus_protocol::PrimitiveId;
use nexus_protocol::event::{Operation, OperationResult, WaitOutcome};
use std::future::poll_fn;
use std::task::{Context, Poll};

/// A receiver of `tokio`'s.
pub(super) trait Source {
    type Message;
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::Message>>;
    fn poll_recv_many(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<Self::Message>,
        limit: usize,
    ) -> Poll<usize>;
    fn try_recv(&mut self) -> Result<Self::Message, inner::error::TryRecvError>;
    fn blocking_recv(&mut self) -> Option<Self::Message>;
}

macro_rules! source {
    ($receiver:ident) => {
        impl<T> Source for inner::$receiver<T> {
            type Message = T;

            fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
                self.poll_recv(cx)
            }

            fn poll_recv_many(
                &mut self,
                cx: &mut Context<'_>,
                buffer: &mut Vec<T>,
                limit: usize,
            ) -> Poll<usize> {
                self.poll_recv_many(cx, buffer, limit)
            }

            fn try_recv(&mut self) -> Result<T, inner::error::TryRecvError> {
                self.try_recv()
            }

            fn blocking_recv(&mut self) -> Option<T> {
                self.blocking_recv()
            }
        }
    };
}

source!(Receiver);
source!(UnboundedReceiver);

/// A receiver and its waits.
#[derive(Debug)]
pub(super) struct Receiving<S> {
    pub(super) source: S,
    wait: Wait,
}

impl<S: Source> Receiving<S> {
    pub(super) fn new(primitive: PrimitiveId, source: S) -> Self {
        Self { source, wait: Wait::new(primitive, Operation::Receive) }
    }

    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<S::Message>> {
        let source = &mut self.source;
        self.wait.poll(cx, |cx| source.poll_recv(cx), |message| received(message.is_some().into()))
    }

    pub(super) async fn recv(&mut self) -> Option<S::Message> {
        let waiting = EndsWait(self);
        poll_fn(|cx| waiting.0.poll_recv(cx)).await
    }

    pub(super) async fn recv_many(&mut self, buffer: &mut Vec<S::Message>, limit: usize) -> usize {
        let waiting = EndsWait(self);
        poll_fn(|cx| {
            let Self { source, wait } = &mut *waiting.0;
            let result = |&count: &usize| match limit {
                0 => OperationResult::Done(0),
                _ => received(count),
            };
            wait.poll(cx, |cx| source.poll_recv_many(cx, buffer, limit), result)
        })
        .await
    }

    pub(super) fn try_recv(&mut self) -> Result<S::Message, TryRecvError> {
        let tried = self.source.try_recv().map_err(|error| match error {
            inner::error::TryRecvError::Empty => TryRecvError::Empty,
            inner::error::TryRecvError::Disconnected => TryRecvError::Disconnected,
        });
        self.wait.record(match &tried {
            Ok(_) => OperationResult::Done(1),
            Err(TryRecvError::Empty) => OperationResult::NotReady,
            Err(TryRecvError::Disconnected) => OperationResult::EndOfFile,
        });
        tried
    }

    #[track_caller]
    pub(super) fn blocking_recv(&mut self) -> Option<S::Message> {
        assert_may_block("blocking_recv");
        self.source.blocking_recv()
    }
}

/// What it means for the recorder that so many messages have come.
fn received(count: usize) -> OperationResult {
    match count {
        0 => OperationResult::EndOfFile,
        count => OperationResult::Done(u32::try_from(count).unwrap_or(u32::MAX)),
    }
}

/// A future that receives: when it is dropped, it waits no more.
struct EndsWait<'a, S: Source>(&'a mut Receiving<S>);

impl<S: Source> Drop for EndsWait<'_, S> {
    fn drop(&mut self) {
        self.0.wait.end(WaitOutcome::Dropped);
    }
}
