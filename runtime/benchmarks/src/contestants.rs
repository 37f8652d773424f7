//! Who takes part, by name.

mod async_executor;
mod bare;
mod glommio;
mod mio;
mod monoio;
mod nexus_async_rt;
mod ours;
mod tokio;

use crate::contestant::{Absent, Outcome};
use crate::host::Cpus;
use crate::workloads::{Size, Workload, system_calls};
use ::monoio::{IoUringDriver, LegacyDriver};

macro_rules! contestants {
    ($($(#[$doc:meta])* $id:ident $name:literal $type:ty;)*) => {
        /// A runtime with its settings, or a floor.
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

            /// Runs a workload in this process.
            pub(crate) fn run(self, workload: Workload, size: Size, cpus: Cpus) -> Outcome {
                match self {
                    $(Self::$id => workload.run::<$type>(self, size, cpus),)*
                }
            }

            /// Serves in this process, which `strace` watches. The client's thread.
            pub(crate) fn serve_traced(self, size: Size, cpus: Cpus) -> Result<i32, Absent> {
                match self {
                    $(Self::$id => system_calls::serve::<$type>(size, cpus),)*
                }
            }
        }
    };
}

contestants! {
    /// Our runtime without its recorder.
    OursOff "ours-off" ours::Ours<ours::Off>;
    /// Our runtime as it is by default.
    OursOn "ours-on" ours::Ours<ours::Default>;
    /// Our runtime without its recorder, spinning before it sleeps.
    OursOffBusy "ours-off-busy" ours::Ours<ours::Spinning<ours::Off>>;
    /// Our runtime as it is by default, but spinning before it sleeps.
    OursOnBusy "ours-on-busy" ours::Ours<ours::Spinning<ours::Default>>;
    /// tokio's current-thread runtime.
    Tokio "tokio" tokio::Tokio;
    /// nexus-async-rt, which sleeps when there is nothing to do.
    NexusAsyncRt "nexus-async-rt" nexus_async_rt::NexusAsyncRt<false>;
    /// nexus-async-rt, which never sleeps.
    NexusAsyncRtBusy "nexus-async-rt-busy" nexus_async_rt::NexusAsyncRt<true>;
    /// async-executor with async-io.
    AsyncExecutor "async-executor" async_executor::AsyncExecutor;
    /// monoio on epoll.
    MonoioEpoll "monoio-epoll" monoio::Monoio<LegacyDriver>;
    /// monoio on io_uring.
    MonoioUring "monoio-uring" monoio::Monoio<IoUringDriver>;
    /// glommio, on io_uring.
    Glommio "glommio" glommio::Glommio;
    /// A hand-written loop on mio.
    Mio "mio" mio::Mio;
    /// A timerfd in mio's epoll.
    Timerfd "timerfd" mio::Timerfd;
    /// A queue of boxed futures.
    Bare "bare" bare::Bare;
}

impl Contestant {
    /// The one of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|contestant| contestant.name() == name)
    }
}
