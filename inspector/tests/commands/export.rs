//! `export`, and the formats: what was recorded in one of them comes out of each.

use crate::fake::{BATCH, Conduct, Endpoint};
use crate::inspector::{Ran, inspector, read, run};
use nexus_protocol::frame::{ServerFrame, VERSION};
use nexus_protocol::trace::{Format, Reader, Reason};
use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A recording of three batches in this format. (Its target ends, hence the exit code.)
fn recorded(endpoint: &Endpoint, name: &str) -> PathBuf {
    let path = endpoint.directory().join(name);
    let socket = endpoint.socket.to_str().unwrap();
    run(endpoint.directory(), &["record", socket, "-o", path.to_str().unwrap()]).exits_with(3);
    path
}

fn export(directory: &Path, from: &Path, to: &Path, more: &[&str]) -> Ran {
    let arguments = ["export", from.to_str().unwrap(), "-o", to.to_str().unwrap()];
    run(directory, &[&arguments[..], more].concat())
}

fn format_of(path: &Path) -> Option<Format> {
    let mut reader = Reader::new(BufReader::new(File::open(path).unwrap()));
    reader.next().unwrap().unwrap();
    reader.format()
}

#[test]
fn the_ending_of_the_file_says_how_it_is_recorded() {
    let endpoint = Endpoint::new(Conduct::Ends);
    for format in Format::ALL {
        let path = recorded(&endpoint, &format!("t.{}", format.name()));
        assert_eq!(format_of(&path), Some(format));
        let (records, summary) = read(&path);
        assert_eq!(records, 3 * BATCH);
        let summary = summary.expect("the trace is whole");
        assert_eq!(summary.reason, Reason::ProcessEnding);
        assert_eq!(summary.delivered(), records);
    }
    let path = endpoint.directory().join("no-known-ending");
    let socket = endpoint.socket.to_str().unwrap();
    let arguments = ["record", socket, "--format", "nxt", "-o", path.to_str().unwrap()];
    run(endpoint.directory(), &arguments).exits_with(3);
    assert_eq!(format_of(&path), Some(Format::Native));
}

#[test]
fn a_trace_survives_the_way_through_all_formats() {
    let endpoint = Endpoint::new(Conduct::Ends);
    let directory = endpoint.directory();
    let first = recorded(&endpoint, "first.json");
    let document = fs::read(&first).unwrap();
    let mut last = first;
    for name in ["a.nxt", "b.jsonl", "c.nxt", "d.json"] {
        let next = directory.join(name);
        export(directory, &last, &next, &[]).exits_with(0).says(&format!("{} events", 3 * BATCH));
        last = next;
    }
    assert_eq!(fs::read(&last).unwrap(), document);
    let sizes = ["a.nxt", "d.json"].map(|name| fs::metadata(directory.join(name)).unwrap().len());
    assert!(sizes[0] * 10 < sizes[1], "{sizes:?}");
}

#[test]
fn a_pipe_carries_any_format() {
    let endpoint = Endpoint::new(Conduct::Ends);
    let directory = endpoint.directory();
    let trace = recorded(&endpoint, "t.nxt");
    for format in Format::ALL.map(Format::name) {
        let arguments = ["export", "-", "-o", "-", "--format", format];
        let mut child = inspector(directory, &arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&fs::read(&trace).unwrap()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut reader = Reader::new(&output.stdout[..]);
        assert!(reader.by_ref().all(|frame| frame.is_ok()));
        assert_eq!(reader.format().map(Format::name), Some(format));
        assert_eq!(reader.summary().unwrap().delivered(), 3 * BATCH);
    }
}

#[test]
fn a_native_trace_that_was_cut_off_is_read_to_its_last_whole_frame() {
    let endpoint = Endpoint::new(Conduct::Ends);
    let directory = endpoint.directory();
    let trace = recorded(&endpoint, "t.nxt");
    let bytes = fs::read(&trace).unwrap();
    // The last event frame is the third batch: without its last bytes two are left.
    let mut frames = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        frames.push((at, bytes[at + 4]));
        at += 5 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    }
    let events = nexus_protocol::encode::frame_kind::SERVER_EVENTS;
    let batches: Vec<usize> =
        frames.iter().filter(|(_, kind)| *kind == events).map(|&(at, _)| at).collect();
    assert_eq!(batches.len(), 3);
    let cut = directory.join("cut.nxt");
    let out = directory.join("out.json");
    for (end, whole) in [(batches[2] + 9, 2), (batches[2], 2), (batches[1] + 1, 1), (batches[0], 0)]
    {
        fs::write(&cut, &bytes[..end]).unwrap();
        export(directory, &cut, &out, &["--force"])
            .exits_with(0)
            .says("cut.nxt breaks off before its end");
        assert_eq!(read(&out).0, whole * BATCH, "cut at {end}");
    }
    fs::write(&cut, &bytes[..20]).unwrap();
    fs::remove_file(&out).unwrap();
    export(directory, &cut, &out, &[]).exits_with(5).says("breaks off before its first event");
    assert!(!out.exists());
}

#[test]
fn a_native_trace_of_a_newer_version_is_refused_with_its_number() {
    let endpoint = Endpoint::new(Conduct::Ends);
    let directory = endpoint.directory();
    let trace = recorded(&endpoint, "t.nxt");
    let mut bytes = fs::read(&trace).unwrap();
    bytes[11..13].copy_from_slice(&(VERSION + 7).to_le_bytes());
    fs::write(&trace, bytes).unwrap();
    export(directory, &trace, &directory.join("out.json"), &[])
        .exits_with(5)
        .says(&format!("version {} of the format", VERSION + 7))
        .says("use a newer one");
}

#[test]
fn damage_in_a_native_trace_is_an_error_that_names_the_place() {
    let endpoint = Endpoint::new(Conduct::Ends);
    let directory = endpoint.directory();
    let trace = recorded(&endpoint, "t.nxt");
    let mut bytes = fs::read(&trace).unwrap();
    let hello = 5 + u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
    bytes[hello..hello + 4].fill(0xFF);
    fs::write(&trace, bytes).unwrap();
    export(directory, &trace, &directory.join("out.json"), &[])
        .exits_with(5)
        .says("damaged")
        .says(&format!("byte {hello}"));
}

#[test]
fn what_is_no_trace_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (noise, out) = (directory.path().join("t.nxt"), directory.path().join("out.json"));
    fs::write(&noise, b"a text that somebody has given this name").unwrap();
    export(directory.path(), &noise, &out, &[]).exits_with(5).says("not a nexus trace");
    assert!(!out.exists());
    export(directory.path(), Path::new("/nowhere/t.nxt"), &out, &[])
        .exits_with(3)
        .says("/nowhere/t.nxt");
}

/// Turns are a microsecond apart.
#[test]
fn a_part_of_a_trace_accounts_for_what_it_leaves_out() {
    let endpoint = Endpoint::new(Conduct::Ends);
    let directory = endpoint.directory();
    let trace = recorded(&endpoint, "t.nxt");
    let part = directory.join("part.nxt");
    export(directory, &trace, &part, &["--from", "0.150ms", "--to", "0.250ms"])
        .exits_with(0)
        .says("200 filtered out");
    let mut reader = Reader::new(BufReader::new(File::open(&part).unwrap()));
    let (mut numbers, mut boards) = (Vec::new(), 0);
    for frame in reader.by_ref() {
        match frame.unwrap() {
            ServerFrame::Events { records, .. } => {
                numbers.extend(records.iter().map(|record| record.seq));
            }
            ServerFrame::Snapshot(_) => boards += 1,
            _ => {}
        }
    }
    assert_eq!(numbers, (150..250).collect::<Vec<_>>());
    assert_eq!(boards, 1, "the state that the events change");
    let summary = reader.summary().unwrap();
    assert!(summary.complete());
    assert_eq!((summary.recorded(), summary.filtered()), (3 * BATCH, 200));
}
