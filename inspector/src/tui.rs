//! The terminal user interface: a terminal, producers of events, and a loop between them and what is on the screen.

use crate::app::App;
use crate::app::picker::Picker;
use crate::event::{self, Delivery, Event, Producers};
use crate::source::{Mode, Running, Update};
use crate::target::{self, Found};
use crate::terminal;
use crate::ui::{self, theme::Theme};
use anyhow::{Result, anyhow};
use ratatui::backend::Backend;
use ratatui::{Frame, Terminal};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

/// Shortest time between two frames.
const FRAME: Duration = Duration::from_millis(16);

/// Longest time for which events are taken in without drawing, while more keep coming.
const INTAKE: Duration = Duration::from_millis(40);

/// Something that is shown: a value that events change and that can be drawn.
pub trait Screen {
    /// Takes in what happened.
    fn update(&mut self, event: Event);
    /// Whether it looks different from the last time this was asked.
    fn take_changed(&mut self) -> bool;
    /// Whether it has come to its end.
    fn is_done(&self) -> bool;
    /// Draws it.
    fn draw(&self, frame: &mut Frame<'_>, theme: &Theme);
}

impl Screen for App {
    fn update(&mut self, event: Event) {
        App::update(self, event);
    }

    fn take_changed(&mut self) -> bool {
        App::take_changed(self)
    }

    fn is_done(&self) -> bool {
        App::is_done(self)
    }

    fn draw(&self, frame: &mut Frame<'_>, theme: &Theme) {
        ui::draw(frame, self, theme);
    }
}

impl Screen for Picker {
    fn update(&mut self, event: Event) {
        Picker::update(self, event);
    }

    fn take_changed(&mut self) -> bool {
        Picker::take_changed(self)
    }

    fn is_done(&self) -> bool {
        Picker::is_done(self)
    }

    fn draw(&self, frame: &mut Frame<'_>, theme: &Theme) {
        ui::picker::draw(frame, self, theme);
    }
}

/// Shows a source until the user or the system ends it, and gives the terminal back as it was.
///
/// # Errors
///
/// Standard output is no terminal, or the terminal fails.
pub fn run(source: Running) -> Result<()> {
    let Running { updates, control, title, mode } = source;
    let result = show(updates, &title, mode);
    // Only now: ending the source may take a moment, and the terminal is back already.
    drop(control);
    result
}

/// Shows what a source delivers.
///
/// # Errors
///
/// As [`run`].
pub fn show(updates: Receiver<Update>, title: &str, mode: Mode) -> Result<()> {
    let (guard, mut screen) = terminal::take()?;
    let size = screen.size()?;
    let (sender, events) = event::channel();
    let producers = Producers::start(&sender)?;
    event::follow(updates, sender)?;
    let mut app = App::new(title, mode, size);
    let result = drive(&mut screen, &mut app, &events, &Theme::from_environment(), |_| Ok(()));
    // First the terminal, then the threads behind it, which may take a moment to end.
    drop((screen, guard));
    drop((events, producers));
    result
}

/// Lets the user choose a process to attach to; none if the user gives up. The terminal is as it was afterwards.
///
/// # Errors
///
/// As [`run`].
pub fn pick() -> Result<Option<Found>> {
    let (guard, mut screen) = terminal::take()?;
    let (sender, events) = event::channel();
    let producers = Producers::start(&sender)?;
    let mut picker = Picker::new();
    let theme = Theme::from_environment();
    let result = drive(&mut screen, &mut picker, &events, &theme, |picker| {
        if picker.take_search() { search(sender.clone()) } else { Ok(()) }
    });
    drop((screen, guard));
    drop((events, producers));
    result.map(|()| picker.into_chosen())
}

/// Starts a search for processes, whose result comes as an event.
fn search(sender: SyncSender<Delivery>) -> Result<()> {
    event::spawn("search", move || {
        // A picker that has gone needs no answer.
        let _ = sender.send(Event::Found(target::discover()).into());
    })?;
    Ok(())
}

/// Takes in events and draws frames until the screen is done. All that is pending is taken in before a frame is drawn;
/// `between` is called before each wait for an event, and may do what a state must not: I/O.
///
/// # Errors
///
/// The terminal fails, `between` does, or a thread behind the screen panicked.
pub fn drive<B: Backend, S: Screen>(
    terminal: &mut Terminal<B>,
    screen: &mut S,
    events: &Receiver<Delivery>,
    theme: &Theme,
    mut between: impl FnMut(&mut S) -> Result<()>,
) -> Result<()>
where
    B::Error: Send + Sync + 'static,
{
    let mut drawn = Instant::now().checked_sub(FRAME).unwrap_or_else(Instant::now);
    let mut stale = true;
    while !screen.is_done() {
        if terminal::has_panicked() {
            return Err(anyhow!("a thread behind the screen panicked; its message is above"));
        }
        between(screen)?;
        stale |= screen.take_changed();
        let patience = if stale { FRAME.saturating_sub(drawn.elapsed()) } else { event::TICK };
        if stale && patience.is_zero() {
            terminal.draw(|frame| screen.draw(frame, theme))?;
            drawn = Instant::now();
            stale = false;
            continue;
        }
        match events.recv_timeout(patience) {
            Ok(delivery) => {
                screen.update(delivery.event);
                take_pending(screen, events);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(anyhow!("the threads behind the screen have ended"));
            }
        }
    }
    Ok(())
}

fn take_pending(screen: &mut impl Screen, events: &Receiver<Delivery>) {
    let begun = Instant::now();
    while let Ok(delivery) = events.try_recv() {
        screen.update(delivery.event);
        if screen.is_done() || begun.elapsed() >= INTAKE {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::testing;
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use ratatui::backend::TestBackend;
    use ratatui::layout::Size;

    fn key(code: KeyCode) -> Event {
        Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn all_that_is_pending_is_taken_in_and_q_ends_it() {
        let size = Size { width: 80, height: 24 };
        let mut terminal = Terminal::new(TestBackend::new(size.width, size.height)).unwrap();
        let mut app = App::new("trace.json", Mode::Replay, size);
        let (sender, events) = event::channel();
        for frame in testing::frames(1) {
            sender.send(Event::Update(Update::Frame(frame)).into()).unwrap();
        }
        sender.send(key(KeyCode::Char('2')).into()).unwrap();
        sender.send(key(KeyCode::Char('q')).into()).unwrap();
        drive(&mut terminal, &mut app, &events, &Theme::new(true), |_| Ok(())).unwrap();
        assert!(app.is_done());
        assert_eq!(app.pane, crate::keymap::Pane::Tasks);
        assert_eq!(events.try_iter().count(), 0);
    }

    #[test]
    fn a_signal_ends_it_too() {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let mut picker = Picker::new();
        let (sender, events) = event::channel();
        sender.send(Event::Stop.into()).unwrap();
        let mut searches = 0;
        drive(&mut terminal, &mut picker, &events, &Theme::new(true), |picker| {
            searches += u32::from(picker.take_search());
            Ok(())
        })
        .unwrap();
        assert_eq!(searches, 1);
        assert_eq!(picker.into_chosen(), None);
    }
}
