//! The socket over time: notices when it has gone from its place, and makes another one.
//!
//! A directory for sockets may not last as long as the process. `$XDG_RUNTIME_DIR` is removed when its user logs out,
//! and cleaners of `/tmp` remove what nobody has touched for some days. So the endpoint's thread looks after its socket
//! now and then, and takes a seat anew where it is gone: in the first of the same directories that will do by then.
//!
//! An abstract socket lives as long as its descriptor, and is not looked after. Knows nothing of clients: those that are
//! connected stay so.

use super::TARGET;
use super::directory::{self, Bound, Place};
use super::system::Guarded;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often to look whether the socket is still there: one system call.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A listening socket, where it is, and where else it may be.
#[derive(Debug)]
pub(super) struct Seat {
    candidates: Vec<PathBuf>,
    name: String,
    bound: Sitting,
    look_at: Instant,
}

/// What is held while the socket is where it is.
#[derive(Debug)]
struct Sitting {
    listener: Guarded<UnixListener>,
    lock: Option<Guarded<File>>,
    place: Place,
}

impl From<Bound> for Sitting {
    fn from(bound: Bound) -> Self {
        Self {
            listener: Guarded::new(bound.listener),
            lock: bound.lock.map(Guarded::new),
            place: bound.place,
        }
    }
}

impl Seat {
    /// Makes the socket of the process with this name (`<pid>-<start time>`) in the first of the directories that will do,
    /// else without one.
    pub(super) fn take(candidates: Vec<PathBuf>, name: String) -> io::Result<Self> {
        let bound = directory::bind(&candidates, &name)?.into();
        Ok(Self { candidates, name, bound, look_at: Instant::now() + LOOK_EVERY })
    }

    /// Where clients connect.
    pub(super) fn listener(&self) -> &UnixListener {
        &self.bound.listener
    }

    /// Where it is.
    pub(super) fn place(&self) -> &Place {
        &self.bound.place
    }

    /// When to look next, if ever.
    pub(super) fn looks_at(&self) -> Option<Instant> {
        matches!(self.bound.place, Place::File { .. }).then_some(self.look_at)
    }

    /// Looks, if it is time to, and takes a seat anew if the old one is gone. True if it did.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        if self.looks_at().is_none_or(|at| at > now) {
            return false;
        }
        self.look_at = now + LOOK_EVERY;
        !self.bound.place.is_intact() && self.move_on()
    }

    fn move_on(&mut self) -> bool {
        tracing::info!(target: TARGET, place = ?self.bound.place, "the socket was removed; making another one");
        // It would be in our own way, where only the socket is gone.
        self.bound.lock = None;
        match directory::bind(&self.candidates, &self.name) {
            Ok(bound) => {
                self.bound = bound.into();
                true
            }
            // Without a descriptor left, for example. There will be another time.
            Err(error) => {
                tracing::warn!(target: TARGET, %error, "cannot make another socket");
                false
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;
    use std::path::Path;
    use tempfile::TempDir;

    fn seat(candidates: &[&Path]) -> (Seat, Instant) {
        let candidates = candidates.iter().map(|path| path.to_path_buf()).collect();
        let seat = Seat::take(candidates, "1-1".to_owned()).unwrap();
        let due = seat.looks_at().unwrap();
        (seat, due)
    }

    fn connects(seat: &Seat) -> bool {
        let Place::File { socket, .. } = seat.place() else { return false };
        UnixStream::connect(socket).is_ok()
    }

    #[test]
    fn a_socket_that_is_there_is_left_alone() {
        let parent = TempDir::new().unwrap();
        let (mut seat, due) = seat(&[&parent.path().join("nexus")]);
        assert!(!seat.look(due));
        assert!(connects(&seat));
        assert_eq!(seat.looks_at(), Some(due + LOOK_EVERY));
    }

    #[test]
    fn a_socket_that_is_gone_is_made_anew() {
        let parent = TempDir::new().unwrap();
        let directory = parent.path().join("nexus");
        let (mut seat, due) = seat(&[&directory]);
        for remove in [
            (|directory| fs::remove_dir_all(directory).unwrap()) as fn(&Path),
            |directory| fs::remove_file(directory.join("1-1.sock")).unwrap(),
            |directory| {
                // Another's socket has its name now.
                fs::remove_dir_all(directory).unwrap();
                fs::create_dir(directory).unwrap();
                UnixListener::bind(directory.join("1-1.sock")).unwrap();
                fs::set_permissions(directory, PermissionsExt::from_mode(0o700)).unwrap();
            },
        ] {
            remove(&directory);
            let due = seat.looks_at().unwrap().max(due);
            assert!(!seat.look(due - Duration::from_nanos(1)), "it is not time yet");
            assert!(seat.look(due));
            assert!(connects(&seat));
        }
    }

    #[test]
    fn a_directory_that_is_gone_for_good_has_a_successor() {
        let parent = TempDir::new().unwrap();
        let (session, common) = (parent.path().join("session"), parent.path().join("common"));
        fs::create_dir(&session).unwrap();
        let (mut seat, due) = seat(&[&session.join("nexus"), &common]);
        fs::remove_dir_all(&session).unwrap();
        assert!(seat.look(due));
        assert!(matches!(seat.place(), Place::File { socket, .. } if socket.starts_with(&common)));
        assert!(connects(&seat));
    }
}
