//! The command line as it is typed. What it means, and whether it makes sense, is the business of
//! [`options`](crate::options).

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::ffi::OsString;
use std::path::PathBuf;

/// Names of the formats of traces.
const FORMATS: [&str; 3] = ["json", "jsonl", "nxt"];

/// Names of severities.
const SEVERITIES: [&str; 3] = ["hint", "warning", "serious"];

const AFTER_HELP: &str = "\
TARGET, in this order:
  demo    a demo workload, in a process of its own
  -       a trace on standard input
  FILE    a socket, a trace, or the recording that a process has left:
          has a / or ends in .sock, .json, .jsonl, .nxt or .map
  PID     a process, by its number
  NAME    a process, by the name of its runtime, its program, or its comm
  pid:… name:… file:… socket:… force one of these

Exit codes:
  0 fine   1 a finding that --fail-on names   2 usage
  3 the target is not there, gone, or not allowed
  4 whether there is such a finding could not be judged
  5 reading or writing on this side failed   6 the COMMAND failed";

/// Ask a running nexus runtime why its tasks wake up.
///
/// Without a subcommand: the terminal program. Without a TARGET: a list to choose from.
#[derive(Debug, Parser)]
#[command(name = "nexus-inspect", version, after_help = AFTER_HELP)]
#[command(args_conflicts_with_subcommands = true, subcommand_value_name = "SUBCOMMAND")]
pub struct Cli {
    /// A subcommand; the terminal program if there is none.
    #[command(subcommand)]
    pub subcommand: Option<Command>,
    /// What to look at.
    #[command(flatten)]
    pub observed: Observed,
}

/// What to look at: one of the two.
#[derive(Debug, Args)]
pub struct Observed {
    /// What to look at: demo, PID, NAME, FILE or -
    #[arg(value_name = "TARGET", conflicts_with = "command")]
    pub target: Option<OsString>,
    /// Start this program, follow its children, and take in all until its end
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what can be attached to
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Record a target to a trace
    Record {
        /// What to record.
        #[command(flatten)]
        observed: Observed,
        /// Where to write the trace; - for standard output
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// The trace's format; without it, what FILE ends in, or json
        #[arg(long, value_name = "FORMAT", value_parser = FORMATS)]
        format: Option<String>,
        /// End after this time, such as 10s, 500ms or 2m; without it, at Ctrl-C or the target's end
        #[arg(long = "for", value_name = "TIME")]
        length: Option<String>,
        /// Leave out what the target recorded before the attach
        #[arg(long)]
        no_history: bool,
        /// Record events of these kinds only, such as wake,poll-end; the others are counted
        #[arg(long, value_name = "KIND,…", value_delimiter = ',')]
        only: Vec<String>,
        /// Replace FILE if it exists
        #[arg(long)]
        force: bool,
    },
    /// Open a recorded trace in the terminal program
    Replay {
        /// The trace; - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Write a trace in another format, or a part of it
    Export {
        /// The trace; - for standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The format to write; without it, what OUT ends in, or json
        #[arg(long, value_name = "FORMAT", value_parser = FORMATS)]
        format: Option<String>,
        /// Where to write it; - for standard output
        #[arg(short, long, value_name = "OUT")]
        output: PathBuf,
        /// Leave out events before this time, such as 1.5s, counted from the trace's first event
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Leave out events from this time on, counted from the trace's first event
        #[arg(long, value_name = "TIME")]
        to: Option<String>,
        /// Replace OUT if it exists
        #[arg(long)]
        force: bool,
    },
    /// Say what is wrong with a target, and what to change
    Diagnose {
        /// What to look at.
        #[command(flatten)]
        observed: Observed,
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// End after this time, such as 10s or 500ms; without it, 5s for a process, else at its end
        #[arg(long = "for", value_name = "TIME")]
        length: Option<String>,
        /// Leave out findings milder than this
        #[arg(long, value_name = "SEVERITY", value_parser = SEVERITIES, default_value = "hint")]
        min_severity: String,
        /// Exit with code 1 if there is a finding of these kinds, or of any
        #[arg(long, value_name = "KIND,…|any", value_delimiter = ',')]
        fail_on: Vec<String>,
        /// Let --fail-on overlook what this report of `diagnose --json` tells as well, unless it got worse
        #[arg(long, value_name = "FILE", requires = "fail_on")]
        baseline: Option<PathBuf>,
        /// Change a threshold, such as blocked-poll=50ms; --explain says which there are
        #[arg(long = "threshold", value_name = "NAME=VALUE")]
        thresholds: Vec<String>,
        /// The same from a file, a line each
        #[arg(long = "thresholds", value_name = "FILE")]
        thresholds_file: Option<PathBuf>,
        /// Tell every finding in full
        #[arg(long)]
        all: bool,
        /// Print annotations for GitHub as well
        #[arg(long, conflicts_with = "json")]
        github: bool,
        /// Say what a kind of finding is, and end
        #[arg(long, value_name = "KIND", conflicts_with_all = ["target", "command"])]
        explain: Option<String>,
    },
    /// Print the tokens and tasks of a target, once
    Snapshot {
        /// What to look at.
        #[command(flatten)]
        observed: Observed,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// The process behind the target `demo`; ends when its standard input does.
    #[command(hide = true)]
    DemoWorkload,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_target_may_stand_alone_and_a_command_after_two_dashes() {
        let cli = Cli::try_parse_from(["nexus-inspect", "4711"]).unwrap();
        assert_eq!(cli.observed.target.as_deref(), Some("4711".as_ref()));
        assert!(cli.subcommand.is_none());
        let cli = Cli::try_parse_from(["nexus-inspect", "--", "list", "--json"]).unwrap();
        assert!(cli.subcommand.is_none());
        assert_eq!(cli.observed.command, ["list", "--json"]);
        let cli = Cli::try_parse_from(["nexus-inspect", "-"]).unwrap();
        assert_eq!(cli.observed.target.as_deref(), Some("-".as_ref()));
    }

    #[test]
    fn a_target_and_a_command_exclude_each_other() {
        assert!(Cli::try_parse_from(["nexus-inspect", "4711", "--", "true"]).is_err());
        assert!(Cli::try_parse_from(["nexus-inspect", "4711", "list"]).is_err());
    }

    #[test]
    fn formats_are_those_of_traces() {
        assert_eq!(FORMATS, nexus_protocol::trace::Format::ALL.map(|format| format.name()));
    }

    #[test]
    fn severities_are_those_of_findings() {
        assert_eq!(SEVERITIES, crate::analysis::Severity::ALL.map(|severity| severity.name()));
    }

    #[test]
    fn a_recording_needs_a_file() {
        assert!(Cli::try_parse_from(["nexus-inspect", "record", "4711"]).is_err());
        assert!(Cli::try_parse_from(["nexus-inspect", "record", "4711", "-o", "-"]).is_ok());
    }
}
