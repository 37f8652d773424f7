//! The list of keys: the table of keys, printed over the screen.

use super::theme::Theme;
use super::widget::line::{piece, put, put_left, put_right, width};
use crate::keymap::{self, Scope};
use crate::ui::theme::cause_letter;
use nexus_protocol::event::{Cause, Verdict, WokenBy};
use nexus_protocol::readiness::Direction;
use nexus_protocol::{PrimitiveId, TaskId, TimerId, TokenId};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Clear, Widget};

/// Cells for the keys.
const KEYS: u16 = 11;

/// The widest the list gets.
const WIDTH: u16 = 84;

/// One line of the list.
struct Line {
    key: String,
    text: String,
    key_style: Style,
}

/// Draws the list over `area`, scrolled down by so many lines.
pub fn draw(buffer: &mut Buffer, area: Rect, scroll: u16, theme: &Theme) {
    let lines = lines(theme);
    let width = WIDTH.min(area.width);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX).min(area.height);
    let area = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    Clear.render(area, buffer);
    ratatui::widgets::Block::bordered().border_style(theme.dim()).render(area, buffer);
    if area.width < 6 || area.height < 3 {
        return;
    }
    let title = Rect { x: area.x + 2, width: area.width - 4, height: 1, ..area };
    put_left(buffer, title, vec![piece(" Keys ", theme.strong(), 0)], 0);
    let inner =
        Rect { x: area.x + 2, y: area.y + 1, width: area.width - 4, height: area.height - 2 };
    let most = lines.len().saturating_sub(usize::from(inner.height));
    let from = usize::from(scroll).min(most);
    for (line, y) in lines.iter().skip(from).zip(inner.top()..inner.bottom()) {
        put(buffer, inner, inner.x, y, &line.key, line.key_style);
        put(buffer, inner, inner.x + KEYS, y, &line.text, theme.plain());
    }
    let bottom = Rect { y: area.bottom() - 1, ..title };
    let hint = if most > 0 { " ↑ ↓ more · Esc closes " } else { " Esc closes " };
    if self::width(hint) <= bottom.width {
        put_right(buffer, bottom, vec![piece(hint, theme.dim(), 0)], 0);
    }
}

fn lines(theme: &Theme) -> Vec<Line> {
    let mut lines = Vec::new();
    let blank = || Line { key: String::new(), text: String::new(), key_style: Style::new() };
    for scope in Scope::ALL {
        if scope == Scope::Picker {
            continue;
        }
        lines.push(Line {
            key: scope.title().to_owned(),
            text: String::new(),
            key_style: theme.strong(),
        });
        lines.extend(keymap::bindings(scope).map(|binding| Line {
            key: format!(" {}", binding.label),
            text: binding.help.to_owned(),
            key_style: theme.accent(),
        }));
        lines.push(blank());
    }
    lines.extend(marks(theme));
    lines
}

/// What letters and colours of the timeline mean.
fn marks(theme: &Theme) -> Vec<Line> {
    let mut lines = vec![Line {
        key: "Marks of the timeline".to_owned(),
        text: String::new(),
        key_style: theme.strong(),
    }];
    for (cause, text) in causes() {
        lines.push(Line {
            key: format!(" {}", cause_letter(cause.code())),
            text: format!("wake: {text}"),
            key_style: theme.cause(cause.code()),
        });
    }
    for (verdict, text) in [
        (Verdict::Progress, "poll with progress; the higher, the more of the cell (square root)"),
        (Verdict::Spurious, "poll without progress, spurious"),
        (Verdict::Unattributed, "poll without progress, woken through a foreign waker"),
        (Verdict::Excused, "poll without progress, excused: a yield or a first self-wake"),
    ] {
        lines.push(Line {
            key: format!(" {}", theme.verdict_sample(verdict)),
            text: text.to_owned(),
            key_style: theme.verdict(verdict),
        });
    }
    lines
}

/// Every cause, with what it means.
fn causes() -> [(Cause, &'static str); 11] {
    let token = TokenId { slot: 0, generation: 0 };
    let task = TaskId(1);
    [
        (Cause::Io { token, direction: Direction::Readable, event: None }, "a token became ready"),
        (Cause::Timer { timer: TimerId(1), fired: None }, "a timer fired"),
        (Cause::Join { task }, "a task it waited for finished"),
        (Cause::Task { task }, "another task fired its waker"),
        (Cause::SelfWake, "it fired its own waker"),
        (Cause::Yield, "it yielded"),
        (Cause::Spawn, "it was spawned"),
        (
            Cause::Thread { thread: 0, woken: nexus_protocol::Stamp::NEVER },
            "another thread fired its waker",
        ),
        (Cause::Outside, "fired outside of any poll"),
        (Cause::Shutdown, "aborted, or a shutdown was requested"),
        (
            Cause::Primitive { primitive: PrimitiveId(1), by: WokenBy::Outside },
            "a channel, notification or token it waited for",
        ),
    ]
}
