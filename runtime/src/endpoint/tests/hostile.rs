//! Clients that mean harm, or are broken: each is answered or dropped with a reason, within bounds of memory and time,
//! and whoever else is there does not notice.

use super::*;
use crate::endpoint::publisher::{MAX_UNREAD_RUNTIMES, Present, Publisher, Sink, Sources};
use crate::endpoint::timeline::Timeline;
use crate::record::clock::Clock;
use crate::record::strings::Strings;
use nexus_protocol::decode::Decoder;
use nexus_protocol::encode::{self, frame_kind};
use nexus_protocol::frame::{ClientFrame, VERSION};
use nexus_protocol::limits;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Barrier;

fn said(frames: &[ClientFrame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| encode::client(frame, &mut bytes));
    bytes
}

fn hello() -> Vec<u8> {
    said(&[ClientFrame::Hello { version: VERSION }])
}

/// The beginning of a frame of a kind that nobody knows.
fn header(length: usize) -> Vec<u8> {
    [&(length as u32).to_le_bytes()[..], &[99]].concat()
}

/// What clients say that no client should, and a word of the reason that they are given.
fn cases() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let after_hello = |bytes: &[u8]| [&hello(), bytes].concat();
    let said_twice = hello().repeat(2);
    vec![
        ("another protocol", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), "the limit is"),
        ("a frame of 4 GiB", vec![0xFF; 64], "length of a frame is 4294967295"),
        ("a frame of 4 GiB, later", after_hello(&[0xFF; 64]), "length of a frame is 4294967295"),
        ("a frame just too long", header(limits::MAX_FRAME + 1), "the limit is 1048576"),
        (
            "the wrong magic",
            [&header(8)[..4], &[frame_kind::CLIENT_HELLO], b"NEXUX\0\x01\0"].concat(),
            "NEXUS",
        ),
        ("a hello of no version", said(&[ClientFrame::Hello { version: 0 }]), "version 1"),
        ("no hello first", said(&[ClientFrame::Finish]), "not a hello"),
        ("a frame nobody knows first", [header(3), b"abc".to_vec()].concat(), "nexus protocol"),
        ("a second hello", said_twice, "second hello"),
        (
            "a subscription cut short",
            after_hello(&[1, 0, 0, 0, frame_kind::CLIENT_SUBSCRIBE, 1]),
            "ends before",
        ),
        (
            "what servers say",
            after_hello(&[1, 0, 0, 0, frame_kind::SERVER_GOODBYE, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]),
            "limit",
        ),
        ("nothing", Vec::new(), "did not say hello within a second"),
        ("half a hello", hello()[..9].to_vec(), "did not say hello within a second"),
        (
            "half a frame",
            after_hello(&said(&[ClientFrame::Subscribe(ALL)])[..9]),
            "did not complete a frame",
        ),
        (
            "a header and no more",
            after_hello(&header(limits::MAX_FRAME)),
            "did not complete a frame",
        ),
    ]
}

/// Says `bytes`, and returns the last frame of the answer, once the server has hung up.
fn answer(endpoint: &Endpoint, bytes: &[u8]) -> io::Result<Option<ServerFrame>> {
    let mut stream = endpoint.raw();
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let mut decoder = Decoder::<ServerFrame>::new();
    decoder.feed(&answer);
    let mut last = None;
    while let Some(frame) = decoder.next().unwrap() {
        last = Some(frame);
    }
    assert_eq!(decoder.pending_bytes(), 0, "whole frames, to the last");
    Ok(last)
}

#[test]
fn whoever_breaks_the_protocol_is_told_why_and_dropped() {
    let endpoint = Endpoint::start();
    let _recorder = endpoint.recorder(1, 64);
    for (what, bytes, reason) in cases() {
        let started = Instant::now();
        match answer(&endpoint, &bytes) {
            Ok(Some(ServerFrame::Goodbye(goodbye))) => {
                assert!(goodbye.to_string().contains(reason), "{what}: {goodbye}");
            }
            other => panic!("{what}: {other:?}"),
        }
        // A second is what silence may take; the rest is for a machine that is slow.
        assert!(started.elapsed() < PATIENCE / 2, "{what}");
    }
    endpoint.subscribe(ALL).finish();
}

/// What a hostile client does until it is told to stop. Errors are what it deserves.
type Attack = fn(&Endpoint, &AtomicBool) -> io::Result<()>;

fn everything_wrong(endpoint: &Endpoint, stop: &AtomicBool) -> io::Result<()> {
    for (_, bytes, _) in cases().iter().cycle().take_while(|_| !stop.load(Ordering::Acquire)) {
        let mut stream = endpoint.raw();
        stream.write_all(bytes)?;
        // Whoever does not wait for the answer leaves before it is written.
        if bytes.len() % 2 == 0 {
            stream.read_to_end(&mut Vec::new())?;
        }
    }
    Ok(())
}

fn connections_that_are_dropped(endpoint: &Endpoint, stop: &AtomicBool) -> io::Result<()> {
    while !stop.load(Ordering::Acquire) {
        drop(endpoint.raw());
        let half = endpoint.raw();
        half.shutdown(Shutdown::Write)?;
    }
    Ok(())
}

/// Says the same again and again, and reads no answer.
fn flood(endpoint: &Endpoint, stop: &AtomicBool, beginning: &[u8], bytes: &[u8]) -> io::Result<()> {
    while !stop.load(Ordering::Acquire) {
        let mut stream = endpoint.raw();
        stream.set_write_timeout(Some(Duration::from_millis(10)))?;
        let mut result = stream.write_all(beginning);
        while !stop.load(Ordering::Acquire) && result.is_ok() {
            result = match stream.write_all(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                other => other,
            };
        }
    }
    Ok(())
}

fn subscriptions_without_end(endpoint: &Endpoint, stop: &AtomicBool) -> io::Result<()> {
    flood(endpoint, stop, &hello(), &said(&[ClientFrame::Subscribe(ALL)]).repeat(1000))
}

fn pauses_without_end(endpoint: &Endpoint, stop: &AtomicBool) -> io::Result<()> {
    let flicker = said(&[ClientFrame::Pause, ClientFrame::Resume]).repeat(1000);
    flood(
        endpoint,
        stop,
        &said(&[ClientFrame::Hello { version: VERSION }, ClientFrame::Subscribe(ALL)]),
        &flicker,
    )
}

fn unknown_frames_without_end(endpoint: &Endpoint, stop: &AtomicBool) -> io::Result<()> {
    let unknown = [header(limits::MAX_FRAME), vec![0; limits::MAX_FRAME]].concat();
    flood(endpoint, stop, &hello(), &unknown)
}

fn empty_frames_without_end(endpoint: &Endpoint, stop: &AtomicBool) -> io::Result<()> {
    flood(endpoint, stop, &hello(), &header(0).repeat(10_000))
}

fn nothing_at_all(endpoint: &Endpoint, stop: &AtomicBool) -> io::Result<()> {
    while !stop.load(Ordering::Acquire) {
        let silent: Vec<_> = (0..MAX_CLIENTS).map(|_| endpoint.raw()).collect();
        silent
            .into_iter()
            .try_for_each(|mut stream| stream.read_to_end(&mut Vec::new()).map(drop))?;
    }
    Ok(())
}

fn subscribers_that_never_read(endpoint: &Endpoint, stop: &AtomicBool) -> io::Result<()> {
    let often = ClientFrame::Subscribe(Subscribe { snapshot_every_ms: 1, ..ALL });
    let mut streams: Vec<_> = (0..3).map(|_| endpoint.raw()).collect();
    for stream in &mut streams {
        stream.write_all(&said(&[ClientFrame::Hello { version: VERSION }, often.clone()]))?;
    }
    while !stop.load(Ordering::Acquire) {
        std::thread::yield_now();
    }
    Ok(())
}

#[test]
fn all_at_once_they_harm_neither_the_writer_nor_the_client_that_reads() {
    const RING: u64 = 1 << 14;
    let endpoint = Endpoint::start();
    let recorder = endpoint.recorder(1, RING as usize);
    let mut reader = endpoint.subscribe(ALL);
    reader.receive_until(|peer| !peer.snapshots(1).is_empty());
    let attacks: [Attack; 8] = [
        everything_wrong,
        connections_that_are_dropped,
        subscriptions_without_end,
        pauses_without_end,
        unknown_frames_without_end,
        empty_frames_without_end,
        nothing_at_all,
        subscribers_that_never_read,
    ];
    let (stop, begun) = (AtomicBool::new(false), Barrier::new(attacks.len() + 1));
    std::thread::scope(|scope| {
        for attack in attacks {
            let (endpoint, stop, begun) = (&endpoint, &stop, &begun);
            scope.spawn(move || {
                begun.wait();
                let _ = attack(endpoint, stop);
            });
        }
        begun.wait();
        let mut recorded = 0;
        let started = Instant::now();
        // Long enough for those who say nothing to be dropped.
        while recorded < 16 * RING || started.elapsed() < Duration::from_millis(1500) {
            tick(&recorder, RING / 2);
            recorded += RING / 2;
            reader.receive_until(|peer| {
                matches!(peer.frames.last(), Some(ServerFrame::Events { next_seq, .. }) if *next_seq == recorded)
            });
            reader.frames.retain(
                |frame| !matches!(frame, ServerFrame::Events { records, .. } if records.is_empty()),
            );
        }
        // Somebody else can still attach, in spite of them all.
        let mut late = endpoint.patiently_subscribe();
        late.finish();
        reader.finish();
        assert_eq!(reader.account(1, 0), (recorded, 0, 0, recorded));
        stop.store(true, Ordering::Release);
    });
    endpoint.patiently_subscribe().finish();
}

/// A client that takes nothing, and how many bytes wait for it.
#[derive(Default)]
struct Heap {
    bytes: Vec<u8>,
    most_in_a_frame: usize,
}

impl Sink for Heap {
    fn queue(&mut self, frame: &ServerFrame) {
        let before = self.bytes.len();
        encode::server(frame, &mut self.bytes);
        self.most_in_a_frame = self.most_in_a_frame.max(self.bytes.len() - before);
    }

    fn queued_bytes(&self) -> usize {
        self.bytes.len()
    }
}

#[test]
fn the_queue_of_a_client_that_does_not_read_is_bounded() {
    let registry: &'static Registry = Box::leak(Box::new(Registry::new()));
    let strings: &'static Strings = Box::leak(Box::new(Strings::new()));
    for number in 0..limits::MAX_STRINGS {
        strings.intern(&format!("{number:01000}"));
    }
    let options = RecordOptions { ring_records: 1 << 12, ..RecordOptions::default() };
    let recorders: Vec<_> =
        (1..5).map(|id| Recorder::known_to(registry, RuntimeId(id), &options).unwrap()).collect();
    let clock = Clock::of_process();
    let mut timeline = Timeline::new(clock.first_anchor());
    timeline.refine(clock);
    let sources = Sources { registry, strings, timeline: &timeline, clock: Present::Now(clock) };
    let mut publisher = Publisher::new(&registry.runtimes(), registry.version());
    let mut heap = Heap::default();
    for _ in 0..20 {
        publisher.subscribe(Subscribe { snapshot_every_ms: 1, ..ALL }, Instant::now());
        recorders.iter().for_each(|recorder| tick(recorder, 1000));
        publisher.publish(&sources, Instant::now(), &mut heap);
    }
    // One frame may be added when there is room for it.
    let bound = (1 << 20) + heap.most_in_a_frame;
    assert!(heap.bytes.len() <= bound, "{} bytes wait", heap.bytes.len());
    assert!(heap.most_in_a_frame < 1 << 20, "{} in a frame", heap.most_in_a_frame);
}

#[test]
fn whoever_lets_too_many_runtimes_pass_is_given_up() {
    let endpoint = Endpoint::start();
    let first = endpoint.recorder(1, 64);
    let mut paused = endpoint.subscribe(ALL);
    paused.receive_until(|peer| !peer.snapshots(1).is_empty());
    paused.client.pause().unwrap();
    endpoint.settle();
    for id in 0..MAX_UNREAD_RUNTIMES as u32 + 50 {
        tick(&endpoint.recorder(2 + id, 64), 1);
        // So that the endpoint looks before a runtime is forgotten.
        if id % 3 == 0 {
            endpoint.settle();
        }
    }
    endpoint.settle();
    assert!(matches!(paused.client.next(), Ok(Received::Closed)));
    tick(&first, 1);
    endpoint.subscribe(ALL).finish();
}
