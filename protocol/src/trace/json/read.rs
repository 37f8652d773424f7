//! Lines to frames.

use super::line::{
    EventLine, FilterLine, GoodbyeLine, Head, Intern, Outside, RangeLine, SnapshotLine,
};
use super::line::{RuntimeObject, SummaryObject};
use super::{BEGINNING, Reason, RuntimeSummary, Summary, TraceError, VERSION};
use crate::event::Record;
use crate::frame::{Goodbye, KindFilter, ServerFrame};
use crate::ids::{RuntimeId, Seq, Stamp, StringId};
use crate::limits;
use serde::Deserialize;
use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, Read};

/// Bytes of the longest line: a snapshot of as many rows as a snapshot can have takes less.
const MAX_LINE: u64 = 1 << 29;

/// Records after which a batch is handed out.
const BATCH: usize = 1024;

/// Reads a trace, frame by frame: the hello first, then what [`super::Writer`] was given, with events in batches of up to
/// 1,024 and strings numbered anew, each before its first use.
///
/// A document that was cut off anywhere yields everything in its whole lines; [`Reader::truncated`] says so afterwards.
/// Takes about a microsecond for each event.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    line: Vec<u8>,
    number: u64,
    section: Section,
    /// Each line is an object of its own.
    in_lines: bool,
    ready: VecDeque<ServerFrame>,
    hello: Hello,
    batch: Option<Batch>,
    strings: Interner,
    /// For each runtime the number that its next record would have if nothing is missing.
    expected: HashMap<RuntimeId, Seq>,
    summary: Option<Summary>,
    truncated: bool,
    /// To be handed out after the frames that came before it.
    error: Option<TraceError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    First,
    Header,
    Events,
    AfterEvents,
    Over,
}

/// What the header has said so far.
#[derive(Debug, Default)]
struct Hello {
    protocol: u16,
    process: Option<crate::frame::Process>,
    runtimes: Vec<crate::frame::RuntimeInfo>,
}

impl Hello {
    fn take(&mut self, outside: Outside<'_>) {
        if let Some(process) = outside.process {
            self.process = Some(process.into());
        }
        if let Some(runtimes) = outside.runtimes {
            self.runtimes = runtimes.into_iter().map(Into::into).collect();
        }
    }
}

/// Events that have been read and not been handed out.
#[derive(Debug)]
struct Batch {
    runtime: RuntimeId,
    records: Vec<Record>,
    next_seq: Seq,
    filtered: u64,
}

impl<R: BufRead> Reader<R> {
    /// A reader at the beginning of a document. Nothing is read yet.
    pub fn new(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
            number: 0,
            section: Section::First,
            in_lines: false,
            ready: VecDeque::new(),
            hello: Hello::default(),
            batch: None,
            strings: Interner::default(),
            expected: HashMap::new(),
            summary: None,
            truncated: false,
            error: None,
        }
    }

    /// Whether the document ended before its summary. Final once the iterator has returned `None`.
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// Whether each line is an object of its own. Known once there is a frame.
    pub fn is_in_lines(&self) -> bool {
        self.in_lines
    }

    /// The document's own summary, once it has been read.
    pub fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    /// Reads on until there is a frame to hand out, or the end.
    fn advance(&mut self) -> Result<(), TraceError> {
        while self.ready.is_empty() && self.section != Section::Over {
            let Some(whole) = self.read_line()? else {
                return self.end_of_input();
            };
            let line = std::mem::take(&mut self.line);
            let result = self.take(line.trim_ascii_end());
            self.line = line;
            match result {
                // Only the last line can lack its end: what makes no sense there was cut off.
                Err(TraceError::NotATrace(_)) if !whole && could_begin(&self.line) => {
                    return self.end_of_input();
                }
                Err(TraceError::Line { .. }) if !whole => return self.end_of_input(),
                other => other?,
            }
        }
        Ok(())
    }

    /// Reads a line: whether it is whole, or `None` at the end of the input.
    fn read_line(&mut self) -> Result<Option<bool>, TraceError> {
        self.line.clear();
        self.number += 1;
        self.input.by_ref().take(MAX_LINE).read_until(b'\n', &mut self.line)?;
        match self.line.last() {
            None => Ok(None),
            Some(b'\n') => Ok(Some(true)),
            Some(_) if self.line.len() as u64 == MAX_LINE => {
                Err(self.fault(format!("it is longer than {MAX_LINE} bytes")))
            }
            Some(_) => Ok(Some(false)),
        }
    }

    fn end_of_input(&mut self) -> Result<(), TraceError> {
        if self.section == Section::First && self.line.is_empty() {
            return Err(TraceError::NotATrace("the file is empty"));
        }
        self.truncated = true;
        self.section = Section::Over;
        self.hand_out_batch();
        Ok(())
    }

    fn take(&mut self, line: &[u8]) -> Result<(), TraceError> {
        let line = line.strip_suffix(b",").unwrap_or(line);
        match self.section {
            _ if line.is_empty() => Ok(()),
            Section::First => self.first(line),
            Section::Header => self.header(line),
            Section::Events if line == b"]" => {
                self.hand_out_batch();
                self.section = Section::AfterEvents;
                Ok(())
            }
            Section::Events => self.element(line),
            Section::AfterEvents | Section::Over => self.after(line),
        }
    }

    fn first(&mut self, line: &[u8]) -> Result<(), TraceError> {
        if !line.starts_with(BEGINNING.as_bytes()) {
            let hint = "it does not begin with {\"format\":\"nexus-trace\", as nexus-inspect writes it; if a tool has \
                        laid it out anew, record to a file of its own";
            return Err(TraceError::NotATrace(hint));
        }
        // A document goes on with its process, in lines of their own; where each line is an object, this one holds it.
        self.in_lines = line.ends_with(b"}");
        let object = if self.in_lines { line.to_vec() } else { [line, b"}"].concat() };
        let outside: Outside<'_> = self.parse(&object)?;
        match outside.version {
            Some(VERSION) => {}
            Some(found) => return Err(TraceError::Version { found, known: VERSION }),
            None => return Err(self.fault("the version is missing".into())),
        }
        self.hello.protocol = outside.protocol.unwrap_or(0);
        self.hello.take(outside);
        self.section = Section::Header;
        if self.in_lines { self.greet() } else { Ok(()) }
    }

    fn greet(&mut self) -> Result<(), TraceError> {
        let process = self.hello.process.take();
        let process = process.ok_or_else(|| self.fault("the process is missing".into()))?;
        let runtimes = std::mem::take(&mut self.hello.runtimes);
        let version = self.hello.protocol;
        self.ready.push_back(ServerFrame::Hello { version, process, runtimes });
        self.section = Section::Events;
        Ok(())
    }

    fn header(&mut self, line: &[u8]) -> Result<(), TraceError> {
        if line == b"\"events\":[" {
            return self.greet();
        }
        let object = [b"{", line, b"}"].concat();
        let outside: Outside<'_> = self.parse(&object)?;
        self.hello.take(outside);
        Ok(())
    }

    /// A line of the events: a record, or something that happened between two.
    fn element(&mut self, line: &[u8]) -> Result<(), TraceError> {
        if line.starts_with(b"{\"seq\":") {
            return self.event(line);
        }
        let head: Head<'_> = self.parse(line)?;
        match &*head.kind.0 {
            "start" => self.start(line)?,
            "loss" => self.loss(line)?,
            "filtered" => {
                let (runtime, from, to) = self.range(line)?;
                self.begin(runtime, from)?;
                self.account(to);
            }
            "snapshot" => {
                let parsed: SnapshotLine<'_> = self.parse(line)?;
                let snapshot = parsed.snapshot(&mut self.strings).map_err(|f| self.fault(f))?;
                self.hand_out(ServerFrame::Snapshot(Box::new(snapshot)));
            }
            "runtime" => {
                let info: RuntimeObject<'_> = self.parse(line)?;
                self.hand_out(ServerFrame::Runtime(info.into()));
            }
            "filter" => {
                let filter: FilterLine = self.parse(line)?;
                self.hand_out(ServerFrame::Filter(KindFilter(filter.bits)));
            }
            "goodbye" => {
                let goodbye = goodbye(&self.parse(line)?);
                self.hand_out(ServerFrame::Goodbye(goodbye));
            }
            "summary" => {
                self.hand_out_batch();
                self.summary = Some(summary(self.parse(line)?));
                self.section = Section::Over;
            }
            // An event whose number does not stand first.
            _ if head.seq.is_some() && head.at_ns.is_some() => return self.event(line),
            // A line of a later version.
            _ => {}
        }
        Ok(())
    }

    fn event(&mut self, bytes: &[u8]) -> Result<(), TraceError> {
        let line: EventLine<'_> = self.parse(bytes)?;
        let event = line.event(&mut self.strings).map_err(|fault| self.fault(fault))?;
        let (runtime, seq) = (RuntimeId(line.runtime), line.seq);
        if self.batch.as_ref().is_some_and(|batch| batch.records.len() >= BATCH) {
            self.hand_out_batch();
        }
        self.begin(runtime, seq)?;
        self.account(seq);
        let batch = self.batch.as_mut().expect("a batch has just begun");
        batch.records.push(Record { seq, at: Stamp(line.at_ns), event });
        batch.next_seq = seq.saturating_add(1);
        Ok(())
    }

    /// Makes sure that the current batch is one of `runtime`. If it is the runtime's first one, it begins at `seq`.
    fn begin(&mut self, runtime: RuntimeId, seq: Seq) -> Result<(), TraceError> {
        if self.batch.as_ref().is_some_and(|batch| batch.runtime != runtime) {
            self.hand_out_batch();
        }
        let expected = match &self.batch {
            Some(batch) => batch.next_seq,
            None => self.expected.get(&runtime).copied().unwrap_or(seq),
        };
        if seq < expected {
            let fault = format!("record {seq} of runtime {runtime} comes after record {expected}");
            return Err(self.fault(fault));
        }
        if seq == Seq::MAX {
            return Err(self.fault(format!("no record has the number {seq}")));
        }
        self.batch.get_or_insert_with(|| Batch::new(runtime, expected));
        Ok(())
    }

    /// Notes that a filter left out what lies between the current batch's last record and `seq`.
    fn account(&mut self, seq: Seq) {
        if let Some(batch) = &mut self.batch {
            batch.filtered += seq - batch.next_seq;
            batch.next_seq = seq;
        }
    }

    fn start(&mut self, line: &[u8]) -> Result<(), TraceError> {
        self.hand_out_batch();
        let range: RangeLine = self.parse(line)?;
        let seq = range.seq.ok_or_else(|| self.fault("the field \"seq\" is missing".into()))?;
        let runtime = RuntimeId(range.runtime);
        // An empty batch, so that the start survives even if nothing follows.
        self.batch = Some(Batch::new(runtime, seq));
        Ok(())
    }

    fn loss(&mut self, line: &[u8]) -> Result<(), TraceError> {
        let (runtime, from, to) = self.range(line)?;
        if self.expected.contains_key(&runtime) || self.batch.is_some() {
            self.begin(runtime, from)?;
            self.account(from);
        }
        self.hand_out(ServerFrame::Loss { runtime, from, to });
        self.expected.insert(runtime, to);
        Ok(())
    }

    fn range(&self, line: &[u8]) -> Result<(RuntimeId, Seq, Seq), TraceError> {
        let range: RangeLine = self.parse(line)?;
        match (range.from_seq, range.to_seq) {
            (Some(from), Some(to)) if from <= to => Ok((RuntimeId(range.runtime), from, to)),
            _ => Err(self.fault("it needs a from_seq and a to_seq that is not smaller".into())),
        }
    }

    fn after(&mut self, line: &[u8]) -> Result<(), TraceError> {
        let object = [b"{", line].concat();
        let outside: Outside<'_> = self.parse(&object)?;
        self.summary = outside.summary.map(summary);
        self.section = Section::Over;
        Ok(())
    }

    fn hand_out_batch(&mut self) {
        let Some(Batch { runtime, records, next_seq, filtered }) = self.batch.take() else {
            return;
        };
        let starts = self.expected.insert(runtime, next_seq).is_none_or(|seq| seq != next_seq);
        if starts || !records.is_empty() || filtered > 0 {
            self.push(ServerFrame::Events { runtime, records, next_seq, filtered });
        }
    }

    /// Hands out a frame, after the events before it.
    fn hand_out(&mut self, frame: ServerFrame) {
        self.hand_out_batch();
        self.push(frame);
    }

    /// Hands out a frame, after the strings it uses.
    fn push(&mut self, frame: ServerFrame) {
        if let Some(strings) = self.strings.take_new() {
            self.ready.push_back(strings);
        }
        self.ready.push_back(frame);
    }

    fn parse<'a, T: Deserialize<'a>>(&self, bytes: &'a [u8]) -> Result<T, TraceError> {
        serde_json::from_slice(bytes).map_err(|error| self.fault(error.to_string()))
    }

    fn fault(&self, fault: String) -> TraceError {
        TraceError::Line { line: self.number, fault }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<ServerFrame, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(error) = self.advance() {
            self.section = Section::Over;
            self.hand_out_batch();
            self.error = Some(error);
        }
        self.ready.pop_front().map(Ok).or_else(|| self.error.take().map(Err))
    }
}

impl Batch {
    fn new(runtime: RuntimeId, next_seq: Seq) -> Self {
        Self { runtime, records: Vec::new(), next_seq, filtered: 0 }
    }
}

/// Texts by number, and what of them has not been handed out yet.
#[derive(Debug, Default)]
struct Interner {
    numbers: HashMap<String, StringId>,
    new: Vec<String>,
    /// The last number given.
    last: u32,
}

impl Interner {
    /// The last number stands for all texts that the table has no room for, as in the process itself.
    const OVERFLOW: StringId = StringId(limits::MAX_STRINGS as u32 - 1);

    fn take_new(&mut self) -> Option<ServerFrame> {
        if self.new.is_empty() {
            return None;
        }
        let strings = std::mem::take(&mut self.new);
        let first = StringId(self.last + 1 - strings.len() as u32);
        Some(ServerFrame::Strings { first, strings })
    }
}

impl Intern for Interner {
    fn intern(&mut self, text: &str) -> StringId {
        if text.is_empty() {
            return StringId::EMPTY;
        }
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        if self.last == Self::OVERFLOW.0 {
            return Self::OVERFLOW;
        }
        self.last += 1;
        let number = StringId(self.last);
        let text = if number == Self::OVERFLOW { "<overflow>" } else { text };
        self.numbers.insert(text.to_owned(), number);
        self.new.push(text.to_owned());
        number
    }
}

fn goodbye(line: &GoodbyeLine<'_>) -> Goodbye {
    let text = || line.text.as_ref().map_or(String::new(), |text| text.0.to_string());
    match Reason::from_name(&line.reason.0) {
        Some(Reason::Finished) => Goodbye::Finished,
        Some(Reason::ProcessEnding) => Goodbye::ProcessEnding,
        Some(Reason::Busy) => Goodbye::Busy,
        Some(Reason::Version) => Goodbye::Version { server: line.server_version.unwrap_or(0) },
        Some(Reason::ProtocolError | Reason::NoGoodbye) | None => Goodbye::ProtocolError(text()),
    }
}

fn summary(object: SummaryObject<'_>) -> Summary {
    let runtimes = object.runtimes.into_iter().map(|runtime| RuntimeSummary {
        runtime: RuntimeId(runtime.runtime),
        recorded: runtime.recorded,
        delivered: runtime.delivered,
        filtered: runtime.filtered,
        lost: runtime.lost,
        first_seq: runtime.first_seq,
        end_seq: runtime.end_seq,
    });
    Summary {
        runtimes: runtimes.collect(),
        reason: Reason::from_name(&object.reason.0).unwrap_or(Reason::NoGoodbye),
    }
}

/// Whether a first line that was cut off may have been ours.
fn could_begin(line: &[u8]) -> bool {
    BEGINNING.as_bytes().starts_with(line) || line.starts_with(BEGINNING.as_bytes())
}
