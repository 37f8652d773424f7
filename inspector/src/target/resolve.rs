//! From a PID, a name or a socket to a connection, or to an error that says what to do.

use super::discover::{self, Found, HOW_TO_GET_ONE};
use super::endpoint::{self, Connection, Refusal, Socket};
use super::process::{self, Process};
use crate::failure::Failure;
use crate::text;
use std::fmt::Write as _;
use std::path::Path;

/// Connects to a process.
///
/// # Errors
///
/// A target [`Failure`] if there is no such process, or it has no endpoint, or its endpoint is not for us.
pub(crate) fn by_pid(pid: u32) -> Result<Connection, Failure> {
    let Some(process) = Process::look(pid) else {
        return Err(Failure::target(format!(
            "there is no process {pid}; `nexus-inspect list` shows what can be attached to"
        )));
    };
    if process.zombie {
        return Err(Failure::target(format!(
            "process {pid} ({}) has ended; its parent has yet to take notice",
            text::clean(&process.comm)
        )));
    }
    if process.group != pid {
        return Err(Failure::target(format!(
            "{pid} is a thread of process {group}: try `nexus-inspect {group}`",
            group = process.group
        )));
    }
    let mut refusals = Vec::new();
    for candidate in discover::candidates_of(&process) {
        match endpoint::connect(&candidate.socket, Some(discover::expected(&process))) {
            Ok(connection) => return Ok(connection),
            // Left behind by an earlier process with the same number.
            Err(Refusal::Leftover(_) | Refusal::Missing(_) | Refusal::OtherProcess { .. }) => {}
            Err(refusal) => refusals.push(refusal.to_string()),
        }
    }
    if refusals.is_empty() {
        return Err(Failure::target(no_endpoint(&process)));
    }
    // Asked now, not before the attempts: they take their time, and this is about why they failed.
    if Process::look(pid).is_some_and(|now| now.stopped) {
        return Err(Failure::target(format!(
            "process {pid} ({}) is stopped, by a signal or a debugger, and does not answer; \
             let it go on (kill -CONT {pid}) and try again",
            text::clean(&process.comm)
        )));
    }
    Err(Failure::target(format!("cannot attach to process {pid}: {}", refusals.join("; "))))
}

fn no_endpoint(process: &Process) -> String {
    let mut text =
        format!("process {} ({}) has no endpoint", process.pid, text::clean(&process.comm));
    let own = rustix::process::geteuid().as_raw();
    if process.uid != own && own != 0 {
        let _ = write!(
            text,
            " that we can see: it belongs to user {}; run as that user, or as root",
            process.uid
        );
        return text;
    }
    let environment = process.environment();
    for (variable, what) in [("NEXUS_INSPECT", "endpoint"), ("NEXUS_RECORDER", "recorder")] {
        if environment.get(variable).is_some_and(|value| value == "off") {
            let _ =
                write!(text, ": it was started with {variable}=off, which turns its {what} off");
            return text;
        }
    }
    let _ = write!(text, ". {HOW_TO_GET_ONE}");
    text
}

/// Connects to the only process of this name.
///
/// # Errors
///
/// A target [`Failure`] if there is none, a usage one that lists them if there are several.
pub(crate) fn by_name(name: &str) -> Result<Connection, Failure> {
    let mut found = discover::discover();
    found.retain(|found| found.is_called(name));
    match &found[..] {
        [] => Err(Failure::target(nobody_called(name))),
        [one] => attach(one),
        several => Err(Failure::usage(several_called(name, several))),
    }
}

fn nobody_called(name: &str) -> String {
    let shown = text::clean(name);
    let without: Vec<String> = process::all()
        .into_iter()
        .filter_map(Process::look)
        .filter(|process| process.group == process.pid && !process.zombie)
        .filter(|process| process.comm == name || process.program().as_deref() == Some(name))
        .map(|process| process.pid.to_string())
        .collect();
    match &without[..] {
        [] => format!(
            "nothing called {shown:?} can be attached to; `nexus-inspect list` shows what can. {HOW_TO_GET_ONE}"
        ),
        [one] => format!("{shown:?} is process {one}, which has no endpoint. {HOW_TO_GET_ONE}"),
        several => format!(
            "{shown:?} is the name of processes {}, none of which has an endpoint. {HOW_TO_GET_ONE}",
            several.join(", ")
        ),
    }
}

fn several_called(name: &str, several: &[Found]) -> String {
    let mut text = format!(
        "{} processes are called {:?}; say which, by its PID:",
        several.len(),
        text::clean(name)
    );
    for found in several {
        let _ = write!(
            text,
            "\n  {:>8}  {}  (running for {}: {})",
            found.pid,
            text::clean(found.name()),
            text::duration_ns(found.age_ns),
            text::clean(&found.process.command_line)
        );
    }
    text
}

/// Connects to whatever listens at a socket.
///
/// # Errors
///
/// A target [`Failure`] if nobody does, or not one of ours, or not for us.
pub(crate) fn by_socket(path: &Path) -> Result<Connection, Failure> {
    endpoint::connect(&Socket::Path(path.to_owned()), None)
        .map_err(|refusal| Failure::target(refusal.to_string()))
}

/// Connects to a process that was found before.
///
/// # Errors
///
/// A target [`Failure`] if it has ended since.
pub(crate) fn attach(found: &Found) -> Result<Connection, Failure> {
    let connection = endpoint::connect(&found.socket, None).map_err(|refusal| {
        Failure::target(format!("cannot attach to process {}: {refusal}", found.pid))
    })?;
    let (process, _) = connection.client.hello();
    if connection.pid != found.pid || process.start_time != found.process.start_time {
        return Err(Failure::target(format!(
            "process {} has ended since it was listed",
            found.pid
        )));
    }
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    #[test]
    fn no_such_process() {
        let failure = by_pid(u32::MAX).unwrap_err();
        assert_eq!(failure.exit(), Exit::Target);
        assert!(failure.to_string().contains("there is no process 4294967295"), "{failure}");
    }

    #[test]
    fn a_process_without_an_endpoint_is_told_how_to_get_one() {
        // This test program never runs a runtime of ours.
        let failure = by_pid(std::process::id()).unwrap_err();
        assert_eq!(failure.exit(), Exit::Target);
        assert!(failure.to_string().contains("has no endpoint"), "{failure}");
        assert!(failure.to_string().contains("block_on"), "{failure}");
    }

    #[test]
    fn a_thread_names_its_process() {
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            tell.send(rustix::thread::gettid().as_raw_pid() as u32).unwrap();
            let _ = ended.recv();
        });
        let failure = by_pid(told.recv().unwrap()).unwrap_err();
        let expected = format!("a thread of process {}", std::process::id());
        assert!(failure.to_string().contains(&expected), "{failure}");
        drop(end);
        thread.join().unwrap();
    }

    #[test]
    fn a_name_nobody_has() {
        let failure = by_name("no-such-name").unwrap_err();
        assert_eq!(failure.exit(), Exit::Target);
        assert!(failure.to_string().contains("no-such-name"), "{failure}");
    }
}
