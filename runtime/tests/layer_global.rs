//! The `tracing` layer as the whole process's: what is said while something is being recorded comes back to it.

#![cfg(feature = "tracing")]

#[path = "support/recording.rs"]
mod recording;

use nexus_protocol::Event;
use nexus_runtime::Runtime;
use nexus_runtime::layer::{RecorderLayer, elsewhere};
use recording::Recording;
use std::fmt;
use tracing::{info, info_span};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Says something while it is written down.
struct Chatty;

impl fmt::Debug for Chatty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        info_span!("within a field").in_scope(|| info!(field = 1, "said by a field"));
        f.write_str("chatty")
    }
}

#[test]
fn nothing_is_recorded_within_itself() {
    // By default what is of interest is recorded: `info` and worse.
    tracing_subscriber::registry().with(RecorderLayer::from_env().unwrap()).init();
    let runtime = Runtime::new().unwrap();
    let before = elsewhere();
    runtime.block_on(async { info!(field = ?Chatty, "once") });
    assert_eq!(elsewhere(), before + 2, "the span and the event of the field");
    let (mut texts, mut logs) = (String::new(), 0);
    for event in Recording::of(runtime.id()).events {
        match event {
            Event::Log { .. } => logs += 1,
            Event::Text { text } => texts += text.as_str(),
            Event::SpanEntered { .. } | Event::SpanExited { .. } => panic!("{event:?}"),
            _ => {}
        }
    }
    assert_eq!((logs, &*texts), (1, "field=chatty"));
}
