//! The demo's workload: a small trading desk on one thread, with real sockets over loopback and its own clients.
//!
//! | module | does |
//! | --- | --- |
//! | `orders` | a request and response service: a few fast clients, many slow ones, and some that come and go |
//! | `feed` | market data: publishers that write in bursts, subscribers that read |
//! | `desk` | timers, a batch job that takes its time, a worker fed by another thread |
//! | `sins` | three deliberate mistakes to be found on the screen |
//!
//! The load is uneven on purpose, so that rates, lanes and the slot map are worth looking at. It makes some 180,000
//! records a second, on a fraction of a core.
//!
//! This is the one module of the inspector that knows the runtime.

mod desk;
mod feed;
mod orders;
mod sins;

use nexus_runtime::{Builder, task};
use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

/// The name of the demo's runtime.
pub const NAME: &str = "demo";

/// Half a million records, 16 MiB: some seconds of this workload's history.
const RING_RECORDS: usize = 1 << 19;

/// Runs the workload on this thread until the process ends.
///
/// # Errors
///
/// If there is no runtime to be had, or no loopback.
pub fn run() -> io::Result<()> {
    Builder::new().name(NAME).initial_slots(16).ring_records(RING_RECORDS).build()?.block_on(
        async {
            orders::start().await?;
            feed::start().await?;
            desk::start()?;
            sins::start().await?;
            pending().await
        },
    )
}

/// An address on loopback, at a port that the system chooses.
fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// Spawns a task for good. If it ever fails, the demo says so and goes on without it.
#[track_caller]
fn spawn(name: &'static str, future: impl Future<Output = io::Result<()>> + 'static) {
    drop(task::Builder::new().name(name).spawn(async move {
        if let Err(error) = future.await {
            eprintln!("demo: {name}: {error}");
        }
    }));
}

/// Numbers that look random and are the same in each run (an LCG by Knuth, MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_stay_below_their_bound_and_differ() {
        let mut random = Random(1);
        let numbers: Vec<_> = (0..100).map(|_| random.below(10)).collect();
        assert!(numbers.iter().all(|&number| number < 10));
        assert!(numbers.iter().any(|&number| number != numbers[0]));
    }
}
