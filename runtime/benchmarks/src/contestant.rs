//! What a contestant can do, as the workloads see it.
//!
//! A workload that a contestant cannot run is answered with the reason, which the report prints in place of a figure.
//! Most bodies are written once, as macros (`task_workloads!`, `timer_workloads!`, `echo_server!`, `woken_tasks!`), which
//! each adapter expands with its own `spawn` and its own types: a trait would have to ask for `Send` futures since tokio
//! does, and the others' are not.

use crate::workloads::woken::{Poke, Signal};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// A figure, in the unit of its workload, and what else is to be said about it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) note: String,
}

impl From<f64> for Figure {
    fn from(value: f64) -> Self {
        Self { value, note: String::new() }
    }
}

/// Why there is no figure.
#[derive(Clone, Debug)]
pub(crate) struct Absent(pub(crate) String);

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Absent {
    fn from(reason: &str) -> Self {
        Self(reason.to_owned())
    }
}

pub(crate) type Outcome = Result<Figure, Absent>;

fn absent<T>(what: &str) -> Result<T, Absent> {
    Err(Absent(format!("it has no {what}")))
}

/// A runtime, or a floor. All methods build one, use it on the calling thread and drop it.
///
/// Durations and costs are in nanoseconds. Costs are processor time of the calling thread, measured inside the runtime
/// after a warm-up, so that neither its start nor its end is counted.
pub(crate) trait Contestant: 'static {
    /// What another thread fires to wake a task.
    type Poker: Poke;

    /// The cost of a poll of one task that wakes itself.
    fn self_waking(_polls: u32) -> Outcome {
        absent("tasks")
    }

    /// The cost of a poll if many tasks yield in turn.
    fn yielding(_tasks: u32, _polls_each: u32) -> Outcome {
        absent("tasks")
    }

    /// The cost of spawning a task that is ready at once and waiting for its result.
    fn spawn_and_await(_times: u32) -> Outcome {
        absent("tasks")
    }

    /// The same, if many are spawned before the first is awaited.
    fn spawn_many_and_join(_tasks: u32, _times: u32) -> Outcome {
        absent("tasks")
    }

    /// The cost of a task that sleeps once, among many.
    fn sleeping(_tasks: u32) -> Outcome {
        absent("timers")
    }

    /// How long each of some sleeps in a row took.
    fn sleeps(_duration: Duration, _times: u32) -> Result<Vec<f64>, Absent> {
        absent("timers")
    }

    /// Sends back what comes, on this many connections, until the other side has closed them all.
    fn serve(_listening: Sender<SocketAddr>, _connections: u32) -> Result<(), Absent> {
        absent("I/O")
    }

    /// Runs tasks that other threads wake, until `signal` says that it is over; beside one that yields all the time if
    /// the loop is to be kept from sleeping.
    fn woken(
        _tasks: u32,
        _keep_busy: bool,
        _signal: Arc<Signal>,
        _pokers: Sender<Self::Poker>,
    ) -> Result<(), Absent> {
        absent("way to wake a task from another thread")
    }
}
