//! Ctrl-C and its kin as a wish to end, not as an end.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A signal so soon after the first is the same wish: `timeout` sends two at once, an impatient finger as well.
const SAME_WISH: Duration = Duration::from_secs(1);

/// Whether somebody wants us to end.
#[derive(Clone, Debug)]
pub(crate) struct EndWanted(Arc<AtomicBool>);

impl EndWanted {
    /// From now on SIGINT, SIGTERM and SIGHUP set this. One that comes a second or more later, while the first is still
    /// being obeyed, ends the program at once.
    pub(crate) fn watch() -> io::Result<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let wanted = Arc::new(AtomicBool::new(false));
        let tell = Arc::clone(&wanted);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let mut first: Option<Instant> = None;
            for signal in signals.forever() {
                tell.store(true, Ordering::Relaxed);
                if first.get_or_insert_with(Instant::now).elapsed() >= SAME_WISH {
                    process::exit(128 + signal);
                }
            }
        })?;
        Ok(Self(wanted))
    }

    /// Whether a signal has come.
    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
