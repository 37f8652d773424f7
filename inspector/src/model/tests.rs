//! The model against made-up runtimes.

mod accounts;
mod garbage;
mod moments;
mod rows;
mod speed;
mod streams;
mod timeline;

use super::{Limits, Model, Runtime};
use nexus_protocol::board::Snapshot;
use nexus_protocol::frame::ServerFrame;
use nexus_protocol::{Record, RuntimeId, Seq, Stamp};

const RUNTIME: RuntimeId = RuntimeId(1);
const START: Stamp = Stamp(1_000_000_000);

fn model(frames: impl IntoIterator<Item = ServerFrame>) -> Model {
    model_within(Limits::default(), frames)
}

fn model_within(limits: Limits, frames: impl IntoIterator<Item = ServerFrame>) -> Model {
    let mut model = Model::new(limits);
    frames.into_iter().for_each(|frame| model.apply(frame));
    model
}

/// The only runtime of a model.
fn runtime(model: &Model) -> &Runtime {
    assert_eq!(model.runtimes().len(), 1);
    model.runtimes().next().unwrap()
}

fn board(snapshot: Snapshot) -> ServerFrame {
    ServerFrame::Snapshot(Box::new(snapshot))
}

fn events(records: &[Record]) -> ServerFrame {
    let next_seq = records.last().map_or(0, |last| last.seq + 1);
    ServerFrame::Events { runtime: RUNTIME, records: records.to_vec(), next_seq, filtered: 0 }
}

fn loss(from: Seq, to: Seq) -> ServerFrame {
    ServerFrame::Loss { runtime: RUNTIME, from, to }
}
