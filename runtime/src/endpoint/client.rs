//! One connection: hello, subscription, goodbye, and a deadline for what must not take long.
//!
//! Knows the order in which things are said; what is said to a subscriber is the publisher's business.

use super::publisher::{Progress, Publisher, Sink, Sources};
use super::snapshot;
use super::system::Guarded;
use crate::record::registry::Observed;
use nexus_protocol::frame::{ClientFrame, Goodbye, Process, ServerFrame, VERSION};
use nexus_protocol::session::{self, HELLO_TIMEOUT, SessionError};
use nexus_protocol::{Record, RuntimeId, Seq};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a client may take none of what is left for it, once nothing more will come.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why a connection is closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Left {
    /// Everything was said.
    #[error("the goodbye was delivered")]
    Finished,
    /// The client broke the protocol, or is gone.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The stream failed.
    #[error("cannot write to the client: {0}")]
    Write(#[from] std::io::Error),
    /// The client said nothing.
    #[error("the client did not say hello within a second")]
    NoHello,
    /// The client did not take the rest.
    #[error("the client did not take what was left for it")]
    NotTaken,
}

/// A client.
pub(super) struct Client {
    session: session::Server<Guarded<UnixStream>>,
    stage: Stage,
    /// When the present stage must be over, if it may not last.
    deadline: Option<Instant>,
    /// It let the end of a runtime pass without taking what was left of it: nobody waits for it again until it moves.
    given_up: bool,
    /// Bytes that waited after the last flush.
    left_over: usize,
}

enum Stage {
    AwaitsHello,
    /// It has been told of these runtimes, as of this version of the registry.
    Greeted(Vec<Arc<Observed>>, u64),
    Subscribed(Box<Publisher>),
    /// All that remains is to deliver what is queued.
    Leaving,
}

impl Sink for session::Server<Guarded<UnixStream>> {
    fn queue(&mut self, frame: &ServerFrame) {
        session::Server::queue(self, frame);
    }

    fn queue_events(
        &mut self,
        runtime: RuntimeId,
        numbers: Range<Seq>,
        count: usize,
        records: impl Iterator<Item = Record>,
    ) {
        session::Server::queue_events(self, runtime, numbers, count, records);
    }

    fn queued_bytes(&self) -> usize {
        session::Server::queued_bytes(self)
    }
}

impl Client {
    /// A connection that was just accepted. The stream must be non-blocking.
    pub(super) fn new(stream: UnixStream, now: Instant) -> Self {
        Self {
            session: session::Server::new(Guarded::new(stream)),
            stage: Stage::AwaitsHello,
            deadline: Some(now + HELLO_TIMEOUT),
            given_up: false,
            left_over: 0,
        }
    }

    /// A connection that is told that there are too many.
    pub(super) fn turned_away(stream: UnixStream, now: Instant) -> Self {
        let mut client = Self::new(stream, now);
        client.leave(Goodbye::Busy, now);
        client
    }

    fn leave(&mut self, goodbye: Goodbye, now: Instant) {
        self.session.queue(&ServerFrame::Goodbye(goodbye));
        self.stage = Stage::Leaving;
        self.deadline = Some(now + FAREWELL);
    }

    /// Whether it has subscribed and is still there for it.
    pub(super) fn is_subscribed(&self) -> bool {
        matches!(self.stage, Stage::Subscribed(_))
    }

    /// Whether it counts among the clients that there may be.
    pub(super) fn counts(&self) -> bool {
        !matches!(self.stage, Stage::Leaving)
    }

    /// Whether what it says is still listened to. If not, it must not be waited for either: it would never be quiet.
    pub(super) fn is_heard(&self) -> bool {
        !matches!(self.stage, Stage::Leaving)
    }

    /// Whether it waits for room in its socket.
    pub(super) fn wants_to_write(&self) -> bool {
        self.session.queued_bytes() > 0
    }

    /// When it wants to be served again at the latest, apart from the regular tick.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let snapshot = match &self.stage {
            Stage::Subscribed(publisher) if !self.wants_to_write() => publisher.wants_to_run_at(),
            _ => None,
        };
        self.deadline.into_iter().chain(snapshot).min()
    }

    /// Whether it holds up nobody who waits for a runtime's end to be delivered.
    pub(super) fn is_drained(&self) -> bool {
        match &self.stage {
            Stage::Subscribed(publisher) => {
                self.given_up || publisher.is_drained() && !self.wants_to_write()
            }
            Stage::Leaving => self.given_up || !self.wants_to_write(),
            Stage::AwaitsHello | Stage::Greeted(..) => true,
        }
    }

    /// Says that it did not drain in time.
    pub(super) fn give_up(&mut self) {
        self.given_up = !self.is_drained();
    }

    /// Ends its subscription with all that is recorded until now.
    pub(super) fn finish(&mut self, goodbye: Goodbye) {
        if let Stage::Subscribed(publisher) = &mut self.stage {
            publisher.finish(goodbye);
        }
    }

    /// Reads what it says, gives it what there is for it, and writes as much as it takes.
    pub(super) fn serve(
        &mut self,
        process: &Process,
        sources: &Sources<'_>,
        now: Instant,
    ) -> Result<Progress, Left> {
        let heard = self.listen(process, sources, now);
        let mut progress = Progress::default();
        if heard.is_ok()
            && let Stage::Subscribed(publisher) = &mut self.stage
        {
            progress = publisher.publish(sources, now, &mut self.session);
            if publisher.is_done() {
                self.stage = Stage::Leaving;
                self.deadline = Some(now + FAREWELL);
            }
        }
        let before = self.session.queued_bytes();
        // Also after an error: a last goodbye may be queued, that says what is wrong.
        let flushed = self.session.flush();
        heard?;
        let empty = flushed?;
        let moved = self.session.queued_bytes() < before.max(self.left_over);
        self.left_over = self.session.queued_bytes();
        self.given_up &= !moved;
        self.check_deadline(empty, moved, now)?;
        Ok(progress)
    }

    /// Takes in what the client says.
    fn listen(
        &mut self,
        process: &Process,
        sources: &Sources<'_>,
        now: Instant,
    ) -> Result<(), SessionError> {
        if matches!(self.stage, Stage::Leaving) {
            return Ok(());
        }
        while let Some(frame) = self.session.receive()? {
            match frame {
                ClientFrame::Hello { .. } => self.greet(process, sources),
                ClientFrame::Subscribe(subscribe) => match &mut self.stage {
                    Stage::Subscribed(publisher) => publisher.change(subscribe, now),
                    Stage::Greeted(known, version) => {
                        let publisher = Publisher::new(subscribe, known, *version, now);
                        self.stage = Stage::Subscribed(Box::new(publisher));
                    }
                    Stage::AwaitsHello | Stage::Leaving => {}
                },
                ClientFrame::Finish => match &mut self.stage {
                    Stage::Subscribed(publisher) => publisher.finish(Goodbye::Finished),
                    _ => {
                        self.leave(Goodbye::Finished, now);
                        return Ok(());
                    }
                },
            }
        }
        Ok(())
    }

    fn greet(&mut self, process: &Process, sources: &Sources<'_>) {
        let version = sources.registry.version();
        let known = sources.registry.runtimes();
        let info = |runtime: &Arc<Observed>| snapshot::info(runtime, sources.timeline);
        self.session.queue(&ServerFrame::Hello {
            version: VERSION,
            process: process.clone(),
            runtimes: known.iter().map(info).collect(),
        });
        self.stage = Stage::Greeted(known, version);
        self.deadline = None;
    }

    fn check_deadline(&mut self, empty: bool, moved: bool, now: Instant) -> Result<(), Left> {
        let late = self.deadline.is_some_and(|deadline| deadline <= now);
        match self.stage {
            Stage::Leaving if empty => Err(Left::Finished),
            Stage::Leaving if moved => {
                self.deadline = Some(now + FAREWELL);
                Ok(())
            }
            Stage::Leaving if late => Err(Left::NotTaken),
            Stage::AwaitsHello if late => {
                let text = Left::NoHello.to_string();
                self.session.queue(&ServerFrame::Goodbye(Goodbye::ProtocolError(text)));
                let _ = self.session.flush();
                Err(Left::NoHello)
            }
            _ => Ok(()),
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.session.stream().as_fd()
    }
}
