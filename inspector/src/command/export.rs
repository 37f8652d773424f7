//! `export`: a trace in another format, or a part of it.
//!
//! Reads what `replay` reads and writes what `record` writes. Nothing is looked at but the times of events: the rest of a
//! frame goes through as it is.

mod window;

use super::record::output::Output;
use crate::failure::{Exit, Failure};
use crate::options;
use crate::source::{self, Ending, ProgramOutput, Update};
use crate::text;
use anyhow::Context;
use nexus_protocol::frame::ServerFrame;
use nexus_protocol::trace::{Summary, Writer};
use window::Window;

/// Exports a trace.
pub(crate) fn run(options: &options::Export) -> anyhow::Result<Exit> {
    let mut output = Output::create(&options.output)?;
    let opened = match source::open(&options.target, source::EVERYTHING, ProgramOutput::ToStderr) {
        Ok(opened) => opened,
        Err(failure) => {
            output.discard();
            return Err(failure.into());
        }
    };
    let mut writer = Writer::new(options.format, &mut output);
    let mut window = Window::new(options.from, options.to);
    let mut begun = false;
    let outcome: anyhow::Result<Ending> = (|| {
        for update in &opened.running.updates {
            match update {
                Update::Frame(frame) => {
                    begun |= matches!(frame, ServerFrame::Hello { .. });
                    for frame in window.pass(frame) {
                        writer.frame(&frame).context("cannot write the trace")?;
                    }
                }
                Update::Ended(ending) => return Ok(ending),
            }
        }
        Ok(Ending::Failed("the source broke down".to_owned()))
    })();
    let finished = outcome.and_then(|ending| {
        let summary = begun.then(|| writer.finish().context("cannot write the end of the trace"));
        Ok((ending, summary.transpose()?))
    });
    let (ending, summary) = finished.map_err(|error| output.explain(error))?;
    let title = text::clean(&opened.running.title);
    let Some(summary) = summary else {
        output.discard();
        let why = match ending {
            Ending::Failed(why) => why,
            _ => "it breaks off before its first event".to_owned(),
        };
        return Err(Failure::local_io(format!("{title}: {why}")).into());
    };
    super::tell(&describe(&summary, &output));
    match ending {
        Ending::Failed(why) => {
            Err(Failure::local_io(format!("{title}: {why}; what comes before that was exported"))
                .into())
        }
        Ending::EndOfFile { truncated: true } => {
            super::tell(&format!("{title} breaks off before its end"));
            Ok(Exit::Fine)
        }
        _ => Ok(Exit::Fine),
    }
}

/// The line that says what was written.
fn describe(summary: &Summary, output: &Output) -> String {
    let mut text = format!(
        "exported {} events, {} lost, {} to {output}",
        text::count(summary.delivered()),
        text::count(summary.lost()),
        text::bytes(output.bytes())
    );
    if summary.filtered() > 0 {
        text += &format!(", {} filtered out", text::count(summary.filtered()));
    }
    text
}
