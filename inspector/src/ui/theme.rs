//! Colours and weights, by meaning.
//!
//! Only the sixteen colours of the terminal are used, so that the user's own scheme decides whether they are readable,
//! and never one for the background. What a colour says is also said by a glyph, a word or a weight: without colours
//! (`NO_COLOR`) nothing is lost.

use nexus_protocol::event::{Cause, Level, Verdict};
use ratatui::style::{Color, Modifier, Style};

/// How things look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    color: bool,
}

impl Theme {
    /// With colours, or without.
    #[must_use]
    pub fn new(color: bool) -> Self {
        Self { color }
    }

    /// With colours unless the environment has a `NO_COLOR` that is not empty.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::new(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    /// Whether there are colours.
    #[must_use]
    pub fn has_color(self) -> bool {
        self.color
    }

    fn fg(self, color: Color) -> Style {
        if self.color { Style::new().fg(color) } else { Style::new() }
    }

    /// Ordinary text.
    #[must_use]
    pub fn plain(self) -> Style {
        Style::new()
    }

    /// Labels, rules, zeros: what should step back.
    #[must_use]
    pub fn dim(self) -> Style {
        if self.color {
            Style::new().fg(Color::DarkGray)
        } else {
            Style::new().add_modifier(Modifier::DIM)
        }
    }

    /// What should step forward.
    #[must_use]
    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is chosen: the pane, the sorted column, a key.
    #[must_use]
    pub fn accent(self) -> Style {
        self.fg(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// The selected row, on top of what its cells look like.
    #[must_use]
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// As it should be.
    #[must_use]
    pub fn good(self) -> Style {
        self.fg(Color::Green)
    }

    /// Worth a look.
    #[must_use]
    pub fn notice(self) -> Style {
        self.fg(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// Wrong.
    #[must_use]
    pub fn bad(self) -> Style {
        self.fg(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// How a poll is judged.
    #[must_use]
    pub fn verdict(self, verdict: Verdict) -> Style {
        match verdict {
            Verdict::Progress => self.fg(Color::Green),
            Verdict::Spurious => self.fg(Color::Red),
            Verdict::Unattributed => self.fg(Color::Magenta),
            Verdict::Excused => self.fg(Color::Blue),
        }
    }

    /// What a verdict looks like where there is no room for a word.
    #[must_use]
    pub fn verdict_sample(self, verdict: Verdict) -> char {
        match verdict {
            Verdict::Progress => '▅',
            // Without colours, the kinds that matter get marks of their own.
            Verdict::Spurious if !self.color => '!',
            Verdict::Unattributed if !self.color => '?',
            Verdict::Excused if !self.color => '~',
            _ => '▅',
        }
    }

    /// How much something matters that the application says.
    #[must_use]
    pub fn level(self, level: Level) -> Style {
        match level {
            Level::Error => self.bad(),
            Level::Warn => self.notice(),
            Level::Info => self.plain().add_modifier(Modifier::BOLD),
            Level::Debug | Level::Trace => self.dim(),
        }
    }

    /// Why a task was woken, by the cause's code.
    #[must_use]
    pub fn cause(self, code: u8) -> Style {
        match cause_letter(code) {
            'i' => self.fg(Color::Cyan),
            't' => self.fg(Color::Yellow),
            'j' | 'S' | 'p' => self.fg(Color::Green),
            'T' | 'x' | 'o' => self.fg(Color::Magenta),
            's' | 'X' => self.fg(Color::Red).add_modifier(Modifier::BOLD),
            'y' => self.fg(Color::Blue),
            _ => self.plain(),
        }
    }
}

/// What the timeline marks something by that the application says.
#[must_use]
pub fn level_mark(level: Level) -> &'static str {
    match level {
        Level::Error => "E",
        Level::Warn => "W",
        Level::Info => "•",
        Level::Debug => "∙",
        Level::Trace => "·",
    }
}

/// The letter by which the timeline marks a wake, by its cause's code.
#[must_use]
pub fn cause_letter(code: u8) -> char {
    // none, io, timer, join, task, self, yield, spawn, thread, outside, shutdown, primitive
    const LETTERS: [char; Cause::NAMES.len()] =
        [' ', 'i', 't', 'j', 'T', 's', 'y', 'S', 'x', 'o', 'X', 'p'];
    LETTERS.get(usize::from(code)).copied().unwrap_or('?')
}
