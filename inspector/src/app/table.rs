//! The state of a table: how it is sorted, grouped and filtered, what is selected, and the lines that follow from that.
//!
//! Works for any kind of row whose columns can say what they hold. Selection follows the row, not its place, so that a
//! row stays selected while the order changes around it.

use super::value::Value;
use crate::model::{Strings, View};
use crate::ui::widget::table::{Align, Column as Layout};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::hash::Hash;

/// What a value may have to be looked up in.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The shown moment.
    pub view: &'a View,
    /// The process's strings.
    pub strings: &'a Strings,
}

/// How the values of a group's members make the group's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// They are added up.
    Sum,
    /// The largest counts.
    Max,
    /// If all are the same, that one.
    Same,
}

/// A column of a table.
pub trait Column: Copy + Eq + Debug + 'static {
    /// What a line is made from.
    type Row;
    /// What tells rows apart.
    type Key: Copy + Eq + Ord + Hash + Debug;

    /// All columns, from left to right.
    const ALL: &'static [Self];
    /// The columns by whose value rows can be grouped.
    const GROUPS: &'static [Self];

    /// The rows of a view.
    fn rows(view: &View) -> &[Self::Row];
    /// What tells this row apart.
    fn key(row: &Self::Row) -> Self::Key;
    /// How the column looks.
    fn layout(self) -> Layout;
    /// What a row has in it.
    fn value(self, row: &Self::Row, context: Context<'_>) -> Value;
    /// What a group has in it.
    fn fold(self) -> Fold;

    /// What rows are grouped by, when it is this column.
    fn group_name(self) -> &'static str {
        self.layout().title
    }

    /// Whether the largest value comes first unless the user wants it otherwise: true for amounts, false for names.
    fn largest_first(self) -> bool {
        self.layout().align == Align::Right && self.fold() != Fold::Same
    }
}

/// What tells lines apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum LineKey<K> {
    /// A group, by the text that its members have in common.
    Group(String),
    /// A row.
    Row(K),
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq)]
pub enum Line<K> {
    /// The sums of a group.
    Group {
        /// What its members have in common.
        name: String,
        /// How many there are.
        members: usize,
        /// Whether they are listed below.
        open: bool,
        /// Its value in every column.
        values: Vec<Value>,
    },
    /// A row of the view.
    Row {
        /// Which.
        key: K,
        /// Its index in the view.
        index: usize,
        /// Whether it stands below its group.
        nested: bool,
    },
}

impl<K: Copy> Line<K> {
    /// What tells this line apart.
    pub fn key(&self) -> LineKey<K> {
        match self {
            Self::Group { name, .. } => LineKey::Group(name.clone()),
            Self::Row { key, .. } => LineKey::Row(*key),
        }
    }
}

/// A table.
#[derive(Clone, Debug)]
pub struct TableState<C: Column> {
    /// The column that decides the order.
    pub sort: C,
    /// Whether the largest value comes first.
    pub descending: bool,
    /// The column by which rows are grouped.
    pub group: Option<C>,
    /// What is shown, in order.
    pub lines: Vec<Line<C::Key>>,
    /// How many rows there are before filtering.
    pub total: usize,
    selected: Option<LineKey<C::Key>>,
    /// Where the selected line was last, for when it is gone.
    place: usize,
    open: HashSet<String>,
}

impl<C: Column> TableState<C> {
    /// A table sorted by a column.
    pub fn new(sort: C) -> Self {
        Self {
            sort,
            descending: sort.largest_first(),
            group: None,
            lines: Vec::new(),
            total: 0,
            selected: None,
            place: 0,
            open: HashSet::new(),
        }
    }

    /// Makes the lines from a view. Costs a sort of its rows.
    pub fn refresh(&mut self, context: Context<'_>, filter: &str) {
        let rows = C::rows(context.view);
        self.total = rows.len();
        let mut indices: Vec<usize> =
            (0..rows.len()).filter(|&index| matches::<C>(filter, &rows[index], context)).collect();
        self.sort_rows(&mut indices, context);
        self.lines = match self.group {
            None => indices.into_iter().map(|index| self.row_line(index, false, context)).collect(),
            Some(by) => self.grouped(by, &indices, context),
        };
        self.keep_selection();
    }

    fn row_line(&self, index: usize, nested: bool, context: Context<'_>) -> Line<C::Key> {
        Line::Row { key: C::key(&C::rows(context.view)[index]), index, nested }
    }

    fn sort_rows(&self, indices: &mut [usize], context: Context<'_>) {
        let rows = C::rows(context.view);
        let values: Vec<Value> = rows.iter().map(|row| self.sort.value(row, context)).collect();
        indices.sort_by(|&a, &b| {
            values[a]
                .order(&values[b], self.descending)
                .then_with(|| C::key(&rows[a]).cmp(&C::key(&rows[b])))
        });
    }

    fn grouped(&self, by: C, sorted: &[usize], context: Context<'_>) -> Vec<Line<C::Key>> {
        let rows = C::rows(context.view);
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for &index in sorted {
            groups.entry(by.value(&rows[index], context).text()).or_default().push(index);
        }
        let mut groups: Vec<(String, Vec<usize>, Vec<Value>)> = groups
            .into_iter()
            .map(|(name, members)| {
                let values =
                    C::ALL.iter().map(|&column| folded(column, &members, context)).collect();
                (name, members, values)
            })
            .collect();
        let sort = C::ALL.iter().position(|&column| column == self.sort).unwrap_or(0);
        groups.sort_by(|(_, _, a), (_, _, b)| a[sort].order(&b[sort], self.descending));
        let mut lines = Vec::new();
        for (name, members, values) in groups {
            let open = self.open.contains(&name);
            lines.push(Line::Group { name, members: members.len(), open, values });
            if open {
                lines.extend(members.iter().map(|&index| self.row_line(index, true, context)));
            }
        }
        lines
    }

    /// The value of a line in a column.
    pub fn value(&self, line: &Line<C::Key>, column: C, context: Context<'_>) -> Value {
        match line {
            Line::Group { values, .. } => C::ALL
                .iter()
                .position(|&other| other == column)
                .map_or(Value::Nothing, |at| values[at].clone()),
            Line::Row { index, .. } => C::rows(context.view)
                .get(*index)
                .map_or(Value::Nothing, |row| column.value(row, context)),
        }
    }

    /// The index of the selected line.
    pub fn selected_index(&self) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        self.lines.iter().position(|line| line.key() == *selected)
    }

    /// The selected row, unless a group or nothing is selected.
    pub fn selected_row(&self) -> Option<C::Key> {
        match self.selected {
            Some(LineKey::Row(key)) => Some(key),
            _ => None,
        }
    }

    /// Selects a row, shown or not.
    pub fn select_row(&mut self, key: C::Key) {
        self.selected = Some(LineKey::Row(key));
        self.place = self.selected_index().unwrap_or(0);
    }

    /// Moves the selection by so many lines, stopping at the ends. Without a selection, the first line is selected.
    pub fn step(&mut self, lines: isize) {
        let Some(last) = self.lines.len().checked_sub(1) else { return };
        let to = match self.selected_index() {
            Some(at) => at.saturating_add_signed(lines).min(last),
            None => 0,
        };
        self.select_index(to);
    }

    /// Selects the first line.
    pub fn first(&mut self) {
        self.select_index(0);
    }

    /// Selects the last line.
    pub fn last(&mut self) {
        self.select_index(usize::MAX);
    }

    fn select_index(&mut self, index: usize) {
        self.place = index.min(self.lines.len().saturating_sub(1));
        self.selected = self.lines.get(self.place).map(Line::key);
    }

    /// A selected line that is gone hands the selection to the one that took its place.
    fn keep_selection(&mut self) {
        if self.selected.is_none() {
            return;
        }
        match self.selected_index() {
            Some(at) => self.place = at,
            None => self.select_index(self.place),
        }
    }

    /// Opens or closes the selected group. Returns whether a group was selected.
    pub fn toggle_group(&mut self) -> bool {
        let Some(LineKey::Group(name)) = self.selected.clone() else { return false };
        if !self.open.remove(&name) {
            self.open.insert(name);
        }
        true
    }

    /// Sorts by the column so many places further on among those that are worth sorting by, around the end.
    pub fn sort_step(&mut self, step: isize) {
        let at = C::ALL.iter().position(|&column| column == self.sort).unwrap_or(0) as isize;
        self.sort = C::ALL[(at + step).rem_euclid(C::ALL.len() as isize) as usize];
        self.descending = self.sort.largest_first();
    }

    /// Turns the order round.
    pub fn reverse(&mut self) {
        self.descending = !self.descending;
    }

    /// Groups by the next column that rows can be grouped by, then not at all.
    pub fn next_group(&mut self) {
        let at = self.group.and_then(|by| C::GROUPS.iter().position(|&column| column == by));
        self.group = C::GROUPS.get(at.map_or(0, |at| at + 1)).copied();
        self.open.clear();
    }
}

fn matches<C: Column>(filter: &str, row: &C::Row, context: Context<'_>) -> bool {
    filter.is_empty()
        || C::ALL.iter().any(|column| {
            column.value(row, context).text().to_lowercase().contains(&filter.to_lowercase())
        })
}

fn folded<C: Column>(column: C, members: &[usize], context: Context<'_>) -> Value {
    let rows = C::rows(context.view);
    let mut values = members.iter().map(|&index| column.value(&rows[index], context));
    let Some(first) = values.next() else { return Value::Nothing };
    values.fold(first, |sum, value| match column.fold() {
        Fold::Sum => sum.plus(&value),
        Fold::Max => sum.max(&value),
        Fold::Same if sum == value => sum,
        Fold::Same => Value::Nothing,
    })
}
