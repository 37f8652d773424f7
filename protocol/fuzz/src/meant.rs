//! From bytes to something that is worth saying: every byte is a choice.
//!
//! Events and rows come from the words of a ring and a board, so that a kind that is added there is said here as well,
//! and words that no recorder would write are read.

use nexus_protocol::board::{
    Activity, Snapshot, TaskRow, TokenRow, Totals, task_word, token_word, total_word,
};
use nexus_protocol::clock::{Anchor, ClockMap};
use nexus_protocol::event::kind;
use nexus_protocol::frame::{
    ClientFrame, Goodbye, KindFilter, Process, RuntimeInfo, ServerFrame, Subscribe,
};
use nexus_protocol::{Record, RuntimeId, Stamp, StringId, limits};

/// Frames of either side, as many as the bytes ask for.
pub(crate) fn conversation(bytes: &[u8]) -> (Vec<ServerFrame>, Vec<ClientFrame>) {
    let mut choices = Choices { bytes };
    let (mut server, mut client) = (Vec::new(), Vec::new());
    while !choices.bytes.is_empty() {
        match choices.byte() % 13 {
            0 => server.push(hello(&mut choices)),
            1 => server.push(ServerFrame::Runtime(runtime_info(&mut choices))),
            2 => server.push(strings(&mut choices)),
            3 => server.push(ServerFrame::Snapshot(Box::new(snapshot(&mut choices)))),
            4 => server.push(loss(&mut choices)),
            5 => server.push(ServerFrame::Goodbye(goodbye(&mut choices))),
            7 => server.push(ServerFrame::Filter(KindFilter(choices.number()))),
            6 => client.push(client_frame(&mut choices)),
            _ => server.push(events(&mut choices)),
        }
    }
    (server, client)
}

/// What is left of the bytes; zeros afterwards.
struct Choices<'a> {
    bytes: &'a [u8],
}

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        self.bytes.split_off_first().copied().unwrap_or(0)
    }

    /// A number of any size, small ones in few bytes.
    fn number(&mut self) -> u64 {
        let first = self.byte();
        match first >> 5 {
            0..4 => u64::from(first),
            4 => u64::from(first & 0x1F) << 8 | u64::from(self.byte()),
            5 => u64::from(u32::from_le_bytes([self.byte(), self.byte(), self.byte(), first])),
            6 => (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte())),
            _ => u64::MAX >> (2 * (first & 0x1F)),
        }
    }

    fn small(&mut self) -> u32 {
        self.number() as u32
    }

    fn stamp(&mut self) -> Stamp {
        Stamp(self.number())
    }

    fn words<const N: usize>(&mut self) -> [u64; N] {
        std::array::from_fn(|_| self.number())
    }

    fn text(&mut self) -> String {
        let count = usize::from(self.byte());
        let (now, later) = self.bytes.split_at(count.min(self.bytes.len()));
        self.bytes = later;
        let text = String::from_utf8_lossy(now);
        // Now and then one that is as long as it may be.
        let times = if count == 0xFF { limits::MAX_STRING } else { 1 };
        limits::cut(&text.repeat(times)).to_owned()
    }
}

fn hello(choices: &mut Choices<'_>) -> ServerFrame {
    let process = Process {
        pid: choices.small(),
        start_time: choices.number(),
        program: choices.text(),
        command_line: choices.text(),
        started: choices.stamp(),
        wall_offset_ns: choices.number() as i64,
        clock: choices.text(),
    };
    let count = usize::from(choices.byte()) % (limits::MAX_RUNTIMES + 1);
    let runtimes = (0..count).map(|_| runtime_info(choices)).collect();
    ServerFrame::Hello { version: choices.small() as u16, process, runtimes }
}

fn runtime_info(choices: &mut Choices<'_>) -> RuntimeInfo {
    RuntimeInfo {
        id: RuntimeId(choices.small()),
        name: choices.text(),
        thread: choices.small(),
        started: choices.stamp(),
        ended: choices.stamp(),
        ring_capacity: choices.number(),
        recorded: choices.number(),
        tokens: choices.number(),
        tasks: choices.number(),
    }
}

fn strings(choices: &mut Choices<'_>) -> ServerFrame {
    let first = StringId(choices.small() % limits::MAX_STRINGS as u32);
    let room = limits::MAX_STRINGS - first.0 as usize;
    let count = usize::from(choices.byte() % 16).min(room);
    ServerFrame::Strings { first, strings: (0..count).map(|_| choices.text()).collect() }
}

fn snapshot(choices: &mut Choices<'_>) -> Snapshot {
    let mut anchor = || Anchor { ticks: choices.number(), mono_ns: choices.number() };
    let clock = ClockMap::through(anchor(), anchor());
    let (token_count, task_count) = (choices.byte() % 4, choices.byte() % 4);
    let mut tokens = Vec::new();
    for _ in 0..token_count {
        let words = choices.words::<{ token_word::COUNT }>();
        tokens.extend(TokenRow::from_words(&words, words[0] & 1 != 0, &clock));
    }
    let mut tasks = Vec::new();
    for _ in 0..task_count {
        let words = choices.words::<{ task_word::COUNT }>();
        tasks.extend(TaskRow::from_words(&words, words[0] & 1 != 0, &clock));
    }
    Snapshot {
        runtime: RuntimeId(choices.small()),
        taken: choices.stamp(),
        activity: Activity::from_words(choices.number(), choices.number()),
        since: choices.stamp(),
        totals: Totals::from_words(&choices.words::<{ total_word::COUNT }>()).in_ns(&clock),
        tokens,
        tasks,
    }
}

fn loss(choices: &mut Choices<'_>) -> ServerFrame {
    let from = choices.number();
    let to = from.saturating_add(choices.number());
    ServerFrame::Loss { runtime: RuntimeId(choices.small()), from, to }
}

fn goodbye(choices: &mut Choices<'_>) -> Goodbye {
    match choices.byte() % 5 {
        0 => Goodbye::Finished,
        1 => Goodbye::ProcessEnding,
        2 => Goodbye::ProtocolError(choices.text()),
        3 => Goodbye::Busy,
        _ => Goodbye::Version { server: choices.small() as u16 },
    }
}

fn client_frame(choices: &mut Choices<'_>) -> ClientFrame {
    match choices.byte() % 5 {
        0 => ClientFrame::Hello { version: choices.small() as u16 },
        1 => ClientFrame::Subscribe(Subscribe {
            history: choices.byte() & 1 != 0,
            kinds: KindFilter(choices.number()),
            snapshot_every_ms: choices.small(),
        }),
        2 => ClientFrame::Pause,
        3 => ClientFrame::Resume,
        _ => ClientFrame::Finish,
    }
}

/// Records with ascending numbers, with and without gaps that a filter has left.
fn events(choices: &mut Choices<'_>) -> ServerFrame {
    let runtime = RuntimeId(choices.small());
    // The numbers that a batch accounts for end before the last one there is.
    let mut seq = choices.number() >> 1;
    let (count, gaps) = (choices.byte() % 32, choices.byte());
    let mut filtered = 0;
    let mut gap = |choices: &mut Choices<'_>, bit: u8| {
        let gap = if gaps >> bit & 1 != 0 { choices.number() >> 8 } else { 0 };
        filtered += gap;
        gap
    };
    let mut records: Vec<Record> = Vec::new();
    for index in 0..count {
        seq += gap(choices, index % 8);
        records.push(record(choices, seq, records.last()));
        seq += 1;
    }
    let next_seq = seq + gap(choices, 0);
    ServerFrame::Events { runtime, records, next_seq, filtered }
}

fn record(choices: &mut Choices<'_>, seq: u64, before: Option<&Record>) -> Record {
    let shape = choices.byte();
    let [code, a, b, c] = std::array::from_fn(|_| choices.byte());
    // Kinds and codes that are known more often than chance would have it.
    let code = if shape & 3 == 0 { code } else { code % kind::LAST + 1 };
    let [a, b, c] = if shape & 4 == 0 { [a, b, c] } else { [a, b, c].map(|code| code & 0xF) };
    let head = u64::from(u32::from_le_bytes([code, a, b, c])) | u64::from(choices.small()) << 32;
    let [mut at, x, y] = choices.words();
    if let Some(before) = before.filter(|_| shape & 8 == 0) {
        at = before.at.0.wrapping_add(at);
    }
    let record = Record::from_words(seq, [head, at, x, y], &ClockMap::IDENTITY);
    // What a ring's words say can be written to a ring, and says the same there.
    let again = |record: Record| Record::from_words(seq, record.to_words(), &ClockMap::IDENTITY);
    let once = again(record);
    assert_eq!(again(once), once);
    record
}
