//! The terminal user interface: a terminal, producers of events, and a loop between them and the app.

use crate::app::App;
use crate::event::{self, Event, Producers};
use crate::source::{Mode, Running, Update};
use crate::terminal;
use crate::ui::{self, theme::Theme};
use anyhow::{Result, anyhow};
use ratatui::Terminal;
use ratatui::backend::Backend;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Shortest time between two frames.
const FRAME: Duration = Duration::from_millis(16);

/// Longest time for which events are taken in without drawing, while more keep coming.
const INTAKE: Duration = Duration::from_millis(40);

/// Shows a source until the user or the system ends it, and gives the terminal back as it was.
///
/// # Errors
///
/// Standard input or output is no terminal, or the terminal fails.
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
    let result = drive(&mut screen, &mut app, &events, &Theme::from_environment());
    // First the terminal, then the threads behind it, which may take a moment to end.
    drop((screen, guard));
    drop((events, producers));
    result
}

/// Takes in events and draws frames until the app is done. All that is pending is taken in before a frame is drawn.
///
/// # Errors
///
/// The terminal fails, or a thread behind the screen panicked.
pub fn drive<B: Backend>(
    terminal: &mut Terminal<B>,
    app: &mut App,
    events: &Receiver<Event>,
    theme: &Theme,
) -> Result<()>
where
    B::Error: Send + Sync + 'static,
{
    let mut drawn = Instant::now().checked_sub(FRAME).unwrap_or_else(Instant::now);
    let mut stale = true;
    while !app.is_done() {
        if terminal::has_panicked() {
            return Err(anyhow!("a thread behind the screen panicked; its message is above"));
        }
        stale |= app.take_changed();
        let patience = if stale { FRAME.saturating_sub(drawn.elapsed()) } else { event::TICK };
        if stale && patience.is_zero() {
            terminal.draw(|frame| ui::draw(frame, app, theme))?;
            drawn = Instant::now();
            stale = false;
            continue;
        }
        match events.recv_timeout(patience) {
            Ok(event) => {
                app.update(event);
                take_pending(app, events);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(anyhow!("the threads behind the screen have ended"));
            }
        }
    }
    Ok(())
}

fn take_pending(app: &mut App, events: &Receiver<Event>) {
    let begun = Instant::now();
    while let Ok(event) = events.try_recv() {
        app.update(event);
        if app.is_done() || begun.elapsed() >= INTAKE {
            return;
        }
    }
}
