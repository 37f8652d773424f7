//! `record`: everything a target tells, to a trace.
//!
//! However the recording ends (its time is over, Ctrl-C, the target's end, a full disk), what was written stays a
//! trace that can be read: it is closed where that is possible, and is a sequence of whole lines or frames in any case.

pub(super) mod output;
mod progress;

use super::board::nothing_of_command;
use super::signals::EndWanted;
use crate::failure::{Exit, Failure};
use crate::options;
use crate::source::{self, Ending, Mode, ProgramOutput, Running, Update};
use crate::text;
use anyhow::Context;
use nexus_protocol::frame::{RuntimeInfo, ServerFrame, Subscribe};
use nexus_protocol::ids::RuntimeId;
use nexus_protocol::trace::{Summary, Writer};
use output::Output;
use progress::Progress;
use std::collections::BTreeMap;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// How often to look for a signal, and how old written lines may get before they are passed on.
const TICK: Duration = Duration::from_millis(100);

/// How long a target that was asked to finish may be silent. What is left may be a lot, and take longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Records a target.
pub(crate) fn run(options: options::Record) -> anyhow::Result<Exit> {
    // Before anything is attached to or started: a file that cannot be written is the cheaper surprise.
    let mut output = Output::create(&options.output)?;
    let end_wanted = EndWanted::watch().context("cannot watch for signals")?;
    let subscribe =
        Subscribe { history: options.history, kinds: options.kinds, ..source::EVERYTHING };
    let opened = match source::open(&options.target, subscribe, ProgramOutput::ToStderr) {
        Ok(opened) => opened,
        Err(failure) => {
            output.discard();
            return Err(failure.into());
        }
    };
    let recording = Recording {
        title: opened.running.title.clone(),
        writer: Writer::new(options.format, &mut output),
        progress: Progress::new(),
        started: None,
        length: options.length,
        finishing: false,
        heard: Instant::now(),
        told: BTreeMap::new(),
        off: Vec::new(),
    };
    let outcome = recording.run(&opened.running, &end_wanted);
    let (title, mode) = (opened.running.title.clone(), opened.running.mode);
    // Ends the program if it was started for this and still runs.
    drop(opened);
    let recorded = outcome.map_err(|error| output.explain(error))?;
    let Some(summary) = recorded.summary else {
        output.discard();
        return Err(nothing_recorded(&title, recorded.ending).into());
    };
    super::tell(&describe(&summary, recorded.before, recorded.length, &output));
    recorded.off.iter().for_each(|info| super::tell(&text::recorder_is_off(info)));
    exit(&title, mode, recorded.ending, end_wanted.get())
}

/// What has been recorded, and why it ended.
struct Recorded {
    ending: Ending,
    /// None if the target never said hello.
    summary: Option<Summary>,
    /// From the hello to the end.
    length: Duration,
    /// Records that the rings had overwritten before the recording began.
    before: u64,
    /// Runtimes whose recorder is off.
    off: Vec<RuntimeInfo>,
}

struct Recording<'a> {
    title: String,
    writer: Writer<&'a mut Output>,
    progress: Progress,
    /// When the hello came: from there the length is measured.
    started: Option<Instant>,
    length: Option<Duration>,
    /// Whether the target was asked to finish.
    finishing: bool,
    /// When the last frame came, or later.
    heard: Instant,
    /// Runtimes of which records, or the loss of some, were told, and of how many from before the recording.
    told: BTreeMap<RuntimeId, u64>,
    /// Runtimes whose recorder is off.
    off: Vec<RuntimeInfo>,
}

impl Recording<'_> {
    fn run(mut self, running: &Running, end_wanted: &EndWanted) -> anyhow::Result<Recorded> {
        let mut flushed = Instant::now();
        let ending = loop {
            match running.updates.recv_timeout(self.next_look()) {
                Ok(Update::Frame(frame)) => {
                    self.heard = Instant::now();
                    self.frame(&frame)?;
                }
                Ok(Update::Ended(ending)) => break ending,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    break Ending::Failed("the source broke down".to_owned());
                }
            }
            if flushed.elapsed() >= TICK {
                self.writer.flush().context("cannot write the trace")?;
                self.progress.show(&self.title, &self.writer);
                flushed = Instant::now();
            }
            if self.is_over(end_wanted) {
                running.control.finish();
                self.finishing = true;
                self.heard = Instant::now();
            }
            if self.finishing && self.heard.elapsed() > PATIENCE {
                break Ending::Failed(
                    "it did not send the rest in time; is it stopped?".to_owned(),
                );
            }
        };
        self.progress.clear();
        self.close(ending)
    }

    fn frame(&mut self, frame: &ServerFrame) -> anyhow::Result<()> {
        if matches!(frame, ServerFrame::Hello { .. }) {
            self.started = Some(Instant::now());
        }
        match frame {
            ServerFrame::Hello { runtimes, .. } => runtimes.iter().for_each(|info| self.note(info)),
            ServerFrame::Runtime(info) => self.note(info),
            ServerFrame::Events { runtime, .. } => {
                self.told.entry(*runtime).or_default();
            }
            // The first of all records, and nothing else told before: the ring had gone around.
            ServerFrame::Loss { runtime, from: 0, to } => {
                self.told.entry(*runtime).or_insert(*to);
            }
            ServerFrame::Loss { runtime, .. } => {
                self.told.entry(*runtime).or_default();
            }
            _ => {}
        }
        self.writer.frame(frame).context("cannot write the trace")
    }

    fn note(&mut self, info: &RuntimeInfo) {
        if !info.is_recorded() && self.off.iter().all(|known| known.id != info.id) {
            self.off.push(info.clone());
        }
    }

    /// How long to wait for an update.
    fn next_look(&self) -> Duration {
        match (self.started, self.length) {
            (Some(started), Some(length)) if !self.finishing => {
                length.saturating_sub(started.elapsed()).min(TICK)
            }
            _ => TICK,
        }
    }

    /// Whether it is time to ask the target to finish.
    fn is_over(&self, end_wanted: &EndWanted) -> bool {
        let elapsed =
            self.started.zip(self.length).is_some_and(|(at, length)| at.elapsed() >= length);
        !self.finishing && (elapsed || end_wanted.get())
    }

    fn close(self, ending: Ending) -> anyhow::Result<Recorded> {
        let length = self.started.map(|started| started.elapsed()).unwrap_or_default();
        let summary = match self.started {
            Some(_) => Some(self.writer.finish().context("cannot write the end of the trace")?),
            None => None,
        };
        let before = self.told.values().sum();
        Ok(Recorded { ending, summary, length, before, off: self.off })
    }
}

/// The line that says what is in the file.
fn describe(summary: &Summary, before: u64, length: Duration, output: &Output) -> String {
    let length_ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
    let mut text = format!(
        "recorded {} events in {}, {} lost, {} to {output}",
        text::count(summary.delivered()),
        text::duration_ns(length_ns),
        text::count(summary.lost().saturating_sub(before)),
        text::bytes(output.bytes())
    );
    if before > 0 {
        text += &format!(", {} overwritten before", text::count(before));
    }
    if summary.filtered() > 0 {
        text += &format!(", {} filtered out", text::count(summary.filtered()));
    }
    if let Some(runtime) = summary.runtimes.iter().find(|runtime| !runtime.adds_up()) {
        text += &format!("; the numbers of runtime {} do not add up", runtime.runtime);
    }
    text
}

/// The failure of a recording without a single frame.
fn nothing_recorded(title: &str, ending: Ending) -> Failure {
    match ending {
        Ending::CommandEnded(end) => nothing_of_command(title, &end),
        Ending::Failed(why) => Failure::target(format!("{title}: {why}")),
        Ending::EndOfFile { .. } => Failure::local_io(format!("{title} is an empty trace")),
        Ending::TargetGone => Failure::target(format!("{title} ended before it told anything")),
        Ending::Finished => {
            Failure::target(format!("{title} had no runtime to record before the recording ended"))
        }
    }
}

/// The exit code of a recording that holds something, with a message where it is not as it should be.
fn exit(title: &str, mode: Mode, ending: Ending, interrupted: bool) -> anyhow::Result<Exit> {
    let title = text::clean(title);
    match ending {
        Ending::Finished | Ending::EndOfFile { truncated: false } => Ok(Exit::Fine),
        Ending::EndOfFile { truncated: true } => {
            super::tell(&format!("{title} breaks off before its end"));
            Ok(Exit::Fine)
        }
        // Whoever interrupts us on a terminal interrupts the program too.
        Ending::CommandEnded(end) if end.success || interrupted => Ok(Exit::Fine),
        Ending::CommandEnded(end) => {
            let text = format!("`{title}` failed with {}", end.status);
            Err(Failure::new(Exit::Command, text).into())
        }
        Ending::TargetGone => {
            let text = format!(
                "{title} ended during the recording; what it told until then is in the trace"
            );
            Err(Failure::target(text).into())
        }
        Ending::Failed(why) => {
            let exit = if mode == Mode::Live { Exit::Target } else { Exit::LocalIo };
            Err(Failure::new(exit, format!("{title}: {why}")).into())
        }
    }
}
