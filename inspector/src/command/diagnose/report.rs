//! Findings as text for people: worst first, numbers aligned, one screen.
//!
//! ```text
//! echo (4711), runtime 1, observed for 5.00 s: 96,120 polls, 48,213 spurious, 0 unattributed
//!
//! SERIOUS  needless-interest  48,213 kernel events  9.64k/s  wasted 310 ms
//!          token 7.3 (tcp-stream 127.0.0.1:9000, fd 12) at src/feed.rs:88:17 is registered for writable, and nobody
//!          ever writes: 48,213 events of the kernel for nothing
//!        → Register for readable only. …
//!        └ wrong-direction    48,211 polls (100 %)
//! ```

use crate::analysis::{Finding, Kind, Report, RuntimeReport, Severity};
use crate::text;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};

/// Findings told in full, so that they fit a screen.
const IN_FULL: usize = 5;

/// Columns before the texts below a finding's first line.
const INDENT: &str = "         ";

/// How to lay it out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    colours: bool,
    columns: usize,
    all: bool,
}

impl Style {
    /// For our standard output: colours only on a terminal, and not if `NO_COLOR` says so.
    pub(super) fn of_stdout(all: bool) -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let colours = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let size = if terminal { rustix::termios::tcgetwinsize(&stdout).ok() } else { None };
        let columns = size.map_or(100, |size| usize::from(size.ws_col).clamp(60, 140));
        Self { colours, columns, all }
    }

    fn paint(&self, severity: Severity, text: &str) -> String {
        let code = match severity {
            Severity::Hint => "36",
            Severity::Warning => "33",
            Severity::Serious => "1;31",
        };
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Lays out a report.
pub(super) fn render(
    report: &Report,
    title: &str,
    cut_short: Option<&str>,
    style: &Style,
) -> String {
    let mut lines = String::new();
    for runtime in &report.runtimes {
        if !lines.is_empty() {
            lines.push('\n');
        }
        render_runtime(runtime, title, style, &mut lines);
    }
    if let Some(why) = cut_short {
        let _ = writeln!(lines, "\nnot all was seen: {}", text::clean(why));
    }
    lines
}

fn render_runtime(runtime: &RuntimeReport, title: &str, style: &Style, lines: &mut String) {
    let seen = &runtime.seen;
    let name = if runtime.name.is_empty() {
        String::new()
    } else {
        format!(" {:?}", text::clean(&runtime.name))
    };
    let _ = writeln!(
        lines,
        "{}, runtime {}{name}, observed for {}: {} polls, {} spurious, {} unattributed",
        text::clean(title),
        runtime.id,
        text::duration_ns(runtime.span_ns),
        text::count(seen.polls),
        text::count(seen.spurious),
        text::count(seen.unattributed)
    );
    if runtime.findings.is_empty() {
        let _ = writeln!(lines, "\nnothing found");
    }
    let in_full = if style.all { usize::MAX } else { IN_FULL };
    let widths = widths(&runtime.findings);
    for (at, finding) in runtime.findings.iter().enumerate() {
        if at == in_full {
            let _ = writeln!(lines, "\nand, in short (--all tells all of it):");
        }
        if at < in_full {
            lines.push('\n');
            head(finding, &widths, style, lines);
            lines.push('\n');
            body(finding, style, lines);
        } else {
            head(finding, &widths, style, lines);
            let about = format!("  {}", text::clean(&finding.about));
            lines.push_str(&about);
            lines.push('\n');
        }
    }
    for reason in &runtime.not_judged {
        let _ = writeln!(lines, "\nnot judged: {}", text::clean(reason));
    }
}

/// Widths of the columns of first lines: kind, count with unit, rate.
struct Widths([usize; 3]);

fn cells(finding: &Finding) -> [String; 3] {
    let count = format!("{} {}", text::count(finding.count), finding.kind.unit());
    [finding.kind.name().to_owned(), count, text::rate(finding.rate)]
}

fn widths(findings: &[Finding]) -> Widths {
    let mut widths = [0; 3];
    for finding in findings {
        for (width, cell) in widths.iter_mut().zip(cells(finding)) {
            *width = (*width).max(cell.chars().count());
        }
    }
    Widths(widths)
}

fn head(finding: &Finding, widths: &Widths, style: &Style, lines: &mut String) {
    let [kind, count, rate] = cells(finding);
    let Widths([kind_width, count_width, rate_width]) = *widths;
    let severity = format!("{:<7}", finding.severity.name().to_uppercase());
    let wasted = match finding.wasted_ns {
        0 => String::new(),
        wasted => format!("  wasted {}", text::duration_ns(wasted)),
    };
    let _ = write!(
        lines,
        "{}  {kind:<kind_width$}  {count:>count_width$}  {rate:>rate_width$}{wasted}",
        style.paint(finding.severity, &severity)
    );
}

fn body(finding: &Finding, style: &Style, lines: &mut String) {
    let mut explanation = finding.explanation.clone();
    if finding.others > 0 {
        let _ = write!(explanation, " (and {} more of the same place)", finding.others);
    }
    wrap(&explanation, INDENT, INDENT, style.columns, lines);
    wrap(&finding.remedy, "       → ", INDENT, style.columns, lines);
    for symptom in &finding.symptoms {
        let share = symptom
            .share
            .map_or_else(String::new, |share| format!(" ({:.0} % of all)", share * 100.0));
        let told = format!(
            "{}: {} {}{share}, {}",
            symptom.kind,
            text::count(symptom.count),
            symptom.kind.unit(),
            symptom.about
        );
        wrap(&told, "       └ ", INDENT, style.columns, lines);
    }
}

/// Breaks a text into lines at blanks.
fn wrap(text: &str, first: &str, others: &str, columns: usize, lines: &mut String) {
    let text = text::clean(text);
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split(' ') {
        let width = line.chars().count() + 1 + word.chars().count();
        if !empty && width > columns {
            let _ = writeln!(lines, "{}", line.trim_end());
            others.clone_into(&mut line);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(lines, "{}", line.trim_end());
}

/// What a kind is, and what to do about it.
pub(super) fn explain(kind: Kind) -> String {
    let mut lines = format!("{kind}\n\n");
    wrap(kind.definition(), "", "", 100, &mut lines);
    let _ = write!(lines, "\nIts count is of {}.\n\n", kind.unit());
    wrap(kind.remedy(), "What to do: ", "", 100, &mut lines);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_broken_at_blanks() {
        let mut lines = String::new();
        wrap("one two three four", "> ", "  ", 11, &mut lines);
        assert_eq!(lines, "> one two\n  three\n  four\n");
    }

    #[test]
    fn nothing_that_a_terminal_acts_upon_gets_through() {
        let mut lines = String::new();
        wrap("a\x1b[2Jb\nc", "", "", 80, &mut lines);
        assert_eq!(lines, "a␛[2Jb␊c\n");
    }

    #[test]
    fn every_kind_is_explained() {
        for &kind in Kind::ALL {
            assert!(explain(kind).contains(kind.definition().split(' ').next().unwrap()), "{kind}");
        }
    }
}
