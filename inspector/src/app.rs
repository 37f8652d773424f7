//! What is on the screen, as a value.
//!
//! [`App::update`] is the only way in which it changes; it does no I/O and knows no clock but the ticks it is told of.
//! Drawing reads it and changes nothing. Holding the shown moment is done by not taking new views: the model goes on
//! taking in what the source says, and the header tells how far that has come.

pub mod detail;
pub mod freelist;
pub mod picker;
pub mod playback;
pub mod table;
pub mod tasks;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod timeline;
pub mod tokens;
pub mod value;
pub mod words;

use self::detail::{Detail, Subject};
use self::freelist::FreelistState;
use self::playback::{Playback, Speed};
use self::table::{Context, TableState};
use self::tasks::TaskColumn;
use self::timeline::{Room, Timeline};
use self::tokens::TokenColumn;
use self::words::Speaker;
use crate::event::Event;
use crate::keymap::{self, Action, Pane, Scope};
use crate::model::{Counts, Limits, Model, Runtime, View};
use crate::source::{Ending, Mode, Update};
use crate::ui::freelist::MapLayout;
use crate::ui::layout::{self, Areas, FreelistAreas, TimelineAreas};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use nexus_protocol::event::WaitFor;
use nexus_protocol::frame::ServerFrame;
use nexus_protocol::{RuntimeId, Stamp, TaskId, TokenId};
use ratatui::layout::Size;
use std::time::Duration;

/// Everything that is on the screen, and the model behind it.
#[derive(Debug)]
pub struct App {
    /// What is observed, clean.
    pub title: String,
    /// Whether there is a present.
    pub mode: Mode,
    /// What is known of the observed process.
    pub model: Model,
    /// Why there will be nothing new, if so, and for how long that has been so.
    pub ending: Option<(Ending, Duration)>,
    /// The runtime that is shown.
    pub runtime: Option<RuntimeId>,
    /// Its state at the shown moment.
    pub view: View,
    /// Which moment is shown.
    pub playback: Playback,
    /// How fast a trace is played.
    pub speed: Speed,
    /// The pane on top.
    pub pane: Pane,
    /// The token table.
    pub tokens: TableState<TokenColumn>,
    /// The task table.
    pub tasks: TableState<TaskColumn>,
    /// The timeline.
    pub timeline: Timeline,
    /// The freelist.
    pub freelist: FreelistState,
    /// The detail panel, if it is open.
    pub detail: Option<Detail>,
    /// The list of keys, if it is shown, scrolled by so many lines.
    pub help: Option<u16>,
    /// What rows must contain.
    pub filter: String,
    /// Whether the filter is being typed.
    pub typing: bool,
    /// Why the last key did nothing, if so.
    pub notice: Option<String>,
    /// What became of the shown runtime's records when the shown moment was taken.
    pub counts: Counts,
    detail_open: bool,
    size: Size,
    /// Frames applied when the view was taken.
    seen: u64,
    changed: bool,
    quit: bool,
}

impl App {
    /// An app that has been told nothing yet.
    #[must_use]
    pub fn new(title: &str, mode: Mode, size: Size) -> Self {
        Self {
            title: crate::text::clean(title).into_owned(),
            mode,
            model: Model::new(Limits::default()),
            ending: None,
            runtime: None,
            view: View::empty(RuntimeId(0)),
            playback: Playback::Follow,
            speed: Speed::default(),
            pane: Pane::default(),
            tokens: TableState::new(TokenColumn::Events),
            tasks: TableState::new(TaskColumn::PollRate),
            timeline: Timeline::default(),
            freelist: FreelistState::default(),
            detail: None,
            help: None,
            filter: String::new(),
            typing: false,
            notice: None,
            counts: Counts::default(),
            detail_open: false,
            size,
            seen: 0,
            changed: true,
            quit: false,
        }
    }

    /// Takes in what happened.
    pub fn update(&mut self, event: Event) {
        match event {
            Event::Key(key) => self.key(&key),
            Event::Resize(size) => {
                self.size = size;
                self.refresh();
            }
            Event::Update(update) => self.source(update),
            Event::Tick(elapsed) => self.tick(elapsed),
            // A search belongs to the screen before this one.
            Event::Found(_) => {}
            Event::Stop => self.quit = true,
        }
    }

    /// Whether the user or the system asked to end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.quit
    }

    /// Whether anything on the screen has changed since this was asked last.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// The parts of the screen.
    #[must_use]
    pub fn areas(&self) -> Areas {
        layout::areas(self.size, self.detail_open)
    }

    /// The runtime that is shown.
    #[must_use]
    pub fn runtime(&self) -> Option<&Runtime> {
        self.model.runtime(self.runtime?)
    }

    /// Whether nothing is known of the runtime that is shown, since its recorder is off.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.runtime().is_some_and(Runtime::is_off)
    }

    /// What values are looked up in.
    #[must_use]
    pub fn context(&self) -> Context<'_> {
        Context { view: &self.view, strings: self.model.strings() }
    }

    /// The start of the process: where times count from.
    #[must_use]
    pub fn origin(&self) -> Stamp {
        let started = self.model.process().and_then(|process| process.started.known());
        started.or_else(|| self.runtime()?.info().started.known()).unwrap_or(Stamp::NEVER)
    }

    fn source(&mut self, update: Update) {
        match update {
            Update::Frame(frame) => {
                let first = self.runtime.is_none() || matches!(frame, ServerFrame::Hello { .. });
                self.model.apply(frame);
                if first {
                    self.choose_runtime();
                }
            }
            Update::Ended(ending) => {
                self.ending = Some((ending, Duration::ZERO));
                self.take_view();
                if self.mode == Mode::Replay {
                    self.playback = Playback::Hold(self.view.at);
                }
                self.refresh();
            }
        }
    }

    /// A runtime is shown from the first moment one is known: one that lives, if any does.
    fn choose_runtime(&mut self) {
        if self.runtime().is_some() {
            return;
        }
        let living = self.model.runtimes().find(|runtime| runtime.info().ended.is_never());
        self.runtime = living.or(self.model.runtimes().next()).map(|runtime| runtime.info().id);
    }

    fn tick(&mut self, elapsed: Duration) {
        if let Some((_, since)) = &mut self.ending {
            let seconds = since.as_secs();
            *since += elapsed;
            self.changed |= since.as_secs() != seconds;
        }
        if let Some(last) = self.runtime().map(Runtime::now) {
            self.playback = self.playback.after(elapsed, self.speed, last);
        }
        let news = self.model.frames() != self.seen;
        match self.playback {
            Playback::Follow if news => self.take_view_and_refresh(),
            Playback::Play(_) => self.take_view_and_refresh(),
            // The header tells how far the target has gone on.
            Playback::Hold(_) => {
                self.changed |= news;
                self.seen = self.model.frames();
            }
            Playback::Follow => {}
        }
    }

    fn take_view_and_refresh(&mut self) {
        self.take_view();
        self.refresh();
    }

    /// Takes the runtime's state at the moment that is to be shown.
    fn take_view(&mut self) {
        self.seen = self.model.frames();
        let Some(runtime) = self.runtime.and_then(|id| self.model.runtime(id)) else { return };
        self.counts = runtime.counts();
        self.view = match self.playback.at() {
            None => runtime.view(),
            Some(at) => runtime.view_at(at),
        };
    }

    /// Brings the pane on top, and only that one, in line with the view.
    fn refresh(&mut self) {
        self.changed = true;
        let areas = self.areas();
        let origin = self.origin();
        let Some(runtime) = self.runtime.and_then(|id| self.model.runtime(id)) else { return };
        let speaker = Speaker { view: &self.view, strings: self.model.strings(), origin };
        match self.pane {
            Pane::Tokens => self.tokens.refresh(speaker.into(), &self.filter),
            Pane::Tasks => self.tasks.refresh(speaker.into(), &self.filter),
            Pane::Timeline => {
                let parts = TimelineAreas::new(areas.body, self.timeline.cursor.is_some());
                let room = Room { cells: parts.cells(), lanes: parts.lane_count() };
                self.timeline.refresh(runtime, speaker, &self.filter, room);
            }
            Pane::Freelist => {
                let cells = FreelistAreas::new(areas.body).chart_cells();
                self.freelist.refresh(runtime, self.view.at, origin, cells);
            }
        }
        self.detail = match self.subject() {
            Some(subject) if self.detail_open => Some(detail::detail(subject, runtime, speaker)),
            _ => None,
        };
    }

    /// What a detail panel would be about.
    #[must_use]
    pub fn subject(&self) -> Option<Subject> {
        match self.pane {
            Pane::Tokens => self.tokens.selected_row().map(Subject::Token),
            Pane::Tasks => self.tasks.selected_row().map(Subject::Task),
            Pane::Timeline => self.timeline.selected.map(Subject::Task),
            Pane::Freelist => {
                let token = self.view.slot(self.freelist.selected?)?;
                Some(Subject::Token(token.row.token))
            }
        }
    }

    fn key(&mut self, key: &KeyEvent) {
        self.changed |= self.notice.take().is_some();
        if self.typing && self.type_key(key) {
            self.refresh();
            return;
        }
        let Some(action) = keymap::lookup(Scope::of(self.pane), key) else { return };
        self.act(action);
        self.refresh();
    }

    /// Takes a key into the filter. Returns whether it was one for that.
    fn type_key(&mut self, key: &KeyEvent) -> bool {
        match key.code {
            KeyCode::Char(_) if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
            KeyCode::Char(character) => self.filter.push(character),
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            _ => return false,
        }
        true
    }

    fn act(&mut self, action: Action) {
        if self.help.is_some() && self.act_on_help(action) {
            return;
        }
        match action {
            Action::Quit => self.quit = true,
            Action::Help => self.help = Some(0),
            Action::Show(pane) => self.show(pane),
            Action::NextPane => self.show(self.pane.shifted(1)),
            Action::PreviousPane => self.show(self.pane.shifted(-1)),
            Action::NextRuntime => self.next_runtime(),
            Action::Pause => self.pause(),
            Action::Filter => self.typing = true,
            Action::Back => self.back(),
            Action::Faster => self.speed = self.speed.shifted(1),
            Action::Slower => self.speed = self.speed.shifted(-1),
            Action::StepBack => self.shift_time(-self.span() / 10),
            Action::StepForward => self.shift_time(self.span() / 10),
            Action::PageBack => self.shift_time(-self.span()),
            Action::PageForward => self.shift_time(self.span()),
            Action::TimeStart => self.hold_at(Stamp::NEVER),
            Action::TimeEnd => self.hold_at(Stamp(u64::MAX)),
            Action::Follow => self.follow(),
            Action::ToLane => self.show_lane(),
            Action::Refresh => {}
            _ => self.act_on_pane(action),
        }
    }

    /// While the help is shown, the keys that move scroll it, and those that close close it.
    fn act_on_help(&mut self, action: Action) -> bool {
        let Some(scroll) = &mut self.help else { return false };
        match action {
            Action::Up => *scroll = scroll.saturating_sub(1),
            Action::Down => *scroll = scroll.saturating_add(1),
            Action::PageUp => *scroll = scroll.saturating_sub(10),
            Action::PageDown => *scroll = scroll.saturating_add(10),
            Action::Quit => return false,
            _ => self.help = None,
        }
        // The keys of a pane mean nothing while it is covered; those that lead elsewhere still do.
        !matches!(action, Action::Show(_) | Action::NextPane | Action::PreviousPane)
    }

    fn act_on_pane(&mut self, action: Action) {
        let page = isize::try_from(self.areas().body.height.saturating_sub(2).max(1)).unwrap_or(1);
        match self.pane {
            Pane::Tokens => {
                if act_on_table(&mut self.tokens, action, page) {
                    self.detail_open = !self.detail_open;
                }
            }
            Pane::Tasks => {
                if act_on_table(&mut self.tasks, action, page) {
                    self.detail_open = !self.detail_open;
                }
            }
            Pane::Timeline => self.act_on_timeline(action),
            Pane::Freelist => self.act_on_freelist(action),
        }
    }

    fn act_on_timeline(&mut self, action: Action) {
        let parts = TimelineAreas::new(self.areas().body, self.timeline.cursor.is_some());
        let page = isize::try_from(parts.lane_count().max(1)).unwrap_or(1);
        match action {
            Action::Up => self.timeline.step_lane(-1),
            Action::Down => self.timeline.step_lane(1),
            Action::PageUp => self.timeline.step_lane(-page),
            Action::PageDown => self.timeline.step_lane(page),
            Action::Left | Action::Right => {
                self.hold();
                let cells = if action == Action::Left { -1 } else { 1 };
                let shift = self.timeline.step_cursor(cells, self.view.at, parts.cells());
                self.shift_time(shift);
                self.timeline.keep_cursor(self.view.at);
            }
            Action::ZoomIn | Action::ZoomOut => {
                let edge = self.timeline.zoom(action == Action::ZoomOut, self.view.at);
                if self.playback.is_held() {
                    self.hold_at(edge);
                }
                self.timeline.keep_cursor(self.view.at);
            }
            Action::PreviousPoll => self.seek_poll(false, false),
            Action::NextPoll => self.seek_poll(true, false),
            Action::PreviousSpurious => self.seek_poll(false, true),
            Action::NextSpurious => self.seek_poll(true, true),
            Action::Open => self.toggle_detail(),
            _ => {}
        }
    }

    /// Sends the cursor to another poll, and moves time if that is out of sight.
    fn seek_poll(&mut self, forward: bool, spurious: bool) {
        self.hold();
        let Some(runtime) = self.runtime.and_then(|id| self.model.runtime(id)) else { return };
        if !self.timeline.seek_poll(runtime, self.view.at, forward, spurious) {
            let kind = if spurious { "spurious poll" } else { "poll" };
            let side = if forward { "after" } else { "before" };
            self.notice = Some(format!("no {kind} of this lane {side} the cursor"));
            return;
        }
        let (from, to) = self.timeline.range(self.view.at);
        if let Some(cursor) = self.timeline.cursor.filter(|&at| at < from || at >= to) {
            self.hold_at(Stamp(cursor.0.saturating_add(self.timeline.span_ns / 2)));
        }
    }

    fn act_on_freelist(&mut self, action: Action) {
        let map = FreelistAreas::new(self.areas().body).map;
        let layout = MapLayout::new(map, self.view.totals.capacity);
        let width = i64::try_from(layout.slots_per_line()).unwrap_or(i64::MAX);
        match action {
            Action::Left => self.freelist.step(-1, &self.view),
            Action::Right => self.freelist.step(1, &self.view),
            Action::Up => self.freelist.step(-width, &self.view),
            Action::Down => self.freelist.step(width, &self.view),
            Action::PageUp => self.freelist.step(width.saturating_mul(-8), &self.view),
            Action::PageDown => self.freelist.step(width.saturating_mul(8), &self.view),
            Action::ZoomIn => self.freelist.zoom(false),
            Action::ZoomOut => self.freelist.zoom(true),
            Action::Open => self.toggle_detail(),
            _ => {}
        }
    }

    fn toggle_detail(&mut self) {
        if self.subject().is_none() && !self.detail_open {
            self.notice = Some("nothing is selected".to_owned());
        } else {
            self.detail_open = !self.detail_open;
        }
    }

    fn show(&mut self, pane: Pane) {
        if pane == Pane::Timeline && self.pane != pane {
            self.timeline.reorder();
        }
        self.pane = pane;
    }

    fn next_runtime(&mut self) {
        let ids: Vec<RuntimeId> = self.model.runtimes().map(|runtime| runtime.info().id).collect();
        let at = ids.iter().position(|&id| Some(id) == self.runtime);
        self.runtime = ids.get(at.map_or(0, |at| at + 1)).or(ids.first()).copied();
        self.timeline.reorder();
        self.timeline.selected = None;
        self.take_view();
    }

    fn pause(&mut self) {
        self.playback = match (self.playback, self.mode) {
            (Playback::Hold(at), Mode::Replay) => {
                let ended = self.runtime().is_none_or(|runtime| at >= runtime.now());
                let start = self.runtime().map_or(at, Runtime::earliest);
                Playback::Play(if ended { start } else { at })
            }
            (Playback::Hold(_), Mode::Live) => Playback::Follow,
            (Playback::Follow | Playback::Play(_), _) => Playback::Hold(self.view.at),
        };
        if !self.playback.is_held() {
            self.timeline.cursor = None;
            self.take_view();
        }
    }

    fn hold(&mut self) {
        if !self.playback.is_held() {
            self.playback = Playback::Hold(self.view.at);
        }
    }

    fn span(&self) -> i64 {
        let span =
            if self.pane == Pane::Freelist { self.freelist.span_ns } else { self.timeline.span_ns };
        i64::try_from(span).unwrap_or(i64::MAX)
    }

    fn shift_time(&mut self, ns: i64) {
        if ns != 0 {
            self.hold_at(Stamp(self.view.at.0.saturating_add_signed(ns)));
        }
    }

    /// Shows a moment, or the nearest one that is kept. A playing trace plays on from there.
    fn hold_at(&mut self, at: Stamp) {
        let Some(runtime) = self.runtime() else { return };
        let at = at.clamp(runtime.earliest().min(runtime.now()), runtime.now());
        self.playback = match self.playback {
            Playback::Play(_) => Playback::Play(at),
            Playback::Follow | Playback::Hold(_) => Playback::Hold(at),
        };
        self.take_view();
        self.timeline.keep_cursor(self.view.at);
    }

    fn back(&mut self) {
        if self.detail_open {
            self.detail_open = false;
        } else if !self.filter.is_empty() {
            self.filter.clear();
        } else {
            self.timeline.cursor = None;
        }
    }

    /// From a token to its owner, from a task to what it waits for.
    fn follow(&mut self) {
        let why = match self.subject() {
            None => "nothing is selected",
            Some(Subject::Token(token)) => {
                match self.view.token(token).and_then(|found| found.row.owner) {
                    Some(owner) => return self.select_task(owner),
                    None => "the token has no owner",
                }
            }
            Some(Subject::Task(task)) => {
                match self.view.task(task).and_then(|found| found.row.waiting_for) {
                    Some(WaitFor::Token(token, _)) => return self.select_token(token),
                    Some(WaitFor::Task(task)) => return self.select_task(task),
                    Some(WaitFor::Timer(_)) => "the task waits for a timer",
                    Some(WaitFor::Primitive(_)) => "the task waits for a channel or the like",
                    None => "the task waits for nothing we know of",
                }
            }
        };
        self.notice = Some(why.to_owned());
    }

    fn select_task(&mut self, task: TaskId) {
        self.show(Pane::Tasks);
        self.refresh();
        self.tasks.select_row(task);
    }

    fn select_token(&mut self, token: TokenId) {
        self.show(Pane::Tokens);
        self.refresh();
        self.tokens.select_row(token);
    }

    fn show_lane(&mut self) {
        let task = match self.subject() {
            Some(Subject::Task(task)) => Some(task),
            Some(Subject::Token(token)) => self.view.token(token).and_then(|found| found.row.owner),
            None => None,
        };
        match task {
            Some(task) => {
                self.timeline.selected = Some(task);
                self.show(Pane::Timeline);
            }
            None => self.notice = Some("select a task, or a token that has an owner".to_owned()),
        }
    }
}

/// Carries out an action on a table. Returns whether the detail panel is asked for.
fn act_on_table<C: table::Column>(table: &mut TableState<C>, action: Action, page: isize) -> bool {
    match action {
        Action::Up => table.step(-1),
        Action::Down => table.step(1),
        Action::PageUp => table.step(-page),
        Action::PageDown => table.step(page),
        Action::First => table.first(),
        Action::Last => table.last(),
        Action::SortNext => table.sort_step(1),
        Action::SortPrevious => table.sort_step(-1),
        Action::SortReverse => table.reverse(),
        Action::Group => table.next_group(),
        Action::Open => {
            if table.selected_index().is_none() {
                table.step(0);
            }
            return !table.toggle_group();
        }
        _ => {}
    }
    false
}
