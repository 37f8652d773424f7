//! Frames to lines.

use super::object::Object;
use super::{BEGINNING, Reason, RuntimeSummary, Summary, VERSION, board, event};
use crate::event::Record;
use crate::frame::{Goodbye, Process, RuntimeInfo, ServerFrame};
use crate::ids::{RuntimeId, Seq};
use crate::strings::Strings;
use std::io::{self, Write};

/// Bytes kept before they are written.
const BUFFER_BYTES: usize = 64 * 1024;

/// Writes a trace, frame by frame.
///
/// Lines reach the writer beneath in pieces of about 64 KiB, or at [`Writer::flush`]. Whatever happens to the recording,
/// all whole lines written so far can be read.
#[derive(Debug)]
pub struct Writer<W: Write> {
    inner: W,
    layout: Layout,
    buffer: Vec<u8>,
    strings: Strings,
    state: State,
    accounts: Vec<Account>,
    reason: Reason,
    bytes: u64,
}

/// How lines make a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// As one document.
    Document,
    /// As objects of their own.
    Lines,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The hello has not come yet.
    Empty,
    /// The header is written, and no line of the events.
    Begun,
    /// There is a line, which has no end yet.
    InEvents,
}

/// What is known of the records of one runtime.
#[derive(Debug)]
struct Account {
    summary: RuntimeSummary,
    /// Number after the last record that the lines written account for: behind `end_seq` where a filter left out the
    /// last records.
    told: Seq,
}

impl<W: Write> Writer<W> {
    /// A writer of one document. Nothing is written before the first frame.
    pub fn new(inner: W) -> Self {
        Self::laid_out(inner, Layout::Document)
    }

    /// A writer of lines that are objects of their own. All lines are whole after a [`Writer::flush`].
    pub fn lines(inner: W) -> Self {
        Self::laid_out(inner, Layout::Lines)
    }

    fn laid_out(inner: W, layout: Layout) -> Self {
        Self {
            inner,
            layout,
            buffer: Vec::with_capacity(2 * BUFFER_BYTES),
            strings: Strings::default(),
            state: State::Empty,
            accounts: Vec::new(),
            reason: Reason::NoGoodbye,
            bytes: 0,
        }
    }

    /// Adds a frame. The first one has to be the hello, and only that one. About a quarter of a microsecond for each record.
    ///
    /// # Errors
    ///
    /// If the writer beneath fails, or ([`io::ErrorKind::InvalidInput`]) if frames come in a wrong order.
    pub fn frame(&mut self, frame: &ServerFrame) -> io::Result<()> {
        match (self.state, frame) {
            (State::Empty, ServerFrame::Hello { version, process, runtimes }) => {
                self.header(*version, process, runtimes);
            }
            (State::Empty, _) => return Err(misplaced("a trace begins with a hello")),
            (_, ServerFrame::Hello { .. }) => return Err(misplaced("a trace has one hello")),
            (_, ServerFrame::Strings { first, strings }) => self.strings.extend(*first, strings),
            (_, ServerFrame::Runtime(info)) => self.line(|line| {
                line.word("kind", "runtime");
                board::runtime(info, line);
            }),
            (_, ServerFrame::Snapshot(snapshot)) => {
                self.separate();
                board::snapshot(snapshot, &self.strings, &mut self.buffer);
            }
            (_, ServerFrame::Events { runtime, records, next_seq, filtered }) => {
                self.events(*runtime, records, *next_seq, *filtered)?;
            }
            (_, ServerFrame::Loss { runtime, from, to }) => self.loss(*runtime, *from, *to),
            (_, ServerFrame::Filter(kinds)) => self.line(|line| {
                line.word("kind", "filter");
                line.words("kinds", kinds.names());
                line.number("bits", kinds.0);
            }),
            (_, ServerFrame::Goodbye(reason)) => self.goodbye(reason),
        }
        self.write_full_buffer()
    }

    /// Passes on everything written so far.
    ///
    /// # Errors
    ///
    /// If the writer beneath fails.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.layout == Layout::Lines && self.state == State::InEvents {
            // Nothing that comes later changes how a line ends.
            self.buffer.push(b'\n');
            self.state = State::Begun;
        }
        self.write_buffer()?;
        self.inner.flush()
    }

    /// Ends the document and passes everything on.
    ///
    /// # Errors
    ///
    /// If the writer beneath fails, or ([`io::ErrorKind::InvalidInput`]) if there was no hello.
    pub fn finish(mut self) -> io::Result<Summary> {
        if self.state == State::Empty {
            return Err(misplaced("a trace begins with a hello"));
        }
        self.tell_all_filtered();
        let summary = self.summary();
        if self.state == State::InEvents {
            self.buffer.push(b'\n');
            self.state = State::Begun;
        }
        if self.layout == Layout::Document {
            self.buffer.extend_from_slice(b"],\n\"summary\":");
        }
        let mut object = Object::open(&mut self.buffer);
        if self.layout == Layout::Lines {
            object.word("kind", "summary");
        }
        object.objects("runtimes", &summary.runtimes, runtime_summary);
        object.boolean("complete", summary.complete());
        object.word("reason", summary.reason.name());
        object.close();
        let end: &[u8] = if self.layout == Layout::Document { b"}\n" } else { b"\n" };
        self.buffer.extend_from_slice(end);
        self.flush()?;
        Ok(summary)
    }

    /// What the frames so far account for.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let runtimes = self.accounts.iter().map(|account| account.summary).collect();
        Summary { runtimes, reason: self.reason }
    }

    /// Bytes of the document so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes + self.buffer.len() as u64
    }

    fn header(&mut self, version: u16, process: &Process, runtimes: &[RuntimeInfo]) {
        // Between the parts of a document's header lines end.
        let between: &[u8] = if self.layout == Layout::Document { b",\n" } else { b"," };
        let out = &mut self.buffer;
        out.extend_from_slice(BEGINNING.as_bytes());
        out.extend_from_slice(format!("\"version\":{VERSION},\"protocol\":{version}").as_bytes());
        out.extend_from_slice(between);
        out.extend_from_slice(b"\"process\":");
        let mut object = Object::open(out);
        board::process(process, &mut object);
        object.close();
        out.extend_from_slice(between);
        out.extend_from_slice(b"\"runtimes\":[");
        for (index, info) in runtimes.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            let mut object = Object::open(out);
            board::runtime(info, &mut object);
            object.close();
        }
        out.extend_from_slice(match self.layout {
            Layout::Document => b"],\n\"events\":[\n",
            Layout::Lines => b"]}\n",
        });
        self.state = State::Begun;
    }

    fn events(
        &mut self,
        runtime: RuntimeId,
        records: &[Record],
        next_seq: Seq,
        filtered: u64,
    ) -> io::Result<()> {
        let from = next_seq.saturating_sub(records.len() as u64).saturating_sub(filtered);
        let account = self.account(runtime, from);
        let summary = &mut self.accounts[account].summary;
        summary.delivered += records.len() as u64;
        // A server can claim what it likes: nonsense must not add up, and must not stop the recording either.
        summary.filtered = summary.filtered.saturating_add(filtered);
        for record in records {
            self.separate();
            event::record(runtime, record, &self.strings, &mut self.buffer);
            self.write_full_buffer()?;
        }
        let account = &mut self.accounts[account];
        account.summary.advance(next_seq);
        if let Some(last) = records.last() {
            account.told = last.seq.saturating_add(1);
        }
        Ok(())
    }

    fn loss(&mut self, runtime: RuntimeId, from: Seq, to: Seq) {
        let account = self.account(runtime, from);
        self.tell_filtered(account);
        self.range("loss", runtime, from, to);
        let account = &mut self.accounts[account];
        account.summary.lost = account.summary.lost.saturating_add(to.saturating_sub(from));
        account.summary.advance(to);
        account.told = to;
    }

    fn goodbye(&mut self, goodbye: &Goodbye) {
        self.tell_all_filtered();
        self.reason = Reason::from(goodbye);
        let reason = self.reason.name();
        self.line(|line| {
            line.word("kind", "goodbye");
            line.word("reason", reason);
            match goodbye {
                Goodbye::ProtocolError(text) => line.text("text", text),
                Goodbye::Version { server } => line.number("server_version", *server),
                Goodbye::Finished | Goodbye::ProcessEnding | Goodbye::Busy => {}
            }
        });
    }

    /// The runtime's account, for frames that go on at `from`. Says so in a line where that is not where the last one
    /// ended: at the beginning, and where a server has skipped numbers without a word.
    fn account(&mut self, runtime: RuntimeId, from: Seq) -> usize {
        let found = self.accounts.iter().position(|account| account.summary.runtime == runtime);
        let index = match found {
            Some(index) if self.accounts[index].summary.end_seq == from => return index,
            Some(index) => {
                self.tell_filtered(index);
                index
            }
            None => {
                self.accounts.push(Account::new(runtime, from));
                self.accounts.len() - 1
            }
        };
        self.line(|line| {
            line.word("kind", "start");
            line.number("runtime", runtime.0);
            line.number("seq", from);
        });
        self.accounts[index].summary.advance(from);
        self.accounts[index].told = from;
        index
    }

    fn tell_all_filtered(&mut self) {
        (0..self.accounts.len()).for_each(|account| self.tell_filtered(account));
    }

    /// Writes down that a filter left out the last records, which no later line would show.
    fn tell_filtered(&mut self, account: usize) {
        let account = &mut self.accounts[account];
        let RuntimeSummary { runtime, end_seq, .. } = account.summary;
        let from = std::mem::replace(&mut account.told, end_seq);
        if from < end_seq {
            self.range("filtered", runtime, from, end_seq);
        }
    }

    fn range(&mut self, kind: &str, runtime: RuntimeId, from: Seq, to: Seq) {
        self.line(|line| {
            line.word("kind", kind);
            line.number("runtime", runtime.0);
            line.number("from_seq", from);
            line.number("to_seq", to);
        });
    }

    fn line(&mut self, write: impl FnOnce(&mut Object<'_>)) {
        self.separate();
        let mut object = Object::open(&mut self.buffer);
        write(&mut object);
        object.close();
    }

    /// Ends the line before.
    fn separate(&mut self) {
        if self.state == State::InEvents {
            let end: &[u8] = if self.layout == Layout::Document { b",\n" } else { b"\n" };
            self.buffer.extend_from_slice(end);
        }
        self.state = State::InEvents;
    }

    fn write_full_buffer(&mut self) -> io::Result<()> {
        if self.buffer.len() < BUFFER_BYTES { Ok(()) } else { self.write_buffer() }
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        let result = self.inner.write_all(&self.buffer);
        self.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        result
    }
}

impl Account {
    fn new(runtime: RuntimeId, first_seq: Seq) -> Self {
        Self { summary: RuntimeSummary::new(runtime, first_seq), told: first_seq }
    }
}

fn runtime_summary(summary: &RuntimeSummary, object: &mut Object<'_>) {
    object.number("runtime", summary.runtime.0);
    object.number("recorded", summary.recorded);
    object.number("delivered", summary.delivered);
    object.number("filtered", summary.filtered);
    object.number("lost", summary.lost);
    object.number("first_seq", summary.first_seq);
    object.number("end_seq", summary.end_seq);
}

fn misplaced(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}
