//! `needless-interest`: a token subscribed to a direction that its owner never uses.
//!
//! Judged by place of claim: if one token of a place uses a direction, the others may yet.

use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::Kind;
use crate::analysis::subject::{Group, Subject};
use crate::analysis::tally::{Sample, Tally};
use crate::analysis::world::{Token, side};
use crate::text;
use nexus_protocol::Direction;
use std::collections::HashSet;

/// Places that are remembered for using a direction.
const MAX_USED: usize = 65_536;

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct NeedlessInterest {
    /// Of released tokens.
    tally: Tally<Direction>,
    /// Places that use a direction, known from released tokens.
    used: HashSet<(Group, Direction)>,
}

impl NeedlessInterest {
    /// A token is released.
    pub(in crate::analysis) fn released(&mut self, token: &Token) {
        count(token, &mut self.tally, &mut self.used);
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let (mut tally, mut used) = (self.tally.clone(), self.used.clone());
        for token in scene.world.tokens_in_order() {
            count(token, &mut tally, &mut used);
        }
        let entries = tally.entries().into_iter();
        entries
            .filter(|&(group, direction, entry)| {
                entry.count >= scene.thresholds.min_count && !used.contains(&(group, direction))
            })
            .map(|(group, direction, entry)| {
                let finding = scene.finding(Kind::NeedlessInterest, group, entry);
                let (never, instead) = match direction {
                    Direction::Readable => ("reads", "writable"),
                    Direction::Writable => ("writes", "readable"),
                };
                let explanation = format!(
                    "{} is registered for {direction}, and nobody ever {never}: {} events of the kernel for nothing",
                    finding.about,
                    text::count(entry.count)
                );
                let mut finding = finding.because(explanation);
                finding.remedy = format!("Register for {instead} only. {}", Kind::NeedlessInterest.remedy());
                finding
            })
            .collect()
    }
}

fn count(token: &Token, tally: &mut Tally<Direction>, used: &mut HashSet<(Group, Direction)>) {
    let subject = Subject::Token(token.facts);
    for direction in Direction::BOTH {
        let at_side = side(direction);
        if token.used[at_side] {
            if used.len() < MAX_USED {
                used.insert((subject.group(), direction));
            }
        } else if token.lone_events[at_side] > 0 && token.interest.contains(direction.into()) {
            let (count, seq) = (token.lone_events[at_side], token.last_lone[at_side]);
            let sample = Sample { count, wasted_ns: 0, at: token.last_active, seq };
            tally.add(subject, direction, None, sample);
        }
    }
}
