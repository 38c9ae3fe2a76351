//! The command line: nobody else knows clap or indicatif.

mod answers;
mod arguments;
mod examples;
mod format;
mod output;
mod progress;
mod redact;
mod slice;
mod terminal;

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use rdpwhy::collect::{PLACES, Place};
use rdpwhy::exchange;
use rdpwhy::explain::explain;
use rdpwhy::note::Note;
use rdpwhy::read::facts;
use rdpwhy::read::inputs::shown;
use rdpwhy::read::{Input, Inventory, Kind};
use rdpwhy::redact::{Redact, Redaction, may_be_pseudonym};
use rdpwhy::report::safe::printable;
use rdpwhy::report::{explained, held};
use rdpwhy::time::{Stretch, Typed};
use rdpwhy::{Analysis, Options, Parts, Selection};

use answers::{Answer, Begun};
use arguments::{
    Analyze, Arguments, Collect, Command, Diagnose, Explain, FactsOf, FailOn, Given, InputsOf, Shown, Working,
};
use format::{Format, Shape};
use output::{Output, Partials};
use progress::{Bar, Progress};

/// Exit status of the contract.
mod status {
    /// A `--fail-on` condition is met.
    pub(super) const CONDITION: u8 = 1;
    /// Nothing readable, or a usage error.
    pub(super) const NOTHING: u8 = 2;
    /// The answer could not be written.
    pub(super) const NOT_WRITTEN: u8 = 3;
    /// Interrupted.
    pub(super) const INTERRUPTED: u8 = 130;
}

/// Parses, runs, prints.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Analyze(analyze)) => on_threads(&analyze.working, || run_analyze(&analyze)),
        Some(Command::Facts(facts)) => on_threads(&facts.working, || run_facts(&facts)),
        Some(Command::Diagnose(diagnose)) => on_threads(&diagnose.working, || run_diagnose(&diagnose)),
        Some(Command::Slice(of)) => on_threads(&of.working, || slice::run(&of)),
        Some(Command::Explain(asked)) => run_explain(&asked),
        Some(Command::Collect(whose)) => run_collect(whose),
        Some(Command::Inputs(inputs)) => on_threads(&inputs.working, || run_inputs(&inputs)),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "rdpwhy", &mut script);
            if shell == clap_complete::Shell::Fish {
                script.extend_from_slice(FISH_SHELLS);
            }
            written_or(print(&script), || ExitCode::SUCCESS)
        }
        Some(Command::Man) => {
            let mut page = Vec::new();
            let made = manual(&mut page);
            written_or(made.and_then(|()| print(&page)), || ExitCode::SUCCESS)
        }
        None => on_threads(&arguments.analyze.working, || run_analyze(&arguments.analyze)),
    }
}

/// What the script for fish leaves out: the values of an argument without a name.
const FISH_SHELLS: &[u8] = b"complete -c rdpwhy -n \"__fish_rdpwhy_using_subcommand completions\" -f -a \"bash elvish fish powershell zsh\"\n";

fn on_threads(working: &Working, act: impl FnOnce() -> ExitCode + Send) -> ExitCode {
    match working.threads {
        Some(threads) => match rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads)).build() {
            Ok(pool) => pool.install(act),
            Err(error) => complain(&format!("cannot start {threads} threads: {error}"), status::NOTHING),
        },
        None => act(),
    }
}

fn inventory(given: &Given, working: &Working) -> Inventory {
    let (paths, key_logs) = (given.paths.clone(), given.keylog.clone());
    let options = Options { paths, key_logs, zip_password: given.zip_password.clone() };
    let mut inventory = rdpwhy::inventory(&options);
    if working.hash {
        inventory.hash();
    }
    inventory
}

fn run_analyze(arguments: &Analyze) -> ExitCode {
    let answers = match answers::answers(&arguments.shown) {
        Ok(answers) => answers,
        Err(wrong) => return complain(&wrong, status::NOTHING),
    };
    let inventory = inventory(&arguments.given, &arguments.working);
    let unread = unread_key_logs(&inventory);
    let files: Vec<_> = answers.iter().flat_map(Answer::files).collect();
    let files = files.iter().map(PathBuf::as_path);
    let redact = match redact::ready(&arguments.shown.redacted, Some(&inventory), files) {
        Ok(redact) => redact,
        Err(refused) => return refused,
    };
    let (progress, partials) = (Progress::default(), Partials::default());
    let begun = match begin(&answers, &progress, &partials, |answers| answers::check(answers, &inventory)) {
        Ok(begun) => begun,
        Err(refused) => return refused,
    };
    let loud = (arguments.working.quiet, arguments.shown.verbose);
    let bar = Bar::over(("reading", &inventory, 1), &progress, loud);
    let (analysis, redaction) = analyzed(inventory, &bar, redact);
    bar.done();
    progress.begin("writing", 0);
    if !arguments.working.quiet {
        tell(&analysis.notes, &analysis.inventory);
    }
    if !analysis.is_readable() {
        return nothing(&arguments.given, &analysis.inventory);
    }
    let code = answer((&arguments.shown, arguments.working.quiet), (begun, &partials), analysis, redaction);
    or_without_keys(&unread, code)
}

/// Key logs that were named and could not be read, each with why: what they open stays closed.
fn unread_key_logs(inventory: &Inventory) -> Vec<String> {
    let is_unread =
        |input: &&Input| input.kind == Kind::Unreadable && inventory.given.1.contains(&input.shown);
    let unread = inventory.inputs.iter().filter(is_unread).map(|input| printable(&input.shown).into_owned());
    unread.collect()
}

/// An answer that was made without a key log that was asked for is given, and told by the exit status.
fn or_without_keys(unread: &[String], code: ExitCode) -> ExitCode {
    for path in unread {
        let text = format!("--keylog {path}: it could not be read, and the answer was made without it");
        complain(&text, status::NOTHING);
    }
    if unread.is_empty() || code != ExitCode::SUCCESS { code } else { ExitCode::from(status::NOTHING) }
}

fn analyzed(inventory: Inventory, bar: &Bar, redact: Option<Redact>) -> (Analysis, Option<Redaction>) {
    match redact {
        Some(redact) => paired(rdpwhy::analyze_redacted(inventory, bar, redact)),
        None => (rdpwhy::analyze_inventory(inventory, bar), None),
    }
}

fn paired<T>((made, redaction): (T, Redaction)) -> (T, Option<Redaction>) {
    (made, Some(redaction))
}

/// Begins the files of the answers, unless one of them is an input.
fn begin(
    answers: &[Answer],
    progress: &Progress,
    partials: &Partials,
    check: impl FnOnce(&[Answer]) -> Result<(), String>,
) -> Result<Vec<Begun>, ExitCode> {
    partials.on_interrupt(progress);
    let begun = check(answers).and_then(|()| answers::begin(answers, partials));
    begun.map_err(|refused| complain(&refused, status::NOT_WRITTEN))
}

fn run_facts(arguments: &FactsOf) -> ExitCode {
    let format = match answers::of_facts(arguments.output.as_ref()) {
        Ok(format) => format,
        Err(wrong) => return complain(&wrong, status::NOTHING),
    };
    let inventory = inventory(&arguments.given, &arguments.working);
    if let Err(refused) = answers::check_file(arguments.output.as_ref(), &inventory) {
        return complain(&refused, status::NOT_WRITTEN);
    }
    let file = arguments.output.as_ref().and_then(|wanted| wanted.file.as_deref());
    let redact = match redact::ready(&arguments.redacted, Some(&inventory), file.into_iter()) {
        Ok(redact) => redact,
        Err(refused) => return refused,
    };
    if !inventory.is_readable() {
        tell(&inventory.notes, &inventory);
        return nothing(&arguments.given, &inventory);
    }
    let (progress, partials) = (Progress::default(), Partials::default());
    partials.on_interrupt(&progress);
    let bar = Bar::over(("reading", &inventory, 1), &progress, (arguments.working.quiet, false));
    let unread = unread_key_logs(&inventory);
    if let Some(redact) = redact {
        return or_without_keys(
            &unread,
            redacted_facts(arguments, (format, inventory, redact), &bar, &partials),
        );
    }
    let written = Output::to(file, &partials).and_then(|mut out| {
        let notes = match format {
            Format::Parquet => {
                let mut table = exchange::Tabled::new(&mut out)?;
                let notes = rdpwhy::write_facts(&inventory, &bar, &mut table)?;
                table.finish().map(|()| notes)
            }
            _ => rdpwhy::write_facts(&inventory, &bar, &mut out),
        };
        let notes = notes?;
        out.finish().map(|()| notes)
    });
    bar.done();
    if let (Ok(notes), false) = (&written, arguments.working.quiet) {
        tell(notes, &inventory);
    }
    or_without_keys(&unread, written_or(written.map(|_| ()), || ExitCode::SUCCESS))
}

fn redacted_facts(
    arguments: &FactsOf,
    (format, inventory, redact): (Format, Inventory, Redact),
    bar: &Bar,
    partials: &Partials,
) -> ExitCode {
    let file = arguments.output.as_ref().and_then(|wanted| wanted.file.as_deref());
    let name = file.map_or_else(|| "standard output".to_owned(), shown);
    let out = match Output::to(file, partials) {
        Ok(out) => out,
        Err(error) => return complain(&answers::not_written(&name, &error), status::NOT_WRITTEN),
    };
    let (part, mut redaction) = rdpwhy::redacted_facts(inventory, bar, redact);
    bar.done();
    if !arguments.working.quiet {
        let inputs = part.inputs.iter().map(|(input, _)| input.clone()).collect();
        tell(&part.notes, &Inventory { inputs, ..Inventory::default() });
    }
    let failed = redact::facts((name, out), format, &part, (&arguments.redacted, &mut redaction, partials));
    all_written(&failed, || ExitCode::SUCCESS)
}

fn run_diagnose(arguments: &Diagnose) -> ExitCode {
    let answers = match answers::answers(&arguments.shown) {
        Ok(answers) => answers,
        Err(wrong) => return complain(&wrong, status::NOTHING),
    };
    let files: Vec<_> =
        answers.iter().flat_map(Answer::files).chain(arguments.facts.iter().cloned()).collect();
    let files = files.iter().map(PathBuf::as_path);
    let redact = match redact::ready(&arguments.shown.redacted, None, files) {
        Ok(redact) => redact,
        Err(refused) => return refused,
    };
    let (progress, partials) = (Progress::default(), Partials::default());
    progress.begin("reading facts", 0);
    let check = |answers: &[Answer]| answers::check_paths(answers, &arguments.facts);
    let begun = match begin(&answers, &progress, &partials, check) {
        Ok(begun) => begun,
        Err(refused) => return refused,
    };
    let mut parts = Parts::default();
    let mut given = BTreeSet::new();
    let own = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    for path in arguments.facts.iter().filter(|path| given.insert(own(path))) {
        let read =
            silently(|| facts::open(path).map_err(exchange::ExchangeError::Io).and_then(exchange::read_file));
        match read {
            Ok(part) => parts.add(part),
            Err(error) => {
                let text = no_facts(path, &error);
                return complain(&text, status::NOTHING);
            }
        }
    }
    let parts = parts.all();
    let (analysis, redaction) = match redact {
        Some(redact) => paired(rdpwhy::diagnose_redacted(parts, redact)),
        None => (rdpwhy::diagnose(parts), None),
    };
    if !arguments.working.quiet {
        tell(&analysis.notes, &analysis.inventory);
    }
    answer((&arguments.shown, arguments.working.quiet), (begun, &partials), analysis, redaction)
}

/// Why a file is no file of facts: evidence itself is what `analyze` takes.
fn no_facts(path: &Path, error: &exchange::ExchangeError) -> String {
    let held = rdpwhy::inventory(&Options { paths: vec![path.to_owned()], ..Options::default() });
    let kind = held.inputs.first().filter(|_| held.is_readable()).map(|input| input.kind.name());
    let (path, error) = (shown(path), error.to_string());
    match kind {
        Some(kind) => format!(
            "{}: this is evidence ({kind}) and no file of facts: `rdpwhy analyze` takes it, `rdpwhy facts` makes facts of it",
            printable(&path)
        ),
        None => format!("{}: {}", printable(&path), printable(&error)),
    }
}

/// What a package says when it panics on a damaged file is said by us, in one line.
fn silently<T>(act: impl FnOnce() -> T) -> T {
    let loud = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let done = act();
    panic::set_hook(loud);
    done
}

fn run_inputs(arguments: &InputsOf) -> ExitCode {
    let inventory = inventory(&arguments.given, &arguments.working);
    let redact = match redact::ready(&arguments.redacted, Some(&inventory), std::iter::empty()) {
        Ok(redact) => redact,
        Err(refused) => return refused,
    };
    let progress = Progress::default();
    Partials::default().on_interrupt(&progress);
    let bar = Bar::over(("reading", &inventory, 1), &progress, (arguments.working.quiet, false));
    let unread = unread_key_logs(&inventory);
    let (analysis, redaction) = analyzed(inventory, &bar, redact);
    bar.done();
    let readable = analysis.inventory.is_readable();
    let text = held::text(&analysis);
    if let Some(mut redaction) = redaction {
        let failed = redact::print(&text, &arguments.redacted, &mut redaction);
        let code =
            all_written(
                &failed,
                || {
                    if readable { ExitCode::SUCCESS } else { ExitCode::from(status::NOTHING) }
                },
            );
        return or_without_keys(&unread, code);
    }
    let code = written_or(print(text.as_bytes()), || {
        if readable { ExitCode::SUCCESS } else { ExitCode::from(status::NOTHING) }
    });
    or_without_keys(&unread, code)
}

/// The page of the program, and behind it one of each command.
fn manual(page: &mut Vec<u8>) -> io::Result<()> {
    let mut program = Arguments::command();
    program.build();
    clap_mangen::Man::new(program.clone()).render(page)?;
    for command in program.get_subcommands().filter(|command| command.get_name() != "help") {
        clap_mangen::Man::new(command.clone()).render(page)?;
    }
    Ok(())
}

fn run_explain(asked: &Explain) -> ExitCode {
    let mut words = Vec::new();
    for word in &asked.words {
        match word.as_str() {
            "-" => match typed() {
                Ok((text, is_cut)) => {
                    if is_cut {
                        let _ = writeln!(
                            io::stderr(),
                            "note: -: standard input is longer than {TYPED_MAX} bytes: what comes behind them is not looked at"
                        );
                    }
                    words.push(text);
                }
                Err(error) => {
                    return complain(&format!("cannot read standard input: {error}"), status::NOTHING);
                }
            },
            _ => words.push(word.clone()),
        }
    }
    let told = explain(&words);
    let known = told.iter().any(|one| !one.says.is_empty());
    let written = print(explained::text(&told).as_bytes());
    written_or(written, || if known { ExitCode::SUCCESS } else { ExitCode::from(status::NOTHING) })
}

/// Bytes of a text on standard input that are looked at.
const TYPED_MAX: u64 = 64 * 1024;

/// The text on standard input, UTF-8 or UTF-16 as PowerShell writes it into files, and whether more came than is looked at.
fn typed() -> io::Result<(String, bool)> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(TYPED_MAX + 1).read_to_end(&mut bytes)?;
    let whole = bytes.len();
    bytes.truncate(usize::try_from(TYPED_MAX).unwrap_or(usize::MAX));
    let is_cut = bytes.len() < whole;
    let text = match bytes.strip_prefix(&[0xff, 0xfe]) {
        Some(wide) => {
            let units = wide.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        None => String::from_utf8_lossy(&bytes).into_owned(),
    };
    Ok((text, is_cut))
}

fn run_collect(whose: Collect) -> ExitCode {
    let Collect { client, server, gateway, broker } = whose;
    let asked = |place: &Place| match place {
        Place::Client => client,
        Place::Server => server,
        Place::Gateway => gateway,
        Place::Broker => broker,
    };
    let all = !(client || server || gateway || broker);
    let scripts: Vec<String> =
        PLACES.iter().filter(|place| all || asked(place)).map(|place| titled(*place, all)).collect();
    written_or(print(scripts.join("\n").as_bytes()), || ExitCode::SUCCESS)
}

/// Several scripts are told apart by a line; a single one can go straight into a file.
fn titled(place: Place, several: bool) -> String {
    let script = place.powershell();
    if several {
        format!("# ===== {0}.ps1 (alone: rdpwhy collect --{0} > {0}.ps1)\n{script}", place.name())
    } else {
        script
    }
}

fn print(text: &[u8]) -> io::Result<()> {
    let mut out = Output::to(None, &Partials::default())?;
    out.write_all(text)?;
    out.finish()
}

/// Writes the answers and tells by the exit status what they are.
fn answer(
    (shown, is_quiet): (&Shown, bool),
    (begun, partials): (Vec<Begun>, &Partials),
    mut analysis: Analysis,
    mut redaction: Option<Redaction>,
) -> ExitCode {
    let mut asked = selection(shown);
    match &mut redaction {
        None => analysis.select(&asked),
        Some(redaction) => {
            for end in [&mut asked.client, &mut asked.server, &mut asked.user].into_iter().flatten() {
                *end = redaction.meant(end);
            }
            compared(&mut asked, redaction);
            analysis.select_by(&asked, &|name| redaction.real_name(name));
            told(&mut asked, redaction);
        }
    }
    let ends = [&shown.client, &shown.server, &shown.user];
    if !is_quiet
        && analysis.story.attempts.is_empty()
        && ends.into_iter().flatten().any(|end| may_be_pseudonym(end))
    {
        redact::hint(redaction.is_some());
    }
    let is_shifted = redaction.as_ref().is_some_and(Redaction::is_shifted);
    let shape = Shape {
        arguments: &answer_arguments(shown, &asked, is_shifted),
        stdout: terminal::stdout(shown),
        file: terminal::file(shown),
    };
    let failed = match &mut redaction {
        Some(redaction) => redact::write(begun, &analysis, &shape, &shown.redacted, redaction, partials),
        None => answers::write(begun, &analysis, &shape),
    };
    all_written(&failed, || condition(shown, &analysis))
}

fn all_written(failed: &[String], then: impl FnOnce() -> ExitCode) -> ExitCode {
    for one in failed {
        complain(one, status::NOT_WRITTEN);
    }
    if failed.is_empty() { then() } else { ExitCode::from(status::NOT_WRITTEN) }
}

/// Who asks knows the real names and times: times and addresses are compared with those of the answer.
fn compared(asked: &mut Selection, redaction: &mut Redaction) {
    let Selection { at, client, server, timeline, .. } = asked;
    for time in
        [at.as_mut().map(|(at, _)| at), timeline.from.as_mut(), timeline.until.as_mut()].into_iter().flatten()
    {
        *time = redaction.asked_time(*time);
    }
    for end in [client, server].into_iter().flatten() {
        if end.parse::<IpAddr>().is_ok() {
            *end = redaction.asked(end);
        }
    }
}

/// Names are compared as they are, and told as pseudonyms.
fn told(asked: &mut Selection, redaction: &mut Redaction) {
    if let Some(user) = &mut asked.user {
        *user = redaction.asked_user(user);
    }
    for end in [&mut asked.client, &mut asked.server].into_iter().flatten() {
        if end.parse::<IpAddr>().is_err() {
            *end = redaction.asked(end);
        }
    }
}

fn written_or(written: io::Result<()>, then: impl FnOnce() -> ExitCode) -> ExitCode {
    match written {
        Ok(()) => then(),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => complain(&format!("cannot write the answer: {error}"), status::NOT_WRITTEN),
    }
}

fn selection(shown: &Shown) -> Selection {
    let moment = |typed: Typed| typed.moment(&shown.timezone);
    Selection {
        at: shown.at.map(|(typed, window)| (moment(typed), window)),
        client: shown.client.clone(),
        server: shown.server.clone(),
        user: shown.user.clone(),
        said: shown.said,
        timeline: Stretch { from: shown.timeline_start.map(moment), until: shown.timeline_end.map(moment) },
    }
}

/// The arguments that change the answer: not paths, whose order does not matter, nor threads.
fn answer_arguments(shown: &Shown, asked: &Selection, is_shifted: bool) -> Vec<String> {
    let mut named = vec!["analyze".to_owned()];
    named.extend(shown.only_failed.then(|| "--only-failed".to_owned()));
    named.extend(shown.redacted.redact.then(|| "--redact".to_owned()));
    // By how much, the map tells.
    named.extend(is_shifted.then(|| "--redact-shift".to_owned()));
    named.extend(asked.at.map(|(at, window)| format!("--at={at}+-{}s", window / 1_000_000_000)));
    named.extend(asked.said.map(|said| match said.extended {
        Some(extended) => format!("--said={:#x} {extended:#x}", said.code),
        None => format!("--said={:#x}", said.code),
    }));
    let ends = [("start", asked.timeline.from), ("end", asked.timeline.until)];
    named.extend(ends.iter().filter_map(|(name, at)| Some(format!("--timeline-{name}={}", (*at)?))));
    let text = [("client", &asked.client), ("server", &asked.server), ("user", &asked.user)];
    named.extend(text.iter().filter_map(|(name, value)| Some(format!("--{name}={}", value.as_ref()?))));
    named
}

fn tell(notes: &[Note], inventory: &Inventory) {
    let mut err = io::stderr().lock();
    for note in notes {
        let index = usize::try_from(note.place.input_index).unwrap_or(usize::MAX);
        let input = printable(inventory.inputs.get(index).map_or("", |input| input.shown.as_str()));
        let place = note.place.spot.to_string();
        let at = if place.is_empty() { String::new() } else { format!(" {place}:") };
        // Standard error that is closed leaves nobody to tell.
        let _ = writeln!(err, "note: {input}:{at} {}", printable(&note.text));
    }
}

fn nothing(given: &Given, inventory: &Inventory) -> ExitCode {
    let paths: Vec<String> = given.paths.iter().map(|path| printable(&shown(path)).into_owned()).collect();
    if inventory.is_readable() {
        let text = format!("nothing could be read of what {} holds", paths.join(", "));
        return complain(&text, status::NOTHING);
    }
    let others = inventory.other_files;
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

fn condition(shown: &Shown, analysis: &Analysis) -> ExitCode {
    let met = |what: &FailOn| match what {
        FailOn::Broke => analysis.story.attempts.iter().any(|attempt| attempt.outcome.is_failure()),
        FailOn::Lost => !analysis.notes.is_empty(),
    };
    if shown.fail_on.iter().any(met) { ExitCode::from(status::CONDITION) } else { ExitCode::SUCCESS }
}
