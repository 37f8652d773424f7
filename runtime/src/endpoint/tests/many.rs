//! Many clients at once, each with its own filter, its own pauses and its own losses.

use super::*;
use crate::record::registry::{KEPT, Observed};
use std::sync::Weak;

/// A ring that holds all that is recorded in a test, and one that does not.
const WIDE: usize = 1 << 16;
const NARROW: usize = 64;

fn only(kinds: &[u8]) -> KindFilter {
    KindFilter::of(kinds.iter().copied())
}

/// Records a round of events of four kinds: how many there are of each.
fn mix(recorder: &Recorder) -> [(u8, u64); 4] {
    tick(recorder, 7);
    (0..3).for_each(|_| recorder.release_refused(TOKEN, RefusalReason::Stale));
    (0..2).for_each(|_| recorder.freelist_grown(16));
    recorder.token_claimed(TOKEN, SourceKind::UdpSocket, 5, Location::caller());
    [
        (kind::TIMER, 7),
        (kind::RELEASE_REFUSED, 3),
        (kind::FREELIST_GROWN, 2),
        (kind::TOKEN_CLAIMED, 1),
    ]
}

#[test]
fn sixteen_clients_have_each_their_own_filter_and_pause_and_the_seventeenth_is_refused() {
    let endpoint = Endpoint::start();
    let recorder = endpoint.recorder(1, WIDE);
    let kinds = mix(&recorder).map(|(kind, _)| kind);
    // Each of the sixteen wants another selection of the four kinds.
    let filter = |number: usize| {
        let wanted = (0..4).filter(|bit| number >> bit & 1 != 0).map(|bit| kinds[bit]);
        only(&wanted.collect::<Vec<_>>())
    };
    let subscribe = |number| endpoint.subscribe(Subscribe { kinds: filter(number), ..ALL });
    let mut peers: Vec<_> = (0..MAX_CLIENTS).map(subscribe).collect();
    for peer in &mut peers {
        peer.receive_until(|peer| !peer.snapshots(1).is_empty());
    }
    let refused = Client::connect_unix(&endpoint.socket(), PATIENCE).unwrap_err();
    assert!(matches!(refused, SessionError::Refused(Goodbye::Busy)), "{refused}");
    assert!(refused.to_string().contains("too many clients"), "{refused}");

    let rounds = 500_u64;
    for round in 1..rounds {
        mix(&recorder);
        // Every so often some pause and others go on.
        for (number, peer) in peers.iter_mut().enumerate().filter(|_| round % 50 == 0) {
            match (round / 50 + number as u64) % 3 {
                0 => peer.client.pause().unwrap(),
                1 => peer.client.resume().unwrap(),
                _ => {}
            }
        }
    }
    let counts = mix(&recorder);
    for (number, peer) in peers.iter_mut().enumerate() {
        peer.finish();
        let wanted = |kind: u8| filter(number).wants(kind);
        let expected: u64 = counts.iter().filter(|(kind, _)| wanted(*kind)).map(|(_, n)| n).sum();
        let (delivered, filtered) = ((rounds + 1) * expected, (rounds + 1) * (13 - expected));
        assert_eq!(peer.account(1, 0), (delivered, filtered, 0, (rounds + 1) * 13), "{number}");
        assert!(peer.records(1).iter().all(|record| wanted(record.event.kind())));
    }
    drop(peers);
    endpoint.subscribe(ALL).finish();
}

#[test]
fn a_paused_client_hears_nothing_and_then_goes_on_where_it_was() {
    let endpoint = Endpoint::start();
    let recorder = endpoint.recorder(1, NARROW);
    let mut peer = endpoint.connect();
    // Before the stream has begun there is nothing to pause.
    peer.client.pause().unwrap();
    peer.client.subscribe(Subscribe { snapshot_every_ms: 1, ..ALL }).unwrap();
    tick(&recorder, 3);
    peer.receive_until(|peer| peer.records(1).len() == 3 && peer.snapshots(1).len() > 2);

    peer.client.pause().unwrap();
    endpoint.settle();
    peer.receive_all();
    let before = peer.frames.len();
    tick(&recorder, 10);
    endpoint.settle();
    assert!(matches!(peer.client.next(), Ok(Received::Idle)), "neither events nor snapshots");
    assert_eq!(peer.frames.len(), before);
    peer.client.resume().unwrap();
    peer.receive_until(|peer| peer.records(1).len() == 13);
    assert_eq!(peer.account(1, 0), (13, 0, 0, 13), "the ring has kept what was recorded meanwhile");

    peer.client.pause().unwrap();
    endpoint.settle();
    tick(&recorder, 1000);
    peer.client.resume().unwrap();
    peer.receive_until(|peer| peer.records(1).last().is_some_and(|last| last.seq == 1012));
    let (delivered, filtered, lost, end) = peer.account(1, 0);
    assert_eq!((delivered, filtered, lost, end), (13 + 64, 0, 1000 - 64, 1013));

    // Whoever wants the end gets it, paused or not.
    peer.client.pause().unwrap();
    endpoint.settle();
    tick(&recorder, 5);
    peer.finish();
    assert_eq!(peer.account(1, 0).3, 1018);
    assert_eq!(peer.snapshots(1).last().unwrap().totals.recorded, 1018);
}

#[test]
fn a_filter_can_be_changed_and_says_nothing_of_what_was_sent_before() {
    let endpoint = Endpoint::start();
    let recorder = endpoint.recorder(1, WIDE);
    let mut peer = endpoint.subscribe(ALL);
    mix(&recorder);
    peer.receive_until(|peer| peer.records(1).len() == 13);
    peer.client.subscribe(Subscribe { kinds: only(&[kind::TIMER]), ..ALL }).unwrap();
    peer.receive_until(|peer| peer.snapshots(1).len() == 2);
    mix(&recorder);
    peer.finish();
    assert_eq!(peer.account(1, 0), (13 + 7, 6, 0, 26));
    let told = |frame: &&ServerFrame| matches!(frame, ServerFrame::Filter(_));
    let told: Vec<_> = peer.frames.iter().filter(told).collect();
    assert_eq!(told, [&ServerFrame::Filter(only(&[kind::TIMER]))], "nothing is left out unsaid");
}

#[test]
fn a_pause_holds_up_neither_the_end_of_a_runtime_nor_that_of_the_process() {
    let endpoint = Endpoint::start();
    let recorder = endpoint.recorder(1, WIDE);
    let mut peer = endpoint.subscribe(ALL);
    peer.receive_until(|peer| !peer.snapshots(1).is_empty());
    peer.client.pause().unwrap();
    endpoint.settle();
    tick(&recorder, 500);
    drop(recorder);
    let started = Instant::now();
    endpoint.control.drain(PATIENCE);
    assert!(started.elapsed() < PATIENCE, "nobody waits for a client that wants nothing");
    assert!(peer.infos(1).is_empty());

    endpoint.control.end(PATIENCE);
    peer.receive_until(|peer| peer.goodbye.is_some());
    assert_eq!(peer.goodbye, Some(Goodbye::ProcessEnding));
    assert_eq!(peer.account(1, 0), (500, 0, 0, 500), "there is no later time to deliver it");
}

/// The writer is kept within reach of the client that reads, not of the one that does not.
#[test]
fn a_client_that_stops_reading_loses_its_own_records_and_nobody_elses() {
    let endpoint = Endpoint::start();
    let recorder = endpoint.recorder(1, WIDE);
    let mut stalled = endpoint.subscribe(ALL);
    stalled.receive_until(|peer| !peer.snapshots(1).is_empty());
    let mut reader = endpoint.subscribe(Subscribe { kinds: only(&[kind::TIMER]), ..ALL });
    let mut recorded = 0;
    while recorded < 8 * WIDE as u64 {
        tick(&recorder, WIDE as u64 / 2);
        recorder.release_refused(TOKEN, RefusalReason::Stale);
        recorded += WIDE as u64 / 2 + 1;
        reader.receive_until(|peer| {
            let end = |frame: &ServerFrame| match frame {
                ServerFrame::Events { next_seq, .. } => Some(*next_seq),
                ServerFrame::Loss { to, .. } => Some(*to),
                _ => None,
            };
            peer.frames.iter().rev().find_map(end) == Some(recorded)
        });
    }
    reader.finish();
    assert_eq!(reader.account(1, 0), (recorded - 16, 16, 0, recorded), "not one is lost");
    stalled.finish();
    let (delivered, filtered, lost, end) = stalled.account(1, 0);
    assert_eq!((delivered + lost, filtered, end), (recorded, 0, recorded));
    assert!(lost > 0, "so many records do not fit into its queue");
    for record in stalled.records(1) {
        if let Event::Timer { deadline_ns, .. } = record.event {
            let half = WIDE as u64 / 2;
            assert_eq!(deadline_ns, record.seq % (half + 1), "each is what was written there");
        }
    }
}

/// Whether the thread that records sleeps because of clients, whatever they do.
#[test]
fn no_probe_waits_for_a_client() {
    let endpoint = Endpoint::start();
    let recorder = endpoint.recorder(1, 1 << 12);
    tick(&recorder, 1 << 12);
    let mut peers: Vec<_> = (0..MAX_CLIENTS).map(|_| endpoint.subscribe(ALL)).collect();
    for peer in &mut peers[..8] {
        peer.receive_until(|peer| !peer.snapshots(1).is_empty());
        peer.client.pause().unwrap();
    }
    // The other eight read nothing.
    let before = voluntary_switches();
    tick(&recorder, 1 << 20);
    let waits = voluntary_switches() - before;
    assert!(waits < 10, "it gave up the CPU {waits} times in a million records");
    for peer in &mut peers {
        peer.finish();
        let (delivered, filtered, lost, end) = peer.account(1, 0);
        assert_eq!((delivered + filtered + lost, end), (end, (1 << 12) + (1 << 20)));
    }
}

/// How often this thread has given up its CPU by itself, to wait for something.
fn voluntary_switches() -> i64 {
    // SAFETY: zeros are a value of this type, which the call fills in.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is valid for the call.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) }, 0);
    usage.ru_nvcsw
}

/// Builds and drops runtimes, each with `records` records; how many of all are still in memory.
fn come_and_go(endpoint: &Endpoint, ids: std::ops::Range<u32>, records: u64) -> usize {
    let mut seen: Vec<Weak<Observed>> = Vec::new();
    for id in ids {
        let recorder = endpoint.recorder(id, NARROW);
        seen.extend(endpoint.registry.runtimes().iter().map(Arc::downgrade));
        tick(&recorder, records);
        drop(recorder);
        endpoint.settle();
    }
    seen.sort_by_key(Weak::as_ptr);
    seen.dedup_by(|one, other| one.ptr_eq(other));
    seen.iter().filter(|runtime| runtime.strong_count() > 0).count()
}

#[test]
fn rings_are_not_kept_for_those_who_do_not_read() {
    let endpoint = Endpoint::start();
    let first = endpoint.recorder(1, WIDE);
    // One has only said hello, one is paused, and one has filled its queue.
    let greeted = endpoint.connect();
    let mut paused = endpoint.subscribe(ALL);
    paused.receive_until(|peer| !peer.snapshots(1).is_empty());
    paused.client.pause().unwrap();
    let mut stalled = endpoint.subscribe(ALL);
    for _ in 0..40 {
        tick(&first, WIDE as u64 / 2);
        endpoint.settle();
    }
    let kept = come_and_go(&endpoint, 2..30, 10);
    assert!(kept <= 1 + KEPT + 2, "{kept} runtimes are in memory");

    // What was recorded is told all the same: it is lost, to the record.
    paused.client.resume().unwrap();
    for peer in [&mut paused, &mut stalled] {
        peer.finish();
        for id in 2..30 {
            let (delivered, filtered, lost, end) = peer.account(id, 0);
            assert_eq!((delivered + lost, filtered, end), (10, 0, 10), "runtime {id}");
            let last = peer.infos(id).last().copied().unwrap();
            assert!(!last.ended.is_never() && last.recorded == 10, "{last:?}");
        }
        assert!(peer.account(2, 0).2 == 10, "the ring of an early one is gone");
        assert!(peer.account(29, 0).0 == 10, "the last ones are kept for all");
    }
    let mut greeted = greeted;
    greeted.client.subscribe(ALL).unwrap();
    greeted.finish();
    assert_eq!(greeted.account(29, 0), (10, 0, 0, 10));
}
