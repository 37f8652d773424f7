//! Where the endpoint's socket lies, and how it gets there safely.
//!
//! The directory is the first of these that will do: `$NEXUS_INSPECT_DIR`, `$XDG_RUNTIME_DIR/nexus`,
//! `/tmp/nexus-<uid>`. It is made with mode 0700 if it does not exist, and refused if it is a symbolic link, not ours, or
//! open to others. If none will do, the socket is an abstract one, named `\0nexus/<uid>/<pid>-<start time>`, which the
//! check of who connects protects all the same.
//!
//! The socket is called `<pid>-<start time>.sock`, has mode 0600, and is bound under another name and then renamed, so
//! that nobody sees it before it listens. Beside it lies `<pid>-<start time>.lock`, on which the process holds a lock
//! while it lives: also a process in another PID namespace can so be told from a leftover. A leftover, whose lock is free
//! and whose socket refuses connections, is swept by the next process that starts an endpoint there.

use rustix::fs::{FlockOperation, flock};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};

/// Names the directory for sockets.
const DIRECTORY: &str = "NEXUS_INSPECT_DIR";
/// Where a session's runtime files live.
const XDG_DIRECTORY: &str = "XDG_RUNTIME_DIR";

/// Why a directory will not do.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// It could not be made or looked at.
    #[error("cannot {what} {path}: {error}", path = .path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which path.
        path: PathBuf,
        /// Why it failed.
        error: io::Error,
    },
    /// It is a symbolic link or a file.
    #[error("{} is not a directory (a symbolic link is not followed): remove it, or name another directory by NEXUS_INSPECT_DIR", .0.display())]
    NotADirectory(PathBuf),
    /// It belongs to somebody else.
    #[error("{} belongs to user {owner}, not to this process's user {own}: name another directory by NEXUS_INSPECT_DIR", .path.display())]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        own: u32,
    },
    /// Others may look into it or change it.
    #[error("{} is open to other users (mode {mode:o}): make it private by `chmod 700`", .path.display())]
    Open {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Something that is not a socket has the socket's name.
    #[error("{} is in the way, and not a socket: move it away", .0.display())]
    InTheWay(PathBuf),
    /// Another process has the name.
    #[error("{} is locked by a process with the same id and start time, as in another PID namespace", .0.display())]
    Taken(PathBuf),
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Refused + 'a {
    move |error| Refused::Io { what, path: path.to_owned(), error }
}

/// The directories to try, in order.
pub(super) fn candidates() -> Vec<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // Relative to where the program is now, wherever it goes later.
    let named = set(DIRECTORY).map(|path| std::path::absolute(&path).unwrap_or(path));
    let xdg = set(XDG_DIRECTORY).filter(|path| path.is_absolute()).map(|path| path.join("nexus"));
    let tmp = PathBuf::from(format!("/tmp/nexus-{}", own_uid()));
    [named, xdg, Some(tmp)].into_iter().flatten().collect()
}

fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A listening socket, and what is to be removed when it is done with.
#[derive(Debug)]
pub(super) struct Bound {
    /// The socket.
    pub(super) listener: UnixListener,
    /// The file of the lock, locked. None for an abstract socket.
    pub(super) lock: Option<File>,
    /// Where they are, for messages and for removing them.
    pub(super) place: Place,
}

/// Where a socket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A file, with its lock beside it.
    File {
        /// The socket.
        socket: PathBuf,
        /// The lock.
        lock: PathBuf,
        /// Device and inode of the socket, which tell it from another one of its name.
        inode: (u64, u64),
    },
    /// An abstract socket of this name, without the leading NUL byte.
    Abstract(String),
}

impl Place {
    /// Removes the files. The lock goes last: whoever finds the socket finds its lock.
    pub(super) fn remove(&self) {
        if let Self::File { socket, lock, .. } = self {
            let _ = fs::remove_file(socket);
            let _ = fs::remove_file(lock);
        }
    }

    /// Whether clients that look for the socket still find it, rather than nothing, or another one.
    pub(super) fn is_intact(&self) -> bool {
        match self {
            Self::File { socket, inode, .. } => inode_of(socket).is_ok_and(|there| there == *inode),
            Self::Abstract(_) => true,
        }
    }
}

fn inode_of(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|at| (at.dev(), at.ino()))
}

/// Makes the socket of the process with this name (`<pid>-<start time>`) in the first of the directories that will do.
/// Those that will not are reported.
pub(super) fn bind(candidates: &[PathBuf], name: &str) -> io::Result<Bound> {
    for directory in candidates {
        match bind_in(directory, name) {
            Ok(bound) => {
                sweep(directory, name);
                return Ok(bound);
            }
            Err(error) => {
                tracing::warn!(target: super::TARGET, %error, "no endpoint in this directory");
            }
        }
    }
    bind_abstract(name)
}

fn bind_abstract(name: &str) -> io::Result<Bound> {
    let name = format!("nexus/{}/{name}", own_uid());
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
    listener.set_nonblocking(true)?;
    Ok(Bound { listener, lock: None, place: Place::Abstract(name) })
}

fn bind_in(directory: &Path, name: &str) -> Result<Bound, Refused> {
    prepare(directory)?;
    let lock_path = directory.join(format!("{name}.lock"));
    let lock = take_lock(&lock_path)?;
    let (new, socket) =
        (directory.join(format!("{name}.sock.new")), directory.join(format!("{name}.sock")));
    let bound = || {
        if socket.symlink_metadata().is_ok_and(|there| !there.file_type().is_socket()) {
            return Err(Refused::InTheWay(socket.clone()));
        }
        // With the lock held, a socket of this name can only be a leftover of a process that had our id.
        let _ = fs::remove_file(&new);
        let listener = bind_path(&new).map_err(failed("bind a socket to", &new))?;
        fs::set_permissions(&new, Permissions::from_mode(0o600))
            .map_err(failed("set the mode of", &new))?;
        listener.set_nonblocking(true).map_err(failed("prepare", &new))?;
        let inode = inode_of(&new).map_err(failed("look at", &new))?;
        fs::rename(&new, &socket).map_err(failed("rename a socket to", &socket))?;
        Ok((listener, inode))
    };
    match bound() {
        Ok((listener, inode)) => {
            let place = Place::File { socket, lock: lock_path, inode };
            Ok(Bound { listener, lock: Some(lock), place })
        }
        Err(error) => {
            let _ = fs::remove_file(&new);
            let _ = fs::remove_file(&lock_path);
            Err(error)
        }
    }
}

/// Binds a socket to a path, also to one that is too long for an address (108 bytes): by way of a descriptor of its
/// directory.
fn bind_path(path: &Path) -> io::Result<UnixListener> {
    match SocketAddr::from_pathname(path) {
        Ok(address) => UnixListener::bind_addr(&address),
        Err(_) => {
            let directory = File::open(path.parent().unwrap_or(Path::new(".")))?;
            let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string());
            UnixListener::bind(short.join(path.file_name().unwrap_or_default()))
        }
    }
}

/// Makes the directory if need be, and checks that it is ours alone.
fn prepare(directory: &Path) -> Result<(), Refused> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(failed("make", directory)(error));
        }
        _ => {}
    }
    let status = fs::symlink_metadata(directory).map_err(failed("look at", directory))?;
    let (path, own) = (directory.to_owned(), own_uid());
    if !status.is_dir() {
        Err(Refused::NotADirectory(path))
    } else if status.uid() != own {
        Err(Refused::NotOurs { path, owner: status.uid(), own })
    } else if status.mode() & 0o077 != 0 {
        Err(Refused::Open { path, mode: status.mode() & 0o7777 })
    } else {
        Ok(())
    }
}

/// Opens and locks a lock file. Somebody who sweeps may remove it between the two; then it is made again.
fn take_lock(path: &Path) -> Result<File, Refused> {
    for _ in 0..100 {
        let lock = open_lock(path).map_err(failed("open", path))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Refused::Taken(path.to_owned())),
            Err(error) => return Err(failed("lock", path)(error.into())),
        }
        let ours = lock.metadata().map_err(failed("look at", path))?;
        if fs::symlink_metadata(path).is_ok_and(|there| there.ino() == ours.ino()) {
            return Ok(lock);
        }
    }
    Err(Refused::Taken(path.to_owned()))
}

fn open_lock(path: &Path) -> io::Result<File> {
    let no_follow = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(no_follow).open(path)
}

/// Removes what processes left behind that are gone without having been able to.
fn sweep(directory: &Path, own: &str) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let file = entry.file_name();
        if let Some(name) = file.to_str().and_then(endpoint_name).filter(|&name| name != own) {
            sweep_one(directory, name);
        }
    }
}

/// The `<pid>-<start time>` of a file of an endpoint, or `None` if it is another's.
fn endpoint_name(file: &str) -> Option<&str> {
    let name = [".sock.new", ".sock", ".lock"].iter().find_map(|end| file.strip_suffix(end))?;
    let (pid, start) = name.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(pid) && digits(start)).then_some(name)
}

fn sweep_one(directory: &Path, name: &str) {
    let path = |end: &str| directory.join(format!("{name}{end}"));
    let (socket, lock_path) = (path(".sock"), path(".lock"));
    // While this is held, no other process can begin to use the name, or sweep it.
    let Ok(lock) = take_lock(&lock_path) else { return };
    let gone = match socket.symlink_metadata() {
        Ok(there) => there.file_type().is_socket() && refuses(&socket),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if gone {
        tracing::debug!(target: super::TARGET, socket = %socket.display(), "swept a leftover");
        for file in [&path(".sock.new"), &socket, &lock_path] {
            let _ = fs::remove_file(file);
        }
    }
    drop(lock);
}

/// Whether nobody listens at a socket. Does not wait for somebody who is stopped, and has too many callers.
fn refuses(socket: &Path) -> bool {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let connected = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .and_then(|probe| rustix::net::connect(&probe, &SocketAddrUnix::new(socket)?));
    connected == Err(rustix::io::Errno::CONNREFUSED)
}

/// Whether a switch in the environment is set to off.
pub(super) fn is_switched_off() -> bool {
    crate::record::is_off(std::env::var_os("NEXUS_INSPECT").as_deref().map(OsStr::new))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixStream;
    use tempfile::TempDir;

    fn private() -> TempDir {
        let directory = TempDir::new().unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
        directory
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_socket_is_made_privately_and_removed_again() {
        let parent = private();
        let directory = parent.path().join("nexus");
        let bound = bind(std::slice::from_ref(&directory), "12-34").unwrap();
        let socket = directory.join("12-34.sock");
        assert_eq!((mode(&directory), mode(&socket)), (0o700, 0o600));
        UnixStream::connect(&socket).unwrap();
        bound.place.remove();
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0);
    }

    #[test]
    fn directories_that_are_not_ours_alone_are_refused() {
        let parent = private();
        let path = |name: &str| parent.path().join(name);
        fs::create_dir(path("open")).unwrap();
        fs::set_permissions(path("open"), Permissions::from_mode(0o777)).unwrap();
        fs::create_dir(path("good")).unwrap();
        fs::set_permissions(path("good"), Permissions::from_mode(0o700)).unwrap();
        symlink(path("good"), path("link")).unwrap();
        fs::write(path("file"), "").unwrap();
        assert!(matches!(bind_in(&path("open"), "1-1"), Err(Refused::Open { mode: 0o777, .. })));
        assert!(matches!(bind_in(&path("link"), "1-1"), Err(Refused::NotADirectory(_))));
        assert!(matches!(bind_in(&path("file"), "1-1"), Err(Refused::NotADirectory(_))));
        assert!(matches!(bind_in(&path("no/where"), "1-1"), Err(Refused::Io { .. })));
        let refused = bind_in(&path("open"), "1-1").unwrap_err().to_string();
        assert!(refused.contains("chmod 700") && refused.contains("777"), "{refused}");
        assert_eq!(fs::read_dir(path("open")).unwrap().count(), 0, "nothing was left there");
        let bound = bind(&[path("link"), path("good")], "1-1").unwrap();
        assert!(
            matches!(bound.place, Place::File { socket, .. } if socket.starts_with(path("good")))
        );
    }

    #[test]
    fn a_directory_of_another_user_is_refused() {
        // Only root can make one, and only another user than its owner can be refused.
        if own_uid() != 0 {
            return assert!(matches!(prepare(Path::new("/")), Err(Refused::NotOurs { .. })));
        }
        let parent = private();
        std::os::unix::fs::chown(parent.path(), Some(12_345), None).unwrap();
        let refused = prepare(parent.path());
        assert!(matches!(refused, Err(Refused::NotOurs { owner: 12_345, own: 0, .. })));
    }

    #[test]
    fn without_a_directory_the_socket_is_abstract() {
        let name = format!("{}-1", std::process::id());
        let bound = bind(&[], &name).unwrap();
        let expected = format!("nexus/{}/{name}", own_uid());
        assert_eq!(bound.place, Place::Abstract(expected.clone()));
        let address = SocketAddr::from_abstract_name(&expected).unwrap();
        UnixStream::connect_addr(&address).unwrap();
    }

    #[test]
    fn leftovers_are_swept_and_live_sockets_are_not() {
        let directory = private();
        let path = |name: &str| directory.path().join(name);
        let crashed = bind_in(directory.path(), "1-1").unwrap();
        drop(crashed);
        let live = bind_in(directory.path(), "2-2").unwrap();
        // One that has its lock but no listener, like a process that is just starting.
        let starting = take_lock(&path("3-3.lock")).unwrap();
        // One whose lock was removed by hand, but that still listens.
        let unlocked = bind_in(directory.path(), "4-4").unwrap();
        drop(unlocked.lock);
        fs::remove_file(path("4-4.lock")).unwrap();
        fs::write(path("5-5.sock.new"), "").unwrap();
        fs::write(path("notes-1.sock"), "mine").unwrap();
        fs::write(path("6-6.sock"), "a file in the way").unwrap();
        let own = bind(&[directory.path().to_owned()], "9-9").unwrap();
        let mut left: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".sock") || name.ends_with(".new"))
            .collect();
        left.sort();
        assert_eq!(left, ["2-2.sock", "4-4.sock", "6-6.sock", "9-9.sock", "notes-1.sock"]);
        assert!(path("3-3.lock").exists());
        drop((live, starting, unlocked.listener, own));
    }

    #[test]
    fn a_long_path_is_no_obstacle() {
        let parent = private();
        let directory = parent.path().join("d".repeat(120));
        let bound = bind(std::slice::from_ref(&directory), "1-1").unwrap();
        assert!(bound.place.is_intact());
        assert!(
            matches!(bound.place, Place::File { socket, .. } if socket.starts_with(&directory))
        );
    }

    #[test]
    fn a_foreign_file_in_the_way_is_left_alone() {
        let directory = private();
        fs::write(directory.path().join("1-1.sock"), "mine").unwrap();
        assert!(matches!(bind_in(directory.path(), "1-1"), Err(Refused::InTheWay(_))));
        assert_eq!(fs::read(directory.path().join("1-1.sock")).unwrap(), b"mine");
    }

    #[test]
    fn a_name_that_is_in_use_is_not_taken_over() {
        let directory = private();
        let first = bind_in(directory.path(), "1-1").unwrap();
        assert!(matches!(bind_in(directory.path(), "1-1"), Err(Refused::Taken(_))));
        assert!(directory.path().join("1-1.sock").exists());
        drop(first);
        bind_in(directory.path(), "1-1").unwrap();
    }
}
