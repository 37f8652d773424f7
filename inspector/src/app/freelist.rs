//! The state of the freelist pane: what each slot is up to, which one is selected, and the chart's numbers.

use crate::model::{OccupancyCell, Runtime, View};
use crate::text;
use nexus_protocol::Stamp;
use nexus_protocol::board::TokenRow;
use nexus_protocol::event::SourceKind;

const S: u64 = 1_000_000_000;

/// A token with activity younger than this is active.
const ACTIVE_NS: u64 = S;

/// A token without activity for this long is quiet; one that nobody waits for either is suspect.
const QUIET_NS: u64 = 10 * S;

/// A token whose peer has closed this long ago should have been released.
const CLOSED_NS: u64 = 5 * S;

/// What a slot is up to, from the least to the most worth a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SlotState {
    /// Free.
    Free,
    /// Live, with an event or an operation in the last second.
    Active,
    /// Live, with nothing happening right now.
    Idle,
    /// Live, with nothing happening for long; somebody waits for it.
    Quiet,
    /// Live, and looks forgotten.
    Suspect,
}

impl SlotState {
    /// All of them, in the order of the legend.
    pub const ALL: [Self; 5] = [Self::Active, Self::Idle, Self::Quiet, Self::Suspect, Self::Free];

    /// What a token is up to at a moment.
    #[must_use]
    pub fn of(row: &TokenRow, at: Stamp) -> Self {
        if suspicion(row, at).is_some() {
            return Self::Suspect;
        }
        match quiet_ns(row, at) {
            0..ACTIVE_NS => Self::Active,
            ACTIVE_NS..QUIET_NS => Self::Idle,
            _ => Self::Quiet,
        }
    }

    /// The words of the legend.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Active => "active",
            Self::Idle => "idle",
            Self::Quiet => "quiet for 10 s",
            Self::Suspect => "looks forgotten",
        }
    }

    /// The mark on the map.
    #[must_use]
    pub fn glyph(self) -> char {
        match self {
            Self::Free => '·',
            Self::Active => '■',
            Self::Idle => '□',
            Self::Quiet => '▫',
            Self::Suspect => '!',
        }
    }
}

fn quiet_ns(row: &TokenRow, at: Stamp) -> u64 {
    at.since(row.last_active.known().unwrap_or(row.claimed))
}

/// Why a token looks forgotten, if it does.
#[must_use]
pub fn suspicion(row: &TokenRow, at: Stamp) -> Option<String> {
    let quiet = quiet_ns(row, at);
    if let Some(closed) = row.read_closed.known()
        && at.since(closed) >= CLOSED_NS
        && quiet >= CLOSED_NS
    {
        let since = text::duration_ns(at.since(closed));
        return Some(format!(
            "looks forgotten: the peer closed {since} ago, and it is not released"
        ));
    }
    let unwaited = row.waiters_readable == 0 && row.waiters_writable == 0;
    let listens = matches!(row.kind, SourceKind::TcpListener | SourceKind::UnixListener);
    if quiet >= QUIET_NS && unwaited && !listens {
        let quiet = text::duration_ns(quiet);
        return Some(format!("looks forgotten: nobody waits for it, nothing happened for {quiet}"));
    }
    None
}

/// The pane's state.
#[derive(Clone, Debug)]
pub struct FreelistState {
    /// The selected slot.
    pub selected: Option<u32>,
    /// How much time the chart shows.
    pub span_ns: u64,
    /// The chart's cells.
    pub chart: Vec<OccupancyCell>,
    /// Where the chart begins and ends.
    pub range: (Stamp, Stamp),
}

impl Default for FreelistState {
    fn default() -> Self {
        Self {
            selected: None,
            span_ns: 60 * S,
            chart: Vec::new(),
            range: (Stamp::NEVER, Stamp::NEVER),
        }
    }
}

impl FreelistState {
    /// Takes the chart for the shown moment.
    /// It does not reach back beyond `origin`.
    pub fn refresh(&mut self, runtime: &Runtime, at: Stamp, origin: Stamp, cells: u16) {
        self.range = (Stamp(at.0.saturating_sub(self.span_ns)).max(origin.min(at)), at);
        self.chart = runtime.occupancy(self.range.0, self.range.1, usize::from(cells));
    }

    /// A shorter or longer span for the chart, by factors of two.
    pub fn zoom(&mut self, longer: bool) {
        let span = if longer { self.span_ns.saturating_mul(2) } else { self.span_ns / 2 };
        self.span_ns = span.clamp(S, 86_400 * S);
    }

    /// Moves the selection by so many slots, stopping at the ends.
    pub fn step(&mut self, slots: i64, view: &View) {
        let capacity = i64::try_from(view.totals.capacity).unwrap_or(i64::MAX);
        if capacity == 0 {
            self.selected = None;
            return;
        }
        let to = match self.selected {
            None => 0,
            Some(slot) => i64::from(slot).saturating_add(slots).clamp(0, capacity - 1),
        };
        self.selected = u32::try_from(to).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_protocol::board::{TokenWords, token_word};
    use nexus_protocol::clock::ClockMap;
    use nexus_protocol::readiness::{Interest, Readiness};

    fn row() -> TokenRow {
        let mut words: TokenWords = [0; token_word::COUNT];
        words[token_word::STATE] =
            TokenRow::state_word(SourceKind::TcpStream, Interest::READABLE, Readiness::EMPTY, 5);
        let mut row = TokenRow::from_words(&words, false, &ClockMap::IDENTITY).unwrap();
        row.claimed = Stamp(S);
        row.last_active = Stamp(100 * S);
        row.waiters_readable = 1;
        row
    }

    #[test]
    fn a_token_is_suspect_when_nobody_waits_or_the_peer_has_closed() {
        let waited_for = row();
        assert_eq!(SlotState::of(&waited_for, Stamp(100 * S + 1)), SlotState::Active);
        assert_eq!(SlotState::of(&waited_for, Stamp(102 * S)), SlotState::Idle);
        assert_eq!(SlotState::of(&waited_for, Stamp(200 * S)), SlotState::Quiet);
        let unwaited = TokenRow { waiters_readable: 0, ..row() };
        assert_eq!(SlotState::of(&unwaited, Stamp(102 * S)), SlotState::Idle);
        assert_eq!(SlotState::of(&unwaited, Stamp(200 * S)), SlotState::Suspect);
        let listener = TokenRow { kind: SourceKind::TcpListener, ..unwaited };
        assert_eq!(SlotState::of(&listener, Stamp(200 * S)), SlotState::Quiet);
        let closed = TokenRow { read_closed: Stamp(101 * S), ..row() };
        assert_eq!(SlotState::of(&closed, Stamp(107 * S)), SlotState::Suspect);
    }
}
