//! What a trace holds, counted from its frames.

use crate::frame::{Goodbye, ServerFrame};
use crate::ids::{RuntimeId, Seq};

/// How many records of one runtime a trace accounts for. All numbers come from the sequence numbers of its frames, so
/// *recorded = delivered + filtered + lost* is a statement about the stream, not a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeSummary {
    /// The runtime.
    pub runtime: RuntimeId,
    /// Records made while we watched: `end_seq` less `first_seq`.
    pub recorded: u64,
    /// Records in the trace.
    pub delivered: u64,
    /// Records that the filter left out.
    pub filtered: u64,
    /// Records overwritten before they could be sent.
    pub lost: u64,
    /// Number of the first record accounted for.
    pub first_seq: Seq,
    /// Number after the last record accounted for.
    pub end_seq: Seq,
}

impl RuntimeSummary {
    /// The account of a runtime that begins with this record.
    pub(super) fn new(runtime: RuntimeId, first_seq: Seq) -> Self {
        Self {
            runtime,
            recorded: 0,
            delivered: 0,
            filtered: 0,
            lost: 0,
            first_seq,
            end_seq: first_seq,
        }
    }

    /// The account goes on to before this record.
    pub(super) fn advance(&mut self, end_seq: Seq) {
        self.end_seq = end_seq;
        self.recorded = end_seq.saturating_sub(self.first_seq);
    }

    /// Whether every record is accounted for.
    #[must_use]
    pub fn adds_up(&self) -> bool {
        let accounted = [self.delivered, self.filtered, self.lost].map(u128::from);
        u128::from(self.recorded) == accounted.into_iter().sum()
    }
}

/// Why a trace ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Everything asked for was received.
    Finished,
    /// The process said that it was ending, after it had sent everything.
    ProcessEnding,
    /// The connection ended without a goodbye: the process died, or the recording was broken off.
    NoGoodbye,
    /// The server did not understand the client.
    ProtocolError,
    /// The server had too many clients.
    Busy,
    /// The two sides speak different versions.
    Version,
}

impl Reason {
    const ALL: [Self; 6] = [
        Self::Finished,
        Self::ProcessEnding,
        Self::NoGoodbye,
        Self::ProtocolError,
        Self::Busy,
        Self::Version,
    ];

    /// The code in native traces.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::NoGoodbye => 0,
            Self::Finished => 1,
            Self::ProcessEnding => 2,
            Self::ProtocolError => 3,
            Self::Busy => 4,
            Self::Version => 5,
        }
    }

    /// The reason with this code, if there is one.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The word in traces.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::ProcessEnding => "process-ending",
            Self::NoGoodbye => "no-goodbye",
            Self::ProtocolError => "protocol-error",
            Self::Busy => "busy",
            Self::Version => "version",
        }
    }

    /// The reason with this word, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

impl From<&Goodbye> for Reason {
    fn from(goodbye: &Goodbye) -> Self {
        match goodbye {
            Goodbye::Finished => Self::Finished,
            Goodbye::ProcessEnding => Self::ProcessEnding,
            Goodbye::ProtocolError(_) => Self::ProtocolError,
            Goodbye::Busy => Self::Busy,
            Goodbye::Version { .. } => Self::Version,
        }
    }
}

/// The end of a trace: what is in it, and whether that is everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Each runtime of which events were received, in the order of their first frames.
    pub runtimes: Vec<RuntimeSummary>,
    /// Why the stream ended.
    pub reason: Reason,
}

impl Summary {
    /// That of a trace without a frame.
    pub(super) fn new() -> Self {
        Self { runtimes: Vec::new(), reason: Reason::NoGoodbye }
    }

    /// Counts a frame. A server can claim what it likes: nonsense must not add up, and must not stop a recording either.
    pub(super) fn count(&mut self, frame: &ServerFrame) {
        match frame {
            ServerFrame::Events { runtime, records, next_seq, filtered } => {
                let delivered = records.len() as u64;
                let from = next_seq.saturating_sub(delivered).saturating_sub(*filtered);
                let account = self.account(*runtime, from);
                account.delivered += delivered;
                account.filtered = account.filtered.saturating_add(*filtered);
                account.advance(*next_seq);
            }
            ServerFrame::Loss { runtime, from, to } => {
                let account = self.account(*runtime, *from);
                account.lost = account.lost.saturating_add(to.saturating_sub(*from));
                account.advance(*to);
            }
            ServerFrame::Goodbye(goodbye) => self.reason = Reason::from(goodbye),
            _ => {}
        }
    }

    fn account(&mut self, runtime: RuntimeId, from: Seq) -> &mut RuntimeSummary {
        let known = self.runtimes.iter().position(|account| account.runtime == runtime);
        let index = known.unwrap_or_else(|| {
            self.runtimes.push(RuntimeSummary::new(runtime, from));
            self.runtimes.len() - 1
        });
        &mut self.runtimes[index]
    }

    /// Whether the stream ended as it should and every record is accounted for. Lost records are accounted for.
    #[must_use]
    pub fn complete(&self) -> bool {
        matches!(self.reason, Reason::Finished | Reason::ProcessEnding)
            && self.runtimes.iter().all(RuntimeSummary::adds_up)
    }

    /// Records made while we watched, of all runtimes.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.total(|runtime| runtime.recorded)
    }

    /// Records in the trace, of all runtimes.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.total(|runtime| runtime.delivered)
    }

    /// Records that the filter left out, of all runtimes.
    #[must_use]
    pub fn filtered(&self) -> u64 {
        self.total(|runtime| runtime.filtered)
    }

    /// Records overwritten before they could be sent, of all runtimes.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.total(|runtime| runtime.lost)
    }

    fn total(&self, part: impl Fn(&RuntimeSummary) -> u64) -> u64 {
        self.runtimes.iter().map(part).fold(0, u64::saturating_add)
    }
}
