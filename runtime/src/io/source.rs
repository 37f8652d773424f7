//! A source with its token: what the types of [`net`](crate::net) and [`AsyncFd`](super::AsyncFd) are built on.
//!
//! Knows when an attempt is worth a system call, what its result says about the token's readiness, and where a task
//! that has to wait leaves its waker. What is attempted it does not know.

mod registration;
mod wait;

use self::registration::Registration;
use self::wait::Wait;
use super::slots::{State, directions};
use super::token::Token;
use crate::record::SocketName;
use crate::runtime::Core;
use crate::task::poll_budget;
use nexus_protocol::event::{Operation, OperationResult, SourceKind, Subject, WaitOutcome};
use nexus_protocol::{Direction, Interest, Readiness};
use std::future::poll_fn;
use std::io;
use std::os::fd::AsRawFd;
use std::panic::Location;
use std::task::{Context, Poll};

/// A registered source. Deregisters it when dropped, if its runtime still lives.
pub(crate) struct Registered<S> {
    /// Before the source, so that the kernel forgets a descriptor before that is closed.
    registration: Registration,
    source: S,
}

/// What an attempt has brought.
pub(crate) struct Attempt<T> {
    pub(crate) value: T,
    pub(crate) result: OperationResult,
    /// A byte stream has transferred less than it was asked to: the next attempt would block, as a rule.
    pub(crate) short: bool,
}

/// What is ready of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) readiness: Readiness,
    /// How often the kernel had reported something by then.
    reports: u32,
}

/// How operations that we know nothing of are recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Transfer {
    /// Reads and writes.
    Bytes,
    /// Receives and sends.
    Datagrams,
}

impl Transfer {
    fn operation(self, direction: Direction) -> Operation {
        match (self, direction) {
            (Self::Bytes, Direction::Readable) => Operation::Read,
            (Self::Bytes, Direction::Writable) => Operation::Write,
            (Self::Datagrams, Direction::Readable) => Operation::Receive,
            (Self::Datagrams, Direction::Writable) => Operation::Send,
        }
    }
}

impl<S: AsRawFd> Registered<S> {
    /// Registers a source with the runtime this thread is inside of.
    #[track_caller]
    pub(crate) fn new(
        source: S,
        kind: SourceKind,
        interest: Interest,
        location: &'static Location<'static>,
    ) -> io::Result<Self> {
        let registration = Registration::new(source.as_raw_fd(), kind, interest, location)?;
        Ok(Self { registration, source })
    }
}

impl<S> Registered<S> {
    pub(crate) fn token(&self) -> Token {
        self.registration.token()
    }

    /// Takes the source back, deregistered, and says if the kernel would not do that. Its token is given back anyway.
    pub(crate) fn into_inner(self) -> (S, io::Result<()>) {
        (self.source, self.registration.end())
    }

    /// The source itself.
    pub(crate) fn get(&self) -> &S {
        &self.source
    }

    pub(crate) fn get_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// Tells the recorder the addresses.
    pub(crate) fn note_addresses(
        &self,
        local: Option<SocketName<'_>>,
        peer: Option<SocketName<'_>>,
    ) {
        // A runtime that is gone has no recorder to tell.
        let _ = self.core(|core| core.recorder.token_addresses(self.token().id, local, peer));
    }

    /// Registers for exactly this interest.
    pub(crate) fn set_interest(&self, interest: Interest) -> io::Result<()> {
        self.core(|core| self.registration.set_interest(core, interest))?
    }

    /// Repeats `attempt` whenever the direction is ready, until it does something else than block.
    pub(crate) async fn operate<T>(
        &self,
        operation: Operation,
        mut attempt: impl FnMut(&S) -> io::Result<Attempt<T>>,
    ) -> io::Result<T> {
        let mut wait = Wait::new(self.token(), operation.direction());
        poll_fn(|cx| self.attempt_or_wait(Some(&mut wait), cx, operation, &mut attempt)).await
    }

    /// The same as a poll. Whoever polled last in this direction is woken.
    pub(crate) fn poll_operate<T>(
        &self,
        cx: &mut Context<'_>,
        operation: Operation,
        mut attempt: impl FnMut(&S) -> io::Result<Attempt<T>>,
    ) -> Poll<io::Result<T>> {
        self.attempt_or_wait(None, cx, operation, &mut attempt)
    }

    /// Makes one attempt, whatever the readiness.
    pub(crate) fn try_operate<T>(
        &self,
        operation: Operation,
        mut attempt: impl FnMut(&S) -> io::Result<Attempt<T>>,
    ) -> io::Result<T> {
        self.core(|core| self.attempt(core, operation, &mut attempt))?
    }

    /// Makes one attempt at something that the caller knows and we don't, whatever the readiness. If it would block, the
    /// interest's directions are not ready before the next event.
    pub(crate) fn try_io<R>(
        &self,
        interest: Interest,
        transfer: Transfer,
        attempt: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        let first = first_direction(interest)?;
        self.core(|core| {
            let done = attempt();
            let result = match &done {
                Ok(_) => OperationResult::Done(0),
                Err(error) => OperationResult::of_error(error),
            };
            self.record(core, transfer.operation(first), result);
            if result == OperationResult::WouldBlock {
                for direction in directions(interest) {
                    core.would_block(self.token(), direction)?;
                }
            }
            done
        })?
    }

    /// Repeats such an attempt whenever the interest is ready, until it does something else than block.
    pub(crate) async fn async_io<R>(
        &self,
        interest: Interest,
        transfer: Transfer,
        mut attempt: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        let direction = first_direction(interest)?;
        if interest == direction.into() {
            let attempt = |_: &S| {
                let value = attempt()?;
                Ok(Attempt { value, result: OperationResult::Done(0), short: false })
            };
            return self.operate(transfer.operation(direction), attempt).await;
        }
        loop {
            self.ready(interest).await?;
            match self.try_io(interest, transfer, &mut attempt) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }

    /// Waits until something of an interest is ready, and says what, with all that nothing clears.
    pub(crate) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        first_direction(interest)?;
        let mut waits = Direction::BOTH.map(|direction| Wait::new(self.token(), direction));
        poll_fn(|cx| {
            self.poll_core(|core| {
                self.registration.widen(core, interest)?;
                let looked = self.look(core, cx, interest)?;
                if looked == Poll::Ready(None) {
                    for direction in directions(interest) {
                        let wait = waits.iter_mut().find(|wait| wait.direction() == direction);
                        wait.expect("there is one a direction").begin(core, cx.waker())?;
                    }
                }
                Ok(only_some(looked))
            })
        })
        .await
    }

    /// The same for one direction as a poll. Whoever polled last in this direction is woken.
    pub(crate) fn poll_ready(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<Ready>> {
        self.poll_core(|core| {
            let state = core.state(self.token(), direction)?;
            if !state.subscribed {
                self.registration.widen(core, direction.into())?;
            }
            let looked = self.look(core, cx, direction.into())?;
            match looked {
                Poll::Ready(Some(_)) => self.end_polled(core, state, None, direction)?,
                Poll::Ready(None) => self.wait(core, None, cx, direction)?,
                Poll::Pending => {}
            }
            Ok(only_some(looked))
        })
    }

    /// What is ready of an interest, if anything is. Pending if the task has had its share, and will be polled again.
    fn look(
        &self,
        core: &Core,
        cx: &mut Context<'_>,
        interest: Interest,
    ) -> io::Result<Poll<Option<Ready>>> {
        let (readiness, reports) = core.ready(self.token(), interest)?;
        if readiness.is_empty() {
            self.record(core, Operation::Ready, OperationResult::NotReady);
            return Ok(Poll::Ready(None));
        }
        if poll_budget(core, cx).is_pending() {
            return Ok(Poll::Pending);
        }
        core.budget.spend();
        self.record(core, Operation::Ready, OperationResult::Done(0));
        Ok(Poll::Ready(Some(Ready { readiness, reports })))
    }

    /// Takes readiness away, because the source's owner says so, unless the kernel has reported something since.
    pub(crate) fn clear(&self, interest: Interest, as_of: Ready) {
        for direction in directions(interest) {
            // A runtime that is gone keeps no readiness.
            let _ = self.core(|core| core.consume_as_of(self.token(), direction, as_of.reports));
        }
    }

    fn attempt_or_wait<T>(
        &self,
        wait: Option<&mut Wait>,
        cx: &mut Context<'_>,
        operation: Operation,
        attempt: &mut impl FnMut(&S) -> io::Result<Attempt<T>>,
    ) -> Poll<io::Result<T>> {
        let direction = operation.direction();
        self.poll_core(|core| {
            let state = core.state(self.token(), direction)?;
            if !self.is_worth_trying(core, state, direction)? {
                self.record(core, operation, OperationResult::NotReady);
                self.wait(core, wait, cx, direction)?;
                return Ok(Poll::Pending);
            }
            if poll_budget(core, cx).is_pending() {
                return Ok(Poll::Pending);
            }
            match self.attempt(core, operation, attempt) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if !state.subscribed {
                        self.registration.widen(core, direction.into())?;
                    }
                    self.wait(core, wait, cx, direction)?;
                    Ok(Poll::Pending)
                }
                result => {
                    core.budget.spend();
                    self.end_polled(core, state, wait, direction)?;
                    result.map(Poll::Ready)
                }
            }
        })
    }

    /// A stream that has just been made is writable, so writes are tried before they are subscribed to; reads are not,
    /// since nothing may have come yet.
    fn is_worth_trying(&self, core: &Core, state: State, direction: Direction) -> io::Result<bool> {
        if !state.subscribed {
            match direction {
                Direction::Readable => self.registration.widen(core, direction.into())?,
                Direction::Writable => return Ok(true),
            }
        }
        Ok(state.ready)
    }

    fn attempt<T>(
        &self,
        core: &Core,
        operation: Operation,
        attempt: &mut impl FnMut(&S) -> io::Result<Attempt<T>>,
    ) -> io::Result<T> {
        loop {
            match attempt(&self.source) {
                Ok(attempt) => {
                    self.record(core, operation, attempt.result);
                    if attempt.short {
                        core.ran_short(self.token(), operation.direction())?;
                    }
                    return Ok(attempt.value);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.record(core, operation, OperationResult::WouldBlock);
                    core.would_block(self.token(), operation.direction())?;
                    return Err(error);
                }
                Err(error) => {
                    self.record(core, operation, OperationResult::of_error(&error));
                    return Err(error);
                }
            }
        }
    }

    /// Leaves the waker with the wait of an asynchronous operation, or in the one slot that polls have.
    fn wait(
        &self,
        core: &Core,
        wait: Option<&mut Wait>,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> io::Result<()> {
        match wait {
            Some(wait) => wait.begin(core, cx.waker())?,
            None => core.set_waker(self.token(), direction, cx.waker())?,
        }
        Ok(())
    }

    /// A poll that has what it wanted leaves no waker behind: neither its own nor one that it has displaced. The wait of
    /// an asynchronous operation ends when it is dropped.
    fn end_polled(
        &self,
        core: &Core,
        state: State,
        wait: Option<&mut Wait>,
        direction: Direction,
    ) -> io::Result<()> {
        if state.polled && wait.is_none() {
            core.clear_waker(self.token(), direction, WaitOutcome::Done)?;
        }
        Ok(())
    }

    fn record(&self, core: &Core, operation: Operation, result: OperationResult) {
        core.recorder.operation(operation, Subject::Token(self.token().id), result);
    }

    fn core<R>(&self, body: impl FnOnce(&Core) -> R) -> io::Result<R> {
        self.registration.core(body)
    }

    fn poll_core<T>(&self, body: impl FnOnce(&Core) -> io::Result<Poll<T>>) -> Poll<io::Result<T>> {
        match self.core(body).and_then(|polled| polled) {
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

/// Nothing found means that there is something to wait for.
fn only_some<T>(looked: Poll<Option<T>>) -> Poll<T> {
    match looked {
        Poll::Ready(Some(found)) => Poll::Ready(found),
        _ => Poll::Pending,
    }
}

/// The first direction of an interest, which must have one.
fn first_direction(interest: Interest) -> io::Result<Direction> {
    let empty = || io::Error::new(io::ErrorKind::InvalidInput, "the interest is empty");
    directions(interest).next().ok_or_else(empty)
}
