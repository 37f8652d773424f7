//! The endpoint's thread: waits, accepts, serves.
//!
//! It sleeps in `poll` until somebody connects. While anybody has subscribed it wakes every [`TICK`] to pass on what
//! was recorded meanwhile. It touches runtimes only by reading what they have recorded.

use super::admission::admits;
use super::client::{Client, Left};
use super::control::Control;
use super::publisher::{Present, Sources};
use super::seat::Seat;
use super::system::Guarded;
use super::timeline::Timeline;
use super::{MAX_CLIENTS, TARGET};
use crate::net::unix::UCred;
use crate::record::clock::{Clock, monotonic_ns};
use crate::record::registry::Registry;
use crate::record::strings::Strings;
use nexus_protocol::frame::{Goodbye, Process};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often subscribers are given what was recorded.
const TICK: Duration = Duration::from_millis(10);

/// How often, while a ring fills so fast that it might wrap around within a tick.
const HURRIED_TICK: Duration = Duration::from_millis(1);

/// How long the listener is left alone after it failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Everything the thread owns.
pub(super) struct Server {
    control: Arc<Control>,
    seat: Seat,
    process: Process,
    registry: &'static Registry,
    strings: &'static Strings,
    clock: Clock,
    timeline: Timeline,
    clients: Vec<Client>,
    /// Given up for a moment when the process has no descriptor left, so that a client can at least be told off.
    spare: Option<Guarded<File>>,
    accept_after: Option<Instant>,
    next_tick: Instant,
}

impl Server {
    /// A server for the runtimes of `registry`, on a socket that listens already.
    pub(super) fn new(
        control: Arc<Control>,
        seat: Seat,
        process: Process,
        registry: &'static Registry,
    ) -> Self {
        let clock = Clock::of_process();
        Self {
            control,
            seat,
            process,
            registry,
            strings: Strings::of_process(),
            clock,
            timeline: Timeline::new(clock.first_anchor()),
            clients: Vec::new(),
            spare: spare(),
            accept_after: None,
            next_tick: Instant::now(),
        }
    }

    /// Serves for as long as `goes_on` says, which is asked after each time it waited.
    pub(super) fn run(mut self, goes_on: impl Fn() -> bool) {
        while goes_on() {
            if let Err(error) = self.wait() {
                tracing::error!(target: TARGET, %error, "the endpoint cannot wait for clients");
                std::thread::sleep(ACCEPT_PAUSE);
            }
            self.step(Instant::now());
        }
    }

    /// Sleeps until there is something to do.
    fn wait(&self) -> io::Result<()> {
        let now = Instant::now();
        let timeout = self.wakes_at().map(|at| timespec(at.saturating_duration_since(now)));
        let listens = self.accept_after.is_none_or(|after| after <= now);
        let mut fds = vec![PollFd::from_borrowed_fd(self.control.wake_up(), PollFlags::IN)];
        fds.extend(listens.then(|| PollFd::new(self.seat.listener(), PollFlags::IN)));
        fds.extend(self.clients.iter().map(|client| {
            let if_so = |flag, so| if so { flag } else { PollFlags::empty() };
            let read = if_so(PollFlags::IN, client.is_heard(now));
            let write = if_so(PollFlags::OUT, client.wants_to_write());
            PollFd::from_borrowed_fd(client.as_fd(), read | write)
        }));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// When to wake without being called, if ever.
    fn wakes_at(&self) -> Option<Instant> {
        let tick = self.clients.iter().any(Client::is_subscribed).then_some(self.next_tick);
        let clients = self.clients.iter().filter_map(Client::wakes_at);
        clients.chain(tick).chain(self.accept_after).chain(self.seat.looks_at()).min()
    }

    fn step(&mut self, now: Instant) {
        let requests = self.control.take_requests();
        if requests.gave_up {
            self.clients.iter_mut().for_each(Client::give_up);
        }
        if requests.ending {
            self.clients.iter_mut().for_each(|client| client.finish(Goodbye::ProcessEnding));
        }
        if self.seat.look(now) {
            self.control.sits_at(self.seat.place().clone());
        }
        if self.accept_after.is_none_or(|after| after <= now) {
            self.accept_after = None;
            self.accept_all(now);
        }
        self.serve_all(now);
        let subscribed = self.clients.iter().filter(|client| client.is_subscribed()).count();
        // Whoever is leaving counts as well: what is queued for it is not delivered yet.
        let drained = self.clients.iter().all(Client::is_drained);
        let over = requests.ending && drained && subscribed == 0;
        self.control.report(subscribed, drained.then_some(requests.drain), over);
    }

    /// Serves each client once. A client that fails, or has said its last word, is dropped.
    fn serve_all(&mut self, now: Instant) {
        if self.clients.is_empty() {
            return;
        }
        self.keep_time();
        let sources = Sources {
            registry: self.registry,
            strings: self.strings,
            timeline: &self.timeline,
            clock: Present::Now(self.clock),
        };
        let mut hurried = false;
        let process = &self.process;
        let mut places = self.clients.iter().filter(|client| client.has_a_place()).count();
        self.clients.retain_mut(|client| {
            let had_a_place = client.has_a_place();
            let served = client.serve(process, &sources, places < MAX_CLIENTS, now);
            places += usize::from(!had_a_place && client.has_a_place());
            match served {
                Ok(progress) => {
                    hurried |= progress.hurried && !progress.blocked;
                    true
                }
                Err(Left::Finished) => false,
                Err(reason) => {
                    tracing::debug!(target: TARGET, %reason, "a client has left");
                    false
                }
            }
        });
        self.next_tick = now + if hurried { HURRIED_TICK } else { TICK };
    }

    /// Keeps the way from ticks to nanoseconds up to date.
    fn keep_time(&mut self) {
        while !self.timeline.is_known() {
            // A client came within the first millisecond of the first runtime: the clocks are too young to compare.
            std::thread::sleep(Duration::from_millis(1));
            self.timeline.refine(self.clock);
        }
        if self.timeline.anchor_is_due(monotonic_ns()) {
            self.timeline.refine(self.clock);
        }
    }

    /// Accepts those who wait, but no more at once than there is room for: whoever is accepted is heard before the next.
    fn accept_all(&mut self, now: Instant) {
        for _ in 0..MAX_CLIENTS {
            match self.seat.listener().accept() {
                Ok((stream, _)) => self.admit(stream, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted
                    ) => {}
                Err(error) => {
                    self.refuse_for_want_of_descriptors(&error, now);
                    return;
                }
            }
        }
    }

    /// Takes a connection in, if it comes from our own user or root and there is room.
    fn admit(&mut self, stream: UnixStream, now: Instant) {
        let peer = match UCred::of_peer(&stream).and_then(|peer| {
            stream.set_nonblocking(true)?;
            Ok(peer)
        }) {
            Ok(peer) if admits(peer, self.seat.place()) => peer,
            Ok(peer) => {
                tracing::warn!(target: TARGET, ?peer, "a client of another user was refused");
                return;
            }
            Err(error) => {
                tracing::warn!(target: TARGET, %error, "cannot tell who a client is");
                return;
            }
        };
        // Those that have not said hello, or are leaving, must not pile up: the oldest of them had its time.
        if self.clients.len() >= 2 * MAX_CLIENTS {
            let oldest = |which: fn(&Client) -> bool| self.clients.iter().position(which);
            let silent = oldest(Client::awaits_hello);
            if let Some(client) = silent.or_else(|| oldest(|client| !client.has_a_place())) {
                tracing::warn!(target: TARGET, ?peer, "there are too many connections");
                self.clients.remove(client).turn_away();
            }
        }
        self.clients.push(Client::new(stream, now));
    }

    /// Without descriptors a waiting connection can be neither accepted nor waited for: it would wake us again and
    /// again. The spare one makes room to accept it, and to hang up.
    fn refuse_for_want_of_descriptors(&mut self, error: &io::Error, now: Instant) {
        let exhausted = matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE));
        if exhausted && self.spare.take().is_some() {
            drop(self.seat.listener().accept());
            self.spare = spare();
        }
        tracing::warn!(target: TARGET, %error, "cannot accept a client");
        self.accept_after = Some(now + ACCEPT_PAUSE);
    }
}

fn spare() -> Option<Guarded<File>> {
    File::open("/dev/null").ok().map(Guarded::new)
}

fn timespec(duration: Duration) -> Timespec {
    // Rounded up: a timer that fires a little early would wake us in vain.
    let ns = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX / 2) + 1;
    Timespec { tv_sec: ns / 1_000_000_000, tv_nsec: ns % 1_000_000_000 }
}
