//! Stress: the runtime's own thread does everything that it can do, at random, while other threads clone, fire and drop the
//! wakers of its tasks.
//!
//! What goes wrong shows as a failed assertion, as a wake that never comes, or in a sanitizer: these tests are what `.ci/asan`
//! and `.ci/tsan` run. Threads share no lock and no channel of `std`'s here, since ThreadSanitizer does not see those.
//!
//! Each test goes on for `NEXUS_STRESS_SECONDS` (by default a second) with random numbers from `NEXUS_STRESS_SEED` (by
//! default another one each time, printed when a test fails). The same seed makes the same decisions; the threads still
//! meet as they like.
//!
//! A program without a test harness: how that hands tests and results from thread to thread looks like races, since std is
//! not instrumented. Arguments pick tests by parts of their names.

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

fn main() {
    let tests: [(&str, fn()); 7] = [
        ("inspectors_look_on", inspected::inspectors_look_on),
        (
            "a_runtime_that_sleeps_hears_every_question",
            lost::a_runtime_that_sleeps_hears_every_question,
        ),
        (
            "a_runtime_that_spins_hears_every_question",
            lost::a_runtime_that_spins_hears_every_question,
        ),
        (
            "a_runtime_that_is_busy_hears_every_question",
            lost::a_runtime_that_is_busy_hears_every_question,
        ),
        (
            "tasks_and_runtimes_end_while_their_wakers_are_everywhere",
            tasks::tasks_and_runtimes_end_while_their_wakers_are_everywhere,
        ),
        (
            "runtimes_of_several_threads_hold_the_wakers_of_each_other",
            tasks::runtimes_of_several_threads_hold_the_wakers_of_each_other,
        ),
        ("runtimes_come_and_go_under_fire", tasks::runtimes_come_and_go_under_fire),
    ];
    let wanted: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.contains(word));
    let mut passed = 0;
    for (name, test) in tests.into_iter().filter(|(name, _)| is_wanted(name)) {
        test();
        println!("test {name} ... ok");
        passed += 1;
    }
    println!("test result: ok. {passed} passed; 0 failed");
}
