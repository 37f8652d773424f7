//! The real programs: built once, started in an endpoint directory of the test's own, ended when dropped.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// The inspector's binary.
pub fn inspector() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build("--bin", "nexus-inspect"))
}

/// An example that users copy from.
pub fn example(name: &str) -> PathBuf {
    build("--example", name)
}

/// A program that exists for the tests.
pub fn program(name: &str) -> PathBuf {
    build("--example", name)
}

/// Builds a target and returns its executable: a plain `cargo test` builds no binaries of other packages.
///
/// Of the whole workspace, so that nothing is built twice, with different features, where all of it is under test.
fn build(kind: &str, name: &str) -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    for (variable, _) in std::env::vars_os() {
        // What cargo has told this test of its package is not true of others: build scripts that look would run again.
        let name = variable.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&variable);
        }
    }
    let built = command
        .args(["build", "--quiet", "--message-format=json", "--workspace", kind, name])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be started");
    assert!(built.status.success(), "cargo cannot build {name}");
    built
        .stdout
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .filter(|message| message["target"]["name"] == name)
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
        .unwrap_or_else(|| panic!("cargo built no executable for {name}"))
}

/// An endpoint directory that only this test's programs and inspectors use.
pub struct Sandbox {
    directory: TempDir,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// A new one.
    ///
    /// # Panics
    ///
    /// If there is no temporary directory.
    #[must_use]
    pub fn new() -> Self {
        Self { directory: TempDir::with_prefix("nexus-").expect("a temporary directory") }
    }

    /// Where endpoints put their sockets.
    #[must_use]
    pub fn endpoints(&self) -> PathBuf {
        self.directory.path().join("endpoints")
    }

    /// A path for a file of the test.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A command in this sandbox.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env("NEXUS_INSPECT_DIR", self.endpoints())
            .env_remove("NEXUS_INSPECT")
            .env_remove("NEXUS_RECORDER")
            .stdin(Stdio::null());
        command
    }

    /// The inspector with these arguments.
    #[must_use]
    pub fn inspector<S: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = self.command(inspector());
        command.args(arguments);
        command
    }

    /// Runs the inspector to its end.
    ///
    /// # Panics
    ///
    /// If it can't be started.
    #[must_use]
    pub fn inspect<S: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Output {
        self.inspector(arguments).output().expect("the inspector can be started")
    }

    /// Starts a server that takes its address as the first argument and prints the one it listens on.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[must_use]
    pub fn server(&self, program: &Path) -> Server {
        self.server_with(program, [""; 0])
    }

    /// The same with further arguments.
    ///
    /// # Panics
    ///
    /// If it does not.
    #[must_use]
    pub fn server_with<S: AsRef<std::ffi::OsStr>>(
        &self,
        program: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> Server {
        let mut child = Running(
            self.command(program)
                .arg("127.0.0.1:0")
                .args(arguments)
                .stdout(Stdio::piped())
                .spawn()
                .expect("the server can be started"),
        );
        let mut stdout = BufReader::new(child.0.stdout.take().expect("it was asked for"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the server says where it listens");
        let address = line.trim().rsplit(' ').next().and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("not an address: {line:?}"));
        Server { child, address, stdout }
    }
}

/// A process that ends with the test.
pub struct Running(pub Child);

impl Running {
    /// Its id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    ///
    /// If it has ended and was waited for.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, signal).expect("the process is there");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that is running.
pub struct Server {
    child: Running,
    /// Where it listens.
    pub address: SocketAddr,
    /// Kept open, so that it can go on printing.
    stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Its process.
    pub fn process(&mut self) -> &mut Running {
        &mut self.child
    }

    /// Its id, as an argument.
    #[must_use]
    pub fn pid(&self) -> String {
        self.child.pid().to_string()
    }

    /// Waits for its end: how it ended, and what else it has printed.
    ///
    /// # Panics
    ///
    /// If it printed something else than text.
    #[must_use]
    pub fn wait(mut self) -> (ExitStatus, String) {
        let mut printed = String::new();
        self.stdout.read_to_string(&mut printed).expect("it prints text");
        let status = self.child.0.wait().expect("it has ended, or will");
        (status, printed)
    }
}

/// What a program has said on stderr.
#[must_use]
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
