//! A pseudo-terminal with the inspector in it: keys go in, and what a person would see comes out.

use crate::programs::{Sandbox, inspector};
use crate::wait_until;
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

/// See the [module](self).
pub struct Terminal {
    screen: Arc<Mutex<vt100::Parser>>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    /// The terminal's modes before the program had it.
    modes: String,
}

/// Echo, line editing, signals and all other modes of a terminal.
fn modes(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios().expect("a terminal has modes"))
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a terminal has at least one cell")
}

impl Terminal {
    /// Starts the inspector with these arguments in a terminal of this size.
    ///
    /// # Panics
    ///
    /// If the system has no pseudo-terminal to give.
    #[must_use]
    pub fn start(sandbox: &Sandbox, columns: u16, rows: u16, arguments: &[&str]) -> Self {
        Self::start_program(inspector(), sandbox, columns, rows, arguments)
    }

    /// Starts another program in the same way.
    ///
    /// # Panics
    ///
    /// As [`Terminal::start`].
    #[must_use]
    pub fn start_program(
        program: &Path,
        sandbox: &Sandbox,
        columns: u16,
        rows: u16,
        arguments: &[&str],
    ) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pty = native_pty_system().openpty(size).expect("a pseudo-terminal");
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env("NEXUS_INSPECT_DIR", sandbox.endpoints());
        command.env("TERM", "xterm-256color");
        command.env_remove("NO_COLOR");
        // A backtrace would push the message of a panic out of the screen.
        command.env("RUST_BACKTRACE", "0");
        let modes = modes(&*pty.master);
        let child = pty.slave.spawn_command(command).expect("the inspector can be started");
        drop(pty.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(rows), cells(columns), 0)));
        let mut output = pty.master.try_clone_reader().expect("the terminal can be read");
        let parser = screen.clone();
        thread::spawn(move || {
            let mut bytes = [0; 8192];
            // The end of the program ends the terminal, which some systems report as an error.
            while let Ok(read @ 1..) = output.read(&mut bytes) {
                parser.lock().expect("no test panics with the screen").process(&bytes[..read]);
            }
        });
        let keys = pty.master.take_writer().expect("the terminal takes keys");
        Self { screen, keys, child, master: pty.master, modes }
    }

    /// The screen as text, a line a row.
    #[must_use]
    pub fn contents(&self) -> String {
        self.with_screen(vt100::Screen::contents)
    }

    /// The screen's rows.
    #[must_use]
    pub fn rows(&self) -> Vec<String> {
        self.with_screen(|screen| screen.rows(0, screen.size().1.get()).collect())
    }

    /// Looks at the screen.
    ///
    /// # Panics
    ///
    /// If the emulator has panicked.
    pub fn with_screen<R>(&self, look: impl FnOnce(&vt100::Screen) -> R) -> R {
        look(self.screen.lock().expect("the emulator reads on").screen())
    }

    /// Presses keys, given as the bytes that a terminal sends for them.
    ///
    /// # Panics
    ///
    /// If the terminal is gone.
    pub fn press(&mut self, keys: &str) {
        self.keys
            .write_all(keys.as_bytes())
            .and_then(|()| self.keys.flush())
            .expect("the terminal takes keys");
    }

    /// Changes the terminal's size.
    ///
    /// # Panics
    ///
    /// If the terminal is gone.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        self.screen
            .lock()
            .expect("the emulator reads on")
            .screen_mut()
            .set_size(cells(rows), cells(columns));
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        self.master.resize(size).expect("the terminal can be resized");
    }

    /// Waits until the screen shows all of these texts.
    ///
    /// # Panics
    ///
    /// With the screen, when it does not.
    pub fn wait_for(&self, texts: &[&str]) {
        self.wait_for_screen(&format!("{texts:?}"), |contents| {
            texts.iter().all(|text| contents.contains(text))
        });
    }

    /// Waits until the screen meets a condition.
    ///
    /// # Panics
    ///
    /// With the screen, when it does not.
    pub fn wait_for_screen(&self, what: &str, condition: impl Fn(&str) -> bool) {
        let mut last = String::new();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            wait_until(what, || {
                last = self.contents();
                condition(&last).then_some(())
            });
        }));
        assert!(found.is_ok(), "waited in vain for {what}; the screen shows:\n{last}");
    }

    /// The inspector's id.
    ///
    /// # Panics
    ///
    /// If it was never started.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.process_id().expect("it was started")
    }

    /// Waits until the inspector has ended, and returns its exit code.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn wait(&mut self) -> u32 {
        let child = &mut self.child;
        wait_until("the inspector ends", || child.try_wait().expect("it is our child")).exit_code()
    }

    /// Checks that the program has left the terminal as it found it.
    ///
    /// # Panics
    ///
    /// If it has not.
    pub fn assert_restored(&self) {
        // The last bytes may still be on their way to the emulator.
        wait_until("the terminal is restored", || {
            self.with_screen(|screen| !screen.alternate_screen() && !screen.hide_cursor())
                .then_some(())
        });
        assert_eq!(modes(&*self.master), self.modes, "raw mode is off again");
        assert!(!self.with_screen(vt100::Screen::bracketed_paste));
        assert_eq!(
            self.with_screen(vt100::Screen::mouse_protocol_mode),
            vt100::MouseProtocolMode::None
        );
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
