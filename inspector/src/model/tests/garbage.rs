//! Whatever a process sends, the model neither panics nor grows beyond its limits, and the analysis does not panic.

use super::model_within;
use crate::analysis::{Analysis, Thresholds};
use crate::model::{GroupBy, Limits};
use nexus_protocol::board::{Activity, Snapshot, TaskRow, TokenRow, Totals};
use nexus_protocol::clock::ClockMap;
use nexus_protocol::event::Subject;
use nexus_protocol::frame::ServerFrame;
use nexus_protocol::{Record, RuntimeId, Stamp};
use proptest::prelude::*;

/// Numbers that collide, and numbers at the ends.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0u64..12, 1 => any::<u64>(), 1 => Just(u64::MAX), 1 => 0u64..(1 << 34)]
}

/// Any event there is: a record's words, with a kind that is known more often than not.
fn record() -> impl Strategy<Value = Record> {
    let codes = (0u8..6, 0u8..4, 0u8..4).prop_map(|(a, b, c)| [a, b, c]);
    (number(), number(), number(), number(), 0u8..24, codes, number()).prop_map(
        |(seq, at, x, y, kind, [a, b, c], d)| {
            let head = u64::from(kind) | u64::from(a) << 8 | u64::from(b) << 16;
            let head = head | u64::from(c) << 24 | d << 32;
            Record::from_words(seq, [head, at, x, y], &ClockMap::IDENTITY)
        },
    )
}

/// Records as a batch may hold them: their numbers ascend, more or less.
fn batch() -> impl Strategy<Value = ServerFrame> {
    let records = prop::collection::vec(record(), 0..60);
    (records, number(), number(), number(), any::<bool>()).prop_map(
        |(mut records, next_seq, filtered, first, ascending)| {
            if ascending {
                for (index, record) in records.iter_mut().enumerate() {
                    record.seq = first.saturating_add(index as u64);
                }
            }
            ServerFrame::Events { runtime: RuntimeId(1), records, next_seq, filtered }
        },
    )
}

fn words<const N: usize>() -> impl Strategy<Value = [u64; N]> {
    prop::collection::vec(number(), N).prop_map(|words| words.try_into().expect("N words"))
}

fn token_row() -> impl Strategy<Value = Option<TokenRow>> {
    use nexus_protocol::board::token_word as at;
    (words::<{ at::COUNT }>(), any::<bool>()).prop_map(|(mut words, changing)| {
        words[at::STATE] |= at::LIVE;
        TokenRow::from_words(&words, changing, &ClockMap::IDENTITY)
    })
}

fn task_row() -> impl Strategy<Value = Option<TaskRow>> {
    use nexus_protocol::board::task_word as at;
    (words::<{ at::COUNT }>(), any::<bool>(), 1u64..5).prop_map(|(mut words, changing, state)| {
        words[at::STATE] = words[at::STATE] & !0xFF | state;
        TaskRow::from_words(&words, changing, &ClockMap::IDENTITY)
    })
}

fn snapshot() -> impl Strategy<Value = ServerFrame> {
    use nexus_protocol::board::total_word as at;
    let tokens = prop::collection::vec(token_row(), 0..8);
    let tasks = prop::collection::vec(task_row(), 0..8);
    (words::<{ at::COUNT }>(), tokens, tasks, number(), number(), 0u64..4).prop_map(
        |(totals, tokens, tasks, taken, since, activity)| {
            ServerFrame::Snapshot(Box::new(Snapshot {
                runtime: RuntimeId(1),
                taken: Stamp(taken),
                activity: Activity::from_words(activity, since),
                since: Stamp(since),
                totals: Totals::from_words(&totals),
                tokens: tokens.into_iter().flatten().collect(),
                tasks: tasks.into_iter().flatten().collect(),
            }))
        },
    )
}

fn frame() -> impl Strategy<Value = ServerFrame> {
    let loss = (number(), number()).prop_map(|(from, to)| ServerFrame::Loss {
        runtime: RuntimeId(1),
        from,
        to,
    });
    prop_oneof![4 => batch(), 2 => snapshot(), 1 => loss]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_sent_breaks_the_model(
        frames in prop::collection::vec(frame(), 1..16),
        moments in (number(), number()),
    ) {
        let mut analysis = Analysis::new(Thresholds::default());
        for frame in &frames {
            analysis.apply(frame);
            let _ = analysis.report();
        }
        let few = Limits { records: 50, rows: 4, finished: 2, losses: 2, occupancy: 4, checkpoint_rows: 20 };
        for limits in [Limits::default(), few] {
            let model = model_within(limits, frames.clone());
            for runtime in model.runtimes() {
                let (from, to) = (Stamp(moments.0), Stamp(moments.1));
                let view = runtime.view();
                let _ = (runtime.view_at(from), runtime.view_at(to));
                let _ = (view.token_groups(GroupBy::Owner), view.freelist());
                let _ = (runtime.parked(from, to, 7), runtime.occupancy(from, to, 7));
                for task in runtime.tasks_between(Stamp::NEVER, runtime.now()) {
                    let _ = (runtime.lane(task, from, to, 5), runtime.polls(task, from, to, 9));
                    let _ = (runtime.wakes(task, from, to, 9), runtime.waits(task, from, to, 9));
                    let _ = runtime.recent(Subject::Task(task), to, 3);
                }
                for record in runtime.history().after(0) {
                    let _ = runtime.explain(record.seq);
                }
                prop_assert!(runtime.history().len() <= limits.records);
                prop_assert!(view.tokens.len() <= limits.rows && view.tasks.len() <= limits.rows);
            }
        }
    }
}
