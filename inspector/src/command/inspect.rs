//! The terminal program, and what to do where there is no terminal.

use super::snapshot;
use crate::failure::{Exit, Failure};
#[cfg(feature = "tui")]
use crate::source::{self, Aftermath, Opened, ProgramOutput};
use crate::target::Target;
#[cfg(feature = "tui")]
use crate::text;
#[cfg(feature = "tui")]
use std::io::Write;
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

#[cfg(feature = "tui")]
fn on_terminal(target: Option<Target>) -> anyhow::Result<Exit> {
    let opened = match target {
        Some(target) => source::open(&target, source::EVERYTHING, ProgramOutput::Captured)?,
        None => match crate::tui::pick()? {
            Some(found) => source::attach(&found, source::EVERYTHING)?.into(),
            None => return Ok(Exit::Fine),
        },
    };
    let Opened { running, aftermath } = opened;
    let title = running.title.clone();
    crate::tui::run(running)?;
    aftermath.map_or(Ok(Exit::Fine), |aftermath| report(&title, &aftermath))
}

/// Tells on the terminal, now that it is free, what a started program printed and how it ended.
#[cfg(feature = "tui")]
fn report(title: &str, aftermath: &Aftermath) -> anyhow::Result<Exit> {
    let (output, dropped) = aftermath.output();
    let mut stderr = io::stderr().lock();
    if dropped > 0 {
        writeln!(stderr, "({} of output before this are gone)", text::bytes(dropped))?;
    }
    stderr.write_all(&output)?;
    drop(stderr);
    match aftermath.end() {
        Some(end) if !end.success => {
            let text = format!("`{}` failed with {}", text::clean(title), end.status);
            Err(Failure::new(Exit::Command, text).into())
        }
        _ => Ok(Exit::Fine),
    }
}

#[cfg(not(feature = "tui"))]
fn on_terminal(_target: Option<Target>) -> anyhow::Result<Exit> {
    Err(Failure::usage(
        "this build has no terminal program; `nexus-inspect snapshot TARGET` prints text or JSON, \
         `nexus-inspect record TARGET -o FILE` writes a trace",
    )
    .into())
}
