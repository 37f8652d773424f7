//! Findings as JSON, and a baseline read back from it. The document's shape is that of `findings.schema.json`.

use super::finding::Finding;
use super::{Report, RuntimeReport};
use crate::model::Strings;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The version of the document's shape.
const VERSION: u64 = 1;

/// The whole report as a JSON document.
#[must_use]
pub fn report(report: &Report, strings: &Strings) -> Value {
    let process = report.process.as_ref().map(|process| {
        json!({
            "pid": process.pid,
            "program": process.program,
            "command_line": process.command_line,
        })
    });
    json!({
        "nexus_findings": VERSION,
        "process": process,
        "complete": report.is_complete(),
        "runtimes": report.runtimes.iter().map(|each| runtime(each, strings)).collect::<Vec<_>>(),
    })
}

fn runtime(runtime: &RuntimeReport, strings: &Strings) -> Value {
    let seen = &runtime.seen;
    json!({
        "runtime": runtime.id.0,
        "name": runtime.name,
        "observed_ns": runtime.span_ns,
        "records": seen.records,
        "lost": seen.lost,
        "filtered": seen.filtered,
        "polls": seen.polls,
        "spurious": seen.spurious,
        "unattributed": seen.unattributed,
        "not_judged": runtime.not_judged,
        "findings": runtime.findings.iter().map(|each| finding(each, strings)).collect::<Vec<_>>(),
    })
}

fn finding(finding: &Finding, strings: &Strings) -> Value {
    let (what, id) = finding.subject.id();
    json!({
        "kind": finding.kind.name(),
        "severity": finding.severity.name(),
        "subject": {
            "what": what,
            "id": id,
            "text": finding.subject.text(strings),
            "others": finding.others,
        },
        "location": finding.location,
        "count": finding.count,
        "counted": finding.kind.unit(),
        "rate_per_s": finding.rate,
        "wasted_ns": finding.wasted_ns,
        "first_ns": finding.seen.0.0,
        "last_ns": finding.seen.1.0,
        "evidence": finding.evidence,
        "explanation": finding.explanation,
        "remedy": finding.remedy,
        "share": finding.share,
        "symptoms": finding.symptoms.iter().map(|each| self::finding(each, strings)).collect::<Vec<_>>(),
    })
}

/// Why a text is not a baseline.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It is not JSON.
    #[error("it is not JSON")]
    Json(#[from] serde_json::Error),
    /// It is JSON of another sort.
    #[error("it is not what `diagnose --json` writes")]
    Shape,
    /// It was written by a newer version.
    #[error("it was written by a newer version of nexus-inspect: format {0}")]
    Version(u64),
}

/// What was known already: how often each finding occurred, by kind and place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    rates: BTreeMap<(String, String), f64>,
}

/// How much worse a rate must be than the baseline's to count as worse: runs differ.
const WORSE: f64 = 1.5;

impl Baseline {
    /// Reads what [`report`] has written.
    ///
    /// # Errors
    ///
    /// If it is not such a document.
    pub fn from_json(text: &str) -> Result<Self, BaselineError> {
        let document: Value = serde_json::from_str(text)?;
        let version = document["nexus_findings"].as_u64().ok_or(BaselineError::Shape)?;
        if version > VERSION {
            return Err(BaselineError::Version(version));
        }
        let mut baseline = Self::default();
        for runtime in document["runtimes"].as_array().ok_or(BaselineError::Shape)? {
            baseline.take(&runtime["findings"])?;
        }
        Ok(baseline)
    }

    fn take(&mut self, findings: &Value) -> Result<(), BaselineError> {
        for finding in findings.as_array().ok_or(BaselineError::Shape)? {
            let kind = finding["kind"].as_str().ok_or(BaselineError::Shape)?;
            let location = finding["location"].as_str().ok_or(BaselineError::Shape)?;
            let rate = finding["rate_per_s"].as_f64().ok_or(BaselineError::Shape)?;
            *self.rates.entry((kind.to_owned(), place(location))).or_default() += rate;
            self.take(&finding["symptoms"])?;
        }
        Ok(())
    }

    /// Whether a finding is new, or half as frequent again as it was.
    #[must_use]
    pub fn is_new_or_worse(&self, finding: &Finding) -> bool {
        let key = (finding.kind.name().to_owned(), place(&finding.location));
        self.rates.get(&key).is_none_or(|&known| finding.rate > known * WORSE)
    }
}

/// A location without line and column, which change with every edit above them.
fn place(location: &str) -> String {
    let mut parts = location.rsplitn(3, ':');
    let numbers = [parts.next(), parts.next()];
    let numeric = |part: &Option<&str>| {
        part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    match parts.next() {
        Some(file) if numbers.iter().all(numeric) => file.to_owned(),
        _ => location.to_owned(),
    }
}
