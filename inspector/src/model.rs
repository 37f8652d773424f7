//! What the inspector knows of one observed process.
//!
//! The model turns a stream of [`ServerFrame`]s, live or from a trace, into answers: what every token and task is now
//! or was at any kept moment ([`View`]), what happened when ([`History`]), what a task's lane looks like
//! ([`Lane`]), and why a poll happened ([`Chain`]). [`Model::apply`] is the only way in.
//!
//! It knows no terminal, no clock and no I/O: "now" is the latest stamp it was given, and rates are per second of the
//! observed process's time. Its memory is bounded by [`Limits`], whatever the process does.

use nexus_protocol::RuntimeId;
use nexus_protocol::frame::{Goodbye, KindFilter, Process, RuntimeInfo, ServerFrame};
use std::collections::BTreeMap;

mod chain;
mod correction;
mod history;
mod lane;
mod limits;
mod log;
mod occupancy;
mod past;
mod rollback;
mod runtime;
mod state;
mod strings;
#[doc(hidden)]
pub mod testing;
#[cfg(test)]
mod tests;
mod view;

pub use chain::Chain;
pub use history::{History, Loss};
pub use lane::{CAUSES, LEVELS, Lane, LaneCell, Poll, Wait, Wake};
pub use limits::Limits;
pub use occupancy::{Occupancy, OccupancyCell};
pub use runtime::{Counts, Runtime};
pub use strings::Strings;
pub use view::{
    Certainty, Freelist, Group, GroupBy, GroupKey, Rates, Task, TaskRates, Token, TokenRates, View,
};

/// One observed process: who it is, its strings, and its runtimes.
#[derive(Debug)]
pub struct Model {
    limits: Limits,
    process: Option<Process>,
    strings: Strings,
    runtimes: BTreeMap<RuntimeId, Runtime>,
    filter: KindFilter,
    goodbye: Option<Goodbye>,
    frames: u64,
}

impl Model {
    /// A model that knows nothing yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            process: None,
            strings: Strings::default(),
            runtimes: BTreeMap::new(),
            filter: KindFilter::ALL,
            goodbye: None,
            frames: 0,
        }
    }

    /// Takes in one frame. Costs a few tens of nanoseconds a record, and the size of the board for a snapshot.
    pub fn apply(&mut self, frame: ServerFrame) {
        self.frames += 1;
        match frame {
            ServerFrame::Hello { process, runtimes, .. } => {
                self.process = Some(process);
                for info in runtimes {
                    self.describe(info);
                }
            }
            ServerFrame::Runtime(info) => self.describe(info),
            ServerFrame::Strings { first, strings } => self.strings.insert(first, strings),
            ServerFrame::Snapshot(snapshot) => self.entry(snapshot.runtime).snapshot(snapshot),
            ServerFrame::Events { runtime, records, next_seq, filtered } => {
                self.entry(runtime).events(records, next_seq, filtered);
            }
            ServerFrame::Loss { runtime, from, to } => self.entry(runtime).loss(from, to),
            ServerFrame::Filter(kinds) => self.filter = kinds,
            ServerFrame::Goodbye(goodbye) => {
                self.goodbye = Some(goodbye);
                self.runtimes.values_mut().for_each(Runtime::end);
            }
        }
    }

    /// The process, once it has said hello.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Its string table, as far as it has been sent.
    #[must_use]
    pub fn strings(&self) -> &Strings {
        &self.strings
    }

    /// Which kinds of event are sent: what is not among them is missing, and not absent.
    #[must_use]
    pub fn filter(&self) -> KindFilter {
        self.filter
    }

    /// Its runtimes, by id, those that have ended included.
    pub fn runtimes(&self) -> impl ExactSizeIterator<Item = &Runtime> {
        self.runtimes.values()
    }

    /// One of its runtimes.
    #[must_use]
    pub fn runtime(&self, id: RuntimeId) -> Option<&Runtime> {
        self.runtimes.get(&id)
    }

    /// What the process said last, if it said goodbye.
    #[must_use]
    pub fn goodbye(&self) -> Option<&Goodbye> {
        self.goodbye.as_ref()
    }

    /// How many frames were applied: changes whenever the model may have changed.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    fn describe(&mut self, info: RuntimeInfo) {
        self.entry(info.id).describe(info);
    }

    fn entry(&mut self, id: RuntimeId) -> &mut Runtime {
        self.runtimes.entry(id).or_insert_with(|| Runtime::new(id, self.limits))
    }
}
