//! The bytes of the wire and of traces stay what SPEC.md says: they are written down in `tests/golden`.
//!
//! After a change that is meant, `NEXUS_BLESS=1 cargo test -p nexus-inspect-protocol golden` writes them anew; what
//! becomes of files and peers of the older version is then the question to answer.

use crate::sample;
use nexus_protocol::decode::{Decode, Decoder};
use nexus_protocol::encode;
use nexus_protocol::frame::{ClientFrame, ServerFrame};
use nexus_protocol::trace::json;
use std::fmt::Write;
use std::path::PathBuf;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Compares with the file, or writes it if asked to.
fn compare(name: &str, text: &str) {
    let path = golden(name);
    if std::env::var_os("NEXUS_BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, expected, "{} differs; see the top of golden.rs", path.display());
}

/// Frames as text: a comment that says what they are, then their bytes, sixteen a line.
fn dump<F: std::fmt::Debug>(frames: &[F], encode: impl Fn(&F, &mut Vec<u8>)) -> String {
    let mut text = String::new();
    for frame in frames {
        let what = format!("{frame:?}");
        let name = what.split(|c: char| !c.is_alphanumeric()).next().unwrap();
        let mut bytes = Vec::new();
        encode(frame, &mut bytes);
        writeln!(text, "# {name}: {} bytes of payload", bytes.len() - encode::HEADER_BYTES)
            .unwrap();
        let (header, payload) = bytes.split_at(encode::HEADER_BYTES);
        for line in [header].into_iter().chain(payload.chunks(16)) {
            let line: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(text, "{}", line.join(" ")).unwrap();
        }
    }
    text
}

/// The bytes of such a text.
fn bytes(name: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(golden(name)).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .flat_map(str::split_ascii_whitespace)
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn decoded<F: Decode>(name: &str) -> Vec<F> {
    let mut decoder = Decoder::new();
    decoder.feed(&bytes(name));
    let frames = std::iter::from_fn(|| decoder.next().unwrap()).collect();
    assert_eq!(decoder.pending_bytes(), 0);
    frames
}

#[test]
fn frames_are_encoded_to_the_golden_bytes() {
    compare("client.hex", &dump(&sample::client(), encode::client));
    compare("server.hex", &dump(&sample::server(), encode::server));
    compare("goodbyes.hex", &dump(&sample::goodbyes(), encode::server));
}

#[test]
fn golden_bytes_are_decoded_to_the_frames() {
    assert_eq!(decoded::<ClientFrame>("client.hex"), sample::client());
    assert_eq!(decoded::<ServerFrame>("server.hex"), sample::server());
    assert_eq!(decoded::<ServerFrame>("goodbyes.hex"), sample::goodbyes());
}

#[test]
fn a_trace_is_written_as_the_golden_document() {
    let mut document = Vec::new();
    let mut writer = json::Writer::new(&mut document);
    sample::server().iter().for_each(|frame| writer.frame(frame).unwrap());
    let summary = writer.finish().unwrap();
    assert!(summary.complete());
    compare("trace.json", std::str::from_utf8(&document).unwrap());
}

#[test]
fn the_golden_document_is_read_to_the_same_events() {
    let document = std::fs::read(golden("trace.json")).unwrap();
    let frames = json::Reader::new(&document[..]).map(Result::unwrap);
    let records = |frame| match frame {
        ServerFrame::Events { records, .. } => records,
        _ => Vec::new(),
    };
    let read: Vec<_> = frames.flat_map(records).collect();
    let written: Vec<_> = sample::server().into_iter().flat_map(records).collect();
    assert_eq!(read.len(), written.len());
    for (read, written) in read.iter().zip(&written) {
        assert_eq!(
            (read.seq, read.at, read.event.kind()),
            (written.seq, written.at, written.event.kind())
        );
    }
}

/// The sample is worth being golden only if it leaves nothing out.
#[test]
fn the_sample_has_every_kind_in_it() {
    let mut kinds: Vec<u8> = sample::server()
        .iter()
        .filter_map(|frame| match frame {
            ServerFrame::Events { records, .. } => Some(records),
            _ => None,
        })
        .flatten()
        .map(|record| record.event.kind())
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    let known: Vec<u8> = (1..=nexus_protocol::event::kind::LAST).chain([200]).collect();
    assert_eq!(kinds, known);
}
