//! From the recorder's ticks to nanoseconds of `CLOCK_MONOTONIC`: one function of time for the whole process.
//!
//! The function is made of straight pieces. Whenever an [`Anchor`] is taken, a new piece begins at that moment; stamps
//! before it keep the values they have. So a stamp maps to the same nanosecond for every client and in every record that
//! repeats it, and the order of stamps is the order of their values. What a piece misses the kernel's clock by when it
//! ends, the next one makes good within about a second.
//!
//! A piece that was not used beyond its first moment (nobody was attached) is drawn again through both its ends, which
//! are known then.

use crate::record::clock::Clock;
use nexus_protocol::clock::Anchor;
use nexus_protocol::ids::Stamp;
use std::cell::Cell;
use std::collections::VecDeque;

/// Pieces kept: about an hour with somebody attached. Older stamps are mapped by the oldest piece left.
const PIECES: usize = 4096;

/// Bits behind the binary point of a rate.
const POINT: u32 = 48;

/// Within this time a piece should be back on the kernel's clock.
const CATCH_UP_NS: u64 = 1_000_000_000;

/// An error that is not made good slowly, but by a jump forwards.
const JUMP_NS: u64 = 100_000_000;

/// The function from ticks to nanoseconds.
#[derive(Debug)]
pub(super) struct Timeline {
    /// The last moment at which both clocks were read.
    anchor: Anchor,
    /// Where rates are measured from.
    base: Anchor,
    /// By their beginnings; never empty.
    pieces: VecDeque<Piece>,
    /// Whether a stamp beyond the beginning of the last piece was mapped.
    used: Cell<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Its first moment, which still belongs to the piece before.
    ticks: u64,
    ns: u64,
    /// Nanoseconds a tick, with [`POINT`] binary digits.
    rate: u64,
}

impl Piece {
    fn map(&self, ticks: u64) -> u64 {
        let scaled = |ticks: u64| ((u128::from(ticks) * u128::from(self.rate)) >> POINT) as u64;
        if ticks >= self.ticks {
            self.ns.saturating_add(scaled(ticks - self.ticks))
        } else {
            self.ns.saturating_sub(scaled(self.ticks - ticks))
        }
    }
}

/// The rate of a line, or `None` if it does not advance on both clocks.
fn rate(ticks: u64, ns: u64) -> Option<u64> {
    if ticks == 0 || ns == 0 {
        return None;
    }
    u64::try_from((u128::from(ns) << POINT) / u128::from(ticks)).ok()
}

impl Timeline {
    /// A function that begins with this anchor. Until a second one is added, a tick counts as a nanosecond.
    pub(super) fn new(first: Anchor) -> Self {
        let piece = Piece { ticks: first.ticks, ns: first.mono_ns, rate: 1 << POINT };
        Self { anchor: first, base: first, pieces: [piece].into(), used: Cell::new(false) }
    }

    /// Whether the speed of the clock is known: a second anchor was added.
    pub(super) fn is_known(&self) -> bool {
        self.pieces.len() > 1
    }

    /// Whether another anchor should be taken: a second after the last one, and sooner while the speed is known from a
    /// short time only.
    pub(super) fn anchor_is_due(&self, now_ns: u64) -> bool {
        let known = self.anchor.mono_ns - self.base.mono_ns;
        now_ns.saturating_sub(self.anchor.mono_ns) >= known.clamp(1_000_000, 1_000_000_000)
    }

    /// Takes a new anchor of the process's clock.
    pub(super) fn refine(&mut self, clock: Clock) {
        self.add(clock.anchor());
    }

    /// Takes in an anchor. One that is not later than the one before, on both clocks, changes nothing.
    pub(super) fn add(&mut self, anchor: Anchor) {
        let last = *self.pieces.back().expect("there is always a piece");
        if anchor.ticks <= last.ticks || anchor.mono_ns <= self.anchor.mono_ns {
            return;
        }
        let since =
            |start: Anchor| rate(anchor.ticks - start.ticks, anchor.mono_ns - start.mono_ns);
        // The longer the base, the less an anchor's own error counts; but temperature moves the true rate.
        let Some(true_rate) = since(self.base) else { return };
        if anchor.mono_ns - self.base.mono_ns > 16 * CATCH_UP_NS {
            self.base = self.anchor;
        }
        self.anchor = anchor;
        let start_ns = if self.used.get() || anchor.mono_ns <= last.ns {
            last.map(anchor.ticks)
        } else {
            self.straighten(anchor);
            anchor.mono_ns
        };
        let piece = if start_ns.saturating_add(JUMP_NS) < anchor.mono_ns {
            Piece { ticks: anchor.ticks, ns: anchor.mono_ns, rate: true_rate }
        } else {
            // To be where the kernel's clock will be after the time for catching up, but at least at half its speed.
            let ahead = (anchor.mono_ns + CATCH_UP_NS).saturating_sub(start_ns);
            let scaled = u128::from(true_rate) * u128::from(ahead) / u128::from(CATCH_UP_NS);
            let rate = u64::try_from(scaled).unwrap_or(true_rate).max(true_rate / 2);
            Piece { ticks: anchor.ticks, ns: start_ns, rate }
        };
        self.pieces.push_back(piece);
        if self.pieces.len() > PIECES {
            self.pieces.pop_front();
        }
        self.used.set(false);
    }

    /// Draws the last piece, which nobody has used yet, through its beginning and `end`.
    fn straighten(&mut self, end: Anchor) {
        let last = self.pieces.back_mut().expect("there is always a piece");
        let ns = end.mono_ns.saturating_sub(last.ns);
        last.rate = rate(end.ticks - last.ticks, ns).unwrap_or(last.rate);
    }

    /// A stamp in nanoseconds. [`Stamp::NEVER`] stays what it is.
    pub(super) fn map(&self, stamp: Stamp) -> Stamp {
        if stamp.is_never() {
            return stamp;
        }
        let last = &self.pieces[self.pieces.len() - 1];
        if stamp.0 > last.ticks {
            self.used.set(true);
            return Stamp(last.map(stamp.0));
        }
        let after = self.pieces.partition_point(|piece| piece.ticks < stamp.0);
        // Rounding a rate down can leave a piece a little below the beginning of the next one; never above it.
        Stamp(self.pieces[after.saturating_sub(1)].map(stamp.0).max(1))
    }

    /// For many stamps in a row, most of which are equal to the one before.
    pub(super) fn reader(&self) -> StampReader<'_> {
        StampReader { timeline: self, last: (Stamp::NEVER, Stamp::NEVER) }
    }

    /// A length of time in nanoseconds, by the rate measured last.
    pub(super) fn map_length(&self, ticks: u64) -> u64 {
        let last = self.pieces[self.pieces.len() - 1];
        Piece { ticks: 0, ns: 0, rate: last.rate }.map(ticks)
    }
}

/// A [`Timeline`] that remembers its last answer.
pub(super) struct StampReader<'a> {
    timeline: &'a Timeline,
    last: (Stamp, Stamp),
}

impl StampReader<'_> {
    /// What [`Timeline::map`] says.
    #[inline]
    pub(super) fn map(&mut self, stamp: Stamp) -> Stamp {
        if stamp != self.last.0 {
            self.last = (stamp, self.timeline.map(stamp));
        }
        self.last.1
    }

    /// What [`Timeline::map_length`] says.
    pub(super) fn map_length(&self, ticks: u64) -> u64 {
        self.timeline.map_length(ticks)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An anchor of a counter at 2.5 GHz whose speed is off by `ppm`.
    fn anchor(mono_ns: u64, ppm: i64) -> Anchor {
        let ticks = i128::from(mono_ns) * (2_500_000 + i128::from(ppm) * 5 / 2) / 1_000_000;
        Anchor { ticks: ticks as u64, mono_ns }
    }

    #[test]
    fn history_is_mapped_by_the_line_through_start_and_attach() {
        let mut timeline = Timeline::new(anchor(10_000_000_000, 0));
        timeline.add(anchor(70_000_000_000, 0));
        let at = |mono_ns| timeline.map(Stamp(anchor(mono_ns, 0).ticks)).0;
        for mono_ns in [10_000_000_000, 33_333_333_333, 70_000_000_000, 70_400_000_000] {
            assert!(at(mono_ns).abs_diff(mono_ns) <= 2, "{} for {mono_ns}", at(mono_ns));
        }
        assert_eq!(timeline.map(Stamp::NEVER), Stamp::NEVER);
        assert!(timeline.map_length(2_500_000).abs_diff(1_000_000) <= 1);
    }

    #[test]
    fn an_error_is_made_good_within_a_second_without_running_backwards() {
        let second = 1_000_000_000;
        let mut timeline = Timeline::new(anchor(second, 0));
        timeline.add(anchor(2 * second, 0));
        // From here on the counter runs 40 ppm faster than it did before.
        let start = anchor(2 * second, 0).ticks;
        let true_at = |ticks: u64| 2 * second + ((ticks - start) as f64 / 2.5001) as u64;
        let mut last = 0;
        for tenth in 1..100_u64 {
            let ticks = start + tenth * 250_010_000;
            let mapped = timeline.map(Stamp(ticks)).0;
            assert!(mapped > last);
            last = mapped;
            if tenth % 10 == 0 {
                timeline.add(Anchor { ticks, mono_ns: true_at(ticks) });
            }
        }
        let end = start + 99 * 250_010_000;
        let error = timeline.map(Stamp(end)).0.abs_diff(true_at(end));
        assert!(
            error < 20_000,
            "{error} ns: less than half of what a second without correction adds"
        );
    }

    proptest! {
        /// Whatever the anchors say, the mapping keeps its values and its order.
        #[test]
        fn a_stamp_keeps_its_value_and_its_order(
            steps in prop::collection::vec((1..5_000_000_000_u64, 1..2_000_000_000_u64), 1..40)
        ) {
            let mut now = Anchor { ticks: 1_000, mono_ns: 5_000 };
            let mut timeline = Timeline::new(now);
            let mut seen: Vec<(u64, u64)> = Vec::new();
            for (ticks, ns) in steps {
                let stamps = [now.ticks, now.ticks + ticks / 2, now.ticks + ticks];
                for stamp in stamps {
                    seen.push((stamp, timeline.map(Stamp(stamp)).0));
                }
                now = Anchor { ticks: now.ticks + ticks, mono_ns: now.mono_ns + ns };
                timeline.add(now);
                for &(stamp, value) in &seen {
                    prop_assert_eq!(timeline.map(Stamp(stamp)).0, value, "stamp {}", stamp);
                }
            }
            prop_assert!(seen.is_sorted());
        }
    }
}
