//! The I/O driver: asks the kernel what is ready, keeps it per token, and fires the wakers of those who wait.
//!
//! Knows tokens, directions and wakers, and nothing of tasks. All registrations are edge-triggered; what the kernel has
//! said stays in the token's readiness until an operation consumes it.

use super::MORE_THAN_DATA;
use super::bell::{Bell, Sleeper, bell};
use super::slots::{Released, Slot, Slots, State, Waiter};
use super::token::{Token, TokenError};
use crate::builder::Builder;
use crate::record::Recorder;
use crate::runtime::Core;
use crate::task::wake_contained;
use crate::time::now_ns;
use mio::event::{Event, Source};
use nexus_protocol::event::{
    Cause, RefusalReason, SourceKind, TransitionReason, TurnMode, WaitFor, WaitOutcome,
};
use nexus_protocol::{Direction, Interest, Readiness, Seq, TokenId};
use std::cell::{Cell, RefCell};
use std::io;
use std::panic::Location;
use std::time::Duration;

/// The wake-up of other threads.
const WAKER: mio::Token = mio::Token(usize::MAX);
/// The timer descriptor.
pub(crate) const TIMER: mio::Token =
    mio::Token(TokenId { slot: TokenId::RESERVED_SLOT, generation: 0 }.pack() as usize);

/// How often a spinning loop looks at the inbox between two looks at the kernel.
const STOPS_PER_LOOK: u32 = 16;

/// See the [module](self).
pub(crate) struct Driver {
    poll: RefCell<mio::Poll>,
    sleeper: Sleeper,
    registry: mio::Registry,
    events: RefCell<mio::Events>,
    slots: RefCell<Slots>,
    /// Waiters on their way out of a slot; kept for its capacity.
    fired: RefCell<Vec<(Direction, Waiter)>>,
    last_wait: Cell<u64>,
}

/// How long the driver may wait for the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timeout {
    /// Not at all.
    Look,
    /// Until something happens.
    Park,
    /// Until something happens, or this long, rounded up to milliseconds.
    ParkFor(Duration),
    /// Not at all, again and again, until something happens or the clock says so.
    Spin {
        /// In nanoseconds of `CLOCK_MONOTONIC`.
        until_ns: u64,
    },
}

/// What a turn has brought besides wakes.
pub(crate) struct Turn {
    /// How many wakers were fired.
    pub(crate) fired: usize,
    /// The timer descriptor has reported.
    pub(crate) timer_reported: bool,
}

impl Driver {
    pub(crate) fn new(builder: &Builder) -> io::Result<(Self, Bell)> {
        let poll = mio::Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let (bell, sleeper) = bell(&registry, WAKER)?;
        let driver = Self {
            poll: RefCell::new(poll),
            sleeper,
            registry,
            events: RefCell::new(mio::Events::with_capacity(builder.event_capacity)),
            slots: RefCell::new(Slots::new(builder.initial_slots, builder.max_slots)),
            fired: RefCell::default(),
            last_wait: Cell::new(0),
        };
        Ok((driver, bell))
    }

    /// Where sources of the runtime's own are registered.
    pub(crate) fn registry(&self) -> &mio::Registry {
        &self.registry
    }

    pub(crate) fn capacity(&self) -> u32 {
        self.slots.borrow().capacity()
    }

    /// One turn: asks the kernel and fires the wakers of everyone who waited for what it says. Spinning ends also when
    /// `stop` says so.
    pub(crate) fn poll(
        &self,
        recorder: &Recorder,
        timeout: Timeout,
        stop: &dyn Fn() -> bool,
    ) -> io::Result<Turn> {
        let mut events = self.events.borrow_mut();
        recorder.turn_begin(match timeout {
            Timeout::Look => TurnMode::Look,
            Timeout::Park | Timeout::ParkFor(_) => TurnMode::Park,
            Timeout::Spin { .. } => TurnMode::Spin,
        });
        let polled = match timeout {
            Timeout::Look => self.ask(&mut events, Some(Duration::ZERO)),
            Timeout::Park => self.ask(&mut events, None),
            Timeout::ParkFor(limit) => self.ask(&mut events, Some(limit)),
            Timeout::Spin { until_ns } => self.spin(&mut events, until_ns, stop),
        };
        let own = |event: &Event| event.token() == WAKER || event.token() == TIMER;
        let foreign = events.iter().filter(|event| !own(event)).count();
        // Timers that fire tell of themselves.
        let idle = events.iter().all(|event| event.token() == TIMER);
        recorder.turn_end(u32::try_from(foreign).unwrap_or(u32::MAX), idle);
        polled?;
        let (mut timer_reported, mut fired) = (false, 0);
        for event in events.iter() {
            if own(event) {
                timer_reported |= event.token() == TIMER;
            } else {
                let token = TokenId::unpack(event.token().0 as u64);
                fired += self.deliver(recorder, token, readiness_of(event));
            }
        }
        Ok(Turn { fired, timer_reported })
    }

    /// Asks the kernel once.
    fn ask(&self, events: &mut mio::Events, limit: Option<Duration>) -> io::Result<()> {
        let limit = self.sleeper.limit(limit);
        loop {
            match self.poll.borrow_mut().poll(events, limit) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                polled => return polled,
            }
        }
    }

    /// Asks the kernel until it has something to say. `stop` is asked more often, since that is cheaper.
    fn spin(
        &self,
        events: &mut mio::Events,
        until_ns: u64,
        stop: &dyn Fn() -> bool,
    ) -> io::Result<()> {
        loop {
            self.ask(events, Some(Duration::ZERO))?;
            if !events.is_empty() || now_ns() >= until_ns {
                return Ok(());
            }
            for _ in 0..STOPS_PER_LOOK {
                if stop() {
                    return Ok(());
                }
                std::hint::spin_loop();
            }
        }
    }

    /// Records what the kernel says of a token and wakes who waited for it. How many there were.
    fn deliver(&self, recorder: &Recorder, token: TokenId, reported: Readiness) -> usize {
        let mut slots = self.slots.borrow_mut();
        let Ok(slot) = slots.get_mut(token) else {
            recorder.stale_event(token, slots.generation(token.slot), reported);
            return 0;
        };
        let (before, after) = slot.report(reported);
        let mut fired = self.fired.borrow_mut();
        for direction in Direction::BOTH {
            if reported.is_ready(direction) {
                fired.extend(slot.take_waiters(direction).map(|waiter| (direction, waiter)));
            }
        }
        drop(slots);
        let wakers = u32::try_from(fired.len()).unwrap_or(u32::MAX);
        let event = recorder.transition(token, before, after, TransitionReason::Event, wakers);
        // A waker may be foreign code that comes back here, so nothing is borrowed while it runs.
        let mut waiters = std::mem::take(&mut *fired);
        let count = waiters.len();
        drop(fired);
        for (direction, waiter) in waiters.drain(..) {
            fire(recorder, token, direction, waiter, event);
        }
        *self.fired.borrow_mut() = waiters;
        count
    }

    /// A new key for a wait.
    pub(crate) fn next_wait(&self) -> u64 {
        self.last_wait.set(self.last_wait.get() + 1);
        self.last_wait.get()
    }
}

/// The wait is over: wakes the one who waited.
fn fire(
    recorder: &Recorder,
    token: TokenId,
    direction: Direction,
    waiter: Waiter,
    event: Option<Seq>,
) {
    recorder.wait_end(waiter.wait, WaitFor::Token(token, direction), WaitOutcome::Done);
    recorder.with_cause(Cause::Io { token, direction, event }, || wake_contained(waiter.waker));
}

/// What an event of the kernel says.
pub(crate) fn readiness_of(event: &Event) -> Readiness {
    let mut readiness = Readiness::EMPTY;
    for (bit, set) in [
        (Readiness::READABLE, event.is_readable()),
        (Readiness::WRITABLE, event.is_writable()),
        (Readiness::READ_CLOSED, event.is_read_closed()),
        (Readiness::WRITE_CLOSED, event.is_write_closed()),
        (Readiness::ERROR, event.is_error()),
        (Readiness::PRIORITY, event.is_priority()),
    ] {
        if set {
            readiness |= bit;
        }
    }
    readiness
}

fn mio_interest(interest: Interest) -> io::Result<mio::Interest> {
    [
        (Interest::READABLE, mio::Interest::READABLE),
        (Interest::WRITABLE, mio::Interest::WRITABLE),
        (Interest::PRIORITY, mio::Interest::PRIORITY),
    ]
    .into_iter()
    .filter(|&(own, _)| interest.contains(own))
    .map(|(_, theirs)| theirs)
    .reduce(|all, one| all | one)
    .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the interest in a source is empty"))
}

/// The inverse of [`mio_interest`].
pub(crate) fn interest_of(interest: mio::Interest) -> Interest {
    let mut own = Interest::EMPTY;
    for (bit, set) in [
        (Interest::READABLE, interest.is_readable()),
        (Interest::WRITABLE, interest.is_writable()),
        (Interest::PRIORITY, interest.is_priority()),
    ] {
        if set {
            own |= bit;
        }
    }
    own
}

/// The number for an error, as records have it; zero for none.
pub(crate) fn errno(result: &io::Result<()>) -> u32 {
    match result {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().map_or(u32::MAX, |code| code.unsigned_abs()),
    }
}

/// What there is to say of a source when it is registered.
#[derive(Clone, Copy)]
pub(crate) struct Description {
    pub(crate) kind: SourceKind,
    pub(crate) fd: i32,
    pub(crate) location: &'static Location<'static>,
}

/// Tokens: what handles and I/O types ask for. In the core, since all of it is recorded.
impl Core {
    /// Claims a slot and registers the source. On failure the slot is free again.
    pub(crate) fn register(
        &self,
        source: &mut (impl Source + ?Sized),
        interest: Interest,
        description: Description,
    ) -> io::Result<Token> {
        let mio_interest = mio_interest(interest)?;
        let (id, grown) = self.driver.slots.borrow_mut().claim().map_err(io::Error::other)?;
        if grown {
            self.recorder.freelist_grown(self.driver.capacity());
        }
        let Description { kind, fd, location } = description;
        self.recorder.token_claimed(id, kind, fd, location);
        let registered =
            self.driver.registry.register(source, mio::Token(id.pack() as usize), mio_interest);
        self.recorder.token_registered(id, Interest::EMPTY, interest, errno(&registered));
        let token = Token { runtime: self.id, id };
        match registered {
            Ok(()) => {
                if let Ok(slot) = self.driver.slots.borrow_mut().get_mut(id) {
                    slot.interest = interest;
                }
                Ok(token)
            }
            Err(error) => {
                self.give_back(token, 0).expect("the token was claimed above");
                Err(error)
            }
        }
    }

    /// Changes what a token is registered for.
    pub(crate) fn reregister(
        &self,
        token: Token,
        source: &mut (impl Source + ?Sized),
        interest: Interest,
    ) -> io::Result<()> {
        let before = self.with_slot(token, |slot| slot.interest)?;
        let mio_interest = mio_interest(interest)?;
        let registered = self.driver.registry.reregister(
            source,
            mio::Token(token.id.pack() as usize),
            mio_interest,
        );
        let after = if registered.is_ok() { interest } else { before };
        self.recorder.token_registered(token.id, before, after, errno(&registered));
        self.with_slot(token, |slot| slot.interest = after)?;
        registered
    }

    /// Deregisters a source and releases its token. The slot is free afterwards even if the kernel refuses; its error
    /// comes back all the same.
    pub(crate) fn deregister(
        &self,
        token: Token,
        source: &mut (impl Source + ?Sized),
    ) -> io::Result<()> {
        // First make sure that the token is live: a stale one must not take the source of another from the kernel.
        if let Err(error) = self.with_slot(token, |_| ()) {
            self.recorder.release_refused(token.id, error.reason);
            return Err(error.into());
        }
        let deregistered = self.driver.registry.deregister(source);
        self.give_back(token, errno(&deregistered))?;
        deregistered
    }

    fn give_back(&self, token: Token, errno: u32) -> Result<(), TokenError> {
        let released = self.driver.slots.borrow_mut().release(token.id);
        let Released { readiness, waiters } =
            released.map_err(|reason| TokenError { token: token.id, reason })?;
        if !readiness.is_empty() {
            self.recorder.transition(
                token.id,
                readiness,
                Readiness::EMPTY,
                TransitionReason::Reset,
                0,
            );
        }
        for (direction, waiter) in waiters {
            self.recorder.wait_end(
                waiter.wait,
                WaitFor::Token(token.id, direction),
                WaitOutcome::Dropped,
            );
        }
        self.recorder.token_released(token.id, errno);
        Ok(())
    }

    /// Calls `body` with the slot of a live token.
    pub(super) fn with_slot<R>(
        &self,
        token: Token,
        body: impl FnOnce(&mut Slot) -> R,
    ) -> Result<R, TokenError> {
        let refuse = |reason| TokenError { token: token.id, reason };
        if token.runtime != self.id {
            return Err(refuse(RefusalReason::Foreign));
        }
        self.driver.slots.borrow_mut().get_mut(token.id).map(body).map_err(refuse)
    }

    pub(crate) fn readiness(&self, token: Token) -> Result<Readiness, TokenError> {
        self.with_slot(token, |slot| slot.readiness)
    }

    pub(crate) fn interest(&self, token: Token) -> Result<Interest, TokenError> {
        self.with_slot(token, |slot| slot.interest)
    }

    /// What an operation in this direction has to know.
    #[inline]
    pub(crate) fn state(&self, token: Token, direction: Direction) -> Result<State, TokenError> {
        self.with_slot(token, |slot| slot.state(direction))
    }

    /// What is ready of an interest, and after how many reports of the kernel.
    pub(crate) fn ready(
        &self,
        token: Token,
        interest: Interest,
    ) -> Result<(Readiness, u32), TokenError> {
        self.with_slot(token, |slot| (slot.ready(interest), slot.reports))
    }

    /// Takes readiness away, because the token's owner says so, unless the kernel has reported something since.
    pub(crate) fn consume_as_of(
        &self,
        token: Token,
        direction: Direction,
        reports: u32,
    ) -> Result<(), TokenError> {
        self.consume_if(token, direction, |slot| slot.reports == reports)
    }

    /// Takes readiness away, because the token's owner says so.
    pub(crate) fn consume(&self, token: Token, direction: Direction) -> Result<(), TokenError> {
        self.consume_if(token, direction, |_| true)
    }

    /// Takes readiness away: an operation would have blocked. Only an event makes the direction ready again.
    pub(crate) fn would_block(&self, token: Token, direction: Direction) -> Result<(), TokenError> {
        self.consume_if(token, direction, |slot| {
            slot.block(direction);
            true
        })
    }

    /// Takes readiness away: a byte stream has transferred less than asked for. Not if there is more than data to tell:
    /// one edge can carry data and an end of file.
    #[inline]
    pub(crate) fn ran_short(&self, token: Token, direction: Direction) -> Result<(), TokenError> {
        self.consume_if(token, direction, |slot| !slot.readiness.intersects(MORE_THAN_DATA))
    }

    #[inline]
    fn consume_if(
        &self,
        token: Token,
        direction: Direction,
        condition: impl FnOnce(&mut Slot) -> bool,
    ) -> Result<(), TokenError> {
        let (before, after) = self.with_slot(token, |slot| {
            if condition(slot) { slot.consume(direction) } else { (slot.readiness, slot.readiness) }
        })?;
        if before != after {
            self.recorder.transition(token.id, before, after, TransitionReason::Consumed, 0);
        }
        Ok(())
    }
}
