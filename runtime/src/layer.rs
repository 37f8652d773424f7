//! A layer for `tracing-subscriber` that records an application's spans and events, on the task that ran them. Cargo feature
//! `tracing`.
//!
//! ```
//! use nexus_runtime::layer::RecorderLayer;
//! use tracing_subscriber::layer::SubscriberExt;
//! use tracing_subscriber::util::SubscriberInitExt;
//!
//! tracing_subscriber::registry().with(RecorderLayer::filtered("info,gateway=debug")?).init();
//! # Ok::<(), tracing_subscriber::filter::ParseError>(())
//! ```
//!
//! What is recorded lies in the runtime's ring, between its polls and operations, on the same clock. The inspector shows it
//! in the task's lane and where it tells what a poll did; traces have it as records of its own.
//!
//! # What is recorded
//!
//! - Of an event: level, target, place in the program, the span it was said in, the message and the fields.
//! - Of a span: each time that it is entered and left, which for an instrumented future is once a poll; and with the first
//!   entry its fields.
//!
//! Names, targets, places, and messages that are always the same are stored once. Whatever else there is to say, a message
//! with values in it and the fields, goes into the ring as text of up to 8 records of 22 bytes; what does not fit is cut and
//! ends with `…`. So the memory that it takes is the ring's, however much is said. A program that says a lot pushes older
//! records out of the ring: filter, or make the ring larger ([`Builder::ring_records`](crate::Builder::ring_records)).
//!
//! # Where
//!
//! On a thread that is inside of `block_on`, or whose own loop is [observed](crate::observe). Elsewhere there is no ring, and
//! no task; what is said there is only counted ([`elsewhere`]). What is said while something is being recorded, by the
//! `Debug` of a field for instance, is counted there as well, and never recorded within itself.
//!
//! # What it costs
//!
//! An event without fields takes some tens of nanoseconds, most of them in `tracing` and `tracing-subscriber`; no lock and,
//! from its second time on, no allocation. What a filter leaves out costs what `tracing` takes to find that out.

mod text;

use self::text::{Fields, Text};
use crate::context;
use crate::observe;
use crate::record::strings::{AddressHasher, Strings};
use crate::record::{Place, Recorder, Saying};
use nexus_protocol::event::Level;
use nexus_protocol::ids::{SpanId, Stamp, StringId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter::{Filtered, ParseError, Targets};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

/// The environment's directives: what [`RecorderLayer::from_env`] reads.
const DIRECTIVES: &str = "NEXUS_LOG";

/// Spans that a thread is in at a time and that are left with a record. Beyond, entries are recorded and exits are not.
const ENTERED: usize = 64;

/// Spans entered and events said where nothing is recorded.
static ELSEWHERE: AtomicU64 = AtomicU64::new(0);

/// How many spans were entered and events said where there is no runtime to record them, or while another one was being
/// recorded. Counted for the whole process since its start.
#[must_use]
pub fn elsewhere() -> u64 {
    ELSEWHERE.load(Ordering::Relaxed)
}

/// Records spans and events. See the [module](self).
///
/// Takes all that it is given: put a filter before it, by [`RecorderLayer::filtered`] or any other.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecorderLayer {
    _private: (),
}

impl RecorderLayer {
    /// The layer without a filter. [`Layer::with_filter`] takes any, such as `tracing_subscriber::EnvFilter`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The layer behind directives, such as `info`, `warn,gateway=debug` or `gateway::feed=trace`: levels by target.
    ///
    /// # Errors
    ///
    /// If they are none.
    pub fn filtered<S>(directives: &str) -> Result<Filtered<Self, Targets, S>, ParseError>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        Ok(Self::new().with_filter(directives.parse::<Targets>()?))
    }

    /// The layer behind the directives of the environment's `NEXUS_LOG`; behind `info`, if it has none.
    ///
    /// # Errors
    ///
    /// As for [`RecorderLayer::filtered`].
    pub fn from_env<S>() -> Result<Filtered<Self, Targets, S>, ParseError>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        Self::filtered(std::env::var(DIRECTIVES).as_deref().unwrap_or("info"))
    }
}

/// What the layer keeps of a span, with the span.
struct Spanned {
    number: SpanId,
    /// Its fields, until they are told.
    fields: Text,
}

thread_local! {
    static THREAD: RefCell<Thread> = RefCell::default();
}

/// What the layer keeps of a thread. That it is borrowed says that something is being recorded.
#[derive(Default)]
struct Thread {
    places: HashMap<usize, Known, AddressHasher>,
    entered: Vec<Entered>,
    message: Text,
    fields: Text,
}

/// A place that has been seen before.
struct Known {
    place: Place,
    /// The message of the first time.
    message: Option<(StringId, Box<str>)>,
}

/// A span that the thread is in.
struct Entered {
    id: u64,
    number: SpanId,
    name: StringId,
    at: Stamp,
}

impl Thread {
    /// Calls `body`, unless this thread is in the middle of such a call. What cannot be recorded is counted.
    fn with<R>(body: impl FnOnce(&mut Self) -> Option<R>) -> Option<R> {
        let done = THREAD.try_with(|thread| body(&mut *thread.try_borrow_mut().ok()?));
        let done = done.ok().flatten();
        if done.is_none() {
            ELSEWHERE.fetch_add(1, Ordering::Relaxed);
        }
        done
    }
}

/// The place that this metadata is of, seen before or not.
fn known<'a>(
    places: &'a mut HashMap<usize, Known, AddressHasher>,
    metadata: &'static Metadata<'static>,
) -> &'a mut Known {
    // An address stands for its place for ever, since it is 'static.
    let address = std::ptr::from_ref(metadata).addr();
    places.entry(address).or_insert_with(|| {
        let strings = Strings::of_process();
        let location = match (metadata.file(), metadata.line()) {
            (Some(file), Some(line)) => strings.intern(&format!("{file}:{line}")),
            (Some(file), None) => strings.intern(file),
            _ => StringId::EMPTY,
        };
        let name =
            if metadata.is_span() { strings.intern(metadata.name()) } else { StringId::EMPTY };
        let target = strings.intern(metadata.target());
        let place = Place { name, target, location, level: level(*metadata.level()) };
        Known { place, message: None }
    })
}

fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::TRACE => Level::Trace,
    }
}

/// Calls `body` with the recorder of the runtime that this thread is inside of, or of its observed loop.
fn with_recorder<R>(body: impl FnOnce(&Recorder) -> R) -> Option<R> {
    if context::is_entered() {
        context::try_with(|core| body(&core.recorder))
    } else {
        observe::try_with(body)
    }
}

fn next_span() -> SpanId {
    static LAST: AtomicU64 = AtomicU64::new(0);
    SpanId((LAST.fetch_add(1, Ordering::Relaxed) + 1) & SpanId::MAX.0)
}

impl<S> Layer<S> for RecorderLayer
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Text::default();
        attributes.record(&mut Fields { message: None, fields: &mut fields });
        span.extensions_mut().insert(Spanned { number: next_span(), fields });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        // Not while the span is locked: what is recorded may be foreign code's.
        let mut fields = Text::default();
        values.record(&mut Fields { message: None, fields: &mut fields });
        if let Some(spanned) = span.extensions_mut().get_mut::<Spanned>() {
            spanned.fields.append(&fields);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        Thread::with(|thread| {
            let span = context.span(id)?;
            let (number, fields) = {
                let extensions = span.extensions();
                let spanned = extensions.get::<Spanned>()?;
                (spanned.number, !spanned.fields.is_empty())
            };
            let place = known(&mut thread.places, span.metadata()).place;
            let entered = with_recorder(|recorder| {
                if !fields {
                    return recorder.span_entered(number, place, &[]);
                }
                let fields = span
                    .extensions_mut()
                    .get_mut::<Spanned>()
                    .map(|spanned| std::mem::take(&mut spanned.fields));
                let pieces = fields.unwrap_or_default().pieces();
                recorder.span_entered(number, place, &pieces)
            })?;
            if let Some(at) = entered
                && thread.entered.len() < ENTERED
            {
                let id = id.into_u64();
                thread.entered.push(Entered { id, number, name: place.name, at });
            }
            Some(())
        });
    }

    fn on_exit(&self, id: &Id, _context: Context<'_, S>) {
        // Whose entry was not recorded, or counted, has no exit either.
        let _ = THREAD.try_with(|thread| {
            let Ok(mut thread) = thread.try_borrow_mut() else { return };
            let id = id.into_u64();
            let Some(index) = thread.entered.iter().rposition(|entered| entered.id == id) else {
                return;
            };
            let Entered { number, name, at, .. } = thread.entered.remove(index);
            with_recorder(|recorder| recorder.span_exited(number, name, at));
        });
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        Thread::with(|thread| {
            let Thread { places, entered, message, fields } = thread;
            message.clear();
            fields.clear();
            event.record(&mut Fields { message: Some(&mut *message), fields: &mut *fields });
            let span = if event.is_contextual() {
                entered.last().map(|entered| entered.number)
            } else {
                event.parent().and_then(|id| number_of(&context, id))
            };
            let known = known(places, event.metadata());
            let (_, said) = known.message.get_or_insert_with(|| {
                (Strings::of_process().intern(message.as_str()), message.as_str().into())
            });
            let constant = &**said == message.as_str();
            let constant = known.message.as_ref().filter(|_| constant).map(|(id, _)| *id);
            let place = known.place;
            if let (Some(message), true) = (constant, fields.is_empty()) {
                let saying = Saying { place, message, span, texts: &[] };
                return with_recorder(|recorder| recorder.log(&saying));
            }
            if constant.is_none() {
                message.append(fields);
                std::mem::swap(message, fields);
            }
            let pieces = fields.pieces();
            let message = constant.unwrap_or(StringId::EMPTY);
            let saying = Saying { place, message, span, texts: &pieces };
            with_recorder(|recorder| recorder.log(&saying))
        });
    }
}

/// The number of a span that is named by an event.
fn number_of<S>(context: &Context<'_, S>, id: &Id) -> Option<SpanId>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let span = context.span(id)?;
    let extensions = span.extensions();
    extensions.get::<Spanned>().map(|spanned| spanned.number)
}
