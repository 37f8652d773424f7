//! What is wrong with the observed process: every wake explained, and problems named by mechanism.
//!
//! [`Analysis::apply`] takes in the same frames as the model, live or from a trace, in the same order; each record is
//! looked at once. [`Analysis::report`] tells what has been found so far. Causes are followed by the numbers that records
//! name, never guessed from stamps; where records are missing, what depends on them is not judged, and the report says so.
//!
//! ```text
//! frames ─► Engine (one a runtime): World (tokens, tasks, timers), wakes and poll under way
//!              └─► Kinds (one module each): tallies by place in the program ─► Findings ─► causes over symptoms
//! ```
//!
//! Knows no terminal, no clock and no I/O: "now" is the latest stamp it was given. Memory is bounded, whatever the process
//! does.

use crate::model::Strings;
use nexus_protocol::frame::{Process, RuntimeInfo, ServerFrame};
use nexus_protocol::{RuntimeId, Stamp};
use std::collections::BTreeMap;

mod causes;
mod delays;
mod engine;
mod finding;
mod json;
mod kind;
mod kinds;
mod subject;
mod tally;
#[cfg(test)]
mod tests;
mod thresholds;
mod wakes;
mod world;

pub use engine::Seen;
pub use finding::Finding;
pub use json::{Baseline, BaselineError, report as to_json};
pub use kind::{Kind, Severity};
pub use subject::{Subject, TaskFacts, TokenFacts};
pub use thresholds::{Thresholds, Value};

use engine::Engine;

/// Runtimes analysed; of more, nothing is said.
const MAX_RUNTIMES: usize = 256;

/// The analysis of one observed process.
#[derive(Clone, Debug)]
pub struct Analysis {
    thresholds: Thresholds,
    process: Option<Process>,
    strings: Strings,
    infos: BTreeMap<RuntimeId, RuntimeInfo>,
    engines: BTreeMap<RuntimeId, Engine>,
}

/// What was found in one process.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The process, if it has said hello.
    pub process: Option<Process>,
    /// By runtime, in the order of their numbers.
    pub runtimes: Vec<RuntimeReport>,
}

/// What was found in one runtime.
#[derive(Clone, Debug, PartialEq)]
pub struct RuntimeReport {
    /// Its number.
    pub id: RuntimeId,
    /// Its name, or the empty string.
    pub name: String,
    /// How long it was observed, in nanoseconds.
    pub span_ns: u64,
    /// What was seen of it.
    pub seen: Seen,
    /// The worst first.
    pub findings: Vec<Finding>,
    /// What could not be judged, and why, a sentence each.
    pub not_judged: Vec<String>,
}

impl Analysis {
    /// An analysis that has seen nothing yet.
    #[must_use]
    pub fn new(thresholds: Thresholds) -> Self {
        Self {
            thresholds,
            process: None,
            strings: Strings::default(),
            infos: BTreeMap::new(),
            engines: BTreeMap::new(),
        }
    }

    /// Takes in one frame. Costs some tens of nanoseconds a record, and the size of the board for a snapshot.
    pub fn apply(&mut self, frame: &ServerFrame) {
        match frame {
            ServerFrame::Hello { process, runtimes, .. } => {
                self.process = Some(process.clone());
                runtimes.iter().for_each(|info| self.describe(info));
            }
            ServerFrame::Runtime(info) => self.describe(info),
            ServerFrame::Strings { first, strings } => self.strings.insert(*first, strings.clone()),
            ServerFrame::Snapshot(snapshot) => {
                if let Some(engine) = self.engine(snapshot.runtime) {
                    engine.snapshot(snapshot);
                }
            }
            ServerFrame::Events { runtime, records, next_seq, filtered } => {
                if let Some(engine) = self.engine(*runtime) {
                    engine.events(records, *next_seq, *filtered);
                }
            }
            ServerFrame::Loss { runtime, from, to } => {
                if let Some(engine) = self.engine(*runtime) {
                    engine.loss(*from, *to);
                }
            }
            // What was left out is counted with the records.
            ServerFrame::Filter(_) | ServerFrame::Goodbye(_) => {}
        }
    }

    /// Takes in that a runtime's thread was kept waiting for a processor for `waited_ns` between two moments, as the
    /// kernel says. No task is to blame for that time.
    pub fn preempted(&mut self, runtime: RuntimeId, from: Stamp, to: Stamp, waited_ns: u64) {
        if let Some(engine) = self.engine(runtime) {
            engine.preempted(from, to, waited_ns);
        }
    }

    /// The threads of the runtimes that live.
    pub fn threads(&self) -> impl Iterator<Item = (RuntimeId, u32)> {
        let live = self.infos.values().filter(|info| info.ended.is_never());
        live.map(|info| (info.id, info.thread))
    }

    /// The process, if it has said hello.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Names and locations, as far as they are known.
    #[must_use]
    pub fn strings(&self) -> &Strings {
        &self.strings
    }

    /// What has been found so far. Costs some microseconds, and a look at each live token and task.
    #[must_use]
    pub fn report(&self) -> Report {
        let runtimes = self.engines.iter().map(|(&id, engine)| self.runtime(id, engine)).collect();
        Report { process: self.process.clone(), runtimes }
    }

    fn runtime(&self, id: RuntimeId, engine: &Engine) -> RuntimeReport {
        let mut findings = causes::arrange(engine.findings(&self.strings));
        findings.sort_by(worse_first);
        let info = self.infos.get(&id);
        RuntimeReport {
            id,
            name: info.map_or_else(String::new, |info| info.name.clone()),
            span_ns: engine.span_ns(),
            seen: engine.seen,
            findings,
            not_judged: not_judged(info, &engine.seen),
        }
    }

    fn describe(&mut self, info: &RuntimeInfo) {
        if self.infos.len() < MAX_RUNTIMES || self.infos.contains_key(&info.id) {
            self.infos.insert(info.id, info.clone());
            self.engine(info.id);
        }
    }

    fn engine(&mut self, id: RuntimeId) -> Option<&mut Engine> {
        if self.engines.len() >= MAX_RUNTIMES && !self.engines.contains_key(&id) {
            return None;
        }
        Some(self.engines.entry(id).or_insert_with(|| Engine::new(self.thresholds)))
    }
}

impl Report {
    /// All findings, causes before symptoms, with the runtime they belong to.
    pub fn findings(&self) -> impl Iterator<Item = (RuntimeId, &Finding)> {
        self.runtimes.iter().flat_map(|runtime| {
            let each = runtime.findings.iter();
            let all = each.flat_map(|finding| std::iter::once(finding).chain(&finding.symptoms));
            all.map(|finding| (runtime.id, finding))
        })
    }

    /// Whether everything that happened while the process was observed could be judged.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let seen = |runtime: &RuntimeReport| runtime.not_judged.is_empty();
        !self.runtimes.is_empty() && self.runtimes.iter().all(seen)
    }

    /// Leaves out findings milder than this, symptoms included.
    pub fn at_least(&mut self, severity: Severity) {
        for runtime in &mut self.runtimes {
            runtime.findings.retain(|finding| finding.severity >= severity);
            for finding in &mut runtime.findings {
                finding.symptoms.retain(|symptom| symptom.severity >= severity);
            }
        }
    }
}

/// By severity, then by wasted time, then by count.
fn worse_first(a: &Finding, b: &Finding) -> std::cmp::Ordering {
    let badness = |finding: &Finding| (finding.severity, finding.wasted_ns, finding.count);
    badness(b).cmp(&badness(a)).then(a.kind.cmp(&b.kind))
}

/// What could not be judged, and why.
fn not_judged(info: Option<&RuntimeInfo>, seen: &Seen) -> Vec<String> {
    let mut reasons = Vec::new();
    if info.is_some_and(|info| info.ring_capacity == 0) {
        reasons.push("its recorder is off: nothing can be told of it".to_owned());
    }
    if seen.lost > 0 {
        reasons.push(format!(
            "{} records were lost: polls and waits around the gaps are not judged, and counts are lower bounds",
            crate::text::count(seen.lost)
        ));
    }
    if seen.filtered > 0 {
        reasons.push(format!(
            "{} records were filtered out: what they tell of is not judged",
            crate::text::count(seen.filtered)
        ));
    }
    if seen.unknown > 0 {
        reasons.push(format!(
            "{} records are of kinds that this version does not know",
            crate::text::count(seen.unknown)
        ));
    }
    reasons
}
