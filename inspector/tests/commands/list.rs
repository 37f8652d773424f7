//! `list`.

use crate::fake::{Conduct, Endpoint};
use crate::inspector::run;
use serde_json::Value;
use std::os::unix::net::UnixListener;

#[test]
fn a_process_is_listed_with_what_it_has() {
    let endpoint = Endpoint::new(Conduct::Busy);
    let ran = run(endpoint.directory(), &["list"]).exits_with(0);
    let line = ran.stdout.lines().find(|line| line.contains(&endpoint.name)).unwrap();
    assert!(line.trim_start().starts_with(&std::process::id().to_string()), "{line}");
    assert!(line.contains("made-up --with ␛[31mcolour"), "{line}");
    assert!(!ran.stdout.contains('\x1b'));
}

#[test]
fn the_list_is_also_json() {
    let endpoint = Endpoint::new(Conduct::Busy);
    let ran = run(endpoint.directory(), &["list", "--json"]).exits_with(0);
    let list: Value = serde_json::from_str(&ran.stdout).unwrap();
    let socket = endpoint.socket.to_str().unwrap();
    let entry = list.as_array().unwrap().iter().find(|entry| entry["socket"] == socket).unwrap();
    assert_eq!(entry["pid"], std::process::id());
    assert_eq!(entry["name"], endpoint.name);
    assert_eq!(entry["program"], format!("{}-program", endpoint.name));
    assert_eq!(entry["tokens"], 2);
    assert_eq!(entry["tasks"], 1);
    assert_eq!(entry["runtimes"][0]["runtime"], 1);
}

#[test]
fn leftovers_and_strangers_are_left_out_silently() {
    let directory = tempfile::tempdir().unwrap();
    drop(UnixListener::bind(directory.path().join("1-1.sock")).unwrap());
    // This one accepts and says nothing.
    let _mute = UnixListener::bind(directory.path().join("2-1.sock")).unwrap();
    let ran = run(directory.path(), &["list", "--json"]).exits_with(0);
    assert!(!ran.stdout.contains(directory.path().to_str().unwrap()), "{}", ran.stdout);
    assert_eq!(ran.stderr, "");
}
