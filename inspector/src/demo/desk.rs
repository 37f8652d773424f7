//! Everything that is not a socket: timers, a batch job, and a worker that another thread feeds.

use super::spawn;
use nexus_runtime::time::{Duration, Instant, sleep, timeout};
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread;

/// Heartbeats, each with this many milliseconds between.
const HEARTBEATS_MILLIS: [u64; 3] = [10, 100, 1_000];

pub(super) fn start() -> io::Result<()> {
    for millis in HEARTBEATS_MILLIS {
        spawn("heartbeat", async move {
            loop {
                sleep(Duration::from_millis(millis)).await;
            }
        });
    }
    spawn("watchdog", watchdog());
    spawn("settlement", settlement());
    spawn("risk", risk()?);
    Ok(())
}

/// Timers that are armed and cancelled far more often than they fire.
async fn watchdog() -> io::Result<()> {
    loop {
        let late = timeout(Duration::from_millis(250), sleep(Duration::from_millis(15))).await;
        if late.is_err() {
            eprintln!("demo: watchdog: the loop stood still for a quarter of a second");
        }
    }
}

/// A batch job twice a second that holds the thread for some milliseconds: a broad bar in the timeline.
async fn settlement() -> io::Result<()> {
    loop {
        sleep(Duration::from_millis(500)).await;
        let end = Instant::now() + Duration::from_millis(4);
        while Instant::now() < end {
            std::hint::spin_loop();
        }
    }
}

/// What a thread has computed and a task has not taken yet.
#[derive(Default)]
struct Mailbox {
    limits: Vec<u64>,
    reader: Option<Waker>,
}

/// Takes in what a thread outside of the runtime computes.
fn risk() -> io::Result<impl Future<Output = io::Result<()>>> {
    let mailbox = Arc::new(Mutex::new(Mailbox::default()));
    let model = mailbox.clone();
    thread::Builder::new().name("risk-model".to_owned()).spawn(move || {
        for limit in 0.. {
            thread::sleep(Duration::from_millis(30));
            let mut mailbox = model.lock().unwrap_or_else(PoisonError::into_inner);
            mailbox.limits.push(limit);
            if let Some(reader) = mailbox.reader.take() {
                drop(mailbox);
                reader.wake();
            }
        }
    })?;
    Ok(poll_fn(move |cx| {
        let mut mailbox = mailbox.lock().unwrap_or_else(PoisonError::into_inner);
        mailbox.limits.clear();
        mailbox.reader = Some(cx.waker().clone());
        Poll::Pending
    }))
}
