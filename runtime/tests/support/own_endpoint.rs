//! A connection to the endpoint of this very process.

use nexus_protocol::session::Client;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Nothing here takes nearly as long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connects, as soon as there is an endpoint.
pub(crate) fn connect(timeout: Duration) -> Client<UnixStream> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match socket().map(|path| Client::connect_unix(&path, timeout)) {
            Some(Ok(client)) => return client,
            failed => assert!(Instant::now() < deadline, "no endpoint of our own: {failed:?}"),
        }
        std::thread::yield_now();
    }
}

/// The socket, as soon as there is one.
pub(crate) fn socket() -> Option<PathBuf> {
    let under = |variable: &str, rest: &str| {
        std::env::var_os(variable).map(|path| PathBuf::from(path).join(rest))
    };
    let uid = rustix::process::getuid().as_raw();
    let directories = [
        under("NEXUS_INSPECT_DIR", ""),
        under("XDG_RUNTIME_DIR", "nexus"),
        Some(PathBuf::from(format!("/tmp/nexus-{uid}"))),
    ];
    let prefix = format!("{}-", std::process::id());
    let is_ours = |path: &PathBuf| {
        path.extension().is_some_and(|end| end == "sock")
            && path.file_name().unwrap().to_string_lossy().starts_with(&prefix)
    };
    let entries =
        directories.into_iter().flatten().filter_map(|path| path.read_dir().ok()).flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).find(is_ours)
}
