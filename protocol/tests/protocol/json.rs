//! Traces survive JSON, cut off or not.

use crate::arbitrary;
use nexus_protocol::event::{Address, WaitFor};
use nexus_protocol::frame::{Goodbye, Process, ServerFrame};
use nexus_protocol::strings::Strings;
use nexus_protocol::trace::json::{self, Reader, Writer};
use nexus_protocol::trace::{Reason, Summary, TraceError};
use nexus_protocol::{Event, Record, RuntimeId, Stamp, StringId, TaskId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use std::collections::BTreeMap;

fn write(frames: &[ServerFrame]) -> (Vec<u8>, Summary) {
    let mut document = Vec::new();
    let mut writer = Writer::new(&mut document);
    for frame in frames {
        writer.frame(frame).unwrap();
    }
    let summary = writer.finish().unwrap();
    (document, summary)
}

fn read(document: &[u8]) -> Vec<ServerFrame> {
    let mut reader = Reader::new(document);
    let frames = reader.by_ref().collect::<Result<_, _>>().unwrap();
    assert!(!reader.truncated());
    frames
}

fn text(document: &[u8]) -> &str {
    std::str::from_utf8(document).unwrap()
}

/// A hello, strings, and whatever else can follow them; numbers go on where they left off, or not.
fn trace() -> impl Strategy<Value = Vec<ServerFrame>> {
    (arbitrary::hello(), arbitrary::strings(), vec(arbitrary::later_frame(), 0..12), any::<bool>())
        .prop_map(|(hello, strings, mut later, consecutive)| {
            if consecutive {
                renumber(&mut later);
            }
            let mut frames = vec![hello, strings];
            frames.extend(later);
            frames
        })
}

/// Moves every frame to where the one before it of the same runtime ended, as a server does it.
fn renumber(frames: &mut [ServerFrame]) {
    let mut expected: BTreeMap<RuntimeId, u64> = BTreeMap::new();
    for frame in frames {
        match frame {
            ServerFrame::Events { runtime, records, next_seq, filtered } => {
                let first = *next_seq - records.len() as u64 - *filtered;
                let expected = expected.entry(*runtime).or_insert(first);
                for record in records {
                    record.seq = *expected + (record.seq - first);
                    unlink(&mut record.event);
                }
                *next_seq = *expected + (*next_seq - first);
                *expected = *next_seq;
            }
            ServerFrame::Loss { runtime, from, to } => {
                let count = (*to - *from).min(1 << 40);
                let expected = expected.entry(*runtime).or_insert(*from);
                (*from, *to) = (*expected, *expected + count);
                *expected = *to;
            }
            _ => {}
        }
    }
}

/// Links would lead to numbers that are no longer before the record.
fn unlink(event: &mut Event) {
    if let Event::PollStart { wake, .. } = event {
        *wake = None;
    }
}

/// What the frames say, without how they are divided into batches and which numbers strings have.
#[derive(Debug, Default, PartialEq)]
struct Content {
    records: Vec<(RuntimeId, Record)>,
    others: Vec<ServerFrame>,
    texts: Vec<String>,
    spans: BTreeMap<RuntimeId, (u64, u64)>,
}

fn content(frames: &[ServerFrame]) -> Content {
    let mut content = Content::default();
    let mut strings = Strings::default();
    for frame in frames {
        match frame.clone() {
            ServerFrame::Strings { first, strings: texts } => strings.extend(first, texts),
            ServerFrame::Events { runtime, records, next_seq, filtered } => {
                let span = content.spans.entry(runtime).or_default();
                span.0 += records.len() as u64;
                span.1 += filtered;
                assert!(records.last().is_none_or(|record| record.seq < next_seq));
                for mut record in records {
                    texts_of(&mut record.event, &strings, &mut content.texts);
                    content.records.push((runtime, record));
                }
            }
            ServerFrame::Snapshot(mut snapshot) => {
                for row in &mut snapshot.tokens {
                    take(&mut row.location, &strings, &mut content.texts);
                    for end in [&mut row.local, &mut row.peer].into_iter().flatten() {
                        take_address(end, &strings, &mut content.texts);
                    }
                }
                for row in &mut snapshot.tasks {
                    take(&mut row.location, &strings, &mut content.texts);
                    take(&mut row.name, &strings, &mut content.texts);
                }
                content.others.push(ServerFrame::Snapshot(snapshot));
            }
            other => content.others.push(other),
        }
    }
    // A batch may say no more than where a runtime starts.
    content.spans.retain(|_, span| *span != (0, 0));
    content
}

fn take(id: &mut StringId, strings: &Strings, texts: &mut Vec<String>) {
    texts.push(strings.get(*id).expect("strings come before their use").to_owned());
    *id = StringId::EMPTY;
}

fn take_address(address: &mut Address, strings: &Strings, texts: &mut Vec<String>) {
    if let Address::Unix(path) = address {
        take(path, strings, texts);
    }
}

fn texts_of(event: &mut Event, strings: &Strings, texts: &mut Vec<String>) {
    match event {
        Event::TokenClaimed { location, .. } => take(location, strings, texts),
        Event::TaskSpawned { location, name, .. } => {
            take(location, strings, texts);
            take(name, strings, texts);
        }
        Event::TokenAddress { address, .. } => take_address(address, strings, texts),
        Event::SpanEntered { name, target, location, .. } => {
            [name, target, location].into_iter().for_each(|id| take(id, strings, texts));
        }
        Event::SpanExited { name, .. } => take(name, strings, texts),
        Event::Log { message, target, location, .. } => {
            [message, target, location].into_iter().for_each(|id| take(id, strings, texts));
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_trace_survives_json(frames in trace()) {
        let (document, _) = write(&frames);
        serde_json::from_slice::<serde_json::Value>(&document).expect("one JSON document");
        let again = read(&document);
        let (written, received) = (content(&frames), content(&again));
        prop_assert_eq!(&received.records, &written.records);
        prop_assert_eq!(&received.texts, &written.texts);
        prop_assert_eq!(&received.others, &written.others);
        prop_assert_eq!(&received.spans, &written.spans);
        let (second, _) = write(&again);
        prop_assert_eq!(text(&second), text(&document));
    }

    #[test]
    fn the_summary_says_what_the_frames_say(frames in trace()) {
        let (document, summary) = write(&frames);
        let mut reader = Reader::new(&document[..]);
        prop_assert!(reader.by_ref().all(|frame| frame.is_ok()));
        prop_assert_eq!(reader.summary(), Some(&summary));
        let delivered = content(&frames).records.len() as u64;
        prop_assert_eq!(summary.delivered(), delivered);
    }

    /// Cut off anywhere, the whole lines are there, nothing else is, and the reader says that it was cut off.
    #[test]
    fn a_cut_off_trace_yields_its_whole_lines(frames in trace(), at: prop::sample::Index) {
        let (document, _) = write(&frames);
        let all = content(&read(&document));
        // Without its last newline it is still whole.
        let cut = &document[..1 + at.index(document.len() - 2)];
        let mut reader = Reader::new(cut);
        let got = reader.by_ref().collect::<Result<Vec<_>, _>>().unwrap();
        prop_assert!(reader.truncated());
        let got = content(&got);
        prop_assert!(all.records.starts_with(&got.records));
        prop_assert!(all.others.starts_with(&got.others));
        let whole_lines = String::from_utf8_lossy(cut);
        let whole_lines = whole_lines.lines().filter(|line| {
            let line = line.strip_suffix(',').unwrap_or(line);
            line.starts_with("{\"seq\":") && serde_json::from_str::<serde_json::Value>(line).is_ok()
        });
        prop_assert_eq!(got.records.len(), whole_lines.count());
    }

    #[test]
    fn a_damaged_trace_does_no_harm(
        frames in trace(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (mut document, _) = write(&frames);
        for (at, byte) in damage {
            let at = at.index(document.len());
            document[at] = byte;
        }
        // An error ends the iteration, and what came before it is kept.
        let errors = Reader::new(&document[..]).filter(Result::is_err).count();
        prop_assert!(errors <= 1);
    }
}

fn hello() -> ServerFrame {
    ServerFrame::Hello {
        version: 1,
        process: Process {
            pid: 4711,
            start_time: 99,
            program: "echo".into(),
            command_line: "echo 127.0.0.1:7007".into(),
            started: Stamp(1),
            wall_offset_ns: -5,
            clock: "tsc".into(),
        },
        runtimes: Vec::new(),
    }
}

fn finished(seq: u64) -> Record {
    let outcome = nexus_protocol::event::TaskOutcome::Completed;
    Record { seq, at: Stamp(1000 + seq), event: Event::TaskFinished { task: TaskId(1), outcome } }
}

fn events(seqs: &[u64], next_seq: u64, filtered: u64) -> ServerFrame {
    let records = seqs.iter().map(|&seq| finished(seq)).collect();
    ServerFrame::Events { runtime: RuntimeId(1), records, next_seq, filtered }
}

fn loss(from: u64, to: u64) -> ServerFrame {
    ServerFrame::Loss { runtime: RuntimeId(1), from, to }
}

#[test]
fn recorded_is_delivered_and_filtered_and_lost() {
    let frames = [
        hello(),
        loss(0, 10),
        events(&[12, 13], 16, 4),
        events(&[16], 17, 0),
        loss(17, 20),
        events(&[], 25, 5),
        ServerFrame::Goodbye(Goodbye::Finished),
    ];
    let (document, summary) = write(&frames);
    let runtime = summary.runtimes[0];
    assert_eq!((runtime.first_seq, runtime.end_seq, runtime.recorded), (0, 25, 25));
    assert_eq!((runtime.delivered, runtime.filtered, runtime.lost), (3, 9, 13));
    assert!(runtime.adds_up() && summary.complete());
    assert_eq!(summary.reason, Reason::Finished);
    // What the filter left out between two records shows as missing numbers, what it left out last in a line.
    assert!(
        text(&document).contains(r#"{"kind":"filtered","runtime":1,"from_seq":20,"to_seq":25}"#)
    );
    assert_eq!(write(&read(&document)).1, summary);
}

#[test]
fn numbers_that_nobody_accounts_for_are_not_hidden() {
    let frames = [
        hello(),
        events(&[0, 1], 2, 0),
        events(&[5], 6, 0),
        ServerFrame::Goodbye(Goodbye::Finished),
    ];
    let (document, summary) = write(&frames);
    assert_eq!((summary.recorded(), summary.delivered()), (6, 3));
    assert!(!summary.complete(), "two to four are missing without a word");
    assert_eq!(write(&read(&document)).1, summary);
}

/// Found by the property tests: the sum of what a server claims to have lost need not fit.
#[test]
fn claims_that_cannot_be_true_do_not_stop_a_recording() {
    let all = loss(0, u64::MAX);
    let filtered = events(&[], u64::MAX, u64::MAX);
    let other = ServerFrame::Loss { runtime: RuntimeId(2), from: 0, to: u64::MAX };
    let frames = [hello(), all.clone(), filtered.clone(), filtered, all, other];
    let (document, summary) = write(&frames);
    assert!(!summary.complete());
    assert_eq!(summary.lost(), u64::MAX);
    assert_eq!(write(&read(&document)).1, summary);
    let beyond = text(&write(&[hello(), events(&[0], 1, 0)]).0).replace(
        "\"seq\":0,\"runtime\":1,\"at_ns\"",
        "\"seq\":18446744073709551615,\"runtime\":1,\"at_ns\"",
    );
    let error = Reader::new(beyond.as_bytes()).find_map(Result::err).unwrap();
    assert!(error.to_string().contains("no record has the number"), "{error}");
}

#[test]
fn a_stream_that_ends_without_a_goodbye_is_not_complete() {
    let (document, summary) = write(&[hello(), events(&[0], 1, 0)]);
    assert_eq!((summary.reason, summary.complete()), (Reason::NoGoodbye, false));
    let end = "\"complete\":false,\"reason\":\"no-goodbye\"}}\n";
    assert!(text(&document).ends_with(end));
}

#[test]
fn frames_in_a_wrong_order_are_refused() {
    let kind = |result: std::io::Result<()>| result.unwrap_err().kind();
    let mut writer = Writer::new(Vec::new());
    assert_eq!(kind(writer.frame(&events(&[0], 1, 0))), std::io::ErrorKind::InvalidInput);
    writer.frame(&hello()).unwrap();
    assert_eq!(kind(writer.frame(&hello())), std::io::ErrorKind::InvalidInput);
    let empty = Writer::new(Vec::new()).finish().unwrap_err();
    assert_eq!(empty.kind(), std::io::ErrorKind::InvalidInput);
}

/// A disk that takes so much and no more.
struct Full(Vec<u8>, usize);

impl std::io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let room = bytes.len().min(self.1 - self.0.len());
        if room == 0 {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(&bytes[..room]);
        Ok(room)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_a_full_disk_took_can_be_read() {
    let mut disk = Full(Vec::new(), 200_000);
    let mut writer = Writer::new(&mut disk);
    writer.frame(&hello()).unwrap();
    let error = (0..).find_map(|seq| writer.frame(&events(&[seq], seq + 1, 0)).err()).unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    drop(writer);
    let mut reader = Reader::new(&disk.0[..]);
    let frames = reader.by_ref().collect::<Result<Vec<_>, _>>().unwrap();
    assert!(reader.truncated());
    assert!(content(&frames).records.len() > 2000);
}

#[test]
fn other_files_are_refused_in_words() {
    let error = |document: &[u8]| Reader::new(document).next().unwrap().unwrap_err();
    assert!(matches!(error(b""), TraceError::NotATrace(_)));
    assert!(matches!(error(b"{\"traceEvents\":[]}\n"), TraceError::NotATrace(_)));
    assert!(matches!(error(b"\x7fELF\x02\x01"), TraceError::NotATrace(_)));
    let newer = b"{\"format\":\"nexus-trace\",\"version\":2,\"protocol\":1,\n";
    let newer = error(newer);
    assert!(matches!(newer, TraceError::Version { found: 2, known: 1 }));
    assert!(newer.to_string().contains("newer version") || newer.to_string().contains("newer one"));
}

#[test]
fn a_broken_line_is_named_and_what_came_before_it_is_kept() {
    let (document, _) = write(&[hello(), events(&[0, 1, 2], 3, 0)]);
    let broken = text(&document).replace("\"seq\":2,", "\"seq\":two,");
    let mut reader = Reader::new(broken.as_bytes());
    let mut frames = Vec::new();
    let error = loop {
        match reader.next().unwrap() {
            Ok(frame) => frames.push(frame),
            Err(error) => break error,
        }
    };
    assert_eq!(content(&frames).records.len(), 2);
    assert!(error.to_string().starts_with("line 8 of the trace: "), "{error}");
    assert!(reader.next().is_none());

    let backwards = text(&document).replace("\"seq\":2,", "\"seq\":0,");
    let error = Reader::new(backwards.as_bytes()).find_map(Result::err).unwrap();
    assert!(error.to_string().contains("comes after"), "{error}");
}

#[test]
fn lines_and_words_of_later_versions_are_passed_over() {
    let (document, _) = write(&[hello(), events(&[0, 1, 2], 3, 0)]);
    let document = text(&document)
        .replace(
            "\"outcome\":\"completed\"},\n{\"seq\":1",
            "\"outcome\":\"ascended\"},\n{\"seq\":1",
        )
        .replace("{\"seq\":1,", "{\"kind\":\"remark\",\"text\":\"new\"},\n{\"seq\":1,\"new\":true,")
        .replace("2,\"kind\":\"task-finished\"", "2,\"kind\":\"levitation\"");
    let kinds: Vec<u8> =
        content(&read(document.as_bytes())).records.iter().map(|(_, r)| r.event.kind()).collect();
    let records = content(&read(document.as_bytes())).records;
    assert_eq!(kinds, [10, 10, 255]);
    assert_eq!(records[0].1.event, Event::Unknown { kind: 10 });
}

#[test]
fn texts_of_the_process_cannot_break_the_document() {
    let strings = ServerFrame::Strings {
        first: StringId(1),
        strings: vec!["\"},\n{\"seq\":0}\u{1b}[2J\u{0}".into(), "/tmp/a \"b\"".into()],
    };
    let spawned = Event::TaskSpawned {
        task: TaskId(1),
        location: StringId(1),
        name: StringId(2),
        poll: None,
    };
    let records = vec![Record { seq: 0, at: Stamp(5), event: spawned }];
    let runtime = RuntimeId(1);
    let frames =
        [hello(), strings, ServerFrame::Events { runtime, records, next_seq: 1, filtered: 0 }];
    let (document, _) = write(&frames);
    assert_eq!(text(&document).lines().filter(|line| line.starts_with("{\"seq\":")).count(), 1);
    assert_eq!(content(&read(&document)), content(&frames));
}

#[test]
fn more_texts_than_the_table_holds_become_overflow() {
    let limit = nexus_protocol::limits::MAX_STRINGS;
    let mut document = text(&write(&[hello(), events(&[0], 1, 0)]).0).to_owned();
    let lines: String = (1..limit + 10)
        .map(|seq| {
            format!(
                ",\n{{\"seq\":{seq},\"runtime\":1,\"at_ns\":9,\"kind\":\"task-spawned\",\"task\":{seq},\
                 \"location\":\"at {seq}\",\"name\":\"\",\"poll\":null}}"
            )
        })
        .collect();
    let at = document.find("\n],").unwrap();
    document.insert_str(at, &lines);
    let mut strings = Strings::default();
    let mut last = StringId::EMPTY;
    for frame in read(document.as_bytes()) {
        match frame {
            ServerFrame::Strings { first, strings: texts } => strings.extend(first, texts),
            ServerFrame::Events { records, .. } => {
                for record in records {
                    if let Event::TaskSpawned { location, .. } = record.event {
                        last = location;
                    }
                }
            }
            _ => {}
        }
    }
    assert_eq!(strings.text(StringId(1)), "at 1");
    assert_eq!(last.0 as usize, limit - 1);
    assert_eq!(strings.text(last), "<overflow>");
}

#[test]
fn a_snapshot_alone_looks_as_it_does_in_a_trace() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let row = arbitrary::task_row().new_tree(&mut runner).unwrap().current();
    let snapshot = nexus_protocol::board::Snapshot {
        runtime: RuntimeId(1),
        taken: Stamp(9),
        activity: nexus_protocol::board::Activity::Parked,
        since: Stamp(8),
        totals: Default::default(),
        tokens: Vec::new(),
        tasks: vec![nexus_protocol::board::TaskRow {
            waiting_for: Some(WaitFor::Task(TaskId(3))),
            location: StringId(1),
            name: StringId::EMPTY,
            ..row
        }],
    };
    let mut strings = Strings::default();
    strings.extend(StringId(1), ["src/main.rs:1:1"]);
    let alone = json::snapshot(&snapshot, &strings);
    assert_eq!(alone["tasks"][0]["location"], "src/main.rs:1:1");
    assert_eq!(alone["tasks"][0]["waiting_for"]["joined_task"], 3);
    let texts =
        ServerFrame::Strings { first: StringId(1), strings: vec!["src/main.rs:1:1".into()] };
    let frames = [hello(), texts, ServerFrame::Snapshot(Box::new(snapshot))];
    let document: serde_json::Value = serde_json::from_slice(&write(&frames).0).unwrap();
    assert_eq!(document["events"][0], alone);
}
