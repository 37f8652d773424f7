//! `busy-turns`: turns that found nothing to do.

use crate::analysis::engine::Turn;
use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::Kind;
use crate::analysis::subject::Subject;
use crate::analysis::tally::{Sample, Tally};
use crate::text;
use nexus_protocol::event::TurnMode;

/// Of all turns, the part in a hundred from which on it is worth telling: a wake from another thread that comes while
/// the loop is at work may cost a turn now and then.
const SHARE: u64 = 10;

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct BusyTurns {
    /// Whether stale events were all that the turn brought.
    tally: Tally<bool>,
    turns: u64,
}

impl BusyTurns {
    pub(super) fn first(&mut self) {
        self.turns += 1;
    }

    pub(super) fn turned(&mut self, before: &Turn, turn: &Turn) {
        let turned = turn.number.saturating_sub(before.number).max(1);
        self.turns = self.turns.saturating_add(turned);
        let slept_for_nothing = before.mode == TurnMode::Park
            && (before.events == 0 || before.stale)
            && !before.something
            && turn.number == before.number.wrapping_add(1);
        if slept_for_nothing {
            let wasted_ns = turn.parked.since(before.at);
            let sample = Sample { count: 1, wasted_ns, at: before.at, seq: before.seq };
            self.tally.add(Subject::Loop, before.stale, None, sample);
        }
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let entries = self.tally.entries().into_iter();
        entries
            .filter(|(_, _, entry)| {
                entry.count >= scene.thresholds.min_count
                    && entry.count.saturating_mul(100) / SHARE >= self.turns
            })
            .map(|(group, stale, entry)| {
                let mut finding = scene.finding(Kind::BusyTurns, group, entry);
                let nothing = if stale { "nothing but stale events" } else { "nothing at all" };
                let explanation = format!(
                    "the loop was woken {} times of {} for {nothing}",
                    text::count(entry.count),
                    text::count(self.turns)
                );
                finding = finding.because(explanation);
                finding.of_stale_events = stale;
                finding
            })
            .collect()
    }
}
