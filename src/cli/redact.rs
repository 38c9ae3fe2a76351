//! `--redact`: the key, the map in a file that only its owner may read, and answers that are searched before they are written.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use rdpwhy::Analysis;
use rdpwhy::exchange;
use rdpwhy::read::Inventory;
use rdpwhy::read::facts::open_bytes;
use rdpwhy::read::inputs::shown;
use rdpwhy::redact::{Left, Map, Redact, Redaction, Search, key_of};
use rdpwhy::report::parquet;
use rdpwhy::report::safe::printable;

use super::answers::{Begun, not_written};
use super::arguments::Redacted;
use super::format::{Format, Shape};
use super::output::{Output, Partials, identity, overwritten};
use super::{complain, status};

/// Bytes of a key: fewer could be guessed, more are no key.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=65_536;
/// Bytes of a map.
const MAP_BYTES_MAX: usize = 1 << 30;

/// What is asked for, before anything is read, with a map that takes the place of no input and of no answer; `None` where
/// nothing is to be redacted. Complains of what cannot be done.
pub(super) fn ready<'p>(
    asked_for: &Redacted,
    inventory: Option<&Inventory>,
    answers: impl Iterator<Item = &'p Path>,
) -> Result<Option<Redact>, ExitCode> {
    let redact = asked(asked_for)?;
    check(asked_for, inventory, answers).map(|()| redact)
}

/// The map of an earlier run, or a new one with the key that was given or with one
/// drawn at random.
fn asked(asked: &Redacted) -> Result<Option<Redact>, ExitCode> {
    let Some(map) = asked.redact_map.as_deref().filter(|_| asked.redact) else { return Ok(None) };
    let key = match asked.redact_key.as_deref().map(key).transpose() {
        Ok(key) => key,
        Err(wrong) => return Err(complain(&wrong, status::NOTHING)),
    };
    let earlier = match earlier(map) {
        Ok(earlier) => earlier,
        Err(refused) => return Err(complain(&refused, status::NOT_WRITTEN)),
    };
    if let Some(earlier) = earlier {
        let differs = match (key, asked.redact_shift) {
            (Some(key), _) if key != earlier.key => Some("another key than --redact-key"),
            (_, Some(shift)) if shift != earlier.shift_ns => Some("another shift than --redact-shift"),
            _ => None,
        };
        return match differs {
            Some(differs) => {
                let text =
                    format!("{} was made with {differs}: choose another FILE for --redact-map", name(map));
                Err(complain(&text, status::NOT_WRITTEN))
            }
            None => Ok(Some(Redact { map: earlier, is_key_fixed: true })),
        };
    }
    let is_key_fixed = key.is_some();
    let mut drawn = [0; 32];
    if let (None, Err(error)) = (key, getrandom::fill(&mut drawn)) {
        return Err(complain(&format!("the system gives no random key: {error}"), status::NOT_WRITTEN));
    }
    let shift_ns = asked.redact_shift.unwrap_or(0);
    Ok(Some(Redact { map: Map { key: key.unwrap_or(drawn), shift_ns, names: Vec::new() }, is_key_fixed }))
}

fn name(path: &Path) -> String {
    printable(&shown(path)).into_owned()
}

fn bytes_of(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    open_bytes(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn key(path: &Path) -> Result<[u8; 32], String> {
    match bytes_of(path, *KEY_BYTES.end()) {
        Err(error) => Err(format!("{}: cannot read: {error}", name(path))),
        Ok(bytes) if !KEY_BYTES.contains(&bytes.len()) => {
            Err(format!("{}: expected a key of 16 to 65536 bytes, found {}", name(path), bytes.len()))
        }
        Ok(bytes) => Ok(key_of(&bytes)),
    }
}

/// Where nothing has the name or address that was asked for, it may be that of a redacted answer.
pub(super) fn hint(is_redacted: bool) {
    let map = match is_redacted {
        true => "the map of that answer, given to --redact-map, leads back",
        false => {
            "the map of that answer names the real one, and with --redact and --redact-map its pseudonyms can be asked for"
        }
    };
    // Standard error that is closed leaves nobody to tell.
    let _ = writeln!(
        io::stderr(),
        "note: nothing is as asked; if what is asked for is a pseudonym of a redacted answer, {map}"
    );
}

/// What a name, an address or an id of a redacted answer really is, by the map of that answer.
pub(super) fn meant(text: &str, map: &Path) -> Result<String, ExitCode> {
    match earlier(map) {
        Ok(Some(map)) => Ok(map.real(text)),
        Ok(None) => Err(complain(&format!("{}: there is no such map", name(map)), status::NOTHING)),
        Err(refused) => Err(complain(&refused, status::NOTHING)),
    }
}

/// The map that is there; refuses a file that is none, before hours of reading.
fn earlier(path: &Path) -> Result<Option<Map>, String> {
    // A device takes what it is given.
    if !fs::metadata(path).is_ok_and(|there| there.is_file()) {
        return Ok(None);
    }
    let bytes =
        bytes_of(path, MAP_BYTES_MAX).map_err(|error| format!("{}: cannot read: {error}", name(path)))?;
    let none =
        || format!("{} is there and is no map of --redact: choose another FILE for --redact-map", name(path));
    Map::read(&bytes).map(Some).ok_or_else(none)
}

/// Refuses a map in the place of an input or of an answer.
fn check<'p>(
    asked: &Redacted,
    inventory: Option<&Inventory>,
    mut answers: impl Iterator<Item = &'p Path>,
) -> Result<(), ExitCode> {
    let Some(map) = asked.redact_map.as_deref() else { return Ok(()) };
    let same = |path: &Path| identity(path) == identity(map);
    let key = asked.redact_key.as_deref().is_some_and(same);
    let input = inventory.and_then(|inventory| overwritten(map, inventory)).is_some();
    if key || input || answers.any(same) {
        let text =
            format!("{} is an input, a key or an answer: choose another FILE for --redact-map", name(map));
        return Err(complain(&text, status::NOT_WRITTEN));
    }
    Ok(())
}

/// One file, or standard output, that is made and searched, and not yet seen by anybody.
struct Held {
    name: String,
    out: Output,
    /// What cannot be taken back once it is written.
    bytes: Vec<u8>,
}

impl Held {
    fn make(
        (name, mut out): (String, Output),
        search: &Search,
        write: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<()>,
    ) -> Result<Self, String> {
        let mut bytes = Vec::new();
        let made = match out.is_taken_back() {
            true => searched(&mut out, search, write),
            false => searched(&mut bytes, search, write),
        };
        match made {
            Err(error) => Err(not_written(&name, &error)),
            Ok(Some(left)) => Err(refused(&name, left)),
            Ok(None) => Ok(Self { name, out, bytes }),
        }
    }

    /// Standard output that is closed wants no more.
    fn finish(mut self) -> Result<(), String> {
        match self.out.write_all(&self.bytes).and_then(|()| self.out.finish()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(not_written(&self.name, &error)),
            _ => Ok(()),
        }
    }
}

fn searched(
    out: &mut (impl Write + Send),
    search: &Search,
    write: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<()>,
) -> io::Result<Option<Left>> {
    let mut over = search.over(out);
    write(&mut over)?;
    over.finish()
}

fn refused(name: &str, left: Left) -> String {
    let (class, spelling) = (left.class.name(), left.spelling);
    format!(
        "nothing is written: the answer for {} still has a real {class}, spelled {spelling}; the evidence has it in a place \
         that no pseudonym is given for",
        printable(name)
    )
}

/// Writes the map and then what is held. Tells of what could not be written.
fn all(held: Vec<Held>, asked: &Redacted, redaction: &mut Redaction, partials: &Partials) -> Vec<String> {
    let Some(map) = &asked.redact_map else { return Vec::new() };
    let written = redaction.map().lines().map_err(io::Error::other).and_then(|lines| {
        let mut out = Output::owned(map, partials)?;
        out.write_all(&lines)?;
        out.finish()
    });
    if let Err(error) = written {
        return vec![not_written(&shown(map), &error)];
    }
    held.into_iter().filter_map(|held| held.finish().err()).collect()
}

fn search(redaction: &mut Redaction) -> Result<Search, Vec<String>> {
    redaction.search().map_err(|error| vec![format!("nothing is written: {error}")])
}

/// Makes all answers, searches them for real names, and only then lets the map and them be written. Tells of what is left.
pub(super) fn write(
    begun: Vec<Begun>,
    analysis: &Analysis,
    shape: &Shape<'_>,
    asked: &Redacted,
    redaction: &mut Redaction,
    partials: &Partials,
) -> Vec<String> {
    let search = match search(redaction) {
        Ok(search) => search,
        Err(refused) => return refused,
    };
    let mut made = Vec::new();
    for Begun { format, to_stdout, name, parts } in begun {
        for (table, out) in parts {
            let held = match table {
                None => Held::make((name.clone(), out), &search, &mut |to| {
                    format.write(to, analysis, shape, to_stdout)
                }),
                // What stands in a column is compressed: its rows are searched instead.
                Some(table) => match searched(&mut io::sink(), &search, &mut |to| {
                    parquet::write_rows(to, analysis, table)
                }) {
                    Ok(None) => {
                        unsearched((name.clone(), out), &mut |to| parquet::write(to, analysis, table))
                    }
                    Ok(Some(left)) => Err(refused(&name, left)),
                    Err(error) => Err(not_written(&name, &error)),
                },
            };
            match held {
                Ok(held) => made.push(held),
                Err(refused) => return vec![refused],
            }
        }
    }
    all(made, asked, redaction, partials)
}

fn unsearched(
    (name, mut out): (String, Output),
    write: &mut dyn FnMut(&mut (dyn Write + Send)) -> io::Result<()>,
) -> Result<Held, String> {
    let mut bytes = Vec::new();
    let written = if out.is_taken_back() { write(&mut out) } else { write(&mut bytes) };
    written.map_err(|error| not_written(&name, &error))?;
    Ok(Held { name, out, bytes })
}

/// The same for text on standard output.
pub(super) fn print(text: &str, asked: &Redacted, redaction: &mut Redaction) -> Vec<String> {
    let partials = Partials::default();
    let held = Output::to(None, &partials).map_err(|error| vec![not_written("standard output", &error)]);
    let made = held.and_then(|out| {
        let search = search(redaction)?;
        Held::make(("standard output".to_owned(), out), &search, &mut |to| to.write_all(text.as_bytes()))
            .map_err(|refused| vec![refused])
    });
    match made {
        Ok(held) => all(vec![held], asked, redaction, &partials),
        Err(refused) => refused,
    }
}

/// The same for facts; those of a table are searched as lines.
pub(super) fn facts(
    (name, out): (String, Output),
    format: Format,
    part: &exchange::Part,
    (asked, redaction, partials): (&Redacted, &mut Redaction, &Partials),
) -> Vec<String> {
    let search = match search(redaction) {
        Ok(search) => search,
        Err(refused) => return refused,
    };
    let mut lines = |mut to: &mut (dyn Write + Send)| exchange::write_part(&mut to, part);
    let made = match format {
        Format::Parquet => match searched(&mut io::sink(), &search, &mut lines) {
            Ok(None) => unsearched((name, out), &mut |to| {
                let mut table = exchange::Tabled::new(to)?;
                exchange::write_part(&mut table, part)?;
                table.finish()
            }),
            Ok(Some(left)) => Err(refused(&name, left)),
            Err(error) => Err(not_written(&name, &error)),
        },
        _ => Held::make((name, out), &search, &mut lines),
    };
    match made {
        Ok(held) => all(vec![held], asked, redaction, partials),
        Err(refused) => vec![refused],
    }
}
