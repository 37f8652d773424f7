//! `diagnose`: on traces whole, cut and with gaps, on the demo, and as a judge in CI.

use crate::inspector::{Ran, inspector, run};
use nexus_inspect::model::testing;
use nexus_protocol::frame::ServerFrame;
use nexus_protocol::trace::{Format, Writer};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

struct Traces {
    directory: TempDir,
}

impl Traces {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A trace of these frames.
    fn write(&self, name: &str, frames: &[ServerFrame]) -> PathBuf {
        let path = self.path().join(name);
        let mut writer = Writer::new(Format::of_path(&path).unwrap(), File::create(&path).unwrap());
        for frame in frames {
            writer.frame(frame).unwrap();
        }
        writer.finish().unwrap();
        path
    }

    /// A recording with sins, and with a gap.
    fn with_gap(&self, name: &str) -> PathBuf {
        self.write(name, &testing::trace())
    }

    /// The same up to the gap.
    fn whole(&self, name: &str) -> PathBuf {
        let frames = testing::trace();
        let gap = frames.iter().position(|frame| matches!(frame, ServerFrame::Loss { .. }));
        self.write(name, &frames[..gap.unwrap()])
    }

    fn diagnose(&self, trace: &Path, arguments: &[&str]) -> Ran {
        let line = [&["diagnose", trace.to_str().unwrap()], arguments].concat();
        run(self.path(), &line)
    }
}

fn document(ran: &Ran) -> Value {
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    let schema: Value = serde_json::from_str(include_str!("../../findings.schema.json")).unwrap();
    jsonschema::draft202012::meta::validate(&schema).expect("the schema is one of draft 2020-12");
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    document
}

/// The finding of this kind that is no symptom.
#[track_caller]
fn finding<'a>(document: &'a Value, kind: &str) -> &'a Value {
    let findings = document["runtimes"][0]["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["kind"] == kind).expect("it is found")
}

#[test]
fn a_trace_is_diagnosed_alike_in_every_format() {
    let traces = Traces::new();
    let mut told: Vec<Value> = Vec::new();
    for name in ["t.json", "t.jsonl", "t.nxt"] {
        let ran = traces.diagnose(&traces.with_gap(name), &["--json"]).exits_with(0);
        told.push(document(&ran));
    }
    assert_eq!(told[0], told[1]);
    assert_eq!(told[0], told[2]);
    let found = finding(&told[0], "needless-interest");
    assert_eq!(found["subject"]["id"], "6.1");
    assert_eq!(found["location"], "src/feed.rs:71:22");
    assert_eq!(found["symptoms"][0]["kind"], "wrong-direction");
    assert_eq!(finding(&told[0], "self-wake")["location"], "src/queue.rs:140:5");
    assert_eq!(told[0]["complete"], false);
}

#[test]
fn people_get_a_text_without_colours_where_there_is_no_terminal() {
    let traces = Traces::new();
    let ran = traces.diagnose(&traces.with_gap("t.nxt"), &[]).exits_with(0);
    for expected in
        ["self-wake", "src/queue.rs:140:5", "└ wrong-direction", "not judged: 150 records"]
    {
        assert!(ran.stdout.contains(expected), "no {expected:?} in:\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains('\x1b'));
    assert!(ran.stdout.lines().count() < 50, "{}", ran.stdout);
    let mild = traces.diagnose(&traces.with_gap("u.nxt"), &["--min-severity", "serious"]);
    assert!(!mild.exits_with(0).stdout.contains("token-leak"));
}

#[test]
fn the_exit_code_says_what_was_found_and_what_could_not_be_judged() {
    let traces = Traces::new();
    let (gap, whole) = (traces.with_gap("gap.nxt"), traces.whole("whole.nxt"));
    for trace in [&gap, &whole] {
        traces
            .diagnose(trace, &["--fail-on", "self-wake"])
            .exits_with(1)
            .says("self-wake of task 5");
        traces.diagnose(trace, &["--fail-on", "dead-wakes,wrong-direction"]).exits_with(1);
        traces.diagnose(trace, &["--fail-on", "any"]).exits_with(1);
    }
    traces
        .diagnose(&gap, &["--fail-on", "dead-wakes"])
        .exits_with(4)
        .says("not all could be judged");
    traces.diagnose(&whole, &["--fail-on", "dead-wakes"]).exits_with(0);
    traces.diagnose(&whole, &["--fail-on", "deadwakes"]).exits_with(2).says("no kind of finding");
    let threshold = ["--fail-on", "self-wake", "--threshold", "min-count=1000000"];
    traces.diagnose(&whole, &threshold).exits_with(0);
    run(traces.path(), &["diagnose", "--fail-on", "any", "--", "true"]).exits_with(4);
    run(traces.path(), &["diagnose", "--fail-on", "any", "--", "false"]).exits_with(6);
    run(traces.path(), &["diagnose", "--", "true"]).exits_with(3);
}

#[test]
fn what_is_known_from_a_baseline_does_not_fail() {
    let traces = Traces::new();
    let whole = traces.whole("whole.nxt");
    let known = traces.path().join("known.json");
    let ran = traces.diagnose(&whole, &["--json"]).exits_with(0);
    fs::write(&known, &ran.stdout).unwrap();
    let known_path = known.to_str().unwrap();
    let line = ["--fail-on", "any", "--baseline", known_path];
    traces.diagnose(&whole, &line).exits_with(0);
    // One finding less is known: it is new.
    let mut document = document(&ran);
    let findings = document["runtimes"][0]["findings"].as_array_mut().unwrap();
    findings.retain(|finding| finding["kind"] != "self-wake");
    fs::write(&known, document.to_string()).unwrap();
    traces.diagnose(&whole, &line).exits_with(1).says("new or worse: self-wake of task 5");
    fs::write(&known, "[]").unwrap();
    traces.diagnose(&whole, &line).exits_with(2).says("as a baseline");
}

#[test]
fn a_trace_that_breaks_off_is_judged_as_far_as_it_goes() {
    let traces = Traces::new();
    let whole = traces.whole("whole.nxt");
    let bytes = fs::read(&whole).unwrap();
    fs::write(&whole, &bytes[..bytes.len() * 2 / 3]).unwrap();
    let ran = traces.diagnose(&whole, &[]).exits_with(0);
    assert!(ran.stdout.contains("self-wake"), "{}", ran.stdout);
    assert!(ran.stdout.contains("not all was seen"), "{}", ran.stdout);
    traces.diagnose(&whole, &["--fail-on", "dead-wakes"]).exits_with(4);
    fs::write(&whole, b"").unwrap();
    traces.diagnose(&whole, &["--fail-on", "any"]).exits_with(4);
    traces.diagnose(&whole, &[]).exits_with(5);
    let mut command = inspector(traces.path(), &["diagnose", "-"]);
    let gap = traces.with_gap("gap.json");
    let ran = Ran::from(command.stdin(File::open(gap).unwrap()).output().unwrap()).exits_with(0);
    assert!(ran.stdout.contains("self-wake"), "{}", ran.stdout);
}

#[test]
fn annotations_name_file_and_line() {
    let traces = Traces::new();
    let ran = traces.diagnose(&traces.whole("t.nxt"), &["--github"]).exits_with(0);
    let line = ran.stdout.lines().find(|line| line.contains("title=self-wake")).unwrap();
    assert!(line.contains("file=src/queue.rs,line=140,"), "{line}");
}

#[test]
fn a_kind_is_explained_without_a_target() {
    let traces = Traces::new();
    let ran = run(traces.path(), &["diagnose", "--explain", "lost-wake"]).exits_with(0);
    assert!(ran.stdout.contains("What to do:"), "{}", ran.stdout);
    run(traces.path(), &["diagnose", "--explain", "nothing"]).exits_with(2);
}

#[test]
fn the_sins_of_the_demo_are_found() {
    let traces = Traces::new();
    let ran = run(traces.path(), &["diagnose", "demo", "--for", "2s", "--json"]).exits_with(0);
    let document = document(&ran);
    let task = finding(&document, "self-wake");
    assert!(task["subject"]["text"].as_str().unwrap().contains("price-watch"), "{task:#}");
    let wrong = finding(&document, "wrong-direction");
    assert!(wrong["location"].as_str().unwrap().contains("demo/sins.rs"), "{wrong:#}");
}
