//! Who is at the other end of a Unix connection.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// The user, the group and the process at the other end of a connection, as they were when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UCred {
    pid: Option<i32>,
    uid: u32,
    gid: u32,
}

impl UCred {
    /// Its process. None if that is in a PID namespace that ours can't see.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.pid
    }

    /// Its effective user.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// Its effective group.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// Asks the kernel. (`rustix` has no process zero, which is what the kernel says of one that we can't see.)
    pub(crate) fn of_peer(socket: impl AsFd) -> io::Result<Self> {
        let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
        let mut length = size_of::<libc::ucred>() as libc::socklen_t;
        // SAFETY: the descriptor is open while `socket` is borrowed, and the kernel writes at most `length` bytes to the
        // structure, all of whose bit patterns are valid.
        let result = unsafe {
            libc::getsockopt(
                socket.as_fd().as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERCRED,
                (&raw mut credentials).cast(),
                &raw mut length,
            )
        };
        if result != 0 || length as usize != size_of::<libc::ucred>() {
            return Err(io::Error::last_os_error());
        }
        let libc::ucred { pid, uid, gid } = credentials;
        Ok(Self { pid: (pid != 0).then_some(pid), uid, gid })
    }
}
