//! How the app answers keys and frames, without a terminal.

use super::playback::Playback;
use super::table::{Column, Line};
use super::testing::{self, FORGOTTEN, SINNER, SPINNER};
use super::*;
use crate::app::value::Value;
use crossterm::event::KeyEvent;

const SECONDS: u64 = 12;

fn press(app: &mut App, keys: &str) {
    for key in keys.split(' ') {
        let code = match key {
            "Up" => KeyCode::Up,
            "Down" => KeyCode::Down,
            "Left" => KeyCode::Left,
            "Right" => KeyCode::Right,
            "Home" => KeyCode::Home,
            "End" => KeyCode::End,
            "Tab" => KeyCode::Tab,
            "Enter" => KeyCode::Enter,
            "Esc" => KeyCode::Esc,
            "space" => KeyCode::Char(' '),
            other => KeyCode::Char(other.chars().next().unwrap()),
        };
        app.update(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }
}

fn tick(app: &mut App) {
    app.update(Event::Tick(Duration::from_millis(50)));
}

/// An app that has been told of all but the last frames, and those.
fn live() -> (App, Vec<ServerFrame>) {
    let mut app = App::new("gateway (4711)", Mode::Live, Size { width: 120, height: 40 });
    let mut frames = testing::frames(SECONDS);
    let rest = frames.split_off(frames.len() - 3);
    for frame in frames {
        app.update(Event::Update(Update::Frame(frame)));
    }
    tick(&mut app);
    (app, rest)
}

fn replay() -> App {
    let mut app = App::new("trace.json", Mode::Replay, Size { width: 120, height: 40 });
    for frame in testing::frames(SECONDS) {
        app.update(Event::Update(Update::Frame(frame)));
    }
    app.update(Event::Update(Update::Ended(Ending::EndOfFile { truncated: false })));
    app
}

fn column(app: &App, column: TokenColumn) -> Vec<Value> {
    let lines = app.tokens.lines.iter();
    lines.map(|line| app.tokens.value(line, column, app.context())).collect()
}

#[test]
fn the_largest_value_comes_first_and_reversing_turns_it_round() {
    let (mut app, _) = live();
    while app.tokens.sort != TokenColumn::BytesIn {
        press(&mut app, "s");
    }
    let values = column(&app, TokenColumn::BytesIn);
    assert!(values.len() > 4, "{values:?}");
    assert!(values.windows(2).all(|pair| pair[0].order(&pair[1], true).is_le()), "{values:?}");
    assert_ne!(values.first(), values.last());
    press(&mut app, "r");
    let mut reversed = column(&app, TokenColumn::BytesIn);
    reversed.reverse();
    assert_eq!(reversed, values);
    press(&mut app, "S");
    assert_eq!(app.tokens.sort, TokenColumn::Stale);
    assert!(app.tokens.descending, "another column starts with its own order");
}

#[test]
fn a_selected_row_stays_selected_while_the_order_changes() {
    let (mut app, rest) = live();
    press(&mut app, "Down Down");
    let selected = app.tokens.selected_row();
    assert!(selected.is_some());
    press(&mut app, "s s s r");
    for frame in rest {
        app.update(Event::Update(Update::Frame(frame)));
    }
    tick(&mut app);
    assert_eq!(app.tokens.selected_row(), selected);
}

#[test]
fn pausing_freezes_what_is_shown_while_the_model_goes_on() {
    let (mut app, rest) = live();
    press(&mut app, "space");
    let (view, lines) = (app.view.clone(), app.tokens.lines.clone());
    for frame in rest {
        app.update(Event::Update(Update::Frame(frame)));
    }
    tick(&mut app);
    assert_eq!(app.view, view);
    assert_eq!(app.tokens.lines, lines);
    let now = app.runtime().unwrap().now();
    assert!(now > view.at);
    press(&mut app, "space");
    assert_eq!(app.view.at, now);
    assert_eq!(app.playback, Playback::Follow);
}

#[test]
fn groups_sum_up_their_members_and_open() {
    let (mut app, _) = live();
    let sum: u64 = app.view.tokens.iter().map(|token| token.row.counters.bytes_in).sum();
    press(&mut app, "g");
    assert!(app.tokens.lines.iter().all(|line| matches!(line, Line::Group { .. })));
    let of_groups: u64 = column(&app, TokenColumn::BytesIn)
        .iter()
        .map(|value| if let Value::Bytes(bytes) = value { *bytes } else { panic!("{value:?}") })
        .sum();
    assert_eq!(of_groups, sum);
    let groups = app.tokens.lines.len();
    press(&mut app, "Down Enter");
    assert!(app.tokens.lines.len() > groups, "its members are listed");
    assert!(app.detail.is_none());
    press(&mut app, "Enter");
    assert_eq!(app.tokens.lines.len(), groups);
    press(&mut app, "g");
    assert_eq!(app.tokens.group, Some(TokenColumn::Owner));
    press(&mut app, "g");
    assert_eq!(app.tokens.group, None);
}

#[test]
fn a_filter_keeps_what_contains_it() {
    let (mut app, _) = live();
    press(&mut app, "/ f e e d");
    assert!(app.typing);
    assert_eq!(app.tokens.lines.len(), 1);
    press(&mut app, "q Esc");
    assert!(!app.is_done(), "while typing, q is a letter");
    assert_eq!(app.filter, "");
    assert_eq!(app.tokens.lines.len(), app.view.tokens.len());
}

#[test]
fn panes_are_reached_by_number_and_by_tab() {
    let (mut app, _) = live();
    press(&mut app, "3");
    assert_eq!(app.pane, Pane::Timeline);
    press(&mut app, "Tab");
    assert_eq!(app.pane, Pane::Freelist);
    press(&mut app, "? Down");
    assert_eq!(app.help, Some(1));
    press(&mut app, "1");
    assert_eq!((app.help, app.pane), (None, Pane::Tokens));
    press(&mut app, "q");
    assert!(app.is_done());
}

#[test]
fn the_owner_of_a_token_and_the_lane_of_a_task_are_a_key_away() {
    let (mut app, _) = live();
    app.tokens.select_row(FORGOTTEN);
    press(&mut app, "o");
    assert_eq!(app.pane, Pane::Tasks);
    assert_eq!(app.tasks.selected_row(), Some(nexus_protocol::TaskId(5)));
    app.tasks.select_row(SINNER);
    press(&mut app, "t");
    assert_eq!((app.pane, app.timeline.selected), (Pane::Timeline, Some(SINNER)));
    press(&mut app, "2 o");
    assert_eq!(app.pane, Pane::Tokens, "the task waits for a token");
}

#[test]
fn the_detail_of_a_forgotten_token_says_so() {
    let (mut app, _) = live();
    app.tokens.select_row(FORGOTTEN);
    press(&mut app, "Enter");
    let detail = app.detail.as_ref().unwrap();
    assert_eq!(detail.title, "token 3.1");
    assert!(detail.notes.iter().any(|note| note.text.contains("nobody waits for it")));
    press(&mut app, "Esc");
    assert_eq!(app.detail, None);
}

#[test]
fn a_trace_opens_at_its_end_and_can_be_moved_and_played() {
    let mut app = replay();
    let (first, last) = {
        let runtime = app.runtime().unwrap();
        (runtime.earliest(), runtime.now())
    };
    assert_eq!(app.playback, Playback::Hold(last));
    press(&mut app, ",");
    assert_eq!(app.view.at, Stamp(last.0 - 50_000_000));
    press(&mut app, "[");
    assert_eq!(app.view.at, first);
    press(&mut app, "<");
    assert_eq!(app.view.at, first, "there is nothing before the beginning");
    press(&mut app, "> >");
    assert_eq!(app.view.at, Stamp(first.0 + 1_000_000_000));
    let tokens = app.view.tokens.len();
    press(&mut app, "space");
    tick(&mut app);
    assert_eq!(app.view.at, Stamp(first.0 + 1_050_000_000));
    press(&mut app, ") ) )");
    for _ in 0..10 {
        tick(&mut app);
    }
    assert_eq!(app.playback, Playback::Hold(last), "it stops at the end");
    assert_ne!(app.view.tokens.len(), tokens);
}

#[test]
fn the_cursor_finds_spurious_polls_and_tells_their_story() {
    let mut app = replay();
    app.tasks.select_row(SINNER);
    press(&mut app, "2 t P");
    let story: String = told(&app);
    assert!(story.contains("token 2.1 writable → task 3 (quotes) queued"), "{story}");
    assert!(story.contains("spurious, it achieved nothing"), "{story}");
    assert!(story.contains("read 2.1 → would-block"), "{story}");
    let at = app.timeline.cursor.unwrap();
    press(&mut app, "P");
    assert!(app.timeline.cursor.unwrap() < at);
    press(&mut app, "N");
    assert_eq!(app.timeline.cursor.unwrap(), at);
}

#[test]
fn a_self_waking_task_is_told_as_one() {
    let mut app = replay();
    app.timeline.selected = Some(SPINNER);
    press(&mut app, "3 P");
    let story = told(&app);
    assert!(story.contains("woke itself → task 4"), "{story}");
    assert!(story.contains("no operation of ours"), "{story}");
}

fn told(app: &App) -> String {
    let scene = app.timeline.scene.as_ref().unwrap();
    scene.story.iter().map(|note| format!("{}: {}\n", note.label, note.text)).collect()
}

#[test]
fn the_cursor_moves_time_when_it_runs_into_an_edge_and_zooming_keeps_its_place() {
    let mut app = replay();
    press(&mut app, "3 [ > > > > Left");
    let edge = app.view.at;
    press(&mut app, "+");
    assert!(app.view.at > Stamp(edge.0), "what comes after the cursor is shown as well");
    for _ in 0..10 {
        press(&mut app, "Left");
    }
    let cursor = app.timeline.cursor.unwrap();
    let cell = app.timeline.scene.as_ref().unwrap().cursor;
    press(&mut app, "+ + +");
    assert_eq!(app.timeline.cursor, Some(cursor));
    let after = app.timeline.scene.as_ref().unwrap().cursor;
    assert!(cell.unwrap().abs_diff(after.unwrap()) <= 1, "{cell:?} {after:?}");
    let (at, cells) = (app.view.at, app.timeline.scene.as_ref().unwrap().scale.cells);
    for _ in 0..cells {
        press(&mut app, "Right");
    }
    assert!(app.view.at > at);
}

#[test]
fn a_target_that_is_gone_leaves_its_last_state() {
    let (mut app, _) = live();
    let tokens = app.view.tokens.clone();
    app.update(Event::Update(Update::Ended(Ending::TargetGone)));
    app.update(Event::Tick(Duration::from_secs(3)));
    assert_eq!(app.view.tokens, tokens);
    assert!(matches!(app.ending, Some((Ending::TargetGone, since)) if since.as_secs() == 3));
    press(&mut app, "2");
    assert!(!app.tasks.lines.is_empty());
}

#[test]
fn lanes_keep_their_places_while_time_goes_on() {
    let (mut app, rest) = live();
    press(&mut app, "3");
    let lanes = |app: &App| -> Vec<_> {
        app.timeline.scene.as_ref().unwrap().lanes.iter().map(|lane| lane.task).collect()
    };
    let before = lanes(&app);
    for frame in rest {
        app.update(Event::Update(Update::Frame(frame)));
    }
    tick(&mut app);
    let after = lanes(&app);
    let still: Vec<_> = before.iter().filter(|task| after.contains(task)).collect();
    let places: Vec<_> = after.iter().filter(|task| before.contains(task)).collect();
    assert_eq!(still, places);
    assert!(!still.is_empty());
}

#[test]
fn every_column_can_be_sorted_by_in_both_tables() {
    let (mut app, _) = live();
    for _ in 0..TokenColumn::ALL.len() {
        press(&mut app, "s r");
        assert_eq!(app.tokens.lines.len(), app.view.tokens.len());
    }
    assert_eq!(app.tokens.sort, TokenColumn::Events, "it goes round");
    press(&mut app, "2");
    for _ in 0..TaskColumn::ALL.len() {
        press(&mut app, "s r");
        assert_eq!(app.tasks.lines.len(), app.view.tasks.len());
    }
}

#[test]
fn what_passes_through_a_primitive_is_told_in_words() {
    use nexus_protocol::event::{Cause, Operation, OperationResult, Subject, WokenBy};
    use nexus_protocol::{Event, PrimitiveId, Record};
    let app = live().0;
    let speaker = words::Speaker {
        view: &app.view,
        strings: app.model.strings(),
        origin: nexus_protocol::Stamp::NEVER,
    };
    let primitive = PrimitiveId(12);
    let told = |operation, result| {
        let subject = Subject::Primitive(primitive);
        let event = Event::Operation { operation, subject, result, task: None, poll: None };
        speaker.operation(&Record { seq: 1, at: nexus_protocol::Stamp(1), event }).unwrap()
    };
    let one = OperationResult::Done(1);
    assert_eq!(told(Operation::Receive, one), "receive on primitive 12 → 1 message");
    let many = OperationResult::Done(1200);
    assert_eq!(told(Operation::Receive, many), "receive on primitive 12 → 1,200 messages");
    let closed = OperationResult::EndOfFile;
    assert_eq!(told(Operation::Send, closed), "send on primitive 12 → closed");
    let not_ready = OperationResult::NotReady;
    assert_eq!(told(Operation::Notified, not_ready), "notified on primitive 12 → not-ready");
    assert_eq!(told(Operation::Cancelled, one), "cancelled on primitive 12 → done");
    let cause = |by| speaker.cause(&Cause::Primitive { primitive, by });
    assert_eq!(cause(WokenBy::Outside), "primitive 12, used outside of any poll");
    assert!(cause(WokenBy::Task(SPINNER)).starts_with("primitive 12, by "));
    let by = WokenBy::Thread { thread: 4712, woken: nexus_protocol::Stamp(1) };
    assert_eq!(cause(by), "primitive 12, by thread 4712");
}

#[test]
fn what_the_application_says_is_told_with_its_poll() {
    use crate::model::Chain;
    use nexus_protocol::event::Level;
    use nexus_protocol::fragment::Fragment;
    use nexus_protocol::{Event, Record, SpanId, Stamp, StringId};
    let app = live().0;
    let speaker =
        words::Speaker { view: &app.view, strings: app.model.strings(), origin: Stamp::NEVER };
    // Strings of the made-up process: 2 is "feed", 4 is "quotes", 7 is "heartbeat".
    let (name, target, location) = (StringId(4), StringId(2), StringId::EMPTY);
    let (span, task, poll) = (SpanId(3), Some(SPINNER), None);
    let log = |level, message, texts| Event::Log {
        level,
        message,
        target,
        location,
        span: None,
        texts,
        task,
        poll,
    };
    let text = |text| Event::Text { text: Fragment::split(text).0 };
    let level = Level::Info;
    let events = [
        Event::SpanEntered { span, name, target, location, level, texts: 1, task, poll },
        text("id=7"),
        log(Level::Warn, StringId(7), 0),
        log(Level::Debug, StringId(7), 2),
        text("reason=\"a\u{1b}[31m"),
        text("\""),
        log(Level::Error, StringId::EMPTY, 1),
        text("number 8"),
        Event::SpanExited { span, name, entered: Stamp(1_000), task, poll },
    ];
    let others = (0..).zip(events).map(|(seq, event)| Record { seq, at: Stamp(2_000), event });
    let mut chain = Chain {
        task: SPINNER,
        event: None,
        wake: None,
        redundant: Vec::new(),
        start: None,
        operations: Vec::new(),
        others: others.collect(),
        end: None,
        incomplete: false,
    };
    let told = |chain: &Chain| -> Vec<(String, String)> {
        let notes = speaker.chain(chain).into_iter().skip(1);
        notes.map(|note| (note.label, note.text)).collect()
    };
    let lines = told(&chain);
    let expected = [
        ("warn", "feed: heartbeat"),
        ("debug", "feed: heartbeat reason=\"a␛[31m\""),
        ("error", "feed: number 8"),
        ("span", "quotes id=7, for 1.00 µs"),
    ];
    let expected = expected.map(|(label, text)| (label.to_owned(), text.to_owned()));
    assert_eq!(lines, expected, "control characters never reach the terminal");
    let once = chain.others.clone();
    for _ in 0..9 {
        chain.others.extend(once.iter().copied());
    }
    let lines = told(&chain);
    assert_eq!(lines.len(), 9);
    assert_eq!(lines[8].1, "and 32 more lines and spans");
}
