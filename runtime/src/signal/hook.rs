//! What is done inside a signal handler: the module with its unsafe code.

use rustix::process::getpid;
use signal_hook_registry::SigId;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// While this lives, a signal of this process raises a counter (an eventfd).
#[derive(Debug)]
pub(super) struct Hook(SigId);

impl Hook {
    pub(super) fn new(signal: i32, counter: Arc<OwnedFd>) -> io::Result<Self> {
        if signal_hook_registry::FORBIDDEN.contains(&signal) {
            let refusal = format!("signal {signal} can't be listened to");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, refusal));
        }
        let process = getpid();
        let raise = move || {
            // A forked child has inherited the handler and the descriptor, but its signals are not its parent's.
            if getpid() == process {
                // It refuses only if the counter is at its limit, and then there is enough for whoever reads it.
                let _ = rustix::io::write(&*counter, &1_u64.to_ne_bytes());
            }
        };
        // SAFETY: a signal handler may do only little, and this does no more: two system calls, without memory being
        // allocated or freed, locks or panics. The registry restores `errno`.
        let id = unsafe { signal_hook_registry::register(signal, raise) }?;
        Ok(Self(id))
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        // The registry waits for handlers that are running, so that the descriptor is not closed under them.
        signal_hook_registry::unregister(self.0);
    }
}
