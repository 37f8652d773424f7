//! Telling causes from symptoms: a finding that another one explains is listed beneath it, with its share.

use super::finding::Finding;
use super::kind::Kind;
use std::cmp::Reverse;

/// Moves what others explain beneath them.
pub(super) fn arrange(findings: Vec<Finding>) -> Vec<Finding> {
    let totals: Vec<(Kind, u64)> = Kind::ALL
        .iter()
        .map(|&kind| {
            let same = findings.iter().filter(|finding| finding.kind == kind);
            (kind, same.fold(0, |sum: u64, finding| sum.saturating_add(finding.count)))
        })
        .collect();
    let total = |kind: Kind| totals.iter().find(|total| total.0 == kind).map_or(0, |total| total.1);
    let (mut causes, symptoms): (Vec<Finding>, Vec<Finding>) =
        findings.into_iter().partition(|finding| !is_symptom_of_any(finding));
    for mut symptom in symptoms {
        match causes.iter_mut().find(|cause| explains(cause, &symptom)) {
            Some(cause) => {
                let all = total(symptom.kind).max(1);
                symptom.share = Some(symptom.count as f64 / all as f64);
                cause.symptoms.push(symptom);
            }
            // What one poll delays is that poll's fault; if it is not worth telling, neither is the delay.
            None if symptom.caused_by.is_some() => {}
            None => causes.push(symptom),
        }
    }
    for cause in &mut causes {
        cause.symptoms.sort_by_key(|symptom| Reverse(symptom.count));
    }
    causes
}

/// Whether a finding can be a symptom at all. No symptom explains another.
fn is_symptom_of_any(finding: &Finding) -> bool {
    finding.caused_by.is_some()
        || finding.of_stale_events
        || matches!(finding.kind, Kind::WrongDirection | Kind::LostWake | Kind::UntouchedSource)
}

fn explains(cause: &Finding, symptom: &Finding) -> bool {
    match cause.kind {
        Kind::BlockedPoll => symptom.caused_by == Some(cause.group),
        Kind::StaleEvents => symptom.of_stale_events,
        // A direction that nobody uses wakes whoever waits for the token.
        Kind::NeedlessInterest => {
            let woken = matches!(symptom.kind, Kind::WrongDirection | Kind::UntouchedSource);
            woken && symptom.group == cause.group
        }
        _ => false,
    }
}
