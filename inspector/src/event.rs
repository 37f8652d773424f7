//! Everything that can happen to the screen, and the threads that say so.
//!
//! The list is closed: keys, the connection, the clock, a signal, the result of a search for processes. Producers push
//! into one bounded channel. A full channel holds the connection up (and the observed process then counts the loss),
//! but never the clock, which skips a tick and says more with the next one.

use crate::source::Update;
use crate::target::Found;
use anyhow::{Context, Result};
use crossterm::event::{self as terminal, KeyEvent, KeyEventKind};
use ratatui::layout::Size;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Something that happened.
#[derive(Debug)]
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal has this size now.
    Resize(Size),
    /// The source has something to say.
    Update(Update),
    /// So much time has passed since the tick before.
    Tick(Duration),

    /// These processes can be attached to.
    Found(Vec<Found>),
    /// The system asks us to end.
    Stop,
}

/// Events that may wait to be taken in.
const CAPACITY: usize = 256;

/// Time between two ticks, and so between two frames that nobody pressed a key for.
pub const TICK: Duration = Duration::from_millis(50);

/// How long a thread that listens to the terminal takes to notice that nobody listens to it.
const KEY_PATIENCE: Duration = Duration::from_millis(50);

/// The channel that all producers push into.
#[must_use]
pub fn channel() -> (SyncSender<Event>, Receiver<Event>) {
    sync_channel(CAPACITY)
}

/// The threads behind a screen. Dropping it ends those that listen to keys, signals and the clock, and waits for them,
/// so that the next screen does not share the keyboard with the last one.
#[derive(Debug)]
pub struct Producers {
    stop: Arc<AtomicBool>,
    signals: Handle,
    threads: Vec<JoinHandle<()>>,
}

impl Producers {
    /// Starts the threads that every screen needs: keys, signals and ticks.
    ///
    /// # Errors
    ///
    /// A thread cannot be started or a signal handler not be installed.
    pub fn start(sender: &SyncSender<Event>) -> Result<Self> {
        let signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
            .context("the handler for SIGTERM cannot be installed")?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut producers =
            Self { stop: Arc::clone(&stop), signals: signals.handle(), threads: Vec::new() };
        let (keys, ticks, stops) = (sender.clone(), sender.clone(), sender.clone());
        let stopped = Arc::clone(&stop);
        producers.spawn("keys", move || listen_to_keys(&keys, &stopped))?;
        producers.spawn("ticks", move || tick(&ticks, &stop))?;
        producers.spawn("signals", move || listen_to_signals(signals, &stops))?;
        Ok(producers)
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
        self.threads.push(spawn(name, body)?);
        Ok(())
    }
}

impl Drop for Producers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.signals.close();
        for thread in self.threads.drain(..) {
            // A producer that panicked has been reported by the panic hook already.
            let _ = thread.join();
        }
    }
}

/// Starts a thread that passes a source's updates on until either side is gone.
///
/// # Errors
///
/// The thread cannot be started.
pub fn follow(updates: Receiver<Update>, sender: SyncSender<Event>) -> Result<()> {
    spawn("connection", move || {
        for update in updates {
            if sender.send(Event::Update(update)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

/// Starts a thread.
pub(crate) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .with_context(|| format!("the thread for {name} cannot be started"))
}

fn listen_to_keys(sender: &SyncSender<Event>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let event = match terminal::poll(KEY_PATIENCE) {
            Ok(false) => continue,
            Ok(true) => terminal::read(),
            Err(error) => Err(error),
        };
        let event = match event {
            Ok(terminal::Event::Key(key)) if key.kind != KeyEventKind::Release => Event::Key(key),
            Ok(terminal::Event::Resize(width, height)) => Event::Resize(Size { width, height }),
            Ok(_) => continue,
            // The terminal is gone; there is nobody to show anything to.
            Err(_) => Event::Stop,
        };
        let last = matches!(event, Event::Stop);
        if !offer(sender, event, stop) || last {
            return;
        }
    }
}

/// Sends an event, waiting for room, unless everything is over. Returns whether to go on.
fn offer(sender: &SyncSender<Event>, mut event: Event, stop: &AtomicBool) -> bool {
    while !stop.load(Ordering::Relaxed) {
        match sender.try_send(event) {
            Ok(()) => return true,
            Err(TrySendError::Full(back)) => event = back,
            Err(TrySendError::Disconnected(_)) => return false,
        }
        thread::sleep(Duration::from_millis(1));
    }
    false
}

fn tick(sender: &SyncSender<Event>, stop: &AtomicBool) {
    let mut last = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(TICK);
        let now = Instant::now();
        match sender.try_send(Event::Tick(now - last)) {
            Ok(()) => last = now,
            Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => return,
        }
    }
}

fn listen_to_signals(mut signals: Signals, sender: &SyncSender<Event>) {
    for _ in signals.forever() {
        if sender.send(Event::Stop).is_err() {
            return;
        }
    }
}
