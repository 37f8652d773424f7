//! What the board counts is what others count of the same run: futures and wakers that keep count of polls and wakes, a client
//! that keeps count of its bytes and messages, and `strace`, which counts system calls.

#[path = "support/recording.rs"]
#[allow(dead_code, reason = "others look closer")]
mod recording;

use nexus_protocol::board::{TaskRow, Totals};
use nexus_protocol::event::{Event, Operation, OperationResult};
use nexus_runtime::net::{TcpListener, UnixStream};
use nexus_runtime::sync::mpsc;
use nexus_runtime::task::{JoinHandle, yield_now};
use nexus_runtime::time::{sleep, timeout};
use nexus_runtime::{Builder, Runtime, spawn};
use recording::Recording;
use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

/// What was counted of a task.
#[derive(Default)]
struct Counts {
    polls: AtomicU64,
    fired: AtomicU64,
}

/// A waker that keeps count.
struct CountingWaker {
    inner: Waker,
    counts: Arc<Counts>,
}

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.counts.fired.fetch_add(1, Ordering::Relaxed);
        self.inner.wake_by_ref();
    }
}

/// A future that keeps count of its polls and, if it is told to, has wakers that keep count.
struct Counted<F> {
    inner: Pin<Box<F>>,
    counts: Arc<Counts>,
    wakers: bool,
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.counts.polls.fetch_add(1, Ordering::Relaxed);
        if !self.wakers {
            return self.inner.as_mut().poll(cx);
        }
        let (inner, counts) = (cx.waker().clone(), self.counts.clone());
        let waker = Arc::new(CountingWaker { inner, counts }).into();
        self.inner.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

/// Spawns futures that keep count.
#[derive(Default)]
struct Census {
    tasks: Vec<(JoinHandle<()>, Arc<Counts>)>,
}

impl Census {
    fn count<F: Future>(counts: &Arc<Counts>, wakers: bool, future: F) -> Counted<F> {
        Counted { inner: Box::pin(future), counts: counts.clone(), wakers }
    }

    /// The task goes on for ever after its future, so that its row stays.
    fn spawn(&mut self, wakers: bool, future: impl Future<Output = ()> + 'static) {
        let counts = Arc::default();
        let future = Self::count(&counts, wakers, async {
            future.await;
            pending().await
        });
        self.tasks.push((spawn(future), counts));
    }
}

/// Tasks that do everything that leads to polls and wakes. `wakers` says whether the wakers keep count.
fn busy(census: &mut Census, wakers: bool) {
    census.spawn(wakers, async {
        for _ in 0..200 {
            yield_now().await;
        }
    });
    // A storm, whose polls are not recorded one by one.
    let mut left = 20_000;
    census.spawn(
        wakers,
        poll_fn(move |cx| {
            left -= 1;
            if left == 0 {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            // The second one is redundant.
            (left % 100 == 0).then(|| cx.waker().wake_by_ref());
            Poll::Pending
        }),
    );
    census.spawn(wakers, async {
        for number in 0..20 {
            sleep(Duration::from_micros(number * 10)).await;
            let _ = timeout(Duration::from_micros(number), pending::<()>()).await;
        }
    });
    let (sender, mut receiver) = mpsc::channel(2);
    census.spawn(wakers, async move {
        for number in 0..100 {
            sender.send(number).await.unwrap();
        }
    });
    census.spawn(wakers, async move { while receiver.recv().await.is_some() {} });
    let (ours, theirs) = UnixStream::pair().unwrap();
    census.spawn(wakers, async move {
        for _ in 0..50 {
            ours.write_all(b"ping").await.unwrap();
            ours.read_exact(&mut [0; 4]).await.unwrap();
        }
    });
    census.spawn(wakers, async move {
        let mut buffer = [0; 4];
        while theirs.read_exact(&mut buffer).await.is_ok() {
            theirs.write_all(&buffer).await.unwrap();
        }
    });
    // Woken by other threads, all of which have ended before it goes on for good.
    census.spawn(wakers, async {
        for _ in 0..10 {
            let mut threads = Vec::new();
            poll_fn(|cx| {
                if threads.is_empty() {
                    threads = (0..2)
                        .map(|_| {
                            let waker = cx.waker().clone();
                            thread::spawn(move || (0..10).for_each(|_| waker.wake_by_ref()))
                        })
                        .collect();
                }
                if threads.iter().all(thread::JoinHandle::is_finished) {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    });
}

/// Whether all tasks have come to their end: nobody is polled any more.
async fn until_quiet(census: &Census) {
    let polls = || census.tasks.iter().map(|(_, counts)| counts.polls.load(Ordering::Relaxed));
    let (mut before, mut quiet) = (0, 0);
    while quiet < 20 {
        sleep(Duration::from_millis(5)).await;
        let now: u64 = polls().sum();
        quiet = if now == before { quiet + 1 } else { 0 };
        before = now;
    }
}

fn rows(recording: &Recording) -> BTreeMap<u64, TaskRow> {
    recording.board.tasks.iter().map(|row| (row.task.0, *row)).collect()
}

#[test]
fn polls_and_wakes_are_what_futures_and_wakers_count() {
    let runtime = Builder::new().ring_records(1 << 18).build().unwrap();
    let (mut census, root) = (Census::default(), Arc::default());
    runtime.block_on(Census::count(&root, true, async {
        for wakers in [true, false] {
            busy(&mut census, wakers);
        }
        until_quiet(&census).await;
    }));
    let recording = Recording::of(runtime.id());
    let rows = rows(&recording);
    let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let mut polls = load(&root.polls);
    for (handle, counts) in &census.tasks {
        let row = rows[&handle.id().0].counters;
        assert_eq!(row.polls, load(&counts.polls), "polls of {:?}", handle.id());
        polls += row.polls;
        if load(&counts.fired) > 0 {
            // The first one came with its spawning.
            let wakes = 1 + load(&counts.fired);
            assert_eq!(row.wakes + row.redundant, wakes, "wakes of {:?}", handle.id());
        }
    }
    assert_eq!(recording.board.totals.polls, polls);
    assert!(polls > 40_000, "{polls}: the storms were there");
    let counted = census.tasks.iter().filter(|(_, counts)| load(&counts.fired) > 0).count();
    assert_eq!(counted, census.tasks.len() / 2, "all those whose wakers keep count were woken");
}

/// Serves `connections` one after another; each ends when its client has sent all.
async fn echo(listener: TcpListener, connections: usize) {
    let mut serving = Vec::new();
    for _ in 0..connections {
        let (stream, _) = listener.accept().await.unwrap();
        serving.push(spawn(async move {
            let mut buffer = [0; 512];
            while let count @ 1.. = stream.read(&mut buffer).await.unwrap() {
                stream.write_all(&buffer[..count]).await.unwrap();
            }
        }));
    }
    for served in serving {
        served.await.unwrap();
    }
}

/// Sends messages and waits for each to come back. How many bytes that were in each direction.
fn converse(address: SocketAddr, messages: usize) -> u64 {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut bytes = 0;
    for number in 0..messages {
        let message = vec![7; 1 + number % 400];
        stream.write_all(&message).unwrap();
        stream.read_exact(&mut vec![0; message.len()]).unwrap();
        bytes += message.len() as u64;
    }
    bytes
}

const CONNECTIONS: usize = 4;
const MESSAGES: usize = 300;

/// Runs an echo server and its clients. What the clients have counted comes with the runtime.
fn serve() -> (Runtime, u64) {
    let runtime = Builder::new().ring_records(1 << 16).build().unwrap();
    let bytes = runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let clients: Vec<_> =
            (0..CONNECTIONS).map(|_| thread::spawn(move || converse(address, MESSAGES))).collect();
        echo(listener, CONNECTIONS).await;
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    (runtime, bytes)
}

/// How many operations of this sort there were, apart from those that the kernel was not asked for.
fn asked(recording: &Recording, wanted: Operation) -> u64 {
    let is_wanted = |event: &&Event| {
        matches!(event, Event::Operation { operation, result, .. }
            if *operation == wanted && *result != OperationResult::NotReady)
    };
    recording.events.iter().filter(is_wanted).count() as u64
}

#[test]
fn bytes_and_connections_are_what_clients_count() {
    let (runtime, bytes) = serve();
    let recording = Recording::of(runtime.id());
    let Totals { bytes_in, bytes_out, claims, releases, live, .. } = recording.board.totals;
    assert_eq!((bytes_in, bytes_out), (bytes, bytes));
    let tokens = 1 + CONNECTIONS as u64;
    assert_eq!((claims, releases, live), (tokens, tokens, 0));
    let accepted = recording.events.iter().filter(|event| {
        matches!(
            event,
            Event::Operation { operation: Operation::Accept, result: OperationResult::Done(_), .. }
        )
    });
    assert_eq!(accepted.count(), CONNECTIONS);
}

/// Set in the process that `strace` looks at.
const TRACED: &str = "NEXUS_TEST_TRACED";

#[test]
fn system_calls_are_what_strace_counts() {
    if std::env::var_os(TRACED).is_some() {
        return be_traced();
    }
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new("strace")
        .args(["-ff", "-e", "trace=epoll_wait,epoll_pwait,recvfrom,sendto,accept4", "-o"])
        .arg(directory.path().join("calls"))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "system_calls_are_what_strace_counts", "--nocapture"])
        .env(TRACED, "yes")
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return eprintln!("skipped: cannot start strace: {error}"),
    };
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if complained.contains("ptrace") && !said.contains("thread") {
        return eprintln!("skipped: strace may not trace here: {complained}");
    }
    assert!(output.status.success(), "{said}\n{complained}");
    let told = |what: &str| -> u64 {
        let line = said.lines().find_map(|line| line.strip_prefix(what));
        line.unwrap_or_else(|| panic!("it does not say {what}: {said}")).trim().parse().unwrap()
    };
    let calls = calls(&directory.path().join(format!("calls.{}", told("thread"))));
    let count = |names: &[&str]| names.iter().filter_map(|name| calls.get(*name)).sum::<u64>();
    assert_eq!(count(&["epoll_wait", "epoll_pwait"]), told("turns"), "{calls:?}");
    assert_eq!(count(&["recvfrom"]), told("reads"), "{calls:?}");
    assert_eq!(count(&["sendto"]), told("writes"), "{calls:?}");
    assert_eq!(count(&["accept4"]), told("accepts"), "{calls:?}");
    assert!(told("reads") >= (CONNECTIONS * MESSAGES) as u64);
}

/// How often each system call stands in a log of `strace`.
fn calls(log: &Path) -> BTreeMap<String, u64> {
    let mut calls = BTreeMap::new();
    for line in std::fs::read_to_string(log).unwrap().lines() {
        if let Some((name, _)) = line.split_once('(') {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    calls
}

/// The process that `strace` looks at: the runtime has a thread of its own, all of whose calls are counted.
fn be_traced() {
    let (give, take) = std::sync::mpsc::channel();
    let (told, tell) = std::sync::mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let (runtime, _) = serve();
        give.send((runtime.id(), rustix::thread::gettid())).unwrap();
        // The board is there as long as the runtime.
        let _ = tell.recv();
    });
    let (id, thread_id) = take.recv().unwrap();
    let recording = Recording::of(id);
    println!("\nthread {}", thread_id.as_raw_nonzero());
    println!("turns {}", recording.board.totals.turns);
    println!("reads {}", asked(&recording, Operation::Read));
    println!("writes {}", asked(&recording, Operation::Write));
    println!("accepts {}", asked(&recording, Operation::Accept));
    drop(told);
    thread.join().unwrap();
}
