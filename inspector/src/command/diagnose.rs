//! `diagnose`: what is wrong with a target, worst first, as text or JSON, and as an exit code for CI.
//!
//! However the observation ends (its time is over, Ctrl-C, the target's end, a trace that breaks off), what was seen until
//! then is judged, and what could not be is said.

mod annotations;
mod preemption;
mod report;

use super::board::nothing_of_command;
use super::signals::EndWanted;
use crate::analysis::{self, Analysis, Baseline, Finding, Kind, Report};
use crate::failure::{Exit, Failure};
use crate::options::{self, FailOn};
use crate::source::{self, Ending, Mode, ProgramOutput, Running, Update};
use crate::target::Target;
use crate::text;
use anyhow::Context;
use preemption::Preemption;
use std::fs;
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

/// How often to look for a signal, and at the thread's time on the run queue.
const TICK: Duration = Duration::from_millis(20);

/// How long a target that was asked to finish may be silent.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a live target is observed if nothing else is said.
const WATCH: Duration = Duration::from_secs(5);

/// Explains a kind.
pub(crate) fn explain(kind: Kind) -> anyhow::Result<Exit> {
    super::print(&report::explain(kind))?;
    Ok(Exit::Fine)
}

/// Diagnoses a target.
pub(crate) fn run(options: &options::Diagnose) -> anyhow::Result<Exit> {
    let baseline = options.baseline.as_deref().map(read_baseline).transpose()?;
    let end_wanted = EndWanted::watch().context("cannot watch for signals")?;
    let opened = source::open(&options.target, source::EVERYTHING, ProgramOutput::ToStderr)?;
    let length = options.length.or_else(|| default_length(&options.target, opened.running.mode));
    let mut analysis = Analysis::new(options.thresholds);
    let ending = observe(&mut analysis, &opened.running, length, &end_wanted);
    let title = opened.running.title.clone();
    // Ends the program if it was started for this and still runs.
    drop(opened);
    let mut report = analysis.report();
    if report.runtimes.is_empty() {
        return nothing(&title, ending, options.fail_on.is_some());
    }
    let cut_short = cut_short(&ending);
    let found = fails(&report, options.fail_on.as_ref(), baseline.as_ref());
    let judged = report.is_complete() && cut_short.is_none();
    report.at_least(options.min_severity);
    show(&report, &analysis, &title, cut_short, options)?;
    if let Some(text) = found {
        super::tell(&format!("nexus-inspect: {text}"));
        return Ok(Exit::Finding);
    }
    exit(&title, ending, end_wanted.get())?;
    if options.fail_on.is_some() && !judged {
        super::tell(
            "nexus-inspect: nothing that --fail-on names was found, but not all could be judged",
        );
        return Ok(Exit::Unjudged);
    }
    Ok(Exit::Fine)
}

/// A live target has no end of its own. A stream has, and so has a program that is started for the purpose.
fn default_length(target: &Target, mode: Mode) -> Option<Duration> {
    let endless = mode == Mode::Live && !matches!(target, Target::Command(_) | Target::Stdin);
    endless.then_some(WATCH)
}

/// Takes in all that a target tells. How that ended.
fn observe(
    analysis: &mut Analysis,
    running: &Running,
    length: Option<Duration>,
    end_wanted: &EndWanted,
) -> Ending {
    let mut preemption = Preemption::default();
    let mut started: Option<Instant> = None;
    let mut heard = Instant::now();
    let mut finishing = false;
    let mut looked = Instant::now();
    loop {
        match running.updates.recv_timeout(TICK) {
            Ok(Update::Frame(frame)) => {
                heard = Instant::now();
                started.get_or_insert(heard);
                analysis.apply(&frame);
            }
            Ok(Update::Ended(ending)) => return ending,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Ending::Failed("the source broke down".to_owned());
            }
        }
        if running.mode == Mode::Live && looked.elapsed() >= TICK {
            preemption.look(analysis);
            looked = Instant::now();
        }
        let over = started.zip(length).is_some_and(|(since, length)| since.elapsed() >= length);
        if !finishing && (over || end_wanted.get()) {
            running.control.finish();
            (finishing, heard) = (true, Instant::now());
        }
        if finishing && heard.elapsed() > PATIENCE {
            // A stopped process answers nothing; what it told before is worth a judgement.
            return Ending::Failed("it did not send the rest in time; is it stopped?".to_owned());
        }
    }
}

fn show(
    report: &Report,
    analysis: &Analysis,
    title: &str,
    cut_short: Option<String>,
    options: &options::Diagnose,
) -> anyhow::Result<()> {
    if options.json {
        let mut document = analysis::to_json(report, analysis.strings());
        document["cut_short"] = cut_short.into();
        return Ok(super::print(&format!("{document:#}\n"))?);
    }
    let style = report::Style::of_stdout(options.all);
    super::print(&report::render(report, title, cut_short.as_deref(), &style))?;
    if options.annotations {
        super::print(&annotations::render(report))?;
    }
    Ok(())
}

/// Which finding makes the exit code 1, in words.
fn fails(report: &Report, fail_on: Option<&FailOn>, baseline: Option<&Baseline>) -> Option<String> {
    let fail_on = fail_on?;
    let new = |finding: &Finding| baseline.is_none_or(|known| known.is_new_or_worse(finding));
    // What a symptom tells is told by its cause, too; by name, it counts all the same.
    let mut failing = report
        .findings()
        .map(|(_, finding)| finding)
        .filter(|finding| fail_on.names(finding.kind) && new(finding));
    let first = failing.next()?;
    let more = failing.count();
    let what = if baseline.is_some() { "new or worse: " } else { "" };
    let others = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("{what}{} of {}{others}", first.kind, first.about))
}

fn read_baseline(path: &Path) -> Result<Baseline, Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("cannot use {} as a baseline: {error}", path.display()))
    };
    let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
    Baseline::from_json(&text).map_err(|error| failed(&error))
}

/// Why not all was seen that there was to see.
fn cut_short(ending: &Ending) -> Option<String> {
    match ending {
        Ending::EndOfFile { truncated: true } => {
            Some("the trace breaks off before its end".to_owned())
        }
        Ending::Failed(why) => Some(why.clone()),
        Ending::TargetGone => Some("the process ended meanwhile".to_owned()),
        _ => None,
    }
}

/// Nothing was seen at all.
fn nothing(title: &str, ending: Ending, must_judge: bool) -> anyhow::Result<Exit> {
    let failure = match ending {
        Ending::CommandEnded(end) => nothing_of_command(title, &end),
        Ending::Failed(why) => Failure::local_io(format!("{title}: {why}")),
        Ending::EndOfFile { .. } => Failure::local_io(format!("{title} is an empty trace")),
        Ending::TargetGone => Failure::target(format!("{title} ended before it told anything")),
        Ending::Finished => Failure::target(format!("{title} has no runtime to diagnose")),
    };
    if must_judge && failure.exit() != Exit::Command {
        return Err(Failure::new(Exit::Unjudged, format!("{failure}")).into());
    }
    Err(failure.into())
}

/// The failure of the target itself, after something was seen of it.
fn exit(title: &str, ending: Ending, interrupted: bool) -> Result<(), Failure> {
    let title = text::clean(title);
    match ending {
        Ending::CommandEnded(end) if !end.success && !interrupted => {
            Err(Failure::new(Exit::Command, format!("`{title}` failed with {}", end.status)))
        }
        Ending::Failed(why) => Err(Failure::local_io(format!("{title}: {why}"))),
        Ending::TargetGone => Err(Failure::target(format!("{title} ended meanwhile"))),
        _ => Ok(()),
    }
}
