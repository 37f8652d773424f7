//! Stress: the runtime's own thread does everything that it can do, at random, while other threads clone, fire and drop the
//! wakers of its tasks.
//!
//! What goes wrong shows as a failed assertion, as a wake that never comes, or in a sanitizer: these tests are what `.ci/asan`
//! and `.ci/tsan` run. Threads share no lock and no channel of `std`'s here, since ThreadSanitizer does not see those.
//!
//! Each test goes on for `NEXUS_STRESS_SECONDS` (by default a second) with random numbers from `NEXUS_STRESS_SEED` (by
//! default another one each time, printed by a test that fails). The same seed makes the same decisions; the threads still
//! meet as they like.

mod actor;
mod exchange;
mod inspected;
mod lost;
#[path = "../support/own_endpoint.rs"]
mod own_endpoint;
mod random;
mod tasks;

use random::Random;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nothing here takes nearly as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a test goes on, and with which numbers.
struct Stress {
    seed: u64,
    until: Instant,
    rounds: u32,
}

impl Stress {
    fn begin() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let seconds = variable("NEXUS_STRESS_SECONDS")
            .map_or(1.0, |text| text.parse().expect("NEXUS_STRESS_SECONDS is a number of seconds"));
        let seed = match variable("NEXUS_STRESS_SEED") {
            Some(text) => text.parse().expect("NEXUS_STRESS_SEED is a number"),
            None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64,
        };
        Self { seed, until: Instant::now() + Duration::from_secs_f64(seconds), rounds: 0 }
    }

    fn random(&self) -> Random {
        Random::new(self.seed)
    }

    /// Whether there is time for another round. There is for a first one.
    fn goes_on(&mut self) -> bool {
        self.rounds += 1;
        self.rounds == 1 || Instant::now() < self.until
    }
}

impl Drop for Stress {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("NEXUS_STRESS_SEED={} failed in round {}", self.seed, self.rounds);
        }
    }
}

/// Ends the process with a message that the harness does not keep to itself. For where a panic would go nowhere.
fn abort(message: &str) -> ! {
    let _ = writeln!(std::io::stderr(), "{message}");
    std::process::abort();
}
