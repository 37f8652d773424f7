//! Collecting the board of every runtime of a target, for a look at one moment.

use super::signals::EndWanted;
use crate::failure::{Exit, Failure};
use crate::source::{CommandEnd, Ending, Running, Update};
use nexus_protocol::board::{Activity, Snapshot, TaskRow, TaskState};
use nexus_protocol::frame::{Process, RuntimeInfo, ServerFrame};
use nexus_protocol::ids::RuntimeId;
use nexus_protocol::strings::Strings;
use std::collections::BTreeMap;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// How long a target may take to send what it was asked for. Its endpoint answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often to look whether somebody wants us to end.
const TICK: Duration = Duration::from_millis(100);

/// When there is enough to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// When every live runtime has sent its board once.
    EachOnce,
    /// When a board has been watched for this long, for rates; or at the end, if that comes first.
    Watched(Duration),
    /// At the end of the trace.
    End,
}

/// The boards of a process.
#[derive(Debug)]
pub(crate) struct Boards {
    /// The process.
    pub(crate) process: Process,
    /// What its strings say.
    pub(crate) strings: Strings,
    /// Its runtimes that sent a board, by number.
    pub(crate) runtimes: Vec<Board>,
    /// Its live runtimes that have none, since their recorder is off.
    pub(crate) off: Vec<RuntimeInfo>,
}

/// The board of a runtime.
#[derive(Debug)]
pub(crate) struct Board {
    /// The runtime.
    pub(crate) info: RuntimeInfo,
    /// The first one received.
    pub(crate) first: Snapshot,
    /// The latest one received; the same if there was only one.
    pub(crate) last: Snapshot,
}

/// Collects boards until there is enough to see, or somebody wants us to end.
///
/// # Errors
///
/// A [`Failure`] if the target ends, or says nothing, before there is anything to see.
pub(crate) fn collect(
    running: &Running,
    until: Until,
    end_wanted: &EndWanted,
) -> Result<Boards, Failure> {
    let mut collected = Collected::default();
    let mut heard = Instant::now();
    loop {
        match running.updates.recv_timeout(TICK) {
            Ok(Update::Frame(frame)) => {
                heard = Instant::now();
                collected.take(frame);
                if collected.is_enough(until) {
                    return collected.finish(&running.title, None);
                }
            }
            Ok(Update::Ended(ending)) => return collected.finish(&running.title, Some(ending)),
            Err(RecvTimeoutError::Disconnected) => return collected.finish(&running.title, None),
            Err(RecvTimeoutError::Timeout) if end_wanted.get() => {
                return collected.finish(&running.title, None);
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        // A stream takes as long as it takes, and so does a program until it runs a runtime.
        let may_take_long = match until {
            Until::EachOnce => false,
            Until::Watched(_) => collected.process.is_none(),
            Until::End => true,
        };
        if !may_take_long && heard.elapsed() > PATIENCE {
            return collected.finish(&running.title, None);
        }
    }
}

#[derive(Debug, Default)]
struct Collected {
    process: Option<Process>,
    infos: BTreeMap<RuntimeId, RuntimeInfo>,
    strings: Strings,
    boards: BTreeMap<RuntimeId, (Snapshot, Snapshot)>,
}

impl Collected {
    fn take(&mut self, frame: ServerFrame) {
        match frame {
            ServerFrame::Hello { process, runtimes, .. } => {
                self.process = Some(process);
                self.infos.extend(runtimes.into_iter().map(|info| (info.id, info)));
            }
            ServerFrame::Runtime(info) => {
                self.infos.insert(info.id, info);
            }
            ServerFrame::Strings { first, strings } => self.strings.extend(first, strings),
            ServerFrame::Snapshot(snapshot) => {
                let snapshot = *snapshot;
                self.boards
                    .entry(snapshot.runtime)
                    .and_modify(|(_, last)| last.clone_from(&snapshot))
                    .or_insert_with(|| (snapshot.clone(), snapshot));
            }
            ServerFrame::Events { .. }
            | ServerFrame::Loss { .. }
            | ServerFrame::Filter(_)
            | ServerFrame::Goodbye(_) => {}
        }
    }

    fn is_enough(&self, until: Until) -> bool {
        match until {
            Until::EachOnce => {
                let mut live = self.infos.values().filter(|info| info.ended.is_never());
                let is_done =
                    |info: &RuntimeInfo| !info.is_recorded() || self.boards.contains_key(&info.id);
                let is_anything = !self.boards.is_empty() || self.off().next().is_some();
                is_anything && live.all(is_done)
            }
            Until::Watched(length) => self.boards.values().any(|(first, last)| {
                u128::from(last.taken.since(first.taken)) >= length.as_nanos()
            }),
            Until::End => false,
        }
    }

    /// Live runtimes whose recorder is off.
    fn off(&self) -> impl Iterator<Item = &RuntimeInfo> {
        let is_off = |info: &&RuntimeInfo| {
            info.ended.is_never() && !info.is_recorded() && !self.boards.contains_key(&info.id)
        };
        self.infos.values().filter(is_off)
    }

    fn finish(self, title: &str, ending: Option<Ending>) -> Result<Boards, Failure> {
        let off: Vec<_> = self.off().cloned().collect();
        let Some(process) = self.process else {
            return Err(nothing(title, ending));
        };
        if let Some(Ending::Failed(why)) = ending {
            return Err(Failure::local_io(format!("{title}: {why}")));
        }
        if self.boards.is_empty() && off.is_empty() {
            return Err(Failure::target(format!(
                "{title} has no runtime that could be looked at: none is inside block_on"
            )));
        }
        let infos = self.infos;
        let board = |(id, (first, mut last)): (RuntimeId, (Snapshot, Snapshot))| {
            let info = infos.get(&id).cloned().unwrap_or_else(|| unannounced(id, &last));
            show_poll(&mut last);
            Board { info, first, last }
        };
        let runtimes = self.boards.into_iter().map(board).collect();
        Ok(Boards { process, strings: self.strings, runtimes, off })
    }
}

/// Shows a task that is being polled as such: its row may stand before the poll, of which the totals tell already.
fn show_poll(board: &mut Snapshot) {
    let Activity::Polling(task) = board.activity else { return };
    let row = board.tasks.iter_mut().find(|row| row.task == task);
    row.into_iter().for_each(|row| (row.state, row.since) = (TaskState::Polling, board.since));
}

/// The task that is being polled, if one is and it has a row.
pub(crate) fn polled(board: &Snapshot) -> Option<&TaskRow> {
    let Activity::Polling(task) = board.activity else { return None };
    board.tasks.iter().find(|row| row.task == task)
}

/// Why there is nothing at all.
fn nothing(title: &str, ending: Option<Ending>) -> Failure {
    match ending {
        Some(Ending::Failed(why)) => Failure::local_io(format!("{title}: {why}")),
        Some(Ending::CommandEnded(end)) => nothing_of_command(title, &end),
        Some(Ending::EndOfFile { .. }) => Failure::local_io(format!("{title} is an empty trace")),
        Some(Ending::TargetGone | Ending::Finished) => {
            Failure::target(format!("{title} ended before it had told anything"))
        }
        None => Failure::target(format!("{title} has told nothing so far; is it stopped?")),
    }
}

/// The failure of a COMMAND of which nothing was seen.
pub(crate) fn nothing_of_command(title: &str, end: &CommandEnd) -> Failure {
    if end.success {
        Failure::target(format!(
            "`{title}` ended without having run a nexus runtime. {}",
            crate::target::HOW_TO_GET_ONE
        ))
    } else {
        let status = &end.status;
        Failure::new(
            Exit::Command,
            format!("`{title}` failed with {status} before it ran a nexus runtime"),
        )
    }
}

/// What can be said of a runtime that sent a board but was never announced, as in a damaged trace.
fn unannounced(id: RuntimeId, board: &Snapshot) -> RuntimeInfo {
    RuntimeInfo {
        id,
        name: String::new(),
        thread: 0,
        started: nexus_protocol::Stamp::NEVER,
        ended: nexus_protocol::Stamp::NEVER,
        ring_capacity: 0,
        recorded: board.totals.recorded,
        tokens: board.totals.live,
        tasks: board.totals.tasks(),
    }
}
