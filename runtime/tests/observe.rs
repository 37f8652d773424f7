//! Loops that are not ours, observed: what the probe points leave in the records and on the board.

#[path = "support/recording.rs"]
mod recording;

use mio::net::{UnixListener, UnixStream};
use mio::{Events, Interest as MioInterest, Poll, Token};
use nexus_protocol::event::{
    Cause, Event, Operation, OperationResult, PollResult, RefusalReason, TaskOutcome,
    TransitionReason, TurnMode, Verdict, WakeOutcome,
};
use nexus_protocol::{Direction, Interest, Readiness, TokenId};
use nexus_runtime::observe::{Description, Observer, RemoteWake, Source, SourceKind};
use recording::Recording;
use rustix::event::epoll;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// A mio loop with one connection, whose other end is the test's.
struct Loop {
    observer: Observer,
    poll: Poll,
    events: Events,
    stream: UnixStream,
    source: Source,
    other: UnixStream,
}

impl Loop {
    fn new(observer: Observer) -> Self {
        let (poll, events) = (Poll::new().unwrap(), Events::with_capacity(16));
        let (mut stream, other) = UnixStream::pair().unwrap();
        let source = observer
            .register(poll.registry(), &mut stream, Token(40), MioInterest::READABLE)
            .unwrap();
        Self { observer, poll, events, stream, source, other }
    }

    /// Waits for events.
    fn turn(&mut self) {
        self.observer.turn(&mut self.poll, &mut self.events, None).unwrap();
    }

    /// Looks for events.
    fn look(&mut self) {
        let now = Some(Duration::ZERO);
        self.observer.turn(&mut self.poll, &mut self.events, now).unwrap();
    }

    fn send(&mut self, message: &[u8]) {
        self.other.write_all(message).unwrap();
    }

    fn read(&mut self) -> io::Result<usize> {
        self.source.read(self.stream.read(&mut [0; 64]))
    }

    fn recording(&self) -> Recording {
        Recording::of(self.observer.id())
    }
}

fn wakes(recording: &Recording) -> Vec<(Cause, WakeOutcome)> {
    let wake = |event: &Event| match *event {
        Event::Wake { cause, outcome, .. } => Some((cause, outcome)),
        _ => None,
    };
    recording.events.iter().filter_map(wake).collect()
}

fn verdicts(recording: &Recording) -> Vec<(PollResult, Verdict)> {
    let end = |event: &Event| match *event {
        Event::PollEnd { result, verdict, .. } => Some((result, verdict)),
        _ => None,
    };
    recording.events.iter().filter_map(end).collect()
}

#[test]
fn a_token_is_shown_with_all_that_is_known_of_it() {
    let here = line!() + 1;
    let mut echo = Loop::new(Observer::new("tokens"));
    echo.look();
    let (token, fd) = (echo.source.token(), echo.stream.as_raw_fd());
    let recording = echo.recording();
    let row = recording.board.tokens[0];
    assert_eq!((row.token, row.kind, row.fd), (token, SourceKind::UnixStream, fd));
    assert_eq!((row.interest, row.readiness), (Interest::READABLE, Readiness::EMPTY));
    assert_eq!(row.local, None, "a pair has no names");
    let location = recording.string(row.location);
    assert!(location.contains("observe.rs:"), "{location}");
    assert!(!location.contains(&format!(":{here}:")), "not the helper's caller, but the call");
    let totals = recording.board.totals;
    assert_eq!((totals.live, totals.claims, totals.releases), (1, 1, 0));
    assert!(totals.capacity >= 1, "{totals:?}");

    drop(echo.source);
    let totals = Recording::of(echo.observer.id()).board.totals;
    assert_eq!((totals.live, totals.releases, totals.high_water), (0, 1, 1));
}

#[test]
fn a_chain_leads_from_the_kernels_event_to_the_result() {
    let mut echo = Loop::new(Observer::new("chain"));
    for _ in 0..2 {
        echo.send(b"hello");
        echo.turn();
        let (source, stream) = (&echo.source, &mut echo.stream);
        let bytes = source.handle(|| source.read(stream.read(&mut [0; 64]))).unwrap();
        assert_eq!(bytes, 5);
    }
    let recording = echo.recording();
    let token = echo.source.token();
    let events = &recording.events;
    let chain = &events[events.len() - 6..];
    let first = events.len() as u64 - 6;
    let turn = matches!(chain[0], Event::Turn { events: 1, mode: TurnMode::Park, .. });
    assert!(turn, "{chain:?}");
    let expected = Event::Transition {
        token,
        before: Readiness::READABLE,
        after: Readiness::READABLE,
        reason: TransitionReason::Event,
        wakers: 1,
    };
    assert_eq!(chain[1], expected, "nothing said that the first message was all");
    let cause = Cause::Io { token, direction: Direction::Readable, event: Some(first + 1) };
    assert!(
        matches!(chain[2], Event::Wake { cause: found, outcome: WakeOutcome::Queued, .. } if found == cause),
        "{chain:?}"
    );
    assert!(
        matches!(chain[3], Event::PollStart { number: 2, wake: Some(seq), .. } if seq == first + 2),
        "{chain:?}"
    );
    let read = matches!(
        chain[4],
        Event::Operation { operation: Operation::Read, result: OperationResult::Done(5), task: Some(_), poll: Some(seq), .. }
            if seq == first + 3
    );
    assert!(read, "{chain:?}");
    let end = matches!(
        chain[5],
        Event::PollEnd { verdict: Verdict::Progress, operations: 1, progress: 1, .. }
    );
    assert!(end, "{chain:?}");
    // The first event came before there was a task: it is the cause of its first wake all the same.
    assert!(matches!(wakes(&recording)[0], (Cause::Io { event: Some(_), .. }, _)));
    assert_eq!(recording.board.tasks.len(), 1);
    assert_eq!(recording.board.tokens[0].owner, Some(recording.board.tasks[0].task));
}

#[test]
fn what_would_block_consumes_the_readiness_and_an_end_is_told() {
    let mut echo = Loop::new(Observer::new("results"));
    echo.send(b"hello");
    echo.turn();
    assert_eq!(echo.source.readiness(), Readiness::READABLE);
    assert_eq!(echo.read().unwrap(), 5);
    assert_eq!(echo.read().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(echo.source.readiness(), Readiness::EMPTY);
    assert_eq!(echo.source.write(echo.stream.write(b"hi")).unwrap(), 2);
    echo.other.shutdown(std::net::Shutdown::Write).unwrap();
    echo.turn();
    assert_eq!(echo.read().unwrap(), 0);
    let error = echo.source.read(Err::<usize, _>(io::Error::from_raw_os_error(104))).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(104));
    let interrupted = io::Error::from(io::ErrorKind::Interrupted);
    assert!(echo.source.read(Err::<usize, _>(interrupted)).is_err(), "passed on, not recorded");

    let recording = echo.recording();
    let expected = [
        OperationResult::Done(5),
        OperationResult::WouldBlock,
        OperationResult::EndOfFile,
        OperationResult::Error(104),
    ];
    assert_eq!(recording.results(echo.source.token(), Operation::Read), expected);
    let row = recording.board.tokens[0];
    let counters = row.counters;
    assert_eq!((counters.bytes_in, counters.bytes_out, counters.operations), (5, 2, 5));
    assert_eq!((counters.would_block, counters.errors, counters.events), (1, 1, 2));
    assert_eq!(row.readiness, echo.source.readiness());
    assert!(row.readiness.contains(Readiness::READ_CLOSED));
}

#[test]
fn a_fruitless_poll_is_spurious_only_if_it_is_known_what_it_tried() {
    let mut echo = Loop::new(Observer::new("verdicts"));
    echo.send(b"hello");
    echo.turn();
    echo.source.handle(|| {});
    for says_what_it_does in [false, true] {
        while echo.read().is_ok() {}
        echo.send(b"hello");
        echo.turn();
        // The handler comes too late: somebody else has read.
        let _ = echo.stream.read(&mut [0; 64]);
        let (source, stream) = (&echo.source, &mut echo.stream);
        source.handle(|| {
            let read = stream.read(&mut [0; 64]);
            if says_what_it_does { source.read(read) } else { read }.unwrap_err()
        });
    }
    let recording = echo.recording();
    let pending = |verdict| (PollResult::Pending, verdict);
    let expected = [Verdict::Progress, Verdict::Unattributed, Verdict::Spurious].map(pending);
    assert_eq!(verdicts(&recording), expected, "the first poll of a task is progress");
    assert_eq!(recording.board.tokens[0].counters.spurious, 1);
}

#[test]
fn wakes_have_their_causes() {
    let observer = Observer::new("wakes");
    let (first, second) = (observer.task("first"), observer.task("second"));
    observer.turn_by(Some(Duration::ZERO), || Ok(0)).unwrap();
    first.wake();
    first.wake();
    first.poll(|| {
        second.wake();
        first.wake();
    });
    let remote = std::thread::spawn(|| (RemoteWake::now(), rustix::thread::gettid())).join();
    let (remote, thread) = remote.unwrap();
    second.poll(|| {});
    second.wake_remote(remote);
    second.poll(|| {});
    let recording = Recording::of(observer.id());
    let wakes = wakes(&recording);
    assert_eq!(wakes[0], (Cause::Outside, WakeOutcome::Queued));
    assert_eq!(wakes[1], (Cause::Outside, WakeOutcome::Redundant));
    assert_eq!(wakes[2], (Cause::Task { task: first.id() }, WakeOutcome::Queued));
    assert_eq!(wakes[3], (Cause::Yield, WakeOutcome::Queued));
    let (Cause::Thread { thread: waker, woken }, WakeOutcome::Queued) = wakes[4] else {
        panic!("{wakes:?}")
    };
    assert_eq!(waker, thread.as_raw_nonzero().get().unsigned_abs());
    assert!(!woken.is_never());
    assert_eq!(wakes.len(), 5);
    assert_eq!(recording.board.totals.redundant, 1);
    let names: Vec<_> =
        recording.board.tasks.iter().map(|row| recording.string(row.name)).collect();
    assert_eq!(names, ["first", "second"]);
}

#[test]
fn one_task_may_serve_several_sources() {
    let mut echo = Loop::new(Observer::new("shared"));
    let (mut stream, mut other) = UnixStream::pair().unwrap();
    let registry = echo.poll.registry();
    let second =
        echo.observer.register(registry, &mut stream, Token(41), MioInterest::READABLE).unwrap();
    let task = echo.observer.task("both");
    echo.source.wakes(&task);
    second.wakes(&task);
    other.write_all(b"x").unwrap();
    echo.send(b"x");
    echo.turn();
    assert_eq!(echo.events.iter().count(), 2);
    task.poll(|| {});
    let recording = echo.recording();
    let outcomes: Vec<_> = wakes(&recording).into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(outcomes, [WakeOutcome::Queued, WakeOutcome::Redundant]);
    assert_eq!(recording.board.tasks.len(), 1);
}

#[test]
fn a_poll_within_a_poll_belongs_to_the_outer_one_and_a_panic_ends_it() {
    let mut echo = Loop::new(Observer::new("nested"));
    echo.look();
    let task = echo.observer.task("outer");
    assert_eq!(task.poll(|| echo.source.handle(|| 7)), 7);
    let panicked = catch_unwind(AssertUnwindSafe(|| task.poll(|| panic!("on purpose"))));
    assert!(panicked.is_err(), "it goes on to the caller");
    assert_eq!(task.poll(|| 8), 8, "the loop may go on");
    drop(task);
    let recording = echo.recording();
    let results: Vec<_> = verdicts(&recording).into_iter().map(|(result, _)| result).collect();
    assert_eq!(results, [PollResult::Pending, PollResult::Panicked, PollResult::Pending]);
    let finished = recording.events.iter().find_map(|event| match event {
        Event::TaskFinished { outcome, .. } => Some(*outcome),
        _ => None,
    });
    assert_eq!(finished, Some(TaskOutcome::Panicked));
}

#[test]
fn numbers_are_the_observers_own_unless_tokens_are_slots() {
    let claim = |observer: &Observer, token| {
        observer.claim(Token(token), Description::new(SourceKind::Other))
    };
    // A program that counts its tokens up: slots are used again all the same.
    let counting = Observer::new("counting");
    for token in 1_000_000_000..1_000_000_100 {
        let source = claim(&counting, token);
        assert_eq!(source.token().slot, 0);
    }
    assert_eq!(claim(&counting, 3).token(), TokenId { slot: 0, generation: 101 });

    // A program with a table: its numbers, and its generations if it has any.
    let table = Observer::builder().name("table").slots_from_tokens().build();
    let _ = table.turn_by(Some(Duration::ZERO), || Ok(1));
    table.set_capacity(64);
    let first = claim(&table, 7);
    assert_eq!(first.token(), TokenId { slot: 7, generation: 1 });
    drop(first);
    table.event(Token(7), Readiness::READABLE);
    let second = claim(&table, 7);
    assert_eq!(second.token(), TokenId { slot: 7, generation: 2 });
    let given = claim(&table, 9 << 32 | 70);
    assert_eq!(given.token(), TokenId { slot: 70, generation: 9 });
    table.event(Token(8 << 32 | 70), Readiness::WRITABLE);
    // Its table has given slot 7 to somebody else, and the first owner is dropped late.
    let third = claim(&table, 7);
    second.operation(Operation::Read, OperationResult::Done(3));
    drop(second);
    assert_eq!(third.token(), TokenId { slot: 7, generation: 3 });

    let recording = Recording::of(table.id());
    let totals = recording.board.totals;
    assert_eq!((totals.claims, totals.releases, totals.live), (4, 2, 2));
    assert_eq!((totals.capacity, totals.growths, totals.stale), (71, 1, 2));
    let live: Vec<_> = recording.board.tokens.iter().map(|row| row.token).collect();
    assert_eq!(live, [third.token(), given.token()]);
    assert_eq!(recording.board.tokens[0].counters.operations, 0, "not the new owner's");
    let refused =
        |event: &Event| matches!(event, Event::ReleaseRefused { reason: RefusalReason::Stale, .. });
    assert!(!recording.events.iter().any(refused), "dropping it late is no fault");
}

#[test]
fn a_registration_that_fails_gives_its_token_back() {
    let observer = Observer::new("refused");
    let mut poll = Poll::new().unwrap();
    observer.turn(&mut poll, &mut Events::with_capacity(1), Some(Duration::ZERO)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let mut listener = UnixListener::bind(&path).unwrap();
    let register = |listener: &mut UnixListener, token| {
        observer.register(poll.registry(), listener, Token(token), MioInterest::READABLE)
    };
    let source = register(&mut listener, 1).unwrap();
    let again = register(&mut listener, 2).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    source.reregister(poll.registry(), &mut listener, MioInterest::WRITABLE).unwrap();
    assert_eq!(source.token().generation, 1);
    let recording = Recording::of(observer.id());
    let row = recording.board.tokens[0];
    assert_eq!((row.token, row.interest), (source.token(), Interest::WRITABLE));
    assert_eq!(recording.board.totals.live, 1);
    let Some(nexus_protocol::event::Address::Unix(name)) = row.local else { panic!("{row:?}") };
    assert_eq!(recording.string(name), path.to_str().unwrap());

    source.deregister(poll.registry(), &mut listener).unwrap();
    let released = Recording::of(observer.id()).events;
    assert!(matches!(released.last(), Some(Event::TokenReleased { live: 0, errno: 0, .. })));
    register(&mut listener, 1).unwrap();
}

#[test]
fn a_loop_without_mio_has_the_same() {
    let observer = Observer::new("epoll");
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let (mut stream, mut other) = std::os::unix::net::UnixStream::pair().unwrap();
    let source = observer.claim(Token(stream.as_raw_fd() as usize), Description::of(&stream));
    let data = epoll::EventData::new_u64(stream.as_raw_fd() as u64);
    let added = epoll::add(&epoll, &stream, data, epoll::EventFlags::IN);
    source.registered(Interest::READABLE, &added.map_err(Into::into));
    other.write_all(b"hello").unwrap();
    let mut events = Vec::with_capacity(8);
    let found = observer.turn_by(None, || {
        let buffer = rustix::buffer::spare_capacity(&mut events);
        Ok(epoll::wait(epoll.as_fd(), buffer, None)?)
    });
    assert_eq!(found.unwrap(), 1);
    observer.event(Token(events[0].data.u64() as usize), Readiness::READABLE);
    source.handle(|| source.read(stream.read(&mut [0; 8]))).unwrap();
    source.consumed(Direction::Readable);
    let recording = Recording::of(observer.id());
    let row = recording.board.tokens[0];
    assert_eq!((row.counters.events, row.counters.bytes_in), (1, 5));
    assert_eq!((row.interest, row.readiness), (Interest::READABLE, Readiness::EMPTY));
    assert_eq!(recording.board.totals.turns, 1);
    assert_eq!(verdicts(&recording), [(PollResult::Pending, Verdict::Progress)]);
}

#[test]
fn switched_off_it_passes_everything_on() {
    let mut echo = Loop::new(Observer::builder().recorder(false).build());
    echo.send(b"hello");
    echo.turn();
    let (source, stream) = (&echo.source, &mut echo.stream);
    assert_eq!(source.handle(|| source.read(stream.read(&mut [0; 64]))).unwrap(), 5);
    let task = echo.observer.task("nobody");
    task.wake();
    assert_eq!(task.poll(|| 7), 7);
    let observer = echo.observer.clone();
    drop(echo);
    assert!(format!("{observer:?}").contains("sources: 0"));
}
