//! Axes: round numbers for ticks, and times written so that neighbours can be told apart.

use super::line::{put, width};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

const S: u64 = 1_000_000_000;

/// A span of time laid over a number of cells. Times are nanoseconds of any one origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeScale {
    /// The time at the left edge.
    pub start_ns: u64,
    /// Nanoseconds shown in all.
    pub span_ns: u64,
    /// Cells.
    pub cells: u16,
}

impl TimeScale {
    /// The time at the right edge.
    #[must_use]
    pub fn end_ns(&self) -> u64 {
        self.start_ns.saturating_add(self.span_ns)
    }

    /// The time at which a cell begins.
    #[must_use]
    pub fn cell_start(&self, cell: u16) -> u64 {
        let cells = u128::from(self.cells.max(1));
        let offset = u128::from(self.span_ns) * u128::from(cell) / cells;
        self.start_ns.saturating_add(u64::try_from(offset).unwrap_or(u64::MAX))
    }

    /// The cell that holds a time, or `None` if it lies outside.
    #[must_use]
    pub fn cell_of(&self, ns: u64) -> Option<u16> {
        if ns < self.start_ns || ns >= self.end_ns() || self.cells == 0 {
            return None;
        }
        let offset = u128::from(ns - self.start_ns);
        let cell = (offset * u128::from(self.cells) / u128::from(self.span_ns)) as u16;
        // `cell_start` rounds down, so a time just before the next cell's start can already belong to it.
        if cell + 1 < self.cells && self.cell_start(cell + 1) <= ns {
            Some(cell + 1)
        } else {
            Some(cell)
        }
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is at least `least`.
#[must_use]
pub fn nice_step(least: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let step = power.saturating_mul(factor);
            if step >= least {
                return step;
            }
        }
        match power.checked_mul(10) {
            Some(next) => power = next,
            None => return u64::MAX,
        }
    }
}

/// As [`nice_step`], for time: above a second the steps are those of a clock.
#[must_use]
pub fn nice_time_step(least_ns: u64) -> u64 {
    const CLOCK: [u64; 15] =
        [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400];
    if least_ns <= S {
        return nice_step(least_ns);
    }
    CLOCK.iter().map(|seconds| seconds * S).find(|&step| step >= least_ns).unwrap_or_else(|| {
        let days = least_ns.div_ceil(86_400 * S);
        nice_step(days).saturating_mul(86_400 * S)
    })
}

/// A moment as seconds since the start, with as many decimals as neighbours `step_ns` apart need: `12.5 s`,
/// `3:05`, `1:02:03`.
#[must_use]
pub fn moment(ns: u64, step_ns: u64) -> String {
    let decimals = decimals(step_ns);
    let (seconds, fraction) = (ns / S, ns % S);
    let fraction = if decimals == 0 {
        String::new()
    } else {
        format!(".{:0decimals$}", fraction / 10_u64.pow(9 - decimals as u32))
    };
    match seconds {
        0..60 => format!("{seconds}{fraction} s"),
        60..3_600 => format!("{}:{:02}{fraction}", seconds / 60, seconds % 60),
        _ => {
            format!("{}:{:02}:{:02}{fraction}", seconds / 3_600, seconds % 3_600 / 60, seconds % 60)
        }
    }
}

/// The decimals of a second in which a step shows.
fn decimals(step_ns: u64) -> usize {
    let mut unit = S;
    let mut decimals = 0;
    while decimals < 9 && (step_ns == 0 || !step_ns.is_multiple_of(unit)) {
        unit /= 10;
        decimals += 1;
    }
    decimals
}

/// Draws ticks and their labels into the first line of `area`; the scale's cells begin at its left edge.
pub fn draw_time(buffer: &mut Buffer, area: Rect, scale: &TimeScale, style: Style) {
    if area.is_empty() || scale.cells == 0 || scale.span_ns == 0 {
        return;
    }
    for x in area.left()..area.right().min(area.left().saturating_add(scale.cells)) {
        put(buffer, area, x, area.top(), "─", style);
    }
    let step = label_step(scale);
    let mut at = scale.start_ns.div_ceil(step).saturating_mul(step);
    let mut free = area.left();
    while let Some(cell) = scale.cell_of(at) {
        let x = area.left() + cell;
        let label = format!("┬{} ", moment(at, step));
        if x >= free && x.saturating_add(width(&label)) <= area.right() {
            free = put(buffer, area, x, area.top(), &label, style);
        }
        at = match at.checked_add(step) {
            Some(next) => next,
            None => break,
        };
    }
}

/// The smallest round step whose labels do not run into each other.
fn label_step(scale: &TimeScale) -> u64 {
    let mut cells = 8;
    loop {
        let least = u128::from(scale.span_ns) * u128::from(cells) / u128::from(scale.cells);
        let step = nice_time_step(u64::try_from(least).unwrap_or(u64::MAX).max(1));
        let needed = width(&moment(scale.end_ns(), step)) + 4;
        if needed <= cells || cells >= scale.cells.max(8) {
            return step;
        }
        cells = needed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        assert_eq!(nice_step(0), 1);
        assert_eq!(nice_step(3), 5);
        assert_eq!(nice_step(11), 20);
        assert_eq!(nice_time_step(7 * S), 10 * S);
        assert_eq!(nice_time_step(11 * S), 15 * S);
        assert_eq!(nice_time_step(3 * 86_400 * S), 5 * 86_400 * S);
        assert_eq!(nice_time_step(u64::MAX), u64::MAX);
    }

    #[test]
    fn moments_have_the_decimals_that_tell_them_apart() {
        assert_eq!(moment(12 * S, S), "12 s");
        assert_eq!(moment(12 * S + S / 2, S / 2), "12.5 s");
        assert_eq!(moment(1_234_567, 1_000), "0.001234 s");
        assert_eq!(moment(3_723 * S, 60 * S), "1:02:03");
        assert_eq!(moment(185 * S + 5, 1), "3:05.000000005");
    }

    #[test]
    fn every_cell_begins_where_it_says() {
        for (start_ns, span_ns, cells) in [(0, 1_000, 80), (77, 13, 40), (u64::MAX - 9, 9, 3)] {
            let scale = TimeScale { start_ns, span_ns, cells };
            for cell in 0..cells {
                let start = scale.cell_start(cell);
                let found = scale.cell_of(start).unwrap();
                assert_eq!(scale.cell_start(found), start, "{scale:?} {cell}");
            }
            assert_eq!(scale.cell_of(scale.end_ns()), None);
        }
    }

    #[test]
    fn labels_do_not_touch() {
        let area = Rect::new(0, 0, 60, 1);
        for span_ns in [1, 50, 90_000, 3 * S, 400 * S, 90_000 * S] {
            let mut buffer = Buffer::empty(area);
            let scale = TimeScale { start_ns: 100 * S + 7, span_ns, cells: 60 };
            draw_time(&mut buffer, area, &scale, Style::new());
            let line: String = (0..60).map(|x| buffer[(x, 0)].symbol()).collect();
            for label in line.split('┬').skip(1) {
                assert!(label.contains(' '), "{line}");
            }
        }
    }
}
