//! A clean program: `cargo run --release --example clean-timers -- --for 3s`, many tasks that sleep, tick and give up in time.
//! No tool should find fault with it.

use nexus_examples::sins::{Plan, spawn};
use nexus_runtime::time::{Duration, MissedTickBehavior, interval, sleep, timeout};
use std::io;

/// Tasks.
const SLEEPERS: u64 = 100;

fn main() -> io::Result<()> {
    let plan = Plan::from_args("clean-timers");
    plan.runtime()?.block_on(async move {
        let sleepers: Vec<_> =
            (1..=SLEEPERS).map(|number| spawn("sleeper", rest(plan, number))).collect();
        let mut rests = 0;
        for sleeper in sleepers {
            rests += sleeper.join().await;
        }
        println!("{{\"kind\":\"clean\",\"rests\":{rests}}}");
    });
    Ok(())
}

/// Sleeps of different lengths.
async fn rest(plan: Plan, number: u64) -> u64 {
    let mut ticks = interval(Duration::from_micros(2_000 + 37 * number));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rests = 0;
    while !plan.is_over() {
        ticks.tick().await;
        sleep(Duration::from_micros(500 + 13 * number)).await;
        // What takes too long is given up.
        let _ = timeout(Duration::from_millis(1), sleep(Duration::from_secs(60))).await;
        rests += 1;
    }
    rests
}
