//! What these tests have in common.

use nexus_runtime::Runtime;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    Runtime::new().unwrap().block_on(future)
}

/// Counts how often its waker is fired.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Somebody who polls by hand.
pub(crate) struct Poller {
    pub(crate) wakes: Arc<Wakes>,
    waker: Waker,
}

impl Poller {
    pub(crate) fn new() -> Self {
        let wakes = Arc::new(Wakes::default());
        Self { waker: Waker::from(Arc::clone(&wakes)), wakes }
    }

    pub(crate) fn poll<F: Future>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&self.waker))
    }

    /// Polls a future that has to wait, and drops it.
    #[track_caller]
    pub(crate) fn give_up<F: Future>(&self, future: F) {
        let mut future = std::pin::pin!(future);
        assert!(self.poll(future.as_mut()).is_pending());
    }

    /// Nobody but this poller has its waker.
    #[track_caller]
    pub(crate) fn assert_nothing_is_left(&self) {
        assert_eq!(Arc::strong_count(&self.wakes), 2, "somebody has kept the waker");
        assert_eq!(self.wakes.count(), 0);
    }
}

pub(crate) fn assert_send_and_sync<T: Send + Sync>(_: &T) {}

pub(crate) fn assert_send<T: Send>(_: &T) {}
