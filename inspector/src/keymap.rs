//! The table of keys: what a key does, where, and the words by which the help and the status line say so.
//!
//! There is no other place that knows a key. [`lookup`] decides what happens; the help is this table, printed.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What the user can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Leave the program.
    Quit,
    /// Show or hide the list of keys.
    Help,
    /// Show this pane.
    Show(Pane),
    /// The next pane, or the one before.
    NextPane,
    /// The pane before this one.
    PreviousPane,
    /// The next runtime of the process.
    NextRuntime,
    /// Freeze what is shown, or go on. In a trace: play, or stop.
    Pause,
    /// Up by a row, lane or line.
    Up,
    /// Down by a row, lane or line.
    Down,
    /// Left by a cell.
    Left,
    /// Right by a cell.
    Right,
    /// Up by a page.
    PageUp,
    /// Down by a page.
    PageDown,
    /// The first row, or the beginning of what is kept.
    First,
    /// The last row, or the end of what is kept.
    Last,
    /// Open the detail panel, or a group.
    Open,
    /// Close whatever is on top.
    Back,
    /// Sort by the next column.
    SortNext,
    /// Sort by the column before.
    SortPrevious,
    /// Turn the order round.
    SortReverse,
    /// The next way of grouping.
    Group,
    /// Type a text that rows must contain.
    Filter,
    /// From a token to its owner, from a task to the token it waits for.
    Follow,
    /// To the lane of the selected task, or of the selected token's owner.
    ToLane,
    /// A shorter span of time.
    ZoomIn,
    /// A longer span of time.
    ZoomOut,
    /// Back in time by a tenth of the timeline's span.
    StepBack,
    /// Forward in time by a tenth of the timeline's span.
    StepForward,
    /// Back in time by the timeline's span.
    PageBack,
    /// Forward in time by the timeline's span.
    PageForward,
    /// The first moment that is kept.
    TimeStart,
    /// The last moment there is.
    TimeEnd,
    /// To the poll before the cursor.
    PreviousPoll,
    /// To the poll after the cursor.
    NextPoll,
    /// To the spurious poll before the cursor.
    PreviousSpurious,
    /// To the spurious poll after the cursor.
    NextSpurious,
    /// Play faster.
    Faster,
    /// Play slower.
    Slower,
    /// Look again for processes.
    Refresh,
}

/// The panes, in the order of their numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pane {
    /// The table of tokens.
    #[default]
    Tokens,
    /// The table of tasks.
    Tasks,
    /// The lanes of the wakeup timeline.
    Timeline,
    /// Occupancy and the map of slots.
    Freelist,
}

impl Pane {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tokens, Self::Tasks, Self::Timeline, Self::Freelist];

    /// Its name on the screen.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Tokens => "Tokens",
            Self::Tasks => "Tasks",
            Self::Timeline => "Timeline",
            Self::Freelist => "Freelist",
        }
    }

    /// The pane `step` places further on, around the end.
    #[must_use]
    pub fn shifted(self, step: isize) -> Self {
        let at = Self::ALL.iter().position(|&pane| pane == self).unwrap_or(0) as isize;
        Self::ALL[(at + step).rem_euclid(Self::ALL.len() as isize) as usize]
    }
}

/// Where a binding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// In every pane.
    Everywhere,
    /// In the tables of tokens and tasks.
    Tables,
    /// In the timeline.
    Timeline,
    /// In the freelist.
    Freelist,
    /// In the choice of a process.
    Picker,
}

impl Scope {
    /// All of them, in the order of the help.
    pub const ALL: [Self; 5] =
        [Self::Everywhere, Self::Tables, Self::Timeline, Self::Freelist, Self::Picker];

    /// The heading in the help.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Everywhere => "Everywhere",
            Self::Tables => "Tokens and tasks",
            Self::Timeline => "Timeline",
            Self::Freelist => "Freelist",
            Self::Picker => "Choosing a process",
        }
    }

    /// The scope that belongs to a pane.
    #[must_use]
    pub fn of(pane: Pane) -> Self {
        match pane {
            Pane::Tokens | Pane::Tasks => Self::Tables,
            Pane::Timeline => Self::Timeline,
            Pane::Freelist => Self::Freelist,
        }
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Where it holds.
    pub scope: Scope,
    /// The keys, any of which will do, with what they ask for.
    pub keys: &'static [(KeyCode, KeyModifiers, Action)],
    /// The keys as the help writes them.
    pub label: &'static str,
    /// What they do.
    pub help: &'static str,
    /// What they do in one word for the status line, for the keys worth a place there.
    pub short: Option<&'static str>,
}

const NONE: KeyModifiers = KeyModifiers::NONE;
const CONTROL: KeyModifiers = KeyModifiers::CONTROL;

const fn key(key: char, action: Action) -> (KeyCode, KeyModifiers, Action) {
    (KeyCode::Char(key), NONE, action)
}

const fn code(code: KeyCode, action: Action) -> (KeyCode, KeyModifiers, Action) {
    (code, NONE, action)
}

macro_rules! bindings {
    ($($scope:ident { $($label:literal $(as $short:literal)? : $help:literal = [$($key:expr),* $(,)?];)* })*) => {
        &[$($(Binding {
            scope: Scope::$scope,
            keys: &[$($key),*],
            label: $label,
            help: $help,
            short: bindings!(@short $($short)?),
        },)*)*]
    };
    (@short) => { None };
    (@short $short:literal) => { Some($short) };
}

/// The table. Within a pane, its own scope comes before [`Scope::Everywhere`].
pub const BINDINGS: &[Binding] = bindings! {
    Everywhere {
        "?" as "help": "this list of keys" = [
            key('?', Action::Help), code(KeyCode::F(1), Action::Help),
        ];
        "q" as "quit": "quit; Ctrl-C as well" = [
            key('q', Action::Quit), (KeyCode::Char('c'), CONTROL, Action::Quit),
        ];
        "1 2 3 4": "tokens, tasks, timeline, freelist" = [
            key('1', Action::Show(Pane::Tokens)),
            key('2', Action::Show(Pane::Tasks)),
            key('3', Action::Show(Pane::Timeline)),
            key('4', Action::Show(Pane::Freelist)),
        ];
        "Tab": "the next pane; Shift-Tab the one before" = [
            code(KeyCode::Tab, Action::NextPane), code(KeyCode::BackTab, Action::PreviousPane),
        ];
        "space" as "pause": "freeze what is shown, or go on; plays a trace" = [
            key(' ', Action::Pause),
        ];
        ", ." as "time": "back and forward in time by a tenth of the timeline's span" = [
            key(',', Action::StepBack), key('.', Action::StepForward),
        ];
        "< >": "back and forward in time by the whole span" = [
            key('<', Action::PageBack), key('>', Action::PageForward),
        ];
        "[ ]": "the first moment that is kept, and the last one" = [
            key('[', Action::TimeStart), key(']', Action::TimeEnd),
        ];
        "( )": "play a trace slower, faster" = [
            key('(', Action::Slower), key(')', Action::Faster),
        ];
        "/" as "filter": "show only what contains a text; Esc takes it back" = [
            key('/', Action::Filter),
        ];
        "x": "the next runtime of the process" = [key('x', Action::NextRuntime)];
        "Esc": "close what is on top" = [code(KeyCode::Esc, Action::Back)];
    }
    Tables {
        "↑ ↓": "select a row; also k and j, PgUp and PgDn, Home and End" = [
            code(KeyCode::Up, Action::Up), key('k', Action::Up),
            code(KeyCode::Down, Action::Down), key('j', Action::Down),
            code(KeyCode::PageUp, Action::PageUp), code(KeyCode::PageDown, Action::PageDown),
            code(KeyCode::Home, Action::First), code(KeyCode::End, Action::Last),
        ];
        "Enter" as "detail": "everything known of the row; on a group, its members" = [
            code(KeyCode::Enter, Action::Open),
        ];
        "s S" as "sort": "sort by the next column, the one before; also → and ←" = [
            key('s', Action::SortNext), code(KeyCode::Right, Action::SortNext),
            key('S', Action::SortPrevious), code(KeyCode::Left, Action::SortPrevious),
        ];
        "r" as "reverse": "turn the order round" = [key('r', Action::SortReverse)];
        "g" as "group": "sum up by place in the program, by owner, or not" = [
            key('g', Action::Group),
        ];
        "o" as "follow": "from a token to its owner, from a task to what it waits for" = [
            key('o', Action::Follow),
        ];
        "t" as "lane": "to the task's lane in the timeline" = [key('t', Action::ToLane)];
    }
    Timeline {
        "← →" as "cursor": "move the cursor; also h and l" = [
            code(KeyCode::Left, Action::Left), key('h', Action::Left),
            code(KeyCode::Right, Action::Right), key('l', Action::Right),
        ];
        "↑ ↓" as "lane": "select a lane; also k and j, PgUp and PgDn" = [
            code(KeyCode::Up, Action::Up), key('k', Action::Up),
            code(KeyCode::Down, Action::Down), key('j', Action::Down),
            code(KeyCode::PageUp, Action::PageUp), code(KeyCode::PageDown, Action::PageDown),
        ];
        "+ -" as "zoom": "a shorter or longer span of time, around the cursor" = [
            key('+', Action::ZoomIn), key('=', Action::ZoomIn), key('-', Action::ZoomOut),
        ];
        "p n" as "poll": "to the lane's poll before the cursor, after it" = [
            key('p', Action::PreviousPoll), key('n', Action::NextPoll),
        ];
        "P N" as "spurious": "to its spurious poll before the cursor, after it" = [
            key('P', Action::PreviousSpurious), key('N', Action::NextSpurious),
        ];
        "Home End": "the first moment that is kept, and the last one" = [
            code(KeyCode::Home, Action::TimeStart), code(KeyCode::End, Action::TimeEnd),
        ];
        "Enter": "everything known of the lane's task" = [code(KeyCode::Enter, Action::Open)];
    }
    Freelist {
        "← → ↑ ↓" as "slot": "select a slot of the map; also h, j, k and l" = [
            code(KeyCode::Left, Action::Left), key('h', Action::Left),
            code(KeyCode::Right, Action::Right), key('l', Action::Right),
            code(KeyCode::Up, Action::Up), key('k', Action::Up),
            code(KeyCode::Down, Action::Down), key('j', Action::Down),
            code(KeyCode::PageUp, Action::PageUp), code(KeyCode::PageDown, Action::PageDown),
        ];
        "+ -" as "zoom": "a shorter or longer span of time in the chart" = [
            key('+', Action::ZoomIn), key('=', Action::ZoomIn), key('-', Action::ZoomOut),
        ];
        "Home End": "the first moment that is kept, and the last one" = [
            code(KeyCode::Home, Action::TimeStart), code(KeyCode::End, Action::TimeEnd),
        ];
        "Enter" as "detail": "everything known of the slot's token" = [
            code(KeyCode::Enter, Action::Open),
        ];
    }
    Picker {
        "↑ ↓" as "select": "select a process; also k and j" = [
            code(KeyCode::Up, Action::Up), key('k', Action::Up),
            code(KeyCode::Down, Action::Down), key('j', Action::Down),
            code(KeyCode::Home, Action::First), code(KeyCode::End, Action::Last),
        ];
        "Enter" as "attach": "attach to it" = [code(KeyCode::Enter, Action::Open)];
        "r" as "refresh": "look again" = [key('r', Action::Refresh)];
    }
};

/// What a key asks for where `scope` holds.
#[must_use]
pub fn lookup(scope: Scope, event: &KeyEvent) -> Option<Action> {
    let pressed = (event.code, relevant_modifiers(event));
    let find = |scope: Scope| {
        BINDINGS
            .iter()
            .filter(|binding| binding.scope == scope)
            .flat_map(|binding| binding.keys)
            .find(|&&(code, modifiers, _)| (code, modifiers) == pressed)
            .map(|&(_, _, action)| action)
    };
    find(scope).or_else(|| find(Scope::Everywhere))
}

/// The bindings of one scope, in the order of the table.
pub fn bindings(scope: Scope) -> impl Iterator<Item = &'static Binding> {
    BINDINGS.iter().filter(move |binding| binding.scope == scope)
}

/// Terminals disagree on whether `?` or `S` come with a shift; the character says it already.
fn relevant_modifiers(event: &KeyEvent) -> KeyModifiers {
    match event.code {
        KeyCode::Char(_) | KeyCode::BackTab => event.modifiers - KeyModifiers::SHIFT,
        _ => event.modifiers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_key_has_two_meanings_in_one_place() {
        for scope in Scope::ALL {
            let mut seen = HashSet::new();
            for &(code, modifiers, _) in bindings(scope).flat_map(|binding| binding.keys) {
                assert!(seen.insert((code, modifiers)), "{code:?} twice in {scope:?}");
            }
        }
    }

    #[test]
    fn a_label_names_the_first_keys_it_stands_for() {
        for binding in BINDINGS {
            for word in binding.label.split(' ') {
                let code = match word {
                    "Tab" => KeyCode::Tab,
                    "Esc" => KeyCode::Esc,
                    "Enter" => KeyCode::Enter,
                    "Home" => KeyCode::Home,
                    "End" => KeyCode::End,
                    "space" => KeyCode::Char(' '),
                    "↑" => KeyCode::Up,
                    "↓" => KeyCode::Down,
                    "←" => KeyCode::Left,
                    "→" => KeyCode::Right,
                    other => KeyCode::Char(other.chars().next().unwrap()),
                };
                assert!(
                    binding.keys.iter().any(|&(bound, ..)| bound == code),
                    "{word:?} of {:?} is not bound",
                    binding.label
                );
            }
        }
    }

    #[test]
    fn a_pane_comes_before_everywhere_and_shift_is_in_the_character() {
        let press = |c| KeyEvent::new(KeyCode::Char(c), KeyModifiers::SHIFT);
        assert_eq!(lookup(Scope::Tables, &press('S')), Some(Action::SortPrevious));
        assert_eq!(lookup(Scope::Timeline, &press('S')), None);
        assert_eq!(lookup(Scope::Timeline, &press('?')), Some(Action::Help));
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        for scope in Scope::ALL {
            assert_eq!(lookup(scope, &control_c), Some(Action::Quit), "{scope:?}");
        }
    }

    #[test]
    fn panes_go_round() {
        assert_eq!(Pane::Tokens.shifted(-1), Pane::Freelist);
        assert_eq!(Pane::Freelist.shifted(1), Pane::Tokens);
    }
}
