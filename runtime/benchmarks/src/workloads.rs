//! What is measured: the rows of the table, with their goals.

pub(crate) mod echo;
mod size;
pub(crate) mod system_calls;
pub(crate) mod tasks;
pub(crate) mod timers;
pub(crate) mod woken;

use crate::contestant::{self, Outcome};
use crate::contestants::Contestant::{self, *};
use crate::host::Cpus;
use crate::workloads::echo::Counted;
pub(crate) use size::Size;
use std::time::Duration;

/// What our runtime is to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Goal {
    /// At most this many times the base of the row.
    TimesBase(f64),
    /// At most this, in the row's unit.
    AtMost(f64),
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    /// What the others are compared with, round by round.
    pub(crate) base: Contestant,
    /// Who runs it, the base included.
    pub(crate) contestants: &'static [Contestant],
    /// How many rounds a full run has.
    pub(crate) rounds: u32,
    /// For our runtime with the recorder off, and with the recorder on.
    pub(crate) goals: &'static [(Contestant, Goal); 2],
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
    SpawnAndAwait "spawn-await";
    SpawnAndJoin "spawn-join";
    EchoOne "echo-1";
    EchoMany "echo-64";
    SystemCalls "system-calls";
    VainReads "vain-reads";
    Sleeping "sleeping";
    Overshoot300 "overshoot-0.3ms";
    Overshoot1000 "overshoot-1ms";
    Overshoot1300 "overshoot-1.3ms";
    Overshoot1700 "overshoot-1.7ms";
    WakeCost "wake-cost";
    BusyWake "busy-wake";
    BusyEcho "busy-echo";
}

const EXECUTORS: &[Contestant] =
    &[OursOff, OursOn, Tokio, NexusAsyncRt, AsyncExecutor, MonoioEpoll, MonoioUring, Glommio, Bare];
const SERVERS: &[Contestant] =
    &[OursOff, OursOn, Tokio, NexusAsyncRt, AsyncExecutor, MonoioEpoll, MonoioUring, Glommio, Mio];
const RUNTIMES: &[Contestant] =
    &[OursOff, OursOn, Tokio, NexusAsyncRt, AsyncExecutor, MonoioEpoll, MonoioUring, Glommio];
const SLEEPERS: &[Contestant] = &[
    OursOff,
    OursOn,
    Tokio,
    NexusAsyncRt,
    AsyncExecutor,
    MonoioEpoll,
    MonoioUring,
    Glommio,
    Mio,
    Timerfd,
];
/// Those that can spin instead of sleeping, and how they do without.
const SPINNERS: &[Contestant] =
    &[OursOffBusy, OursOnBusy, NexusAsyncRtBusy, OursOff, OursOn, NexusAsyncRt, Tokio];

/// Goals that are factors of the base.
macro_rules! times_base {
    (off $off:literal, on $on:literal) => {
        &[(OursOff, Goal::TimesBase($off)), (OursOn, Goal::TimesBase($on))]
    };
}

/// Goals that are the same with the recorder off and on, in the unit of the row.
macro_rules! at_most {
    ($limit:literal) => {
        &[(OursOff, Goal::AtMost($limit)), (OursOn, Goal::AtMost($limit))]
    };
}

const NO_WORSE: &[(Contestant, Goal); 2] =
    &[(OursOffBusy, Goal::TimesBase(1.0)), (OursOnBusy, Goal::TimesBase(1.0))];

impl Row {
    /// What a contestant is compared with.
    pub(crate) fn base_of(&self, _contestant: Contestant) -> Option<Contestant> {
        Some(self.base)
    }
}

impl Workload {
    /// A cell that takes longer hangs: most take a second.
    pub(crate) fn limit(self) -> Duration {
        Duration::from_secs(20)
    }

    /// The row of this workload.
    pub(crate) fn row(self) -> Row {
        let tasks = |title, goals| Row {
            title,
            unit: "ns",
            base: Tokio,
            contestants: EXECUTORS,
            rounds: 7,
            goals,
        };
        let overshoot = |title| Row {
            title,
            unit: "ms",
            base: Tokio,
            contestants: SLEEPERS,
            rounds: 5,
            goals: at_most!(0.08),
        };
        let echo = |title, goals| Row {
            title,
            unit: "µs",
            base: Mio,
            contestants: SERVERS,
            rounds: 13,
            goals,
        };
        let traced = |title, goals| Row {
            title,
            unit: "calls",
            base: Mio,
            contestants: SERVERS,
            rounds: 1,
            goals,
        };
        match self {
            Self::SelfWaking => {
                tasks("one self-waking task, a poll", times_base!(off 0.50, on 0.85))
            }
            Self::Yielding => tasks("1,000 ready tasks, a poll", times_base!(off 0.38, on 0.75)),
            Self::SpawnAndAwait => tasks("spawn and await one", times_base!(off 0.30, on 0.60)),
            Self::SpawnAndJoin => {
                tasks("spawn 1,000, then join, a task", times_base!(off 0.22, on 0.50))
            }
            Self::EchoOne => echo(
                "echo 64 B, one connection, client on the same core, p50",
                times_base!(off 1.03, on 1.05),
            ),
            Self::EchoMany => {
                echo("echo, 64 connections, server's CPU a request", times_base!(off 1.05, on 1.08))
            }
            Self::SystemCalls => traced("system calls an echo", at_most!(3.01)),
            Self::VainReads => traced("reads that would block, an echo", at_most!(0.01)),
            Self::Sleeping => Row {
                rounds: 5,
                contestants: RUNTIMES,
                ..tasks("create and fire 100,000 sleeps, a timer", times_base!(off 0.7, on 1.0))
            },
            Self::Overshoot300 => overshoot("overshoot of a sleep of 0.3 ms, p50"),
            Self::Overshoot1000 => overshoot("overshoot of a sleep of 1 ms, p50"),
            Self::Overshoot1300 => overshoot("overshoot of a sleep of 1.3 ms, p50"),
            Self::Overshoot1700 => overshoot("overshoot of a sleep of 1.7 ms, p50"),
            Self::WakeCost => Row {
                title: "wake of a runtime that is not parked, cost to the waker",
                unit: "µs",
                base: Tokio,
                contestants: RUNTIMES,
                rounds: 7,
                goals: at_most!(0.1),
            },
            Self::BusyWake => Row {
                title: "wake latency, the runtime spinning, p50",
                unit: "µs",
                base: NexusAsyncRtBusy,
                contestants: SPINNERS,
                rounds: 7,
                goals: NO_WORSE,
            },
            Self::BusyEcho => Row {
                title: "echo 64 B, one connection, the runtime spinning, p50",
                ..Row { base: NexusAsyncRtBusy, contestants: SPINNERS, ..echo("", NO_WORSE) }
            },
        }
    }

    /// Runs it in this process, for a contestant of this type.
    pub(crate) fn run<C: contestant::Contestant>(
        self,
        contestant: Contestant,
        size: Size,
        cpus: Cpus,
    ) -> Outcome {
        let overshoot = |us| timers::overshoot::<C>(Duration::from_micros(us), size.of(300));
        match self {
            Self::SelfWaking => C::self_waking(size.of(5_000_000)),
            Self::Yielding => C::yielding(1_000, size.of(5_000)),
            Self::SpawnAndAwait => C::spawn_and_await(size.of(1_000_000)),
            Self::SpawnAndJoin => C::spawn_many_and_join(1_000, size.of(1_000)),
            Self::EchoOne => echo::round_trip::<C>(cpus.runtime, size.of(50_000)),
            Self::EchoMany => echo::load::<C>(cpus.other, 64, size.of(200_000), Counted::Process),
            Self::SystemCalls => system_calls::all(contestant, size),
            Self::VainReads => system_calls::vain_reads(contestant, size),
            Self::Sleeping => C::sleeping(size.of(100_000)),
            Self::Overshoot300 => overshoot(300),
            Self::Overshoot1000 => overshoot(1_000),
            Self::Overshoot1300 => overshoot(1_300),
            Self::Overshoot1700 => overshoot(1_700),
            Self::WakeCost => woken::cost::<C>(cpus.other, size.of(5_000)),
            Self::BusyWake => woken::latency::<C>(cpus.other, size.of(10_000)),
            Self::BusyEcho => echo::round_trip::<C>(cpus.other, size.of(50_000)),
        }
    }

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|workload| workload.name() == name)
    }
}
