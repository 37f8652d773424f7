//! Our runtime beside its peers.
mod contestant;
mod contestants;
mod host;
mod options;
mod report;
mod rounds;
mod versions;
mod workloads;

use crate::contestants::Contestant;
use crate::host::Cpus;
use crate::options::Options;
use crate::workloads::{Size, Workload, system_calls};
use std::process::ExitCode;

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
    println!("{}", versions::of_contestants());
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
