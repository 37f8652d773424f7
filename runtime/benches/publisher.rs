//! What an event costs on its way to a client: `cargo bench -p nexus-inspect-runtime --bench publisher`.
//!
//! All of it is the real thing: a runtime, its ring, the endpoint's thread, a socket, and the protocol's own client. Two
//! questions:
//!
//! 1. A client asks for a ring full of history. How many events does the endpoint's thread read, encode and write a second
//!    of its own CPU time? Medians of rounds, with the lowest and the highest.
//! 2. A runtime records two million events a second for some seconds, in bursts a millisecond long. Does a client that is
//!    attached get all of them, and what does that take?
//!
//! `publisher SECONDS RATE` asks the second question alone, for so long, with another rate.

use nexus_protocol::RuntimeId;
use nexus_protocol::frame::{Goodbye, KindFilter, ServerFrame, Subscribe};
use nexus_protocol::session::{Client, Received};
use nexus_runtime::net::UnixStream;
use nexus_runtime::sync::mpsc;
use nexus_runtime::{Builder, spawn, time};
use rustix::time::{ClockId, clock_gettime};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;

/// Records in the ring for the first question.
const HISTORY: usize = 1 << 21;

/// For the second question.
const RATE: f64 = 2e6;
const SECONDS: f64 = 5.0;

/// Exchanges between two looks at the clock.
const BURST: u32 = 16;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|text| text != "--bench").collect();
    let records_an_exchange = history(if arguments.is_empty() { ROUNDS } else { 1 });
    let number = |index: usize, otherwise: f64| {
        arguments.get(index).map_or(otherwise, |text| text.parse().expect("a number"))
    };
    stream(number(0, SECONDS), number(1, RATE), records_an_exchange);
}

/// What a client was given of one runtime.
#[derive(Default)]
struct Given {
    delivered: u64,
    lost: u64,
}

/// The first question. Returns how many records an exchange makes.
fn history(rounds: usize) -> f64 {
    const EXCHANGES: u32 = HISTORY as u32 / 8;
    let (ready, wait_until_ready) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let runtime = Builder::new().name("history").ring_records(HISTORY).build().unwrap();
        runtime.block_on(async {
            let mut peers = Peers::new();
            for _ in 0..EXCHANGES {
                peers.exchange().await;
            }
            ready.send(peers.made).unwrap();
            // In the middle of a poll, so that nothing more is recorded.
            let _ = ended.recv();
        });
    });
    let made = wait_until_ready.recv().unwrap();
    let mut rates = Vec::new();
    let mut recorded = 0;
    for _ in 0..rounds {
        let mut client = connect();
        let everything = RuntimeId(1);
        let before = endpoint_cpu_ns();
        let subscribe = Subscribe { history: true, kinds: KindFilter::ALL, snapshot_every_ms: 0 };
        client.subscribe(subscribe).unwrap();
        client.finish().unwrap();
        let given = receive(&mut client, everything);
        rates.push(given.delivered as f64 / (endpoint_cpu_ns() - before) * 1e3);
        recorded = given.delivered + given.lost;
    }
    drop(end);
    thread.join().unwrap();
    rates.sort_by(f64::total_cmp);
    println!(
        "history of {HISTORY} records: {:.1} ({:.1}–{:.1}) million events a second of the endpoint's CPU time",
        rates[rates.len() / 2],
        rates[0],
        rates[rates.len() - 1]
    );
    recorded as f64 / f64::from(made)
}

/// The second question.
fn stream(seconds: f64, rate: f64, records_an_exchange: f64) {
    let (ready, wait_until_ready) = std::sync::mpsc::channel();
    let (go, wait_to_go) = std::sync::mpsc::channel::<()>();
    let (done, wait_until_done) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        let runtime = Builder::new().name("stream").build().unwrap();
        runtime.block_on(async {
            let mut peers = Peers::new();
            ready.send(()).unwrap();
            let _ = wait_to_go.recv();
            let (began, cpu) = (Instant::now(), thread_cpu_ns());
            let mut passed = 0.0;
            while passed < seconds {
                passed = began.elapsed().as_secs_f64();
                if f64::from(peers.made) >= passed * rate / records_an_exchange {
                    time::sleep(Duration::from_millis(1)).await;
                    continue;
                }
                for _ in 0..BURST {
                    peers.exchange().await;
                }
            }
            done.send((passed, thread_cpu_ns() - cpu)).unwrap();
            let _ = ended.recv();
        });
    });
    wait_until_ready.recv().unwrap();
    let mut client = connect();
    let runtime = client.hello().1.last().expect("a runtime").id;
    let subscribe = Subscribe { history: false, kinds: KindFilter::ALL, snapshot_every_ms: 1000 };
    client.subscribe(subscribe).unwrap();
    let cpu = endpoint_cpu_ns();
    go.send(()).unwrap();
    let mut given = Given::default();
    let (passed, busy_ns) = loop {
        if take(&mut client, runtime, &mut given).is_some() {
            panic!("the endpoint hung up");
        }
        if let Ok(done) = wait_until_done.try_recv() {
            break done;
        }
    };
    client.finish().unwrap();
    while take(&mut client, runtime, &mut given).is_none() {}
    let endpoint_ns = endpoint_cpu_ns() - cpu;
    drop(end);
    thread.join().unwrap();
    let percent = |ns: f64| ns / passed / 1e7;
    println!(
        "stream of {passed:.1} s: {:.2} million events a second recorded, {} delivered, {} lost; \
         the runtime's thread {:.0} % of a core, the endpoint's {:.0} %",
        (given.delivered + given.lost) as f64 / passed / 1e6,
        given.delivered,
        given.lost,
        percent(busy_ns),
        percent(endpoint_ns)
    );
}

/// Two tasks that talk, mostly through channels, every eighth time through a socket.
struct Peers {
    questions: mpsc::Sender<u32>,
    answers: mpsc::Receiver<u32>,
    stream: UnixStream,
    made: u32,
}

impl Peers {
    fn new() -> Self {
        let (questions, mut asked) = mpsc::channel(8);
        let (answer, answers) = mpsc::channel(8);
        let (stream, other) = UnixStream::pair().unwrap();
        spawn(async move {
            while let Some(question) = asked.recv().await {
                if answer.send(question).await.is_err() {
                    break;
                }
            }
        });
        spawn(async move {
            let mut buffer = [0; 64];
            while let Ok(length @ 1..) = other.read(&mut buffer).await {
                other.write_all(&buffer[..length]).await.unwrap();
            }
        });
        Self { questions, answers, stream, made: 0 }
    }

    async fn exchange(&mut self) {
        if self.made.is_multiple_of(8) {
            let mut buffer = [0; 64];
            self.stream.write_all(&buffer).await.unwrap();
            self.stream.read_exact(&mut buffer).await.unwrap();
        } else {
            self.questions.send(self.made).await.unwrap();
            assert_eq!(self.answers.recv().await, Some(self.made));
        }
        self.made += 1;
    }
}

/// Everything until the goodbye.
fn receive(client: &mut Client<std::os::unix::net::UnixStream>, runtime: RuntimeId) -> Given {
    let mut given = Given::default();
    while take(client, runtime, &mut given).is_none() {}
    given
}

/// One frame, if one comes; the goodbye if that is it.
fn take(
    client: &mut Client<std::os::unix::net::UnixStream>,
    whose: RuntimeId,
    given: &mut Given,
) -> Option<Goodbye> {
    match client.next().expect("the endpoint speaks our language") {
        Received::Frame(ServerFrame::Events { runtime, records, .. }) if runtime == whose => {
            given.delivered += records.len() as u64;
        }
        Received::Frame(ServerFrame::Loss { runtime, from, to }) if runtime == whose => {
            given.lost += to - from;
        }
        Received::Frame(ServerFrame::Goodbye(goodbye)) => return Some(goodbye),
        Received::Frame(_) | Received::Idle => {}
        Received::Closed => panic!("the endpoint ends without a goodbye"),
    }
    None
}

fn connect() -> Client<std::os::unix::net::UnixStream> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let connected = socket().map(|path| Client::connect_unix(&path, Duration::from_millis(10)));
        match connected {
            Some(Ok(client)) => return client,
            failed => assert!(Instant::now() < deadline, "no endpoint of our own: {failed:?}"),
        }
        thread::yield_now();
    }
}

fn socket() -> Option<PathBuf> {
    let under = |variable: &str, rest: &str| {
        std::env::var_os(variable).map(|path| PathBuf::from(path).join(rest))
    };
    let uid = rustix::process::getuid().as_raw();
    let tmp = PathBuf::from(format!("/tmp/nexus-{uid}"));
    let directories =
        [under("NEXUS_INSPECT_DIR", ""), under("XDG_RUNTIME_DIR", "nexus"), Some(tmp)];
    let prefix = format!("{}-", std::process::id());
    let is_ours = |path: &PathBuf| {
        path.extension().is_some_and(|end| end == "sock")
            && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
    };
    let entries =
        directories.into_iter().flatten().filter_map(|path| path.read_dir().ok()).flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).find(is_ours)
}

/// The CPU time of this thread so far.
fn thread_cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// The CPU time of the endpoint's thread so far, as the scheduler counts it.
fn endpoint_cpu_ns() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc is there");
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    tasks
        .filter_map(|task| Some(task.ok()?.path()))
        .find(|task| read(task.join("comm")).trim() == "nexus-endpoint")
        .and_then(|task| read(task.join("schedstat")).split(' ').next()?.parse().ok())
        .expect("the endpoint has a thread, and the kernel counts its time")
}
