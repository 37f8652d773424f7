//! Gaps, junk, and too much of everything.

use super::*;
use crate::model::testing;
use std::collections::BTreeSet;

#[test]
fn what_lies_around_a_gap_is_not_judged_and_that_is_said() {
    let (mut tape, task, token) = reader(Interest::READABLE);
    for _ in 0..50 {
        read_well(&mut tape, task, token);
        tape.ready(token, Readiness::READABLE);
        tape.poll(task, PollResult::Pending, |tape| {
            tape.operate(Operation::Read, token, OperationResult::WouldBlock);
            tape.consume(token, Readiness::READABLE);
        });
    }
    let whole = only(&tape, Kind::FalseReadiness).count;
    // Every cut, wherever it falls: never more than there is, never another kind.
    for cut in (20..tape.records().len()).step_by(7) {
        let mut analysis = Analysis::new(Thresholds::default());
        analysis.apply(&strings());
        let (before, after) = tape.records().split_at(cut);
        let (from, to) = (cut as u64, cut as u64 + 5);
        let frame = |records: &[_], next_seq| ServerFrame::Events {
            runtime: RUNTIME,
            records: records.to_vec(),
            next_seq,
            filtered: 0,
        };
        analysis.apply(&frame(before, from));
        analysis.apply(&ServerFrame::Loss { runtime: RUNTIME, from, to });
        if after.len() > 5 {
            analysis.apply(&frame(&after[5..], tape.next_seq()));
        }
        let report = analysis.report();
        let found = all(&report);
        assert!(found.iter().all(|found| found.kind == Kind::FalseReadiness), "{cut}: {found:?}");
        let counted = found.iter().map(|found| found.count).sum::<u64>();
        assert!(counted <= whole && counted + 3 >= whole, "{cut}: {counted} of {whole}");
        assert!(report.runtimes[0].not_judged[0].contains("5 records were lost"));
        assert!(!report.is_complete());
    }
}

#[test]
fn a_recording_with_a_gap_tells_its_sins_cut_anywhere() {
    let frames = testing::trace();
    for cut in [0, 1, 2, 5, 10] {
        let mut analysis = Analysis::new(Thresholds::default());
        for frame in frames.iter().skip(cut) {
            analysis.apply(frame);
        }
        let report = analysis.report();
        let found: BTreeSet<Kind> = report.findings().map(|(_, finding)| finding.kind).collect();
        // Without the first snapshot, nothing is known of a token's interest.
        let interest = (cut < 5).then_some(Kind::NeedlessInterest);
        let sins = [Kind::SelfWake, Kind::WrongDirection, Kind::StaleEvents, Kind::TokenLeak];
        assert_eq!(found, sins.into_iter().chain(interest).collect(), "{cut}");
        assert!(report.runtimes[0].not_judged[0].contains("150 records were lost"));
    }
}

#[test]
fn nothing_at_all_is_not_complete() {
    let report = Analysis::new(Thresholds::default()).report();
    assert!(!report.is_complete());
    assert_eq!(all(&report), []);
}
