//! A soak: what an observed process takes of memory is what was configured, however long it runs and whatever happens to it.
//!
//! This program starts itself once more as the process that is observed (see [`observed`]), attaches [`clients`] of all sorts
//! to it, and samples how much of its memory is resident. After a time to get warm, it must not take more than it did before,
//! nor more than what its parts are configured to, nor hold more descriptors. `soak SECONDS` says for how long, 20 if it is
//! not said; an hour is for doing by hand (`.ci/soak 3600`).
//!
//! Without the harness, since it takes an argument, and is not among what `cargo test` runs by itself.

mod clients;
mod observed;
#[path = "../stress/random.rs"]
#[allow(dead_code, reason = "the stress program draws in more ways")]
mod random;

use clients::Clients;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Tells the observed process what it is.
const ROLE: &str = "NEXUS_SOAK_OBSERVED";

/// Nothing but the soak itself takes nearly as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often its memory is looked at.
const SAMPLE: Duration = Duration::from_millis(200);

/// By how much it may come to take more than while it got warm: luck, and what the allocator makes of it.
const LUCK: u64 = 4 << 20;

const MIB: f64 = (1 << 20) as f64;

fn main() -> ExitCode {
    if std::env::var_os(ROLE).is_some() {
        observed::run();
        return ExitCode::SUCCESS;
    }
    let seconds = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(20);
    let directory = tempfile::Builder::new().prefix("nexus-soak").tempdir().expect("a directory");
    // The endpoint refuses one that others may enter.
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).expect("it is ours");
    match soak(Duration::from_secs(seconds), directory.path()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => {
            eprintln!("soak: {complaint}");
            ExitCode::FAILURE
        }
    }
}

fn soak(time: Duration, directory: &Path) -> Result<(), String> {
    let mut process = Process::start(directory);
    process.wait_for("started");
    let bound = process.memory().resident + observed::configured();
    process.tell("go on");
    process.wait_for("ready");
    let clients = Clients::attach(&process.socket());
    let began = Instant::now();
    let (mut warm, mut hot) = (Memory::default(), Memory::default());
    let mut reports = 0;
    while began.elapsed() < time {
        std::thread::sleep(SAMPLE);
        if let Some(status) = process.child.try_wait().expect("a child of ours") {
            return Err(format!("the process has ended: {status}"));
        }
        let phase = if began.elapsed() < time / 3 { &mut warm } else { &mut hot };
        phase.include(process.memory());
        if began.elapsed() >= time * (reports + 1) / 20 {
            reports += 1;
            println!("{:>4} s: {}", began.elapsed().as_secs(), process.memory());
        }
    }
    let attached = clients.leave()?;
    process.end()?;
    println!("warm: at most {warm}\nafter: at most {hot}");
    println!("configured: at most {:.1} MiB", bound as f64 / MIB);
    println!("{attached}");
    if hot.resident > warm.resident + LUCK {
        return Err(format!("it grows, by {:.1} MiB", (hot.resident - warm.resident) as f64 / MIB));
    }
    if hot.resident.max(warm.resident) > bound {
        return Err("it takes more than was configured".to_owned());
    }
    // Connections come and go, so that their number is a matter of luck as well.
    if hot.descriptors > 2 * warm.descriptors + 100 {
        return Err("descriptors are left behind".to_owned());
    }
    Ok(())
}

/// What a process takes, or the most that it took.
#[derive(Clone, Copy, Default)]
struct Memory {
    resident: u64,
    descriptors: usize,
}

impl Memory {
    fn include(&mut self, other: Self) {
        self.resident = self.resident.max(other.resident);
        self.descriptors = self.descriptors.max(other.descriptors);
    }
}

impl std::fmt::Display for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.1} MiB resident, {} descriptors",
            self.resident as f64 / MIB,
            self.descriptors
        )
    }
}

/// The observed process.
struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
    directory: PathBuf,
}

impl Process {
    fn start(directory: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("our own path"))
            .env(ROLE, "yes")
            .env("NEXUS_INSPECT_DIR", directory)
            .env_remove("NEXUS_INSPECT")
            .env_remove("NEXUS_INSPECT_HOLD")
            .env_remove("NEXUS_RECORDER")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program again");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, output, directory: directory.to_owned() }
    }

    fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("its output");
        assert_eq!(line.trim_end(), word, "what it says");
    }

    fn tell(&mut self, word: &str) {
        use std::io::Write;
        writeln!(self.child.stdin.as_mut().expect("a pipe"), "{word}").expect("it listens");
    }

    fn socket(&self) -> PathBuf {
        let sockets = || {
            let entries = fs::read_dir(&self.directory).ok()?;
            let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
            paths.find(|path| path.extension().is_some_and(|extension| extension == "sock"))
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(path) = sockets() {
                return path;
            }
            assert!(Instant::now() < deadline, "there is no endpoint");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn memory(&self) -> Memory {
        let under = |file: &str| format!("/proc/{}/{file}", self.child.id());
        let status = fs::read_to_string(under("status")).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        let descriptors = fs::read_dir(under("fd")).map_or(0, Iterator::count);
        Memory { resident: kib << 10, descriptors }
    }

    /// Tells it to end, and waits until it has.
    fn end(mut self) -> Result<(), String> {
        drop(self.child.stdin.take());
        self.output.read_to_string(&mut String::new()).expect("the rest of its output");
        let status = self.child.wait().expect("a child of ours");
        if status.success() { Ok(()) } else { Err(format!("the process failed: {status}")) }
    }
}
