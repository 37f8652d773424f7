//! The terminal program, and what to do where there is no terminal.

use super::snapshot;
use crate::failure::{Exit, Failure};
use crate::target::Target;
use std::io::{self, IsTerminal};

/// Opens the terminal program over a target, or over whatever the user chooses.
pub(crate) fn run(target: Option<Target>) -> anyhow::Result<Exit> {
    if io::stdout().is_terminal() {
        return on_terminal(target);
    }
    match target {
        Some(Target::Demo) => snapshot::run(&Target::Demo, false),
        Some(_) => Err(Failure::usage(
            "standard output is not a terminal; `nexus-inspect snapshot TARGET` prints text or JSON, \
             `nexus-inspect record TARGET -o FILE` writes a trace",
        )
        .into()),
        None => Err(Failure::usage(
            "standard output is not a terminal, so there is no list to choose from; \
             `nexus-inspect list` prints what can be attached to",
        )
        .into()),
    }
}

fn on_terminal(_target: Option<Target>) -> anyhow::Result<Exit> {
    Err(Failure::usage(
        "this build has no terminal program; `nexus-inspect snapshot TARGET` prints text or JSON, \
         `nexus-inspect record TARGET -o FILE` writes a trace",
    )
    .into())
}
