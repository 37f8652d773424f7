//! The same under the eyes of inspectors: the endpoint's thread reads ring and board while the runtime writes them.

use crate::exchange::{Dealers, Exchange};
use crate::tasks::live_and_die;
use crate::{Stress, own_endpoint};
use nexus_protocol::frame::{KindFilter, ServerFrame, Subscribe};
use nexus_protocol::session::Received;
use nexus_runtime::Builder;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

pub(crate) fn inspectors_look_on() {
    let mut stress = Stress::begin();
    let mut random = stress.random();
    let exchange = Exchange::new(64);
    let dealers = Dealers::start(1, &exchange, &mut random);
    let stop = Arc::new(AtomicBool::new(false));
    let inspectors: Vec<_> = (0..2)
        .map(|_| {
            let stop = stop.clone();
            thread::spawn(move || look_on(&stop))
        })
        .collect();
    while stress.goes_on() {
        // A ring so small that readers are lapped.
        let runtime = Builder::new().ring_records(512).board_rows(16).build().unwrap();
        live_and_die(runtime, &mut random, &exchange);
    }
    stop.store(true, Ordering::Release);
    let frames: u64 = inspectors.into_iter().map(|inspector| inspector.join().unwrap()).sum();
    assert!(frames > 0);
    drop(dealers);
}

/// Attaches, takes some frames, and goes, again and again. How many frames there were.
fn look_on(stop: &AtomicBool) -> u64 {
    let mut total = 0;
    while !stop.load(Ordering::Acquire) {
        let mut client = own_endpoint::connect(Duration::from_millis(50));
        let all = Subscribe { history: true, kinds: KindFilter::ALL, snapshot_every_ms: 1 };
        client.subscribe(all).unwrap();
        for _ in 0..200 {
            match client.next().unwrap() {
                Received::Frame(ServerFrame::Goodbye(_)) | Received::Closed => break,
                Received::Frame(_) => total += 1,
                Received::Idle => {}
            }
            if stop.load(Ordering::Acquire) && total > 0 {
                break;
            }
        }
    }
    total
}
