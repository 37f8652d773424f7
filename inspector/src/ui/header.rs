//! Who is observed, how it is doing, and how fresh that is.
//!
//! ```text
//!  echo · pid 4711 · up 3m 05s · runtime main (1 of 2) · parked for 2.1 s            ● live
//!  events 52.3k/s  wakes 41.2k/s  polls 48.0k/s  turns 12.1k/s  busy 63%             lost 0
//! ```

use super::theme::Theme;
use super::widget::axis::moment;
use super::widget::line::{Piece, piece, put_left, put_right};
use crate::app::App;
use crate::app::playback::Playback;
use crate::app::tasks::task_text;
use crate::app::value::{percent, short_rate};
use crate::model::Certainty;
use crate::source::{Ending, Mode};
use crate::text;
use nexus_protocol::board::Activity;
use nexus_protocol::frame::{Goodbye, KindFilter};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// An activity that has lasted for this long is worth telling.
const LASTING_NS: u64 = 100_000_000;

/// A poll that has lasted for this long keeps everybody else waiting.
const HUNG_NS: u64 = 500_000_000;

/// Draws the header: two lines, or the first one only.
pub fn draw(buffer: &mut Buffer, area: Rect, app: &App, theme: &Theme) {
    if area.is_empty() {
        return;
    }
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), height: 1, ..area };
    draw_line(buffer, inner, identity(app, theme), state(app, theme), 3, theme);
    if area.height > 1 {
        let below = Rect { y: inner.y + 1, ..inner };
        draw_line(buffer, below, rates(app, theme), losses(app, theme), 2, theme);
    }
}

/// Draws pieces on both sides. Those on the right have precedence.
fn draw_line(
    buffer: &mut Buffer,
    area: Rect,
    left: Vec<Piece>,
    right: Vec<Piece>,
    gap: u16,
    theme: &Theme,
) {
    let start = if right.is_empty() { area.right() } else { put_right(buffer, area, right, 2) };
    let room = Rect { width: start.saturating_sub(area.x + 2), ..area };
    if room.is_empty() {
        return;
    }
    let left = super::widget::line::fit(left, gap, room.width);
    let mut x = room.x;
    for (at, piece) in left.into_iter().enumerate() {
        if at > 0 {
            let separator = if gap == 3 { " · " } else { "  " };
            x = super::widget::line::put(buffer, room, x, room.y, separator, theme.dim());
        }
        x = put_left(buffer, Rect { x, width: room.right() - x, ..room }, vec![piece], 0);
    }
}

fn identity(app: &App, theme: &Theme) -> Vec<Piece> {
    let mut pieces = Vec::new();
    match app.model.process() {
        None => pieces.push(piece(app.title.clone(), theme.strong(), 0)),
        Some(process) => {
            let program = text::clean(&process.program).into_owned();
            let name = if program.is_empty() { app.title.clone() } else { program };
            if app.mode == Mode::Replay && app.title != name {
                pieces.push(piece(app.title.clone(), theme.strong(), 4));
            }
            pieces.push(piece(name, theme.strong(), 0));
            pieces.push(piece(format!("pid {}", process.pid), theme.plain(), 3));
            if !app.is_off() {
                let up = text::duration_ns(app.view.at.since(process.started));
                pieces.push(piece(format!("up {up}"), theme.plain(), 5));
            }
        }
    }
    pieces.extend(runtime(app, theme));
    pieces.extend(activity(app, theme));
    pieces
}

fn runtime(app: &App, theme: &Theme) -> Option<Piece> {
    let runtime = app.runtime()?;
    let info = runtime.info();
    let name = match info.name.as_str() {
        "" => format!("runtime {}", info.id),
        name => format!("runtime {}", text::clean(name)),
    };
    let all = app.model.runtimes().len();
    let at = app.model.runtimes().position(|other| other.info().id == info.id).unwrap_or(0);
    let place = if all > 1 { format!(" ({} of {all})", at + 1) } else { String::new() };
    let ended = if info.ended.is_never() { "" } else { ", ended" };
    Some(piece(format!("{name}{place}{ended}"), theme.plain(), if all > 1 { 2 } else { 6 }))
}

fn activity(app: &App, theme: &Theme) -> Option<Piece> {
    let since = app.view.since.known()?;
    let length = app.view.at.since(since);
    if length < LASTING_NS {
        return None;
    }
    let lasting = text::duration_ns(length);
    Some(match app.view.activity {
        Activity::Polling(task) => {
            let strings = app.model.strings();
            let row = app.view.task_row(task);
            let place = row.map_or("", |row| strings.get(row.location));
            let who = task_text(task, &app.view, strings);
            let text = format!("polling {who} {} for {lasting}", text::clean(place));
            piece(text, if length >= HUNG_NS { theme.bad() } else { theme.notice() }, 1)
        }
        Activity::Parked => piece(format!("parked for {lasting}"), theme.dim(), 7),
        Activity::Turning => piece(format!("turning for {lasting}"), theme.notice(), 1),
        Activity::Outside => piece(format!("outside block_on for {lasting}"), theme.dim(), 7),
    })
}

/// How what is shown relates to the present.
fn state(app: &App, theme: &Theme) -> Vec<Piece> {
    let at = || moment(app.view.at.since(app.origin()), 1_000_000);
    let mut pieces = Vec::new();
    match (app.playback, app.mode) {
        (Playback::Hold(_), Mode::Live) => {
            let held = format!("‖ held at {}", at());
            pieces.push(piece(held, theme.notice(), 0));
            pieces.extend(behind(app).map(|text| piece(text, theme.dim(), 2)));
        }
        (Playback::Hold(_), Mode::Replay) => {
            pieces.push(piece(format!("‖ replay at {}", at()), theme.notice(), 0));
        }
        (Playback::Play(_), _) => {
            let text = format!("▶ replay {} at {}", app.speed.text(), at());
            pieces.push(piece(text, theme.good(), 0));
        }
        (Playback::Follow, Mode::Replay) => {
            pieces.push(piece("reading the trace", theme.notice(), 0));
        }
        (Playback::Follow, Mode::Live) if app.ending.is_none() => {
            let (text, style) = if app.model.process().is_some() {
                ("● live", theme.good())
            } else {
                ("○ attaching", theme.notice())
            };
            pieces.push(piece(text, style, 0));
        }
        (Playback::Follow, Mode::Live) => {}
    }
    pieces.extend(ending(app, theme));
    pieces
}

/// How far the target has gone on while the view is held.
fn behind(app: &App) -> Option<String> {
    let runtime = app.runtime()?;
    let length = runtime.now().since(app.view.at);
    let records = runtime.history().last().map_or(0, |last| last.seq + 1);
    let records = records.saturating_sub(app.view.next_seq);
    let length = text::duration_ns(length);
    Some(format!("target {length}, {} records on", text::short_count(records)))
}

fn ending(app: &App, theme: &Theme) -> Option<Piece> {
    let (ending, since) = app.ending.as_ref()?;
    let ago = text::duration_ns(since.as_secs().saturating_mul(1_000_000_000));
    let text = match ending {
        Ending::EndOfFile { truncated: false } => return None,
        Ending::EndOfFile { truncated: true } => "the trace breaks off".to_owned(),
        Ending::Finished => "■ finished".to_owned(),
        Ending::TargetGone if matches!(app.model.goodbye(), Some(Goodbye::Busy)) => {
            "■ refused: the target has too many clients".to_owned()
        }
        Ending::TargetGone => format!("■ target gone {ago} ago; this is its last state"),
        Ending::CommandEnded(end) => {
            format!("■ command ended: {}; last state", text::clean(&end.status))
        }
        Ending::Failed(why) => format!("■ {}", text::clean(why)),
    };
    Some(piece(text, theme.bad(), 1))
}

fn rates(app: &App, theme: &Theme) -> Vec<Piece> {
    if app.is_off() {
        return vec![piece("recorder off: nothing is known of this runtime", theme.notice(), 0)];
    }
    let rates = &app.view.rates;
    let per_second = |label: &str, rate: f64, rank| {
        piece(format!("{label} {}/s", short_rate(rate)), theme.plain(), rank)
    };
    let mut pieces = vec![
        per_second("events", rates.events, 1),
        per_second("wakes", rates.wakes, 3),
        per_second("polls", rates.polls, 2),
        per_second("turns", rates.turns, 4),
        piece(format!("busy {}", percent(rates.busy)), theme.plain(), 0),
    ];
    if rates.spurious >= 0.005 {
        let text = format!("spurious {}/s", short_rate(rates.spurious));
        pieces.push(piece(text, theme.bad(), 1));
        let text = format!("wasting {}", percent(rates.wasted));
        pieces.push(piece(text, theme.bad(), 5));
    }
    pieces
}

fn losses(app: &App, theme: &Theme) -> Vec<Piece> {
    let counts = app.counts;
    let mut pieces = Vec::new();
    if app.is_off() {
        return pieces;
    }
    if counts.before > 0 {
        // The ring had gone around when we came.
        let text = format!("{} older overwritten", text::short_count(counts.before));
        pieces.push(piece(text, theme.dim(), 2));
    }
    match app.view.certainty {
        Certainty::NoSnapshot if app.runtime().is_some() => {
            pieces.push(piece("no snapshot yet", theme.notice(), 1));
        }
        Certainty::Stale(_) => pieces.push(piece("rows may be stale", theme.notice(), 1)),
        Certainty::Exact | Certainty::NoSnapshot => {}
    }
    let filter = app.model.filter();
    if filter != KindFilter::ALL {
        let kinds: Vec<_> = filter.names().collect();
        let kinds = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
        pieces.push(piece(format!("events: {kinds} only"), theme.notice(), 1));
    }
    let lost = counts.lost - counts.before;
    let style = if lost == 0 { theme.dim() } else { theme.bad() };
    pieces.push(piece(format!("lost {}", text::short_count(lost)), style, 0));
    pieces
}
