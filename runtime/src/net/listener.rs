//! Accepting: what TCP and Unix listeners have in common.
//!
//! A process without descriptors can't accept. The connection stays in the kernel's queue and the listener stays ready,
//! so that trying again at once would only burn a core: the next attempt waits for a moment first.

use crate::io::source::{Attempt, Registered};
use crate::io::{Interest, SourceKind};
use crate::time::{Sleep, sleep_until};
use nexus_protocol::event::{Operation, OperationResult};
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::AsRawFd;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// How long accepting pauses when the process has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// A listening socket of mio's.
pub(super) trait Accept: AsRawFd {
    type Stream: AsRawFd;
    type Address;

    fn accept(&self) -> io::Result<(Self::Stream, Self::Address)>;
}

/// A registered listener.
pub(super) struct Listener<L> {
    pub(super) io: Registered<L>,
    /// There was no descriptor left: when to try again.
    paused_until: Cell<Option<Instant>>,
    /// The pause of whoever polls.
    polled_pause: RefCell<Option<Pin<Box<Sleep>>>>,
}

impl<L: Accept> Listener<L> {
    pub(super) fn new(
        listener: L,
        kind: SourceKind,
        location: &'static Location<'static>,
    ) -> io::Result<Self> {
        Ok(Self {
            io: Registered::new(listener, kind, Interest::READABLE, location)?,
            paused_until: Cell::new(None),
            polled_pause: RefCell::default(),
        })
    }

    pub(super) async fn accept(&self) -> io::Result<(L::Stream, L::Address)> {
        if let Some(pause) = self.pause() {
            pause.await;
        }
        self.note(self.io.operate(Operation::Accept, accept_once).await)
    }

    pub(super) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(L::Stream, L::Address)>> {
        let mut polled_pause = self.polled_pause.borrow_mut();
        if polled_pause.is_none() {
            *polled_pause = self.pause().map(Box::pin);
        }
        if let Some(pause) = &mut *polled_pause {
            ready!(pause.as_mut().poll(cx));
            *polled_pause = None;
        }
        drop(polled_pause);
        self.io.poll_operate(cx, Operation::Accept, accept_once).map(|accepted| self.note(accepted))
    }

    pub(super) fn try_accept(&self) -> io::Result<(L::Stream, L::Address)> {
        self.note(self.io.try_operate(Operation::Accept, accept_once))
    }

    /// What is left of a pause.
    fn pause(&self) -> Option<Sleep> {
        let until = self.paused_until.get()?;
        if until <= Instant::now() {
            self.paused_until.set(None);
            return None;
        }
        Some(sleep_until(until))
    }

    fn note<T>(&self, accepted: io::Result<T>) -> io::Result<T> {
        if accepted.as_ref().is_err_and(is_out_of_descriptors) {
            self.paused_until.set(Some(Instant::now() + PAUSE));
        }
        accepted
    }
}

fn accept_once<L: Accept>(listener: &L) -> io::Result<Attempt<(L::Stream, L::Address)>> {
    let (stream, peer) = listener.accept()?;
    let fd = u32::try_from(stream.as_raw_fd()).unwrap_or(0);
    Ok(Attempt { value: (stream, peer), result: OperationResult::Done(fd), short: false })
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM]
        .map(Some)
        .contains(&error.raw_os_error())
}
