//! Which moment is shown.
//!
//! There is one moment for all panes. A live source is followed until the user holds it; a trace is held until the user
//! plays it. Knows no clock: time passes by ticks.

use nexus_protocol::Stamp;
use std::time::Duration;

/// The moment shown, and how it moves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Playback {
    /// The latest moment there is.
    #[default]
    Follow,
    /// This moment.
    Hold(Stamp),
    /// This moment, moving on.
    Play(Stamp),
}

impl Playback {
    /// Whether what is shown stands still.
    #[must_use]
    pub fn is_held(self) -> bool {
        matches!(self, Self::Hold(_))
    }

    /// The moment, unless it is simply the latest.
    #[must_use]
    pub fn at(self) -> Option<Stamp> {
        match self {
            Self::Follow => None,
            Self::Hold(at) | Self::Play(at) => Some(at),
        }
    }

    /// The same after time has passed: playing moves on, and holds at the end.
    #[must_use]
    pub fn after(self, elapsed: Duration, speed: Speed, last: Stamp) -> Self {
        let Self::Play(at) = self else { return self };
        let to = Stamp(at.0.saturating_add(speed.scale(elapsed)));
        if to >= last { Self::Hold(last) } else { Self::Play(to) }
    }
}

/// How fast a trace is played, in powers of ten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Speed(i8);

impl Speed {
    /// Ten thousand times slower to a hundred times faster than it happened.
    const RANGE: std::ops::RangeInclusive<i8> = -4..=2;

    /// Ten times faster or slower, within bounds.
    #[must_use]
    pub fn shifted(self, steps: i8) -> Self {
        Self((self.0 + steps).clamp(*Self::RANGE.start(), *Self::RANGE.end()))
    }

    fn scale(self, elapsed: Duration) -> u64 {
        let ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        let factor = 10_u64.pow(u32::from(self.0.unsigned_abs()));
        if self.0 < 0 { ns / factor } else { ns.saturating_mul(factor) }
    }

    /// `×1`, `×10`, `×1/100`.
    #[must_use]
    pub fn text(self) -> String {
        let factor = 10_u64.pow(u32::from(self.0.unsigned_abs()));
        if self.0 < 0 { format!("×1/{factor}") } else { format!("×{factor}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn playing_moves_on_and_stops_at_the_end() {
        let second = Duration::from_secs(1);
        let play = Playback::Play(Stamp(5));
        let end = Stamp(10_000_000_000);
        assert_eq!(play.after(second, Speed::default(), end), Playback::Play(Stamp(1_000_000_005)));
        assert_eq!(play.after(second, Speed::default().shifted(1), end), Playback::Hold(end));
        assert_eq!(
            play.after(second, Speed::default().shifted(-2), end),
            Playback::Play(Stamp(10_000_005))
        );
        assert_eq!(
            Playback::Hold(Stamp(5)).after(second, Speed::default(), end).at(),
            Some(Stamp(5))
        );
        assert_eq!(Playback::Follow.after(second, Speed::default(), end), Playback::Follow);
    }

    #[test]
    fn speeds_have_bounds_and_names() {
        assert_eq!(Speed::default().text(), "×1");
        assert_eq!(Speed::default().shifted(-2).text(), "×1/100");
        assert_eq!(Speed::default().shifted(100).text(), "×100");
    }
}
