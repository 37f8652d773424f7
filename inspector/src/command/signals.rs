//! Ctrl-C and its kin as a wish to end, not as an end.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody wants us to end.
#[derive(Clone, Debug)]
pub(crate) struct EndWanted(Arc<AtomicBool>);

impl EndWanted {
    /// From now on SIGINT, SIGTERM and SIGHUP set this. A second one, while the first is still being obeyed, ends the
    /// program at once.
    pub(crate) fn watch() -> io::Result<Self> {
        let wanted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: the flag is still down when the first signal asks whether to end at once.
            signal_hook::flag::register_conditional_shutdown(
                signal,
                128 + signal,
                Arc::clone(&wanted),
            )?;
            signal_hook::flag::register(signal, Arc::clone(&wanted))?;
        }
        Ok(Self(wanted))
    }

    /// Whether a signal has come.
    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
