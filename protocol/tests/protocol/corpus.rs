//! Everything that fuzzing has found worth keeping, played once more: seeds, what reaches a corner of the code, and what
//! once broke something (`regression-…`). How more is found: `.ci/fuzz`.

#[allow(unreachable_pub, reason = "it is a crate of its own for the fuzzer")]
#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Calls a target with each input of its corpus.
fn replay(target: &str, run: fn(&[u8])) {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&corpus).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 10, "{} is hardly a corpus", corpus.display());
    for path in paths {
        let bytes = std::fs::read(&path).unwrap();
        // What went wrong has been printed by the panic itself.
        let held = catch_unwind(AssertUnwindSafe(|| run(&bytes))).is_ok();
        assert!(held, "{} breaks {target}", path.display());
    }
}

#[test]
fn whatever_clients_have_said_is_understood_or_refused() {
    replay("server_decoder", targets::server_decoder);
}

#[test]
fn whatever_servers_have_said_is_understood_or_refused() {
    replay("client_decoder", targets::client_decoder);
}

#[test]
fn whatever_was_meant_arrives() {
    replay("round_trip", targets::round_trip);
}

#[test]
fn whatever_was_cut_is_put_together() {
    replay("split", targets::split);
}

#[test]
fn whatever_claims_to_be_a_trace_is_read_or_refused() {
    replay("json_reader", targets::json_reader);
}
