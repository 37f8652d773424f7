//! A figure out of several rounds.

use std::fmt;

/// The middle one of some values, with the lowest and the highest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    lowest: f64,
    highest: f64,
}

impl Spread {
    /// Of these values; none of no values.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (lowest, highest) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => (values[middle - 1] + values[middle]) / 2.0,
            _ => values[middle],
        };
        Some(Self { median, lowest, highest })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, lowest, highest } = *self;
        let number = |value: f64| match value.abs() {
            100.0.. => format!("{value:.0}"),
            10.0.. => format!("{value:.1}"),
            0.1.. => format!("{value:.2}"),
            _ => format!("{value:.3}"),
        };
        if format!("{lowest:.3}") == format!("{highest:.3}") {
            return f.pad(&number(median));
        }
        f.pad(&format!("{} ({}–{})", number(median), number(lowest), number(highest)))
    }
}
