//! A source of the program's, with its token: what is told about it, and what has been told so far.

use super::description::Address;
use super::task::Task;
use super::{Description, Loop, errno, interest_of};
use crate::io::slots::own_bits;
use crate::net::transferred;
use crate::record::SocketName;
use nexus_protocol::event::{Cause, Operation, OperationResult, Subject, TransitionReason};
use nexus_protocol::{Direction, Interest, Readiness, Seq, TokenId};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::Location;
use std::rc::Rc;

/// An I/O source of the program's. The token is released when this is dropped, so it is kept beside the socket.
///
/// Made by [`Observer::register`](super::Observer::register) or [`Observer::claim`](super::Observer::claim).
pub struct Source {
    claimed: Rc<Claimed>,
}

/// A token with what is known of it.
pub(super) struct Claimed {
    observed: Rc<Loop>,
    /// Under which number the program has it.
    key: mio::Token,
    token: TokenId,
    location: &'static Location<'static>,
    live: Cell<bool>,
    interest: Cell<Interest>,
    readiness: Cell<Readiness>,
    /// What the kernel said last, and has not woken anybody for: there is no task yet.
    reported: Cell<Option<(Direction, Option<Seq>)>>,
    task: RefCell<Option<Task>>,
}

/// What a transfer returns: bytes, alone or with an address.
pub trait Transferred: sealed::Sealed {
    /// How many.
    fn bytes(&self) -> usize;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for usize {}
    impl<A> Sealed for (usize, A) {}
}

impl Transferred for usize {
    fn bytes(&self) -> usize {
        *self
    }
}

impl<A> Transferred for (usize, A) {
    fn bytes(&self) -> usize {
        self.0
    }
}

impl Source {
    pub(super) fn claim(
        observed: &Rc<Loop>,
        key: mio::Token,
        description: Description,
        location: &'static Location<'static>,
    ) -> Self {
        let token = observed.number(key);
        let recorder = &observed.recorder;
        recorder.token_claimed(token, description.kind, description.fd, location);
        let claimed = Rc::new(Claimed {
            observed: Rc::clone(observed),
            key,
            token,
            location,
            live: Cell::new(true),
            interest: Cell::new(Interest::EMPTY),
            readiness: Cell::new(Readiness::EMPTY),
            reported: Cell::new(None),
            task: RefCell::new(None),
        });
        let displaced = observed.sources.borrow_mut().insert(key, Rc::clone(&claimed));
        drop(displaced);
        let source = Self { claimed };
        source.addresses(description.local, description.peer);
        source
    }

    /// Slot and generation, as the inspector shows them.
    #[must_use]
    pub fn token(&self) -> TokenId {
        self.claimed.token
    }

    /// Addresses became known: of a socket that was connected or bound after it was claimed.
    pub fn addresses(&self, local: Option<Address>, peer: Option<Address>) {
        let (local, peer) = (local.as_ref().map(name), peer.as_ref().map(name));
        self.claimed.observed.recorder.token_addresses(self.claimed.token, local, peer);
    }
}

fn name(address: &Address) -> SocketName<'_> {
    match address {
        Address::Inet(address) => SocketName::Inet(*address),
        Address::Unix(address) => SocketName::Unix(address),
    }
}

/// Registration and readiness.
impl Source {
    /// The program has asked the kernel to register the source for this interest, with this result.
    pub fn registered(&self, interest: Interest, result: &io::Result<()>) {
        let Claimed { observed, token, interest: current, .. } = &*self.claimed;
        let before = current.get();
        let after = if result.is_ok() { interest } else { before };
        // What was asked for, if it was refused: as our own driver tells it.
        let told = if before.is_empty() { interest } else { after };
        observed.recorder.token_registered(*token, before, told, errno(result));
        current.set(after);
    }

    /// `registry.reregister(source, token, interests)`, recorded.
    ///
    /// # Errors
    ///
    /// Those of [`mio::Registry::reregister`].
    pub fn reregister<S: mio::event::Source>(
        &self,
        registry: &mio::Registry,
        source: &mut S,
        interests: mio::Interest,
    ) -> io::Result<()> {
        let registered = registry.reregister(source, self.claimed.key, interests);
        self.registered(interest_of(interests), &registered);
        registered
    }

    /// `registry.deregister(source)`, recorded. The token is released, also if the kernel refuses. Closing a socket
    /// deregisters it too, and dropping this says so.
    ///
    /// # Errors
    ///
    /// Those of [`mio::Registry::deregister`].
    pub fn deregister<S: mio::event::Source>(
        self,
        registry: &mio::Registry,
        source: &mut S,
    ) -> io::Result<()> {
        let deregistered = registry.deregister(source);
        self.claimed.release(errno(&deregistered));
        deregistered
    }

    /// The program has found that there is nothing left in this direction, or will not ask before the next event. An
    /// operation that would have blocked says so by itself.
    pub fn consumed(&self, direction: Direction) {
        let claimed = &*self.claimed;
        let before = claimed.readiness.get();
        let after = before.without(own_bits(direction));
        if before != after && claimed.live.get() {
            claimed.readiness.set(after);
            let reason = TransitionReason::Consumed;
            claimed.observed.recorder.transition(claimed.token, before, after, reason, 0);
        }
    }

    /// What the kernel has said and nobody has consumed yet.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.claimed.readiness.get()
    }
}

/// Who handles it.
impl Source {
    /// Runs what handles the source's events, as a poll of its task. The first call spawns the task, under the place where
    /// the source was claimed.
    ///
    /// Within another poll of the same loop, `body` belongs to that one.
    pub fn handle<R>(&self, body: impl FnOnce() -> R) -> R {
        if !self.claimed.observed.recorder.is_on() {
            return body();
        }
        let task = self.claimed.task.borrow().clone();
        task.unwrap_or_else(|| self.spawn()).poll(body)
    }

    fn spawn(&self) -> Task {
        let task = Task::spawn(&self.claimed.observed, self.claimed.location, None);
        self.wakes(&task);
        task
    }

    /// From now on the source's events wake this task, instead of one of its own.
    pub fn wakes(&self, task: &Task) {
        self.claimed.task.replace(Some(task.clone()));
        if let Some((direction, event)) = self.claimed.reported.take() {
            task.wake_for(Cause::Io { token: self.claimed.token, direction, event });
        }
    }
}

/// Operations. Each takes what a system call has returned, records it, and gives it back. One that was interrupted by a
/// signal is not recorded, since it is going to be repeated.
impl Source {
    /// A read from a byte stream, into a buffer that is not empty: zero bytes are the end of the stream.
    ///
    /// # Errors
    ///
    /// The one that was handed in, as for all operations.
    pub fn read<T: Transferred>(&self, result: io::Result<T>) -> io::Result<T> {
        self.record(Operation::Read, result, |done| match done.bytes() {
            0 => OperationResult::EndOfFile,
            bytes => OperationResult::Done(transferred(bytes)),
        })
    }

    /// A write to a byte stream.
    ///
    /// # Errors
    ///
    /// As for [`Source::read`].
    pub fn write<T: Transferred>(&self, result: io::Result<T>) -> io::Result<T> {
        self.record(Operation::Write, result, done)
    }

    /// The receipt of a datagram.
    ///
    /// # Errors
    ///
    /// As for [`Source::read`].
    pub fn receive<T: Transferred>(&self, result: io::Result<T>) -> io::Result<T> {
        self.record(Operation::Receive, result, done)
    }

    /// The sending of a datagram.
    ///
    /// # Errors
    ///
    /// As for [`Source::read`].
    pub fn send<T: Transferred>(&self, result: io::Result<T>) -> io::Result<T> {
        self.record(Operation::Send, result, done)
    }

    /// An accepted connection.
    ///
    /// # Errors
    ///
    /// As for [`Source::read`].
    pub fn accept<S: AsFd, A>(&self, result: io::Result<(S, A)>) -> io::Result<(S, A)> {
        self.record(Operation::Accept, result, |(socket, _)| {
            OperationResult::Done(socket.as_fd().as_raw_fd().unsigned_abs())
        })
    }

    /// The end of an attempt to connect, such as `take_error` tells it.
    ///
    /// # Errors
    ///
    /// As for [`Source::read`].
    pub fn connect(&self, result: io::Result<()>) -> io::Result<()> {
        self.record(Operation::Connect, result, |()| OperationResult::Done(0))
    }

    /// Any operation, with its result as it is to be recorded.
    pub fn operation(&self, operation: Operation, result: OperationResult) {
        let Claimed { observed, token, .. } = &*self.claimed;
        if !observed.polling.get() {
            // Within a poll, its two ends tell the time.
            observed.recorder.time_has_passed();
        }
        observed.recorder.operation(operation, Subject::Token(*token), result);
        if result == OperationResult::WouldBlock {
            self.consumed(operation.direction());
        }
    }

    fn record<T>(
        &self,
        operation: Operation,
        result: io::Result<T>,
        done: impl FnOnce(&T) -> OperationResult,
    ) -> io::Result<T> {
        match &result {
            Ok(value) => self.operation(operation, done(value)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.operation(operation, OperationResult::of_error(error)),
        }
        result
    }
}

fn done(transfer: &impl Transferred) -> OperationResult {
    OperationResult::Done(transferred(transfer.bytes()))
}

impl Claimed {
    /// The kernel has said this.
    pub(super) fn event(&self, reported: Readiness) {
        let before = self.readiness.get();
        let after = before | reported;
        self.readiness.set(after);
        let task = self.task.borrow().clone();
        let wakers = u32::from(task.is_some());
        let reason = TransitionReason::Event;
        let recorder = &self.observed.recorder;
        let event = recorder.transition(self.token, before, after, reason, wakers);
        let direction = if reported.is_ready(Direction::Readable) {
            Direction::Readable
        } else {
            Direction::Writable
        };
        match task {
            Some(task) => task.wake_for(Cause::Io { token: self.token, direction, event }),
            None => self.reported.set(Some((direction, event))),
        }
    }

    /// Gives the token back, once. `errno` says why the kernel would not deregister the source.
    pub(super) fn release(&self, errno: u32) {
        if !self.live.replace(false) {
            return;
        }
        let recorder = &self.observed.recorder;
        let readiness = self.readiness.take();
        if !readiness.is_empty() {
            let reason = TransitionReason::Reset;
            recorder.transition(self.token, readiness, Readiness::EMPTY, reason, 0);
        }
        recorder.token_released(self.token, errno);
        self.observed.give_back(self.token);
        let mut sources = self.observed.sources.borrow_mut();
        let own = sources.get(&self.key).is_some_and(|claimed| std::ptr::eq(&**claimed, self));
        let removed = if own { sources.remove(&self.key) } else { None };
        drop(sources);
        drop(removed);
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        self.claimed.release(0);
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("token", &self.claimed.token)
            .field("readiness", &self.claimed.readiness.get())
            .finish_non_exhaustive()
    }
}
