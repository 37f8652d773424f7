//! The terminal program in a pseudo-terminal, attached to a real process.

use nexus_tests::programs::{Running, Sandbox, Server, example, program};
use nexus_tests::terminal::Terminal;
use nexus_tests::wait_until;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// A client of the echo server that has made some round trips and stays connected.
struct Client(TcpStream);

impl Client {
    fn new(server: &Server) -> Self {
        Self(TcpStream::connect(server.address).expect("the server listens"))
    }

    fn talk(&mut self, round_trips: usize) {
        let mut buffer = [0; 64];
        for _ in 0..round_trips {
            self.0.write_all(&[7; 64]).unwrap();
            self.0.read_exact(&mut buffer).unwrap();
        }
    }
}

/// A client that goes on until it is dropped.
struct Traffic {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Traffic {
    fn new(mut client: Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                client.talk(1);
                thread::park_timeout(std::time::Duration::from_millis(1));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the client is served to its end");
        }
    }
}

fn attach(sandbox: &Sandbox, server: &Server, columns: u16, rows: u16) -> Terminal {
    let terminal = Terminal::start(sandbox, columns, rows, &[&server.pid()]);
    terminal.wait_for(&["echo", "live", "tcp-listener"]);
    terminal
}

#[test]
fn attach_look_around_and_quit() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("echo"));
    let mut client = Client::new(&server);
    client.talk(50);
    let mut terminal = attach(&sandbox, &server, 160, 40);
    terminal.wait_for(&["tcp-stream", "examples/echo.rs", &format!("pid {}", server.pid())]);
    terminal.press("2");
    terminal.wait_for(&["root", "polls", "readable"]);
    terminal.press("3");
    terminal.wait_for(&["root", "progress", "spurious"]);
    terminal.press("4");
    terminal.wait_for(&["live 2 of 64", "free 62"]);
    terminal.press("?");
    terminal.wait_for(&["this list of keys"]);
    terminal.press("?\t");
    terminal.wait_for(&["tcp-listener"]);
    terminal.press("q");
    assert_eq!(terminal.wait(), 0);
    terminal.assert_restored();
    client.talk(1);
}

#[test]
fn the_largest_value_comes_first() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("echo"));
    let mut clients = Vec::new();
    for round_trips in [30, 400, 5, 120] {
        let mut client = Client::new(&server);
        client.talk(round_trips);
        clients.push(client);
    }
    let mut terminal = attach(&sandbox, &server, 200, 30);
    for _ in 0..40 {
        if terminal.contents().contains(" in▼") {
            break;
        }
        let before = terminal.contents();
        terminal.press("s");
        terminal.wait_for_screen("another column is sorted by", |now| now != before);
    }
    terminal.wait_for(&[" in▼"]);
    let tokens = |terminal: &Terminal| -> Vec<String> {
        terminal
            .rows()
            .iter()
            .filter(|row| row.contains("tcp-stream"))
            .filter_map(|row| row.split_whitespace().next().map(str::to_owned))
            .collect()
    };
    wait_until("the tokens are sorted by bytes in", || {
        (tokens(&terminal) == ["2.1", "4.1", "1.1", "3.1"]).then_some(())
    });
    terminal.press("r");
    wait_until("the order is turned round", || {
        (tokens(&terminal) == ["3.1", "1.1", "4.1", "2.1"]).then_some(())
    });
}

#[test]
fn what_is_paused_stands_still_while_the_target_goes_on() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("echo"));
    let _traffic = Traffic::new(Client::new(&server));
    let mut terminal = attach(&sandbox, &server, 120, 40);
    terminal.wait_for(&["tcp-stream"]);
    terminal.press(" ");
    terminal.wait_for(&["held at", "records on"]);
    // The first line says how far the target has gone on meanwhile; everything below is held.
    let first = terminal.rows();
    wait_until("the target goes on", || (terminal.rows()[0] != first[0]).then_some(()));
    wait_until("the target goes on by a thousand records", || {
        // "… 1.23k records on"
        let line = terminal.rows()[0].clone();
        line.split(" records on").next()?.ends_with('k').then_some(())
    });
    assert_eq!(terminal.rows()[1..], first[1..]);
    terminal.press(" ");
    terminal.wait_for(&["● live"]);
    wait_until("the screen moves again", || (terminal.rows()[1..] != first[1..]).then_some(()));
}

#[test]
fn signals_end_it_and_leave_the_terminal_as_it_was() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("echo"));
    for signal in [Signal::TERM, Signal::INT] {
        let mut terminal = attach(&sandbox, &server, 80, 24);
        let pid = Pid::from_raw(terminal.pid() as i32).unwrap();
        kill_process(pid, signal).unwrap();
        terminal.wait();
        terminal.assert_restored();
    }
    // Ctrl-C as a key: the terminal is raw.
    let mut terminal = attach(&sandbox, &server, 80, 24);
    terminal.press("\x03");
    assert_eq!(terminal.wait(), 0);
    terminal.assert_restored();
}

#[test]
fn a_panic_leaves_the_terminal_as_it_was_and_its_message_on_it() {
    let sandbox = Sandbox::new();
    let panics = program("panics");
    for (place, message) in
        [("drawing", "in a frame, on purpose"), ("behind", "behind the screen, on purpose")]
    {
        let mut terminal = Terminal::start_program(&panics, &sandbox, 100, 30, &[place]);
        terminal.wait_for(&["waiting for a key"]);
        assert!(terminal.with_screen(|screen| screen.alternate_screen()), "{place}");
        terminal.press("p");
        assert_ne!(terminal.wait(), 0, "{place}");
        terminal.assert_restored();
        terminal.wait_for(&[message]);
        assert!(!terminal.contents().contains("waiting for a key"), "{place}");
    }
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("echo"));
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let mut ours = File::from(openpt(flags).unwrap());
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut inspector = Running(
        sandbox
            .inspector([&server.pid()])
            .stdin(theirs.try_clone().unwrap())
            .stdout(theirs.try_clone().unwrap())
            .stderr(theirs)
            .spawn()
            .unwrap(),
    );
    let mut beginning = [0; 64];
    assert!(ours.read(&mut beginning).unwrap() > 0, "it draws");
    drop(ours);
    wait_until("the inspector ends", || inspector.0.try_wait().unwrap());
}

#[test]
fn a_target_that_ends_leaves_its_last_state_on_the_screen() {
    let sandbox = Sandbox::new();
    let mut server = sandbox.server(&example("echo"));
    let mut client = Client::new(&server);
    client.talk(20);
    let mut terminal = attach(&sandbox, &server, 120, 30);
    terminal.wait_for(&["tcp-stream"]);
    server.process().signal(Signal::KILL);
    terminal.wait_for(&["target gone", "tcp-stream", "tcp-listener"]);
    terminal.press("2");
    terminal.wait_for(&["root"]);
    terminal.press("q");
    assert_eq!(terminal.wait(), 0);
    terminal.assert_restored();
}

#[test]
fn it_follows_the_terminals_size_down_to_40_by_10_and_below() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("echo"));
    let _traffic = Traffic::new(Client::new(&server));
    let mut terminal = attach(&sandbox, &server, 120, 40);
    for (columns, rows) in [(40, 10), (12, 3), (1, 1), (200, 50)] {
        terminal.resize(columns, rows);
        for pane in ["1", "2", "3", "4"] {
            terminal.press(pane);
        }
    }
    terminal.press("1");
    terminal.wait_for(&["tcp-listener", "claimed at"]);
    terminal.resize(40, 10);
    terminal.wait_for_screen("a small table", |screen| {
        screen.contains("token") && !screen.contains("claimed at") && screen.lines().count() <= 10
    });
    terminal.press("q");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn a_recorded_trace_opens_paused_and_its_time_moves() {
    let sandbox = Sandbox::new();
    let server = sandbox.server(&example("echo"));
    let mut client = Client::new(&server);
    client.talk(100);
    let paths = ["trace.json", "trace.nxt"].map(|name| sandbox.file(name));
    let paths = paths.each_ref().map(|path| path.to_str().unwrap());
    for path in paths {
        let recorded = sandbox.inspect(["record", &server.pid(), "--for", "100ms", "-o", path]);
        assert!(recorded.status.success());
    }
    drop(server);
    for path in paths {
        opens_paused_and_its_time_moves(&sandbox, path);
    }
}

fn opens_paused_and_its_time_moves(sandbox: &Sandbox, path: &str) {
    let mut terminal = Terminal::start(sandbox, 120, 40, &[path]);
    terminal.wait_for(&["replay at", "tcp-stream"]);
    let time = |terminal: &Terminal| {
        let line = terminal.rows()[0].clone();
        line.split("replay at").nth(1).map(|rest| rest.trim().to_owned())
    };
    let opened = time(&terminal);
    terminal.press("\x1b[H\x1b[1~<");
    terminal.press(",");
    wait_until("an earlier moment is shown", || (time(&terminal) != opened).then_some(()));
    terminal.press("q");
    assert_eq!(terminal.wait(), 0);
    terminal.assert_restored();
}
