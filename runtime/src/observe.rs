//! For event loops of your own: what the runtime records of itself, as probe points for any loop.
//!
//! A program with a mio loop written by hand, or one that calls `epoll_wait` by other means, makes an [`Observer`] for
//! that loop and tells it what happens. `nexus-inspect` then attaches to the program as to one on our runtime, with the
//! same token table, readiness, freelist and timeline. Ring, board, endpoint and switches are the same too: see
//! [`Builder`](crate::Builder) for what they cost, and `NEXUS_RECORDER` and `NEXUS_INSPECT` in the environment.
//!
//! # The calls
//!
//! For a mio loop, three calls of mio's get an observed twin, and the results of system calls pass through the source:
//!
//! | in the loop | observed | recorded |
//! | --- | --- | --- |
//! | `registry.register(&mut stream, token, interest)?` | `let source = observer.register(registry, &mut stream, token, interest)?` | the token: descriptor, kind, addresses, call site, interest |
//! | `poll.poll(&mut events, timeout)?` | `observer.turn(&mut poll, &mut events, timeout)?` | the turn; the readiness of each token the kernel names, and the wake of its handler |
//! | what handles an event | `source.handle(\|\| …)` | a poll, in a lane of the timeline |
//! | `stream.read(&mut buffer)` | `source.read(stream.read(&mut buffer))` | the operation and its result; *would block* consumes the readiness |
//! | `registry.deregister(&mut stream)`, or closing it | the [`Source`] is dropped | the token is free again |
//!
//! None of them changes what the program does: each passes on mio's result. Whatever is left out is missing on the screen,
//! and nothing else happens.
//!
//! ```
//! use mio::{Events, Interest, Poll, Token, net::UnixStream};
//! use nexus_runtime::observe::Observer;
//! use std::io::{Read, Write};
//!
//! let observer = Observer::new("my-loop");
//! let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(16));
//! let (mut stream, mut other) = UnixStream::pair()?;
//! let source = observer.register(poll.registry(), &mut stream, Token(0), Interest::READABLE)?;
//!
//! other.write_all(b"hello")?;
//! observer.turn(&mut poll, &mut events, None)?;
//! for _event in &events {
//!     let mut buffer = [0; 16];
//!     let bytes = source.handle(|| source.read(stream.read(&mut buffer)))?;
//!     assert_eq!(&buffer[..bytes], b"hello");
//! }
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! `examples/mio_loop.rs` is a whole server. A loop without mio has the same in smaller steps: [`Observer::claim`],
//! [`Source::registered`], [`Observer::turn_by`], [`Observer::event`].
//!
//! # Tasks
//!
//! What the executor's tasks are to our runtime, handlers are to a loop: a *task* is something that the loop gives control
//! to, a *poll* is one call of it, and a *wake* is the reason. Each source has a task of its own from its first
//! [`Source::handle`] on, which its events wake. A task that serves several sources, or is woken by something else (a
//! timer of the program's, another thread), is made with [`Observer::task`].
//!
//! Polls are judged as our runtime's are: one that its source's event has woken and that tried operations, none of which
//! completed, is *spurious*. A poll in which the program reported no operation is never called so, since it may have done
//! anything.
//!
//! # Tokens and slots
//!
//! Programs number their tokens as they like: by counting, by descriptor, by address. So the observer gives each source a
//! slot of a table of its own, and what the inspector shows as `7.3` is the third source in slot 7 of that. A program
//! that has such a table itself says so ([`Builder::slots_from_tokens`]), and is shown its own numbers.
//!
//! # What it costs
//!
//! As in our runtime: some ten nanoseconds a probe, no lock, no system call, and no allocation in steady state, with two
//! exceptions that say so ([`Observer::register`] and [`Description::of`] ask the kernel for a socket's addresses).
//! With recording switched off each probe is a branch.

mod builder;
mod description;
mod source;
mod task;

pub use builder::Builder;
pub use description::{Address, Description};
pub use nexus_protocol::event::{Operation, OperationResult, SourceKind};
pub use nexus_protocol::{Direction, Interest, Readiness, TokenId};
pub use source::{Source, Transferred};
pub use task::{RemoteWake, Task};

use self::source::Claimed;
use crate::endpoint;
use crate::io::driver::{errno, interest_of, readiness_of};
use crate::io::slots::Slots;
use crate::record::Recorder;
use nexus_protocol::event::TurnMode;
use nexus_protocol::{RuntimeId, TaskId};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

/// The recorder of one event loop.
///
/// Belongs to the thread that makes it, which must be the loop's. Clones are handles to the same. The inspector sees the
/// loop until the last of them, and the last [`Source`] and [`Task`], is dropped; and its history for some time after.
#[derive(Clone)]
pub struct Observer {
    observed: Rc<Loop>,
    /// Ring and board have one writer: the thread whose id was recorded.
    not_send: PhantomData<*const ()>,
}

/// What observers, sources and tasks of one loop share.
struct Loop {
    id: RuntimeId,
    recorder: Recorder,
    endpoint: endpoint::Options,
    /// The loop has turned: the endpoint runs, or will not.
    turned: Cell<bool>,
    /// A poll is under way.
    polling: Cell<bool>,
    /// Tasks that were woken and not polled yet.
    queued: Cell<usize>,
    last_task: Cell<u64>,
    /// Live sources, by the program's tokens.
    sources: RefCell<HashMap<mio::Token, Rc<Claimed>>>,
    numbers: RefCell<Numbers>,
}

#[cfg(feature = "tracing")]
thread_local! {
    /// The loop on this thread that has begun to turn last.
    static CURRENT: RefCell<std::rc::Weak<Loop>> = const { RefCell::new(std::rc::Weak::new()) };
}

/// Calls `body` with the recorder of the loop on this thread that has begun to turn last, if there is one.
#[cfg(feature = "tracing")]
pub(crate) fn try_with<R>(body: impl FnOnce(&Recorder) -> R) -> Option<R> {
    let current = CURRENT.try_with(|current| current.borrow().upgrade()).ok().flatten()?;
    Some(body(&current.recorder))
}

/// Where the numbers of tokens come from.
enum Numbers {
    /// From a table of ours.
    Ours(Slots),
    /// The program's tokens are slots.
    Given {
        /// Who has, or had, each slot.
        slots: HashMap<u32, Owner>,
        capacity: u32,
    },
}

/// The last owner of a slot of the program's.
#[derive(Clone, Copy)]
struct Owner {
    generation: u32,
    key: mio::Token,
}

impl Observer {
    /// Observes a loop on this thread under a name, with the defaults of [`Builder`].
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self::builder().name(name).build()
    }

    /// The settings.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The loop's number within its process, as the inspector shows it. Loops and runtimes are numbered together.
    #[must_use]
    pub fn id(&self) -> RuntimeId {
        self.observed.id
    }
}

/// Turns.
impl Observer {
    /// `poll.poll(events, timeout)`, recorded as a turn, and with it what the kernel says of each token. The handlers of
    /// those tokens are woken: they wait from now on for [`Source::handle`].
    ///
    /// The first turn starts the process's endpoint, unless it runs already.
    ///
    /// # Errors
    ///
    /// Those of [`mio::Poll::poll`], which include interruptions by signals.
    pub fn turn(
        &self,
        poll: &mut mio::Poll,
        events: &mut mio::Events,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        self.turn_by(timeout, || {
            poll.poll(events, timeout)?;
            Ok(events.iter().count())
        })?;
        if self.observed.recorder.is_on() {
            for event in events.iter() {
                self.event(event.token(), readiness_of(event));
            }
        }
        Ok(())
    }

    /// The same for a loop that asks the kernel by other means: `ask` does that, and says how many events there are. What
    /// they say is then told to [`Observer::event`]. `timeout` is for how long `ask` may sleep.
    ///
    /// # Errors
    ///
    /// Those of `ask`, whose turn is recorded as one without events.
    pub fn turn_by(
        &self,
        timeout: Option<Duration>,
        ask: impl FnOnce() -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.observed.start();
        let Loop { recorder, queued, .. } = &*self.observed;
        recorder.time_has_passed();
        recorder.queued(queued.get());
        let look = timeout == Some(Duration::ZERO);
        recorder.turn_begin(if look { TurnMode::Look } else { TurnMode::Park });
        let asked = ask();
        let events = asked.as_ref().copied().unwrap_or_default();
        let idle = matches!(asked, Ok(0));
        recorder.turn_end(u32::try_from(events).unwrap_or(u32::MAX), idle);
        asked
    }

    /// The kernel has said this of a token. [`Observer::turn`] calls it for each event.
    ///
    /// An event for a token that is not claimed changes nothing. It is counted as stale if it names a slot
    /// ([`Builder::slots_from_tokens`]); else nobody can tell whose it was.
    pub fn event(&self, token: mio::Token, readiness: Readiness) {
        let claimed = self.observed.sources.borrow().get(&token).cloned();
        match claimed {
            Some(claimed) => claimed.event(readiness),
            None => self.observed.stale_event(token, readiness),
        }
    }
}

/// Tokens.
impl Observer {
    /// `registry.register(source, token, interests)`, recorded as the claim of a token with its descriptor, its addresses
    /// and the place of this call.
    ///
    /// Costs four or five system calls besides mio's own, to ask for the socket's kind and addresses, unless recording is
    /// off. [`Observer::claim`] and [`Source::registered`] do without.
    ///
    /// # Errors
    ///
    /// Those of [`mio::Registry::register`]. The token is free again then.
    #[track_caller]
    pub fn register<S: mio::event::Source + AsFd>(
        &self,
        registry: &mio::Registry,
        source: &mut S,
        token: mio::Token,
        interests: mio::Interest,
    ) -> io::Result<Source> {
        let on = self.observed.recorder.is_on();
        let description =
            if on { Description::of(source) } else { Description::new(SourceKind::Other) };
        let claimed = self.claim(token, description);
        let registered = registry.register(source, token, interests);
        claimed.registered(interest_of(interests), &registered);
        registered.map(|()| claimed)
    }

    /// Claims a token: the program has a source under this number from now on.
    ///
    /// If it had another one under the same, that one's events are the new one's now; where tokens are slots, it is
    /// recorded as released.
    #[must_use = "dropping it releases the token"]
    #[track_caller]
    pub fn claim(&self, token: mio::Token, description: Description) -> Source {
        Source::claim(&self.observed, token, description, Location::caller())
    }

    /// The program's own table has so many slots now. For a program whose tokens are slots
    /// ([`Builder::slots_from_tokens`]), and without effect else. If it is never said, the table is as large as the
    /// highest slot that was claimed requires.
    pub fn set_capacity(&self, slots: usize) {
        let slots = u32::try_from(slots).unwrap_or(u32::MAX).min(TokenId::RESERVED_SLOT);
        self.observed.grow_to(slots);
    }

    /// Makes a task: something that the loop gives control to. It ends when the last of its clones is dropped.
    #[must_use]
    #[track_caller]
    pub fn task(&self, name: &str) -> Task {
        Task::spawn(&self.observed, Location::caller(), Some(name))
    }
}

impl Loop {
    /// The loop turns for the first time: the endpoint starts, and an inspector that has started the program may hold it
    /// until it is attached.
    fn start(self: &Rc<Self>) {
        if self.turned.replace(true) {
            return;
        }
        endpoint::start(&self.endpoint);
        if self.endpoint.enabled {
            endpoint::hold();
        }
        self.recorder.enter();
        #[cfg(feature = "tracing")]
        CURRENT.with(|current| current.replace(Rc::downgrade(self)));
    }

    fn next_task_id(&self) -> TaskId {
        self.last_task.set(self.last_task.get() + 1);
        TaskId(self.last_task.get())
    }

    /// The number of the source that is claimed under this token. If that is a slot which another source still has, it
    /// has lost it.
    fn number(&self, key: mio::Token) -> TokenId {
        let mut numbers = self.numbers.borrow_mut();
        match &mut *numbers {
            Numbers::Ours(slots) => {
                let (id, grown) = slots.claim().expect("descriptors run out long before slots do");
                let capacity = slots.capacity();
                drop(numbers);
                if grown {
                    self.recorder.freelist_grown(capacity);
                }
                id
            }
            Numbers::Given { slots, .. } => {
                let TokenId { slot, generation } = TokenId::unpack(key.0 as u64);
                let before = slots.get(&slot).copied();
                let last = before.map_or(0, |owner| owner.generation);
                let generation =
                    if generation == 0 { last.checked_add(1).unwrap_or(1) } else { generation };
                slots.insert(slot, Owner { generation, key });
                drop(numbers);
                let loser =
                    before.and_then(|before| self.sources.borrow().get(&before.key).cloned());
                if let Some(loser) = loser {
                    loser.release(0);
                }
                self.grow_to(slot.saturating_add(1));
                TokenId { slot, generation }
            }
        }
    }

    /// The number is free again.
    fn give_back(&self, token: TokenId) {
        if let Numbers::Ours(slots) = &mut *self.numbers.borrow_mut() {
            let released = slots.release(token);
            debug_assert!(released.is_ok(), "a source gives its number back once");
        }
    }

    /// The program's table has at least so many slots.
    fn grow_to(&self, slots: u32) {
        let mut numbers = self.numbers.borrow_mut();
        if let Numbers::Given { capacity, .. } = &mut *numbers
            && slots > *capacity
        {
            *capacity = slots;
            drop(numbers);
            self.recorder.freelist_grown(slots);
        }
    }

    fn stale_event(&self, key: mio::Token, readiness: Readiness) {
        if let Numbers::Given { slots, .. } = &*self.numbers.borrow() {
            let mut token = TokenId::unpack(key.0 as u64);
            let Some(current) = slots.get(&token.slot).map(|owner| owner.generation) else {
                return;
            };
            if token.generation == 0 {
                token.generation = current;
            }
            self.recorder.stale_event(token, current, readiness);
        }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.recorder.leave();
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sources = self.observed.sources.borrow().len();
        f.debug_struct("Observer")
            .field("id", &self.observed.id.0)
            .field("sources", &sources)
            .finish_non_exhaustive()
    }
}
