//! Recordings in files: what a process leaves that is gone, however it went, and what becomes of files that are damaged.

use nexus_protocol::board::{Activity, Snapshot};
use nexus_protocol::event::{Event, Operation, OperationResult, TaskOutcome};
use nexus_protocol::frame::{Goodbye, KindFilter, ServerFrame};
use nexus_protocol::{Record, Stamp};
use nexus_runtime::net::UnixStream;
use nexus_runtime::remains::{Remains, RemainsError};
use nexus_runtime::{Builder, RecordingPlace, Runtime, spawn, task};
use proptest::prelude::*;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

/// Tells this program, started again, which of the children below it is to be.
const ROLE: &str = "REMAINS_TEST_ROLE";
/// And where it is to leave its recording.
const PLACE: &str = "REMAINS_TEST_PLACE";

/// What a subscriber would have been told.
struct Told {
    frames: Vec<ServerFrame>,
}

impl Told {
    fn by(remains: &Remains) -> Self {
        Self { frames: remains.frames().collect() }
    }

    fn of(path: &Path) -> Self {
        Self::by(&Remains::open(path).unwrap())
    }

    fn records(&self) -> Vec<Record> {
        let batches = self.frames.iter().filter_map(|frame| match frame {
            ServerFrame::Events { records, .. } => Some(records),
            _ => None,
        });
        batches.flatten().copied().collect()
    }

    fn strings(&self) -> Vec<&str> {
        let batches = self.frames.iter().filter_map(|frame| match frame {
            ServerFrame::Strings { strings, .. } => Some(strings),
            _ => None,
        });
        batches.flatten().map(|text| &**text).collect()
    }

    fn last_board(&self) -> &Snapshot {
        let mut boards = self.frames.iter().filter_map(|frame| match frame {
            ServerFrame::Snapshot(snapshot) => Some(snapshot),
            _ => None,
        });
        boards.next_back().expect("there is a board")
    }

    /// Reads that brought something.
    fn reads(&self) -> usize {
        let records = self.records();
        let is_read = |record: &&Record| {
            matches!(
                record.event,
                Event::Operation {
                    operation: Operation::Read,
                    result: OperationResult::Done(1..),
                    ..
                }
            )
        };
        records.iter().filter(is_read).count()
    }

    /// Makes sure that each record is there or counted as lost, and that time goes on.
    #[track_caller]
    fn assert_accounted_for(&self) {
        let mut next = 0;
        for frame in &self.frames {
            match frame {
                ServerFrame::Events { records, next_seq, .. } => {
                    assert!(records.iter().map(|record| record.seq).eq(next..*next_seq));
                    next = *next_seq;
                }
                ServerFrame::Loss { from, to, .. } => {
                    assert_eq!(*from, next);
                    next = *to;
                }
                _ => {}
            }
        }
        let records = self.records();
        assert!(records.is_sorted_by_key(|record| record.at));
        let is_known = |record: &Record| !matches!(record.event, Event::Unknown { .. });
        assert!(records.iter().all(is_known));
    }

    #[track_caller]
    fn assert_whole(&self) {
        assert!(matches!(self.frames.first(), Some(ServerFrame::Hello { .. })));
        assert!(matches!(self.frames.last(), Some(ServerFrame::Goodbye(_))));
        assert!(!self.frames.iter().any(|frame| matches!(frame, ServerFrame::Loss { .. })));
        let records = self.records();
        assert!(records.iter().map(|record| record.seq).eq(0..records.len() as u64));
        assert!(records.is_sorted_by_key(|record| record.at));
    }
}

fn small() -> Builder {
    Builder::new().ring_records(1024).board_rows(64).endpoint(false)
}

/// Something that is easily found again.
fn work(runtime: &Runtime) {
    runtime.block_on(async {
        let done = task::Builder::new().name("left behind").spawn(async {
            task::yield_now().await;
            7
        });
        assert_eq!(done.await.unwrap(), 7);
    });
}

#[test]
fn a_runtime_that_has_ended_leaves_all_that_it_recorded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.map");
    let place = RecordingPlace::File(path.clone());
    let runtime = small().name("gateway").recording_place(place).build().unwrap();
    assert_eq!(runtime.recording_path(), Some(&*path));
    assert!(runtime.recording_fd().is_none());
    work(&runtime);
    let id = runtime.id();
    drop(runtime);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let remains = Remains::open(&path).unwrap();
    assert!(!remains.is_alive());
    assert_eq!(remains.process().pid, std::process::id());
    let info = remains.runtime();
    assert_eq!((info.id, &*info.name), (id, "gateway"));
    assert!(info.started < info.ended);
    let told = Told::by(&remains);
    told.assert_whole();
    assert_eq!(told.frames.last(), Some(&ServerFrame::Goodbye(Goodbye::ProcessEnding)));
    assert!(told.strings().contains(&"left behind"));
    assert!(told.strings().iter().any(|text| text.contains("remains.rs:")));
    let records = told.records();
    assert_eq!(info.recorded, records.len() as u64);
    let finished = |record: &Record| {
        matches!(record.event, Event::TaskFinished { outcome: TaskOutcome::Completed, .. })
    };
    assert!(records.iter().any(finished));
    let board = told.last_board();
    assert_eq!(board.totals.recorded, records.len() as u64);
    assert_eq!(board.activity, Activity::Outside);
    let (first, last) = (records[0].at, records.last().unwrap().at);
    assert!(info.started <= first && last <= info.ended && last <= board.taken);

    // Whoever has had the beginning gets the rest.
    let rest: Vec<_> = remains.frames_from(info.recorded - 2, KindFilter::ALL).collect();
    let rest = Told { frames: rest };
    assert_eq!(rest.records(), records[records.len() - 2..]);
    assert!(!rest.frames.iter().any(|frame| matches!(frame, ServerFrame::Hello { .. })));
}

#[test]
fn a_memfd_can_be_read_while_its_runtime_lives() {
    let runtime = small().recording_place(RecordingPlace::Memfd).build().unwrap();
    work(&runtime);
    let file = File::from(runtime.recording_fd().unwrap().try_clone_to_owned().unwrap());
    assert!(file.set_len(0).is_err(), "nobody can cut it");
    // By another description of the same file, as another process would have it.
    let theirs = File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)));
    let theirs = theirs.unwrap();
    let remains = Remains::read(&theirs).unwrap();
    assert!(remains.is_alive());
    let told = Told::by(&remains);
    told.assert_whole();
    assert_eq!(told.frames.last(), Some(&ServerFrame::Goodbye(Goodbye::Finished)));
    assert!(remains.runtime().ended.is_never());
    let before = told.records().len();
    work(&runtime);
    let after = Told::by(&Remains::read(&theirs).unwrap());
    assert!(after.records().len() > before);
    assert_eq!(after.records()[..before].len(), before);
}

#[test]
fn a_storm_can_be_read_while_it_goes_on() {
    // The writer goes around several times while the file is copied.
    let runtime = small().recording_place(RecordingPlace::Memfd).build().unwrap();
    let file = File::from(runtime.recording_fd().unwrap().try_clone_to_owned().unwrap());
    let done = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let done = Arc::clone(&done);
        move || {
            let (mut copies, mut records) = (0, 0);
            while copies < 30 || records == 0 {
                let told = Told::by(&Remains::read(&file).unwrap());
                told.assert_accounted_for();
                copies += 1;
                records += told.records().len();
            }
            done.store(true, Ordering::Release);
        }
    });
    runtime.block_on(async {
        let (one, other) = UnixStream::pair().unwrap();
        drop(spawn(async move { while other.write_all(b"x").await.is_ok() {} }));
        // Also if the reader fails.
        while !done.load(Ordering::Acquire) && !reader.is_finished() {
            one.read_exact(&mut [0]).await.unwrap();
        }
    });
    reader.join().unwrap();
}

#[test]
fn stamps_are_those_of_the_systems_clock() {
    let clock = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    };
    let before = clock();
    let runtime = small().recording_place(RecordingPlace::Memfd).build().unwrap();
    work(&runtime);
    let after = clock();
    let file = File::from(runtime.recording_fd().unwrap().try_clone_to_owned().unwrap());
    drop(runtime);
    for record in Told::by(&Remains::read(&file).unwrap()).records() {
        // A little tolerance: both clocks were read only a few milliseconds apart.
        let tolerated = Stamp(before - 20_000)..=Stamp(after + 20_000);
        assert!(tolerated.contains(&record.at), "{record:?} is not in {before}..{after}");
    }
}

#[test]
fn files_in_a_directory_are_kept_for_the_last_few_runtimes() {
    let directory = tempfile::tempdir().unwrap();
    let build = || {
        let place = RecordingPlace::Directory(directory.path().into());
        small().recording_place(place).build().unwrap()
    };
    let names = || fs::read_dir(directory.path()).unwrap().count();
    let living = build();
    for _ in 0..20 {
        work(&build());
    }
    // Other tests of this process end runtimes as well, so that there may be fewer.
    assert!((1..=5).contains(&names()), "{} files", names());
    let path = living.recording_path().unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with(&format!("{}-", std::process::id())) && name.ends_with(".map"));
    assert!(Remains::open(path).unwrap().is_alive());
}

#[test]
fn a_place_that_will_not_do_is_an_error() {
    let places = [
        RecordingPlace::File("/no/such/directory/x.map".into()),
        RecordingPlace::File("/".into()),
        RecordingPlace::Directory("/no/such/directory".into()),
    ];
    for place in places {
        assert!(small().recording_place(place.clone()).build().is_err(), "{place:?}");
    }
}

#[test]
fn where_there_is_no_room_nothing_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let system = rustix::fs::statvfs(directory.path()).unwrap();
    let records = system.f_bavail.saturating_mul(system.f_frsize) / 32 + 1;
    let most = 1 << 32;
    if records > most {
        eprintln!("skipped: there is more room here than any recording takes");
        return;
    }
    let place = RecordingPlace::File(directory.path().join("x.map"));
    let huge = small().ring_records(records as usize).recording_place(place).build();
    assert_eq!(huge.err().map(|error| error.kind()), Some(std::io::ErrorKind::StorageFull));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left of it");
}

#[test]
fn a_process_that_is_killed_in_a_storm_leaves_its_last_records() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = start("storm", &directory.path().join("storm.map"));
    let mut progress = Progress::of(&mut child);
    while progress.last < 500 {
        progress.next().expect("the child storms until it is killed");
    }
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    while progress.next().is_some() {}

    let path = directory.path().join("storm.map");
    let remains = Remains::open(&path).unwrap();
    assert!(!remains.is_alive());
    assert_eq!(remains.process().pid, child.id());
    assert!(remains.runtime().ended.is_never(), "it did not end, it was killed");
    let told = Told::by(&remains);
    told.assert_whole();
    let reads = told.reads();
    assert!(reads >= progress.last, "{reads} reads recorded, {} were made", progress.last);
    assert!(reads <= progress.last + 2, "{reads} reads recorded, {} were made", progress.last);
    let board = told.last_board();
    assert_ne!(board.activity, Activity::Outside);
    assert!(board.totals.recorded.abs_diff(told.records().len() as u64) <= 64);
}

#[test]
fn the_environment_names_a_directory_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = command("brief", Path::new(""));
    command.env("NEXUS_INSPECT_MAP", directory.path());
    assert!(command.status().unwrap().success());
    let path = only_file(&directory);
    Told::of(&path).assert_whole();

    // What will not do is no reason not to run.
    let mut command = self::command("brief", Path::new(""));
    command.env("NEXUS_INSPECT_MAP", "/no/such/directory");
    assert!(command.status().unwrap().success());

    // Nor is a limit on the size of files a reason to be killed.
    let limited = tempfile::tempdir().unwrap();
    let script = "ulimit -f 100; exec \"$0\" --exact child";
    let status = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(ROLE, "brief")
        .env("NEXUS_INSPECT_MAP", limited.path())
        // What this process writes to may be a large file already.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    assert_eq!(fs::read_dir(limited.path()).unwrap().count(), 0);
}

#[test]
fn a_forked_child_leaves_its_parents_recording_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("parent.map");
    let mut child = start("fork", &path);
    assert!(child.wait().unwrap().success());
    let told = Told::of(&path);
    told.assert_whole();
    let named = |name: &str| told.strings().iter().filter(|text| **text == name).count();
    assert_eq!((named("of the parent"), named("of the child")), (1, 0));
}

/// Files that are no recordings, or no longer.
#[test]
fn what_is_cut_or_foreign_is_a_clear_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.map");
    assert!(matches!(Remains::open(&path), Err(RemainsError::Io(_))));
    for content in [&b""[..], b"{\"nexus-trace\":1}", &[0xFF; 100_000]] {
        fs::write(&path, content).unwrap();
        let error = Remains::open(&path).err().expect("it is no recording");
        assert!(matches!(error, RemainsError::Foreign), "{error}");
        assert!(!Remains::are_in(&File::open(&path).unwrap()));
    }
    let whole = recording();
    assert!(Remains::are_in(&File::open(whole.path()).unwrap()));
    let bytes = fs::read(whole.path()).unwrap();
    for len in [8 * 1024, 100_000, bytes.len() - 1] {
        fs::write(&path, &bytes[..len]).unwrap();
        let error = Remains::open(&path).err().expect("it was cut");
        assert!(matches!(error, RemainsError::Cut { actual, .. } if actual == len as u64));
    }
    let mut other = bytes;
    other[8] = 99;
    fs::write(&path, other).unwrap();
    let error = Remains::open(&path).err().expect("it is another version's");
    assert!(error.to_string().contains("version 99"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is in the file, reading it comes to an end in good order.
    #[test]
    fn damage_does_no_harm(
        damage in prop::collection::vec((0..64 * 1024_u64 / 8, any::<u64>()), 1..40),
        // The words that all else hangs on are hit more often than chance would have it.
        vital in prop::collection::vec((prop_oneof![2..30_u64, 1024..1120_u64], any::<u64>()), 0..4)
    ) {
        let file = recording();
        let at = |word: u64| word * 8;
        for (word, value) in damage.into_iter().chain(vital) {
            file.as_file().write_all_at(&value.to_ne_bytes(), at(word)).unwrap();
        }
        if let Ok(remains) = Remains::open(file.path()) {
            // Many frames may come of it, but each is one that could be.
            prop_assert!(remains.frames().take(100_000).count() < 100_000);
        }
    }
}

/// A small recording whose process is gone.
fn recording() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let place = RecordingPlace::File(file.path().into());
    let runtime = small().recording_place(place).build().unwrap();
    work(&runtime);
    drop(runtime);
    // The name is another file's by now.
    let (_, path) = file.into_parts();
    tempfile::NamedTempFile::from_parts(File::options().write(true).open(&path).unwrap(), path)
}

fn only_file(directory: &TempDir) -> PathBuf {
    let mut entries = fs::read_dir(directory.path()).unwrap();
    let path = entries.next().expect("there is a file").unwrap().path();
    assert!(entries.next().is_none(), "there is one file");
    path
}

fn command(role: &str, place: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env(ROLE, role).env(PLACE, place);
    command
}

fn start(role: &str, place: &Path) -> Child {
    command(role, place).stdout(Stdio::piped()).spawn().unwrap()
}

/// What a child says of how far it has come.
struct Progress {
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    last: usize,
}

impl Progress {
    fn of(child: &mut Child) -> Self {
        Self { lines: BufReader::new(child.stdout.take().unwrap()).lines(), last: 0 }
    }

    fn next(&mut self) -> Option<()> {
        let line = self.lines.next()?.unwrap();
        if let Some(number) = line.strip_prefix("progress ") {
            // The last line may have been cut by the kill.
            self.last = number.parse().unwrap_or(self.last);
        }
        Some(())
    }
}

/// Not a test: what this program does when it is started again by one.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let place = || RecordingPlace::File(std::env::var_os(PLACE).unwrap().into());
    match &*role {
        "storm" => storm(place()),
        "brief" => work(&small().build().unwrap()),
        "fork" => fork(place()),
        other => panic!("no role {other:?}"),
    }
}

fn storm(place: RecordingPlace) {
    let runtime = Builder::new().ring_records(1 << 18).recording_place(place).endpoint(false);
    let runtime = runtime.build().unwrap();
    runtime.block_on(async {
        let (one, other) = UnixStream::pair().unwrap();
        spawn(async move { while other.write_all(b"x").await.is_ok() {} });
        let mut stdout = std::io::stdout();
        for read in 1.. {
            one.read_exact(&mut [0]).await.unwrap();
            writeln!(stdout, "progress {read}").unwrap();
        }
    });
}

fn fork(place: RecordingPlace) {
    let runtime = small().recording_place(place).build().unwrap();
    work(&runtime);
    let named = |name| {
        runtime.block_on(async { task::Builder::new().name(name).spawn(async {}).await.unwrap() });
    };
    // SAFETY: this process has a thread that waits for the test, and no lock of ours is held.
    let child = unsafe { libc::fork() };
    if child == 0 {
        named("of the child");
        drop(runtime);
        // SAFETY: what the parent's threads left is not looked at.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: the status is ours to write to.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert_eq!(status, 0, "the child ended in good order");
    named("of the parent");
}
