//! From ticks of the recorder's clock to nanoseconds of `CLOCK_MONOTONIC`, by pure arithmetic.
//!
//! Knows no clock: whoever can read both clocks takes an [`Anchor`] now and then, and a [`ClockMap`] interpolates
//! between two of them.

use crate::ids::Stamp;

/// One moment, read on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The recorder's clock.
    pub ticks: u64,
    /// `CLOCK_MONOTONIC`, in nanoseconds.
    pub mono_ns: u64,
}

/// A straight line through two anchors. [`ClockMap::IDENTITY`] leaves stamps alone, for a recorder whose clock is
/// `CLOCK_MONOTONIC` itself and for records that were translated before.
///
/// Stamps are mapped by a multiplication and a shift, about a nanosecond each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockMap {
    base: Anchor,
    /// Nanoseconds per tick in units of 2⁻³².
    rate: u64,
}

impl ClockMap {
    /// Maps every stamp to itself.
    pub const IDENTITY: Self = Self { base: Anchor { ticks: 0, mono_ns: 0 }, rate: 1 << 32 };

    /// The line through two anchors, `start` the earlier one. Anchors that do not advance on both clocks give a line
    /// of slope one, since nothing better is known. Rates outside 2⁻¹⁶..2¹⁶ ns a tick are clamped.
    #[must_use]
    pub fn through(start: Anchor, end: Anchor) -> Self {
        let ticks = end.ticks.saturating_sub(start.ticks);
        let ns = end.mono_ns.saturating_sub(start.mono_ns);
        let rate = if ticks == 0 || ns == 0 {
            1 << 32
        } else {
            ((u128::from(ns) << 32) / u128::from(ticks)).clamp(1 << 16, 1 << 48) as u64
        };
        Self { base: end, rate }
    }

    /// The stamp in nanoseconds. [`Stamp::NEVER`] stays what it is; results saturate at the ends of `u64`.
    #[must_use]
    pub fn map(&self, stamp: Stamp) -> Stamp {
        if stamp.is_never() {
            return stamp;
        }
        let scale = |ticks: u64| (u128::from(ticks) * u128::from(self.rate)) >> 32;
        let base = u128::from(self.base.mono_ns);
        let ns = if stamp.0 >= self.base.ticks {
            base + scale(stamp.0 - self.base.ticks)
        } else {
            base.saturating_sub(scale(self.base.ticks - stamp.0))
        };
        Stamp(u64::try_from(ns).unwrap_or(u64::MAX))
    }

    /// A length of time in ticks, in nanoseconds.
    #[must_use]
    pub fn map_length(&self, ticks: u64) -> u64 {
        u64::try_from((u128::from(ticks) * u128::from(self.rate)) >> 32).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_map_onto_themselves() {
        let start = Anchor { ticks: 1_000, mono_ns: 50_000 };
        let end = Anchor { ticks: 3_001_000, mono_ns: 1_050_000 };
        let map = ClockMap::through(start, end);
        assert_eq!(map.map(Stamp(end.ticks)).0, end.mono_ns);
        assert!(map.map(Stamp(start.ticks)).0.abs_diff(start.mono_ns) <= 1);
        assert_eq!(map.map_length(3_000), 999, "rounded down from a third of a nanosecond a tick");
    }

    #[test]
    fn the_identity_changes_nothing_and_never_stays_never() {
        assert_eq!(ClockMap::IDENTITY.map(Stamp(12_345)), Stamp(12_345));
        let far =
            ClockMap::through(Anchor { ticks: 5, mono_ns: 900 }, Anchor { ticks: 6, mono_ns: 901 });
        assert_eq!(far.map(Stamp::NEVER), Stamp::NEVER);
    }
}
