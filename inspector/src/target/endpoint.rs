//! One socket: how it is named, how to connect to it, and how to make sure who answers.
//!
//! A socket's place and name prove nothing: directories like `/tmp` are everybody's, and numbers of processes are
//! used again. What counts is what the kernel says of the peer (`SO_PEERCRED`), and then its hello.

use super::process::Process;
use crate::failure;
use nexus_protocol::session::{Client, SessionError};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// How long a process may take for its hello. Its endpoint has a thread of its own, so that even a stuck program
/// answers at once; what takes longer is stopped, or something else.
const HELLO_TIMEOUT: Duration = Duration::from_secs(1);

/// Where an endpoint listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Socket {
    /// A socket in the file system.
    Path(PathBuf),
    /// A name in the abstract namespace, without its leading zero byte.
    Abstract(Vec<u8>),
    /// The same in the network namespace of a process, which is not ours.
    Elsewhere {
        /// The name.
        name: Vec<u8>,
        /// A process there.
        pid: u32,
    },
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name)),
            Self::Elsewhere { name, pid } => {
                write!(f, "@{} in the network of process {pid}", String::from_utf8_lossy(name))
            }
        }
    }
}

/// A socket that looks like an endpoint's, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Where.
    pub(crate) socket: Socket,
    /// The process that made it, by the number it has for itself.
    pub(crate) pid: u32,
}

impl Candidate {
    /// The candidates in a directory; none if it cannot be read.
    pub(crate) fn in_directory(directory: &Path) -> Vec<Self> {
        let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
        let candidate = |entry: fs::DirEntry| {
            let name = entry.file_name();
            let pid = pid_in_name(name.to_str()?.strip_suffix(".sock")?)?;
            let is_socket = entry.file_type().ok()?.is_socket();
            is_socket.then(|| Self { socket: Socket::Path(entry.path()), pid })
        };
        entries.filter_map(|entry| candidate(entry.ok()?)).collect()
    }

    /// The candidates in the abstract namespace.
    pub(crate) fn abstract_ones() -> Vec<Self> {
        let Ok(table) = fs::read("/proc/net/unix") else { return Vec::new() };
        Self::in_table(&table, Socket::Abstract)
    }

    /// The candidates in the abstract namespace of a process whose network is not ours.
    pub(crate) fn abstract_ones_near(process: &Process) -> Vec<Self> {
        let pid = process.pid;
        Self::in_table(&process.bound_sockets(), |name| Socket::Elsewhere { name, pid })
    }

    fn in_table(table: &[u8], socket: impl Fn(Vec<u8>) -> Socket) -> Vec<Self> {
        let candidate = |line: &[u8]| {
            let at = line.windows(8).position(|window| window == b" @nexus/")?;
            let name = line[at + 2..].trim_ascii_end();
            let (_, last) = std::str::from_utf8(name).ok()?.rsplit_once('/')?;
            Some(Self { socket: socket(name.to_vec()), pid: pid_in_name(last)? })
        };
        let mut candidates: Vec<Self> = Vec::new();
        for candidate in table.split(|&byte| byte == b'\n').filter_map(candidate) {
            // An accepted connection has the name of its listener, and a line of its own.
            if !candidates.contains(&candidate) {
                candidates.push(candidate);
            }
        }
        candidates
    }

    /// What tells two ways to the same socket from two sockets.
    pub(crate) fn identity(&self) -> (u64, u64, Vec<u8>) {
        match &self.socket {
            Socket::Path(path) => match fs::metadata(path) {
                Ok(at) => (at.dev(), at.ino(), Vec::new()),
                Err(_) => (0, 0, path.as_os_str().as_bytes().to_vec()),
            },
            Socket::Abstract(name) => (0, 0, name.clone()),
            // Each network has names of its own.
            Socket::Elsewhere { name, pid } => (0, 1 + u64::from(*pid), name.clone()),
        }
    }
}

/// Reads `<pid>-<start time>`.
pub(super) fn pid_in_name(name: &str) -> Option<u32> {
    let (pid, start_time) = name.split_once('-')?;
    start_time.parse::<u64>().ok()?;
    pid.parse().ok()
}

/// A connection over which the hello has been exchanged.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The session.
    pub(crate) client: Client<UnixStream>,
    /// The process at the other end, by the number it has here, or by its own account if it has none here.
    pub(crate) pid: u32,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// Nobody listens any more.
    #[error("nobody listens at {0} any more: its process has ended")]
    Leftover(Socket),
    /// Nothing is there.
    #[error("there is no socket {0}")]
    Missing(Socket),
    /// The kernel does not let us.
    #[error("we may not connect to {0}: {1}; run as its user, or as root")]
    Forbidden(Socket, io::Error),
    /// It belongs to another user.
    #[error(
        "the endpoint at {socket} belongs to user {uid}, not to us; run as that user, or as root"
    )]
    OtherUser {
        /// Where.
        socket: Socket,
        /// Whose.
        uid: u32,
    },
    /// Another process answers than the one asked for, or an earlier one with its number.
    #[error("process {actual} answers at {socket}, not process {wanted}")]
    OtherProcess {
        /// Where.
        socket: Socket,
        /// Which one was asked for.
        wanted: u32,
        /// Which one is there.
        actual: u32,
    },
    /// Whoever answers is not one of ours.
    #[error(
        "{socket} does not answer as the endpoint of a nexus runtime: {}",
        failure::chain(error)
    )]
    Session {
        /// Where.
        socket: Socket,
        /// What went wrong.
        error: SessionError,
    },
    /// Connecting failed for another reason.
    #[error("cannot connect to {0}: {1}")]
    Io(Socket, io::Error),
}

/// Who is expected at a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// Its number here.
    pub(crate) pid: u32,
    /// The number it has for itself.
    pub(crate) inner_pid: u32,
    /// When it started, in clock ticks since boot, if it counts as we do: numbers are used again.
    pub(crate) start_time: Option<u64>,
}

/// Connects, makes sure that the right one answers, and exchanges hellos: all within a second or two, whatever the
/// other side does.
pub(crate) fn connect(socket: &Socket, expected: Option<Expected>) -> Result<Connection, Refusal> {
    let stream = open(socket).map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => Refusal::Leftover(socket.clone()),
        io::ErrorKind::NotFound => Refusal::Missing(socket.clone()),
        io::ErrorKind::PermissionDenied => Refusal::Forbidden(socket.clone(), error),
        _ => Refusal::Io(socket.clone(), error),
    })?;
    let failed = |error: io::Error| Refusal::Io(socket.clone(), error);
    let peer = getsockopt(&stream, PeerCredentials).map_err(|errno| failed(errno.into()))?;
    let own = rustix::process::geteuid().as_raw();
    if peer.uid() != own && own != 0 {
        return Err(Refusal::OtherUser { socket: socket.clone(), uid: peer.uid() });
    }
    // A peer from a PID namespace that we cannot see into has the number 0; then its hello has to do.
    let peer_pid = u32::try_from(peer.pid()).ok().filter(|&pid| pid != 0);
    let check = |actual: Option<u32>, wanted: Option<u32>| match (actual, wanted) {
        (Some(actual), Some(wanted)) if actual != wanted => {
            Err(Refusal::OtherProcess { socket: socket.clone(), wanted, actual })
        }
        _ => Ok(()),
    };
    check(peer_pid, expected.map(|expected| expected.pid))?;
    stream.set_read_timeout(Some(HELLO_TIMEOUT)).map_err(failed)?;
    let client =
        Client::new(stream).map_err(|error| Refusal::Session { socket: socket.clone(), error })?;
    let (process, _) = client.hello();
    let said = process.pid;
    if let Some(Expected { pid, inner_pid, start_time }) = expected {
        if peer_pid.is_none() {
            check(Some(said), Some(inner_pid))?;
        }
        // Whoever inherited a socket answers in the name of a process that is gone.
        if start_time.is_some_and(|start_time| start_time != process.start_time) {
            return Err(Refusal::OtherProcess {
                socket: socket.clone(),
                wanted: pid,
                actual: said,
            });
        }
    }
    Ok(Connection { client, pid: peer_pid.unwrap_or(said) })
}

/// Opens a stream.
fn open(socket: &Socket) -> io::Result<UnixStream> {
    match socket {
        Socket::Abstract(name) => open_at(&SocketAddrUnix::new_abstract_name(name)?),
        Socket::Elsewhere { name, pid } => open_elsewhere(name, *pid),
        Socket::Path(path) => match SocketAddrUnix::new(path.as_os_str().as_bytes()) {
            Ok(address) => open_at(&address),
            Err(_) => open_long(path),
        },
    }
}

/// Opens a stream to an address. A listener that is stopped and has its backlog full would make this wait for ever, hence
/// the timeout for sending, which holds for connecting too.
fn open_at(address: &SocketAddrUnix) -> io::Result<UnixStream> {
    let stream = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    sockopt::set_socket_timeout(&stream, sockopt::Timeout::Send, Some(HELLO_TIMEOUT))?;
    rustix::net::connect(&stream, address)?;
    Ok(stream.into())
}

/// Opens a stream from within the network of a process, on a thread of its own, which is then done with. It takes root's rights.
fn open_elsewhere(name: &[u8], pid: u32) -> io::Result<UnixStream> {
    let network = File::open(format!("/proc/{pid}/ns/net"))?;
    let connect = || {
        move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
        open(&Socket::Abstract(name.to_vec()))
    };
    thread::scope(|scope| scope.spawn(connect).join())
        .unwrap_or_else(|_| Err(io::Error::other("the thread that connects has panicked")))
}

/// Opens a stream to a path too long for an address (108 bytes), by way of a descriptor of its directory.
fn open_long(path: &Path) -> io::Result<UnixStream> {
    let directory = File::open(path.parent().unwrap_or(Path::new(".")))?;
    let name = path.file_name().unwrap_or(OsStr::new(""));
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    open_at(&SocketAddrUnix::new(short.as_os_str().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_protocol::Stamp;
    use nexus_protocol::frame::{ClientFrame, Process, ServerFrame, VERSION};
    use nexus_protocol::session::Server;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_names_of_endpoints_are_candidates() {
        assert_eq!(pid_in_name("12-3456"), Some(12));
        for name in ["", "12", "-", "12-", "-5", "x-5", "12-5x", "12-5-6"] {
            assert_eq!(pid_in_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_directory_is_searched_for_sockets() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("12-34.sock");
        let _listener = UnixListener::bind(&path).unwrap();
        fs::write(directory.path().join("13-34.sock"), "no socket").unwrap();
        let _other = UnixListener::bind(directory.path().join("else.sock")).unwrap();
        let found = Candidate::in_directory(directory.path());
        assert_eq!(found, [Candidate { socket: Socket::Path(path), pid: 12 }]);
        assert_eq!(Candidate::in_directory(Path::new("/nowhere")), []);
    }

    #[test]
    fn the_kernels_table_is_searched_for_abstract_names() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
            0000000000000000: 00000002 00000000 00010000 0001 01 1 @nexus/0/12-34\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 2 @nexus/0/12-34\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 3 @nexus/0/else\n\
            0000000000000000: 00000003 00000000 00000000 0001 03 3 /tmp/nexus-0/1-2.sock\n";
        let socket = Socket::Abstract(b"nexus/0/12-34".to_vec());
        assert_eq!(Candidate::in_table(table, Socket::Abstract), [Candidate { socket, pid: 12 }]);
    }

    #[test]
    fn a_long_path_can_be_connected_to() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("d".repeat(120));
        fs::create_dir(&deep).unwrap();
        let short = directory.path().join("s.sock");
        let _listener = UnixListener::bind(&short).unwrap();
        fs::rename(&short, deep.join("1-2.sock")).unwrap();
        open(&Socket::Path(deep.join("1-2.sock"))).unwrap();
    }

    #[test]
    fn whoever_has_the_number_but_started_earlier_is_another_process() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1-2.sock");
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                greet(stream.unwrap(), 1000);
            }
        });
        let socket = Socket::Path(path);
        let pid = std::process::id();
        let started = |start_time| Some(Expected { pid, inner_pid: pid, start_time });
        assert!(matches!(connect(&socket, started(Some(1001))), Err(Refusal::OtherProcess { .. })));
        assert_eq!(connect(&socket, started(Some(1000))).unwrap().pid, pid);
        // It has a clock of its own.
        assert_eq!(connect(&socket, started(None)).unwrap().pid, pid);
    }

    /// Says hello as this process, with this start time.
    fn greet(stream: UnixStream, start_time: u64) {
        let process = Process {
            pid: std::process::id(),
            start_time,
            program: "made-up".to_owned(),
            command_line: String::new(),
            started: Stamp(1),
            wall_offset_ns: 0,
            clock: "monotonic".to_owned(),
        };
        let mut server = Server::new(stream);
        assert!(matches!(server.receive(), Ok(Some(ClientFrame::Hello { .. }))));
        server.queue(&ServerFrame::Hello { version: VERSION, process, runtimes: Vec::new() });
        assert!(server.flush().unwrap());
    }

    #[test]
    fn refusals_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("1-2.sock");
        let socket = Socket::Path(path.clone());
        assert!(matches!(connect(&socket, None), Err(Refusal::Missing(_))));
        let listener = UnixListener::bind(&path).unwrap();
        let expected = Some(Expected { pid: 1, inner_pid: 1, start_time: None });
        assert!(matches!(
            connect(&socket, expected),
            Err(Refusal::OtherProcess { wanted: 1, actual, .. }) if actual == std::process::id()
        ));
        drop(listener);
        assert!(matches!(connect(&socket, None), Err(Refusal::Leftover(_))));
    }
}
