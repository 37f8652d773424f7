//! What the endpoint asks of the operating system and cannot ask safely: the module with its unsafe code.
//!
//! Signals, scheduling, fork and exit. Knows nothing of clients or frames.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::io;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicI32, Ordering};

/// Whether the program runs with more rights than its caller (set-user-id, capabilities): the environment is not to be
/// trusted then, and nobody is to look inside.
pub(crate) fn is_secure() -> bool {
    // SAFETY: `getauxval` reads a table that the kernel has made for the process, and has no preconditions.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Calls `body` with all signals blocked on this thread: a thread spawned in it is born with them blocked, so that the
/// program's handlers never run on it.
pub(crate) fn with_signals_blocked<R>(body: impl FnOnce() -> R) -> R {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `sigfillset` initialises the set it is given; `pthread_sigmask` reads it, and fills the other one if it
    // returns zero, as it does with valid arguments.
    let blocked = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) == 0
    };
    let result = body();
    if blocked {
        // SAFETY: `before` was filled above.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut());
        }
    }
    result
}

/// Makes the calling thread an ordinary one, whatever the thread that spawned it was: not a real-time one, and on the
/// given CPUs, or on those that the process's first thread may use. A pinned, spinning runtime thread would otherwise
/// starve it. What the kernel refuses stays as it was.
pub(super) fn schedule_ordinarily(cpus: Option<&[usize]>) {
    let normal = libc::sched_param { sched_priority: 0 };
    // SAFETY: zero stands for the calling thread, and the parameter is a valid one that is only read.
    unsafe {
        libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const normal);
    }
    let wanted = match cpus {
        Some(cpus) => {
            let mut set = CpuSet::new();
            cpus.iter().filter(|&&cpu| cpu < CpuSet::MAX_CPU).for_each(|&cpu| set.set(cpu));
            Ok(set)
        }
        None => sched_getaffinity(Some(rustix::process::getpid())),
    };
    if let Err(error) = wanted.and_then(|set| sched_setaffinity(None, &set)) {
        tracing::warn!(target: super::TARGET, %error, ?cpus, "the endpoint's thread stays on its CPUs");
    }
}

/// Calls `in_child` in every child that `fork` makes of this process, and `at_exit` when the process ends by `exit` or
/// by returning from `main`. Both must be prepared to be called at any moment; `in_child` may do nothing but what a
/// signal handler may.
pub(super) fn hook(in_child: extern "C" fn(), at_exit: extern "C" fn()) -> io::Result<()> {
    // SAFETY: the functions are those of this program, live as long as it does (the C library drops the registrations
    // of a library that is unloaded), and keep to what is said above.
    let errors =
        unsafe { [libc::pthread_atfork(None, None, Some(in_child)), libc::atexit(at_exit)] };
    match errors.into_iter().find(|&error| error != 0) {
        None => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(error)),
    }
}

/// The endpoint's open descriptors, for the child's fork handler: -1 where there is none.
static DESCRIPTORS: [AtomicI32; 64] = [const { AtomicI32::new(-1) }; 64];

/// A descriptor that a forked child closes.
#[derive(Debug)]
pub(super) struct Guarded<T: AsRawFd> {
    inner: T,
    entry: Option<usize>,
}

impl<T: AsRawFd> Guarded<T> {
    /// Takes note of a descriptor. If there are more than the table holds, a child keeps it until it calls `exec`.
    pub(super) fn new(inner: T) -> Self {
        let fd = inner.as_raw_fd();
        let free = |entry: &&AtomicI32| {
            entry.compare_exchange(-1, fd, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        let entry = DESCRIPTORS.iter().enumerate().find(|(_, entry)| free(entry));
        Self { inner, entry: entry.map(|(index, _)| index) }
    }
}

impl<T: AsRawFd> Deref for Guarded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: AsRawFd + io::Read> io::Read for Guarded<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

impl<T: AsRawFd + io::Write> io::Write for Guarded<T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.inner.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: AsRawFd> Drop for Guarded<T> {
    fn drop(&mut self) {
        // Before the descriptor is closed: afterwards its number may be somebody else's.
        if let Some(entry) = self.entry {
            DESCRIPTORS[entry].store(-1, Ordering::Release);
        }
    }
}

/// Closes all guarded descriptors of this process, for a forked child, in which nobody else uses them: the thread that
/// did is not there. May be called from a fork handler.
pub(super) fn close_guarded_in_child() {
    for entry in &DESCRIPTORS {
        let fd: RawFd = entry.swap(-1, Ordering::AcqRel);
        if fd >= 0 {
            // SAFETY: the descriptor is the child's copy of one that the parent's endpoint owns. Its owning value
            // belongs to the endpoint's thread, which a child has not, or is leaked, so nobody will close it again.
            unsafe {
                libc::close(fd);
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_spawned_with_signals_blocked_has_them_blocked() {
        let read = || std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let blocked = |status: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
            u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
        };
        let before = blocked(&read());
        let born = with_signals_blocked(|| std::thread::spawn(read)).join().unwrap();
        let usr1 = 1 << (libc::SIGUSR1 - 1);
        assert_ne!(blocked(&born) & usr1, 0);
        assert_eq!(blocked(&read()), before, "this thread's are as before");
    }
}
