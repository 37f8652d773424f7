//! Whatever clients do, they are told of every record, or that they were not: of a runtime at full speed, those that keep up,
//! fall asleep between reads, or stop in the middle of a frame, each come to the number of records that there were.

#[path = "support/own_endpoint.rs"]
mod own_endpoint;

use nexus_protocol::event::kind;
use nexus_protocol::frame::{Goodbye, KindFilter, ServerFrame, Subscribe};
use nexus_protocol::session::{Client, Received};
use nexus_protocol::{RuntimeId, Seq};
use nexus_runtime::{Builder, spawn};
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Nothing here takes nearly as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The ring goes around hundreds of times.
const RING: usize = 1 << 12;
const SPAWNS: usize = 60_000;

/// How a client takes what it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// As it comes.
    Eagerly,
    /// As it comes, without the records of polls.
    Filtering,
    /// With pauses.
    Sleepily,
    /// A few bytes at a time with pauses, so that frames are taken in the middle.
    InPieces,
}

const PAUSE: Duration = Duration::from_millis(30);

/// A stream that is read in some manner while the runtime is busy, and eagerly when it is not any more.
struct Taken {
    stream: UnixStream,
    manner: Manner,
    busy: Arc<AtomicBool>,
    reads: Cell<u64>,
}

impl Read for Taken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let number = self.reads.replace(self.reads.get() + 1);
        if !self.busy.load(Ordering::Acquire) || number == 0 {
            return self.stream.read(buffer);
        }
        match self.manner {
            Manner::Eagerly | Manner::Filtering => self.stream.read(buffer),
            Manner::Sleepily => {
                thread::sleep(if number.is_multiple_of(8) { PAUSE } else { Duration::ZERO });
                self.stream.read(buffer)
            }
            Manner::InPieces => {
                thread::sleep(if number.is_multiple_of(32) { PAUSE } else { Duration::ZERO });
                let piece = buffer.len().min(997);
                self.stream.read(&mut buffer[..piece])
            }
        }
    }
}

impl Write for Taken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// What a client was told.
#[derive(Debug, Default)]
struct Account {
    delivered: u64,
    filtered: u64,
    lost: u64,
    next: Seq,
    /// What the last board says.
    recorded: Seq,
}

/// Takes everything there is of a runtime in some manner, until it is quiet.
fn take(manner: Manner, runtime: RuntimeId, busy: &Arc<AtomicBool>) -> Account {
    let stream = UnixStream::connect(own_endpoint::socket().unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut client =
        Client::new(Taken { stream, manner, busy: busy.clone(), reads: Cell::new(0) }).unwrap();
    let of_polls = 1 << kind::POLL_START | 1 << kind::POLL_END;
    let kinds = match manner {
        Manner::Filtering => KindFilter(KindFilter::ALL.0 & !of_polls),
        _ => KindFilter::ALL,
    };
    client.subscribe(Subscribe { history: true, kinds, snapshot_every_ms: 50 }).unwrap();
    let (mut account, mut finishing) = (Account::default(), false);
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "{manner:?}: {account:?}");
        if !finishing && !busy.load(Ordering::Acquire) {
            finishing = true;
            client.finish().unwrap();
        }
        match client.next().unwrap() {
            Received::Frame(ServerFrame::Events {
                runtime: whose,
                records,
                next_seq,
                filtered,
            }) if whose == runtime => {
                assert!(
                    records.iter().all(|record| (account.next..next_seq).contains(&record.seq))
                );
                assert!(records.is_sorted_by(|one, two| one.seq < two.seq && one.at <= two.at));
                assert_eq!(next_seq - account.next, records.len() as u64 + filtered, "{manner:?}");
                account.delivered += records.len() as u64;
                account.filtered += filtered;
                account.next = next_seq;
            }
            Received::Frame(ServerFrame::Loss { runtime: whose, from, to }) if whose == runtime => {
                assert_eq!(from, account.next, "{manner:?}");
                account.lost += to - from;
                account.next = to;
            }
            Received::Frame(ServerFrame::Snapshot(board)) if board.runtime == runtime => {
                account.recorded = board.totals.recorded;
            }
            Received::Frame(ServerFrame::Goodbye(goodbye)) => {
                assert_eq!(goodbye, Goodbye::Finished);
                return account;
            }
            Received::Closed => panic!("{manner:?}: closed without a goodbye"),
            _ => {}
        }
    }
}

#[test]
fn recorded_is_delivered_and_filtered_and_lost_for_every_client() {
    let runtime = Builder::new().ring_records(RING).build().unwrap();
    runtime.block_on(async {});
    drop(own_endpoint::connect(Duration::from_millis(200)));
    let (busy, id) = (Arc::new(AtomicBool::new(true)), runtime.id());
    let manners = [Manner::Eagerly, Manner::Filtering, Manner::Sleepily, Manner::InPieces];
    let clients = manners.map(|manner| {
        let busy = busy.clone();
        (manner, thread::spawn(move || take(manner, id, &busy)))
    });
    runtime.block_on(async {
        for _ in 0..SPAWNS {
            spawn(async {}).await.unwrap();
        }
    });
    busy.store(false, Ordering::Release);
    for (manner, client) in clients {
        let account = client.join().unwrap();
        let Account { delivered, filtered, lost, next, recorded } = account;
        assert!(recorded > 10 * SPAWNS as u64 / 2, "{manner:?}: {account:?}");
        assert_eq!((next, delivered + filtered + lost), (recorded, recorded), "{manner:?}");
        assert_eq!(filtered > 0, manner == Manner::Filtering, "{account:?}");
        if matches!(manner, Manner::Sleepily | Manner::InPieces) {
            assert!(lost > RING as u64, "{manner:?}: it was overtaken: {account:?}");
        }
        println!("{manner:?}: {account:?}");
    }
}
