//! What is measured: the rows of the table, with their goals.

#[path = "../../src/workloads/echo.rs"]
#[allow(dead_code, reason = "the other package of benchmarks uses more of it")]
pub(crate) mod echo;
#[path = "../../src/workloads/size.rs"]
mod size;
pub(crate) mod storm;
#[path = "../../src/workloads/tasks.rs"]
pub(crate) mod tasks;
pub(crate) mod wakes;
#[path = "../../src/workloads/woken.rs"]
#[allow(dead_code, unused_imports, unused_macros, reason = "the other package uses more of it")]
pub(crate) mod woken;

use crate::contestant::{Absent, Outcome};
use crate::contestants::Contestant::{self, *};
use crate::host::Cpus;
use crate::recorded::{Recorded, records};
use crate::workloads::echo::Counted;
use crate::workloads::storm::Memory;
pub(crate) use size::Size;
use std::time::Duration;

/// What a recorder is to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// At most this many times what it is without.
    TimesOff(f64),
    /// At most this much more than without, in the row's unit.
    Added(f64),
    /// At most this much more than without for each event, in the row's unit.
    AddedPerEvent(f64),
    /// At most this, in the row's unit.
    AtMost(f64),
    /// At least this, in the row's unit.
    AtLeast(f64),
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    /// Who runs it, those without a recorder included.
    pub(crate) contestants: &'static [Contestant],
    /// How many rounds a full run has.
    pub(crate) rounds: u32,
    /// How many events there are of what one figure is the cost of, where all recorders record the same.
    pub(crate) events: Option<f64>,
    pub(crate) goals: &'static [(Contestant, Goal)],
}

impl Row {
    /// What a contestant is compared with: the same without its recorder, if that takes part.
    pub(crate) fn base_of(&self, contestant: Contestant) -> Option<Contestant> {
        let off = contestant.off();
        (off != contestant && self.contestants.contains(&off)).then_some(off)
    }
}

macro_rules! workloads {
    ($($id:ident $name:literal;)*) => {
        /// What is done in a cell; see the module of each for how.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Workload {
            $($id,)*
        }

        impl Workload {
            /// All of them, in the order of the report.
            pub(crate) const ALL: &[Self] = &[$(Self::$id,)*];

            /// What it is called on the command line.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$id => $name,)*
                }
            }
        }
    };
}

workloads! {
    SelfWaking "self-waking";
    Yielding "yielding";
    Wake "wake";
    Dispatch "dispatch";
    EchoThread "echo-thread";
    EchoProcess "echo-process";
    History "history";
    MemoryHeld "memory-held";
    MemoryGrowth "memory-growth";
}

const ALL: &[Contestant] = Contestant::ALL;
/// What a wake costs has nothing to do with who looks.
const UNWATCHED: &[Contestant] = &[OursOff, OursOn, Tokio, Dial9Memory, Dial9Disk, Console];

/// How many tasks are woken in a row.
const WOKEN: u32 = 1_000;

impl Workload {
    /// The row of this workload.
    pub(crate) fn row(self) -> Row {
        let tasks = |title, contestants, events, goals| Row {
            title,
            unit: "ns",
            contestants,
            rounds: 7,
            events,
            goals,
        };
        let echo = |title, goals| Row {
            title,
            unit: "µs",
            contestants: ALL,
            rounds: 13,
            events: None,
            goals,
        };
        let storm = |title, unit, contestants, goals| Row {
            title,
            unit,
            contestants,
            rounds: 3,
            events: None,
            goals,
        };
        match self {
            Self::SelfWaking => tasks(
                "one self-waking task, a poll",
                ALL,
                None,
                &[(OursOn, Goal::TimesOff(2.0)), (OursAttached, Goal::TimesOff(2.0))],
            ),
            Self::Yielding => tasks(
                "1,000 ready tasks, a poll",
                ALL,
                None,
                &[(OursOn, Goal::TimesOff(2.2)), (OursAttached, Goal::TimesOff(2.2))],
            ),
            Self::Wake => tasks(
                "a wake of another task: one stamped event",
                UNWATCHED,
                Some(1.0),
                &[(OursOn, Goal::AddedPerEvent(12.0))],
            ),
            Self::Dispatch => tasks(
                "a dispatch by another task: wake, poll start, poll end",
                UNWATCHED,
                Some(3.0),
                &[(OursOn, Goal::AddedPerEvent(5.0))],
            ),
            Self::EchoThread => echo(
                "echo, 64 connections, CPU of the server's thread, a request",
                &[(OursOn, Goal::TimesOff(1.03)), (OursAttached, Goal::TimesOff(1.08))],
            ),
            Self::EchoProcess => {
                echo("echo, 64 connections, CPU of the server's process, a request", &[])
            }
            Self::History => storm(
                "history of others in a storm",
                "s",
                &[OursOn],
                &[(OursOn, Goal::AtLeast(10.0))],
            ),
            // A ring of 8 MiB, and a board of 3.5 MiB at most.
            Self::MemoryHeld => storm(
                "memory at the end of a storm",
                "MiB",
                UNWATCHED,
                &[(OursOn, Goal::Added(11.5))],
            ),
            Self::MemoryGrowth => storm(
                "growth of memory in a storm, a minute",
                "MiB",
                UNWATCHED,
                &[(OursOn, Goal::AtMost(1.0))],
            ),
        }
    }

    /// A cell that takes longer hangs.
    pub(crate) fn limit(self) -> Duration {
        Duration::from_secs(60)
    }

    /// Runs it in this process, for a contestant of this type.
    pub(crate) fn run<C: Recorded>(
        self,
        contestant: Contestant,
        size: Size,
        cpus: Cpus,
    ) -> Outcome {
        let polls = size.of(5_000_000);
        // A storm has to last until the ring has wrapped.
        let storm = Duration::from_secs(size.of(20).into());
        match self {
            Self::SelfWaking => C::self_waking(polls),
            Self::Yielding => C::yielding(1_000, polls / 1_000),
            Self::Wake => {
                let times = size.of(2_000);
                all_recorded(contestant, C::waking(WOKEN, times)?, u64::from(WOKEN * times))
            }
            Self::Dispatch => {
                let dispatches = size.of(3_000_000);
                let events = 3 * u64::from(dispatches);
                all_recorded(contestant, C::dispatching(dispatches)?, events)
            }
            Self::EchoThread => echo::load::<C>(cpus.other, 64, size.of(200_000), Counted::Thread),
            Self::EchoProcess => {
                echo::load::<C>(cpus.other, 64, size.of(200_000), Counted::Process)
            }
            Self::History => storm::history::<C>(cpus.other, storm),
            Self::MemoryHeld => storm::memory::<C>(cpus.other, storm, Memory::Held),
            Self::MemoryGrowth => storm::memory::<C>(cpus.other, storm, Memory::Growth),
        }
    }

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|workload| workload.name() == name)
    }
}

/// A figure for the cost of recording so many events counts only if they were recorded, as far as can be told.
fn all_recorded(contestant: Contestant, figure: crate::contestant::Figure, events: u64) -> Outcome {
    let wanted = if contestant == contestant.off() { 0 } else { events };
    match records() {
        Some(records) if records < wanted => {
            Err(Absent(format!("recorded {records} of {events} events")))
        }
        Some(records) if wanted == 0 && records > 0 => {
            Err(Absent(format!("recorded {records} events while it was off")))
        }
        _ => Ok(figure),
    }
}
