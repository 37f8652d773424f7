//! The choice of a process: what is on the screen before anything is attached to.
//!
//! Searching is I/O, so the picker only asks for it ([`Picker::take_search`]); the result comes as an event.

use crate::event::Event;
use crate::keymap::{self, Action, Scope};
use crate::target::Found;

/// The choice of a process.
#[derive(Debug, Default)]
pub struct Picker {
    /// What was found; none while the first search is under way.
    pub found: Option<Vec<Found>>,
    /// Whether a search is under way.
    pub searching: bool,
    selected: Option<(u32, u64)>,
    search: bool,
    chosen: Option<Found>,
    changed: bool,
    done: bool,
}

impl Picker {
    /// A picker that wants to search.
    #[must_use]
    pub fn new() -> Self {
        Self { search: true, searching: true, changed: true, ..Self::default() }
    }

    /// Takes in what happened.
    pub fn update(&mut self, event: Event) {
        match event {
            Event::Key(key) => {
                if let Some(action) = keymap::lookup(Scope::Picker, &key) {
                    self.act(action);
                }
            }
            Event::Found(found) => {
                self.searching = false;
                self.found = Some(found);
                if self.selected_index().is_none() {
                    self.select(0);
                }
                self.changed = true;
            }
            Event::Resize(_) => self.changed = true,
            Event::Stop => self.done = true,
            Event::Update(_) | Event::Tick(_) => {}
        }
    }

    fn act(&mut self, action: Action) {
        self.changed = true;
        let at = self.selected_index().unwrap_or(0);
        match action {
            Action::Quit | Action::Back => self.done = true,
            Action::Refresh => {
                self.search = !self.searching;
                self.searching = true;
            }
            Action::Up => self.select(at.saturating_sub(1)),
            Action::Down => self.select(at + 1),
            Action::First => self.select(0),
            Action::Last => self.select(usize::MAX),
            Action::Open => {
                self.chosen = self.rows().get(at).cloned();
                self.done = self.chosen.is_some();
            }
            _ => {}
        }
    }

    fn rows(&self) -> &[Found] {
        self.found.as_deref().unwrap_or_default()
    }

    fn select(&mut self, index: usize) {
        let last = self.rows().len().saturating_sub(1);
        self.selected = self.rows().get(index.min(last)).map(key);
    }

    /// The index of the selected process.
    #[must_use]
    pub fn selected_index(&self) -> Option<usize> {
        self.rows().iter().position(|found| Some(key(found)) == self.selected)
    }

    /// Whether a search should be started now; asking takes the wish back.
    pub fn take_search(&mut self) -> bool {
        std::mem::take(&mut self.search)
    }

    /// Whether anything on the screen has changed since this was asked last.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether the user has chosen, or given up.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The chosen process, if the user chose one.
    #[must_use]
    pub fn into_chosen(self) -> Option<Found> {
        self.chosen
    }
}

/// What tells processes apart, also after a number has been used again.
fn key(found: &Found) -> (u32, u64) {
    (found.pid, found.process.start_time)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::target::Socket;
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use nexus_protocol::frame::{Process, RuntimeInfo};
    use nexus_protocol::{RuntimeId, Stamp};

    /// A process as a search finds it.
    pub(crate) fn found(pid: u32, program: &str) -> Found {
        let info = RuntimeInfo {
            id: RuntimeId(1),
            name: String::new(),
            thread: pid,
            started: Stamp(1),
            ended: Stamp::NEVER,
            ring_capacity: 1,
            recorded: 1,
            tokens: 12,
            tasks: 1_234,
        };
        Found {
            socket: Socket::Path(format!("/run/{pid}.sock").into()),
            pid,
            comm: program.to_owned(),
            process: Process {
                pid,
                start_time: 7,
                program: program.to_owned(),
                command_line: format!("{program} --port 7007"),
                started: Stamp(1),
                wall_offset_ns: 0,
                clock: "tsc".to_owned(),
            },
            runtimes: vec![info],
            age_ns: 83_000_000_000,
        }
    }

    fn press(picker: &mut Picker, code: KeyCode) {
        picker.update(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    #[test]
    fn a_process_is_chosen_with_enter() {
        let mut picker = Picker::new();
        assert!(picker.take_search());
        assert!(!picker.take_search());
        press(&mut picker, KeyCode::Enter);
        assert!(!picker.is_done(), "there is nothing to choose yet");
        picker.update(Event::Found(vec![found(4, "echo"), found(9, "proxy")]));
        press(&mut picker, KeyCode::Down);
        picker.update(Event::Found(vec![found(9, "proxy")]));
        assert_eq!(picker.selected_index(), Some(0), "the selection follows the process");
        press(&mut picker, KeyCode::Enter);
        assert!(picker.is_done());
        assert_eq!(picker.into_chosen().map(|found| found.pid), Some(9));
    }

    #[test]
    fn r_searches_again_but_not_twice_at_once() {
        let mut picker = Picker::new();
        assert!(picker.take_search());
        press(&mut picker, KeyCode::Char('r'));
        assert!(!picker.take_search(), "one is under way");
        picker.update(Event::Found(Vec::new()));
        press(&mut picker, KeyCode::Char('r'));
        assert!(picker.take_search());
        press(&mut picker, KeyCode::Char('q'));
        assert!(picker.is_done());
        assert_eq!(picker.into_chosen(), None);
    }
}
