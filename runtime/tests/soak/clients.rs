//! Clients of all sorts: one that stays and takes everything, one that never reads, one that comes and goes, and one that says
//! nothing of sense.

use crate::PATIENCE;
use crate::random::Random;
use nexus_protocol::frame::{KindFilter, ServerFrame, Subscribe};
use nexus_protocol::ids::RuntimeId;
use nexus_protocol::session::{Client, Received};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::HashMap;
use std::fmt;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How many of them are attached at the same time at most.
pub(crate) const MOST: usize = 4;

const TICK: Duration = Duration::from_millis(100);

/// All of them, attached.
pub(crate) struct Clients {
    stop: Arc<AtomicBool>,
    stays: JoinHandle<Taken>,
    comes_and_goes: JoinHandle<u64>,
    talks_nonsense: JoinHandle<u64>,
    never_reads: JoinHandle<u64>,
}

/// What they did.
pub(crate) struct Attached {
    taken: Taken,
    attaches: u64,
    nonsense: u64,
    deaf: u64,
}

#[derive(Default)]
struct Taken {
    delivered: u64,
    lost: u64,
    runtimes: usize,
    complaint: Option<String>,
}

impl Clients {
    pub(crate) fn attach(socket: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        Self {
            stays: start(socket, &stop, stay),
            comes_and_goes: start(socket, &stop, come_and_go),
            talks_nonsense: start(socket, &stop, talk_nonsense),
            never_reads: start(socket, &stop, never_read),
            stop,
        }
    }

    /// Ends all of them.
    pub(crate) fn leave(self) -> Result<Attached, String> {
        self.stop.store(true, Ordering::Release);
        let failed = |what: &'static str| move |_| format!("the client that {what} has failed");
        let taken = self.stays.join().map_err(failed("stays"))?;
        let attaches = self.comes_and_goes.join().map_err(failed("comes and goes"))?;
        let nonsense = self.talks_nonsense.join().map_err(failed("talks nonsense"))?;
        let deaf = self.never_reads.join().map_err(failed("never reads"))?;
        match taken.complaint {
            Some(complaint) => Err(complaint),
            None if taken.delivered == 0 || attaches * nonsense * deaf == 0 => {
                Err("a client did nothing".to_owned())
            }
            None => Ok(Attached { taken, attaches, nonsense, deaf }),
        }
    }
}

impl fmt::Display for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Taken { delivered, lost, runtimes, .. } = self.taken;
        write!(
            f,
            "{runtimes} runtimes, {delivered} records taken and {lost} reported lost by the client that stayed; \
             {} attaches, {} clients without sense, and {} that never read",
            self.attaches, self.nonsense, self.deaf
        )
    }
}

/// Connects, and asks for everything. The places that there are may be taken for a while.
fn attach(socket: &Path, snapshot_every_ms: u32) -> Client<UnixStream> {
    let deadline = Instant::now() + PATIENCE;
    let mut client = loop {
        match Client::connect_unix(socket, TICK) {
            Ok(client) => break client,
            Err(error) => assert!(Instant::now() < deadline, "cannot attach: {error}"),
        }
        thread::sleep(Duration::from_millis(10));
    };
    let all = Subscribe { history: true, kinds: KindFilter::ALL, snapshot_every_ms };
    client.subscribe(all).expect("a subscription");
    client
}

fn start<T: Send + 'static>(
    socket: &Path,
    stop: &Arc<AtomicBool>,
    body: impl FnOnce(PathBuf, &AtomicBool) -> T + Send + 'static,
) -> JoinHandle<T> {
    let (socket, stop) = (socket.to_owned(), stop.clone());
    thread::spawn(move || body(socket, &stop))
}

/// Takes everything, and sees to it that every number is either delivered or reported lost.
fn stay(socket: PathBuf, stop: &AtomicBool) -> Taken {
    let mut client = attach(&socket, 100);
    let mut taken = Taken::default();
    let mut next: HashMap<RuntimeId, u64> = HashMap::new();
    while !stop.load(Ordering::Acquire) && taken.complaint.is_none() {
        match client.next().expect("frames that can be read") {
            Received::Frame(ServerFrame::Events { runtime, records, next_seq, filtered }) => {
                let next = next.entry(runtime).or_default();
                let count = records.len() as u64;
                if *next + count + filtered != next_seq {
                    taken.complaint = Some(format!("records are missing before {next_seq}"));
                }
                *next = next_seq;
                taken.delivered += count;
            }
            Received::Frame(ServerFrame::Loss { runtime, from, to }) => {
                let next = next.entry(runtime).or_default();
                if *next != from {
                    taken.complaint = Some(format!("lost from {from}, but {next} was next"));
                }
                *next = to;
                taken.lost += to - from;
            }
            Received::Closed => taken.complaint = Some("a client was dropped".to_owned()),
            _ => {}
        }
    }
    taken.runtimes = next.len();
    taken
}

/// Attaches, takes some frames, and goes, with or without a goodbye.
fn come_and_go(socket: PathBuf, stop: &AtomicBool) -> u64 {
    let (mut random, mut attaches) = (Random::new(2), 0);
    while !stop.load(Ordering::Acquire) {
        let mut client = attach(&socket, random.below(20) as u32);
        for _ in 0..random.below(100) {
            let _ = client.next().expect("frames that can be read");
        }
        if random.once_in(2) {
            client.finish().expect("a connection");
            while let Ok(Received::Frame(frame)) = client.next() {
                if matches!(frame, ServerFrame::Goodbye(_)) {
                    break;
                }
            }
        }
        attaches += 1;
    }
    attaches
}

/// Subscribes and takes nothing. If it is given up, there is another one.
fn never_read(socket: PathBuf, stop: &AtomicBool) -> u64 {
    let mut clients = 0;
    while !stop.load(Ordering::Acquire) {
        let client = attach(&socket, 10);
        clients += 1;
        let is_given_up = || {
            let mut streams = [PollFd::new(client.stream(), PollFlags::RDHUP)];
            let tick = Timespec { tv_sec: 0, tv_nsec: TICK.as_nanos() as i64 };
            matches!(poll(&mut streams, Some(&tick)), Ok(1..))
        };
        while !stop.load(Ordering::Acquire) && !is_given_up() {}
    }
    clients
}

/// Says what no server understands, half of what it would, or nothing.
fn talk_nonsense(socket: PathBuf, stop: &AtomicBool) -> u64 {
    let (mut random, mut clients) = (Random::new(3), 0);
    while !stop.load(Ordering::Acquire) {
        if let Ok(mut stream) = UnixStream::connect(&socket) {
            let bytes: Vec<u8> = (0..random.below(100)).map(|_| random.next() as u8).collect();
            let _ = stream.write_all(&bytes);
            thread::sleep(Duration::from_millis(random.below(20) as u64));
            clients += 1;
        }
    }
    clients
}
