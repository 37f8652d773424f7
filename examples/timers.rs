//! Sleeps, intervals and timeouts: `cargo run --release --example timers`.
//!
//! A timer never fires early, is as exact as the kernel allows, and is gone without a trace when it is dropped.

use nexus_runtime::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use nexus_runtime::{Builder, spawn};
use std::io;
use std::time::Duration;

fn main() -> io::Result<()> {
    Builder::new().name("timers").build()?.block_on(async {
        pause().await;
        ticks().await;
        limits().await;
        together().await;
    });
    Ok(())
}

/// To wait for a length of time, or until a moment.
async fn pause() {
    let start = Instant::now();
    sleep(Duration::from_micros(1300)).await;
    sleep_until(start + Duration::from_millis(3)).await;
    let late = start.elapsed() - Duration::from_millis(3);
    println!("slept for 3 ms, and {late:?} more");
}

/// To do something at regular moments. The first tick comes at once.
async fn ticks() {
    let start = Instant::now();
    let mut every = interval(Duration::from_millis(10));
    // What becomes of ticks that were missed, since something else took too long: here they are left out.
    every.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for number in 1..=3 {
        every.tick().await;
        println!("tick {number} after {} ms", start.elapsed().as_millis());
    }
}

/// To give something only so much time.
async fn limits() {
    match timeout(Duration::from_millis(20), slow(Duration::from_secs(3600))).await {
        Ok(answer) => println!("slow answered {answer}"),
        Err(elapsed) => println!("slow gave no answer: {elapsed}"),
    }
    match timeout(Duration::from_secs(3600), slow(Duration::from_millis(1))).await {
        Ok(answer) => println!("quick answered {answer}"),
        Err(elapsed) => println!("quick gave no answer: {elapsed}"),
    }
}

/// A task for each: a thousand sleeps take as long as the longest of them.
async fn together() {
    let start = Instant::now();
    let sleepers: Vec<_> =
        (1..=1000).map(|number| spawn(sleep(Duration::from_micros(number * 20)))).collect();
    for sleeper in sleepers {
        sleeper.await.expect("a sleep does not panic");
    }
    println!("1000 sleeps of up to 20 ms took {} ms", start.elapsed().as_millis());
}

async fn slow(length: Duration) -> u32 {
    sleep(length).await;
    42
}
