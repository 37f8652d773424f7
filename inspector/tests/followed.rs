//! The model follows a real runtime as its board says: between any two snapshots of the demo's workload, the records
//! alone lead from the one to the other.

use nexus_inspect::model::{Certainty, Limits, Model, View};
use nexus_protocol::board::{Snapshot, TaskRow, TokenRow, Totals};
use nexus_protocol::event::Event;
use nexus_protocol::frame::{KindFilter, ServerFrame, Subscribe};
use nexus_protocol::session::{Client, Received};
use nexus_protocol::{Record, Seq, Stamp};
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A generous bound on all waiting.
const PATIENCE: Duration = Duration::from_secs(60);

/// The demo's workload in a process of its own. It ends when its standard input does.
struct Workload {
    child: Child,
    directory: tempfile::TempDir,
}

impl Workload {
    fn start() -> Self {
        // An endpoint refuses a directory that is open to others.
        let directory = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .expect("a temporary directory");
        let child = Command::new(env!("CARGO_BIN_EXE_nexus-inspect"))
            .arg("demo-workload")
            .env("NEXUS_INSPECT_DIR", directory.path())
            .env_remove("NEXUS_INSPECT")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("the binary that cargo built");
        Self { child, directory }
    }

    fn connect(&self) -> Client<UnixStream> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let attempt = socket_in(self.directory.path())
                .map(|path| Client::connect_unix(&path, Duration::from_secs(5)));
            match attempt {
                Some(Ok(client)) => return client,
                _ if Instant::now() < deadline => std::thread::yield_now(),
                Some(Err(error)) => panic!("cannot attach to the workload: {error:?}"),
                None => panic!("the workload opens no endpoint"),
            }
        }
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn socket_in(directory: &Path) -> Option<PathBuf> {
    let entries: io::Result<Vec<_>> = std::fs::read_dir(directory).ok()?.collect();
    let paths = entries.ok()?.into_iter().map(|entry| entry.path());
    paths.into_iter().find(|path| path.extension().is_some_and(|end| end == "sock"))
}

/// How much was compared.
#[derive(Debug, Default)]
struct Compared {
    segments: u32,
    /// Segments whose totals were the same to the last count.
    exact: u32,
    records: usize,
    rows: usize,
}

/// What lies between two snapshots.
struct Segment<'a> {
    from: &'a Snapshot,
    to: &'a Snapshot,
    /// All records from the attach up to the later snapshot.
    records: &'a [Record],
}

impl Segment<'_> {
    /// Whether a poll in it answers a wake from before the attach, of which only the cause's kind is known.
    fn answers_the_unknown(&self) -> bool {
        let begin = self.from.totals.recorded;
        let first = self.records.first().map_or(0, |first| first.seq);
        self.records.iter().any(|record| match record.event {
            Event::PollStart { wake, .. } => record.seq >= begin && wake.is_none_or(|w| w < first),
            _ => false,
        })
    }
}

#[test]
fn records_lead_from_one_board_to_the_next() {
    let workload = Workload::start();
    let mut client = workload.connect();
    let kinds = KindFilter::ALL;
    client.subscribe(Subscribe { history: false, kinds, snapshot_every_ms: 40 }).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut compared = Compared::default();
    let mut boards: Vec<Snapshot> = Vec::new();
    let mut records: Vec<Record> = Vec::new();
    let mut gaps: Vec<(Seq, Seq)> = Vec::new();
    while compared.exact < 10 || compared.rows < 200 {
        assert!(Instant::now() < deadline, "only {compared:?} in all this time");
        match client.next().expect("the workload goes on") {
            Received::Frame(ServerFrame::Snapshot(snapshot)) => boards.push(*snapshot),
            Received::Frame(ServerFrame::Events { records: more, .. }) => records.extend(more),
            Received::Frame(ServerFrame::Loss { from, to, .. }) => gaps.push((from, to)),
            Received::Closed => panic!("the workload has ended"),
            Received::Frame(_) | Received::Idle => {}
        }
        let told = records.last().map_or(0, |last| last.seq + 1);
        while boards.len() >= 2 && boards[1].totals.recorded <= told {
            let from = boards.remove(0);
            let end = boards[0].totals.recorded;
            let until = records.partition_point(|record| record.seq < end);
            let is_whole = gaps.is_empty() && records[0].seq <= from.totals.recorded;
            assert!(is_whole || !gaps.is_empty() || from.totals.recorded < records[0].seq);
            if is_whole {
                let segment = Segment { from: &from, to: &boards[0], records: &records[..until] };
                compare(&segment, &mut compared);
            }
        }
        if !gaps.is_empty() && boards.len() == 1 {
            // Begin anew behind the gap.
            (records, gaps, boards) = Default::default();
        }
    }
}

fn compare(segment: &Segment<'_>, compared: &mut Compared) {
    let to = segment.to;
    let mut model = Model::new(Limits::default());
    model.apply(ServerFrame::Snapshot(Box::new(segment.from.clone())));
    let runtime = to.runtime;
    let next_seq = to.totals.recorded;
    let records = segment.records.to_vec();
    model.apply(ServerFrame::Events { runtime, records, next_seq, filtered: 0 });
    let view = model.runtime(runtime).expect("a snapshot of it was applied").view();
    if next_seq > segment.from.totals.recorded {
        assert_eq!(view.certainty, Certainty::Exact);
        assert_eq!(view.next_seq, next_seq);
    }
    compared.segments += 1;
    compared.exact += u32::from(compare_totals(&view.totals, &to.totals));
    let had_been = segment.from.totals.recorded;
    compared.records += segment.records.iter().filter(|record| record.seq >= had_been).count();
    let unknown = segment.answers_the_unknown();
    for theirs in &to.tokens {
        // Rows that were copied later than the totals belong to another moment.
        let of_this_moment = theirs.next_seq <= next_seq && !theirs.changing;
        if of_this_moment && let Some(ours) = row_before(&view, theirs) {
            compare_token(ours, theirs, unknown);
            compared.rows += usize::from(theirs.next_seq > had_been);
        }
    }
    for theirs in &to.tasks {
        let of_this_moment = theirs.next_seq <= next_seq && !theirs.changing;
        let ours = view.task(theirs.task).filter(|found| !found.row.changing);
        if of_this_moment && let Some(ours) = ours {
            compare_task(&ours.row, theirs, next_seq, unknown);
            compared.rows += usize::from(theirs.next_seq > had_been);
        }
    }
}

fn row_before<'view>(view: &'view View, theirs: &TokenRow) -> Option<&'view TokenRow> {
    view.token(theirs.token).map(|found| &found.row).filter(|row| !row.changing)
}

/// Times are sums of rounded nanoseconds on one side and one rounded sum on the other.
#[track_caller]
fn assert_time(ours: u64, theirs: u64) {
    assert!(ours.abs_diff(theirs) <= 20_000 + theirs / 1_000, "{ours} ns is not {theirs} ns");
}

#[track_caller]
fn assert_stamp(ours: Stamp, theirs: Stamp) {
    assert_eq!(ours.is_never(), theirs.is_never());
    assert_time(ours.0, theirs.0);
}

/// Compares totals, and says whether the counts were the same. When the thread is held up in the middle of a record,
/// some words of the copy are younger than the others, by a few records.
#[track_caller]
fn compare_totals(ours: &Totals, theirs: &Totals) -> bool {
    let mut settled = *ours;
    assert_time(ours.busy, theirs.busy);
    assert_time(ours.wasted, theirs.wasted);
    assert_time(ours.parked, theirs.parked);
    (settled.busy, settled.wasted, settled.parked) = (theirs.busy, theirs.wasted, theirs.parked);
    // The length of the queue is told at turns; wakes by other threads are counted without records.
    settled.queued = theirs.queued;
    (settled.redundant, settled.remote) = (theirs.redundant, theirs.remote);
    settled.dead = theirs.dead;
    let names = Totals::NAMES.iter().zip(settled.to_words().into_iter().zip(theirs.to_words()));
    for (name, (ours, theirs)) in names.filter(|(name, _)| !name.starts_with("bytes")) {
        assert!(ours.abs_diff(theirs) <= 8, "{name}: {ours} is not {theirs}");
    }
    settled == *theirs
}

#[track_caller]
fn compare_token(ours: &TokenRow, theirs: &TokenRow, unknown: bool) {
    let mut counters = ours.counters;
    if counters.spurious + u64::from(unknown) == theirs.counters.spurious {
        counters.spurious = theirs.counters.spurious;
    }
    assert_stamp(ours.claimed, theirs.claimed);
    assert_stamp(ours.last_active, theirs.last_active);
    assert_stamp(ours.read_closed, theirs.read_closed);
    let settled = TokenRow {
        next_seq: theirs.next_seq,
        claimed: theirs.claimed,
        last_active: theirs.last_active,
        read_closed: theirs.read_closed,
        counters,
        ..*ours
    };
    assert_eq!(settled, *theirs);
}

#[track_caller]
fn compare_task(ours: &TaskRow, theirs: &TaskRow, next_seq: Seq, unknown: bool) {
    assert!(ours.next_seq <= next_seq.max(theirs.next_seq));
    assert_stamp(ours.since, theirs.since);
    let mut settled = *ours;
    (settled.next_seq, settled.since) = (theirs.next_seq, theirs.since);
    settled.spawned = theirs.spawned;
    let (mine, other) = (&mut settled.counters, &theirs.counters);
    if unknown && mine.waited < other.waited {
        mine.waited = other.waited;
    }
    for (mine, other) in [
        (&mut mine.busy, other.busy),
        (&mut mine.wasted, other.wasted),
        (&mut mine.longest, other.longest),
        (&mut mine.waited, other.waited),
    ] {
        assert_time(*mine, other);
        *mine = other;
    }
    assert!(mine.redundant <= other.redundant);
    mine.redundant = other.redundant;
    assert_eq!(settled, *theirs);
}
