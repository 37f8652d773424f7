//! A task that does anything, in any order, and ends somehow.

use crate::abort;
use crate::exchange::Exchange;
use crate::random::Random;
use nexus_runtime::net::UnixStream;
use nexus_runtime::task::{JoinHandle, JoinSet};
use nexus_runtime::time::{Duration, sleep, timeout};
use nexus_runtime::{spawn, task};
use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::thread::{self, ThreadId};

/// What is alive on this thread: futures and outputs that must not leave it.
#[derive(Clone, Default)]
pub(crate) struct Census(Rc<Cell<usize>>);

impl Census {
    pub(crate) fn alive(&self) -> usize {
        self.0.get()
    }

    fn citizen(&self) -> Citizen {
        self.0.set(self.0.get() + 1);
        Citizen { census: self.clone(), home: thread::current().id() }
    }
}

/// One of them.
pub(crate) struct Citizen {
    census: Census,
    home: ThreadId,
}

impl Drop for Citizen {
    fn drop(&mut self) {
        if thread::current().id() != self.home {
            abort(&format!("what belongs to {:?} was dropped on another thread", self.home));
        }
        self.census.0.set(self.census.0.get() - 1);
    }
}

/// What an actor needs.
pub(crate) struct Actor {
    pub(crate) random: Random,
    pub(crate) exchange: Arc<Exchange>,
    pub(crate) census: Census,
    /// How many generations it may have.
    pub(crate) depth: u32,
}

impl Actor {
    /// Spawns it, with something in its future that is counted, and something in its output.
    pub(crate) fn spawn(self) -> JoinHandle<Citizen> {
        spawn(self.run())
    }

    pub(crate) fn run(self) -> impl Future<Output = Citizen> {
        let citizen = self.census.citizen();
        async move {
            let _citizen = citizen;
            let census = self.census.clone();
            self.act().await;
            census.citizen()
        }
    }

    fn child(&mut self) -> Self {
        Self {
            random: self.random.fork(),
            exchange: self.exchange.clone(),
            census: self.census.clone(),
            depth: self.depth - 1,
        }
    }

    async fn act(mut self) {
        for _ in 0..self.random.below(12) {
            match self.random.below(12) {
                0 => task::yield_now().await,
                1 | 2 => self.hand_out_wakers().await,
                3 => self.wake_itself().await,
                4 => sleep(self.moment()).await,
                5 => self.cancel_timers().await,
                6 => self.open_and_close().await,
                7 => self.have_a_child().await,
                8 => self.have_children().await,
                9 => self.meddle(),
                10 if self.random.once_in(20) => std::panic::resume_unwind(Box::new("on purpose")),
                11 if self.random.once_in(20) => pending().await,
                _ => {}
            }
        }
    }

    fn moment(&mut self) -> Duration {
        Duration::from_micros(self.random.below(200) as u64)
    }

    /// Waits for whoever takes its wakers, but not for long.
    async fn hand_out_wakers(&mut self) {
        let (limit, mut polls) = (self.moment(), 0);
        let wait = poll_fn(|cx| {
            for _ in 0..self.random.below(4) {
                self.exchange.leave(&mut self.random, cx.waker().clone());
            }
            polls += 1;
            if polls > 3 { Poll::Ready(()) } else { Poll::Pending }
        });
        let _ = timeout(limit, wait).await;
    }

    /// Does with the wakers of others what threads do: they may be of this runtime, of another one, or of one that is gone.
    fn meddle(&mut self) {
        for _ in 0..self.random.below(4) {
            let Some(waker) = self.exchange.take(&mut self.random) else { continue };
            match self.random.below(3) {
                0 => waker.wake(),
                1 => {
                    waker.wake_by_ref();
                    self.exchange.leave(&mut self.random, waker);
                }
                _ => drop(waker),
            }
        }
    }

    /// Is in the run queue when it is polled, and perhaps when it ends.
    async fn wake_itself(&mut self) {
        let mut polls = self.random.below(3);
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            polls = polls.wrapping_sub(1);
            if polls == usize::MAX { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    async fn cancel_timers(&mut self) {
        let mut timers: Vec<_> =
            (0..self.random.below(5)).map(|_| Box::pin(sleep(self.moment()))).collect();
        let mut left = self.random.below(4);
        poll_fn(|cx| {
            for timer in &mut timers {
                let _ = timer.as_mut().poll(cx);
            }
            if !timers.is_empty() {
                timers.swap_remove(self.random.below(timers.len()));
            }
            self.exchange.leave(&mut self.random, cx.waker().clone());
            if left == 0 || timers.is_empty() {
                return Poll::Ready(());
            }
            left -= 1;
            Poll::Pending
        })
        .await;
    }

    /// Sockets that are closed while a wait for them is under way, or their events are.
    async fn open_and_close(&mut self) {
        let Ok((ours, theirs)) = UnixStream::pair() else { return };
        let mut buffer = [0; 16];
        let waits = poll_fn(|cx| Poll::Ready(ours.poll_read(cx, &mut buffer).is_pending())).await;
        assert!(waits, "nothing was written");
        for _ in 0..self.random.below(3) {
            let _ = theirs.try_write(b"something");
        }
        match self.random.below(4) {
            0 => drop(theirs),
            1 => drop(timeout(self.moment(), ours.read(&mut buffer)).await),
            2 => {
                let wakers = poll_fn(|cx| Poll::Ready([cx.waker().clone(), cx.waker().clone()]));
                for waker in wakers.await {
                    self.exchange.leave(&mut self.random, waker);
                }
                let _ = theirs.shutdown(std::net::Shutdown::Write);
                task::yield_now().await;
            }
            _ => {}
        }
    }

    async fn have_a_child(&mut self) {
        if self.depth == 0 {
            return;
        }
        let mut child = self.child().spawn();
        match self.random.below(5) {
            0 => drop(child),
            1 => drop(child.await),
            2 => {
                child.abort();
                task::yield_now().await;
            }
            3 => {
                // Waits for it, thinks better of it, and waits again.
                poll_fn(|cx| {
                    let _ = Pin::new(&mut child).poll(cx).is_ready();
                    Poll::Ready(())
                })
                .await;
                child.abort();
                // If it was ready, there is nothing more to be had.
            }
            _ => {
                let limit = self.moment();
                drop(timeout(limit, child).await);
            }
        }
    }

    async fn have_children(&mut self) {
        if self.depth == 0 {
            return;
        }
        let mut children = JoinSet::new();
        for _ in 0..self.random.below(4) {
            let child = self.child();
            children.spawn(child.run());
        }
        let limit = self.moment();
        let _ = timeout(limit, children.join_next()).await;
        match self.random.below(4) {
            0 => children.detach_all(),
            1 => children.shutdown().await,
            2 => children.abort_all(),
            _ => {}
        }
    }
}
