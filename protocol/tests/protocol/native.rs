//! Native traces: frames in a file, and lines alone, read by whoever does not know beforehand what a file is.

use crate::{arbitrary, sample};
use nexus_protocol::encode;
use nexus_protocol::frame::{ServerFrame, VERSION};
use nexus_protocol::trace::{Format, Reader, Summary, TraceError, Writer, json, native};
use proptest::collection::vec;
use proptest::prelude::*;

fn written(format: Format, frames: &[ServerFrame]) -> (Vec<u8>, Summary) {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(format, &mut bytes);
    frames.iter().for_each(|frame| writer.frame(frame).unwrap());
    let summary = writer.finish().unwrap();
    (bytes, summary)
}

fn read(bytes: &[u8]) -> (Vec<ServerFrame>, Reader<&[u8]>) {
    let mut reader = Reader::new(bytes);
    let frames = reader.by_ref().map(Result::unwrap).collect();
    (frames, reader)
}

/// A hello and frames that may follow it. A hello always has this crate's version.
fn frames() -> impl Strategy<Value = Vec<ServerFrame>> {
    (arbitrary::hello(), vec(arbitrary::later_frame(), 0..6)).prop_map(|(mut hello, later)| {
        if let ServerFrame::Hello { version, .. } = &mut hello {
            *version = VERSION;
        }
        [hello].into_iter().chain(later).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_written_is_read(frames in frames()) {
        let (bytes, summary) = written(Format::Native, &frames);
        let (read, reader) = read(&bytes);
        prop_assert_eq!(read, frames);
        prop_assert_eq!(reader.summary(), Some(&summary));
        prop_assert_eq!(reader.format(), Some(Format::Native));
        prop_assert!(!reader.truncated());
    }

    #[test]
    fn all_formats_count_the_same(frames in frames()) {
        let (_, native) = written(Format::Native, &frames);
        let (_, json) = written(Format::Json, &frames);
        prop_assert_eq!(native, json);
    }

    /// Cut off anywhere, a trace yields its whole frames and says that it was cut off.
    #[test]
    fn a_trace_that_was_cut_off_yields_its_whole_frames(frames in frames(), at: prop::sample::Index) {
        let mut ends = vec![0];
        let mut wire = Vec::new();
        for frame in &frames {
            encode::server(frame, &mut wire);
            ends.push(wire.len());
        }
        let (bytes, _) = written(Format::Native, &frames);
        prop_assert_eq!(&bytes[..wire.len()], &wire[..], "the frames are those of the wire");
        let length = 1 + at.index(bytes.len() - 1);
        let mut reader = native::Reader::new(&bytes[..length]);
        let read: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
        let whole = ends.iter().filter(|&&end| end <= length).count() - 1;
        prop_assert_eq!(&read[..], &frames[..whole]);
        let said_goodbye =
            read.iter().any(|frame| matches!(frame, ServerFrame::Goodbye(_)));
        prop_assert!(reader.truncated() || said_goodbye && ends.contains(&length));
    }

    /// Lines alone say what the document says.
    #[test]
    fn lines_are_the_lines_of_the_document(frames in frames()) {
        let (document, _) = written(Format::Json, &frames);
        let (lines, _) = written(Format::JsonLines, &frames);
        let (of_document, _) = read(&document);
        let (of_lines, reader) = read(&lines);
        prop_assert_eq!(of_document, of_lines);
        prop_assert_eq!(reader.format(), Some(Format::JsonLines));
        prop_assert!(reader.summary().is_some() && !reader.truncated());
        for line in std::str::from_utf8(&lines).unwrap().lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            prop_assert!(value.is_object());
        }
    }
}

#[test]
fn the_lines_of_events_are_the_same_in_both_forms_of_json() {
    let (document, _) = written(Format::Json, &sample::server());
    let (lines, _) = written(Format::JsonLines, &sample::server());
    let (document, lines) =
        (String::from_utf8(document).unwrap(), String::from_utf8(lines).unwrap());
    let of_document: Vec<&str> = document.lines().map(|line| line.trim_end_matches(',')).collect();
    let lines: Vec<&str> = lines.lines().collect();
    let (first, rest) = lines.split_first().unwrap();
    let (last, events) = rest.split_last().unwrap();
    assert!(
        first.starts_with("{\"format\":\"nexus-trace\",\"version\":1,\"protocol\":1,\"process\":{")
    );
    assert!(last.starts_with("{\"kind\":\"summary\","));
    let begin = of_document.iter().position(|line| *line == "\"events\":[").unwrap() + 1;
    assert_eq!(&of_document[begin..begin + events.len()], events);
    assert_eq!(of_document[begin + events.len()], "]");
}

/// A stream that somebody follows must not hold a line back.
#[test]
fn lines_are_whole_after_a_flush() {
    let mut bytes = Vec::new();
    let mut writer = json::Writer::lines(&mut bytes);
    for frame in &sample::server()[..6] {
        writer.frame(frame).unwrap();
        writer.flush().unwrap();
    }
    drop(writer);
    assert!(bytes.ends_with(b"}\n"));
    let (frames, reader) = read(&bytes);
    assert!(
        matches!(frames.last(), Some(ServerFrame::Events { records, .. }) if records.len() == 48)
    );
    assert!(reader.truncated());
}

#[test]
fn a_stream_that_was_caught_on_its_way_is_a_trace() {
    let mut bytes = Vec::new();
    sample::server().iter().for_each(|frame| encode::server(frame, &mut bytes));
    let (frames, reader) = read(&bytes);
    assert_eq!(frames, sample::server());
    assert_eq!(reader.summary(), None);
    assert!(!reader.truncated(), "the server's goodbye is an end");
}

#[test]
fn other_versions_and_other_files_are_told_apart() {
    let (mut bytes, _) = written(Format::Native, &sample::server());
    let error = |bytes: &[u8]| Reader::new(bytes).find_map(Result::err);
    bytes[11..13].copy_from_slice(&(VERSION + 1).to_le_bytes());
    let found = u32::from(VERSION) + 1;
    match error(&bytes) {
        Some(TraceError::Version { found: it, known }) if it == found && known < found => {}
        other => panic!("{other:?}"),
    }
    for bytes in [
        &b""[..],
        b"{\"format\":\"other\"}\n",
        b"some text\n",
        &[0x7F, b'E', b'L', b'F', 0, 0, 0, 0],
    ] {
        assert!(matches!(error(bytes), Some(TraceError::NotATrace(_))), "{bytes:?}");
    }
}
