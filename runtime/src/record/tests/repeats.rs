//! Polls that do the same are counted, and everything else is recorded as if there were no such counting.

use super::*;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs a test again if it failed and the machine had stolen so much time that a poll may have become a long one, or a window
/// may have ended.
fn undisturbed(test: impl Fn(&Recorder)) {
    for attempt in 0..50 {
        let recorder = recorder();
        let began = recorder.remote().now();
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(&recorder))) else { return };
        if attempt == 49 || recorder.remote().now().since(began) < 1 << 19 {
            resume_unwind(panic);
        }
    }
}

/// A task whose first poll has ended, and has woken it.
#[track_caller]
fn spinning(recorder: &Recorder) -> TaskProbe {
    recorder.enter();
    let probe = recorder.task_spawned(TASK, Location::caller(), None);
    recorder.with_cause(Cause::Spawn, || recorder.wake(&probe, WakeOutcome::Queued));
    cycle(recorder, &probe, 2);
    probe
}

/// Polls that wake their own task.
fn cycle(recorder: &Recorder, probe: &TaskProbe, polls: u32) {
    for _ in 0..polls {
        recorder.poll(probe, || recorder.wake(probe, WakeOutcome::Queued));
    }
}

/// Everything recorded after the first `known` records.
fn news(recorder: &Recorder, known: usize) -> Vec<Record> {
    recorder.records().split_off(known)
}

#[test]
fn a_storm_leaves_one_record_and_all_counts() {
    undisturbed(|recorder| {
        let probe = spinning(recorder);
        let known = recorder.records().len();
        cycle(recorder, &probe, 1_000);
        assert!(news(recorder, known).len() <= 2, "windows that have ended");
        recorder.poll(&probe, || {});
        let records = news(recorder, known);
        let [.., repeats, start, end] = records.as_slice() else { panic!("{records:?}") };
        let Event::Repeats { task, cycle, busy, shortest, longest, first, .. } = repeats.event
        else {
            panic!("{repeats:?}")
        };
        assert_eq!((task, cycle), (TASK, Cycle::SelfWake));
        assert!(shortest <= longest && longest <= busy && busy <= repeats.at.since(first));
        let number = 2 + 1_000 + 1;
        let wake = Some(repeats.seq);
        assert_eq!(start.event, Event::PollStart { task: TASK, number, wake });
        assert_eq!(start.at, repeats.at, "the wait for the poll after them belongs to the repeats");
        let Event::PollEnd { verdict, .. } = end.event else { panic!("{end:?}") };
        assert_eq!(verdict, Verdict::Spurious);

        let counted: u32 = records
            .iter()
            .filter_map(|record| match record.event {
                Event::Repeats { count, .. } => Some(count),
                _ => None,
            })
            .sum();
        assert_eq!(counted, 1_000);
        let row = recorder.task_row();
        assert_eq!((row.counters.polls, row.counters.wakes), (number, number));
        assert_eq!(
            row.counters.spurious,
            1_000 + 1,
            "all but the first, and the second, which is excused"
        );
        assert_eq!(row.state, TaskState::Idle);
    });
}

#[test]
fn a_poll_that_does_something_else_is_told_whole() {
    undisturbed(|recorder| {
        let probe = spinning(recorder);
        cycle(recorder, &probe, 5);
        let known = recorder.records().len();
        let other = recorder.task_spawned(TaskId(2), Location::caller(), None);
        let after_spawn = recorder.records().len();
        recorder.poll(&probe, || {
            recorder.wake(&probe, WakeOutcome::Queued);
            recorder.wake(&other, WakeOutcome::Queued);
        });
        let records = news(recorder, after_spawn);
        let events: Vec<Event> = records.iter().map(|record| record.event).collect();
        let [repeats, start, own, foreign, end] = events.as_slice() else { panic!("{events:?}") };
        assert!(matches!(repeats, Event::Repeats { count: 5, .. }), "{repeats:?}");
        let wake = Some(records[0].seq);
        assert_eq!(*start, Event::PollStart { task: TASK, number: 8, wake });
        let queued = WakeOutcome::Queued;
        assert_eq!(*own, Event::Wake { task: TASK, cause: Cause::SelfWake, outcome: queued });
        let cause = Cause::Task { task: TASK };
        assert_eq!(*foreign, Event::Wake { task: TaskId(2), cause, outcome: queued });
        assert!(matches!(end, Event::PollEnd { verdict: Verdict::Spurious, .. }), "{end:?}");
        assert!(known < after_spawn);
        assert!(records.is_sorted_by_key(|record| record.at));

        // The wake that was recorded late queues the next poll.
        recorder.poll(&probe, || {});
        let start = news(recorder, after_spawn + 5)[0].event;
        assert_eq!(start, Event::PollStart { task: TASK, number: 9, wake: Some(records[2].seq) });
    });
}

#[test]
fn an_operation_names_the_poll_whose_start_it_has_brought_out() {
    undisturbed(|recorder| {
        let probe = spinning(recorder);
        cycle(recorder, &probe, 3);
        recorder.poll(&probe, || recorder.read(OperationResult::Done(8)));
        let records = recorder.records();
        let [.., start, operation, end] = records.as_slice() else { panic!("{records:?}") };
        assert!(matches!(start.event, Event::PollStart { number: 6, .. }));
        let Event::Operation { poll, .. } = operation.event else { panic!("{operation:?}") };
        assert_eq!(poll, Some(start.seq));
        let Event::PollEnd { operations, progress, verdict, .. } = end.event else {
            panic!("{end:?}")
        };
        assert_eq!((operations, progress, verdict), (1, 1, Verdict::Progress));
    });
}

#[test]
fn a_wake_by_someone_else_ends_the_row() {
    undisturbed(|recorder| {
        let probe = spinning(recorder);
        cycle(recorder, &probe, 4);
        let known = recorder.records().len();
        let (before, after) = (Readiness::EMPTY, Readiness::READABLE);
        recorder.claim(TOKEN);
        let event = recorder.transition(TOKEN, before, after, TransitionReason::Event, 1);
        let cause = Cause::Io { token: TOKEN, direction: Direction::Readable, event };
        recorder.with_cause(cause, || recorder.wake(&probe, WakeOutcome::Redundant));
        recorder.poll(&probe, || recorder.wake(&probe, WakeOutcome::Queued));
        let records = news(recorder, known);
        let [_, _, repeats, wake, start, own, end] = records.as_slice() else {
            panic!("{records:?}")
        };
        assert!(matches!(repeats.event, Event::Repeats { count: 4, .. }));
        assert_eq!(wake.event, Event::Wake { task: TASK, cause, outcome: WakeOutcome::Redundant });
        let told = Some(repeats.seq);
        assert_eq!(start.event, Event::PollStart { task: TASK, number: 7, wake: told });
        assert!(matches!(own.event, Event::Wake { cause: Cause::SelfWake, .. }));
        assert!(matches!(end.event, Event::PollEnd { verdict: Verdict::Spurious, .. }));
    });
}

#[test]
fn yields_are_counted_apart_from_self_wakes() {
    undisturbed(|recorder| {
        let probe = spinning(recorder);
        cycle(recorder, &probe, 3);
        let yields = |polls: u32| {
            for _ in 0..polls {
                recorder.poll(&probe, || {
                    recorder
                        .with_cause(Cause::Yield, || recorder.wake(&probe, WakeOutcome::Queued));
                });
            }
        };
        yields(4);
        cycle(recorder, &probe, 1);
        let repeats: Vec<(Cycle, u32)> = recorder
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::Repeats { cycle, count, .. } => Some((cycle, count)),
                _ => None,
            })
            .collect();
        // The poll that changes from the one to the other is recorded by itself.
        assert_eq!(repeats, [(Cycle::SelfWake, 3), (Cycle::Yield, 3)]);
        let counters = recorder.task_row().counters;
        assert_eq!((counters.polls, counters.wakes), (10, 11));
    });
}

#[test]
fn what_is_counted_is_told_when_the_task_ends() {
    undisturbed(|recorder| {
        let probe = spinning(recorder);
        cycle(recorder, &probe, 6);
        recorder.task_finished(&probe, TaskOutcome::Aborted);
        let events = recorder.events();
        let [.., repeats, finished] = events.as_slice() else { panic!("{events:?}") };
        assert!(matches!(repeats, Event::Repeats { count: 6, .. }), "{repeats:?}");
        assert_eq!(*finished, Event::TaskFinished { task: TASK, outcome: TaskOutcome::Aborted });
    });
}

#[test]
fn a_poll_that_is_counted_shows_while_it_lasts() {
    undisturbed(|recorder| {
        let probe = spinning(recorder);
        cycle(recorder, &probe, 2);
        recorder.poll_start(&probe);
        let board = &recorder.recording().board;
        assert_eq!(board.activity().0, nexus_protocol::board::Activity::Polling(TASK));
        let known = recorder.records().len();
        recorder.poll_end(&probe, PollResult::Ready);
        let records = news(recorder, known);
        assert!(matches!(records[0].event, Event::Repeats { count: 2, .. }));
        assert!(matches!(records[2].event, Event::PollEnd { result: PollResult::Ready, .. }));
    });
}

#[test]
fn a_long_poll_is_not_counted_but_recorded() {
    undisturbed(|recorder| {
        let probe = spinning(recorder);
        cycle(recorder, &probe, 2);
        let known = recorder.records().len();
        let began = recorder.remote().now();
        recorder.poll(&probe, || {
            while recorder.remote().now().since(began) < 1 << 20 {
                std::hint::spin_loop();
            }
            recorder.wake(&probe, WakeOutcome::Queued);
        });
        let records = news(recorder, known);
        let Event::PollEnd { started, .. } = records.last().unwrap().event else {
            panic!("{records:?}")
        };
        assert!(records.last().unwrap().at.since(started) >= 1 << 20);
    });
}

#[test]
fn turns_that_find_nothing_are_numbered_only() {
    undisturbed(|recorder| {
        recorder.enter();
        let turn = |events, idle| {
            recorder.turn_begin(TurnMode::Look);
            recorder.turn_end(events, idle);
        };
        turn(0, false);
        (0..10).for_each(|_| turn(0, true));
        turn(2, false);
        let numbers: Vec<(u64, u32)> = recorder
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::Turn { number, events, .. } => Some((number, events)),
                _ => None,
            })
            .collect();
        assert_eq!((numbers.first(), numbers.last()), (Some(&(1, 0)), Some(&(12, 2))));
        assert!(
            numbers.len() <= 3,
            "one more if the machine has stolen a window's time: {numbers:?}"
        );
        assert_eq!(recorder.totals().turns, 12);
    });
}

#[test]
fn every_poll_counts_once_however_many_records_tell_of_them() {
    undisturbed(|recorder| {
        let probe = spinning(recorder);
        let (began, mut polls) = (recorder.remote().now(), 0);
        while recorder.remote().now().since(began) < 3 << 24 {
            cycle(recorder, &probe, 100);
            polls += 100;
        }
        recorder.poll(&probe, || {});
        let told: Vec<u32> = recorder
            .events()
            .into_iter()
            .filter_map(|event| match event {
                Event::Repeats { count, .. } => Some(count),
                _ => None,
            })
            .collect();
        assert!(told.len() >= 3, "one for each window: {told:?}");
        let in_full =
            recorder.events().iter().filter(|e| matches!(e, Event::PollStart { .. })).count();
        assert_eq!(told.iter().sum::<u32>() + in_full as u32, 2 + polls + 1);
        let counters = recorder.task_row().counters;
        assert_eq!(counters.polls, u64::from(2 + polls + 1));
        let Event::PollEnd { .. } = recorder.last_event() else { panic!("a poll has ended") };
        let Some(Event::PollStart { number, .. }) = recorder.events().into_iter().rev().nth(1)
        else {
            panic!("it has begun")
        };
        assert_eq!(number, counters.polls);
    });
}
