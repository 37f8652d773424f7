//! Tests of the probes, through what they leave in the ring and on the board.

use super::*;
use nexus_protocol::board::{TaskRow, TaskState, TokenRow, Totals};
use nexus_protocol::clock::ClockMap;
use nexus_protocol::event::{
    Cause, Cycle, Operation, OperationResult, PollResult, RefusalReason, SourceKind, Subject,
    TaskOutcome, TimerAction, TransitionReason, TurnMode, Verdict, WaitFor, WaitOutcome,
    WakeOutcome, WokenBy,
};
use nexus_protocol::{
    Direction, Event, Interest, PrimitiveId, Readiness, Record, Seq, TaskId, TimerId, TokenId,
};
use std::net::SocketAddr;
use std::panic::Location;

mod exact;
mod repeats;
mod sums;

const TOKEN: TokenId = TokenId { slot: 7, generation: 3 };
const TASK: TaskId = TaskId(1);

/// A recorder with a small ring and board.
fn recorder() -> Recorder {
    let options = Options { ring_records: 4096, board_rows: 300, ..Options::default() };
    Recorder::new(RuntimeId(1), &options).unwrap()
}

impl Recorder {
    fn recording(&self) -> &Recording {
        self.end.observed.recording.as_ref().unwrap()
    }

    /// Everything recorded so far, with stamps in ticks.
    fn records(&self) -> Vec<Record> {
        let mut out = Vec::new();
        let batch = self.recording().ring.read(0, usize::MAX, &mut out);
        assert!(batch.lost.is_empty(), "the test's ring is too small");
        let records = (0..).zip(out);
        records.map(|(seq, words)| Record::from_words(seq, words, &ClockMap::IDENTITY)).collect()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.records().into_iter().map(|record| record.event).collect()
    }

    fn last_event(&self) -> Event {
        *self.events().last().unwrap()
    }

    pub(crate) fn totals(&self) -> Totals {
        Totals::from_words(&self.recording().board.totals(&self.recording().ring).words)
    }

    fn token_rows(&self) -> Vec<TokenRow> {
        let rows = self.recording().board.tokens.copies();
        rows.filter_map(|row| TokenRow::from_words(&row.words, row.changing, &ClockMap::IDENTITY))
            .collect()
    }

    fn task_rows(&self) -> Vec<TaskRow> {
        let rows = self.recording().board.tasks.copies();
        rows.filter_map(|row| TaskRow::from_words(&row.words, row.changing, &ClockMap::IDENTITY))
            .collect()
    }

    fn task_row(&self) -> TaskRow {
        let rows = self.task_rows();
        assert_eq!(rows.len(), 1);
        rows[0]
    }

    #[track_caller]
    fn claim(&self, token: TokenId) {
        self.token_claimed(token, SourceKind::TcpStream, 9, Location::caller());
    }

    /// A spawned task whose first poll is over.
    #[track_caller]
    fn polled_once(&self, task: TaskId) -> TaskProbe {
        let probe = self.task_spawned(task, Location::caller(), None);
        self.with_cause(Cause::Spawn, || self.wake(&probe, WakeOutcome::Queued));
        self.poll(&probe, || {});
        probe
    }

    /// A poll that returns pending.
    fn poll(&self, probe: &TaskProbe, body: impl FnOnce()) {
        self.poll_start(probe);
        body();
        self.poll_end(probe, PollResult::Pending);
    }

    /// A kernel event for `token` that wakes a task.
    fn io_wake(&self, probe: &TaskProbe, token: TokenId) -> Option<Seq> {
        let (before, after) = (Readiness::EMPTY, Readiness::READABLE);
        let event = self.transition(token, before, after, TransitionReason::Event, 1);
        let cause = Cause::Io { token, direction: Direction::Readable, event };
        self.with_cause(cause, || self.wake(probe, WakeOutcome::Queued));
        event
    }

    fn read(&self, result: OperationResult) {
        self.operation(Operation::Read, Subject::Token(TOKEN), result);
    }

    /// The verdict on the last poll.
    fn verdict(&self) -> Verdict {
        match self.last_event() {
            Event::PollEnd { verdict, .. } => verdict,
            other => panic!("the last record is {other:?}"),
        }
    }
}

#[test]
fn a_chain_from_kernel_event_to_operation_is_linked_by_number() {
    let recorder = recorder();
    recorder.enter();
    let probe = recorder.polled_once(TASK);
    recorder.claim(TOKEN);
    recorder.turn_begin(TurnMode::Park);
    recorder.turn_end(1, false);
    let event = recorder.io_wake(&probe, TOKEN);
    recorder.poll(&probe, || recorder.read(OperationResult::Done(64)));

    let records = recorder.records();
    let chain = &records[records.len() - 5..];
    let first = chain[0].seq;
    assert_eq!(event, Some(first));
    let cause = Cause::Io { token: TOKEN, direction: Direction::Readable, event };
    assert_eq!(chain[1].event, Event::Wake { task: TASK, cause, outcome: WakeOutcome::Queued });
    assert_eq!(chain[2].event, Event::PollStart { task: TASK, number: 2, wake: Some(first + 1) });
    let operation = Event::Operation {
        operation: Operation::Read,
        subject: Subject::Token(TOKEN),
        result: OperationResult::Done(64),
        task: Some(TASK),
        poll: Some(first + 2),
    };
    assert_eq!(chain[3].event, operation);
    let end = Event::PollEnd {
        task: TASK,
        started: chain[2].at,
        result: PollResult::Pending,
        verdict: Verdict::Progress,
        operations: 1,
        progress: 1,
    };
    assert_eq!(chain[4].event, end);
    assert!(records.is_sorted_by_key(|record| record.at));
    assert_eq!(chain[0].at, chain[1].at, "wakes by the driver share the turn's stamp");
}

#[test]
fn what_a_poll_puts_off_is_made_good_at_its_end_or_by_the_next_other_record() {
    let recorder = recorder();
    let probe = recorder.polled_once(TASK);
    let stands_at = || recorder.totals().recorded;
    let counters = || (recorder.task_row().counters.polls, recorder.task_row().counters.wakes);
    let before = (stands_at(), counters(), recorder.task_row().next_seq);
    recorder.poll(&probe, || {
        recorder.wake(&probe, WakeOutcome::Queued);
        let now = (stands_at(), counters(), recorder.task_row().next_seq);
        assert_eq!(now, before, "the board stands where the poll began");
        assert_eq!(recorder.records().len() as u64, before.0 + 2);
    });
    let (polls, wakes) = before.1;
    assert_eq!((stands_at(), counters()), (before.0 + 3, (polls + 1, wakes + 1)));
    recorder.poll(&probe, || {
        recorder.wake(&probe, WakeOutcome::Queued);
        recorder.wake(&probe, WakeOutcome::Redundant);
        assert_eq!((stands_at(), counters()), (before.0 + 6, (polls + 2, wakes + 2)));
        assert_eq!(recorder.task_row().state, TaskState::Polling);
        assert_eq!(recorder.task_row().next_seq, stands_at());
    });
    assert_eq!(recorder.totals().wakes, recorder.task_row().counters.wakes);
    assert_eq!(recorder.totals().polls, polls + 2);
}

#[test]
fn the_cause_of_a_wake_is_what_was_announced_or_the_poll_under_way() {
    let recorder = recorder();
    let (one, two) = (recorder.polled_once(TASK), recorder.polled_once(TaskId(2)));
    let cause = || match recorder.last_event() {
        Event::Wake { cause, .. } => cause,
        other => panic!("the last record is {other:?}"),
    };
    recorder.wake(&one, WakeOutcome::Queued);
    assert_eq!(cause(), Cause::Outside);
    recorder.poll(&one, || {
        recorder.wake(&one, WakeOutcome::Queued);
        assert_eq!(cause(), Cause::SelfWake);
        recorder.wake(&two, WakeOutcome::Redundant);
        assert_eq!(cause(), Cause::Task { task: TASK });
        recorder.with_cause(Cause::Yield, || {
            recorder.with_cause(Cause::Shutdown, || recorder.wake(&two, WakeOutcome::Redundant));
            assert_eq!(cause(), Cause::Shutdown);
            recorder.wake(&one, WakeOutcome::Redundant);
            assert_eq!(cause(), Cause::Yield);
        });
        recorder.wake(&one, WakeOutcome::Redundant);
        assert_eq!(cause(), Cause::SelfWake, "the announcement is over");
    });
    let by_another_thread = |through| {
        let noted = Noted { woken: Stamp(u64::MAX), thread: 4711, through };
        recorder.wake_remote(&two, noted, WakeOutcome::Queued);
        (cause(), recorder.records().last().unwrap().at)
    };
    let (told, at) = by_another_thread(None);
    let thread = Cause::Thread { thread: 4711, woken: at };
    assert_eq!(told, thread, "not woken after it was noticed");
    let primitive = PrimitiveId(7);
    let (told, woken) = by_another_thread(Some(Through::Primitive(primitive)));
    let by = WokenBy::Thread { thread: 4711, woken };
    assert_eq!(told, Cause::Primitive { primitive, by });
    assert_eq!(by_another_thread(Some(Through::Shutdown)).0, Cause::Shutdown);
}

#[test]
fn a_wake_through_a_primitive_names_it_and_who_used_it() {
    let recorder = recorder();
    let (one, two) = (recorder.polled_once(TASK), recorder.polled_once(TaskId(2)));
    let primitive = PrimitiveId(7);
    let through = Through::Primitive(primitive);
    let cause = || match recorder.last_event() {
        Event::Wake { cause, .. } => cause,
        other => panic!("{other:?}"),
    };
    recorder.with_through(through, || recorder.wake(&two, WakeOutcome::Queued));
    assert_eq!(cause(), Cause::Primitive { primitive, by: WokenBy::Outside });
    recorder.poll(&one, || {
        let by = WokenBy::Task(TASK);
        recorder.with_through(through, || recorder.wake(&two, WakeOutcome::Redundant));
        assert_eq!(cause(), Cause::Primitive { primitive, by });
        recorder.with_through(through, || recorder.wake(&one, WakeOutcome::Redundant));
        assert_eq!(cause(), Cause::Primitive { primitive, by });
        recorder.with_through(Through::Shutdown, || recorder.wake(&two, WakeOutcome::Redundant));
        assert_eq!(cause(), Cause::Shutdown);
    });
    recorder.poll(&two, || {});
    let Event::PollEnd { verdict, .. } = recorder.last_event() else { panic!("a poll has ended") };
    assert_eq!(verdict, Verdict::Spurious, "ours to judge");
}

#[test]
fn an_announced_cause_does_not_outlive_a_panic() {
    let recorder = recorder();
    let probe = recorder.polled_once(TASK);
    let body = std::panic::AssertUnwindSafe(|| recorder.with_cause(Cause::Yield, || panic!("x")));
    std::panic::catch_unwind(body).unwrap_err();
    recorder.wake(&probe, WakeOutcome::Queued);
    assert!(matches!(recorder.last_event(), Event::Wake { cause: Cause::Outside, .. }));
}

#[test]
fn a_fruitless_poll_is_charged_to_task_totals_and_the_token_that_queued_it() {
    let recorder = recorder();
    let probe = recorder.polled_once(TASK);
    recorder.claim(TOKEN);
    recorder.io_wake(&probe, TOKEN);
    recorder.poll(&probe, || recorder.read(OperationResult::WouldBlock));
    assert_eq!(recorder.verdict(), Verdict::Spurious);
    assert_eq!(recorder.task_row().counters.spurious, 1);
    assert_eq!(recorder.task_row().counters.wasted, recorder.totals().wasted);
    assert_eq!(recorder.totals().spurious, 1);
    let row = recorder.token_rows()[0];
    assert_eq!((row.counters.spurious, row.counters.would_block), (1, 1));
    assert_eq!(row.next_seq, recorder.totals().recorded, "the end of the poll is in the row");
}

#[test]
fn a_redundant_foreign_wake_takes_the_judgement_away() {
    let recorder = recorder();
    let probe = recorder.polled_once(TASK);
    recorder.claim(TOKEN);
    recorder.io_wake(&probe, TOKEN);
    recorder.redundant_remote(&probe, 3);
    recorder.poll(&probe, || {});
    assert_eq!(recorder.verdict(), Verdict::Unattributed);
    let counters = recorder.task_row().counters;
    assert_eq!((counters.unattributed, counters.spurious, counters.redundant), (1, 0, 3));
    let totals = recorder.totals();
    assert_eq!((totals.redundant, totals.remote), (3, 3));
    recorder.io_wake(&probe, TOKEN);
    recorder.poll(&probe, || {});
    assert_eq!(recorder.verdict(), Verdict::Spurious, "that wake was answered by the poll before");
}

#[test]
fn self_wakes_are_spurious_from_the_second_in_a_row() {
    let recorder = recorder();
    let probe = recorder.polled_once(TASK);
    let wake = || recorder.wake(&probe, WakeOutcome::Queued);
    recorder.with_cause(Cause::Yield, wake);
    let mut verdicts = Vec::new();
    let mut poll = |body: &dyn Fn()| {
        recorder.poll(&probe, body);
        verdicts.push(recorder.verdict());
    };
    // With an operation in it, a poll is recorded by itself, and its verdict with it.
    let recorded = || {
        recorder.read(OperationResult::WouldBlock);
        wake();
    };
    poll(&wake);
    poll(&wake);
    poll(&recorded);
    poll(&|| {
        recorder.read(OperationResult::EndOfFile);
        wake();
    });
    poll(&wake);
    poll(&recorded);
    let [excused, spurious, progress] = [Verdict::Excused, Verdict::Spurious, Verdict::Progress];
    assert_eq!(verdicts, [excused, excused, spurious, progress, excused, spurious]);
    assert_eq!(recorder.task_row().counters.self_wakes, 6);
}

#[test]
fn a_poll_starts_when_the_one_before_ended_unless_something_lay_between() {
    let recorder = recorder();
    let (one, two) = (recorder.polled_once(TASK), recorder.polled_once(TaskId(2)));
    recorder.poll(&one, || {});
    recorder.poll(&two, || {});
    let records = recorder.records();
    let [.., end, start, _] = &records[..] else { panic!() };
    assert_eq!(end.at, start.at);
    let reads_again = |between: &dyn Fn()| {
        // The clock ticks between two reads, but how soon is the machine's business.
        (0..1_000_000).any(|_| {
            let before = recorder.live().unwrap().last();
            between();
            recorder.poll_start(&one);
            let start = recorder.live().unwrap().poll.started.get();
            recorder.poll_end(&one, PollResult::Pending);
            start > before
        })
    };
    assert!(reads_again(&|| recorder.release_refused(TOKEN, RefusalReason::Stale)));
}

#[test]
fn task_rows_show_what_a_task_does() {
    let recorder = recorder();
    let probe = recorder.task_spawned(TASK, Location::caller(), Some("feed"));
    let row = recorder.task_row();
    let strings = strings::Strings::of_process();
    assert_eq!(strings.get(row.name.0 as usize), Some("feed"));
    assert!(strings.get(row.location.0 as usize).unwrap().contains("tests.rs:"));
    assert_eq!((row.task, row.state), (TASK, TaskState::Idle));
    recorder.with_cause(Cause::Spawn, || recorder.wake(&probe, WakeOutcome::Queued));
    let row = recorder.task_row();
    assert_eq!((row.state, row.last_wake_cause), (TaskState::Queued, Cause::Spawn.code()));
    let activity = || recorder.recording().board.activity().0;
    recorder.poll(&probe, || {
        assert_eq!(activity(), nexus_protocol::board::Activity::Polling(TASK));
        recorder.read(OperationResult::NotReady);
        assert_eq!(recorder.task_row().state, TaskState::Polling);
        recorder.wake(&probe, WakeOutcome::Queued);
        assert_eq!(recorder.task_row().state, TaskState::Polling, "until the poll is over");
    });
    recorder.polled();
    assert_eq!(activity(), nexus_protocol::board::Activity::Turning);
    assert_eq!(recorder.task_row().state, TaskState::Queued);
    recorder.poll_start(&probe);
    recorder.poll_end(&probe, PollResult::Ready);
    recorder.task_finished(&probe, TaskOutcome::Completed);
    assert!(recorder.task_rows().is_empty());
    recorder.wake(&probe, WakeOutcome::Dead);
    let next = recorder.task_spawned(TaskId(2), Location::caller(), None);
    recorder.wake(&probe, WakeOutcome::Dead);
    let row = recorder.task_row();
    assert_eq!((row.task, row.last_wake_cause), (TaskId(2), 0), "a reused row is the new task's");
    assert_eq!((recorder.totals().dead, recorder.totals().tasks()), (2, 1));
    recorder.task_finished(&next, TaskOutcome::Dropped);
}

#[test]
fn waits_are_counted_on_both_sides_until_they_end() {
    let recorder = recorder();
    let probe = recorder.polled_once(TASK);
    recorder.claim(TOKEN);
    let readable = WaitFor::Token(TOKEN, Direction::Readable);
    let timer = WaitFor::Timer(TimerId(5));
    recorder.poll_start(&probe);
    let (first, second) = (recorder.wait_begin(readable), recorder.wait_begin(timer));
    recorder.poll_end(&probe, PollResult::Pending);
    let row = recorder.task_row();
    assert_eq!((row.waits, row.waiting_for), (2, Some(timer)));
    assert_eq!(recorder.token_rows()[0].waiters_readable, 1);
    recorder.wait_end(first, readable, WaitOutcome::Done);
    assert_eq!(recorder.task_row().waiting_for, Some(timer), "the other one still sleeps");
    recorder.task_finished(&probe, TaskOutcome::Aborted);
    let other = recorder.polled_once(TaskId(2));
    recorder.poll(&other, || _ = recorder.wait_begin(readable));
    recorder.wait_end(second, timer, WaitOutcome::Dropped);
    let row = recorder.task_row();
    assert_eq!((row.task, row.waits), (TaskId(2), 1), "a late end is not the new task's");
    assert_eq!(row.waiting_for, Some(readable));
    let token = recorder.token_rows()[0];
    assert_eq!((token.waiters_readable, token.waiters_writable), (1, 0));
}

#[test]
fn token_rows_show_what_a_token_is() {
    let recorder = recorder();
    let probe = recorder.polled_once(TASK);
    recorder.freelist_grown(8);
    recorder.poll(&probe, || recorder.claim(TOKEN));
    recorder.token_registered(TOKEN, Interest::EMPTY, Interest::READABLE, 0);
    recorder.token_registered(TOKEN, Interest::READABLE, Interest::WRITABLE, 12);
    let (local, peer): (SocketAddr, SocketAddr) =
        ("127.0.0.1:9000".parse().unwrap(), "[::1]:7".parse().unwrap());
    recorder.token_addresses(TOKEN, Some(local.into()), Some(peer.into()));
    let closed = Readiness::READABLE | Readiness::READ_CLOSED;
    recorder.transition(TOKEN, Readiness::EMPTY, closed, TransitionReason::Event, 0);
    let row = recorder.token_rows()[0];
    assert_eq!((row.token, row.fd, row.kind), (TOKEN, 9, SourceKind::TcpStream));
    assert_eq!((row.interest, row.readiness), (Interest::READABLE, closed));
    assert_eq!(row.local, Some(nexus_protocol::event::Address::Inet(local)));
    assert_eq!(row.peer, Some(nexus_protocol::event::Address::Inet(peer)));
    assert_eq!(row.owner, Some(TASK));
    assert!(!row.claimed.is_never() && !row.read_closed.is_never());
    recorder.stale_event(TokenId { generation: 2, ..TOKEN }, 3, Readiness::READABLE);
    assert_eq!(recorder.token_rows()[0].counters.stale, 1);
    recorder.token_released(TOKEN, 0);
    assert!(recorder.token_rows().is_empty());
    recorder.io_wake(&probe, TOKEN);
    let totals = recorder.totals();
    assert_eq!((totals.live, totals.high_water, totals.capacity, totals.growths), (0, 1, 8, 0));
    recorder.claim(TokenId { generation: 4, ..TOKEN });
    let row = recorder.token_rows()[0];
    assert_eq!((row.counters, row.local), (Default::default(), None), "nothing of its predecessor");
}

#[test]
fn what_lies_beyond_the_board_is_counted() {
    let options = Options { ring_records: 64, board_rows: 1, ..Options::default() };
    let recorder = Recorder::new(RuntimeId(1), &options).unwrap();
    let beyond = TokenId { slot: 1, generation: 1 };
    recorder.claim(beyond);
    let probes = [TASK, TaskId(2)].map(|task| recorder.polled_once(task));
    let totals = recorder.totals();
    assert_eq!((totals.tokens_without_row, totals.tasks_without_row), (1, 1));
    recorder.io_wake(&probes[1], beyond);
    recorder.poll(&probes[1], || _ = recorder.wait_begin(WaitFor::Timer(TimerId(1))));
    assert_eq!(recorder.verdict(), Verdict::Spurious);
    assert_eq!((recorder.task_row().task, recorder.task_row().counters.polls), (TASK, 1));
    recorder.token_released(beyond, 0);
    probes.iter().for_each(|probe| recorder.task_finished(probe, TaskOutcome::Completed));
    let totals = recorder.totals();
    assert_eq!((totals.tokens_without_row, totals.tasks_without_row), (0, 0));
    recorder.polled_once(TaskId(3));
    assert_eq!(recorder.task_row().task, TaskId(3), "the row is free again");
}

#[test]
fn a_recorder_that_is_off_records_nothing_and_says_so() {
    let recorder =
        Recorder::new(RuntimeId(1), &Options { enabled: false, ..Options::default() }).unwrap();
    let probe = recorder.polled_once(TASK);
    recorder.claim(TOKEN);
    assert_eq!(recorder.io_wake(&probe, TOKEN), None);
    assert_eq!(recorder.timer(TimerId(1), TimerAction::Armed, 1), None);
    let wait = recorder.wait_begin(WaitFor::Timer(TimerId(1)));
    recorder.wait_end(wait, WaitFor::Timer(TimerId(1)), WaitOutcome::Done);
    assert!(recorder.end.observed.recording.is_none());
    assert_eq!(recorder.remote().now(), Stamp::NEVER);
    assert!(is_off(Some("off".as_ref())) && is_off(Some("OFF".as_ref())));
    assert!(!is_off(None) && !is_off(Some("".as_ref())) && !is_off(Some("on".as_ref())));
}

#[test]
fn other_threads_can_stamp_and_count() {
    fn shared<T: Send + Sync>(_: &T) {}
    let recorder = recorder();
    let remote = recorder.remote();
    shared(&remote);
    std::thread::spawn(move || {
        assert!(!remote.now().is_never());
        remote.count_dead();
    })
    .join()
    .unwrap();
    assert_eq!((recorder.totals().dead, recorder.totals().remote), (1, 1));
}

#[test]
fn a_dropped_runtime_is_marked_as_ended() {
    let recorder = recorder();
    let observed = Arc::clone(&recorder.end.observed);
    assert!(!observed.has_ended());
    drop(recorder);
    assert!(observed.ended() >= observed.started);
}
