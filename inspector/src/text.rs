//! Text for people: untrusted strings made harmless, and numbers in forms that are read at a glance.
//!
//! Names, locations and command lines come from the observed process, which may have had them from anywhere. They go
//! through [`clean`] before they reach a terminal. Numbers are written the same way in the tables of `snapshot` and in
//! the TUI.
//!
//! Knows nothing of terminals, widths or colours.

use nexus_protocol::frame::RuntimeInfo;
use std::borrow::Cow;

/// The text with everything replaced that a terminal would act upon instead of showing: control characters become
/// their pictures (`␛` for escape), other invisible characters that reorder or hide text become `�`.
///
/// The number of characters stays the same. Costs nothing but the look when there is nothing to replace.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().all(|character| substitute(character).is_none()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|character| substitute(character).unwrap_or(character)).collect())
}

/// A text of several lines, each of them [`clean`].
#[must_use]
pub fn clean_lines(text: &str) -> String {
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n")
}

/// What is shown instead of a character that must not reach a terminal.
fn substitute(character: char) -> Option<char> {
    match character {
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(character)),
        '\x7f' => Some('\u{2421}'),
        // C1 controls, zero-width and direction marks, line separators, direction overrides, the byte order mark,
        // interlinear annotations and tags.
        '\u{80}'..='\u{9f}'
        | '\u{ad}'
        | '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => Some('\u{fffd}'),
        _ => None,
    }
}

/// A length of time in the unit that suits it: `850 ns`, `12.3 µs`, `4.56 ms`, `1.23 s`, `2m 05s`, `3h 12m`, `4d 07h`.
/// Cut, never rounded up, so that a time does not look reached before it is.
#[must_use]
pub fn duration_ns(ns: u64) -> String {
    const US: u64 = 1_000;
    const MS: u64 = 1_000_000;
    const S: u64 = 1_000_000_000;
    match ns {
        0..US => format!("{ns} ns"),
        US..MS => format!("{} µs", three_digits(ns, US)),
        MS..S => format!("{} ms", three_digits(ns, MS)),
        _ => match ns / S {
            0..60 => format!("{} s", three_digits(ns, S)),
            seconds @ 60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
            seconds @ 3_600..86_400 => {
                format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60)
            }
            seconds => format!("{}d {:02}h", seconds / 86_400, seconds % 86_400 / 3_600),
        },
    }
}

/// `value / unit` with three significant digits as long as it is below a hundred, and whole above, cut.
fn three_digits(value: u64, unit: u64) -> String {
    let whole = value / unit;
    let thousandths = (u128::from(value % unit) * 1_000 / u128::from(unit)) as u64;
    match whole {
        0..10 => format!("{whole}.{:02}", thousandths / 10),
        10..100 => format!("{whole}.{}", thousandths / 100),
        _ => whole.to_string(),
    }
}

/// A whole number with its thousands apart: `1,234,567`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number in at most five characters: `999`, `1.23k`, `45.6M`, `789G`. Cut, never rounded up.
#[must_use]
pub fn short_count(number: u64) -> String {
    scaled(number, 1_000, ["k", "M", "G", "T", "P", "E"]).unwrap_or_else(|| number.to_string())
}

/// What to say of a runtime of which nothing is known.
#[must_use]
pub fn recorder_is_off(info: &RuntimeInfo) -> String {
    let name = match clean(&info.name) {
        name if name.is_empty() => String::new(),
        name => format!(" {name:?}"),
    };
    format!(
        "runtime {}{name} on thread {}: its recorder is off (NEXUS_RECORDER=off, or its Builder); nothing of it is recorded",
        info.id, info.thread
    )
}

/// A number of bytes: `999 B`, `1.50 KiB`, `23.4 MiB`. Cut, never rounded up.
#[must_use]
pub fn bytes(number: u64) -> String {
    scaled(number, 1_024, [" KiB", " MiB", " GiB", " TiB", " PiB", " EiB"])
        .unwrap_or_else(|| format!("{number} B"))
}

/// The number in the largest unit of which there is at least one; `None` if that is the number itself.
fn scaled(number: u64, step: u64, units: [&str; 6]) -> Option<String> {
    let mut unit = step;
    let mut name = units[0];
    if number < step {
        return None;
    }
    for next in &units[1..] {
        if number / unit < step {
            break;
        }
        unit *= step;
        name = next;
    }
    Some(three_digits(number, unit) + name)
}

/// Something per second: `0`, `0.25/s`, `12.3/s`, `999/s`, `45.6k/s`. Not a number and negative rates read as none.
#[must_use]
pub fn rate(per_second: f64) -> String {
    if per_second.is_nan() || per_second < 0.005 {
        "0".to_owned()
    } else if per_second < 9.995 {
        format!("{per_second:.2}/s")
    } else if per_second < 99.95 {
        format!("{per_second:.1}/s")
    } else {
        short_count(per_second.round() as u64) + "/s"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_text_is_borrowed() {
        assert!(matches!(clean("src/main.rs:12:5 größer ▲"), Cow::Borrowed(_)));
    }

    #[test]
    fn nothing_that_a_terminal_acts_upon_remains() {
        assert_eq!(clean("\x1b[2J\n\u{9b}31m\u{202e}x\x7f"), "␛[2J␊�31m�x␡");
        let every: String = ('\0'..=char::MAX).collect();
        assert!(!clean(&every).chars().any(char::is_control));
        assert_eq!(clean(&every).chars().count(), every.chars().count());
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(clean_lines("one\x1b\n\ttwo\n"), "one␛\n␉two\n");
    }

    #[test]
    fn durations_change_their_unit_where_it_reads_better() {
        let cases = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (12_345, "12.3 µs"),
            (999_999, "999 µs"),
            (4_567_000, "4.56 ms"),
            (1_239_000_000, "1.23 s"),
            (59_999_999_999, "59.9 s"),
            (125_000_000_000, "2m 05s"),
            (11_520_000_000_000, "3h 12m"),
            (370_800_000_000_000, "4d 07h"),
            (u64::MAX, "213503d 23h"),
        ];
        for (ns, text) in cases {
            assert_eq!(duration_ns(ns), text, "{ns}");
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(short_count(999), "999");
        assert_eq!(short_count(1_239), "1.23k");
        assert_eq!(short_count(45_678_900), "45.6M");
        assert_eq!(short_count(u64::MAX), "18.4E");
        assert_eq!(bytes(1_023), "1023 B");
        assert_eq!(bytes(1_536), "1.50 KiB");
        assert_eq!(bytes(u64::MAX), "15.9 EiB");
    }

    #[test]
    fn rates() {
        for (per_second, text) in [
            (f64::NAN, "0"),
            (-1.0, "0"),
            (0.0, "0"),
            (0.25, "0.25/s"),
            (9.999, "10.0/s"),
            (12.34, "12.3/s"),
            (99.97, "100/s"),
            (45_678.0, "45.6k/s"),
        ] {
            assert_eq!(rate(per_second), text, "{per_second}");
        }
    }
}
