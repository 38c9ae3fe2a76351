//! The command line: nobody else knows clap or indicatif.

mod arguments;
mod progress;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use rdpwhy::report::safe::printable;
use rdpwhy::report::{input_name, json, text};
use rdpwhy::{Analysis, Options, analyze};

use arguments::{Analyze, Arguments, Command, FailOn, Format};
use progress::Bar;

/// Exit status of the contract.
mod status {
    /// A `--fail-on` condition is met.
    pub(super) const CONDITION: u8 = 1;
    /// Nothing readable, or a usage error.
    pub(super) const NOTHING: u8 = 2;
    /// The answer could not be written.
    pub(super) const NOT_WRITTEN: u8 = 3;
}

/// Parses, runs, prints.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let analyze = match arguments.command {
        Some(Command::Analyze(analyze)) => analyze,
        None => arguments.analyze,
    };
    match analyze.threads {
        Some(threads) => match rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads)).build() {
            Ok(pool) => pool.install(|| run_analyze(&analyze)),
            Err(error) => complain(&format!("cannot start {threads} threads: {error}"), status::NOTHING),
        },
        None => run_analyze(&analyze),
    }
}

fn run_analyze(arguments: &Analyze) -> ExitCode {
    let options = Options { paths: arguments.paths.clone(), key_logs: arguments.keylog.clone() };
    let bar = Bar::over(total_bytes(arguments), arguments.quiet);
    let analysis = analyze(&options, &bar);
    bar.done();
    if !arguments.quiet {
        notes(&analysis);
    }
    if !analysis.inventory.is_readable() {
        return nothing(arguments, &analysis);
    }
    if let Some(input) = arguments.output.as_deref().and_then(|path| overwritten(path, &analysis)) {
        let text = format!(
            "the answer would overwrite the input {}: choose another FILE for --output",
            printable(input)
        );
        return complain(&text, status::NOT_WRITTEN);
    }
    let answer = match format(arguments) {
        Format::Text => Ok(text::answer(&analysis, layout(arguments))),
        Format::Json => json::document(&analysis, &answer_arguments(arguments)),
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return complain(&format!("cannot write the answer: {error}"), status::NOT_WRITTEN),
    };
    match write(arguments.output.as_deref(), &answer) {
        Ok(()) => condition(arguments, &analysis),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => complain(&format!("cannot write the answer: {error}"), status::NOT_WRITTEN),
    }
}

/// Size of the files given, for the bar; folders count when they are walked.
fn total_bytes(arguments: &Analyze) -> u64 {
    let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    arguments.paths.iter().map(|path| size(path)).sum()
}

/// The format asked for, or the one that the ending of the output file names.
fn format(arguments: &Analyze) -> Format {
    let by_ending = arguments.output.as_deref().and_then(Path::extension);
    match (arguments.format, by_ending) {
        (Format::Text, Some(end)) if end.eq_ignore_ascii_case("json") => Format::Json,
        (format, _) => format,
    }
}

fn layout(arguments: &Analyze) -> text::Layout {
    text::Layout { verbose: arguments.verbose, only_failed: arguments.only_failed, ..text::Layout::default() }
}

/// The arguments that change the answer: not paths, whose order does not matter, nor threads.
fn answer_arguments(arguments: &Analyze) -> Vec<String> {
    let mut named = vec!["analyze".to_owned()];
    named.extend(arguments.only_failed.then(|| "--only-failed".to_owned()));
    named
}

fn notes(analysis: &Analysis) {
    let mut err = io::stderr().lock();
    for note in &analysis.notes {
        let input = printable(input_name(analysis, note.place));
        let place = note.place.spot.to_string();
        let at = if place.is_empty() { String::new() } else { format!(" {place}:") };
        // Standard error that is closed leaves nobody to tell.
        let _ = writeln!(err, "note: {input}:{at} {}", printable(&note.text));
    }
}

fn nothing(arguments: &Analyze, analysis: &Analysis) -> ExitCode {
    let paths: Vec<String> = arguments
        .paths
        .iter()
        .map(|path| printable(&rdpwhy::read::inputs::shown(path)).into_owned())
        .collect();
    let others = analysis.inventory.other_files;
    let text = format!(
        "no capture or event log under {} (looked for pcap, pcapng and evtx; {others} other files)",
        paths.join(", ")
    );
    complain(&text, status::NOTHING)
}

fn complain(text: &str, status: u8) -> ExitCode {
    // Standard error that is closed leaves nobody to tell.
    let _ = writeln!(io::stderr(), "error: {text}");
    ExitCode::from(status)
}

/// Writes to standard output, or to a file that appears only when it is whole.
fn write(output: Option<&Path>, answer: &str) -> io::Result<()> {
    let Some(path) = output else {
        let mut out = io::stdout().lock();
        out.write_all(answer.as_bytes())?;
        return out.flush();
    };
    // Only what is a file, or is not there yet, may be replaced: not a link, a device or a pipe.
    if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, answer);
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".part");
    let partial = Path::new(&partial);
    let written = fs::write(partial, answer).and_then(|()| fs::rename(partial, path));
    written.inspect_err(|_| {
        let _ = fs::remove_file(partial);
    })
}

/// The input that stands where the answer is to go.
fn overwritten<'a>(output: &Path, analysis: &'a Analysis) -> Option<&'a str> {
    let target = fs::canonicalize(output).ok()?;
    let same = |input: &&rdpwhy::read::Input| {
        input.path.as_ref().is_some_and(|path| fs::canonicalize(path).is_ok_and(|path| path == target))
    };
    analysis.inventory.inputs.iter().find(same).map(|input| input.shown.as_str())
}

fn condition(arguments: &Analyze, analysis: &Analysis) -> ExitCode {
    let met = |what: &FailOn| match what {
        FailOn::Broke => analysis.story.attempts.iter().any(|attempt| attempt.outcome.is_failure()),
        FailOn::Lost => !analysis.notes.is_empty(),
    };
    if arguments.fail_on.iter().any(met) { ExitCode::from(status::CONDITION) } else { ExitCode::SUCCESS }
}
