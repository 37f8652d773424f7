//! Findings as annotations that GitHub shows beside the source lines: `::warning file=src/feed.rs,line=88::…`.

use crate::analysis::{Report, Severity};
use crate::text;
use std::fmt::Write as _;

/// One line for each finding that is no symptom.
pub(super) fn render(report: &Report) -> String {
    let mut lines = String::new();
    for finding in report.runtimes.iter().flat_map(|runtime| &runtime.findings) {
        let level = match finding.severity {
            Severity::Hint => "notice",
            Severity::Warning => "warning",
            Severity::Serious => "error",
        };
        let title = format!("title={}", finding.kind);
        let place = place(&finding.location).map_or_else(String::new, |(file, line)| {
            format!("file={},line={line},", property(file))
        });
        let message = format!("{}. {}", finding.explanation, finding.remedy);
        let _ = writeln!(lines, "::{level} {place}{title}::{}", data(&message));
    }
    lines
}

/// File and line of `file:line:column` or `file:line`.
fn place(location: &str) -> Option<(&str, u32)> {
    let (before, last) = location.rsplit_once(':')?;
    if let Some((file, line)) = before.rsplit_once(':')
        && let Ok(line) = line.parse()
    {
        return Some((file, line));
    }
    Some((before, last.parse().ok()?))
}

/// A text as GitHub's commands have it, and nothing that a terminal acts upon.
fn data(text: &str) -> String {
    text::clean(&text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")).into_owned()
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_a_file_and_a_line() {
        assert_eq!(place("src/feed.rs:88:5"), Some(("src/feed.rs", 88)));
        assert_eq!(place("src/feed.rs:88"), Some(("src/feed.rs", 88)));
        assert_eq!(place("somewhere"), None);
        assert_eq!(place(""), None);
    }

    #[test]
    fn a_message_cannot_end_its_command() {
        assert_eq!(data("50 %\n::error::no\x1b"), "50 %25%0A::error::no␛");
        assert_eq!(property("a,b:c"), "a%2Cb%3Ac");
    }
}
