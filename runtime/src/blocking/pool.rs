//! The threads that blocking work runs on: started as they are needed, up to a limit, and ended when they idle.
//!
//! Knows jobs as something to run once, first in, first out; what they return and who waits for it is not its business.

use crate::endpoint::with_signals_blocked;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Threads of a process at most.
const MAX_THREADS: usize = 64;

/// How long a thread waits for work before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// The pool of this process.
pub(super) static POOL: Pool = Pool::new();

/// Something to run once, on a thread of the pool. Panics stay inside.
pub(super) trait Job: Send + Sync {
    fn run(&self);
}

/// See the [module](self).
pub(super) struct Pool {
    state: Mutex<State>,
    /// One more job in the queue, for one more idle thread.
    work: Condvar,
}

struct State {
    /// The process whose threads these are: a forked child has none of its parent's.
    pid: u32,
    queue: VecDeque<Arc<dyn Job>>,
    threads: usize,
    /// Threads that wait for work. One that was woken counts until it has looked into the queue, where it finds what it
    /// was woken for unless another thread was faster.
    idle: usize,
}

impl Pool {
    const fn new() -> Self {
        let state = State { pid: 0, queue: VecDeque::new(), threads: 0, idle: 0 };
        Self { state: Mutex::new(state), work: Condvar::new() }
    }

    /// Queues a job, and starts a thread if all are busy and there may be one more.
    ///
    /// # Errors
    ///
    /// If there is no thread and none can be started. The job is not queued then. With threads that are busy, it waits
    /// for one of them instead.
    pub(super) fn push(&'static self, job: Arc<dyn Job>) -> io::Result<()> {
        let mut state = self.lock();
        let inherited = state.disown_inherited();
        state.queue.push_back(job);
        if state.queue.len() <= state.idle {
            self.work.notify_one();
        } else if state.threads < MAX_THREADS {
            match self.start_thread() {
                Ok(()) => state.threads += 1,
                Err(error) if state.threads > 0 => {
                    tracing::warn!(
                        target: "nexus::runtime",
                        %error,
                        threads = state.threads,
                        "cannot start another thread for blocking work"
                    );
                }
                Err(error) => {
                    // The lock was held since the push.
                    let job = state.queue.pop_back();
                    drop(state);
                    drop((job, inherited));
                    return Err(error);
                }
            }
        }
        drop(state);
        drop(inherited);
        Ok(())
    }

    fn start_thread(&'static self) -> io::Result<()> {
        let thread = thread::Builder::new().name("nexus-blocking".to_owned());
        with_signals_blocked(|| thread.spawn(|| self.work())).map(drop)
    }

    /// The body of a thread.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                drop(state);
                job.run();
                drop(job);
                state = self.lock();
                continue;
            }
            state.idle += 1;
            let waited = self.work.wait_timeout(state, KEEP_ALIVE);
            let (woken, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// In a forked child, forgets the parent's threads. The jobs that were queued for them are handed out, to be dropped
    /// without the lock.
    fn disown_inherited(&mut self) -> VecDeque<Arc<dyn Job>> {
        let pid = std::process::id();
        if self.pid == pid {
            return VecDeque::new();
        }
        self.pid = pid;
        (self.threads, self.idle) = (0, 0);
        std::mem::take(&mut self.queue)
    }
}
