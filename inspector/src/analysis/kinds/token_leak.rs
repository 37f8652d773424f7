//! `token-leak`: live tokens that only grow in number, or that were claimed and are used by nobody.
//!
//! An idle keep-alive is clean: somebody waits for it.

use crate::analysis::finding::{Finding, Scene};
use crate::analysis::kind::{Kind, Severity};
use crate::analysis::subject::{Group, Subject};
use crate::analysis::tally::{Sample, Tally};
use crate::analysis::world::Token;
use crate::text;
use std::collections::HashMap;

/// Places whose releases are counted.
const MAX_GROUPS: usize = 4_096;

#[derive(Clone, Debug, Default)]
pub(in crate::analysis) struct TokenLeak {
    released: HashMap<Group, u64>,
}

impl TokenLeak {
    /// A token is released.
    pub(in crate::analysis) fn released(&mut self, token: &Token) {
        let group = Subject::Token(token.facts).group();
        if self.released.len() < MAX_GROUPS || self.released.contains_key(&group) {
            *self.released.entry(group).or_default() += 1;
        }
    }

    pub(super) fn findings(&self, scene: Scene<'_>) -> Vec<Finding> {
        let mut tally = Tally::default();
        for token in scene.world.tokens_in_order() {
            let idle = scene.now.since(token.last_active.max(token.claimed));
            if token.waiters > 0 || idle < scene.thresholds.idle_token_ns {
                continue;
            }
            let never_used = token.used == [false; 2] && !token.waited_for;
            let sample =
                Sample { count: 1, wasted_ns: idle, at: token.claimed, seq: token.claimed_seq };
            tally.add(Subject::Token(token.facts), never_used, None, sample);
        }
        let entries = tally.entries().into_iter();
        entries
            .filter(|(group, never_used, entry)| {
                let released = self.released.get(group).copied().unwrap_or(0);
                let only_grow = released * 10 <= entry.count;
                only_grow && (*never_used || entry.count >= scene.thresholds.leak_count)
            })
            .map(|(group, never_used, entry)| {
                let mut finding = scene.finding(Kind::TokenLeak, group, entry);
                finding.wasted_ns = 0;
                let (count, longest) = (text::count(entry.count), text::duration_ns(entry.longest_ns));
                let explanation = if never_used {
                    format!(
                        "{} was claimed and never used, nor waited for: {count} such tokens of this place, for up to \
                         {longest}",
                        finding.about
                    )
                } else {
                    format!(
                        "{} and others claimed at the same place are kept, but nobody uses them or waits for them: \
                         {count} tokens, idle for up to {longest}",
                        finding.about
                    )
                };
                finding.because(explanation).with_severity(Severity::Warning)
            })
            .collect()
    }
}
