//! What a process has told us, so that nothing is told twice when the rest is found in its files.

use crate::source::merge::Origin;
use nexus_protocol::frame::{Goodbye, Process, RuntimeInfo, ServerFrame, Subscribe};
use nexus_protocol::ids::{RuntimeId, Seq, Stamp};
use nexus_runtime::remains::Remains;

/// How far two accounts of the same start may lie apart: each converts ticks by anchors of its own.
const TOLERANCE_NS: u64 = 1_000_000;

/// A process, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// Its numbers in the joint stream.
    pub(super) origin: Origin,
    process: Option<Process>,
    runtimes: Vec<Runtime>,
    finished: bool,
}

/// How far one runtime has been told.
#[derive(Debug)]
struct Runtime {
    id: RuntimeId,
    started: Stamp,
    /// The next record that is missing.
    next_seq: Seq,
    /// The stamp of the last one that is not.
    last: Stamp,
}

impl Account {
    /// Whether it is the account of this process. One that has called `exec` is another.
    pub(super) fn is_of(&self, other: &Process) -> bool {
        self.process.as_ref().is_some_and(|process| {
            process.pid == other.pid
                && process.start_time == other.start_time
                && process.program == other.program
                && process.command_line == other.command_line
        })
    }

    /// Whether the process has this number and start time, whatever program it runs.
    pub(super) fn has_number(&self, pid: u32, start_time: u64) -> bool {
        let process = self.process.as_ref();
        process.is_some_and(|process| (process.pid, process.start_time) == (pid, start_time))
    }

    /// Whether the process was asked to finish, and did.
    pub(super) fn has_finished(&self) -> bool {
        self.finished
    }

    /// Takes note of a frame that the process sent.
    pub(super) fn note(&mut self, frame: &ServerFrame, subscribe: Subscribe) {
        match frame {
            ServerFrame::Hello { process, runtimes, .. } => {
                self.process = Some(process.clone());
                for info in runtimes {
                    // Without history, what was recorded before is not wanted from elsewhere either.
                    let first = if subscribe.history { 0 } else { info.recorded };
                    self.add(info, first);
                }
            }
            ServerFrame::Runtime(info) => self.add(info, 0),
            ServerFrame::Events { runtime, records, next_seq, .. } => {
                self.advance(*runtime, *next_seq, records.last().map(|record| record.at));
            }
            ServerFrame::Loss { runtime, to, .. } => self.advance(*runtime, *to, None),
            ServerFrame::Goodbye(goodbye) => self.finished |= *goodbye == Goodbye::Finished,
            ServerFrame::Strings { .. } | ServerFrame::Snapshot(_) | ServerFrame::Filter(_) => {}
        }
    }

    fn add(&mut self, info: &RuntimeInfo, next_seq: Seq) {
        if !self.runtimes.iter().any(|runtime| runtime.id == info.id) {
            let (id, started) = (info.id, info.started);
            self.runtimes.push(Runtime { id, started, next_seq, last: Stamp::NEVER });
        }
    }

    fn advance(&mut self, id: RuntimeId, next_seq: Seq, last: Option<Stamp>) {
        if let Some(runtime) = self.runtimes.iter_mut().find(|runtime| runtime.id == id) {
            runtime.next_seq = runtime.next_seq.max(next_seq);
            runtime.last = runtime.last.max(last.unwrap_or(runtime.last));
        }
    }

    /// Whether a recording can be of this process: it is the same one, and if the runtime's number is known, so is its
    /// start.
    pub(super) fn includes(&self, remains: &Remains) -> bool {
        let info = remains.runtime();
        self.is_of(remains.process())
            && self
                .runtimes
                .iter()
                .filter(|runtime| runtime.id == info.id)
                .all(|runtime| runtime.started.0.abs_diff(info.started.0) <= TOLERANCE_NS)
    }

    /// Gives out what has not been told yet of a recording, and takes note of it.
    pub(super) fn rest<E>(
        &mut self,
        remains: &Remains,
        subscribe: Subscribe,
        mut tell: impl FnMut(&mut Origin, ServerFrame) -> Result<(), E>,
    ) -> Result<(), E> {
        let info = remains.runtime();
        let told = self.runtimes.iter().find(|runtime| runtime.id == info.id);
        let (next_seq, last) = told.map_or((0, Stamp::NEVER), |told| (told.next_seq, told.last));
        let is_new = told.is_none();
        if !is_new && next_seq >= remains.end_seq() {
            return Ok(());
        }
        let (kinds, own) = (subscribe.kinds, remains.process().clone());
        let mut frames =
            if is_new { remains.frames_of(kinds) } else { remains.frames_from(next_seq, kinds) };
        let greeting = match &self.process {
            Some(_) if is_new => Some(ServerFrame::Runtime(info)),
            Some(_) => None,
            None => Some(ServerFrame::Hello {
                version: nexus_protocol::frame::VERSION,
                process: own,
                runtimes: vec![info],
            }),
        };
        // What was never attached to is all wanted, its history as well.
        let all = Subscribe { history: true, ..subscribe };
        for mut frame in greeting.into_iter().chain(&mut frames) {
            if let ServerFrame::Events { records, .. } = &mut frame {
                // By other anchors than before, a stamp may come out a little earlier.
                records.iter_mut().for_each(|record| record.at = record.at.max(last));
            }
            self.note(&frame, all);
            tell(&mut self.origin, frame)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nexus_protocol::Record;
    use nexus_protocol::event::{Event, TurnMode};
    use nexus_protocol::frame::{KindFilter, VERSION};
    use nexus_runtime::{Builder, RecordingPlace, Runtime};

    const ALL: Subscribe =
        Subscribe { history: true, kinds: KindFilter::ALL, snapshot_every_ms: 0 };

    /// A recording, and a runtime that goes on with it.
    fn recording() -> (Runtime, Remains) {
        let place = RecordingPlace::Memfd;
        let runtime = Builder::new().recording_place(place).endpoint(false).build().unwrap();
        runtime.block_on(async { nexus_runtime::task::yield_now().await });
        let remains = look(&runtime);
        (runtime, remains)
    }

    fn look(runtime: &Runtime) -> Remains {
        Remains::read(&runtime.recording_fd().unwrap().try_clone_to_owned().unwrap().into())
            .unwrap()
    }

    fn rest(account: &mut Account, remains: &Remains) -> Vec<ServerFrame> {
        let mut frames = Vec::new();
        let told = account.rest(remains, ALL, |_, frame| {
            frames.push(frame);
            Ok::<_, ()>(())
        });
        told.unwrap();
        frames
    }

    fn records(frames: &[ServerFrame]) -> Vec<Seq> {
        let batches = frames.iter().filter_map(|frame| match frame {
            ServerFrame::Events { records, .. } => Some(records.iter().map(|record| record.seq)),
            _ => None,
        });
        batches.flatten().collect()
    }

    #[test]
    fn a_process_that_told_nothing_is_told_from_its_hello_on() {
        let (runtime, remains) = recording();
        let mut account = Account::default();
        let frames = rest(&mut account, &remains);
        assert!(matches!(&frames[0], ServerFrame::Hello { runtimes, .. } if runtimes.len() == 1));
        assert_eq!(records(&frames), (0..remains.end_seq()).collect::<Vec<_>>());
        assert!(account.includes(&remains));
        assert_eq!(rest(&mut account, &remains), [], "nothing is told twice");

        runtime.block_on(async { nexus_runtime::task::yield_now().await });
        let later = look(&runtime);
        let frames = rest(&mut account, &later);
        assert_eq!(records(&frames), (remains.end_seq()..later.end_seq()).collect::<Vec<_>>());
        assert!(!frames.iter().any(|frame| matches!(frame, ServerFrame::Hello { .. })));
    }

    #[test]
    fn a_second_runtime_joins_its_process() {
        let ((_one, first), (_two, second)) = (recording(), recording());
        let mut account = Account::default();
        rest(&mut account, &first);
        assert!(account.includes(&second));
        let frames = rest(&mut account, &second);
        assert!(matches!(&frames[0], ServerFrame::Runtime(info) if info.id == second.runtime().id));
        assert_eq!(records(&frames).len() as u64, second.end_seq());
    }

    #[test]
    fn what_a_process_said_itself_is_not_told_again_and_time_goes_on() {
        let (_runtime, remains) = recording();
        let (process, info) = (remains.process().clone(), remains.runtime());
        let mut account = Account::default();
        let runtimes = vec![info.clone()];
        account.note(&ServerFrame::Hello { version: VERSION, process, runtimes }, ALL);
        let late = Stamp(u64::MAX / 2);
        let event = Event::Turn { number: 1, events: 0, mode: TurnMode::Look, parked: late };
        let said = vec![Record { seq: 0, at: late, event }];
        let frame =
            ServerFrame::Events { runtime: info.id, records: said, next_seq: 1, filtered: 0 };
        account.note(&frame, ALL);
        account.note(&ServerFrame::Loss { runtime: info.id, from: 1, to: 3 }, ALL);
        let frames = rest(&mut account, &remains);
        assert_eq!(records(&frames), (3..remains.end_seq()).collect::<Vec<_>>());
        for frame in &frames {
            if let ServerFrame::Events { records, .. } = frame {
                assert!(records.iter().all(|record| record.at == late));
            }
        }
    }

    #[test]
    fn another_program_under_the_same_number_has_an_account_of_its_own() {
        let (_runtime, remains) = recording();
        let mut process = remains.process().clone();
        let info = remains.runtime();
        let account_of = |process: &Process, info: &RuntimeInfo| {
            let mut account = Account::default();
            let (process, runtimes) = (process.clone(), vec![info.clone()]);
            account.note(&ServerFrame::Hello { version: VERSION, process, runtimes }, ALL);
            account
        };
        assert!(account_of(&process, &info).includes(&remains));
        let earlier = RuntimeInfo { started: Stamp(info.started.0 - 10_000_000), ..info.clone() };
        assert!(!account_of(&process, &earlier).includes(&remains));
        process.command_line = "sh -c exec …".to_owned();
        assert!(!account_of(&process, &info).includes(&remains));
        assert!(account_of(&process, &info).has_number(process.pid, process.start_time));
    }
}
