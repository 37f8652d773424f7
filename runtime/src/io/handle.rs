//! The raw handle: for sources of one's own.

use super::driver::Description;
use super::token::{Token, TokenError};
use crate::context;
use crate::runtime::Core;
use mio::event::Source;
use nexus_protocol::event::{Operation, OperationResult, RefusalReason, SourceKind, Subject};
use nexus_protocol::{Direction, Interest, Readiness, RuntimeId};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, RawFd};
use std::panic::Location;
use std::task::Waker;

/// Registers any [`mio::event::Source`] with the runtime, for futures written by hand.
///
/// The handle is a number. It may outlive its runtime, and every call then says so with an error. The types in
/// [`net`](crate::net) are built on the same driver and are easier to use.
#[derive(Clone, Copy, Debug)]
pub struct IoHandle {
    runtime: RuntimeId,
    /// Runtimes are found through the thread.
    not_send: PhantomData<*const ()>,
}

impl IoHandle {
    /// The handle of the runtime this thread is inside of.
    ///
    /// # Panics
    ///
    /// Outside of `Runtime::block_on`.
    #[must_use]
    #[track_caller]
    pub fn current() -> Self {
        Self { runtime: context::with(|core| core.id), not_send: PhantomData }
    }

    /// Registers a source, edge-triggered. The waker is set for each direction of the interest.
    ///
    /// # Errors
    ///
    /// If the interest is empty, all slots that the builder allows are in use, the kernel refuses, or the runtime is
    /// gone. The slot is free again then.
    #[track_caller]
    pub fn register(
        &self,
        source: &mut (impl Source + ?Sized),
        interest: Interest,
        waker: &Waker,
    ) -> io::Result<Token> {
        self.register_described(source, SourceKind::Other, -1, interest, waker)
    }

    /// The same for a source whose descriptor is known, so that the inspector can show it.
    ///
    /// # Errors
    ///
    /// As for [`IoHandle::register`].
    #[track_caller]
    pub fn register_fd(
        &self,
        source: &mut (impl Source + AsRawFd + ?Sized),
        kind: SourceKind,
        interest: Interest,
        waker: &Waker,
    ) -> io::Result<Token> {
        let fd: RawFd = source.as_raw_fd();
        self.register_described(source, kind, fd, interest, waker)
    }

    #[track_caller]
    fn register_described(
        &self,
        source: &mut (impl Source + ?Sized),
        kind: SourceKind,
        fd: RawFd,
        interest: Interest,
        waker: &Waker,
    ) -> io::Result<Token> {
        let location = Location::caller();
        self.with(|core| {
            let token = core.register(source, interest, Description { kind, fd, location })?;
            for direction in Direction::BOTH {
                if interest.contains(direction.into()) {
                    core.set_waker(token, direction, waker)?;
                }
            }
            Ok(token)
        })?
    }

    /// Changes what a token is registered for. The kernel reports what is ready then anew.
    ///
    /// # Errors
    ///
    /// If the token is not live, the interest is empty, or the kernel refuses.
    pub fn reregister(
        &self,
        token: Token,
        source: &mut (impl Source + ?Sized),
        interest: Interest,
    ) -> io::Result<()> {
        self.with(|core| core.reregister(token, source, interest))?
    }

    /// Sets the waker that the next event in this direction fires, once. It replaces the one before.
    ///
    /// Look at [`IoHandle::readiness`] first: what has been reported already does not fire it.
    ///
    /// # Errors
    ///
    /// If the token is not live.
    pub fn set_waker(
        &self,
        token: Token,
        direction: Direction,
        waker: Waker,
    ) -> Result<(), TokenError> {
        self.with_token(token, |core| core.set_waker(token, direction, &waker))
    }

    /// What the kernel has reported of a token and nobody has cleared.
    ///
    /// # Errors
    ///
    /// If the token is not live.
    pub fn readiness(&self, token: Token) -> Result<Readiness, TokenError> {
        self.with_token(token, |core| core.readiness(token))
    }

    /// To be called when a read would have blocked: the next event will say when to try again.
    ///
    /// # Errors
    ///
    /// If the token is not live.
    pub fn clear_readable(&self, token: Token) -> Result<(), TokenError> {
        self.with_token(token, |core| core.consume(token, Direction::Readable))
    }

    /// To be called when a write would have blocked.
    ///
    /// # Errors
    ///
    /// If the token is not live.
    pub fn clear_writable(&self, token: Token) -> Result<(), TokenError> {
        self.with_token(token, |core| core.consume(token, Direction::Writable))
    }

    /// Makes one attempt at an operation on the token's source and lets the recorder know how it went. If it would block,
    /// its direction's readiness is cleared.
    ///
    /// The body returns how many bytes it has transferred (or zero, for operations that transfer none). A read that
    /// returns zero bytes is recorded as the end of the stream. A poll that does its I/O behind the recorder's back looks
    /// as if it had achieved nothing; this is how a hand-written future gets its due.
    ///
    /// # Errors
    ///
    /// If the token is not live (the body is not called then); else whatever the body returns.
    pub fn attempt(
        &self,
        token: Token,
        operation: Operation,
        body: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.readiness(token)?;
        let done = body();
        let result = match &done {
            Ok(0) if operation == Operation::Read => OperationResult::EndOfFile,
            Ok(bytes) => OperationResult::Done(u32::try_from(*bytes).unwrap_or(u32::MAX)),
            Err(error) => OperationResult::of_error(error),
        };
        self.with(|core| core.recorder.operation(operation, Subject::Token(token.id), result))?;
        if result == OperationResult::WouldBlock {
            self.with_token(token, |core| core.would_block(token, operation.direction()))?;
        }
        done
    }

    /// Takes a source from the kernel and releases its token.
    ///
    /// # Errors
    ///
    /// If the token is not live, in which case nothing has changed; or if the kernel refuses, in which case the slot is
    /// free all the same.
    pub fn deregister(&self, token: Token, source: &mut (impl Source + ?Sized)) -> io::Result<()> {
        self.with(|core| core.deregister(token, source))?
    }

    fn with<R>(&self, body: impl FnOnce(&Core) -> R) -> io::Result<R> {
        context::with_runtime(self.runtime, body).ok_or_else(super::runtime_gone)
    }

    fn with_token<R>(
        &self,
        token: Token,
        body: impl FnOnce(&Core) -> Result<R, TokenError>,
    ) -> Result<R, TokenError> {
        let gone = TokenError { token: token.id, reason: RefusalReason::Foreign };
        context::with_runtime(self.runtime, body).unwrap_or(Err(gone))
    }
}
