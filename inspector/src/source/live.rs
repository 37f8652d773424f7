//! A source that is a live process.
//!
//! Its thread reads the socket and passes on what it gets. It blocks for a moment at most, so that requests and the
//! end of the consumer are noticed.

use super::{Ending, Mode, Outlet, Request, Running, Stopped, Update};
use crate::failure::{self, Failure};
use crate::target::Connection;
use nexus_protocol::frame::{Goodbye, KindFilter, ServerFrame, Subscribe};
use nexus_protocol::session::{Client, Received, SessionError};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// How long to wait for the process before looking for requests: what a keystroke may take to have its effect.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_millis(20);

/// Everything a process has to tell: what it recorded before, all that it will record, and its board four times a
/// second.
pub const EVERYTHING: Subscribe =
    Subscribe { history: true, kinds: KindFilter::ALL, snapshot_every_ms: 250 };

/// The board, a few times a second, and no events.
pub const BOARD_OFTEN: Subscribe =
    Subscribe { history: false, kinds: KindFilter::NONE, snapshot_every_ms: 100 };

/// The board, once, and no events.
pub const BOARD_ONCE: Subscribe =
    Subscribe { history: false, kinds: KindFilter::NONE, snapshot_every_ms: 0 };

/// Subscribes to a process and starts to take in what it sends, beginning with its hello.
///
/// # Errors
///
/// A [`Failure`] if the process has gone since the hello.
pub(crate) fn start(connection: Connection, subscribe: Subscribe) -> Result<Running, Failure> {
    let title = title(&connection);
    let mut client = connection.client;
    prepare(&mut client, subscribe).map_err(|error| {
        Failure::target(format!("cannot attach to {title}: {}", failure::chain(&error)))
    })?;
    Ok(Running::start(title, Mode::Live, move |outlet| {
        run(client, outlet).unwrap_or(Ending::Finished)
    }))
}

/// What a process is called in a title line.
pub(crate) fn title(connection: &Connection) -> String {
    let (process, runtimes) = connection.client.hello();
    let named = runtimes.iter().map(|runtime| &runtime.name).find(|name| !name.is_empty());
    format!("{} ({})", named.unwrap_or(&process.program), connection.pid)
}

/// Subscribes, with a timeout short enough for [`Client::next`] to be called between other duties.
pub(crate) fn prepare(
    client: &mut Client<UnixStream>,
    subscribe: Subscribe,
) -> Result<(), SessionError> {
    client
        .stream()
        .set_read_timeout(Some(READ_TIMEOUT))
        .map_err(|error| SessionError::Io { what: "set the timeout of the connection", error })?;
    client.subscribe(subscribe)
}

fn run(mut client: Client<UnixStream>, outlet: &Outlet) -> Result<Ending, Stopped> {
    outlet.send(Update::Frame(client.hello_frame()))?;
    loop {
        while let Some(request) = outlet.request() {
            let answer = match request {
                Request::Subscribe(subscribe) => client.subscribe(subscribe),
                Request::Finish => client.finish(),
            };
            match answer {
                // What it sent before it went can still be read.
                Ok(()) | Err(SessionError::Closed) => {}
                Err(error) => return Ok(broken(&error)),
            }
        }
        match client.next() {
            Ok(Received::Frame(frame)) => {
                let ending = ending(&frame);
                outlet.send(Update::Frame(frame))?;
                if let Some(ending) = ending {
                    return Ok(ending);
                }
            }
            Ok(Received::Idle) => outlet.check()?,
            Ok(Received::Closed) => return Ok(Ending::TargetGone),
            Err(error) => return Ok(broken(&error)),
        }
    }
}

/// The ending that a frame announces, if it is a goodbye.
pub(crate) fn ending(frame: &ServerFrame) -> Option<Ending> {
    let ServerFrame::Goodbye(goodbye) = frame else { return None };
    Some(match goodbye {
        Goodbye::Finished => Ending::Finished,
        Goodbye::ProcessEnding => Ending::TargetGone,
        other => Ending::Failed(format!("the process ended the connection: {other}")),
    })
}

pub(crate) fn broken(error: &SessionError) -> Ending {
    Ending::Failed(format!("the connection broke: {}", failure::chain(error)))
}
