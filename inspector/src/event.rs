//! Everything that can happen to the screen, and the threads that say so.
//!
//! The list is closed: keys, the connection, the clock, a signal, the result of a search for processes. Producers push
//! into one bounded channel, in which the connection may take a few places only: a process that tells more than we can
//! take in is held up (and counts the loss), but never delays a key. The clock skips a tick when the channel is full, and
//! says more with the next one.

use crate::source::Update;
use crate::target::Found;
use anyhow::{Context, Result};
use crossterm::event::{self as terminal, KeyEvent, KeyEventKind};
use ratatui::layout::Size;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
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

/// Of these, updates from the source: as many as a key may have to wait for. Each can hold some thousand records.
const UPDATES: usize = 8;

/// Time between two ticks, and so between two frames that nobody pressed a key for.
pub const TICK: Duration = Duration::from_millis(50);

/// How long a thread that listens to the terminal takes to notice that nobody listens to it.
const KEY_PATIENCE: Duration = Duration::from_millis(50);

/// How long the end of a screen waits for its producers.
const JOIN_PATIENCE: Duration = Duration::from_millis(500);

/// The channel that all producers push into.
#[must_use]
pub fn channel() -> (SyncSender<Delivery>, Receiver<Delivery>) {
    sync_channel(CAPACITY)
}

/// An event on its way.
#[derive(Debug)]
pub struct Delivery {
    /// What happened.
    pub event: Event,
    /// The place it takes up, if it is an update; given back when the delivery has been taken apart or dropped.
    _place: Option<Place>,
}

impl From<Event> for Delivery {
    fn from(event: Event) -> Self {
        Self { event, _place: None }
    }
}

/// The places that updates can take.
#[derive(Debug, Default)]
struct Places {
    taken: Mutex<usize>,
    given_back: Condvar,
}

/// One of them, taken until dropped.
#[derive(Debug)]
struct Place(Arc<Places>);

impl Places {
    /// Takes a place, waiting for one if need be.
    fn take(places: &Arc<Self>) -> Place {
        let taken = places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = places
            .given_back
            .wait_while(taken, |taken| *taken >= UPDATES)
            .unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Place(Arc::clone(places))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.given_back.notify_one();
    }
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
    pub fn start(sender: &SyncSender<Delivery>) -> Result<Self> {
        let signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
            .context("the handler for SIGTERM cannot be installed")?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut producers =
            Self { stop: Arc::clone(&stop), signals: signals.handle(), threads: Vec::new() };
        let (keys, ticks, stops) = (sender.clone(), sender.clone(), sender.clone());
        let (for_keys, for_ticks) = (Arc::clone(&stop), Arc::clone(&stop));
        producers.spawn("keys", move || listen_to_keys(&keys, &for_keys))?;
        producers.spawn("ticks", move || tick(&ticks, &for_ticks))?;
        producers.spawn("signals", move || listen_to_signals(signals, &stops, &stop))?;
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
        let end = Instant::now() + JOIN_PATIENCE;
        for thread in self.threads.drain(..) {
            // A producer that does not end, whatever the reason, must not keep the program from ending.
            while !thread.is_finished() && Instant::now() < end {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// Starts a thread that passes a source's updates on until either side is gone.
///
/// # Errors
///
/// The thread cannot be started.
pub fn follow(updates: Receiver<Update>, sender: SyncSender<Delivery>) -> Result<()> {
    let places = Arc::new(Places::default());
    spawn("connection", move || {
        for update in updates {
            let place = Some(Places::take(&places));
            let delivery = Delivery { event: Event::Update(update), _place: place };
            if sender.send(delivery).is_err() {
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

fn listen_to_keys(sender: &SyncSender<Delivery>, stop: &AtomicBool) {
    let Ok(keyboard) = keyboard() else {
        offer(sender, Event::Stop, stop);
        return;
    };
    while !stop.load(Ordering::Relaxed) {
        let event = match next_of_terminal(keyboard.as_fd()) {
            Ok(None) => continue,
            Ok(Some(event)) => Ok(event),
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

/// Where keys come from, as crossterm sees it: standard input, or the controlling terminal if something is piped in.
///
/// # Errors
///
/// There is neither.
pub(crate) fn keyboard() -> io::Result<OwnedFd> {
    let stdin = io::stdin();
    if stdin.is_terminal() {
        stdin.as_fd().try_clone_to_owned()
    } else {
        Ok(File::open("/dev/tty")?.into())
    }
}

/// The next thing the terminal says, within [`KEY_PATIENCE`].
///
/// Crossterm takes a terminal that has hung up for one that says nothing, and asks it at full speed; so the kernel is
/// asked first whether it has.
fn next_of_terminal(keyboard: BorrowedFd<'_>) -> io::Result<Option<terminal::Event>> {
    let mut wanted = [PollFd::from_borrowed_fd(keyboard, PollFlags::empty())];
    match poll(&mut wanted, Some(&Timespec::default())) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    if wanted[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if terminal::poll(KEY_PATIENCE)? { terminal::read().map(Some) } else { Ok(None) }
}

/// Sends an event, waiting for room, unless everything is over. Returns whether to go on.
fn offer(sender: &SyncSender<Delivery>, event: Event, stop: &AtomicBool) -> bool {
    let mut delivery = Delivery::from(event);
    while !stop.load(Ordering::Relaxed) {
        match sender.try_send(delivery) {
            Ok(()) => return true,
            Err(TrySendError::Full(back)) => delivery = back,
            Err(TrySendError::Disconnected(_)) => return false,
        }
        thread::sleep(Duration::from_millis(1));
    }
    false
}

fn tick(sender: &SyncSender<Delivery>, stop: &AtomicBool) {
    let mut last = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        thread::sleep(TICK);
        let now = Instant::now();
        match sender.try_send(Event::Tick(now - last).into()) {
            Ok(()) => last = now,
            Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => return,
        }
    }
}

fn listen_to_signals(mut signals: Signals, sender: &SyncSender<Delivery>, stop: &AtomicBool) {
    for _ in signals.forever() {
        if !offer(sender, Event::Stop, stop) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Ending;

    #[test]
    fn a_flood_of_updates_leaves_room_for_keys() {
        let (updates, source) = std::sync::mpsc::channel();
        for _ in 0..3 * CAPACITY {
            updates.send(Update::Ended(Ending::Finished)).unwrap();
        }
        let (sender, events) = channel();
        follow(source, sender.clone()).unwrap();
        // However long the connection has had to fill the channel, a key comes after at most so many updates.
        let first = events.recv().unwrap();
        drop(first);
        sender.try_send(Event::Stop.into()).expect("there is room");
        let before = events.iter().take_while(|delivery| !matches!(delivery.event, Event::Stop));
        assert!(before.count() <= UPDATES + 1);
        // All of them come through in the end.
        drop((updates, sender));
        let rest = events.iter().count();
        assert!(rest >= 3 * CAPACITY - UPDATES - 2, "{rest}");
    }
}
