//! From rounds to what is printed: each recorder beside the same runtime without it.

use crate::contestant::Figure;
use crate::contestants::Contestant;
use crate::rounds::Results;
use crate::spread::Spread;
use crate::workloads::Goal;

/// What came out for a recorder.
struct Cell {
    contestant: Contestant,
    off: Option<Spread>,
    value: Option<Spread>,
    ratio: Option<Spread>,
    added: Option<Spread>,
    added_per_event: Option<Spread>,
    goal: Option<(Goal, bool)>,
    /// Why there is no value, or what else there is to say.
    note: String,
}

/// One for each recorder; those without one are their bases.
fn cells(results: &Results) -> Vec<Cell> {
    let recorders = results.cells.iter().filter(|(contestant, _)| contestant.off() != *contestant);
    recorders
        .map(|(contestant, cell)| match cell {
            Ok(figures) => measured(results, *contestant, figures),
            Err(absent) => Cell {
                contestant: *contestant,
                off: None,
                value: None,
                ratio: None,
                added: None,
                added_per_event: None,
                goal: None,
                note: absent.to_string(),
            },
        })
        .collect()
}

fn measured(results: &Results, contestant: Contestant, figures: &[Figure]) -> Cell {
    let row = &results.row;
    let base = row.base_of(contestant).and_then(|base| results.figures(base));
    let base = base.filter(|base| base.len() == figures.len()).unwrap_or_default();
    let pairs = || figures.iter().zip(base).map(|(on, off)| (on.value, off.value));
    let value = Spread::of(figures.iter().map(|figure| figure.value));
    let ratio =
        Spread::of(pairs().filter(|&(on, off)| on > 0.0 && off > 0.0).map(|(on, off)| on / off));
    let added = Spread::of(pairs().map(|(on, off)| on - off));
    let added_per_event =
        row.events.and_then(|events| Spread::of(pairs().map(|(on, off)| (on - off) / events)));
    let goal = row.goals.iter().find(|(whose, _)| *whose == contestant);
    let goal = goal.and_then(|&(_, goal)| {
        let reached = match goal {
            Goal::TimesOff(limit) => ratio?.median <= limit,
            Goal::Added(limit) => added?.median <= limit,
            Goal::AddedPerEvent(limit) => added_per_event?.median <= limit,
            Goal::AtMost(limit) => value?.median <= limit,
            Goal::AtLeast(limit) => value?.median >= limit,
        };
        Some((goal, reached))
    });
    let note = figures.iter().map(|figure| figure.note.as_str()).find(|note| !note.is_empty());
    Cell {
        contestant,
        off: Spread::of(base.iter().map(|figure| figure.value)),
        value,
        ratio,
        added,
        added_per_event,
        goal,
        note: note.unwrap_or_default().to_owned(),
    }
}

fn wanted(goal: Goal, unit: &str) -> String {
    match goal {
        Goal::TimesOff(limit) => format!("≤ {limit:.2}× off"),
        Goal::Added(limit) => format!("≤ {limit} {unit} more than off"),
        Goal::AddedPerEvent(limit) => format!("≤ {limit} {unit} an event"),
        Goal::AtMost(limit) => format!("≤ {limit} {unit}"),
        Goal::AtLeast(limit) => format!("≥ {limit} {unit}"),
    }
}

/// What a goal speaks of.
fn result(cell: &Cell, goal: Goal, unit: &str) -> String {
    match goal {
        Goal::TimesOff(_) => format!("{}×", or_dash(cell.ratio)),
        Goal::Added(_) => format!("{} {unit}", or_dash(cell.added)),
        Goal::AddedPerEvent(_) => format!("{} {unit}", or_dash(cell.added_per_event)),
        Goal::AtMost(_) | Goal::AtLeast(_) => format!("{} {unit}", or_dash(cell.value)),
    }
}

fn or_dash(spread: Option<Spread>) -> String {
    spread.map_or("–".to_owned(), |spread| spread.to_string())
}

/// A table of one workload, for reading in a terminal.
pub(crate) fn plain(results: &Results) -> String {
    let row = &results.row;
    let mut text = format!("\n{} [{}]\n", row.title, results.workload.name());
    text += &format!(
        "  {:<18} {:<20} {:<20} {:<20} {:<20} {:<20} goal\n",
        "",
        format!("off, {}", row.unit),
        format!("on, {}", row.unit),
        "on / off",
        "on − off",
        if row.events.is_some() { "an event" } else { "" },
    );
    for cell in cells(results) {
        text += &format!(
            "  {:<18} {:<20} {:<20} {:<20} {:<20} {:<20} ",
            cell.contestant.name(),
            or_dash(cell.off),
            or_dash(cell.value),
            or_dash(cell.ratio),
            or_dash(cell.added),
            if row.events.is_some() { or_dash(cell.added_per_event) } else { String::new() },
        );
        if let Some((goal, reached)) = cell.goal {
            let verdict = if reached { "reached" } else { "NOT reached" };
            text += &format!("{}: {verdict}", wanted(goal, row.unit));
        }
        text.truncate(text.trim_end().len());
        if !cell.note.is_empty() {
            text += &format!("  [{}]", cell.note);
        }
        text += "\n";
    }
    text
}

/// All workloads as tables for BENCHMARKS.md: the goals, then everybody's figures.
pub(crate) fn markdown(all: &[Results]) -> String {
    let mut text = "| workload | recorder | goal | result | |\n".to_owned();
    text += "| --- | --- | --- | --- | --- |\n";
    for results in all {
        let row = &results.row;
        for cell in cells(results) {
            let Some((goal, reached)) = cell.goal else { continue };
            text += &format!(
                "| {} | {} | {} | {} | {} |\n",
                row.title,
                cell.contestant.name(),
                wanted(goal, row.unit),
                result(&cell, goal, row.unit),
                if reached { "reached" } else { "**not reached**" },
            );
        }
    }
    text += "\n| workload | recorder | off | on | on / off | on − off | an event | |\n";
    text += "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
    for results in all {
        let row = &results.row;
        for cell in cells(results) {
            text += &format!(
                "| {}, {} | {} | {} | {} | {} | {} | {} | {} |\n",
                row.title,
                row.unit,
                cell.contestant.name(),
                or_dash(cell.off),
                or_dash(cell.value),
                or_dash(cell.ratio),
                or_dash(cell.added),
                or_dash(cell.added_per_event),
                cell.note,
            );
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

    fn results(workload: Workload) -> Results {
        let cells = vec![
            (Contestant::OursOff, figures(&[10.0, 30.0, 8.0])),
            (Contestant::OursOn, figures(&[19.0, 63.0, 15.2])),
            (Contestant::Tokio, figures(&[20.0, 60.0, 16.0])),
            (Contestant::Dial9Memory, figures(&[80.0, 180.0, 64.0])),
            (Contestant::Console, Err("no port".into())),
        ];
        Results { workload, row: workload.row(), cells }
    }

    /// The second round was slow for everybody, which must not matter; each is compared with its own runtime.
    #[test]
    fn recorders_are_compared_with_their_own_runtime_within_rounds() {
        let text = plain(&results(Workload::SelfWaking));
        let ours = text.lines().find(|line| line.contains("ours-on")).unwrap();
        assert!(ours.contains("1.90 (1.90–2.10)"), "{text}");
        assert!(ours.ends_with("≤ 2.00× off: reached"), "{text}");
        let dial9 = text.lines().find(|line| line.contains("dial9-memory")).unwrap();
        assert!(dial9.contains("4.00 (3.00–4.00)"), "{text}");
    }

    #[test]
    fn what_is_added_is_shared_among_the_events() {
        let text = markdown(&[results(Workload::Dispatch)]);
        assert!(text.contains("| ≤ 5 ns an event | 3.00 (2.40–11.0) ns | reached |"), "{text}");
        assert!(text.contains("| console | – | – | – | – | – | no port |"), "{text}");
    }
}
