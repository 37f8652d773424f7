//! What the runtimes of this process have recorded, asked of its own endpoint.

use nexus_protocol::board::Snapshot;
use nexus_protocol::event::{Event, Operation, OperationResult, Subject};
use nexus_protocol::frame::{Goodbye, KindFilter, ServerFrame, Subscribe};
use nexus_protocol::session::Received;
use nexus_protocol::{RuntimeId, StringId, TokenId};
use std::time::Duration;

#[path = "own_endpoint.rs"]
mod own_endpoint;

/// All that one runtime has recorded so far.
pub(crate) struct Recording {
    pub(crate) events: Vec<Event>,
    #[allow(dead_code, reason = "not every test looks at it")]
    pub(crate) board: Snapshot,
    strings: Vec<String>,
}

impl Recording {
    /// Asks for it. The runtime must live, and have been inside `block_on`.
    pub(crate) fn of(runtime: RuntimeId) -> Self {
        let (recording, lost) = Self::with_losses(runtime);
        assert_eq!(lost, 0, "it lost records");
        recording
    }

    /// What is left of it, if the ring has wrapped.
    #[allow(dead_code, reason = "not every test has so much to say")]
    pub(crate) fn tail_of(runtime: RuntimeId) -> Self {
        Self::with_losses(runtime).0
    }

    fn with_losses(runtime: RuntimeId) -> (Self, u64) {
        let mut lost = 0;
        let mut client = own_endpoint::connect(Duration::from_secs(1));
        let all = Subscribe { history: true, kinds: KindFilter::ALL, snapshot_every_ms: 0 };
        client.subscribe(all).unwrap();
        client.finish().unwrap();
        let (mut events, mut strings, mut board) = (Vec::new(), Vec::new(), None);
        loop {
            let frame = match client.next().unwrap() {
                Received::Frame(frame) => frame,
                Received::Idle => continue,
                Received::Closed => panic!("the endpoint ends without a goodbye"),
            };
            match frame {
                ServerFrame::Events { runtime: whose, records, .. } if whose == runtime => {
                    events.extend(records.into_iter().map(|record| record.event));
                }
                ServerFrame::Loss { runtime: whose, from, to } if whose == runtime => {
                    lost += to - from;
                }
                ServerFrame::Strings { strings: more, .. } => strings.extend(more),
                ServerFrame::Snapshot(snapshot) if snapshot.runtime == runtime => {
                    board = Some(*snapshot);
                }
                ServerFrame::Goodbye(goodbye) => {
                    assert_eq!(goodbye, Goodbye::Finished);
                    break;
                }
                _ => {}
            }
        }
        (Self { events, board: board.expect("a board"), strings }, lost)
    }

    /// The string table.
    #[allow(dead_code, reason = "not every test counts them")]
    pub(crate) fn strings(&self) -> &[String] {
        &self.strings
    }

    /// An entry of the string table.
    #[allow(dead_code, reason = "not every test has names")]
    pub(crate) fn string(&self, id: StringId) -> &str {
        &self.strings[id.0 as usize]
    }

    /// How the operations of a kind on a token went.
    #[allow(dead_code, reason = "not every test has tokens")]
    pub(crate) fn results(&self, token: TokenId, kind: Operation) -> Vec<OperationResult> {
        let of_interest = |event: &Event| match *event {
            Event::Operation { operation, subject: Subject::Token(on), result, .. } => {
                (operation == kind && on == token).then_some(result)
            }
            _ => None,
        };
        self.events.iter().filter_map(of_interest).collect()
    }
}
