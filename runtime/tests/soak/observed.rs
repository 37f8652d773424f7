//! The process that is observed: connections, tasks, names, timers, storms and whole runtimes come and go in it.

use crate::random::Random;
use nexus_protocol::limits::MAX_STRINGS;
use nexus_runtime::net::{TcpListener, TcpStream};
use nexus_runtime::sync::{Notify, mpsc};
use nexus_runtime::task::{Builder as Task, JoinSet, spawn_blocking, yield_now};
use nexus_runtime::time::{Duration, sleep, timeout};
use nexus_runtime::{Builder, spawn};
use std::future::{pending, poll_fn};
use std::io::BufRead;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::time::Instant;
use std::{io, thread};

const RING_RECORDS: usize = 1 << 15;
const BOARD_ROWS: usize = 1024;

/// The same for runtimes that come and go. The last four that ended are kept.
const BRIEF_RECORDS: usize = 1 << 10;
const BRIEF_ROWS: usize = 64;
const BRIEF_RUNTIMES: usize = 4 + 1;

/// The most that all this is to take, beyond what the program took when it started.
pub(crate) fn configured() -> u64 {
    const RECORD: usize = 32;
    const ROWS: usize = 256 + 192;
    // The text, in the table, in its index, and in the runtime's memory of what it has interned.
    const STRING: usize = 3 * 96;
    let main = RING_RECORDS * RECORD + BOARD_ROWS * ROWS;
    let brief =
        BRIEF_RUNTIMES * (BRIEF_RECORDS * RECORD + 2 * BRIEF_ROWS.next_multiple_of(256) * ROWS);
    // What waits for a client is held in a queue of a MiB and the frame that came last, in memory that grows by doubling.
    let clients = crate::clients::MOST * (4 << 20);
    // Tasks and buffers of the workload itself, stacks, and holes in the allocator's memory.
    let rest = 12 << 20;
    (main + brief + MAX_STRINGS * STRING + clients + rest) as u64
}

/// Says that it has started, and goes on when it is told to; then fills the table of strings, says that it is ready, and
/// goes on until its standard input ends.
pub(crate) fn run() {
    println!("started");
    io::stdin().lock().read_line(&mut String::new()).expect("a line");
    let stop = Arc::new(AtomicBool::new(false));
    let teller = stop.clone();
    let stopped = thread::spawn(move || {
        let _ = io::stdin().lock().read_line(&mut String::new());
        teller.store(true, Ordering::Release);
    });
    let runtime = Builder::new()
        .ring_records(RING_RECORDS)
        .board_rows(BOARD_ROWS)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        for number in 0..MAX_STRINGS {
            let _ = Task::new().name(&format!("name {number}")).spawn(async {}).await;
        }
    });
    println!("ready");
    let others = {
        let stop = stop.clone();
        thread::spawn(move || come_and_go(&stop))
    };
    runtime.block_on(async {
        let mut random = Random::new(1);
        let mut work = JoinSet::new();
        work.spawn(connections(random.fork()));
        work.spawn(tasks(random.fork()));
        work.spawn(timers(random.fork()));
        work.spawn(storms());
        work.spawn(names());
        work.spawn(primitives());
        work.spawn(threads());
        while !stop.load(Ordering::Acquire) {
            assert!(work.try_join_next().is_none(), "a part of the workload has ended");
            sleep(Duration::from_millis(20)).await;
        }
        work.shutdown().await;
    });
    others.join().expect("runtimes come and go");
    stopped.join().expect("the end of the input");
}

fn some(random: &mut Random, below: usize) -> Duration {
    Duration::from_micros(random.below(below) as u64)
}

async fn connections(mut random: Random) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("its address");
    drop(spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(spawn(async move {
                let mut buffer = vec![0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    if stream.write_all(&buffer[..count]).await.is_err() {
                        return;
                    }
                }
            }));
        }
    }));
    loop {
        let mut clients = JoinSet::new();
        for _ in 0..random.below(40) {
            let (size, patience) = (1 + random.below(8192), some(&mut random, 20_000));
            clients.spawn(async move {
                let exchange = async {
                    let stream = TcpStream::connect(address).await?;
                    stream.write_all(&vec![7; size]).await?;
                    let mut buffer = vec![0; size];
                    stream.read_exact(&mut buffer).await
                };
                // Some lose their patience, and leave in the middle.
                let _ = timeout(patience, exchange).await;
            });
        }
        while clients.join_next().await.is_some() {}
        sleep(Duration::from_millis(150)).await;
    }
}

/// More of them than the board has rows.
async fn tasks(mut random: Random) {
    loop {
        let mut handles = Vec::new();
        for number in 0..2 * BOARD_ROWS {
            let time = some(&mut random, 30_000);
            handles.push(spawn(async move {
                match number % 8 {
                    0 => pending().await,
                    1 => std::panic::resume_unwind(Box::new("on purpose")),
                    _ => sleep(time).await,
                }
            }));
        }
        sleep(Duration::from_millis(20)).await;
        for (number, handle) in handles.into_iter().enumerate() {
            match number % 8 {
                0 => handle.abort(),
                2 => {
                    let _ = handle.await;
                }
                _ => drop(handle),
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
}

async fn timers(mut random: Random) {
    loop {
        let mut timers: Vec<_> =
            (0..1000).map(|_| Box::pin(sleep(some(&mut random, 1_000_000)))).collect();
        poll_fn(|cx| {
            timers.retain_mut(|timer| timer.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        sleep(Duration::from_millis(100)).await;
    }
}

/// At full speed for a while, so that the ring goes around many times.
async fn storms() {
    loop {
        let end = Instant::now() + Duration::from_millis(60);
        poll_fn(|cx| {
            if Instant::now() > end {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        sleep(Duration::from_millis(400)).await;
    }
}

/// New ones for ever.
async fn names() {
    for number in 0_u64.. {
        let name = format!("a name that was never heard of before, {number}");
        let _ = Task::new().name(&name).spawn(async {}).await;
        sleep(Duration::from_millis(2)).await;
    }
}

async fn primitives() {
    loop {
        for _ in 0..20 {
            let (sender, mut receiver) = mpsc::channel(4);
            let done = Rc::new(Notify::new());
            let notify = done.clone();
            drop(spawn(async move {
                while receiver.recv().await.is_some() {}
                notify.notify_one();
            }));
            for number in 0..10 {
                sender.send(number).await.expect("somebody receives");
            }
            drop(sender);
            done.notified().await;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// Wakes from other threads, also of tasks that are gone.
async fn threads() {
    loop {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Waker>();
        drop(spawn(poll_fn(move |cx| {
            let _ = sender.send(cx.waker().clone());
            Poll::Ready(())
        })));
        let waker = receiver.recv().await.expect("a waker");
        yield_now().await;
        let twin = waker.clone();
        let _ = spawn_blocking(move || twin.wake()).await;
        drop(waker);
        sleep(Duration::from_millis(20)).await;
    }
}

/// Runtimes on a thread of their own, one after another.
fn come_and_go(stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        let builder =
            Builder::new().ring_records(BRIEF_RECORDS).board_rows(BRIEF_ROWS).name("brief");
        builder.build().expect("a runtime").block_on(async {
            for _ in 0..2 * BRIEF_ROWS {
                drop(spawn(yield_now()));
            }
            sleep(Duration::from_millis(20)).await;
        });
    }
}
