//! Who may look inside this process: its own user, and root.
//!
//! Asked of the kernel (`SO_PEERCRED`), not of the client. Inside a user namespace, as in a rootless container, users from
//! outside have no number: the kernel shows them all as one, the overflow user, and outside's root with them. There the
//! socket's place decides: into a directory of mode 0700 only its owner gets, and who may override that, which is root.

use super::directory::Place;
use crate::net::unix::UCred;
use std::fs;

/// The number of users without one, unless the kernel was told otherwise.
const OVERFLOW: u32 = 65_534;

/// Whether a peer that reached a socket at this place may attach.
pub(super) fn admits(peer: UCred, place: &Place) -> bool {
    let own = rustix::process::geteuid().as_raw();
    is_ours(peer.uid(), own) || came_from_outside(peer.uid(), place, overflow(), &user_map())
}

fn is_ours(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

/// Whether a user is from outside of a user namespace, and was let into our directory.
fn came_from_outside(peer: u32, place: &Place, overflow: u32, map: &str) -> bool {
    peer == overflow && matches!(place, Place::File { .. }) && !is_whole(map)
}

/// Whether a map of user numbers is that of a machine: all numbers, unchanged. Then the overflow user is a real one.
fn is_whole(map: &str) -> bool {
    map.split_ascii_whitespace().eq(["0", "0", "4294967295"])
}

fn overflow() -> u32 {
    let text = fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap_or_default();
    text.trim().parse().unwrap_or(OVERFLOW)
}

/// The map of this process's user namespace. One that cannot be read counts as a machine's, which admits fewer.
fn user_map() -> String {
    fs::read_to_string("/proc/self/uid_map").unwrap_or_else(|_| "0 0 4294967295".to_owned())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const MACHINE: &str = "         0          0 4294967295\n";
    const CONTAINER: &str = "         0       1000          1\n         1     100000      65536\n";

    #[test]
    fn only_our_user_and_root_are_ours() {
        assert!(is_ours(1000, 1000) && is_ours(0, 1000) && is_ours(0, 0));
        assert!(!is_ours(1001, 1000) && !is_ours(1000, 0) && !is_ours(OVERFLOW, 1000));
    }

    #[test]
    fn who_has_no_number_here_must_have_passed_the_directory() {
        let file =
            Place::File { socket: "/d/1-1.sock".into(), lock: "/d/1-1.lock".into(), inode: (1, 1) };
        let name = Place::Abstract("nexus/0/1-1".to_owned());
        assert!(came_from_outside(OVERFLOW, &file, OVERFLOW, CONTAINER));
        assert!(!came_from_outside(OVERFLOW, &name, OVERFLOW, CONTAINER), "anybody reaches that");
        assert!(!came_from_outside(OVERFLOW, &file, OVERFLOW, MACHINE), "that is the user nobody");
        assert!(!came_from_outside(1001, &file, OVERFLOW, CONTAINER), "a user of the container's");
    }
}
