//! What an event costs on its way out: `cargo bench -p nexus-inspect-protocol --bench codec -- TRACE`.
//!
//! Takes a recorded trace, so that the mixture of events is a real one, and measures the wire and the JSON in both
//! directions, in turn, in CPU time. Prints medians of the rounds with the lowest and the highest.

use nexus_protocol::decode::Decoder;
use nexus_protocol::encode;
use nexus_protocol::frame::ServerFrame;
use nexus_protocol::limits::MAX_BATCH;
use nexus_protocol::trace;
use nexus_protocol::trace::json::{Reader, Writer};
use std::hint::black_box;

const ROUNDS: usize = 11;

fn main() {
    let Some(path) = std::env::args().skip(1).find(|argument| !argument.starts_with("--")) else {
        eprintln!("usage: cargo bench -p nexus-inspect-protocol --bench codec -- TRACE");
        return;
    };
    let trace = std::fs::read(&path).expect("the trace can be read");
    let frames: Vec<ServerFrame> = trace::Reader::new(&trace[..])
        .collect::<Result<_, _>>()
        .expect("a trace that nexus-inspect has written");
    let document = write_json(&frames, trace.len());
    let events: usize = frames.iter().map(records).sum();
    let mut wire = Vec::new();
    write_wire(&frames, &mut wire);
    println!("{events} events, batches of at most {MAX_BATCH}");
    println!(
        "wire: {:.2} bytes an event, boards and texts included",
        wire.len() as f64 / events as f64
    );
    println!("JSON: {:.1} bytes an event", document.len() as f64 / events as f64);

    let mut rates: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        let mut bytes = Vec::with_capacity(wire.len());
        let mut rate = |index: usize, body: &mut dyn FnMut()| {
            let start = cpu_ns();
            body();
            rates[index].push(events as f64 / (cpu_ns() - start) * 1e3);
        };
        rate(0, &mut || write_wire(&frames, &mut bytes));
        rate(1, &mut || read_wire(&wire));
        rate(2, &mut || drop(write_json(&frames, document.len())));
        rate(3, &mut || {
            let read = Reader::new(&document[..]).map(|frame| records(&frame.expect("a frame")));
            assert_eq!(read.sum::<usize>(), events);
        });
    }
    for (name, mut rates) in ["encode", "decode", "write JSON", "read JSON"].into_iter().zip(rates)
    {
        rates.sort_by(f64::total_cmp);
        println!(
            "{name:<12} {:.1} million events a second ({:.1}–{:.1})",
            rates[ROUNDS / 2],
            rates[0],
            rates[ROUNDS - 1]
        );
    }
}

/// The CPU time of this thread so far: others may be busy.
fn cpu_ns() -> f64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let cpu = times.split(' ').next().and_then(|text| text.parse().ok());
    cpu.expect("the kernel counts the time of threads")
}

fn records(frame: &ServerFrame) -> usize {
    if let ServerFrame::Events { records, .. } = frame { records.len() } else { 0 }
}

fn write_wire(frames: &[ServerFrame], bytes: &mut Vec<u8>) {
    for frame in frames {
        encode::server(frame, bytes);
    }
}

fn read_wire(bytes: &[u8]) {
    let mut decoder = Decoder::<ServerFrame>::new();
    for part in bytes.chunks(64 << 10) {
        decoder.feed(part);
        while let Some(frame) = decoder.next().expect("what was encoded can be decoded") {
            black_box(frame);
        }
    }
}

fn write_json(frames: &[ServerFrame], length: usize) -> Vec<u8> {
    let mut document = Vec::with_capacity(length);
    let mut writer = Writer::new(&mut document);
    for frame in frames {
        writer.frame(frame).expect("memory takes all");
    }
    writer.finish().expect("memory takes all");
    document
}
