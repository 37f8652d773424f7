//! Several processes as one stream.
//!
//! A started program may start others, each with runtimes and strings numbered from one. Here they are renumbered into
//! one table each, so that everything downstream sees one stream of frames: the first process gives it its hello, the
//! runtimes of later ones join it under names that tell them apart. Stamps need nothing: all are of the one
//! `CLOCK_MONOTONIC` of this machine.

use nexus_protocol::board::Snapshot;
use nexus_protocol::event::{Address, Event, Record};
use nexus_protocol::frame::{Process, RuntimeInfo, ServerFrame};
use nexus_protocol::ids::{RuntimeId, StringId};
use nexus_protocol::limits;
use std::collections::HashMap;

/// What all processes share.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    /// Runtimes numbered so far.
    runtimes: u32,
    /// The joint string table, but for the empty string.
    strings: HashMap<String, StringId>,
    /// Whether a process has given the stream its hello.
    begun: bool,
}

/// What one process's numbers are in the joint stream.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    runtimes: HashMap<RuntimeId, RuntimeId>,
    strings: HashMap<StringId, StringId>,
    /// What is added to the names of its runtimes; empty for the first process.
    label: String,
}

impl Merge {
    /// Whether a process has given the stream its hello.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// The frames of the joint stream for one frame of a process. A goodbye gives none: the stream goes on.
    pub(crate) fn take(&mut self, origin: &mut Origin, frame: ServerFrame) -> Vec<ServerFrame> {
        match frame {
            ServerFrame::Hello { version, process, runtimes } => {
                self.hello(origin, version, process, runtimes)
            }
            ServerFrame::Runtime(info) => vec![ServerFrame::Runtime(self.runtime(origin, info))],
            ServerFrame::Strings { first, strings } => {
                self.strings(origin, first, strings).into_iter().collect()
            }
            ServerFrame::Snapshot(mut snapshot) => {
                snapshot.runtime = self.runtime_id(origin, snapshot.runtime);
                origin.rename_in_snapshot(&mut snapshot);
                vec![ServerFrame::Snapshot(snapshot)]
            }
            ServerFrame::Events { runtime, mut records, next_seq, filtered } => {
                let runtime = self.runtime_id(origin, runtime);
                records.iter_mut().for_each(|record| origin.rename_in_record(record));
                vec![ServerFrame::Events { runtime, records, next_seq, filtered }]
            }
            ServerFrame::Loss { runtime, from, to } => {
                vec![ServerFrame::Loss { runtime: self.runtime_id(origin, runtime), from, to }]
            }
            // All are asked for the same.
            ServerFrame::Filter(kinds) => vec![ServerFrame::Filter(kinds)],
            ServerFrame::Goodbye(_) => Vec::new(),
        }
    }

    fn hello(
        &mut self,
        origin: &mut Origin,
        version: u16,
        process: Process,
        runtimes: Vec<RuntimeInfo>,
    ) -> Vec<ServerFrame> {
        if self.begun {
            origin.label = format!("{}[{}]", process.program, process.pid);
            let frames = runtimes.into_iter().map(|info| self.runtime(origin, info));
            return frames.map(ServerFrame::Runtime).collect();
        }
        self.begun = true;
        let runtimes = runtimes.into_iter().map(|info| self.runtime(origin, info)).collect();
        vec![ServerFrame::Hello { version, process, runtimes }]
    }

    fn runtime(&mut self, origin: &mut Origin, mut info: RuntimeInfo) -> RuntimeInfo {
        info.id = self.runtime_id(origin, info.id);
        if !origin.label.is_empty() {
            let separator = if info.name.is_empty() { "" } else { " " };
            info.name = format!("{}{separator}{}", info.name, origin.label);
        }
        info
    }

    fn runtime_id(&mut self, origin: &mut Origin, theirs: RuntimeId) -> RuntimeId {
        *origin.runtimes.entry(theirs).or_insert_with(|| {
            self.runtimes += 1;
            RuntimeId(self.runtimes)
        })
    }

    /// Takes in entries of a process's table. Texts that are in the joint one already are only looked up; the frame
    /// holds the others, which get consecutive numbers.
    fn strings(
        &mut self,
        origin: &mut Origin,
        first: StringId,
        texts: Vec<String>,
    ) -> Option<ServerFrame> {
        let mut added = Vec::new();
        let mut first_added = None;
        for (theirs, text) in (first.0..).zip(texts) {
            let ours = match self.strings.get(&text) {
                Some(&known) => known,
                None if text.is_empty() => StringId::EMPTY,
                None => {
                    let (id, text) = self.add(text);
                    if let Some(text) = text {
                        first_added.get_or_insert(id);
                        added.push(text);
                    }
                    id
                }
            };
            origin.strings.insert(StringId(theirs), ours);
        }
        first_added.map(|first| ServerFrame::Strings { first, strings: added })
    }

    /// A number for a new text, and the text to send if the number is new as well. The last entry that fits stands for
    /// all that would not.
    fn add(&mut self, text: String) -> (StringId, Option<String>) {
        let last = limits::MAX_STRINGS - 1;
        let next = self.strings.len() + 1;
        let text = if next < last { text } else { OVERFLOW.to_owned() };
        if let Some(&overflow) = self.strings.get(&text) {
            return (overflow, None);
        }
        let id = StringId(u32::try_from(next).unwrap_or(u32::MAX));
        self.strings.insert(text.clone(), id);
        (id, Some(text))
    }
}

/// The text of the entry that stands for all that did not fit.
const OVERFLOW: &str = "<overflow>";

impl Origin {
    fn rename(&self, string: &mut StringId) {
        // A process sends strings before it uses them; a number it did not send has no text here either.
        *string = self.strings.get(string).copied().unwrap_or(StringId::EMPTY);
    }

    fn rename_in_address(&self, address: Option<&mut Address>) {
        if let Some(Address::Unix(path)) = address {
            self.rename(path);
        }
    }

    fn rename_in_snapshot(&self, snapshot: &mut Snapshot) {
        for token in &mut snapshot.tokens {
            self.rename(&mut token.location);
            self.rename_in_address(token.local.as_mut());
            self.rename_in_address(token.peer.as_mut());
        }
        for task in &mut snapshot.tasks {
            self.rename(&mut task.location);
            self.rename(&mut task.name);
        }
    }

    fn rename_in_record(&self, record: &mut Record) {
        match &mut record.event {
            Event::TokenClaimed { location, .. } => self.rename(location),
            Event::TokenAddress { address, .. } => self.rename_in_address(Some(address)),
            Event::TaskSpawned { location, name, .. } => {
                self.rename(location);
                self.rename(name);
            }
            Event::SpanEntered { name, target, location, .. } => {
                for string in [name, target, location] {
                    self.rename(string);
                }
            }
            Event::SpanExited { name, .. } => self.rename(name),
            Event::Log { message, target, location, .. } => {
                for string in [message, target, location] {
                    self.rename(string);
                }
            }
            // No other event names a string. A kind added later that does has to be added here.
            Event::Turn { .. }
            | Event::TokenRegistered { .. }
            | Event::TokenReleased { .. }
            | Event::ReleaseRefused { .. }
            | Event::Transition { .. }
            | Event::StaleEvent { .. }
            | Event::TaskFinished { .. }
            | Event::Wake { .. }
            | Event::PollStart { .. }
            | Event::PollEnd { .. }
            | Event::Operation { .. }
            | Event::WaitBegin { .. }
            | Event::WaitEnd { .. }
            | Event::Timer { .. }
            | Event::FreelistGrown { .. }
            | Event::Repeats { .. }
            | Event::Text { .. }
            | Event::Unknown { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_protocol::event::Side;
    use nexus_protocol::frame::Goodbye;
    use nexus_protocol::{Stamp, TaskId};

    fn hello(pid: u32, runtimes: &[u32]) -> ServerFrame {
        let process = Process {
            pid,
            start_time: 1,
            program: "child".to_owned(),
            command_line: String::new(),
            started: Stamp(1),
            wall_offset_ns: 0,
            clock: "monotonic".to_owned(),
        };
        let runtimes = runtimes.iter().map(|&id| info(id, "")).collect();
        ServerFrame::Hello { version: 1, process, runtimes }
    }

    fn info(id: u32, name: &str) -> RuntimeInfo {
        RuntimeInfo {
            id: RuntimeId(id),
            name: name.to_owned(),
            thread: 7,
            started: Stamp(1),
            ended: Stamp::NEVER,
            ring_capacity: 8,
            recorded: 0,
            tokens: 0,
            tasks: 0,
        }
    }

    fn strings(first: u32, texts: &[&str]) -> ServerFrame {
        let strings = texts.iter().map(|&text| text.to_owned()).collect();
        ServerFrame::Strings { first: StringId(first), strings }
    }

    fn spawned(runtime: u32, location: u32, name: u32) -> ServerFrame {
        let event = Event::TaskSpawned {
            task: TaskId(1),
            location: StringId(location),
            name: StringId(name),
            poll: None,
        };
        let records = vec![Record { seq: 0, at: Stamp(5), event }];
        ServerFrame::Events { runtime: RuntimeId(runtime), records, next_seq: 1, filtered: 0 }
    }

    #[test]
    fn a_single_process_passes_unchanged() {
        let (mut merge, mut origin) = (Merge::default(), Origin::default());
        let frames = [hello(10, &[1]), strings(1, &["a", "b"]), spawned(1, 1, 2), spawned(1, 2, 0)];
        for frame in frames {
            assert_eq!(merge.take(&mut origin, frame.clone()), [frame]);
        }
        assert_eq!(merge.take(&mut origin, ServerFrame::Goodbye(Goodbye::ProcessEnding)), []);
    }

    #[test]
    fn a_second_process_gets_runtimes_and_strings_of_its_own() {
        let mut merge = Merge::default();
        let (mut one, mut two) = (Origin::default(), Origin::default());
        merge.take(&mut one, hello(10, &[1]));
        merge.take(&mut one, strings(1, &["a", "b"]));
        let joined = merge.take(&mut two, hello(11, &[1]));
        assert_eq!(joined, [ServerFrame::Runtime(info(2, "child[11]"))]);
        let named = merge.take(&mut two, ServerFrame::Runtime(info(5, "x")));
        assert_eq!(named, [ServerFrame::Runtime(info(3, "x child[11]"))]);
        assert_eq!(merge.take(&mut two, strings(1, &["b", "c", ""])), [strings(3, &["c"])]);
        assert_eq!(merge.take(&mut two, spawned(1, 1, 2)), [spawned(2, 2, 3)]);
        assert_eq!(merge.take(&mut two, spawned(5, 3, 9)), [spawned(3, 0, 0)]);
        assert_eq!(merge.take(&mut two, strings(4, &["a"])), [], "known already");
    }

    #[test]
    fn paths_of_unix_sockets_are_strings_too() {
        let mut merge = Merge::default();
        let (mut one, mut two) = (Origin::default(), Origin::default());
        merge.take(&mut one, strings(1, &["a"]));
        merge.take(&mut two, strings(1, &["b"]));
        let address = |string| {
            let address = Address::Unix(StringId(string));
            let event = Event::TokenAddress { slot: 0, side: Side::Local, address };
            let records = vec![Record { seq: 0, at: Stamp(5), event }];
            ServerFrame::Events { runtime: RuntimeId(1), records, next_seq: 1, filtered: 0 }
        };
        assert_eq!(merge.take(&mut two, address(1)), [address(2)]);
    }

    #[test]
    fn a_full_table_says_so() {
        let (mut merge, mut origin) = (Merge::default(), Origin::default());
        for at in 1..limits::MAX_STRINGS as u32 + 10 {
            merge.take(&mut origin, strings(at, &[&format!("text {at}")]));
        }
        assert_eq!(merge.strings.len(), limits::MAX_STRINGS - 1);
        let last = StringId(limits::MAX_STRINGS as u32 - 1);
        assert_eq!(merge.strings[OVERFLOW], last);
        assert_eq!(origin.strings[&StringId(limits::MAX_STRINGS as u32 + 5)], last);
    }
}
