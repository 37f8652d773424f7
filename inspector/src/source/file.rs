//! A source that is a trace, in a file or on standard input, in whatever format it has. A file that is the recording of a
//! process instead goes to [`remains`].

use super::{Ending, Mode, Outlet, Running, Stopped, Update, remains};
use crate::failure::{self, Failure};
use nexus_protocol::trace::Reader;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

/// Bytes read at once: lines are long, traces longer.
const BUFFER_BYTES: usize = 256 * 1024;

/// How often to look whether anybody still wants the trace, while nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Begins to read a trace, or a recording.
///
/// # Errors
///
/// A target [`Failure`] if there is no such file, or it cannot be opened.
pub(crate) fn open(path: &Path) -> Result<Running, Failure> {
    let failed = |error: io::Error| {
        Failure::target(format!("cannot open the trace {}: {error}", path.display()))
    };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(Failure::target(format!("{} is a directory, not a trace", path.display())));
    }
    let title = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    if remains::are_in(&file) {
        return remains::open(&file, title);
    }
    Ok(Running::start(title, Mode::Replay, move |outlet| {
        read(Patient { from: file, outlet }, outlet)
    }))
}

/// Begins to read a trace from standard input, which may be one that is still being recorded elsewhere.
pub(crate) fn stdin() -> Running {
    Running::start("standard input".to_owned(), Mode::Live, |outlet| {
        read(Patient { from: io::stdin(), outlet }, outlet)
    })
}

/// Reads that end with the consumer, however long nothing comes.
struct Patient<'a, R> {
    from: R,
    outlet: &'a Outlet,
}

impl<R: Read + AsFd> Read for Patient<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let timeout = Timespec::try_from(LOOK_EVERY).unwrap_or_default();
        loop {
            if self.outlet.check().is_err() {
                return Ok(0);
            }
            let mut fds = [PollFd::new(&self.from, PollFlags::IN)];
            match rustix::event::poll(&mut fds, Some(&timeout)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return self.from.read(buffer),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

fn read(from: impl Read, outlet: &Outlet) -> Ending {
    let from = BufReader::with_capacity(BUFFER_BYTES, from);
    // A consumer that is gone does not ask how it ended.
    pass_on(Reader::new(from), outlet).unwrap_or(Ending::Finished)
}

fn pass_on(mut reader: Reader<impl BufRead>, outlet: &Outlet) -> Result<Ending, Stopped> {
    for frame in reader.by_ref() {
        match frame {
            Ok(frame) => outlet.send(Update::Frame(frame))?,
            Err(error) => return Ok(Ending::Failed(failure::chain(&error))),
        }
    }
    Ok(Ending::EndOfFile { truncated: reader.truncated() })
}
