//! `demo-workload`: the process behind the target `demo`.
//!
//! Its standard input is a pipe from the inspector that started it. Nothing ever comes through it; its end says that
//! the inspector has ended, in whatever way, and that the workload has nobody to work for any more.

use crate::failure::Exit;
use std::io::{self, Read};
use std::process;
use std::thread;

/// Runs the workload until standard input ends.
pub(crate) fn run() -> anyhow::Result<Exit> {
    // It was started by way of a link whose name says nothing. A name less is no reason not to run.
    let _ = rustix::thread::set_name(c"nexus-demo");
    thread::Builder::new().name("parent-watch".to_owned()).spawn(end_with_stdin)?;
    crate::demo::run()?;
    Ok(Exit::Fine)
}

fn end_with_stdin() {
    let mut buffer = [0; 64];
    let mut stdin = io::stdin().lock();
    loop {
        match stdin.read(&mut buffer) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    process::exit(Exit::Fine as i32);
}
