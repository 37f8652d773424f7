//! Who takes part, by name.

mod console;
mod dial9;
mod ours;
mod tokio;

use crate::contestant::Outcome;
use crate::host::Cpus;
use crate::workloads::{Size, Workload};

macro_rules! contestants {
    ($($(#[$doc:meta])* $id:ident $name:literal $type:ty, off $off:ident;)*) => {
        /// A runtime, with a recorder or without.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Contestant {
            $($(#[$doc])* $id,)*
        }

        impl Contestant {
            /// All of them, in the order of the report.
            pub(crate) const ALL: &[Self] = &[$(Self::$id,)*];

            /// What it is called on the command line and in the report.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$id => $name,)*
                }
            }

            /// The same runtime without its recorder; itself, if it has none.
            pub(crate) fn off(self) -> Self {
                match self {
                    $(Self::$id => Self::$off,)*
                }
            }

            /// Runs a workload in this process.
            pub(crate) fn run(self, workload: Workload, size: Size, cpus: Cpus) -> Outcome {
                match self {
                    $(Self::$id => workload.run::<$type>(self, size, cpus),)*
                }
            }
        }
    };
}

contestants! {
    /// Our runtime without its recorder.
    OursOff "ours-off" ours::Ours<ours::Off>, off OursOff;
    /// Our runtime as it is by default.
    OursOn "ours-on" ours::Ours<ours::On>, off OursOff;
    /// The same, with a client that takes everything.
    OursAttached "ours-attached" ours::Ours<ours::Attached>, off OursOff;
    /// tokio's current-thread runtime, with nobody who looks.
    Tokio "tokio" tokio::Tokio, off Tokio;
    /// The same with dial9, in memory.
    Dial9Memory "dial9-memory" dial9::Dial9<dial9::InMemory>, off Tokio;
    /// The same with dial9, to disk.
    Dial9Disk "dial9-disk" dial9::Dial9<dial9::ToDisk>, off Tokio;
    /// The same with console-subscriber.
    Console "console" console::Console<false>, off Tokio;
    /// The same, with a client that watches.
    ConsoleAttached "console-attached" console::Console<true>, off Tokio;
}

impl Contestant {
    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|contestant| contestant.name() == name)
    }
}
