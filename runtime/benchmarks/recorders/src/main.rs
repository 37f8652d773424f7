//! What our recorder costs, beside other recorders of async runtimes: the same work with each switched off and on, on the
//! same machine, in turn, in one command.
//!
//! ```text
//! cd runtime/benchmarks/recorders                # this folder's .cargo/config.toml has to be seen
//! cargo run --release --locked                   # everything, three quarters of an hour, on a machine that does nothing else
//! cargo run --release --locked -- --markdown     # the same, as tables for BENCHMARKS.md
//! cargo run --release --locked -- --quick        # whether it works, no figures to rely on
//! cargo run --release --locked -- --only echo --contestant ours
//! ```
//!
//! It is a package of its own, since these recorders need a tokio built with `--cfg tokio_unstable`. Cells, rounds and
//! half of the workloads are those of the package beside it, whose documentation says how it measures. Here, each
//! recorder has the same runtime without it for its base, and what is printed is the ratio of *on* to *off* and their
//! difference, round by round.
//!
//! # What it measures
//!
//! | workload | what is done |
//! | --- | --- |
//! | `self-waking` | a task that wakes itself in each poll; the cost of a poll |
//! | `yielding` | 1,000 tasks that each yield again and again; the cost of a poll |
//! | `wake` | a task wakes 1,000 others in a row; the cost of a wake, their polls not included. One event, with a stamp of its own |
//! | `dispatch` | two tasks wake each other; the cost of a wake with its poll. Three events: wake, start, end |
//! | `echo-thread` | the processor time of the server's thread for an echo while each of 64 connections sends its next message when it has the last one back |
//! | `echo-process` | the same of all threads of the server's process: endpoint, flushers and aggregators too |
//! | `history` | 20 s of a task that wakes itself at full speed and of 25 that sleep: how many seconds of the others are in the default ring afterwards, read through the endpoint by a client that attaches then |
//! | `memory-held` | the same, but the 25 also spawn a task after each sleep: what the process holds at the end that is in no file |
//! | `memory-growth` | how much it grew in the second half, after our ring has filled, as a minute's growth |
//!
//! In `self-waking` and `yielding` our recorder counts what repeats itself, and records it together; in `wake` and
//! `dispatch` nothing repeats itself, and the cell checks by the endpoint that all was recorded. console-subscriber
//! records no such events but sends what changes its statistics through a channel: its figure for *an event* is what it
//! adds, shared out alike.
//!
//! Only the runtime's thread is on the first processor. The threads of recorders, clients (in processes of their own, whose
//! time counts nowhere) and the echo's load share the second one, and so slow each other down on a machine of two.
//!
//! # Who takes part, and how
//!
//! `ours-off`, `ours-on`, `ours-attached`: see `contestants/ours.rs`. `tokio` is the base of `dial9-memory`, `dial9-disk`
//! (`contestants/dial9.rs`), `console` and `console-attached` (`contestants/console.rs`). Each module says how its
//! recorder is switched on and off; versions are what `Cargo.lock` holds.

#[cfg(not(tokio_unstable))]
compile_error!(
    "console-subscriber and dial9 need `--cfg tokio_unstable`: run cargo in the folder \
     runtime/benchmarks/recorders, whose .cargo/config.toml says so, and without RUSTFLAGS"
);

mod client;
#[path = "../../src/contestant.rs"]
#[allow(dead_code, reason = "the other package of benchmarks uses more of it")]
mod contestant;
mod contestants;
#[path = "../../src/host.rs"]
#[allow(dead_code, reason = "the other package of benchmarks uses more of it")]
mod host;
#[path = "../../src/options.rs"]
mod options;
mod place;
mod recorded;
mod report;
#[path = "../../src/rounds.rs"]
mod rounds;
#[path = "../../src/spread.rs"]
mod spread;
#[path = "../../src/versions.rs"]
mod versions;
mod workloads;

use crate::contestants::Contestant;
use crate::host::Cpus;
use crate::options::Options;
use crate::workloads::{Size, Workload};
use std::process::ExitCode;

/// The packages whose versions the report names.
const CONTESTANTS: [&str; 5] =
    ["nexus-inspect-runtime", "tokio", "dial9", "dial9-tokio-telemetry", "console-subscriber"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["cell", contestant, workload, size] => cell(contestant, workload, size),
        [client::SUBCOMMAND, watched, address, cpu] => client::be(watched, address, cpu),
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
    place::begin(cpus);
    let mut outcome = contestant.run(workload, size, cpus);
    if let Ok(figure) = &mut outcome {
        figure.note = recorded::notes();
    }
    rounds::print_outcome(&outcome);
    Ok(())
}
