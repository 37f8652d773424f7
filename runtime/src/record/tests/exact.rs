//! Nothing is lost unseen: a writer at full speed, and readers that keep up, stall, or are stopped in the middle of a read.
//! Whatever they are given is whole, and what they are not given is counted. With optimizations (`.ci/exact`) these are ten
//! million records, without them a tenth.
//!
//! The writer goes through the probes, with all that they change on the board, and is watched: it allocates nothing, and a
//! filter of the kernel ends the process at its first system call. Such a filter can't be taken off again, not even to let
//! the thread end, so that all this happens in a process of its own.

use super::*;
use nexus_protocol::record::Words;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::os::unix::thread::JoinHandleExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Set in the process that does it.
const ALONE: &str = "NEXUS_TEST_EXACT";

/// Sanitizers make system calls of their own, are slow, and hold signals back.
const SANITIZED: bool = cfg!(nexus_no_task_memory);

const RECORDS: Seq = match (SANITIZED, cfg!(debug_assertions)) {
    (true, _) => 320_000,
    (false, true) => 1_000_000,
    (false, false) => 10_000_000,
};

/// The ring goes around many times.
const RING: usize = if cfg!(debug_assertions) { 1 << 11 } else { 1 << 14 };

/// Records of one cycle of the writer, see [`Cycles`].
const CYCLE: u64 = 16;

/// Cycles before the writer is watched: strings are interned, and chunks of the board allocated, at their first use.
const WARM: u64 = 10;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator unchanged; the counter does not touch the memory, and is a plain
// number that is there without being made.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same one.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: `pointer` came from `alloc` above with this layout, and so from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn every_record_is_delivered_whole_or_counted_as_lost() {
    if std::env::var_os(ALONE).is_some() {
        let told = write_and_read();
        println!("\n{told}");
        // The writer's thread can't end by itself.
        std::process::exit(0);
    }
    let name = "record::tests::exact::every_record_is_delivered_whole_or_counted_as_lost";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, "yes")
        .env_remove(SWITCH)
        .output()
        .unwrap();
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let status = output.status;
    assert!(status.success(), "{status}; SIGSYS is for a system call\n{said}\n{complained}");
    assert!(said.contains("no allocation"), "it did not run\n{said}");
    println!("{said}");
}

/// Runs the writer and its readers. Panics if anything is wrong; says what was found.
fn write_and_read() -> String {
    let (give, take) = mpsc::channel();
    let written = Arc::new(AtomicU64::new(0));
    let go = Arc::new(AtomicBool::new(false));
    let (tell, wait) = (written.clone(), go.clone());
    thread::spawn(move || write(&give, &wait, &tell));
    let (recording, watched): (Arc<Recording>, bool) = take.recv().unwrap();

    let eager = Reader::start(&recording, &written, None, |_| {});
    let stalling = Reader::start(&recording, &written, None, |read| {
        thread::sleep(Duration::from_micros(read % 7 * 500));
    });
    let stopped = Reader::start(&recording, &written, Some(&IN_READ), |_| {});
    let looking = {
        let (recording, written) = (recording.clone(), written.clone());
        thread::spawn(move || look_at_rows(&recording, &written))
    };
    go.store(true, Ordering::Release);
    let stops = stop_again_and_again(&stopped, &written);

    let allocations = written.load(Ordering::Acquire) - 1;
    assert_eq!(allocations, 0, "the writer allocates");
    assert_eq!(recording.ring.committed(), RECORDS);
    let mut told = format!("{RECORDS} records, no allocation");
    told += if watched { ", no system call" } else { "; system calls were not watched here" };
    for (what, reader) in [("eager", eager), ("stalling", stalling), ("stopped", stopped)] {
        let Account { delivered, lost } = reader.thread.join().expect("a reader");
        assert_eq!(delivered + lost, RECORDS, "{what}");
        assert!(delivered >= RING as u64 / 2, "what is written last is always there");
        assert!(SANITIZED || lost > 0 || what == "eager", "{what}: it was overtaken");
        told += &format!("\n{what}: {delivered} delivered, {lost} lost");
    }
    let (whole, changing) = looking.join().expect("who looks at the board");
    assert!(whole > 0);
    told += &format!("\nrows: {whole} whole, {changing} marked as changing");
    assert!(SANITIZED || stops > 0, "no reader was stopped in the middle of a read");
    told + &format!("\n{stops} times stopped in the middle of a read")
}

/// The body of the writer's thread. Never returns.
fn write(give: &mpsc::Sender<(Arc<Recording>, bool)>, go: &AtomicBool, written: &AtomicU64) {
    let options = Options { ring_records: RING, board_rows: 300, ..Options::default() };
    let mut writer = Cycles { recorder: Recorder::new(RuntimeId(1), &options).unwrap(), cycle: 0 };
    (0..WARM).for_each(|_| writer.next());
    let watched = !SANITIZED && is_filter_allowed();
    let recording = writer.recorder.end.observed.recording.clone().unwrap();
    give.send((recording, watched)).unwrap();
    while !go.load(Ordering::Acquire) {
        thread::yield_now();
    }
    if watched {
        no_system_calls_from_here_on();
    }
    let before = ALLOCATIONS.get();
    while writer.cycle < RECORDS / CYCLE {
        writer.next();
    }
    let allocations = ALLOCATIONS.get() - before;
    written.store(1 + allocations, Ordering::Release);
    loop {
        std::hint::spin_loop();
    }
}

/// What the writer does, again and again: a token and a task come, do something, and go, so that their rows are used again.
struct Cycles {
    recorder: Recorder,
    cycle: u64,
}

impl Cycles {
    fn next(&mut self) {
        let (recorder, cycle) = (&self.recorder, self.cycle);
        self.cycle += 1;
        let token = token_of(cycle);
        recorder.turn_begin(TurnMode::Look);
        recorder.turn_end(cycle as u32 + 1, false);
        recorder.token_claimed(token, SourceKind::TcpStream, cycle as i32, here());
        let probe = recorder.task_spawned(task_of(cycle), here(), Some("one of many"));
        recorder.with_cause(Cause::Spawn, || recorder.wake(&probe, WakeOutcome::Queued));
        let read = |result| recorder.operation(Operation::Read, Subject::Token(token), result);
        recorder.poll(&probe, || read(OperationResult::Done(cycle as u32)));
        recorder.io_wake(&probe, token);
        recorder.poll(&probe, || read(OperationResult::WouldBlock));
        recorder.timer(TimerId(cycle), TimerAction::Armed, cycle);
        recorder.timer(TimerId(cycle), TimerAction::Fired, cycle);
        recorder.task_finished(&probe, TaskOutcome::Completed);
        recorder.token_released(token, 0);
    }
}

fn here() -> &'static Location<'static> {
    Location::caller()
}

fn token_of(cycle: u64) -> TokenId {
    TokenId { slot: 7, generation: cycle as u32 + 1 }
}

fn task_of(cycle: u64) -> TaskId {
    TaskId(cycle + 1)
}

/// What the writer must have recorded under this number. Stamps and strings are taken from the record itself.
fn expected(record: &Record) -> Event {
    let seq = record.seq;
    let (cycle, place) = (seq / CYCLE, seq % CYCLE);
    let (token, task) = (token_of(cycle), task_of(cycle));
    let (before, after) = (Readiness::EMPTY, Readiness::READABLE);
    let queued = WakeOutcome::Queued;
    let read = |result, poll| Event::Operation {
        operation: Operation::Read,
        subject: Subject::Token(token),
        result,
        task: Some(task),
        poll: Some(poll),
    };
    let end = |verdict, progress| {
        let Event::PollEnd { started, .. } = record.event else { panic!("{record:?}") };
        assert!(started <= record.at);
        let (result, operations) = (PollResult::Pending, 1);
        Event::PollEnd { task, started, result, verdict, operations, progress }
    };
    let timer =
        |action| Event::Timer { timer: TimerId(cycle), action, deadline_ns: cycle, poll: None };
    match place {
        0 => {
            let Event::Turn { parked, .. } = record.event else { panic!("{record:?}") };
            let (number, events, mode) = (cycle + 1, cycle as u32 + 1, TurnMode::Look);
            Event::Turn { number, events, mode, parked }
        }
        1 => {
            let Event::TokenClaimed { location, .. } = record.event else { panic!("{record:?}") };
            let (kind, fd) = (SourceKind::TcpStream, cycle as i32);
            Event::TokenClaimed { token, kind, fd, location, live: 1 }
        }
        2 => {
            let Event::TaskSpawned { location, name, .. } = record.event else {
                panic!("{record:?}")
            };
            Event::TaskSpawned { task, location, name, poll: None }
        }
        3 => Event::Wake { task, cause: Cause::Spawn, outcome: queued },
        4 => Event::PollStart { task, number: 1, wake: Some(seq - 1) },
        5 => read(OperationResult::Done(cycle as u32), seq - 1),
        6 => end(Verdict::Progress, 1),
        7 => Event::Transition { token, before, after, reason: TransitionReason::Event, wakers: 1 },
        8 => {
            let cause = Cause::Io { token, direction: Direction::Readable, event: Some(seq - 1) };
            Event::Wake { task, cause, outcome: queued }
        }
        9 => Event::PollStart { task, number: 2, wake: Some(seq - 1) },
        10 => read(OperationResult::WouldBlock, seq - 1),
        11 => end(Verdict::Spurious, 0),
        12 => timer(TimerAction::Armed),
        13 => timer(TimerAction::Fired),
        14 => Event::TaskFinished { task, outcome: TaskOutcome::Completed },
        _ => Event::TokenReleased { token, live: 0, errno: 0 },
    }
}

/// What a reader was given.
struct Account {
    delivered: u64,
    lost: u64,
}

struct Reader {
    thread: thread::JoinHandle<Account>,
}

/// Whether the reader that is stopped is copying, or looking whether what it copied was overwritten.
static IN_READ: AtomicBool = AtomicBool::new(false);
/// How often it was stopped there.
static STOPS: AtomicU64 = AtomicU64::new(0);

impl Reader {
    /// Reads until all is read that was written. `pause` comes after each read.
    fn start(
        recording: &Arc<Recording>,
        written: &Arc<AtomicU64>,
        in_read: Option<&'static AtomicBool>,
        pause: impl Fn(u64) + Send + 'static,
    ) -> Self {
        let (recording, written) = (recording.clone(), written.clone());
        let set = move |reads| in_read.inspect(|flag| flag.store(reads, Ordering::Relaxed));
        let body = move || {
            let mut account = Account { delivered: 0, lost: 0 };
            let (mut cursor, mut last) = (0, Stamp::NEVER);
            let mut words: Vec<Words> = Vec::with_capacity(RING);
            for read in 0.. {
                let is_all = written.load(Ordering::Acquire) != 0;
                set(true);
                let batch = recording.ring.read(cursor, RING / 2, &mut words);
                set(false);
                assert_eq!((batch.lost.start, batch.lost.end), (cursor, batch.first));
                for (seq, &words) in (batch.first..).zip(&words) {
                    let record = Record::from_words(seq, words, &ClockMap::IDENTITY);
                    assert_eq!(record.event, expected(&record), "record {seq} is torn or mixed");
                    assert!(record.at >= last, "stamps run backwards at {seq}");
                    last = record.at;
                }
                account.lost += batch.lost.end - batch.lost.start;
                account.delivered += words.len() as u64;
                cursor = batch.first + words.len() as u64;
                if is_all && cursor == recording.ring.committed() {
                    break;
                }
                pause(read);
            }
            account
        };
        Self { thread: thread::spawn(body) }
    }
}

extern "C" fn stop(_: libc::c_int) {
    if IN_READ.load(Ordering::Relaxed) {
        STOPS.fetch_add(1, Ordering::Relaxed);
    }
    let pause = libc::timespec { tv_sec: 0, tv_nsec: 2_000_000 };
    // SAFETY: a call that signal handlers may make, with a time that outlives it.
    unsafe { libc::nanosleep(&raw const pause, std::ptr::null_mut()) };
}

/// Stops the reader wherever it is, for a while each time, until all is written. How often that was in the middle of a read.
fn stop_again_and_again(reader: &Reader, written: &AtomicU64) -> u64 {
    // SAFETY: the handler only does what handlers may.
    unsafe { libc::signal(libc::SIGUSR1, stop as extern "C" fn(libc::c_int) as usize) };
    while written.load(Ordering::Acquire) == 0 {
        // SAFETY: the thread was not joined yet.
        unsafe { libc::pthread_kill(reader.thread.as_pthread_t(), libc::SIGUSR1) };
        thread::sleep(Duration::from_micros(2_300));
    }
    STOPS.load(Ordering::Relaxed)
}

/// Copies the rows of the token and the task again and again while they are used for others. How often a copy was whole, and
/// how often it was marked as changing. A whole one belongs to one cycle, and says so in all its parts.
fn look_at_rows(recording: &Recording, written: &AtomicU64) -> (u64, u64) {
    let (mut whole, mut changing) = (0, 0);
    while written.load(Ordering::Acquire) == 0 {
        for row in recording.board.tokens.copies() {
            if row.changing {
                changing += 1;
                continue;
            }
            let Some(row) = TokenRow::from_words(&row.words, false, &ClockMap::IDENTITY) else {
                continue;
            };
            let cycle = u64::from(row.token.generation) - 1;
            let counters = row.counters;
            assert_eq!(row.token, token_of(cycle));
            assert_eq!(row.fd, cycle as i32, "{row:?} is mixed");
            // The row stands after one of the records from its claim to its last read.
            let place = row.next_seq - cycle * CYCLE;
            assert!((2..=CYCLE).contains(&place), "{row:?} stands {place} records into its cycle");
            assert_eq!(
                counters.operations,
                u64::from(place > 5) + u64::from(place > 10),
                "{row:?}"
            );
            assert_eq!(counters.bytes_in, if place > 5 { u64::from(cycle as u32) } else { 0 });
            assert_eq!(counters.events, u64::from(place > 7), "{row:?}");
            assert_eq!(counters.wakes, u64::from(place > 8), "{row:?}");
            whole += 1;
        }
        for row in recording.board.tasks.copies() {
            if row.changing {
                changing += 1;
                continue;
            }
            let Some(row) = TaskRow::from_words(&row.words, false, &ClockMap::IDENTITY) else {
                continue;
            };
            let cycle = row.task.0 - 1;
            let place = row.next_seq - cycle * CYCLE;
            assert!((3..=CYCLE).contains(&place), "{row:?} stands {place} records into its cycle");
            let counters = row.counters;
            assert_eq!(counters.wakes, u64::from(place > 3) + u64::from(place > 8), "{row:?}");
            assert_eq!(
                counters.operations,
                u64::from(place > 5) + u64::from(place > 10),
                "{row:?}"
            );
            assert_eq!(counters.spurious, u64::from(place > 11), "{row:?}");
            assert!(row.spawned <= row.since, "{row:?}");
            whole += 1;
        }
    }
    (whole, changing)
}

/// Whether the kernel lets threads give up system calls, which is tried out on one that does nothing else.
fn is_filter_allowed() -> bool {
    // SAFETY: takes numbers only, and changes nothing but that this process can't gain rights.
    let no_new_rights = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: there is no filter at a null pointer, which the kernel says if it knows the call at all.
    let tried = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, 0) };
    let error = std::io::Error::last_os_error().raw_os_error();
    no_new_rights == 0 && tried == -1 && error == Some(libc::EFAULT)
}

/// From here on, the first system call of this thread ends the process, except for reading the clock where that takes one.
fn no_system_calls_from_here_on() {
    let statement =
        |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        // The number of the call, the first thing in `seccomp_data`.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        statement(
            libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
            libc::SYS_clock_gettime as u32,
            0,
            1,
        ),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_KILL_PROCESS, 0, 0),
    ];
    let clock_is_read_without = Clock::of_process() == Clock::Tsc;
    if clock_is_read_without {
        program[2].k = libc::SECCOMP_RET_KILL_PROCESS;
    }
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the program outlives the call, in which the kernel copies it.
    let set =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}
