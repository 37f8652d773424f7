//! A screen with a fault, for tests: `panics drawing` panics in a frame, `panics behind` on a thread behind the screen.
//!
//! Either happens when a key is pressed. Everything but the screen itself is the inspector's own.

use nexus_inspect::event::{self, Event, Producers};
use nexus_inspect::terminal;
use nexus_inspect::tui::{Screen, drive};
use nexus_inspect::ui::theme::Theme;
use ratatui::Frame;
use std::thread;

struct Faulty {
    in_frame: bool,
    pressed: bool,
}

impl Screen for Faulty {
    fn update(&mut self, event: Event) {
        if matches!(event, Event::Key(_)) && !self.pressed {
            self.pressed = true;
            if !self.in_frame {
                drop(thread::spawn(|| panic!("behind the screen, on purpose")));
            }
        }
    }

    fn take_changed(&mut self) -> bool {
        true
    }

    fn is_done(&self) -> bool {
        false
    }

    fn draw(&self, frame: &mut Frame<'_>, _: &Theme) {
        assert!(!(self.in_frame && self.pressed), "in a frame, on purpose");
        frame.render_widget("waiting for a key", frame.area());
    }
}

fn main() -> anyhow::Result<()> {
    let in_frame = std::env::args().nth(1).as_deref() == Some("drawing");
    let (guard, mut screen) = terminal::take()?;
    let (sender, events) = event::channel();
    let _producers = Producers::start(&sender)?;
    let mut faulty = Faulty { in_frame, pressed: false };
    let result = drive(&mut screen, &mut faulty, &events, &Theme::from_environment(), |_| Ok(()));
    drop((screen, guard));
    result
}
