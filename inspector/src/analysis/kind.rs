//! The kinds of finding: their names, definitions, and what to do about them.

use std::fmt;

macro_rules! kinds {
    ($($(#[$meta:meta])* $kind:ident = $name:literal, $unit:literal, $definition:literal, $remedy:literal;)*) => {
        /// What sort of problem a finding is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$meta])* $kind,)*
        }

        impl Kind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// Its name on the command line, on the screen and in JSON.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// What a finding's count counts, in the plural.
            #[must_use]
            pub const fn unit(self) -> &'static str {
                match self {
                    $(Self::$kind => $unit,)*
                }
            }

            /// What it is, exactly: what is counted, and what is not.
            #[must_use]
            pub const fn definition(self) -> &'static str {
                match self {
                    $(Self::$kind => $definition,)*
                }
            }

            /// What to change in the program.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self {
                    $(Self::$kind => $remedy,)*
                }
            }
        }
    };
}

kinds! {
    /// Woken by readiness, and the operation would block.
    FalseReadiness = "false-readiness", "polls",
        "A poll that answers a wake from a direction of a token, tries that direction, and has it blocked each time: \
         somebody else has taken what was there, or an edge was left behind by an earlier attempt. Wakes that carry the \
         end of the stream or an error are not counted.",
        "Let one task read (or write) this token, and read until the operation would block before waiting again; leave \
         the data to whoever is woken for it instead of trying ahead of it.";
    /// Woken by one direction of a token while the other is used.
    WrongDirection = "wrong-direction", "polls",
        "A poll that answers a wake from one direction of a token and then uses only the other direction of that token. \
         Polls that answer the other direction's event as well are not counted, nor are ends of streams and errors.",
        "Set the waker only for the direction in which the operation has just blocked, and leave the other one alone.";
    /// Woken by a token or timer that the poll did not even try.
    UntouchedSource = "untouched-source", "polls",
        "A poll that was queued by a token or timer, does not try that token or timer at all, completes no operation, \
         and returns pending.",
        "Drop or replace the waker when the task stops waiting for this source, or poll the source when it is woken.";
    /// A token subscribed to a direction that its owner never uses.
    NeedlessInterest = "needless-interest", "kernel events",
        "Kernel events of a token that report nothing but a direction which no operation ever uses, on this token or on \
         any other claimed at the same place. Ends of streams and errors are not counted.",
        "Register for the direction that is used only, and add the other one when an operation in it blocks.";
    /// A task wakes itself again and again without progress.
    SelfWake = "self-wake", "polls",
        "A poll that answers nothing but wakes of the task itself and makes no progress, if the poll before or after it in \
         this task is another such one. An explicit yield is not one.",
        "Wait for what you ask for: register a waker with the source, or use a channel, a notification or a timer; to be \
         fair to other tasks, yield explicitly.";
    /// Woken through a primitive, and nothing was there.
    EmptyWake = "empty-wake", "polls",
        "A poll that was queued through a channel, notification or other primitive of ours, tries that primitive, finds \
         nothing, and makes no progress at all.",
        "Wake only those who will find something: notify one instead of all, and after the state has changed, not before.";
    /// Storms of wakes for a task that is queued already.
    RedundantWakes = "redundant-wakes", "wakes",
        "Wakes of a task that is queued already, counted if at least `redundant-burst` of them come before one poll.",
        "Wake once for a batch: remember that the wake was sent until the task has run, or use a channel or notification, \
         which do that.";
    /// Wakes of tasks that have finished.
    DeadWakes = "dead-wakes", "wakes",
        "Wakes of tasks that have finished.",
        "Drop the waker when the task is done with it: deregister it, or keep it in the future that it belongs to.";
    /// Kernel events for registrations that are gone.
    StaleEvents = "stale-events", "kernel events",
        "Kernel events for a token that was released before. They are delivered to nobody, but each costs a wake-up of \
         the thread.",
        "Deregister a source before its descriptor is closed, and close all duplicates of the descriptor.";
    /// Readiness waits, its reader sleeps, and no wake is under way.
    LostWake = "lost-wake", "waits",
        "A task sleeps in a direction of a token that has been ready since before it went to sleep, or on a timer whose \
         deadline has passed, for `lost-wake-after` or longer, while the loop goes on and no wake is under way. A wait for \
         writable counts only if the task waits for nothing else.",
        "Read (or write) until the operation would block, and only then wait: the kernel reports an edge once, and what \
         is left behind brings no other event.";
    /// One poll holds the thread too long.
    BlockedPoll = "blocked-poll", "polls",
        "A poll that takes `blocked-poll` or longer, less the time in which the thread was kept waiting for a processor, \
         as far as that is known; at least `min-count` of them, or one that takes five times as long.",
        "Move blocking calls and long computations to the blocking pool or another thread, or divide the work and yield \
         between the parts.";
    /// The time from wake to poll is too long.
    SlowDispatch = "slow-dispatch", "polls",
        "A poll that begins `slow-dispatch` or longer after the wake that it answers, if at least half of that time went \
         into polls of other tasks that took `long-poll` or longer each. Many short polls are a lot of work, and \
         nobody's fault.",
        "Give each poll less to do, or move work to another thread: all tasks of a runtime share one.";
    /// The loop goes too long without looking at the kernel.
    StarvedIo = "starved-io", "gaps",
        "`starved-io` or more between two looks at the kernel, if at least half of it went into polls that took \
         `long-poll` or longer each.",
        "Yield in loops that never wait, and give each poll less to do.";
    /// Turns that found nothing to do.
    BusyTurns = "busy-turns", "turns",
        "Turns that slept and brought no kernel event, no timer, no wake and no poll. Turns of a spin mode are not counted.",
        "Look for what wakes the thread: a timer that is set again and again, a descriptor that nobody owns any more.";
    /// Timers fired too late.
    LateTimers = "late-timers", "timers",
        "Timers that fired `late-timer` or longer after their deadline, if at least half of that delay \
         went into polls that took `long-poll` or longer each.",
        "Give each poll less to do; what must be on time needs a thread that is free at that time.";
    /// Live tokens only grow.
    TokenLeak = "token-leak", "tokens",
        "Live tokens claimed at one place with no waiter and no activity for `idle-token` or longer, if there are \
         `leak-count` of them or more and hardly any is ever released; or, of whatever number, tokens that were never \
         used and never waited for. A token with a waiter is not one, however idle.",
        "Drop the source when its work is done; put a time limit on connections that are kept.";
    /// Live tasks only grow.
    TaskLeak = "task-leak", "tasks",
        "Live tasks spawned at one place that sleep for `idle-token` or longer, if there are `leak-count` of them or more, \
         they were spawned throughout the time observed, and hardly any ever ends.",
        "Let the task end: cancel it with what it serves, keep its handle and abort it, or give its waits a time limit.";
    /// Double, stale or failed releases.
    ReleaseErrors = "release-errors", "releases",
        "Attempts to release a token that was refused (released before, foreign, unknown), and sources that the kernel \
         would not deregister.",
        "Release each token once, on the runtime that it came from, before its descriptor is closed.";
}

impl Kind {
    /// The kind with this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing: it costs next to nothing.
    Hint,
    /// It costs, and should be changed.
    Warning,
    /// It costs a lot, gets worse with time, or makes the program hang.
    Serious,
}

impl Severity {
    /// All of them, the mildest first.
    pub const ALL: [Self; 3] = [Self::Hint, Self::Warning, Self::Serious];

    /// Its name on the command line, on the screen and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Warning => "warning",
            Self::Serious => "serious",
        }
    }

    /// The severity with this name, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.name() == name)
    }

    /// The severity of something that costs time: serious from 5 % of the time or 1,000 a second on, a hint below
    /// 0.1 % of the time and one a second.
    #[must_use]
    pub(super) fn of_cost(wasted_share: f64, rate: f64) -> Self {
        if wasted_share >= 0.05 || rate >= 1_000.0 {
            Self::Serious
        } else if wasted_share < 0.001 && rate < 1.0 {
            Self::Hint
        } else {
            Self::Warning
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_about_findings_says_what_the_kinds_say() {
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let page = one_line(include_str!("../../FINDINGS.md"));
        for kind in Kind::ALL {
            assert!(page.contains(&format!("### {kind} ")), "{kind}");
            assert!(page.contains(&one_line(kind.definition())), "{kind}: definition");
            assert!(page.contains(&one_line(kind.remedy())), "{kind}: remedy");
        }
        for name in crate::analysis::Thresholds::NAMES {
            assert!(page.contains(&format!("| `{name}` |")), "{name}");
        }
    }

    #[test]
    fn names_are_those_of_the_schema() {
        let schema = include_str!("../../findings.schema.json");
        for kind in Kind::ALL {
            assert!(schema.contains(&format!("\"{kind}\"")), "{kind}");
            assert_eq!(Kind::from_name(kind.name()), Some(*kind));
        }
    }
}
