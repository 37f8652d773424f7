//! Who is found from outside, by whom: other users, other sessions, other namespaces.
//!
//! Each test starts a real process in a world of its own and asks the real inspector for it. What takes namespaces or
//! root is skipped where there is none, and says so.

mod users;
mod world;

mod containers;
mod sessions;
