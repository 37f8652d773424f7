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

/// How long a client may take none of what is left for it, once nothing more will come. It may write to a slow pipe, and
/// its socket says that there is room again only when most of what it holds is taken.
const FAREWELL: Duration = Duration::from_secs(30);

/// How long a client may take for the rest of a frame that it has begun.
const FRAME_TIMEOUT: Duration = Duration::from_secs(1);

/// Frames and bytes of one client that are heard in a row. Whoever says more is heard again after [`BREATH`], so that it
/// keeps neither others waiting nor the process busy.
const FRAMES: usize = 64;
/// See [`FRAMES`].
const HEARD_BYTES: u64 = 1 << 15;
/// See [`FRAMES`].
const BREATH: Duration = Duration::from_millis(10);

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
    /// The client stopped in the middle of a frame.
    #[error("the client did not complete a frame within a second")]
    HalfAFrame,
    /// So many runtimes have ended unread that it cannot be told of all any more.
    #[error("the client did not read while too many runtimes came and went")]
    Overwhelmed,
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
    /// A frame of its that has begun, by its place in the stream, and when it must be whole.
    unfinished: Option<(u64, Instant)>,
    /// It has said a lot, and is not heard before this.
    heard_from: Option<Instant>,
    /// It let the end of a runtime pass without taking what was left of it: nobody waits for it again until it moves.
    given_up: bool,
    /// Bytes that waited after the last flush.
    left_over: usize,
}

enum Stage {
    AwaitsHello,
    /// Hellos are exchanged; it may have subscribed, as its publisher knows.
    Open(Box<Publisher>),
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
            unfinished: None,
            heard_from: None,
            given_up: false,
            left_over: 0,
        }
    }

    fn leave(&mut self, goodbye: Goodbye, now: Instant) {
        self.session.queue(&ServerFrame::Goodbye(goodbye));
        self.stage = Stage::Leaving;
        self.deadline = Some(now + FAREWELL);
    }

    /// Makes room for others: says that there are too many, and is not served again.
    pub(super) fn turn_away(mut self) {
        self.session.dismiss(Goodbye::Busy);
        let _ = self.session.flush();
    }

    /// Whether it has subscribed and is still there for it.
    pub(super) fn is_subscribed(&self) -> bool {
        matches!(&self.stage, Stage::Open(publisher) if publisher.is_subscribed())
    }

    /// Whether it counts among the clients that there may be: those that have said hello and not goodbye.
    pub(super) fn has_a_place(&self) -> bool {
        matches!(self.stage, Stage::Open(_))
    }

    /// Whether it has not said who it is.
    pub(super) fn awaits_hello(&self) -> bool {
        matches!(self.stage, Stage::AwaitsHello)
    }

    /// Whether what it says is still listened to. If not, it must not be waited for either: it would never be quiet.
    pub(super) fn is_heard(&self, now: Instant) -> bool {
        !matches!(self.stage, Stage::Leaving) && self.heard_from.is_none_or(|from| from <= now)
    }

    /// Whether it waits for room in its socket.
    pub(super) fn wants_to_write(&self) -> bool {
        self.session.queued_bytes() > 0
    }

    /// When it wants to be served again at the latest, apart from the regular tick.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let snapshot = match &self.stage {
            Stage::Open(publisher) if !self.wants_to_write() => publisher.wants_to_run_at(),
            _ => None,
        };
        let unfinished = self.unfinished.map(|(_, deadline)| deadline);
        [self.deadline, unfinished, self.heard_from, snapshot].into_iter().flatten().min()
    }

    /// Whether it holds up nobody who waits for a runtime's end to be delivered.
    pub(super) fn is_drained(&self) -> bool {
        match &self.stage {
            Stage::Open(publisher) if publisher.is_subscribed() => {
                self.given_up || publisher.is_drained() && !self.wants_to_write()
            }
            Stage::Leaving => self.given_up || !self.wants_to_write(),
            Stage::AwaitsHello | Stage::Open(_) => true,
        }
    }

    /// Says that it did not drain in time.
    pub(super) fn give_up(&mut self) {
        self.given_up = !self.is_drained();
    }

    /// Ends its subscription with all that is recorded until now.
    pub(super) fn finish(&mut self, goodbye: Goodbye) {
        if let Stage::Open(publisher) = &mut self.stage
            && publisher.is_subscribed()
        {
            publisher.finish(goodbye);
        }
    }

    /// Reads what it says, gives it what there is for it, and writes as much as it takes. `is_room` says whether a
    /// client more can be greeted.
    pub(super) fn serve(
        &mut self,
        process: &Process,
        sources: &Sources<'_>,
        is_room: bool,
        now: Instant,
    ) -> Result<Progress, Left> {
        let heard = self.listen(process, sources, is_room, now);
        let heard = heard.map_err(Left::from).and_then(|()| self.check_frame(now));
        let mut progress = Progress::default();
        if heard.is_ok()
            && let Stage::Open(publisher) = &mut self.stage
        {
            progress = publisher.publish(sources, now, &mut self.session);
            if publisher.is_overwhelmed() {
                return Err(Left::Overwhelmed);
            }
            if publisher.is_done() {
                self.stage = Stage::Leaving;
                // Not from when this began: there may have been a great deal to encode.
                self.deadline = Some(Instant::now() + FAREWELL);
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
        self.check_deadline(empty, moved, Instant::now())?;
        Ok(progress)
    }

    /// Takes in what the client says.
    fn listen(
        &mut self,
        process: &Process,
        sources: &Sources<'_>,
        is_room: bool,
        now: Instant,
    ) -> Result<(), SessionError> {
        if !self.is_heard(now) {
            return Ok(());
        }
        let before = self.session.received_bytes();
        let mut frames = 0;
        while frames < FRAMES && !matches!(self.stage, Stage::Leaving) {
            let Some(frame) = self.session.receive()? else { break };
            self.hear(&frame, process, sources, is_room, now);
            frames += 1;
        }
        let talks_on = frames == FRAMES || self.session.received_bytes() - before >= HEARD_BYTES;
        self.heard_from = talks_on.then(|| now + BREATH);
        Ok(())
    }

    fn hear(
        &mut self,
        frame: &ClientFrame,
        process: &Process,
        sources: &Sources<'_>,
        is_room: bool,
        now: Instant,
    ) {
        let publisher = match &mut self.stage {
            Stage::AwaitsHello if is_room => return self.greet(process, sources),
            // The session has seen to it that this is a hello.
            Stage::AwaitsHello => return self.leave(Goodbye::Busy, now),
            Stage::Leaving => return,
            Stage::Open(publisher) => publisher,
        };
        match frame {
            // The session does not let a second one through.
            ClientFrame::Hello { .. } => {}
            ClientFrame::Subscribe(subscribe) => publisher.subscribe(*subscribe, now),
            ClientFrame::Pause => publisher.pause(true),
            ClientFrame::Resume => publisher.pause(false),
            ClientFrame::Finish if publisher.is_subscribed() => {
                publisher.finish(Goodbye::Finished);
            }
            ClientFrame::Finish => self.leave(Goodbye::Finished, now),
        }
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
        self.stage = Stage::Open(Box::new(Publisher::new(&known, version)));
        self.deadline = None;
    }

    /// Ends the session with a client that leaves a frame unfinished. A hello has a deadline of its own.
    fn check_frame(&mut self, now: Instant) -> Result<(), Left> {
        let may_finish = self.has_a_place() && self.heard_from.is_none();
        let begun = self.session.unfinished_frame().filter(|_| may_finish);
        self.unfinished = match (begun, self.unfinished) {
            (None, _) => None,
            (Some(place), Some((same, deadline))) if same == place => Some((place, deadline)),
            (Some(place), _) => Some((place, now + FRAME_TIMEOUT)),
        };
        if self.unfinished.is_some_and(|(_, deadline)| deadline <= now) {
            let text = Left::HalfAFrame.to_string();
            self.session.dismiss(Goodbye::ProtocolError(text));
            return Err(Left::HalfAFrame);
        }
        Ok(())
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
                self.session.dismiss(Goodbye::ProtocolError(text));
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
