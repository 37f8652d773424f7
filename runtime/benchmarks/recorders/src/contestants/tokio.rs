//! tokio's current-thread runtime with nobody who looks: what dial9 and console-subscriber are compared with.
//!
//! It is the same binary, so tokio is built as they need it: with `--cfg tokio_unstable` and its feature `tracing`. A
//! tokio that is built as usual is a little faster; the other package of benchmarks has that one.

use crate::contestant::Absent;
use crate::workloads::storm::storm_future;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::spawn;
use tokio::time::sleep_until;

/// tokio's current-thread runtime.
pub(crate) struct Tokio;

/// Builds one, with all drivers.
pub(super) fn run<F: Future>(future: F) -> Result<F::Output, Absent> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the kernel grants the descriptors");
    Ok(runtime.block_on(future))
}

storm_future! {
    spawn: spawn,
    value: Result::unwrap,
    sleep_until: |due: std::time::Instant| sleep_until(due.into()),
}

/// Makes a contestant of a type, given how it runs a future and spawns a task. `all_of`, `TcpListener` and the extension
/// traits of its streams have to be in scope.
macro_rules! tokio_workloads {
    ($type:ty, run: $run:expr, spawn: $spawn:expr $(,)?) => {
        impl $crate::contestant::Contestant for $type {
            type Poker = std::task::Waker;

            $crate::workloads::tasks::task_workloads! {
                run: $run,
                spawn: $spawn,
                value: Result::unwrap,
            }
            $crate::workloads::echo::echo_server! {
                run: $run,
                spawn: $spawn,
                value: Result::unwrap,
                bind: async |address| {
                    let listener = TcpListener::bind(address).await?;
                    let address = listener.local_addr()?;
                    std::io::Result::Ok((listener, address))
                },
                accept: async |listener: &mut TcpListener| {
                    let (stream, _) = listener.accept().await?;
                    stream.set_nodelay(true)?;
                    std::io::Result::Ok(stream)
                },
            }
        }

        impl $crate::recorded::Recorded for $type {
            $crate::workloads::wakes::waking_tasks! {
                run: $run,
                spawn: $spawn,
                value: Result::unwrap,
            }

            fn storm(
                storm: std::sync::Arc<$crate::workloads::storm::Storm>,
            ) -> Result<(), $crate::contestant::Absent> {
                $run(all_of(storm))
            }
        }
    };
}
pub(super) use tokio_workloads;

tokio_workloads! { Tokio, run: run, spawn: spawn }
