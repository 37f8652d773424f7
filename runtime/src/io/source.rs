//! A source with its token: what the types of [`net`](crate::net) are built on.

use super::driver::Description;
use super::token::{Token, TokenError};
use crate::context;
use crate::runtime::Core;
use mio::event::Source;
use nexus_protocol::event::{Operation, OperationResult, SourceKind, Subject, WaitOutcome};
use nexus_protocol::{Direction, Interest};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::panic::Location;
use std::task::{Context, Poll, Waker};

/// A registered source. Deregisters it when dropped, if its runtime still lives.
pub(crate) struct Registered<S: Source> {
    source: RefCell<S>,
    token: Token,
    /// Its runtime is found through the thread.
    not_send: PhantomData<*const ()>,
}

/// What an attempt has brought.
pub(crate) struct Attempt<T> {
    pub(crate) value: T,
    pub(crate) result: OperationResult,
    /// It took all there was: the next one would block.
    pub(crate) drained: bool,
}

impl<S: Source + AsRawFd> Registered<S> {
    /// Registers a source with the runtime this thread is inside of.
    #[track_caller]
    pub(crate) fn new(
        mut source: S,
        kind: SourceKind,
        interest: Interest,
        location: &'static Location<'static>,
    ) -> io::Result<Self> {
        let description = Description { kind, fd: source.as_raw_fd(), location };
        let token = context::with(|core| core.register(&mut source, interest, description))?;
        Ok(Self { source: RefCell::new(source), token, not_send: PhantomData })
    }

    pub(crate) fn token(&self) -> Token {
        self.token
    }

    /// Calls `body` with the source.
    pub(crate) fn with<R>(&self, body: impl FnOnce(&S) -> R) -> R {
        body(&self.source.borrow())
    }

    fn core<R>(&self, body: impl FnOnce(&Core) -> R) -> io::Result<R> {
        context::with_runtime(self.token.runtime, body).ok_or_else(super::runtime_gone)
    }

    /// Tells the recorder the addresses.
    pub(crate) fn note_addresses(&self, local: Option<SocketAddr>, peer: Option<SocketAddr>) {
        // A runtime that is gone has no recorder to tell.
        let _ = self.core(|core| core.recorder.token_addresses(self.token.id, local, peer));
    }

    /// Registers for exactly this interest.
    pub(crate) fn set_interest(&self, interest: Interest) -> io::Result<()> {
        self.core(|core| {
            if core.interest(self.token)? == interest {
                return Ok(());
            }
            core.reregister(self.token, &mut *self.source.borrow_mut(), interest)
        })?
    }

    /// Repeats `attempt` whenever the direction is ready, until it does something else than block.
    pub(crate) async fn operate<T>(
        &self,
        operation: Operation,
        mut attempt: impl FnMut(&S) -> io::Result<Attempt<T>>,
    ) -> io::Result<T> {
        let mut wait = Wait::new(self.token, operation.direction());
        poll_fn(|cx| self.poll_operate(&mut wait, cx, operation, &mut attempt)).await
    }

    fn poll_operate<T>(
        &self,
        wait: &mut Wait,
        cx: &mut Context<'_>,
        operation: Operation,
        attempt: &mut impl FnMut(&S) -> io::Result<Attempt<T>>,
    ) -> Poll<io::Result<T>> {
        let tried = self.core(|core| {
            if !self.is_worth_trying(core, wait.direction)? {
                self.record(core, operation, OperationResult::NotReady);
                wait.begin(core, cx.waker())?;
                return Ok(None);
            }
            match self.try_once(core, operation, attempt) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.widen(core, wait.direction)?;
                    // Also if the token is closed or in error: only a further event can change the answer now.
                    wait.begin(core, cx.waker())?;
                    Ok(None)
                }
                result => result.map(Some),
            }
        });
        match tried.and_then(|tried| tried) {
            Ok(Some(value)) => Poll::Ready(Ok(value)),
            Ok(None) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Makes one attempt, whatever the readiness.
    pub(crate) fn try_operate<T>(
        &self,
        operation: Operation,
        mut attempt: impl FnMut(&S) -> io::Result<Attempt<T>>,
    ) -> io::Result<T> {
        self.core(|core| self.try_once(core, operation, &mut attempt))?
    }

    fn try_once<T>(
        &self,
        core: &Core,
        operation: Operation,
        attempt: &mut impl FnMut(&S) -> io::Result<Attempt<T>>,
    ) -> io::Result<T> {
        loop {
            let source = self.source.borrow();
            match attempt(&source) {
                Ok(attempt) => {
                    self.record(core, operation, attempt.result);
                    if attempt.drained {
                        core.consume(self.token, operation.direction())?;
                    }
                    return Ok(attempt.value);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.record(core, operation, OperationResult::WouldBlock);
                    core.consume(self.token, operation.direction())?;
                    return Err(error);
                }
                Err(error) => {
                    self.record(core, operation, OperationResult::of_error(&error));
                    return Err(error);
                }
            }
        }
    }

    /// A stream that has just been made is writable, so writes are tried before they are subscribed to; reads are not,
    /// since nothing may have come yet.
    fn is_worth_trying(&self, core: &Core, direction: Direction) -> io::Result<bool> {
        if direction == Direction::Readable {
            self.widen(core, direction)?;
        }
        Ok(core.readiness(self.token)?.is_ready(direction)
            || !core.interest(self.token)?.contains(direction.into()))
    }

    /// Whether nothing but plain readiness is set: then a short transfer means that there is no more.
    pub(crate) fn short_means_drained(&self) -> bool {
        self.core(|core| core.readiness(self.token)).is_ok_and(|readiness| {
            readiness.is_ok_and(|bits| !bits.intersects(super::MORE_THAN_DATA))
        })
    }

    fn widen(&self, core: &Core, direction: Direction) -> io::Result<()> {
        let interest = core.interest(self.token)?;
        if interest.contains(direction.into()) {
            return Ok(());
        }
        core.reregister(self.token, &mut *self.source.borrow_mut(), interest | direction.into())
    }

    fn record(&self, core: &Core, operation: Operation, result: OperationResult) {
        core.recorder.operation(operation, Subject::Token(self.token.id), result);
    }

    /// Waits until a direction is ready.
    pub(crate) async fn ready(&self, direction: Direction) -> io::Result<()> {
        let mut wait = Wait::new(self.token, direction);
        poll_fn(|cx| {
            let ready = self.core(|core| {
                self.widen(core, direction)?;
                let ready = core.readiness(self.token)?.is_ready(direction);
                let result =
                    if ready { OperationResult::Done(0) } else { OperationResult::NotReady };
                self.record(core, Operation::Ready, result);
                if !ready {
                    wait.begin(core, cx.waker())?;
                }
                Ok(ready)
            });
            match ready.and_then(|ready: io::Result<bool>| ready) {
                Ok(true) => Poll::Ready(Ok(())),
                Ok(false) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            }
        })
        .await
    }
}

impl<S: Source> Drop for Registered<S> {
    fn drop(&mut self) {
        let source = self.source.get_mut();
        // A failure is recorded. Without a runtime there is nothing to give back: the kernel forgets the descriptor
        // when it is closed.
        context::with_runtime(self.token.runtime, |core| drop(core.deregister(self.token, source)));
    }
}

/// The wait of one asynchronous operation. Leaves nothing behind that could still wake when it is dropped.
struct Wait {
    token: Token,
    direction: Direction,
    key: Option<u64>,
}

impl Wait {
    fn new(token: Token, direction: Direction) -> Self {
        Self { token, direction, key: None }
    }

    fn begin(&mut self, core: &Core, waker: &Waker) -> Result<(), TokenError> {
        let key = *self.key.get_or_insert_with(|| core.driver.next_wait());
        core.wait(self.token, self.direction, key, waker)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let Some(key) = self.key else { return };
        context::with_runtime(self.token.runtime, |core| {
            core.end_wait(self.token, self.direction, key, WaitOutcome::Dropped);
        });
    }
}
