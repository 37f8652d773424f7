//! Every pane as it looks at two sizes, and that no size is too small.

use super::draw;
use super::theme::Theme;
use crate::app::{App, testing};
use crate::event::Event;
use crate::source::{Ending, Mode, Update};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use nexus_protocol::event::{Event as Recorded, Level};
use nexus_protocol::frame::ServerFrame;
use nexus_protocol::{Record, Stamp, StringId};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;
use std::time::Duration;

const SMALL: Size = Size { width: 80, height: 24 };
const LARGE: Size = Size { width: 120, height: 40 };

fn press(app: &mut App, keys: &str) {
    for key in keys.split_whitespace() {
        let code = match key {
            "Up" => KeyCode::Up,
            "Down" => KeyCode::Down,
            "Left" => KeyCode::Left,
            "Right" => KeyCode::Right,
            "Enter" => KeyCode::Enter,
            "space" => KeyCode::Char(' '),
            other => KeyCode::Char(other.chars().next().expect("a key")),
        };
        app.update(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }
}

fn app(mode: Mode, size: Size, ending: Option<Ending>) -> App {
    app_with(testing::frames(12), mode, size, ending)
}

fn app_with(frames: Vec<ServerFrame>, mode: Mode, size: Size, ending: Option<Ending>) -> App {
    let mut app = App::new("trace.json", mode, size);
    for frame in frames {
        app.update(Event::Update(Update::Frame(frame)));
    }
    if let Some(ending) = ending {
        app.update(Event::Update(Update::Ended(ending)));
    }
    app.update(Event::Tick(Duration::from_millis(50)));
    app
}

fn screen(app: &App, size: Size) -> String {
    let mut terminal = Terminal::new(TestBackend::new(size.width, size.height)).expect("a screen");
    terminal.draw(|frame| draw(frame, app, &Theme::new(true))).expect("it never fails");
    let buffer = terminal.backend().buffer();
    let line = |y| -> String { (0..size.width).map(|x| buffer[(x, y)].symbol()).collect() };
    (0..size.height).map(|y| line(y).trim_end().to_owned() + "\n").collect()
}

fn replayed(size: Size, keys: &str) -> String {
    let mut app = app(Mode::Replay, size, Some(Ending::EndOfFile { truncated: false }));
    press(&mut app, keys);
    screen(&app, size)
}

macro_rules! screens {
    ($($name:ident: $keys:literal;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(concat!(stringify!($name), "_80x24"), replayed(SMALL, $keys));
            insta::assert_snapshot!(concat!(stringify!($name), "_120x40"), replayed(LARGE, $keys));
        }
    )*};
}

screens! {
    tokens: "1";
    tokens_by_location: "1 g Down Enter";
    token_detail: "1 Down Down Enter";
    tasks: "2";
    task_detail: "2 Down Down Enter";
    timeline: "3";
    timeline_with_cursor: "3 Down Down Down P";
    timeline_near: "3 Down - P + + + + + + + +";
    freelist: "4";
    freelist_with_slot: "4 Right Right Right Right";
    help: "?";
    filter: "1 / s e s s";
}

#[test]
fn live_and_gone() {
    insta::assert_snapshot!("live_120x40", screen(&app(Mode::Live, LARGE, None), LARGE));
    let mut gone = app(Mode::Live, SMALL, Some(Ending::TargetGone));
    gone.update(Event::Tick(Duration::from_secs(12)));
    insta::assert_snapshot!("gone_80x24", screen(&gone, SMALL));
    let mut held = app(Mode::Live, SMALL, None);
    press(&mut held, "space ,");
    insta::assert_snapshot!("held_80x24", screen(&held, SMALL));
    let size = Size { width: 40, height: 10 };
    let mut tiny = app(Mode::Live, size, None);
    insta::assert_snapshot!("tokens_40x10", screen(&tiny, size));
    press(&mut tiny, "3");
    insta::assert_snapshot!("timeline_40x10", screen(&tiny, size));
}

#[test]
fn no_size_is_too_small() {
    let mut app = app(Mode::Replay, LARGE, Some(Ending::EndOfFile { truncated: true }));
    let sizes = (1..=12).flat_map(|height| [1, 2, 3, 7, 19, 40, 81].map(|width| (width, height)));
    for (width, height) in sizes {
        let size = Size { width, height };
        app.update(Event::Resize(size));
        for keys in ["1", "2 Down Enter", "3 Left", "4 Right", "?", "?"] {
            press(&mut app, keys);
            screen(&app, size);
            // The terminal can be smaller than the app has been told.
            screen(&app, Size { width: width.div_ceil(2), height: height.div_ceil(2) });
        }
        press(&mut app, "2 Enter");
    }
}

#[test]
fn without_colours_nothing_is_coloured() {
    let mut app = app(Mode::Replay, LARGE, Some(Ending::EndOfFile { truncated: false }));
    for keys in ["1", "2", "3 Down Down P", "4", "?"] {
        press(&mut app, keys);
        let mut terminal = Terminal::new(TestBackend::new(120, 40)).expect("a screen");
        terminal.draw(|frame| draw(frame, &app, &Theme::new(false))).expect("it never fails");
        for cell in &terminal.backend().buffer().content {
            use ratatui::style::Color::Reset;
            assert_eq!((cell.fg, cell.bg), (Reset, Reset), "{:?} in {keys}", cell.symbol());
        }
    }
}

#[test]
fn before_anything_is_known_the_screen_says_what_it_waits_for() {
    let app = App::new("gateway (4711)", Mode::Live, SMALL);
    let text = screen(&app, SMALL);
    assert!(text.contains("waiting for the process to say who it is"), "{text}");
    assert!(text.contains("○ attaching"), "{text}");
}

#[test]
fn a_runtime_that_is_not_recorded_is_shown_as_such_in_every_pane() {
    let mut app = App::new("gateway", Mode::Live, SMALL);
    for frame in testing::frames(1).into_iter().take(1) {
        let ServerFrame::Hello { version, process, mut runtimes } = frame else {
            panic!("a hello")
        };
        runtimes[0].ring_capacity = 0;
        let hello = ServerFrame::Hello { version, process, runtimes };
        app.update(Event::Update(Update::Frame(hello)));
    }
    app.update(Event::Tick(Duration::from_millis(50)));
    insta::assert_snapshot!("recorder_off_80x24", screen(&app, SMALL));
    for pane in ["1", "2", "3", "4"] {
        press(&mut app, pane);
        let screen = screen(&app, SMALL);
        assert!(screen.contains("recorder off") && screen.contains("not recorded"), "{screen}");
        let is_zero = |word: &str| word.parse() == Ok(0.0);
        assert!(!screen.split([' ', '/']).any(is_zero), "zeros: {screen}");
    }
}

#[test]
fn what_the_ring_had_overwritten_before_is_not_called_lost() {
    let mut app = App::new("gateway", Mode::Live, SMALL);
    let loss = |from, to| ServerFrame::Loss { runtime: testing::RUNTIME, from, to };
    let hello = testing::frames(1).into_iter().take(1);
    for frame in hello.chain([loss(0, 1_200_000)]) {
        app.update(Event::Update(Update::Frame(frame)));
    }
    app.update(Event::Tick(Duration::from_millis(50)));
    let before = screen(&app, SMALL);
    assert!(before.contains("1.20M older overwritten") && before.contains("lost 0"), "{before}");
    app.update(Event::Update(Update::Frame(loss(1_200_000, 1_200_500))));
    app.update(Event::Tick(Duration::from_millis(50)));
    assert!(screen(&app, SMALL).contains("lost 500"), "{}", screen(&app, SMALL));
}

/// The legend speaks of levels, and a lane has marks for them, only where an application says something.
#[test]
fn what_the_application_says_is_marked_in_its_lane() {
    let mut frames = testing::frames(12);
    let Some(ServerFrame::Events { records, next_seq, .. }) = frames.last() else {
        panic!("records come last")
    };
    let (seq, at) = (*next_seq, records.last().expect("a record").at);
    let records: Vec<_> = [Level::Info, Level::Warn, Level::Error, Level::Trace]
        .into_iter()
        .zip(1..)
        .map(|(level, later)| {
            let event = Recorded::Log {
                level,
                message: StringId(2),
                target: StringId(4),
                location: StringId::EMPTY,
                span: None,
                texts: 0,
                task: Some(testing::SINNER),
                poll: None,
            };
            Record { seq: seq + later - 1, at: Stamp(at.0 + later * 20_000_000), event }
        })
        .collect();
    let (runtime, next_seq) = (testing::RUNTIME, seq + 4);
    frames.push(ServerFrame::Events { runtime, records, next_seq, filtered: 0 });
    let ending = Some(Ending::EndOfFile { truncated: false });
    for size in [SMALL, LARGE, Size { width: 200, height: 50 }] {
        let mut app = app_with(frames.clone(), Mode::Replay, size, ending.clone());
        press(&mut app, "3");
        let screen = screen(&app, size);
        let lane = screen.lines().find(|line| line.contains("quotes")).expect("the task's lane");
        let marks: String = lane.chars().filter(|mark| "EW•·".contains(*mark)).collect();
        assert_eq!(marks, "•WE·", "{screen}");
        assert!(screen.contains("E error W warn • info"), "{screen}");
        assert!(!replayed(size, "3").contains("E error"), "nobody says anything");
    }
}
