//! What an attach does to the turns of the observed thread: `cargo bench -p nexus-inspect-runtime --bench attach`.
//!
//! The observed process has 100,000 tokens, an echo over a socket, and a task that is polled once a turn and takes the time
//! between its polls. A client in a process of its own does nothing, spins, or attaches, takes history and board, leaves,
//! and attaches again, round by round. The runtime's thread has one CPU, endpoint and client share another one. What a
//! spinning neighbour costs is what the machine's CPUs share, and what other programs do that have to make way for it; the
//! rest is what an attach costs. With a single CPU they are in each other's way, and this measures the kernel's scheduler.

use mio::event::Source;
use mio::{Interest as MioInterest, Registry};
use nexus_protocol::frame::{Goodbye, KindFilter, ServerFrame, Subscribe};
use nexus_protocol::session::{Client, Received};
use nexus_runtime::io::{Interest, IoHandle};
use nexus_runtime::net::UnixStream;
use nexus_runtime::{Builder, spawn, task};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::{Duration, Instant};

const TOKENS: usize = 100_000;
const ROUNDS: usize = 9;
/// How long each part of a round lasts.
const PART: Duration = Duration::from_millis(500);

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("observed") => observed(Path::new(&arguments[1])),
        Some("client") => client(Path::new(&arguments[1])),
        _ => {
            // A process of its own, since the directory for sockets has to be known when it starts.
            let directory = tempfile::Builder::new().prefix("nexus").tempdir()?;
            let path = directory.path().join("endpoint");
            let mut command = again("observed", &path)?;
            assert!(command.env("NEXUS_INSPECT_DIR", &path).status()?.success());
            Ok(())
        }
    }
}

fn again(role: &str, directory: &Path) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(role).arg(directory);
    Ok(command)
}

/// The first and the last CPU that this process may use.
fn cpus() -> io::Result<(usize, usize)> {
    let all = sched_getaffinity(None)?;
    let mut usable = (0..CpuSet::MAX_CPU).filter(|&cpu| all.is_set(cpu));
    let first = usable.next().expect("it runs on one");
    Ok((first, usable.next_back().unwrap_or(first)))
}

fn pin(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// A source of which the kernel knows nothing, since descriptors are limited.
struct Silent;

impl Source for Silent {
    fn register(&mut self, _: &Registry, _: mio::Token, _: MioInterest) -> io::Result<()> {
        Ok(())
    }

    fn reregister(&mut self, _: &Registry, _: mio::Token, _: MioInterest) -> io::Result<()> {
        Ok(())
    }

    fn deregister(&mut self, _: &Registry) -> io::Result<()> {
        Ok(())
    }
}

/// The observed process: measures its own turns, and tells its client what to do.
fn observed(directory: &Path) -> io::Result<()> {
    let (own, others) = cpus()?;
    if own == others {
        println!("there is a single CPU: what follows says little");
    }
    let mut neighbour = Neighbour::start(directory)?;
    pin(own)?;
    let builder = Builder::new().board_rows(TOKENS + 100);
    // The kernel is asked after each poll.
    let builder = builder.polls_per_turn(1).io_check_interval(Duration::ZERO);
    builder.endpoint_cpus([others]).build()?.block_on(async {
        let io = IoHandle::current();
        for _ in 0..TOKENS {
            io.register(&mut Silent, Interest::READABLE, Waker::noop())?;
        }
        let (one, two) = UnixStream::pair()?;
        spawn(async move { echo(&two).await });
        spawn(async move {
            while one.write_all(&[7]).await.is_ok() && one.read(&mut [0]).await.is_ok() {}
        });
        let mut samples = Vec::with_capacity(1 << 22);
        let mut rounds = Vec::new();
        let mut attaches = 0;
        for round in 0..=ROUNDS {
            let mut parts = Vec::with_capacity(3);
            for what in [Part::Idle, Part::Spin, Part::Attach] {
                neighbour.begin(what)?;
                turns(&mut samples).await;
                attaches += neighbour.end()?;
                parts.push(Spread::of(&mut samples));
            }
            // The first one warms up.
            rounds.extend((round > 0).then(|| Round::try_from(parts).expect("three parts")));
        }
        report(&rounds, attaches);
        Ok(())
    })
}

async fn echo(stream: &UnixStream) {
    let mut buffer = [0; 16];
    while let Ok(read) = stream.read(&mut buffer).await {
        if read == 0 || stream.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Takes the time from one poll of this task to the next, a turn each, in nanoseconds.
async fn turns(samples: &mut Vec<u32>) {
    samples.clear();
    let began = Instant::now();
    let mut last = began;
    while last - began < PART && samples.len() < samples.capacity() {
        task::yield_now().await;
        let now = Instant::now();
        samples.push(u32::try_from((now - last).as_nanos()).unwrap_or(u32::MAX));
        last = now;
    }
}

/// What the neighbour does in a part of a round.
#[derive(Clone, Copy)]
enum Part {
    Idle,
    Spin,
    Attach,
}

/// The parts of a round.
type Round = [Spread; 3];

/// How long turns took in one part of a round: half of them, 99 %, 99.9 % and all.
#[derive(Debug)]
struct Spread([f64; 4]);

impl Spread {
    fn of(samples: &mut [u32]) -> Self {
        samples.sort_unstable();
        let at = |share: f64| f64::from(samples[((samples.len() - 1) as f64 * share) as usize]);
        Self([at(0.5), at(0.99), at(0.999), at(1.0)])
    }
}

fn report(rounds: &[Round], attaches: usize) {
    println!("{attaches} attaches with {TOKENS} rows each, in {ROUNDS} rounds of {PART:?} a part");
    let heads = ["turn, µs", "nobody", "neighbour spins", "attaching", "attaching / spins"];
    println!("{:<9}{:>28}{:>28}{:>28}{:>20}", heads[0], heads[1], heads[2], heads[3], heads[4]);
    for (index, name) in ["p50", "p99", "p99.9", "longest"].iter().enumerate() {
        let median = |value: &dyn Fn(&Round) -> f64| {
            let mut values: Vec<f64> = rounds.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            let (middle, low, high) =
                (values[values.len() / 2], values[0], values[values.len() - 1]);
            format!("{middle:.2} ({low:.2}–{high:.2})")
        };
        let part = |part: Part| median(&|round| round[part as usize].0[index] / 1e3);
        let (nobody, spins, attaching) = (part(Part::Idle), part(Part::Spin), part(Part::Attach));
        let ratio = median(&|round| round[2].0[index] / round[1].0[index]);
        println!("{name:<9}{nobody:>28}{spins:>28}{attaching:>28}{ratio:>20}");
    }
}

/// The client's process, as the observed one sees it.
struct Neighbour {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Neighbour {
    fn start(directory: &Path) -> io::Result<Self> {
        let mut command = again("client", directory)?;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = BufReader::new(output.expect("it was asked for"));
        Ok(Self { child, input: input.expect("it was asked for"), output })
    }

    /// Makes it do something, and waits until it begins.
    fn begin(&mut self, part: Part) -> io::Result<()> {
        self.say(["idle", "spin", "attach"][part as usize]).map(drop)
    }

    /// Makes it stop. How often it has attached.
    fn end(&mut self) -> io::Result<usize> {
        self.say("stop")
    }

    fn say(&mut self, word: &str) -> io::Result<usize> {
        writeln!(self.input, "{word}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        line.trim().parse().map_err(io::Error::other)
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The client's process.
fn client(directory: &Path) -> io::Result<()> {
    pin(cpus()?.1)?;
    let wanted = Arc::new(AtomicBool::new(false));
    loop {
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Ok(());
        }
        wanted.store(true, Ordering::Release);
        println!("0");
        let (wants, directory) = (Arc::clone(&wanted), directory.to_owned());
        let attaching = std::thread::spawn(move || {
            let mut attaches = 0;
            while wants.load(Ordering::Acquire) {
                match line.trim() {
                    "idle" => std::thread::sleep(Duration::from_millis(1)),
                    "spin" => std::hint::spin_loop(),
                    _ => {
                        take_everything(&directory);
                        attaches += 1;
                    }
                }
            }
            attaches
        });
        io::stdin().lock().read_line(&mut String::new())?;
        wanted.store(false, Ordering::Release);
        let attaches: usize = attaching.join().expect("it attaches");
        println!("{attaches}");
    }
}

/// One attach: hello, history, board, goodbye.
fn take_everything(directory: &Path) {
    let is_socket = |path: &PathBuf| path.extension().is_some_and(|end| end == "sock");
    let entries = fs::read_dir(directory).expect("the directory").flatten();
    let socket = entries.map(|entry| entry.path()).find(is_socket).expect("the socket");
    let mut client = Client::connect_unix(&socket, Duration::from_secs(10)).expect("a hello");
    let all = Subscribe { history: true, kinds: KindFilter::ALL, snapshot_every_ms: 0 };
    client.subscribe(all).expect("a subscription");
    loop {
        match client.next().expect("frames") {
            Received::Frame(ServerFrame::Snapshot(board)) => {
                assert!(board.tokens.len() >= TOKENS);
                break;
            }
            Received::Closed => panic!("closed before the board came"),
            _ => {}
        }
    }
    client.finish().expect("it listens");
    loop {
        match client.next().expect("frames") {
            Received::Frame(ServerFrame::Goodbye(Goodbye::Finished)) | Received::Closed => return,
            _ => {}
        }
    }
}
