//! `rdpwhy slice`: the packets of one session into a file of their own.

use std::process::ExitCode;

use rdpwhy::Analysis;
use rdpwhy::read::inputs::shown;
use rdpwhy::report::safe::printable;
use rdpwhy::report::slice::{Kept, Slice, Unfound, Written, find, queries, slice};

use super::answers::{self, Answer};
use super::arguments::{Keep, SliceOf};
use super::format::Format;
use super::output::{Output, Partials};
use super::progress::{Bar, Progress};
use super::{
    complain, inventory, nothing, or_without_keys, print, redact, status, tell, unread_key_logs, written_or,
};

/// Finds the session, reads its captures again and writes its packets.
pub(super) fn run(arguments: &SliceOf) -> ExitCode {
    if arguments.redact {
        let text = "a slice holds packets as they were, with every name in them: --redact is of `analyze`, `diagnose`, \
                    `facts` and `inputs`";
        return complain(text, status::NOTHING);
    }
    if arguments.output.as_os_str() == "-" {
        let text = "a slice goes to a file only, as what it holds is told on standard output: give a FILE to --output";
        return complain(text, status::NOTHING);
    }
    let session = match arguments.redact_map.as_deref().map(|map| redact::meant(&arguments.session, map)) {
        None => arguments.session.clone(),
        Some(Ok(session)) => session,
        Some(Err(refused)) => return refused,
    };
    let inventory = inventory(&arguments.given, &arguments.working);
    let unread = unread_key_logs(&inventory);
    let answer = Answer { format: Format::Text, file: Some(arguments.output.clone()) };
    if let Err(refused) = answers::check(&[answer], &inventory) {
        return complain(&refused, status::NOT_WRITTEN);
    }
    let (progress, partials) = (Progress::default(), Partials::default());
    partials.on_interrupt(&progress);
    let loud = (arguments.working.quiet, arguments.verbose);
    let bar = Bar::over(("reading", &inventory, 1), &progress, loud);
    let mut analysis = rdpwhy::analyze_inventory(inventory, &bar);
    bar.done();
    if !analysis.is_readable() {
        tell(&analysis.notes, &analysis.inventory);
        return nothing(&arguments.given, &analysis.inventory);
    }
    let index = match find(&analysis, &session) {
        Ok(index) => index,
        Err(unfound) => return complain(&unfound_text(arguments, &unfound), status::NOTHING),
    };
    let kept = Kept { names: arguments.names == Keep::Keep, secrets: arguments.secrets == Keep::Keep };
    let bar = Bar::over(("reading again", &analysis.inventory, 3), &progress, loud);
    let Some(slice) = slice(&analysis, index, kept, &bar) else { return ExitCode::from(status::NOTHING) };
    let (found, notes) = (slice.packets(), slice.notes.clone());
    let written = if found > 0 { Some(write(arguments, &slice, &bar, &partials)) } else { None };
    bar.done();
    let answer = match written {
        None => {
            analysis.notes.extend(notes);
            told(arguments, &analysis);
            return complain(&no_packets(&analysis, index), status::NOTHING);
        }
        Some(Ok(written)) => slice.told(written, &shown(&arguments.output)),
        Some(Err(error)) => return written_or(Err(error), || ExitCode::SUCCESS),
    };
    analysis.notes.extend(notes);
    told(arguments, &analysis);
    or_without_keys(&unread, written_or(print(answer.as_bytes()), || ExitCode::SUCCESS))
}

fn told(arguments: &SliceOf, analysis: &Analysis) {
    if !arguments.working.quiet {
        tell(&analysis.notes, &analysis.inventory);
    }
}

fn write(arguments: &SliceOf, slice: &Slice<'_>, bar: &Bar, partials: &Partials) -> std::io::Result<Written> {
    let mut out = Output::to(Some(&arguments.output), partials)?;
    let written = slice.write(bar, &mut out)?;
    out.finish()?;
    Ok(written)
}

fn unfound_text(arguments: &SliceOf, unfound: &Unfound) -> String {
    let asked = printable(&arguments.session);
    let hint = match arguments.redact_map {
        Some(_) => "",
        None => "\nif the id is of an answer made with --redact, give its map with --redact-map",
    };
    let list = |ids: &[String]| {
        ids.iter().map(|id| format!("\n  {}", printable(id))).collect::<Vec<String>>().concat()
    };
    match unfound {
        Unfound::Several(ids) => {
            format!("several sessions begin with {asked}, give more of the id:{}", list(ids))
        }
        Unfound::Nothing(ids) if ids.is_empty() => format!("no session {asked}: the inputs hold none"),
        Unfound::Nothing(ids) => format!("no session {asked}; the nearest ids:{}{hint}", list(ids)),
    }
}

fn no_packets(analysis: &Analysis, index: usize) -> String {
    let id = analysis.story.sessions.get(index).map_or("", |session| session.id.as_str());
    let records = analysis.story.sessions.get(index).map(|session| {
        let best = analysis.verdicts.get(index).and_then(|verdicts| verdicts.first());
        queries(analysis, session, best)
    });
    let records: Vec<String> =
        records.unwrap_or_default().iter().map(|query| format!("\n  {query}")).collect();
    let text = format!("no packets of session {} in the inputs, nothing was written", printable(id));
    if records.is_empty() { text } else { format!("{text}; its records:{}", records.concat()) }
}
