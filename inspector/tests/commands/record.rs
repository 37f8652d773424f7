//! `record`: whatever happens, the file is a trace that can be read.

use crate::fake::{BATCH, Conduct, Endpoint};
use crate::inspector::{Ran, inspector, read, run, wait_for};
use nexus_protocol::event::kind;
use nexus_protocol::frame::{KindFilter, ServerFrame};
use nexus_protocol::trace::{Reader, Reason};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::BufReader;
use std::process::Stdio;

#[test]
fn a_recording_of_some_time_is_whole_and_accounts_for_everything() {
    let endpoint = Endpoint::new(Conduct::Loses);
    let trace = endpoint.directory().join("t.json");
    let socket = endpoint.socket.to_str().unwrap();
    let arguments = ["record", socket, "--for", "200ms", "-o", trace.to_str().unwrap()];
    let ran = run(endpoint.directory(), &arguments).exits_with(0);
    assert_eq!(ran.stdout, "", "data go to the file");
    let (records, summary) = read(&trace);
    let summary = summary.expect("the document is whole");
    assert_eq!(summary.reason, Reason::Finished);
    assert!(summary.complete());
    assert_eq!(summary.delivered(), records);
    assert_eq!(summary.lost(), BATCH);
    assert_eq!(summary.recorded(), records + BATCH);
    let ran = ran.says(&format!("{BATCH} lost"));
    let bytes = fs::metadata(&trace).unwrap().len();
    ran.says("t.json").says(&nexus_inspect::text::bytes(bytes));
}

#[test]
fn what_a_filter_leaves_out_is_counted_and_the_trace_says_what_it_was() {
    let endpoint = Endpoint::new(Conduct::Ends);
    let socket = endpoint.socket.to_str().unwrap();
    let record = |name: &str, only: &str| {
        let trace = endpoint.directory().join(name);
        let arguments = ["record", socket, "--only", only, "-o", trace.to_str().unwrap()];
        let ran = run(endpoint.directory(), &arguments).exits_with(3);
        let said = Reader::new(BufReader::new(fs::File::open(&trace).unwrap()));
        let filters = said.filter_map(|frame| match frame.unwrap() {
            ServerFrame::Filter(kinds) => Some(kinds),
            _ => None,
        });
        (ran, read(&trace), filters.collect::<Vec<_>>())
    };
    for name in ["some.json", "some.nxt"] {
        let (ran, (records, summary), filters) = record(name, "wake,poll-end");
        let summary = summary.unwrap();
        assert_eq!((records, summary.filtered(), summary.recorded()), (0, 3 * BATCH, 3 * BATCH));
        assert!(summary.complete(), "nothing is missing without a word");
        assert_eq!(filters, [KindFilter::of([kind::WAKE, kind::POLL_END])]);
        ran.says("filtered out");
    }
    let json = fs::read_to_string(endpoint.directory().join("some.json")).unwrap();
    assert!(json.contains(r#"{"kind":"filter","kinds":["wake","poll-end"],"#), "for people, too");
    assert_eq!(record("turns.json", "turn").1.0, 3 * BATCH);
    run(endpoint.directory(), &["record", socket, "--only", "wakes", "-o", "-"])
        .exits_with(2)
        .says("\"wakes\" is no kind of event");
}

#[test]
fn a_target_that_goes_leaves_a_valid_file_and_exit_code_3() {
    for (conduct, reason) in
        [(Conduct::Dies, Reason::NoGoodbye), (Conduct::Ends, Reason::ProcessEnding)]
    {
        let endpoint = Endpoint::new(conduct);
        let trace = endpoint.directory().join("t.json");
        let socket = endpoint.socket.to_str().unwrap();
        run(endpoint.directory(), &["record", socket, "-o", trace.to_str().unwrap()])
            .exits_with(3)
            .says("ended during the recording");
        let (records, summary) = read(&trace);
        assert_eq!(records, 3 * BATCH);
        assert_eq!(summary.unwrap().reason, reason);
    }
}

#[test]
fn a_signal_ends_a_recording_in_good_order() {
    for signal in [Signal::INT, Signal::TERM] {
        let endpoint = Endpoint::new(Conduct::Busy);
        let trace = endpoint.directory().join("t.json");
        let socket = endpoint.socket.to_str().unwrap();
        let arguments = ["record", socket, "-o", trace.to_str().unwrap()];
        let child = inspector(endpoint.directory(), &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for("the recording to have begun", || {
            fs::metadata(&trace).is_ok_and(|at| at.len() > 0)
        });
        kill_process(Pid::from_child(&child), signal).unwrap();
        Ran::from(child.wait_with_output().unwrap()).exits_with(0);
        let (records, summary) = read(&trace);
        let summary = summary.expect("the document is whole");
        assert_eq!(summary.reason, Reason::Finished);
        assert_eq!(summary.delivered(), records);
        assert!(records > 0);
    }
}

#[test]
fn a_full_disk_is_a_clear_error() {
    let endpoint = Endpoint::new(Conduct::Busy);
    let socket = endpoint.socket.to_str().unwrap();
    run(endpoint.directory(), &["record", socket, "-o", "/dev/full"])
        .exits_with(5)
        .says("/dev/full")
        .says("No space left");
}

#[test]
fn what_was_written_before_the_disk_was_full_can_be_read() {
    let endpoint = Endpoint::new(Conduct::Busy);
    let trace = endpoint.directory().join("t.json");
    let socket = endpoint.socket.to_str().unwrap();
    // A limit on the size of files fails like a full disk, in the middle of a line; in blocks of 512 or 1,024 bytes,
    // as the shell likes it.
    let script = format!(
        "trap '' XFSZ; ulimit -f 200; exec {} record {socket} -o {}",
        env!("CARGO_BIN_EXE_nexus-inspect"),
        trace.display()
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .env("NEXUS_INSPECT_DIR", endpoint.directory())
        .output()
        .unwrap();
    Ran::from(output).exits_with(5).says("t.json");
    let (records, summary) = read(&trace);
    assert!(records > 0, "the trace holds nothing");
    assert_eq!(summary, None, "the trace pretends to be whole");
}

#[test]
fn a_file_that_exists_is_not_replaced_unasked() {
    let endpoint = Endpoint::new(Conduct::Ends);
    let trace = endpoint.directory().join("t.json");
    fs::write(&trace, "precious").unwrap();
    let socket = endpoint.socket.to_str().unwrap();
    let path = trace.to_str().unwrap();
    run(endpoint.directory(), &["record", socket, "-o", path]).exits_with(5).says("--force");
    assert_eq!(fs::read(&trace).unwrap(), b"precious");
    run(endpoint.directory(), &["record", socket, "--force", "-o", path]).exits_with(3);
    assert_eq!(read(&trace).0, 3 * BATCH);
}

#[test]
fn a_recording_that_does_not_come_about_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("t.json");
    run(directory.path(), &["record", "no-such-name", "-o", trace.to_str().unwrap()]).exits_with(3);
    assert!(!trace.exists());
}

#[test]
fn a_recording_can_go_to_standard_output() {
    let endpoint = Endpoint::new(Conduct::Ends);
    let socket = endpoint.socket.to_str().unwrap();
    let ran = run(endpoint.directory(), &["record", socket, "-o", "-"]).exits_with(3);
    let mut reader = Reader::new(ran.stdout.as_bytes());
    assert!(reader.by_ref().all(|frame| frame.is_ok()));
    assert!(reader.summary().is_some());
}
