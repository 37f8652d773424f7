//! Taking over the terminal and giving it back.
//!
//! The terminal is left as it was found on every way out: the guard's drop covers the normal end, an error and an
//! unwinding panic; the panic hook covers the message, which would otherwise be printed into the alternate screen and
//! vanish with it, or be torn by raw mode.
//!
//! Knows nothing of what is drawn.

use anyhow::{Context, Result};
use crossterm::cursor::Show;
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use std::io::{self, IsTerminal, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

/// What frames are drawn to.
pub type Screen = Terminal<CrosstermBackend<FrameWriter>>;

/// Whether the terminal is ours at the moment.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Whether some thread has panicked since the terminal was taken.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// The terminal while it is ours: raw, on the alternate screen. Dropping it gives the terminal back.
#[derive(Debug)]
pub struct Guard(());

/// Takes the terminal over.
///
/// # Errors
///
/// Standard output is not a terminal, or the terminal refuses. (Standard input may be a trace: keys are then read from
/// the controlling terminal.)
pub fn take() -> Result<(Guard, Screen)> {
    if !io::stdout().is_terminal() {
        anyhow::bail!("standard output is not a terminal");
    }
    install_panic_hook();
    enable_raw_mode().context("there is no terminal to read keys from")?;
    TAKEN.store(true, Ordering::SeqCst);
    PANICKED.store(false, Ordering::SeqCst);
    let guard = Guard(());
    execute!(io::stdout(), EnterAlternateScreen)
        .context("the terminal does not take the alternate screen")?;
    let screen = Terminal::new(CrosstermBackend::new(FrameWriter::default()))
        .context("the terminal tells no size")?;
    Ok((guard, screen))
}

/// Whether a thread panicked while the terminal was ours. The terminal is back to normal by then; whoever draws has to
/// stop.
#[must_use]
pub fn has_panicked() -> bool {
    PANICKED.load(Ordering::SeqCst)
}

/// Collects a frame and writes it at once, between the marks of a synchronized update (which a terminal that does not
/// know them ignores), so that no half of a frame is ever shown. Once the terminal has been given back, what is left
/// is thrown away instead of spilled over the user's screen.
#[derive(Debug, Default)]
pub struct FrameWriter(Vec<u8>);

impl Write for FrameWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let frame = std::mem::take(&mut self.0);
        if !TAKEN.load(Ordering::SeqCst) {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(b"\x1b[?2026h")?;
        out.write_all(&frame)?;
        out.write_all(b"\x1b[?2026l")?;
        out.flush()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back if it is ours. Failures are ignored: there is nobody left to tell, and each step is worth
/// trying for itself.
fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let mut out = io::stdout();
        let _ = execute!(out, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
        let _ = out.flush();
    }
}

/// Restores the terminal before the hook that was installed before prints its message.
fn install_panic_hook() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICKED.store(true, Ordering::SeqCst);
            restore();
            previous(info);
        }));
    });
}
