//! SPEC.md names the codes and limits that the crate uses.

use nexus_protocol::board::{Totals, task_word, token_word};
use nexus_protocol::encode::frame_kind;
use nexus_protocol::event::{
    Cause, Level, Operation, PollResult, RefusalReason, Side, SourceKind, TaskOutcome, TimerAction,
    TransitionReason, TurnMode, Verdict, WaitOutcome, WakeOutcome, kind,
};
use nexus_protocol::limits;

const SPEC: &str = include_str!("../../SPEC.md");

/// The row of a table that begins with this cell.
fn row(first: &str) -> &'static str {
    let start = format!("| {first} | ");
    SPEC.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("no row {first:?}"))
}

/// `1 accept, 2 connect, …`
fn codes<T: Copy>(all: &[T], code: impl Fn(T) -> u8, name: impl Fn(T) -> &'static str) -> String {
    all.iter().map(|&one| format!("{} {}", code(one), name(one))).collect::<Vec<_>>().join(", ")
}

#[test]
fn codes_are_those_of_the_specification() {
    for (what, expected) in [
        ("mode", codes(TurnMode::ALL, TurnMode::code, TurnMode::name)),
        ("source", codes(SourceKind::ALL, SourceKind::code, SourceKind::name)),
        ("side", codes(Side::ALL, Side::code, Side::name)),
        (
            "reason of a refusal",
            codes(RefusalReason::ALL, RefusalReason::code, RefusalReason::name),
        ),
        (
            "reason of a transition",
            codes(TransitionReason::ALL, TransitionReason::code, TransitionReason::name),
        ),
        ("outcome of a task", codes(TaskOutcome::ALL, TaskOutcome::code, TaskOutcome::name)),
        ("outcome of a wake", codes(WakeOutcome::ALL, WakeOutcome::code, WakeOutcome::name)),
        ("outcome of a wait", codes(WaitOutcome::ALL, WaitOutcome::code, WaitOutcome::name)),
        ("result of a poll", codes(PollResult::ALL, PollResult::code, PollResult::name)),
        ("level", codes(Level::ALL, Level::code, Level::name)),
        ("verdict", codes(Verdict::ALL, Verdict::code, Verdict::name)),
        ("operation", codes(Operation::ALL, Operation::code, Operation::name)),
        ("action", codes(TimerAction::ALL, TimerAction::code, TimerAction::name)),
    ] {
        assert_eq!(row(what), format!("| {what} | {expected} |"));
    }
    for (code, name) in Cause::NAMES.iter().enumerate().skip(1) {
        assert!(SPEC.contains(name), "cause {code} is missing");
    }
}

#[test]
fn kinds_of_event_have_their_row_in_both_tables() {
    for (code, name) in kind::NAMES.iter().enumerate().skip(1) {
        // Section 6, then section 11.
        row(&format!("{code} | {name}"));
        row(&format!("{code} {name}"));
    }
}

#[test]
fn kinds_of_frame_have_their_row() {
    for (code, sender, name) in [
        (frame_kind::CLIENT_HELLO, "client", "Hello"),
        (frame_kind::CLIENT_SUBSCRIBE, "client", "Subscribe"),
        (frame_kind::CLIENT_FINISH, "client", "Finish"),
        (frame_kind::SERVER_HELLO, "server", "Hello"),
        (frame_kind::SERVER_RUNTIME, "server", "Runtime"),
        (frame_kind::SERVER_STRINGS, "server", "Strings"),
        (frame_kind::SERVER_SNAPSHOT, "server", "Snapshot"),
        (frame_kind::SERVER_EVENTS, "server", "Events"),
        (frame_kind::SERVER_LOSS, "server", "Loss"),
        (frame_kind::SERVER_GOODBYE, "server", "Goodbye"),
    ] {
        let expected = format!("| {code} | {sender} | {name} |");
        assert!(SPEC.lines().any(|line| line == expected), "{expected}");
    }
}

#[test]
fn limits_are_those_of_the_specification() {
    let with_commas = |number: usize| {
        let digits = number.to_string();
        let head = digits.len() % 3;
        let (first, rest) = digits.split_at(head);
        let groups = rest.as_bytes().chunks(3).map(|group| std::str::from_utf8(group).unwrap());
        let parts: Vec<&str> =
            [first].into_iter().filter(|part| !part.is_empty()).chain(groups).collect();
        parts.join(",")
    };
    for (what, limit) in [
        ("payload of a frame", limits::MAX_FRAME),
        ("a string", limits::MAX_STRING),
        ("entries of the string table", limits::MAX_STRINGS),
        ("records in a frame", limits::MAX_BATCH),
        ("body of a record", limits::MAX_RECORD),
        ("texts behind a record", limits::MAX_TEXTS),
        ("rows of either kind in a frame", limits::MAX_ROWS),
        ("rows of either kind in a snapshot", limits::MAX_SNAPSHOT_ROWS),
        ("runtimes in a hello", limits::MAX_RUNTIMES),
    ] {
        let start = format!("| {what} | {}", with_commas(limit));
        assert!(row(what).starts_with(&start), "{start:?} is not in {:?}", row(what));
    }
}

#[test]
fn totals_and_rows_have_the_words_of_the_specification() {
    let (_, section) = SPEC.split_once("\nTotals: ").expect("the list of totals");
    let list = section.split_once(".\n").expect("its end").0.replace('\n', " ");
    let expected = Totals::NAMES.iter().enumerate();
    let expected = expected.map(|(index, name)| format!("{index} {}", name.replace('_', " ")));
    assert_eq!(list, expected.collect::<Vec<_>>().join(", "));
    // The last words of either row.
    row(&format!("{}–{}", token_word::EVENTS, token_word::COUNT - 1));
    let times = format!("| {}–{} | busy", task_word::BUSY, task_word::COUNT - 1);
    assert!(SPEC.contains(&times), "{times}");
}

/// The example's bytes are those of the golden file, in their order.
#[test]
fn the_example_of_events_is_in_the_golden_file() {
    let (_, example) = SPEC.split_once("An example: the first batch of").expect("the example");
    let example = example.split("```").nth(1).expect("its block");
    let is_byte = |word: &&str| word.len() == 2 && u8::from_str_radix(word, 16).is_ok();
    let lines = example.lines().map(|line| {
        let words = line.get(..27).unwrap_or(line).split_ascii_whitespace();
        words.take_while(is_byte).collect::<Vec<_>>().join(" ")
    });
    let golden = include_str!("../golden/server.hex");
    let (_, golden) = golden.split_once("# Events").expect("the first batch");
    let mut rest = golden.replace('\n', " ");
    let mut found = 0;
    for bytes in lines.filter(|line| !line.is_empty()) {
        let at = rest.find(&bytes).unwrap_or_else(|| panic!("{bytes} is not in the golden file"));
        rest.drain(..at + bytes.len());
        found += 1;
    }
    assert!(found > 10, "the example has only {found} lines");
}
