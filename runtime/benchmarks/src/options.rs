//! What the command line says.

use crate::contestants::Contestant;
use crate::workloads::{Size, Workload};

/// How to use it.
pub(crate) const USAGE: &str = concat!(
    "usage: ",
    env!("CARGO_BIN_NAME"),
    " [--quick] [--only WORKLOAD]... [--contestant NAME]... [--rounds N] [--markdown] [--list]

  --quick            short cells, three rounds: shows that all works
  --only WORKLOAD    only workloads whose name begins so
  --contestant NAME  only contestants whose name begins so, and what they are compared with
  --rounds N         so many rounds, instead of what each workload has
  --markdown         tables for BENCHMARKS.md
  --list             the names of workloads and contestants"
);

/// What a run is to do.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) size: Size,
    pub(crate) workloads: Vec<Workload>,
    pub(crate) contestants: Vec<Contestant>,
    pub(crate) rounds: Option<u32>,
    pub(crate) markdown: bool,
    pub(crate) list: bool,
}

impl Options {
    /// Reads the arguments that follow the program's name.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            size: Size::Full,
            workloads: Vec::new(),
            contestants: Vec::new(),
            rounds: None,
            markdown: false,
            list: false,
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--quick" => options.size = Size::Quick,
                "--markdown" => options.markdown = true,
                "--list" => options.list = true,
                "--rounds" => {
                    let rounds = value()?.parse().ok().filter(|&rounds| rounds > 0);
                    options.rounds = Some(rounds.ok_or("--rounds needs a number from 1 up")?);
                }
                "--only" => {
                    let name = value()?;
                    let found = matching(Workload::ALL, |workload| workload.name(), &name)?;
                    options.workloads.extend(found);
                }
                "--contestant" => {
                    let name = value()?;
                    let found = matching(Contestant::ALL, |contestant| contestant.name(), &name)?;
                    options.contestants.extend(found);
                }
                _ => return Err(format!("{argument}?\n\n{USAGE}")),
            }
        }
        if options.workloads.is_empty() {
            options.workloads = Workload::ALL.to_vec();
        }
        if options.contestants.is_empty() {
            options.contestants = Contestant::ALL.to_vec();
        }
        Ok(options)
    }
}

fn matching<T: Copy>(
    all: &[T],
    name: fn(T) -> &'static str,
    wanted: &str,
) -> Result<Vec<T>, String> {
    let found: Vec<T> = all.iter().copied().filter(|&one| name(one).starts_with(wanted)).collect();
    if found.is_empty() {
        let names: Vec<&str> = all.iter().map(|&one| name(one)).collect();
        return Err(format!("no name begins with {wanted}; there are: {}", names.join(", ")));
    }
    Ok(found)
}
