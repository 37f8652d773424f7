//! The probes of the `tracing` layer: an application's spans, and what it says.
//!
//! Each reads the clock, since it may stand anywhere in a poll. Nothing on the board changes.

use super::Recorder;
use super::writer::Writer;
use nexus_protocol::event::{Event, Level};
use nexus_protocol::fragment::Fragment;
use nexus_protocol::ids::{SpanId, Stamp, StringId};

/// A place in the program that makes spans or says something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The name of a span; of no use for what is said.
    pub(crate) name: StringId,
    pub(crate) target: StringId,
    pub(crate) location: StringId,
    pub(crate) level: Level,
}

/// Something that was said.
pub(crate) struct Saying<'a> {
    pub(crate) place: Place,
    /// The message, if it is always the same at this place.
    pub(crate) message: StringId,
    /// The span in which it was said.
    pub(crate) span: Option<SpanId>,
    /// The rest, in pieces.
    pub(crate) texts: &'a [Fragment],
}

impl Recorder {
    /// A span was entered. When, for [`Recorder::span_exited`]; none if recording is off.
    pub(crate) fn span_entered(
        &self,
        span: SpanId,
        place: Place,
        texts: &[Fragment],
    ) -> Option<Stamp> {
        let live = self.live()?;
        let (task, poll, entered) = (live.polled_task(), live.poll_seq(), live.read_clock());
        let Place { name, target, location, level } = place;
        let count = texts.len() as u8;
        live.record(
            |_| Event::SpanEntered {
                span,
                name,
                target,
                location,
                level,
                texts: count,
                task,
                poll,
            },
            |_| {},
        );
        live.texts(texts);
        Some(entered)
    }

    /// A span was left.
    pub(crate) fn span_exited(&self, span: SpanId, name: StringId, entered: Stamp) {
        let Some(live) = self.live() else { return };
        let (task, poll) = (live.polled_task(), live.poll_seq());
        live.read_clock();
        live.record(|_| Event::SpanExited { span, name, entered, task, poll }, |_| {});
    }

    /// The application has said something.
    pub(crate) fn log(&self, saying: &Saying<'_>) {
        let Some(live) = self.live() else { return };
        let (task, poll) = (live.polled_task(), live.poll_seq());
        let &Saying { place: Place { target, location, level, .. }, message, span, texts } = saying;
        let count = texts.len() as u8;
        live.read_clock();
        live.record(
            |_| Event::Log { level, message, target, location, span, texts: count, task, poll },
            |_| {},
        );
        live.texts(texts);
    }
}

impl Writer {
    fn texts(&self, texts: &[Fragment]) {
        for &text in texts {
            self.record(|_| Event::Text { text }, |_| {});
        }
    }
}
