//! What the program does, one file an action.
//!
//! Data go to standard output, progress and messages to standard error. Each action returns the exit code, or an error
//! that knows its own.

mod board;
mod completions;
mod demo;
mod diagnose;
mod export;
mod inspect;
mod list;
mod record;
mod signals;
mod snapshot;
mod table;

use crate::failure::Exit;
use crate::options::Action;
use crate::text;
use std::io::{self, Write};

/// Does what was asked for.
///
/// # Errors
///
/// Whatever ends the program with another code than the one it would return; see
/// [`exit_of`](crate::failure::exit_of).
pub fn run(action: Action) -> anyhow::Result<Exit> {
    match action {
        Action::Inspect(target) => inspect::run(target),
        Action::List { json } => list::run(json),
        Action::Record(options) => record::run(options),
        Action::Export(options) => export::run(&options),
        Action::Diagnose(options) => diagnose::run(&options),
        Action::Explain(kind) => diagnose::explain(kind),
        Action::Snapshot { target, json } => snapshot::run(&target, json),
        Action::Completions(shell) => completions::run(shell),
        Action::DemoWorkload => demo::run(),
    }
}

/// Writes data to standard output, all at once.
fn print(data: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(data.as_bytes())?;
    stdout.flush()
}

/// Says something on standard error, which may quote what a process or a file says of itself. Nobody listening there is
/// no reason to fail.
pub fn tell(text: &str) {
    let _ = writeln!(io::stderr(), "{}", text::clean_lines(text));
}
