//! `nexus-inspect`: attach to a running nexus runtime.

#![forbid(unsafe_code)]

use clap::Parser;
use nexus_inspect::cli::Cli;
use nexus_inspect::failure::{Exit, exit_of};
use nexus_inspect::{command, options};
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = options::Action::from_cli(Cli::parse()).map_err(Into::into).and_then(command::run);
    let exit = result.unwrap_or_else(|error| match exit_of(&error) {
        Some(exit) => {
            command::tell(&format!("nexus-inspect: {error:#}"));
            exit
        }
        None => Exit::Fine,
    });
    ExitCode::from(exit as u8)
}
