//! Frames survive the wire, whole or in pieces, and nonsense is refused.

use crate::arbitrary;
use nexus_protocol::board::{Activity, Snapshot, Totals};
use nexus_protocol::decode::{Decode, DecodeError, Decoder, Problem};
use nexus_protocol::encode::{self, frame_kind};
use nexus_protocol::event::{
    Cause, Operation, OperationResult, SourceKind, Subject, TaskOutcome, WakeOutcome,
};
use nexus_protocol::frame::{ClientFrame, ServerFrame};
use nexus_protocol::{
    Direction, Event, Record, RuntimeId, Stamp, StringId, TaskId, TokenId, limits,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;

fn server_bytes(frames: &[ServerFrame]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frames.iter().for_each(|frame| encode::server(frame, &mut bytes));
    bytes
}

/// All frames that are whole.
fn drain<F: Decode>(decoder: &mut Decoder<F>) -> Result<Vec<F>, DecodeError> {
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next()? {
        frames.push(frame);
    }
    Ok(frames)
}

fn decode<F: Decode>(bytes: &[u8]) -> Result<Vec<F>, DecodeError> {
    let mut decoder = Decoder::new();
    decoder.feed(bytes);
    drain(&mut decoder)
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_le_bytes().to_vec();
    bytes.push(kind);
    bytes.extend(payload);
    bytes
}

proptest! {
    #[test]
    fn what_a_server_says_arrives(frames in vec(arbitrary::server_frame(), 1..6)) {
        let mut decoder = Decoder::<ServerFrame>::new();
        decoder.feed(&server_bytes(&frames));
        prop_assert_eq!(drain(&mut decoder).unwrap(), frames);
        prop_assert_eq!(decoder.pending_bytes(), 0);
    }

    /// Records that were never collected make the same frame.
    #[test]
    fn events_may_come_one_by_one(frame in arbitrary::server_frame()) {
        if let ServerFrame::Events { runtime, ref records, next_seq, filtered } = frame {
            let count = records.len();
            let numbers = next_seq - count as u64 - filtered..next_seq;
            let mut bytes = Vec::new();
            encode::events(runtime, numbers, count, records.iter().copied(), &mut bytes);
            prop_assert_eq!(bytes, server_bytes(&[frame]));
        }
    }

    #[test]
    fn what_a_client_says_arrives(frames in vec(arbitrary::client_frame(), 1..6)) {
        let mut bytes = Vec::new();
        frames.iter().for_each(|frame| encode::client(frame, &mut bytes));
        prop_assert_eq!(decode::<ClientFrame>(&bytes).unwrap(), frames);
    }

    #[test]
    fn byte_by_byte_is_the_same(frames in vec(arbitrary::server_frame(), 1..3)) {
        let bytes = server_bytes(&frames);
        let mut decoder = Decoder::<ServerFrame>::new();
        let mut received = Vec::new();
        for byte in &bytes {
            decoder.feed(std::slice::from_ref(byte));
            received.extend(drain(&mut decoder).unwrap());
        }
        prop_assert_eq!(received, frames);
        prop_assert_eq!(decoder.position(), bytes.len() as u64);
    }

    #[test]
    fn cut_in_two_anywhere_is_the_same(frame in arbitrary::server_frame(), at: prop::sample::Index) {
        let bytes = server_bytes(std::slice::from_ref(&frame));
        let (head, tail) = bytes.split_at(at.index(bytes.len()));
        let mut decoder = Decoder::<ServerFrame>::new();
        decoder.feed(head);
        prop_assert_eq!(decoder.next().unwrap(), None);
        decoder.feed(tail);
        prop_assert_eq!(decoder.next().unwrap(), Some(frame));
    }

    /// A payload that is shorter than its fields is an error that names a place within it, never a guess.
    #[test]
    fn a_shortened_payload_is_refused(frame in arbitrary::server_frame(), at: prop::sample::Index) {
        let mut bytes = server_bytes(std::slice::from_ref(&frame));
        let payload = bytes.len() - encode::HEADER_BYTES;
        prop_assume!(payload > 0);
        let kept = at.index(payload);
        bytes.truncate(encode::HEADER_BYTES + kept);
        bytes[..4].copy_from_slice(&(kept as u32).to_le_bytes());
        let error = decode::<ServerFrame>(&bytes).unwrap_err();
        prop_assert!(error.offset <= bytes.len() as u64, "{}", error);
    }

    #[test]
    fn more_than_a_payload_needs_is_passed_over(
        frame in arbitrary::server_frame(),
        extra in vec(any::<u8>(), 1..20),
    ) {
        let mut bytes = server_bytes(std::slice::from_ref(&frame));
        bytes.extend(&extra);
        let payload = (bytes.len() - encode::HEADER_BYTES) as u32;
        bytes[..4].copy_from_slice(&payload.to_le_bytes());
        prop_assert_eq!(decode::<ServerFrame>(&bytes).unwrap(), [frame]);
    }

    #[test]
    fn noise_is_refused_or_understood_but_does_no_harm(bytes: Vec<u8>) {
        let _ = decode::<ServerFrame>(&bytes);
        let _ = decode::<ClientFrame>(&bytes);
        for kind in 129..=135 {
            let _ = decode::<ServerFrame>(&frame(kind, &bytes));
        }
    }

    #[test]
    fn damaged_frames_do_no_harm(
        frame in arbitrary::server_frame(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = server_bytes(&[frame]);
        let length = bytes.len() - encode::HEADER_BYTES;
        for (at, byte) in damage {
            let at = encode::HEADER_BYTES + at.index(length.max(1));
            if let Some(target) = bytes.get_mut(at) {
                *target = byte;
            }
        }
        // Whatever it was taken for can be said again.
        if let Ok(frames) = decode::<ServerFrame>(&bytes) {
            prop_assert_eq!(decode::<ServerFrame>(&server_bytes(&frames)).unwrap(), frames);
        }
    }
}

fn wake(seq: u64) -> Record {
    let token = TokenId { slot: 7, generation: 3 };
    let cause = Cause::Io { token, direction: Direction::Readable, event: seq.checked_sub(1) };
    let event = Event::Wake { task: TaskId(5), cause, outcome: WakeOutcome::Queued };
    Record { seq, at: Stamp(1000 + seq), event }
}

#[test]
fn a_large_batch_is_divided_and_every_part_accounts_for_itself() {
    let records: Vec<Record> = (0..20_000).map(|index| wake(100 + 3 * index)).collect();
    // Two of three were filtered out, three before the first and nine after the last.
    let next_seq = 100 + 3 * 20_000 + 7;
    let filtered = 3 + 2 * 20_000 + 7;
    let runtime = RuntimeId(1);
    let whole = ServerFrame::Events { runtime, records: records.clone(), next_seq, filtered };
    let (mut received, mut expected, mut missing) = (Vec::new(), 97, 0);
    for part in decode::<ServerFrame>(&server_bytes(&[whole])).unwrap() {
        let ServerFrame::Events { runtime, records, next_seq, filtered } = part else {
            panic!("{part:?}");
        };
        assert_eq!(runtime, RuntimeId(1));
        assert!(records.len() <= limits::MAX_BATCH);
        assert_eq!(next_seq - expected, records.len() as u64 + filtered);
        (expected, missing) = (next_seq, missing + filtered);
        received.extend(records);
    }
    assert_eq!((received, expected, missing), (records, next_seq, filtered));
}

fn rows<T>(strategy: impl Strategy<Value = T>, count: usize) -> Vec<T> {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    vec(strategy, count).new_tree(&mut runner).unwrap().current()
}

#[test]
fn a_large_snapshot_travels_in_parts() {
    let snapshot = Snapshot {
        runtime: RuntimeId(2),
        taken: Stamp(77),
        activity: Activity::Polling(TaskId(9)),
        since: Stamp(70),
        totals: Totals { live: 5000, ..Totals::default() },
        tokens: rows(arbitrary::token_row(), 2 * limits::MAX_ROWS + 1),
        tasks: rows(arbitrary::task_row(), 10),
    };
    let frames = [
        ServerFrame::Snapshot(Box::new(snapshot)),
        ServerFrame::Loss { runtime: RuntimeId(2), from: 1, to: 2 },
    ];
    let bytes = server_bytes(&frames);
    assert_eq!(decode::<ServerFrame>(&bytes).unwrap(), frames);

    // Its parts belong together: neither another frame nor a wrong part may come between.
    let first = encode::HEADER_BYTES + u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
    let rest = &bytes[first..];
    let second = encode::HEADER_BYTES + u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
    for wrong in [
        [&bytes[..first], &server_bytes(&frames[1..])].concat(),
        [&bytes[..first], &bytes[..first]].concat(),
        rest.to_vec(),
        [&bytes[..first], &rest[second..]].concat(),
    ] {
        let error = decode::<ServerFrame>(&wrong).unwrap_err();
        assert!(matches!(error.problem, Problem::Contradiction { .. }), "{error}");
    }
}

#[test]
fn strings_keep_to_their_limits() {
    let long = "ß".repeat(limits::MAX_STRING);
    let frame = ServerFrame::Strings {
        first: StringId(limits::MAX_STRINGS as u32 - 1),
        strings: vec![long.clone(), "beyond the table".into()],
    };
    let cut = ServerFrame::Strings {
        first: StringId(limits::MAX_STRINGS as u32 - 1),
        strings: vec![limits::cut(&long).into()],
    };
    assert_eq!(decode::<ServerFrame>(&server_bytes(&[frame])).unwrap(), [cut]);
}

#[test]
fn the_largest_frames_fit() {
    // The widest values of every field: this is what the limits have to hold.
    let far = u64::MAX;
    let token =
        |index: u64| TokenId { slot: u32::MAX * (index as u32 % 2), generation: far as u32 };
    let records = (0..limits::MAX_BATCH as u64).map(|index| Record {
        seq: (1 << 62) + index * (1 << 40),
        at: Stamp(if index % 2 == 0 { far } else { 0 }),
        event: Event::Operation {
            operation: Operation::Read,
            subject: Subject::Token(token(index)),
            result: OperationResult::Done(u32::MAX),
            task: Some(TaskId(if index % 2 == 0 { TaskId::MAX.0 } else { 1 })),
            poll: Some(1),
        },
    });
    let records: Vec<Record> = records.collect();
    let next_seq = records.last().unwrap().seq + 1;
    let filtered = next_seq - (1 << 62) - records.len() as u64;
    let events = ServerFrame::Events { runtime: RuntimeId(u32::MAX), records, next_seq, filtered };
    assert_eq!(
        decode::<ServerFrame>(&server_bytes(std::slice::from_ref(&events))).unwrap(),
        [events]
    );
}

#[test]
fn frames_and_records_of_later_versions_are_passed_over() {
    let finish = {
        let mut bytes = Vec::new();
        encode::client(&ClientFrame::Finish, &mut bytes);
        bytes
    };
    let mut decoder = Decoder::<ClientFrame>::new();
    decoder.feed(&[frame(99, b"whatever a later version says"), finish].concat());
    assert_eq!(drain(&mut decoder).unwrap(), [ClientFrame::Finish]);
    assert_eq!(decoder.skipped().frames, 1);

    // Runtime 1, records 10 to 13, four of them: 50 ns later an unknown kind with six bytes of whatever it is, one with
    // its kind apart and nothing else, a wake of task 5 with a cause that is not known, and a turn that could not be
    // understood by the sender either; then a poll of the task that the wake has named, as queued by it.
    let payload = [
        &[1, 10, 5, 5][..],
        &[0x20, 50],
        &[30 | 6 << 5, 1, 2, 3, 4, 5, 6],
        &[31, 200],
        &[11 | 2 << 5, 15 | 1 << 4, 10],
        &[31 | 2 << 5, 1, 9, 9],
        &[12 | 1 << 5, 1],
    ];
    let mut decoder = Decoder::<ServerFrame>::new();
    decoder.feed(&frame(frame_kind::SERVER_EVENTS, &payload.concat()));
    let record = |seq, at, event| Record { seq, at: Stamp(at), event };
    let unknown = |seq, kind| record(seq, 50, Event::Unknown { kind });
    let polled = Event::PollStart { task: TaskId(5), number: 1, wake: Some(12) };
    let records = vec![
        unknown(10, 30),
        unknown(11, 200),
        unknown(12, 11),
        unknown(13, 1),
        record(14, 51, polled),
    ];
    let runtime = RuntimeId(1);
    let frame = ServerFrame::Events { runtime, records, next_seq: 15, filtered: 0 };
    assert_eq!(drain(&mut decoder).unwrap(), [frame]);
    assert_eq!(decoder.skipped().records, 4);
}

/// A task that ends, then records with a subject and a target of a later version and whatever follows those there, then
/// the same task once more, told relative to the first.
#[test]
fn subjects_and_targets_of_later_versions_leave_the_context_alone() {
    let payload = [
        &[1, 10, 4, 4][..],
        &[10 | 2 << 5, 1, 5 << 1],
        &[14 | 4 << 5, 1 | 6 << 4, 5, 99, 99],
        &[15 | 3 << 5, 7, 99, 99],
        &[10 | 1 << 5, 1],
    ];
    let frames = decode::<ServerFrame>(&frame(frame_kind::SERVER_EVENTS, &payload.concat()));
    let record = |seq, event| Record { seq, at: Stamp(0), event };
    let finished = Event::TaskFinished { task: TaskId(5), outcome: TaskOutcome::Completed };
    let records = vec![
        record(10, finished),
        record(11, Event::Unknown { kind: 14 }),
        record(12, Event::Unknown { kind: 15 }),
        record(13, finished),
    ];
    let runtime = RuntimeId(1);
    let expected = ServerFrame::Events { runtime, records, next_seq: 14, filtered: 0 };
    assert_eq!(frames.unwrap(), [expected]);
}

/// A body goes on with zeros, also in the middle of a field.
#[test]
fn what_a_body_leaves_out_is_zero() {
    // A descriptor of 1 << 7 whose second byte should follow, and a number that ends with the body.
    let claimed = [2 | 3 << 5, 14 << 1 << 1, 2, 0x80];
    let payload = [&[1, 10, 2, 2][..], &claimed, &[18]].concat();
    let records = vec![
        Record {
            seq: 10,
            at: Stamp(0),
            event: Event::TokenClaimed {
                token: TokenId { slot: 14, generation: 0 },
                kind: SourceKind::TcpStream,
                fd: 0,
                location: StringId::EMPTY,
                live: 0,
            },
        },
        Record {
            seq: 11,
            at: Stamp(0),
            event: Event::FreelistGrown { capacity: 0, live: 0, growths: 0 },
        },
    ];
    let runtime = RuntimeId(1);
    let expected = ServerFrame::Events { runtime, records, next_seq: 12, filtered: 0 };
    let frames = decode::<ServerFrame>(&frame(frame_kind::SERVER_EVENTS, &payload));
    assert_eq!(frames.unwrap(), [expected]);
}

#[test]
fn errors_say_where_and_what() {
    let error = |bytes: &[u8]| decode::<ServerFrame>(bytes).unwrap_err().to_string();
    assert_eq!(
        error(&[0xFF, 0xFF, 0xFF, 0xFF, 133]),
        "byte 0 of the stream: length of a frame is 4294967295, the limit is 1048576"
    );
    assert_eq!(
        error(&[frame(99, b"xx"), frame(frame_kind::SERVER_LOSS, &[1, 5])].concat()),
        "byte 14 of the stream: the frame, block or record ends before its record after the lost ones"
    );
    assert_eq!(
        error(&frame(frame_kind::SERVER_LOSS, &[1, 5, 4])),
        "byte 8 of the stream: a loss ends before it begins"
    );
    assert_eq!(
        error(&frame(frame_kind::SERVER_HELLO, b"NEXTS\0\x01\0")),
        "byte 5 of the stream: a hello does not begin with the bytes NEXUS\\0"
    );
    assert_eq!(
        error(&frame(frame_kind::SERVER_EVENTS, &[1, 0, 9, 200, 100])),
        "byte 8 of the stream: number of records is 12872, the limit is 8192"
    );
    assert_eq!(
        error(&frame(frame_kind::SERVER_STRINGS, &[1, 1, 2, 0xC3, 0x28])),
        "byte 8 of the stream: string is not UTF-8"
    );
}

#[test]
fn a_decoder_that_failed_stays_failed() {
    let mut decoder = Decoder::<ServerFrame>::new();
    decoder.feed(&[0xFF; 5]);
    let error = decoder.next().unwrap_err();
    decoder.feed(&server_bytes(&[ServerFrame::Loss { runtime: RuntimeId(1), from: 1, to: 2 }]));
    assert_eq!(decoder.next().unwrap_err(), error);
    assert_eq!(decoder.pending_bytes(), 0, "it keeps nothing of what it will never decode");
}
