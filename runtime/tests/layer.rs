//! The `tracing` layer: what an application says is found in the records, on the task that said it.

#![cfg(feature = "tracing")]

#[path = "support/recording.rs"]
mod recording;

use nexus_protocol::event::{Event, Level};
use nexus_protocol::ids::{Seq, TaskId};
use nexus_runtime::layer::{RecorderLayer, elsewhere};
use nexus_runtime::observe::Observer;
use nexus_runtime::{Builder, Runtime, spawn, task};
use recording::Recording;
use std::time::Duration;
use tracing::subscriber::DefaultGuard;
use tracing::{Instrument, debug, error, info, info_span, trace, warn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Records on this thread what these directives let through.
fn recorded(directives: &str) -> DefaultGuard {
    let layer = RecorderLayer::filtered(directives).unwrap();
    tracing_subscriber::registry().with(layer).set_default()
}

/// An event or a span's entry with its text put together.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    seq: Seq,
    level: Level,
    /// The message, or the span's name.
    what: String,
    text: String,
    task: Option<TaskId>,
    in_span: bool,
}

fn said(recording: &Recording) -> Vec<Said> {
    let mut said: Vec<Said> = Vec::new();
    let mut expected = 0;
    for (seq, event) in (0..).zip(&recording.events) {
        match *event {
            Event::Log { level, message, span, texts, task, .. } => {
                let what = recording.string(message).to_owned();
                let (text, in_span) = (String::new(), span.is_some());
                said.push(Said { seq, level, what, text, task, in_span });
                expected = texts;
            }
            Event::SpanEntered { level, name, texts, task, .. } => {
                let what = recording.string(name).to_owned();
                said.push(Said { seq, level, what, text: String::new(), task, in_span: false });
                expected = texts;
            }
            Event::Text { text } => {
                expected -= 1;
                said.last_mut().expect("a text follows what it belongs to").text += text.as_str();
            }
            _ => assert_eq!(expected, 0, "texts follow directly"),
        }
    }
    said
}

fn logs(recording: &Recording) -> Vec<(String, String)> {
    said(recording).into_iter().map(|said| (said.what, said.text)).collect()
}

fn pair(message: &str, text: &str) -> (String, String) {
    (message.to_owned(), text.to_owned())
}

#[test]
fn events_are_on_the_task_and_in_the_poll_that_said_them() {
    let _recorded = recorded("trace");
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        info!("the root speaks");
        spawn(async {
            warn!(target: "shop::orders", "a task speaks");
            task::yield_now().await;
            debug!("it speaks again");
        })
        .await
        .unwrap();
    });
    let recording = Recording::of(runtime.id());
    let said = said(&recording);
    let told: Vec<_> = said.iter().map(|said| (&*said.what, said.level)).collect();
    let expected = [
        ("the root speaks", Level::Info),
        ("a task speaks", Level::Warn),
        ("it speaks again", Level::Debug),
    ];
    assert_eq!(told, expected);
    assert_ne!(said[0].task, said[1].task);
    assert_eq!(said[1].task, said[2].task);
    let mut polls = Vec::new();
    for said in &said {
        let event = recording.events[said.seq as usize];
        let Event::Log { poll: Some(poll), task, target, location, .. } = event else {
            panic!("{event:?}")
        };
        let start = recording.events[poll as usize];
        assert!(matches!(start, Event::PollStart { task: polled, .. } if Some(polled) == task));
        let target = recording.string(target);
        assert_eq!(target, if said.level == Level::Warn { "shop::orders" } else { "layer" });
        assert!(recording.string(location).starts_with("runtime/tests/layer.rs:"), "{location:?}");
        polls.push(poll);
    }
    assert!(polls.is_sorted_by(|one, other| one < other), "each in a poll of its own: {polls:?}");
}

#[test]
fn values_are_text_behind_the_record_and_bounded() {
    let _recorded = recorded("trace");
    let runtime = Runtime::new().unwrap();
    let long = "ß".repeat(10_000);
    runtime.block_on(async {
        for number in 0..2 {
            info!(number, name = "feed", ok = true, "constant");
            info!("number {number}");
            info!(number, "number {number}");
            info!(%number, price = 1.5, reason = ?Some("late"));
            info!("{long}");
        }
    });
    let logs = logs(&Recording::of(runtime.id()));
    let (first, second) = logs.split_at(5);
    for (number, said) in [(0, first), (1, second)] {
        let fields = format!("number={number} name=\"feed\" ok=true");
        assert_eq!(said[0], pair("constant", &fields));
        assert_eq!(said[3].1, format!("number={number} price=1.5 reason=Some(\"late\")"));
    }
    // What is said first at a place is stored as if it were always the same.
    assert_eq!(first[1], pair("number 0", ""));
    assert_eq!(first[2], pair("number 0", "number=0"));
    assert_eq!(second[1], pair("", "number 1"));
    assert_eq!(second[2], pair("", "number 1 number=1"));
    let whole = format!("{}{}", second[4].0, second[4].1);
    assert!(whole.ends_with("ß…") || whole.len() == 176, "{whole}");
    assert!(whole.len() <= 176, "{} bytes", whole.len());
}

#[test]
fn spans_are_entered_and_left_in_each_poll_and_tell_their_fields_once() {
    let _recorded = recorded("trace");
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let work = async {
            info!("before");
            task::yield_now().await;
            tracing::Span::current().record("answer", 42);
            info_span!("inner").in_scope(|| info!("within"));
        };
        let span = info_span!("request", id = 7, answer = tracing::field::Empty);
        work.instrument(span).await;
        info!("outside");
    });
    let recording = Recording::of(runtime.id());
    let said = said(&recording);
    let told: Vec<_> = said.iter().map(|said| (&*said.what, &*said.text, said.in_span)).collect();
    // An instrumented future enters its span once more to be dropped.
    let expected = [
        ("request", "id=7", false),
        ("before", "", true),
        ("request", "", false),
        ("inner", "", false),
        ("within", "", true),
        ("request", "answer=42", false),
        ("outside", "", false),
    ];
    assert_eq!(told, expected);
    let (mut entered, mut depth) = (Vec::new(), 0);
    for event in &recording.events {
        match *event {
            Event::SpanEntered { span, .. } => {
                entered.push(span);
                depth = depth.max(entered.len());
            }
            Event::SpanExited { span, entered: since, .. } => {
                assert_eq!(entered.pop(), Some(span), "spans nest");
                assert!(!since.is_never());
            }
            _ => {}
        }
    }
    assert_eq!((entered.len(), depth), (0, 2));
}

#[test]
fn directives_decide_what_is_recorded() {
    let _recorded = recorded("warn,layer=info,layer::quiet=off");
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        info!("recorded");
        debug!("not recorded");
        info!(target: "elsewhere", "not recorded");
        error!(target: "elsewhere", "recorded");
        error!(target: "layer::quiet", "not recorded");
    });
    let logs = logs(&Recording::of(runtime.id()));
    assert_eq!(logs, [pair("recorded", ""), pair("recorded", "")]);
    assert!(RecorderLayer::filtered::<tracing_subscriber::Registry>("a=b=c").is_err());
}

#[test]
fn what_has_no_ring_is_counted() {
    let _recorded = recorded("trace");
    let before = elsewhere();
    info!("before there is a runtime");
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async { info!("recorded") });
    info!("outside of block_on");
    let layer = RecorderLayer::filtered("trace").unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    let speak = || tracing::subscriber::with_default(subscriber, || info!("another thread"));
    std::thread::spawn(speak).join().unwrap();
    assert!(elsewhere() >= before + 3, "{}", elsewhere());
    assert_eq!(logs(&Recording::of(runtime.id())), [pair("recorded", "")]);
}

#[test]
fn a_storm_takes_no_more_memory_than_the_ring() {
    let _recorded = recorded("trace");
    let runtime = Builder::new().ring_records(1024).build().unwrap();
    runtime.block_on(async {
        info!("first");
        for number in 0..100_000 {
            trace!(number, "again");
        }
    });
    let strings = |runtime: &Runtime| Recording::tail_of(runtime.id()).strings().len();
    let before = strings(&runtime);
    runtime.block_on(async {
        for number in 0..100_000 {
            trace!("and again {number}");
        }
    });
    // The place and its first message, besides what other tests say meanwhile.
    assert!(strings(&runtime) <= before + 1_000);
}

#[test]
fn a_loop_of_ones_own_has_it_too() {
    let _recorded = recorded("trace");
    let observer = Observer::new("loop");
    observer.turn_by(Some(Duration::ZERO), || Ok(0)).unwrap();
    let task = observer.task("handler");
    task.poll(|| info!("handled"));
    info!("between");
    let said = said(&Recording::of(observer.id()));
    let told: Vec<_> = said.iter().map(|said| (&*said.what, said.task)).collect();
    assert_eq!(told, [("handled", Some(task.id())), ("between", None)]);
}

#[test]
fn without_a_recorder_nothing_happens() {
    let _recorded = recorded("trace");
    let runtime = Builder::new().recorder(false).build().unwrap();
    runtime.block_on(async {
        info_span!("span", field = 1).in_scope(|| info!(field = 2, "said"));
    });
}
