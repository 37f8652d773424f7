//! From when on something is a finding.

/// The thresholds of all kinds. Times are nanoseconds of the observed process's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Occurrences below which nothing is said, for kinds that a clean program may come across now and then.
    pub min_count: u64,
    /// Redundant wakes before one poll that make a storm.
    pub redundant_burst: u64,
    /// How long readiness may wait for its sleeping reader, or a timer after its deadline.
    pub lost_wake_after_ns: u64,
    /// How long one poll may take.
    pub blocked_poll_ns: u64,
    /// How long a poll is that keeps others waiting: many shorter ones are a lot of work, and nobody's fault.
    pub long_poll_ns: u64,
    /// How long a wake may wait for its poll.
    pub slow_dispatch_ns: u64,
    /// How long the loop may go without looking at the kernel.
    pub starved_io_ns: u64,
    /// How late a timer may fire.
    pub late_timer_ns: u64,
    /// How long a token without waiter, or a sleeping task, may be without activity.
    pub idle_token_ns: u64,
    /// Idle tokens, or sleeping tasks, of one place that make a leak.
    pub leak_count: u64,
}

const MS: u64 = 1_000_000;

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            min_count: 3,
            redundant_burst: 8,
            lost_wake_after_ns: 100 * MS,
            blocked_poll_ns: 20 * MS,
            long_poll_ns: 2 * MS,
            slow_dispatch_ns: 20 * MS,
            starved_io_ns: 20 * MS,
            late_timer_ns: 10 * MS,
            idle_token_ns: 1_000 * MS,
            leak_count: 4,
        }
    }
}

/// A threshold's value, as it is written on the command line.
#[derive(Debug)]
pub enum Value<'a> {
    /// A number.
    Count(&'a mut u64),
    /// A length of time.
    Time(&'a mut u64),
}

impl Thresholds {
    /// The names of all thresholds.
    pub const NAMES: [&'static str; 10] = [
        "min-count",
        "redundant-burst",
        "lost-wake-after",
        "blocked-poll",
        "long-poll",
        "slow-dispatch",
        "starved-io",
        "late-timer",
        "idle-token",
        "leak-count",
    ];

    /// The threshold with this name, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<Value<'_>> {
        Some(match name {
            "min-count" => Value::Count(&mut self.min_count),
            "redundant-burst" => Value::Count(&mut self.redundant_burst),
            "lost-wake-after" => Value::Time(&mut self.lost_wake_after_ns),
            "blocked-poll" => Value::Time(&mut self.blocked_poll_ns),
            "long-poll" => Value::Time(&mut self.long_poll_ns),
            "slow-dispatch" => Value::Time(&mut self.slow_dispatch_ns),
            "starved-io" => Value::Time(&mut self.starved_io_ns),
            "late-timer" => Value::Time(&mut self.late_timer_ns),
            "idle-token" => Value::Time(&mut self.idle_token_ns),
            "leak-count" => Value::Count(&mut self.leak_count),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_a_threshold() {
        let mut thresholds = Thresholds::default();
        for name in Thresholds::NAMES {
            assert!(thresholds.get_mut(name).is_some(), "{name}");
        }
        assert!(thresholds.get_mut("none").is_none());
    }
}
