//! What a cell of a table holds: one value, from which its place in the order, its text and its sum all follow.

use crate::text;
use nexus_protocol::{TaskId, TokenId};
use std::cmp::Ordering;

/// The content of one cell. Values of one column are of one kind, or [`Value::Nothing`].
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing to say; last in either order.
    Nothing,
    /// Words, clean.
    Text(String),
    /// A token.
    Token(TokenId),
    /// A task.
    Task(TaskId),
    /// A file descriptor.
    Descriptor(i32),
    /// How many.
    Count(u64),
    /// How many a second.
    Rate(f64),
    /// Bytes.
    Bytes(u64),
    /// Bytes a second.
    ByteRate(f64),
    /// Nanoseconds.
    Duration(u64),
    /// A part of the whole, from 0 to 1.
    Share(f64),
}

impl Value {
    /// The words, or nothing if there are none. Cleans them.
    #[must_use]
    pub fn words(words: &str) -> Self {
        if words.is_empty() { Self::Nothing } else { Self::Text(text::clean(words).into_owned()) }
    }

    /// As the table shows it.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Text(words) => words.clone(),
            Self::Token(token) => token.to_string(),
            Self::Task(task) => task.to_string(),
            Self::Descriptor(fd) => fd.to_string(),
            Self::Count(number) => text::short_count(*number),
            Self::Rate(rate) => short_rate(*rate),
            Self::Bytes(number) => short_bytes(*number),
            Self::ByteRate(rate) => short_bytes(rate.max(0.0).round() as u64),
            Self::Duration(ns) => text::duration_ns(*ns),
            Self::Share(share) => percent(*share),
        }
    }

    /// Whether this is a number that says that nothing happened.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Count(0) | Self::Bytes(0) => true,
            Self::Rate(rate) => *rate < 0.005,
            Self::ByteRate(rate) => *rate < 0.5,
            Self::Share(share) => *share < 0.000_05,
            _ => false,
        }
    }

    /// The order of two values of one column, [`Value::Nothing`] last.
    #[must_use]
    pub fn order(&self, other: &Self, descending: bool) -> Ordering {
        match (self, other) {
            (Self::Nothing, Self::Nothing) => Ordering::Equal,
            (Self::Nothing, _) => Ordering::Greater,
            (_, Self::Nothing) => Ordering::Less,
            _ if descending => other.ascending(self),
            _ => self.ascending(other),
        }
    }

    fn ascending(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Token(a), Self::Token(b)) => a.cmp(b),
            (Self::Task(a), Self::Task(b)) => a.cmp(b),
            (Self::Descriptor(a), Self::Descriptor(b)) => a.cmp(b),
            (Self::Count(a), Self::Count(b))
            | (Self::Bytes(a), Self::Bytes(b))
            | (Self::Duration(a), Self::Duration(b)) => a.cmp(b),
            (Self::Rate(a), Self::Rate(b))
            | (Self::ByteRate(a), Self::ByteRate(b))
            | (Self::Share(a), Self::Share(b)) => a.total_cmp(b),
            _ => Ordering::Equal,
        }
    }

    /// The sum of two values of one column; [`Value::Nothing`] where adding makes no sense.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Count(a), Self::Count(b)) => Self::Count(a.saturating_add(*b)),
            (Self::Bytes(a), Self::Bytes(b)) => Self::Bytes(a.saturating_add(*b)),
            (Self::Rate(a), Self::Rate(b)) => Self::Rate(a + b),
            (Self::ByteRate(a), Self::ByteRate(b)) => Self::ByteRate(a + b),
            (Self::Share(a), Self::Share(b)) => Self::Share(a + b),
            _ => Self::Nothing,
        }
    }

    /// The larger of two values of one column.
    #[must_use]
    pub fn max(&self, other: &Self) -> Self {
        if self.order(other, true).is_le() { self.clone() } else { other.clone() }
    }
}

/// A rate in at most five characters; the unit is in the heading.
#[must_use]
pub fn short_rate(rate: f64) -> String {
    let text = text::rate(rate);
    text.strip_suffix("/s").map(str::to_owned).unwrap_or(text)
}

/// Bytes in at most six characters: `999`, `1.50K`, `23.4M`, in steps of 1024.
fn short_bytes(number: u64) -> String {
    let text = text::bytes(number);
    match text.split_once(' ') {
        Some((digits, "B")) => digits.to_owned(),
        Some((digits, unit)) => format!("{digits}{}", &unit[..1]),
        None => text,
    }
}

/// A share in at most five characters: `0`, `0.12%`, `12.3%`, `100%`.
#[must_use]
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent.is_nan() || percent < 0.005 {
        "0%".to_owned()
    } else if percent < 9.995 {
        format!("{percent:.2}%")
    } else if percent < 99.95 {
        format!("{percent:.1}%")
    } else {
        format!("{percent:.0}%")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_comes_last_in_either_order() {
        for descending in [false, true] {
            assert_eq!(Value::Nothing.order(&Value::Count(0), descending), Ordering::Greater);
            assert_eq!(Value::Count(0).order(&Value::Nothing, descending), Ordering::Less);
        }
        assert_eq!(Value::Count(2).order(&Value::Count(1), true), Ordering::Less);
        assert_eq!(Value::Rate(0.5).order(&Value::Rate(f64::NAN), false), Ordering::Less);
    }

    #[test]
    fn every_number_fits_its_column() {
        for value in [
            Value::Count(u64::MAX),
            Value::Rate(1e12),
            Value::Bytes(1_023 * 1_024),
            Value::Bytes(u64::MAX),
            Value::ByteRate(99.4),
            Value::Share(0.999),
            Value::Share(1.0),
        ] {
            assert!(value.text().chars().count() <= 6, "{value:?} is {:?}", value.text());
        }
        assert_eq!(Value::Bytes(1_536).text(), "1.50K");
        assert_eq!(Value::Share(0.0123).text(), "1.23%");
        assert_eq!(Value::Rate(12.0).text(), "12.0");
    }

    #[test]
    fn untrusted_words_are_cleaned() {
        assert_eq!(Value::words("a\x1b[2J").text(), "a␛[2J");
        assert_eq!(Value::words(""), Value::Nothing);
    }
}
