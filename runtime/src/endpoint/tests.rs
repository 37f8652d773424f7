//! Tests of a whole endpoint through its socket, with the protocol's own client and with bytes that no client sends.

mod hostile;
mod many;

use super::*;
use crate::record::registry::Registry;
use crate::record::{Options as RecordOptions, Recorder};
use nexus_protocol::board::{Activity, Snapshot};
use nexus_protocol::event::{
    Event, RefusalReason, SourceKind, TaskOutcome, TimerAction, TurnMode, WakeOutcome, kind,
};
use nexus_protocol::frame::{Goodbye, KindFilter, RuntimeInfo, ServerFrame, Subscribe};
use nexus_protocol::session::{Client, Received, SessionError};
use nexus_protocol::{Record, RuntimeId, Seq, Stamp, TaskId, TimerId, TokenId};
use std::os::unix::net::UnixStream;
use std::panic::Location;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;
use std::time::Instant;
use tempfile::TempDir;

/// Nothing here takes nearly as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

const TOKEN: TokenId = TokenId { slot: 2, generation: 1 };

/// An endpoint of its own, with a registry of its own.
struct Endpoint {
    directory: TempDir,
    registry: &'static Registry,
    control: Arc<Control>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Endpoint {
    fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("nexus").tempdir().unwrap();
        let registry: &'static Registry = Box::leak(Box::new(Registry::new()));
        let control = Arc::new(Control::new().unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let candidates = [directory.path().join("sockets")];
        let seat = Seat::take(candidates.into(), "1-1".to_owned()).unwrap();
        let process = identity::describe(identity::start_time().unwrap());
        let server = Server::new(Arc::clone(&control), seat, process, registry);
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || server.run(|| !stopped.load(Ordering::Acquire)));
        Self { directory, registry, control, stop, thread: Some(thread) }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("sockets/1-1.sock")
    }

    fn recorder(&self, id: u32, ring_records: usize) -> Recorder {
        let name = format!("runtime {id}");
        let options =
            RecordOptions { ring_records, board_rows: 100, name, ..RecordOptions::default() };
        Recorder::known_to(self.registry, RuntimeId(id), &options).unwrap()
    }

    fn connect(&self) -> Peer {
        let client = Client::connect_unix(&self.socket(), Duration::from_millis(100)).unwrap();
        Peer { client, frames: Vec::new(), goodbye: None }
    }

    fn subscribe(&self, subscribe: Subscribe) -> Peer {
        let mut peer = self.connect();
        peer.client.subscribe(subscribe).unwrap();
        peer
    }

    /// Subscribes among clients that crowd each other out, as often as it takes to get a place.
    fn patiently_subscribe(&self) -> Peer {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Client::connect_unix(&self.socket(), Duration::from_millis(100)) {
                Ok(mut client) => {
                    client.subscribe(ALL).unwrap();
                    return Peer { client, frames: Vec::new(), goodbye: None };
                }
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
        }
    }

    /// Waits until everything that clients have said until now was heard, and answered as far as there is room.
    ///
    /// An answer says that a round of serving has begun since the question. Others may have been served in that round
    /// before they spoke, or be served later in it; two rounds on, all have been.
    fn settle(&self) {
        let mut asker = self.subscribe(ASKER);
        for round in 1..=4 {
            asker.receive_until(|peer| peer.answers() >= round);
            asker.client.subscribe(ASKER).unwrap();
        }
    }

    /// A stream that says whatever it wants.
    fn raw(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Somebody who connects wakes it.
        drop(UnixStream::connect(self.socket()));
        let thread = self.thread.take().unwrap();
        if !std::thread::panicking() {
            thread.join().unwrap();
        }
    }
}

/// Everything from the first record on, with a snapshot at once.
const ALL: Subscribe = Subscribe { history: true, kinds: KindFilter::ALL, snapshot_every_ms: 0 };

/// A snapshot at once, and no event.
const ASKER: Subscribe =
    Subscribe { history: false, kinds: KindFilter::NONE, snapshot_every_ms: 0 };

/// A client with all that it was sent.
struct Peer {
    client: Client<UnixStream>,
    frames: Vec<ServerFrame>,
    goodbye: Option<Goodbye>,
}

impl Peer {
    /// Takes frames until `is_done`, or until the goodbye.
    #[track_caller]
    fn receive_until(&mut self, is_done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_done(self) {
            assert!(Instant::now() < deadline, "it did not come in {} frames", self.frames.len());
            match self.client.next().unwrap() {
                Received::Frame(ServerFrame::Goodbye(goodbye)) => self.goodbye = Some(goodbye),
                Received::Frame(frame) => self.frames.push(frame),
                Received::Idle => {}
                Received::Closed => panic!("closed after {} frames", self.frames.len()),
            }
        }
    }

    #[track_caller]
    fn finish(&mut self) {
        self.client.finish().unwrap();
        self.receive_until(|peer| peer.goodbye.is_some());
        assert_eq!(self.goodbye, Some(Goodbye::Finished));
    }

    /// How many times it was sent the board of the runtime that was built first.
    fn answers(&self) -> usize {
        let is_first = |info: &&RuntimeInfo| info.ring_capacity > 0;
        let first = self.client.hello().1.iter().find(is_first).expect("a runtime to ask for");
        self.snapshots(first.id.0).len()
    }

    /// Takes what has arrived, until there is nothing more.
    fn receive_all(&mut self) {
        while let Ok(Received::Frame(frame)) = self.client.next() {
            self.frames.push(frame);
        }
    }

    fn records(&self, id: u32) -> Vec<Record> {
        let batches = self.frames.iter().filter_map(|frame| match frame {
            ServerFrame::Events { runtime, records, .. } if runtime.0 == id => Some(records),
            _ => None,
        });
        batches.flatten().copied().collect()
    }

    fn snapshots(&self, id: u32) -> Vec<&Snapshot> {
        let all = self.frames.iter().filter_map(|frame| match frame {
            ServerFrame::Snapshot(snapshot) => Some(&**snapshot),
            _ => None,
        });
        all.filter(|snapshot| snapshot.runtime.0 == id).collect()
    }

    fn infos(&self, id: u32) -> Vec<&RuntimeInfo> {
        let all = self.frames.iter().filter_map(|frame| match frame {
            ServerFrame::Runtime(info) => Some(info),
            _ => None,
        });
        all.filter(|info| info.id.0 == id).collect()
    }

    /// Checks that the frames account for every number once, and counts: delivered, filtered, lost, end.
    #[track_caller]
    fn account(&self, id: u32, start: Seq) -> (u64, u64, u64, Seq) {
        let (mut delivered, mut filtered, mut lost, mut next) = (0, 0, 0, start);
        for frame in &self.frames {
            match frame {
                ServerFrame::Events { runtime, records, next_seq, filtered: left_out }
                    if runtime.0 == id =>
                {
                    assert!(records.first().is_none_or(|record| record.seq >= next));
                    assert!(records.is_sorted_by(|one, two| one.seq < two.seq && one.at <= two.at));
                    assert_eq!(next_seq - next, records.len() as u64 + left_out);
                    delivered += records.len() as u64;
                    filtered += left_out;
                    next = *next_seq;
                }
                ServerFrame::Loss { runtime, from, to } if runtime.0 == id => {
                    assert_eq!(*from, next);
                    lost += to - from;
                    next = *to;
                }
                _ => {}
            }
        }
        assert_eq!(delivered + filtered + lost, next - start);
        (delivered, filtered, lost, next)
    }
}

/// Records `count` events that say which one they are.
fn tick(recorder: &Recorder, count: u64) {
    for number in 0..count {
        recorder.timer(TimerId(1), TimerAction::Reset, number);
    }
}

#[test]
fn a_client_gets_hello_strings_board_and_history() {
    let endpoint = Endpoint::start();
    let recorder = endpoint.recorder(1, 64);
    recorder.enter();
    let task = recorder.task_spawned(TaskId(1), Location::caller(), Some("the feed"));
    recorder.wake(&task, WakeOutcome::Queued);
    recorder.token_claimed(TOKEN, SourceKind::UdpSocket, 5, Location::caller());
    recorder.turn_begin(TurnMode::Park);

    let mut peer = endpoint.connect();
    let (process, runtimes) = peer.client.hello();
    assert_eq!(process.pid, std::process::id());
    assert_eq!(runtimes.len(), 1);
    assert_eq!((runtimes[0].id, &*runtimes[0].name), (RuntimeId(1), "runtime 1"));
    assert_eq!((runtimes[0].recorded, runtimes[0].tokens, runtimes[0].tasks), (3, 1, 1));
    assert_eq!((runtimes[0].ring_capacity, runtimes[0].ended), (64, Stamp::NEVER));
    peer.client.subscribe(ALL).unwrap();
    peer.finish();

    assert_eq!(peer.account(1, 0), (3, 0, 0, 3));
    let snapshots = peer.snapshots(1);
    assert_eq!(snapshots.len(), 2, "one at once and one at the end");
    assert_eq!(snapshots[0].activity, Activity::Parked);
    assert_eq!((snapshots[0].tokens.len(), snapshots[0].tasks.len()), (1, 1));
    let strings: Vec<_> = peer
        .frames
        .iter()
        .filter_map(|frame| match frame {
            ServerFrame::Strings { first, strings } => Some((first.0 as usize, strings)),
            _ => None,
        })
        .collect();
    let all: Vec<_> = strings.iter().flat_map(|(_, strings)| strings.iter()).collect();
    assert_eq!(strings[0].0, 0);
    assert_eq!(all[snapshots[0].tasks[0].name.0 as usize], "the feed");
    let location = all[snapshots[0].tokens[0].location.0 as usize];
    assert!(location.contains("endpoint/tests.rs:"), "{location}");
    let first_use = |frame: &ServerFrame| matches!(frame, ServerFrame::Snapshot(_));
    let snapshot_at = peer.frames.iter().position(first_use).unwrap();
    assert!(
        matches!(peer.frames[snapshot_at - 1], ServerFrame::Strings { .. }),
        "before their use"
    );
    let now = crate::record::clock::monotonic_ns();
    for record in peer.records(1) {
        assert!(record.at >= runtimes_started(&peer) && record.at.0 <= now, "{record:?}");
    }
}

fn runtimes_started(peer: &Peer) -> Stamp {
    peer.client.hello().1[0].started
}

#[test]
fn a_wrapped_ring_begins_with_a_loss() {
    let endpoint = Endpoint::start();
    let recorder = endpoint.recorder(1, 64);
    tick(&recorder, 100);
    let mut peer = endpoint.subscribe(ALL);
    peer.finish();
    assert_eq!(peer.account(1, 0), (64, 0, 36, 100));
    let is_loss = |frame: &ServerFrame| matches!(frame, ServerFrame::Loss { from: 0, to: 36, .. });
    assert!(peer.frames.iter().any(is_loss));
    let Event::Timer { deadline_ns, .. } = peer.records(1)[0].event else { panic!() };
    assert_eq!(deadline_ns, 36);
}

#[test]
fn without_history_the_stream_begins_now_and_is_filtered_exactly() {
    let endpoint = Endpoint::start();
    let recorder = endpoint.recorder(1, 1024);
    tick(&recorder, 10);
    let kinds = KindFilter(1 << kind::RELEASE_REFUSED);
    let mut peer = endpoint.subscribe(Subscribe { history: false, kinds, snapshot_every_ms: 0 });
    peer.receive_until(|peer| !peer.snapshots(1).is_empty());
    tick(&recorder, 10);
    recorder.release_refused(TOKEN, RefusalReason::Stale);
    tick(&recorder, 3);
    peer.finish();
    assert_eq!(peer.account(1, 10), (1, 13, 0, 24));
    assert_eq!(peer.records(1)[0].seq, 20);
}

#[test]
fn a_writer_at_full_speed_costs_a_stalled_client_exactly_what_it_is_told() {
    let endpoint = Endpoint::start();
    let recorder = endpoint.recorder(1, 1 << 12);
    let mut stalled = endpoint.subscribe(ALL);
    let mut other = endpoint.subscribe(ALL);
    stalled.receive_until(|peer| !peer.snapshots(1).is_empty());
    // The stalled client reads nothing more, until everything is over. Its socket and queue fill, then it loses; the
    // other one reads on, and sees the last record although nobody waits for it.
    let total = 700_000;
    let reader = std::thread::spawn(move || {
        let seen = |peer: &Peer| {
            let last = peer.frames.iter().rev().find_map(|frame| match frame {
                ServerFrame::Events { next_seq, .. } => Some(*next_seq),
                ServerFrame::Loss { to, .. } => Some(*to),
                _ => None,
            });
            last == Some(total)
        };
        other.receive_until(seen);
        other
    });
    tick(&recorder, total);
    let other = reader.join().unwrap();
    let (delivered, _, lost, end) = other.account(1, 0);
    assert_eq!((delivered + lost, end), (total, total));
    stalled.finish();
    let (delivered, filtered, lost, end) = stalled.account(1, 0);
    assert_eq!((delivered + lost, filtered, end), (total, 0, total));
    assert!(lost > 0, "so many records do not fit into its queue");
    for record in stalled.records(1) {
        let Event::Timer { deadline_ns, .. } = record.event else { panic!("{record:?}") };
        assert_eq!(deadline_ns, record.seq, "a record is what was written under its number");
    }
}

#[test]
fn runtimes_come_and_go_under_a_client() {
    let endpoint = Endpoint::start();
    let first = endpoint.recorder(1, 64);
    let mut peer = endpoint.subscribe(ALL);
    peer.receive_until(|peer| !peer.snapshots(1).is_empty());
    let second = endpoint.recorder(2, 64);
    tick(&second, 7);
    peer.receive_until(|peer| peer.records(2).len() == 7);
    let is_info =
        |frame: &ServerFrame| matches!(frame, ServerFrame::Runtime(info) if info.id.0 == 2);
    let is_event = |frame: &ServerFrame| matches!(frame, ServerFrame::Events { runtime, .. } if runtime.0 == 2);
    assert!(peer.frames.iter().position(is_info) < peer.frames.iter().position(is_event));
    let task = second.task_spawned(TaskId(1), Location::caller(), None);
    second.task_finished(&task, TaskOutcome::Completed);
    drop(second);
    peer.receive_until(|peer| peer.infos(2).iter().any(|info| !info.ended.is_never()));
    assert_eq!(peer.account(2, 0), (9, 0, 0, 9), "all of it came before its end");
    assert_eq!(peer.snapshots(2).last().unwrap().totals.tasks_finished, 1);
    drop(first);
    peer.finish();

    // Whoever comes later finds those that have ended, with their history.
    let mut late = endpoint.subscribe(ALL);
    assert_eq!(late.client.hello().1.len(), 2);
    late.finish();
    assert_eq!(late.account(2, 0), (9, 0, 0, 9));
}

#[test]
fn a_recorder_that_is_off_is_shown_as_such() {
    let endpoint = Endpoint::start();
    let options = RecordOptions { enabled: false, ..RecordOptions::default() };
    let _recorder = Recorder::known_to(endpoint.registry, RuntimeId(1), &options);
    let mut peer = endpoint.subscribe(ALL);
    assert_eq!(peer.client.hello().1[0].ring_capacity, 0);
    peer.finish();
    assert!(peer.snapshots(1).is_empty(), "zeros would be a lie");
}

#[test]
fn snapshots_come_at_the_rate_that_was_asked_for() {
    let endpoint = Endpoint::start();
    let recorder = endpoint.recorder(1, 64);
    let mut peer = endpoint.subscribe(Subscribe { snapshot_every_ms: 5, ..ALL });
    peer.receive_until(|peer| peer.snapshots(1).len() >= 3);
    recorder.freelist_grown(16);
    let shows =
        |peer: &Peer| peer.snapshots(1).last().is_some_and(|last| last.totals.capacity == 16);
    peer.receive_until(shows);
    // Another subscription changes it: one now, then none.
    peer.client.subscribe(ALL).unwrap();
    peer.finish();
    assert!(peer.snapshots(1).is_sorted_by_key(|snapshot| snapshot.taken));
}

#[test]
fn what_is_recorded_is_delivered_before_a_drain_is_over_and_the_end_says_goodbye() {
    let endpoint = Endpoint::start();
    let recorder = endpoint.recorder(1, 1024);
    let mut peer = endpoint.subscribe(ALL);
    peer.receive_until(|peer| !peer.snapshots(1).is_empty());
    tick(&recorder, 500);
    drop(recorder);
    // Nobody reads meanwhile, but the socket has room for this much.
    assert!(endpoint.control.wait_for_subscriber(PATIENCE));
    endpoint.control.drain(PATIENCE);
    endpoint.control.end(PATIENCE);
    peer.receive_until(|peer| peer.goodbye.is_some());
    assert_eq!(peer.goodbye, Some(Goodbye::ProcessEnding));
    assert_eq!(peer.account(1, 0), (500, 0, 0, 500));
    assert!(matches!(peer.client.next(), Ok(Received::Closed)));
}

#[test]
fn a_stalled_client_holds_up_a_drain_only_once() {
    let endpoint = Endpoint::start();
    let recorder = endpoint.recorder(1, 1 << 17);
    let mut peer = endpoint.subscribe(ALL);
    peer.receive_until(|peer| !peer.snapshots(1).is_empty());
    // More than socket and queue hold: the client would have to read.
    tick(&recorder, 1 << 19);
    drop(recorder);
    let short = Duration::from_millis(50);
    let started = Instant::now();
    endpoint.control.drain(short);
    assert!(started.elapsed() >= short, "it does not pretend to have delivered");
    let started = Instant::now();
    endpoint.control.drain(PATIENCE);
    assert!(started.elapsed() < PATIENCE, "nobody waits for it again");
    peer.finish();
    let (delivered, _, lost, end) = peer.account(1, 0);
    assert_eq!((delivered + lost, end), (1 << 19, 1 << 19));
}

#[test]
fn a_client_that_hangs_up_in_the_middle_is_forgotten() {
    let endpoint = Endpoint::start();
    let recorder = endpoint.recorder(1, 1 << 13);
    tick(&recorder, 1 << 13);
    for _ in 0..3 * MAX_CLIENTS {
        let mut peer = endpoint.subscribe(ALL);
        peer.receive_until(|peer| !peer.frames.is_empty());
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Client::connect_unix(&endpoint.socket(), PATIENCE) {
            Ok(_) => break,
            Err(SessionError::Refused(Goodbye::Busy)) => assert!(Instant::now() < deadline),
            Err(error) => panic!("{error}"),
        }
    }
}
