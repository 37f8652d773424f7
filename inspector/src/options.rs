//! The command line, validated: what is to be done, with values that make sense.

mod diagnose;

pub use diagnose::{Diagnose, FailOn};

use crate::analysis::Kind;
use crate::cli::{Cli, Command, Observed};
use crate::failure::Failure;
use crate::target::Target;
use clap_complete::Shell;
use nexus_protocol::event::kind;
use nexus_protocol::frame::KindFilter;
use nexus_protocol::trace::Format;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// The terminal program; without a target, a list to choose from.
    Inspect(Option<Target>),
    /// List what can be attached to.
    List {
        /// As JSON.
        json: bool,
    },
    /// Record to a file.
    Record(Record),
    /// Write a trace in another format, or a part of it.
    Export(Export),
    /// Say what is wrong.
    Diagnose(Diagnose),
    /// Say what a kind of finding is.
    Explain(Kind),
    /// Print a snapshot.
    Snapshot {
        /// Of what.
        target: Target,
        /// As JSON.
        json: bool,
    },
    /// Print a completion script.
    Completions(Shell),
    /// Be the demo workload.
    DemoWorkload,
}

/// What and how to record.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    /// What to record.
    pub target: Target,
    /// Where to.
    pub output: Output,
    /// In which format.
    pub format: Format,
    /// When to end; without it, at a signal or the target's end.
    pub length: Option<Duration>,
    /// Whether to take in what was recorded before the attach.
    pub history: bool,
    /// Which kinds of event.
    pub kinds: KindFilter,
}

/// What to write anew, and how.
#[derive(Debug, PartialEq, Eq)]
pub struct Export {
    /// The trace.
    pub target: Target,
    /// Where to.
    pub output: Output,
    /// In which format.
    pub format: Format,
    /// Events before this time are left out; counted from the first event, as is the next one.
    pub from: Option<Duration>,
    /// Events from this time on are left out.
    pub to: Option<Duration>,
}

/// Where a recording goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file.
    File {
        /// Its path.
        path: PathBuf,
        /// Whether it may replace one that exists.
        replace: bool,
    },
}

impl Action {
    /// What this command line means.
    ///
    /// # Errors
    ///
    /// A usage [`Failure`] that says which part makes no sense.
    pub fn from_cli(cli: Cli) -> Result<Self, Failure> {
        let Some(command) = cli.subcommand else {
            return Ok(Self::Inspect(target_of(cli.observed)?));
        };
        Ok(match command {
            Command::List { json } => Self::List { json },
            Command::Record { observed, output, format, length, no_history, only, force } => {
                Self::Record(Record {
                    target: needed(observed, "record")?,
                    format: format_of(format.as_deref(), &output),
                    output: output_at(&output, force),
                    length: length.as_deref().map(duration).transpose()?,
                    history: !no_history,
                    kinds: kinds(&only)?,
                })
            }
            Command::Replay { file } => Self::Inspect(Some(trace_at(file))),
            Command::Export { file, format, output, from, to, force } => {
                let (from, to) = (from.as_deref(), to.as_deref());
                let (from, to) = (from.map(length).transpose()?, to.map(length).transpose()?);
                if to.is_some_and(|to| to <= from.unwrap_or_default()) {
                    return Err(Failure::usage("nothing lies between --from and --to"));
                }
                Self::Export(Export {
                    target: trace_at(file),
                    format: format_of(format.as_deref(), &output),
                    output: output_at(&output, force),
                    from,
                    to,
                })
            }
            Command::Diagnose { explain: Some(kind), .. } => Self::Explain(diagnose::kind(&kind)?),
            Command::Diagnose {
                observed,
                json,
                length,
                min_severity,
                fail_on,
                baseline,
                thresholds,
                thresholds_file,
                all,
                github,
                explain: None,
            } => Self::Diagnose(Diagnose {
                target: needed(observed, "diagnose")?,
                json,
                length: length.as_deref().map(duration).transpose()?,
                min_severity: diagnose::severity(&min_severity)?,
                fail_on: diagnose::fail_on(&fail_on)?,
                baseline,
                thresholds: diagnose::thresholds(thresholds_file.as_deref(), &thresholds)?,
                all,
                annotations: github,
            }),
            Command::Snapshot { observed, json } => {
                Self::Snapshot { target: needed(observed, "snapshot")?, json }
            }
            Command::Completions { shell } => Self::Completions(shell),
            Command::DemoWorkload => Self::DemoWorkload,
        })
    }
}

fn target_of(observed: Observed) -> Result<Option<Target>, Failure> {
    if !observed.command.is_empty() {
        return Ok(Some(Target::Command(observed.command)));
    }
    observed.target.as_deref().map(Target::parse).transpose()
}

fn needed(observed: Observed, subcommand: &str) -> Result<Target, Failure> {
    target_of(observed)?.ok_or_else(|| {
        Failure::usage(format!(
            "{subcommand} needs a TARGET: a PID, a name, a socket, demo, or -- COMMAND; \
             `nexus-inspect list` shows what there is"
        ))
    })
}

fn trace_at(file: PathBuf) -> Target {
    if file.as_os_str() == "-" { Target::Stdin } else { Target::File(file) }
}

/// The format that is named, or else the one that the file's ending names, or else JSON.
fn format_of(name: Option<&str>, path: &Path) -> Format {
    name.and_then(Format::from_name).or_else(|| Format::of_path(path)).unwrap_or(Format::Json)
}

fn output_at(path: &Path, replace: bool) -> Output {
    if path.as_os_str() == "-" {
        Output::Stdout
    } else {
        Output::File { path: path.to_owned(), replace }
    }
}

/// Reads a length of time that is not zero.
fn duration(text: &str) -> Result<Duration, Failure> {
    let length = length(text)?;
    if length.is_zero() {
        return Err(Failure::usage(format!("{text:?} is no time at all: record for longer")));
    }
    Ok(length)
}

/// The kinds of event with these words; all, if there is no word.
fn kinds(words: &[String]) -> Result<KindFilter, Failure> {
    let code = |word: &String| {
        let codes = (0_u8..).zip(kind::NAMES).skip(1);
        let found = codes.into_iter().find(|(_, name)| name == word).map(|(code, _)| code);
        found.ok_or_else(|| {
            let known = kind::NAMES[1..].join(", ");
            Failure::usage(format!("{word:?} is no kind of event: choose among {known}"))
        })
    };
    let codes = words.iter().map(code).collect::<Result<Vec<_>, _>>()?;
    Ok(if codes.is_empty() { KindFilter::ALL } else { KindFilter::of(codes) })
}

/// Reads a length of time: a number, possibly with a fraction, and `ms`, `s` (or nothing), `m` or `h`.
fn length(text: &str) -> Result<Duration, Failure> {
    let wrong = || {
        Failure::usage(format!(
            "{text:?} is not a length of time: expected a number and a unit, such as 10s, 500ms or 2m"
        ))
    };
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let unit_s = match unit {
        "ms" => 0.001,
        "s" | "" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(number * unit_s).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn action(arguments: &[&str]) -> Result<Action, Failure> {
        let line = ["nexus-inspect"].iter().chain(arguments);
        Action::from_cli(Cli::try_parse_from(line).expect("the command line is well-formed"))
    }

    #[test]
    fn lengths_of_time() {
        for (text, ms) in
            [("10s", 10_000), ("500ms", 500), ("2m", 120_000), ("1h", 3_600_000), ("1.5", 1_500)]
        {
            assert_eq!(duration(text).unwrap(), Duration::from_millis(ms), "{text}");
        }
        for text in ["", "s", "-1s", "10 s", "ten", "1d", "1.2.3s", "0s", "99999999999999999999h"] {
            let failure = duration(text).unwrap_err();
            assert!(failure.to_string().contains(text), "{failure}");
        }
    }

    #[test]
    fn a_recording() {
        let line = ["record", "4711", "-o", "t.json", "--for", "5s", "--no-history"];
        let expected = Record {
            target: Target::Pid(4711),
            output: Output::File { path: "t.json".into(), replace: false },
            format: Format::Json,
            length: Some(Duration::from_secs(5)),
            history: false,
            kinds: KindFilter::ALL,
        };
        assert_eq!(action(&line).unwrap(), Action::Record(expected));
    }

    #[test]
    fn kinds_of_event_are_named_as_in_traces() {
        let kinds = |only: &str| match action(&["record", "demo", "-o", "-", "--only", only]) {
            Ok(Action::Record(record)) => Ok(record.kinds),
            Err(failure) => Err(failure.to_string()),
            other => panic!("{other:?}"),
        };
        assert_eq!(kinds("wake,poll-end").unwrap(), KindFilter::of([kind::WAKE, kind::POLL_END]));
        assert_eq!(kinds("turn").unwrap(), KindFilter::of([kind::TURN]));
        let failure = kinds("wakes").unwrap_err();
        assert!(failure.contains("\"wakes\"") && failure.contains("poll-start"), "{failure}");
        assert!(kinds("none").is_err(), "it is not the name of a kind");
    }

    #[test]
    fn the_format_is_the_one_named_or_that_of_the_ending() {
        let format = |line: &[&str]| match action(line).unwrap() {
            Action::Record(record) => record.format,
            Action::Export(export) => export.format,
            other => panic!("{other:?}"),
        };
        assert_eq!(format(&["record", "demo", "-o", "t.nxt"]), Format::Native);
        assert_eq!(format(&["record", "demo", "-o", "t.jsonl"]), Format::JsonLines);
        assert_eq!(format(&["record", "demo", "-o", "-"]), Format::Json);
        assert_eq!(format(&["export", "t.json", "-o", "t.nxt", "--format", "json"]), Format::Json);
        assert_eq!(format(&["export", "-", "-o", "-", "--format", "nxt"]), Format::Native);
    }

    #[test]
    fn a_part_of_a_trace_has_an_extent() {
        let line = ["export", "t.nxt", "-o", "-", "--from", "0s", "--to", "1.5s"];
        let Action::Export(export) = action(&line).unwrap() else { panic!("not an export") };
        assert_eq!(export.from, Some(Duration::ZERO));
        assert_eq!(export.to, Some(Duration::from_millis(1500)));
        for line in [["--from", "2s", "--to", "1s"], ["--to", "0s", "--from", "0s"]] {
            let line = [&["export", "t.nxt", "-o", "-"][..], &line].concat();
            assert!(action(&line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn a_missing_target_is_explained() {
        let failure = action(&["snapshot"]).unwrap_err();
        assert!(failure.to_string().contains("needs a TARGET"), "{failure}");
        assert_eq!(action(&[]).unwrap(), Action::Inspect(None));
    }

    #[test]
    fn a_file_to_replay_is_a_file_whatever_its_name() {
        let file = Target::File("4711".into());
        assert_eq!(action(&["replay", "4711"]).unwrap(), Action::Inspect(Some(file)));
        assert_eq!(action(&["replay", "-"]).unwrap(), Action::Inspect(Some(Target::Stdin)));
    }

    #[test]
    fn a_command_is_taken_as_it_stands() {
        let Action::Snapshot { target, json: false } =
            action(&["snapshot", "--", "a", "-b"]).unwrap()
        else {
            panic!("not a snapshot");
        };
        assert_eq!(target, Target::Command(vec!["a".into(), "-b".into()]));
    }
}
