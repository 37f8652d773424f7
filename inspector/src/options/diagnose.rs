//! What `diagnose` was asked for.

use crate::analysis::{Kind, Severity, Thresholds, Value};
use crate::failure::Failure;
use crate::target::Target;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What to diagnose, and how.
#[derive(Debug, PartialEq, Eq)]
pub struct Diagnose {
    /// What.
    pub target: Target,
    /// As JSON.
    pub json: bool,
    /// When to end; without it, at the target's end, if it has one.
    pub length: Option<Duration>,
    /// Milder findings are left out.
    pub min_severity: Severity,
    /// Which findings make the exit code 1.
    pub fail_on: Option<FailOn>,
    /// A report of what is known already.
    pub baseline: Option<PathBuf>,
    /// From when on something is a finding.
    pub thresholds: Thresholds,
    /// Tell every finding in full.
    pub all: bool,
    /// Print annotations for GitHub as well.
    pub annotations: bool,
}

/// Findings that make the exit code 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailOn {
    /// Of any kind.
    Any,
    /// Of these.
    Kinds(Vec<Kind>),
}

impl FailOn {
    /// Whether a finding of this kind is meant.
    #[must_use]
    pub fn names(&self, kind: Kind) -> bool {
        match self {
            Self::Any => true,
            Self::Kinds(kinds) => kinds.contains(&kind),
        }
    }
}

pub(super) fn kind(name: &str) -> Result<Kind, Failure> {
    Kind::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        Failure::usage(format!("{name:?} is no kind of finding; there are: {}", names.join(", ")))
    })
}

pub(super) fn severity(name: &str) -> Result<Severity, Failure> {
    Severity::from_name(name).ok_or_else(|| Failure::usage(format!("{name:?} is no severity")))
}

pub(super) fn fail_on(names: &[String]) -> Result<Option<FailOn>, Failure> {
    if names.is_empty() {
        return Ok(None);
    }
    if names.iter().any(|name| name == "any") {
        return Ok(Some(FailOn::Any));
    }
    let kinds: Result<_, _> = names.iter().map(|name| kind(name)).collect();
    Ok(Some(FailOn::Kinds(kinds?)))
}

/// The defaults, changed by a file of `name = value` lines (with `#` comments) and then by flags.
pub(super) fn thresholds(file: Option<&Path>, flags: &[String]) -> Result<Thresholds, Failure> {
    let mut thresholds = Thresholds::default();
    if let Some(path) = file {
        let text = fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("cannot read the thresholds in {}: {error}", path.display()))
        })?;
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        for line in lines.filter(|line| !line.is_empty()) {
            set(&mut thresholds, line)?;
        }
    }
    for flag in flags {
        set(&mut thresholds, flag)?;
    }
    Ok(thresholds)
}

fn set(thresholds: &mut Thresholds, text: &str) -> Result<(), Failure> {
    let names = Thresholds::NAMES.join(", ");
    let wrong = || {
        Failure::usage(format!(
            "{text:?} is no threshold: expected NAME=VALUE, with one of {names}"
        ))
    };
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    let value = value.trim();
    match thresholds.get_mut(name.trim()).ok_or_else(wrong)? {
        Value::Count(count) => *count = value.parse().map_err(|_| wrong())?,
        Value::Time(ns) => {
            let length = super::length(value)?;
            *ns = u64::try_from(length.as_nanos()).map_err(|_| wrong())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_come_from_a_file_and_from_flags() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "# ours\nblocked-poll = 50ms # long\n\nmin-count=7\n").unwrap();
        let flags = ["min-count=9".to_owned()];
        let thresholds = thresholds(Some(file.path()), &flags).unwrap();
        assert_eq!(thresholds.blocked_poll_ns, 50_000_000);
        assert_eq!(thresholds.min_count, 9);
        for wrong in ["none=1", "min-count", "min-count=many", "blocked-poll=soon"] {
            let failure = super::thresholds(None, &[wrong.to_owned()]).unwrap_err();
            assert_eq!(failure.exit(), crate::failure::Exit::Usage, "{wrong}");
        }
    }

    #[test]
    fn what_to_fail_on_is_named() {
        let named = |names: &[&str]| {
            fail_on(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(named(&[]).unwrap(), None);
        assert_eq!(named(&["self-wake", "any"]).unwrap(), Some(FailOn::Any));
        let kinds = FailOn::Kinds(vec![Kind::SelfWake, Kind::LostWake]);
        assert_eq!(named(&["self-wake", "lost-wake"]).unwrap(), Some(kinds));
        assert!(named(&["self-weak"]).unwrap_err().to_string().contains("false-readiness"));
    }
}
