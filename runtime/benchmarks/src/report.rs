//! From rounds to what is printed.

use crate::contestant::Figure;
use crate::contestants::Contestant;
use crate::rounds::Results;
use crate::spread::Spread;
use crate::workloads::Goal;

/// A contestant's part of a row.
struct Cell {
    contestant: Contestant,
    value: Option<Spread>,
    ratio: Option<Spread>,
    goal: Option<(Goal, bool)>,
    /// Why there is no value, or what else there is to say.
    note: String,
}

fn cells(results: &Results) -> Vec<Cell> {
    results
        .cells
        .iter()
        .map(|(contestant, cell)| match cell {
            Ok(figures) => measured(results, *contestant, figures),
            Err(absent) => Cell {
                contestant: *contestant,
                value: None,
                ratio: None,
                goal: None,
                note: absent.to_string(),
            },
        })
        .collect()
}

fn measured(results: &Results, contestant: Contestant, figures: &[Figure]) -> Cell {
    let value = Spread::of(figures.iter().map(|figure| figure.value));
    let base = results.figures(results.row.base).filter(|base| base.len() == figures.len());
    let ratio = base.and_then(|base| {
        let pairs = figures.iter().zip(base).filter(|(_, base)| base.value > 0.0);
        Spread::of(pairs.map(|(figure, base)| figure.value / base.value))
    });
    let goal = results.row.goals.iter().find(|(whose, _)| *whose == contestant);
    let goal = goal.and_then(|(_, goal)| {
        let reached = match *goal {
            Goal::TimesBase(limit) => ratio?.median <= limit,
            Goal::AtMost(limit) => value?.median <= limit,
        };
        Some((*goal, reached))
    });
    let note = figures.iter().map(|figure| figure.note.as_str()).find(|note| !note.is_empty());
    Cell { contestant, value, ratio, goal, note: note.unwrap_or_default().to_owned() }
}

fn goal(goal: Goal, results: &Results) -> String {
    match goal {
        Goal::TimesBase(limit) => format!("≤ {limit:.2}× {}", results.row.base.name()),
        Goal::AtMost(limit) => format!("≤ {limit} {}", results.row.unit),
    }
}

fn or_dash(spread: Option<Spread>) -> String {
    spread.map_or("–".to_owned(), |spread| spread.to_string())
}

/// A table of one workload, for reading in a terminal.
pub(crate) fn plain(results: &Results) -> String {
    let row = &results.row;
    let (unit, base) = (row.unit, row.base.name());
    let mut text = format!("\n{} [{}]\n", row.title, results.workload.name());
    text += &format!("  {:<20} {:<26} {:<24} goal\n", "", unit, format!("× {base}"));
    for cell in cells(results) {
        let (value, ratio) = (or_dash(cell.value), or_dash(cell.ratio));
        text += &format!("  {:<20} {value:<26} {ratio:<24} ", cell.contestant.name());
        if let Some((wanted, reached)) = cell.goal {
            let verdict = if reached { "reached" } else { "NOT reached" };
            text += &format!("{}: {verdict} ", goal(wanted, results));
        }
        text.truncate(text.trim_end().len());
        if !cell.note.is_empty() {
            text += &format!("  [{}]", cell.note);
        }
        text += "\n";
    }
    text
}

/// All workloads as tables for BENCHMARKS.md: the goals, then everybody's figures, then what is missing.
pub(crate) fn markdown(all: &[Results]) -> String {
    let mut text =
        "| workload | goal, recorder off | result | | goal, recorder on | result | |\n".to_owned();
    text += "| --- | --- | --- | --- | --- | --- | --- |\n";
    for results in all {
        text += &format!("| {} |", results.row.title);
        let cells = cells(results);
        for (whose, _) in results.row.goals {
            let cell = cells.iter().find(|cell| cell.contestant == *whose);
            text += &match cell.and_then(|cell| Some((cell, cell.goal?))) {
                Some((cell, (wanted, reached))) => {
                    let result = match wanted {
                        Goal::TimesBase(_) => format!("{}×", or_dash(cell.ratio)),
                        Goal::AtMost(_) => format!("{} {}", or_dash(cell.value), results.row.unit),
                    };
                    let verdict = if reached { "reached" } else { "**not reached**" };
                    format!(" {} | {result} | {verdict} |", goal(wanted, results))
                }
                None => " | | |".to_owned(),
            };
        }
        text += "\n";
    }
    for results in all {
        let (unit, base) = (results.row.unit, results.row.base.name());
        text += &format!("\n**{}**\n\n| | {unit} | × {base} | |\n", results.row.title);
        text += "| --- | --- | --- | --- |\n";
        for cell in cells(results) {
            let (value, ratio) = (or_dash(cell.value), or_dash(cell.ratio));
            text +=
                &format!("| {} | {value} | {ratio} | {} |\n", cell.contestant.name(), cell.note);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workloads::Workload;

    fn figures(values: &[f64]) -> Result<Vec<Figure>, crate::contestant::Absent> {
        Ok(values.iter().map(|&value| value.into()).collect())
    }

    fn results() -> Results {
        let workload = Workload::SelfWaking;
        let cells = vec![
            (Contestant::OursOff, figures(&[12.0, 30.0, 10.0])),
            (Contestant::OursOn, figures(&[22.0, 57.0, 18.0])),
            (Contestant::Tokio, figures(&[24.0, 60.0, 20.0])),
            (Contestant::Glommio, Err("no ring".into())),
        ];
        Results { workload, row: workload.row(), cells }
    }

    /// The second round was slow for everybody, which must not matter.
    #[test]
    fn contestants_are_compared_within_rounds() {
        let text = plain(&results());
        let off = text.lines().find(|line| line.contains("ours-off")).unwrap();
        assert!(off.contains("12.0 (10.0–30.0)"), "{text}");
        assert!(off.contains("0.50") && off.ends_with("≤ 0.50× tokio: reached"), "{text}");
        let on = text.lines().find(|line| line.contains("ours-on")).unwrap();
        assert!(on.contains("0.92 (0.90–0.95)"), "{text}");
        assert!(on.ends_with("≤ 0.85× tokio: NOT reached"), "{text}");
    }

    #[test]
    fn who_did_not_run_says_why() {
        let text = markdown(&[results()]);
        assert!(text.contains("| glommio | – | – | no ring |"), "{text}");
        assert!(text.contains("| ≤ 0.50× tokio | 0.50× | reached |"), "{text}");
    }
}
