//! Hostile bytes cannot make a decoder take memory that they have not paid for.
//!
//! A binary of its own, with an allocator that keeps count, and a single test, so that nothing else is counted.

use nexus_protocol::decode::Decoder;
use nexus_protocol::encode::frame_kind;
use nexus_protocol::frame::{ClientFrame, ServerFrame};
use nexus_protocol::limits;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: everything is passed on to the system's allocator unchanged; the counters do not touch the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same one.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `pointer` came from `alloc` above with this layout, and so from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most memory that `run` held at once, above what was held before.
fn peak(run: impl FnOnce()) -> usize {
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    run();
    PEAK.load(Ordering::Relaxed) - before
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_le_bytes().to_vec();
    bytes.push(kind);
    bytes.extend(payload);
    bytes
}

/// A number of the wire, as large as they get: 2⁶⁴ − 1.
const HUGE: [u8; 10] = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1];

#[test]
fn lengths_and_counts_are_checked_before_memory_is_taken() {
    // Each claims far more than it brings, at every place where a length or a count stands.
    let mut hostile = vec![
        [0xFF; 5].to_vec(),
        [&[0, 0, 16, 0][..], &[frame_kind::SERVER_EVENTS]].concat(),
        frame(frame_kind::SERVER_HELLO, &[b"NEXUS\0\x01\0", &HUGE[..]].concat()),
        frame(frame_kind::SERVER_RUNTIME, &[&[1][..], &HUGE].concat()),
        frame(frame_kind::SERVER_STRINGS, &[&[1][..], &HUGE].concat()),
        frame(frame_kind::SERVER_STRINGS, &[1, 0xFF, 0xFF, 3]),
        frame(frame_kind::SERVER_STRINGS, &[&[1, 1][..], &HUGE].concat()),
        frame(frame_kind::SERVER_EVENTS, &[&[1, 0][..], &HUGE, &HUGE].concat()),
        frame(frame_kind::SERVER_EVENTS, &[&[1, 0][..], &HUGE, &[0x80, 0x40]].concat()),
        frame(frame_kind::SERVER_EVENTS, &[&[1, 0, 9, 1, 31 | 7 << 5, 99][..], &HUGE].concat()),
        frame(frame_kind::SERVER_SNAPSHOT, &[&[1, 0, 1][..], &HUGE].concat()),
        frame(frame_kind::SERVER_SNAPSHOT, &[1, 0, 1, 5, 1, 0, 0, 1, 0, 0xFF, 0x0F]),
        frame(frame_kind::SERVER_GOODBYE, &[&[3][..], &HUGE].concat()),
    ];
    // Snapshots that never end, in parts that bring nothing.
    let part = |number: u8| frame(frame_kind::SERVER_SNAPSHOT, &[1, number, 0, 0, 0]);
    let mut endless = frame(frame_kind::SERVER_SNAPSHOT, &[1, 0, 0, 5, 1, 0, 0, 1, 0, 0, 0]);
    endless.extend((1..100).flat_map(part));
    hostile.push(endless);
    for bytes in hostile {
        let taken = peak(|| {
            let mut decoder = Decoder::<ServerFrame>::new();
            decoder.feed(&bytes);
            while let Ok(Some(_)) = decoder.next() {}
            let mut decoder = Decoder::<ClientFrame>::new();
            decoder.feed(&bytes);
            while let Ok(Some(_)) = decoder.next() {}
        });
        assert!(taken < 4096 + 8 * bytes.len(), "{taken} bytes for {} of {bytes:x?}", bytes.len());
    }

    // What brings its bytes is bounded by the frame: the smallest record takes one byte on the wire and one `Record` in
    // memory, the smallest string one and one `String`.
    let empty_strings = [&[1, 0xFE, 0xFF, 3][..], &vec![0; limits::MAX_STRINGS - 2]].concat();
    let bytes = frame(frame_kind::SERVER_STRINGS, &empty_strings);
    let taken = peak(|| {
        let mut decoder = Decoder::<ServerFrame>::new();
        decoder.feed(&bytes);
        assert!(matches!(decoder.next(), Ok(Some(ServerFrame::Strings { .. }))));
    });
    assert!(taken < bytes.len() + limits::MAX_STRINGS * size_of::<String>() + 4096, "{taken}");
}
