//! Our runtime beside its peers: the same work, on the same machine, in turn, in one command.
//!
//! ```text
//! cd runtime/benchmarks
//! cargo run --release --locked                   # everything, a quarter of an hour, on a machine that does nothing else
//! cargo run --release --locked -- --markdown     # the same, as tables for BENCHMARKS.md
//! cargo run --release --locked -- --quick        # three minutes: whether it works, no figures to rely on
//! cargo run --release --locked -- --only echo --contestant tokio --contestant ours
//! ```
//!
//! # How it measures
//!
//! A *cell* is one workload, run once by one contestant in a process of its own (`benchmarks cell …`), so that nobody
//! profits from another one's warm caches or suffers from its heap. A *round* is one cell of each contestant, in an order
//! that changes. The machine's speed changes too, so contestants are compared within rounds: what is printed is the median
//! of the rounds' ratios to the base of the row, with the lowest and the highest round in brackets.
//!
//! The runtime's thread is pinned to the first processor that the process may use. The other side (a client, a thread that
//! wakes) is pinned to the same one or to the second, as the workload says. What keeps the processor busy is measured in
//! processor time of the runtime's thread, so that what else the machine does counts as little as possible; yet a busy
//! neighbour that shares a core's units or its caches makes everything slower, and not everybody alike.
//!
//! # What it measures
//!
//! | workload | what is done |
//! | --- | --- |
//! | `self-waking` | a task that wakes itself in each poll; the cost of a poll |
//! | `yielding` | 1,000 tasks that each yield again and again; the cost of a poll |
//! | `spawn-await` | a task spawns another one, which is ready at once, and awaits it, again and again; the cost of one |
//! | `spawn-join` | the same with 1,000 that are spawned before the first is awaited |
//! | `echo-1` | the round trip of 64 bytes over one TCP connection on the loopback device; the client on the same core |
//! | `echo-64` | the processor time that a server uses for an echo while each of 64 connections sends its next message when it has the last one back; the client on the other core |
//! | `system-calls` | the system calls that a server makes for an echo over one connection, counted by `strace` |
//! | `vain-reads` | those of them that are reads with nothing to read |
//! | `sleeping` | 100,000 tasks that each sleep once, for 1 to 101 ms; the cost of one, its spawning included |
//! | `overshoot-…` | sleeps of that length, one after the other: how late they end |
//! | `wake-cost` | 64 tasks are woken from the other core, while the runtime polls another one; the cost of a wake to that thread |
//! | `busy-wake` | the time from a wake on the other core to the poll, if the runtime spins instead of sleeping |
//! | `busy-echo` | as `echo-1`, but with the client on the other core, and with the runtime spinning |
//!
//! Each cell checks what it has done: the polls, outputs and timers are counted, what comes back is compared, a wake that
//! is lost ends the process, and one sleep that ends early is enough to have no figure. `system-calls` needs `strace` and says so if it is not
//! there. A runtime that cannot do something, or hangs, has no figure, but the reason.
//!
//! # Who takes part, and how
//!
//! Each contestant is used as its documentation recommends, from crates.io, in the version that `Cargo.lock` holds; all are
//! built alike. Tokio gets all drivers and plain `spawn`; nexus-async-rt boxed tasks, its default, and `nexus-timer` in the
//! version it was made for; async-executor is a `LocalExecutor` in async-io's `block_on`; monoio has its default features,
//! on epoll and on io_uring; glommio an unbound executor on the pinned thread. Floors show what is left to gain: a
//! hand-written loop on mio, a timerfd, and an executor of a hundred lines that does nothing but poll boxed futures.
//! `ours-off` has neither recorder nor endpoint, `ours-on` is what `Runtime::new()` builds, and `-busy` means
//! `Builder::spin`.

mod contestant;
mod contestants;
mod host;
mod options;
mod report;
mod rounds;
mod spread;
mod versions;
mod workloads;

use crate::contestants::Contestant;
use crate::host::Cpus;
use crate::options::Options;
use crate::workloads::{Size, Workload, system_calls};
use std::process::ExitCode;

/// The packages whose versions the report names.
const CONTESTANTS: [&str; 10] = [
    "nexus-inspect-runtime",
    "tokio",
    "nexus-async-rt",
    "nexus-timer",
    "async-executor",
    "async-io",
    "monoio",
    "glommio",
    "mio",
    "io-uring",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["cell", contestant, workload, size] => cell(contestant, workload, size),
        [system_calls::SUBCOMMAND, contestant, size] => traced(contestant, size),
        _ => Options::parse(arguments).and_then(|options| run(&options)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => {
            eprintln!("{complaint}");
            ExitCode::from(2)
        }
    }
}

/// The driver: measures all that was asked for, and prints each workload when it is done.
fn run(options: &Options) -> Result<(), String> {
    if options.list {
        let names: Vec<&str> = Workload::ALL.iter().map(|workload| workload.name()).collect();
        println!("workloads: {}", names.join(", "));
        let names: Vec<&str> = Contestant::ALL.iter().map(|contestant| contestant.name()).collect();
        println!("contestants: {}", names.join(", "));
        return Ok(());
    }
    let cpus =
        Cpus::allowed().map_err(|error| format!("cannot learn about processors: {error}"))?;
    for line in host::description(cpus) {
        println!("{line}");
    }
    println!("{}", versions::of(&CONTESTANTS));
    let mut all = Vec::new();
    for &workload in &options.workloads {
        let results = rounds::measure(workload, options);
        if !options.markdown {
            print!("{}", report::plain(&results));
        }
        all.push(results);
    }
    if options.markdown {
        print!("\n{}", report::markdown(&all));
    }
    Ok(())
}

/// The process of a cell.
fn cell(contestant: &str, workload: &str, size: &str) -> Result<(), String> {
    let contestant = Contestant::named(contestant).ok_or("no such contestant")?;
    let workload = Workload::named(workload).ok_or("no such workload")?;
    let size = Size::named(size).ok_or("no such size")?;
    let cpus = Cpus::allowed().map_err(|error| error.to_string())?;
    host::pin(cpus.runtime);
    rounds::print_outcome(&contestant.run(workload, size, cpus));
    Ok(())
}

/// The process that `strace` watches.
fn traced(contestant: &str, size: &str) -> Result<(), String> {
    let contestant = Contestant::named(contestant).ok_or("no such contestant")?;
    let size = Size::named(size).ok_or("no such size")?;
    let cpus = Cpus::allowed().map_err(|error| error.to_string())?;
    host::pin(cpus.runtime);
    let client = contestant.serve_traced(size, cpus).map_err(|absent| absent.to_string())?;
    println!("{client}");
    Ok(())
}
