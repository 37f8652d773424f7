//! `timers`: what it prints, and that it was not early.

use nexus_tests::programs::{Sandbox, example, stderr};
use std::time::{Duration, Instant};

/// The number before this unit in the line that begins so.
fn number(printed: &str, beginning: &str, unit: &str) -> u64 {
    let line = printed.lines().find(|line| line.starts_with(beginning));
    let line = line.unwrap_or_else(|| panic!("nothing begins with {beginning:?}: {printed}"));
    let before = line.strip_suffix(unit).unwrap_or_else(|| panic!("no {unit}: {line}"));
    before.trim().rsplit(' ').next().and_then(|number| number.parse().ok()).expect(line)
}

#[test]
fn nothing_is_early_and_limits_hold() {
    let sandbox = Sandbox::new();
    let program = example("timers");
    let start = Instant::now();
    let output = sandbox.command(&program).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let printed = String::from_utf8(output.stdout).unwrap();
    // 3 ms, two ticks of 10 ms, a limit of 20 ms, a millisecond, and sleeps of 20 ms.
    assert!(start.elapsed() >= Duration::from_millis(64), "{printed}");
    assert!(printed.contains("slept for 3 ms, and "), "{printed}");
    for tick in 1..=3 {
        assert!(number(&printed, &format!("tick {tick} after"), "ms") >= (tick - 1) * 10);
    }
    assert!(printed.contains("slow gave no answer: the time limit was reached"), "{printed}");
    assert!(printed.contains("quick answered 42"), "{printed}");
    assert!(number(&printed, "1000 sleeps of up to 20 ms took", "ms") >= 20);
}
