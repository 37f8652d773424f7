//! `completions`: a completion script for a shell.

use crate::cli::Cli;
use crate::failure::Exit;
use clap::CommandFactory;
use clap_complete::Shell;

/// Prints the script.
pub(crate) fn run(shell: Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    let mut definition = offered(&Cli::command());
    let name = definition.get_name().to_owned();
    clap_complete::generate(shell, &mut definition, name, &mut script);
    super::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Fine)
}

/// The definition without what is hidden, which scripts would offer all the same.
fn offered(full: &clap::Command) -> clap::Command {
    let shown = full.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()).cloned();
    clap::Command::new("nexus-inspect")
        .args(full.get_arguments().cloned())
        .subcommands(shown)
        .disable_help_subcommand(full.is_disable_help_subcommand_set())
}
