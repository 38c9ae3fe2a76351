//! Facts to JSON lines or a Parquet file and back: what crosses machines when evidence is read in one place and judged in another.
//!
//! The first line names the format and its version, the last one counts what stands before it, so that a file that was
//! cut is known. Between them stand connections, facts, and at the end inputs, sources and notes, each on a line of its
//! own. Indices of inputs and sources are those of the run that wrote the file; who reads several files numbers anew.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use parquet::file::reader::ChunkReader;
use serde::Serialize;

use crate::fact::{Connection, FACTS_MAX, Fact, Subject};
use crate::note::Note;
use crate::read::facts::FactsFile;
use crate::read::{Counts, Input, Source};

pub mod columns;
mod fact_line;
mod line;
mod tabled;

pub use tabled::Tabled;

use line::{ConnectionLine, FactLine, Head, InputLine, Line, NoteLine, SourceLine, Totals};

/// Version of the format; a reader refuses any other.
pub const VERSION: u32 = 1;
/// Bytes of one line.
const LINE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Writes the first line.
///
/// # Errors
/// When it cannot be written.
pub fn write_head(out: &mut impl Write) -> io::Result<()> {
    write_head_of(out, None)
}

fn write_head_of(out: &mut impl Write, hosts: Option<&[String]>) -> io::Result<()> {
    let redacted = hosts.is_some();
    let hosts = hosts.unwrap_or_default().to_vec();
    let tool = concat!("rdpwhy ", env!("CARGO_PKG_VERSION")).to_owned();
    write_line(out, &Line::Facts(Head { version: VERSION, tool, redacted, hosts }))
}

/// Writes inputs, sources and notes, and the last line. `facts` is how many were written before.
///
/// # Errors
/// When they cannot be written.
pub fn write_end(
    out: &mut impl Write,
    inputs: &[(&Input, Option<&Counts>)],
    sources: &[Source],
    notes: &[Note],
    facts: u64,
) -> io::Result<()> {
    for (number, (input, counts)) in (0..).zip(inputs) {
        write_line(out, &Line::Input(InputLine::of(number, input, *counts)))?;
    }
    for (number, source) in (0..).zip(sources) {
        write_line(out, &Line::Source(SourceLine::of(number, source)))?;
    }
    for note in notes {
        write_line(out, &Line::Note(NoteLine::of(note)))?;
    }
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    let totals = Totals { inputs: count(inputs.len()), facts, notes: count(notes.len()) };
    write_line(out, &Line::End(totals))
}

/// Writes everything that one file holds.
///
/// # Errors
/// When it cannot be written.
pub fn write_part(out: &mut impl Write, part: &Part) -> io::Result<()> {
    write_head_of(out, part.hosts.as_deref())?;
    let mut facts = Facts::default();
    let mut line = Vec::new();
    for fact in &part.facts {
        facts.write(&mut line, fact)?;
        out.write_all(&line)?;
        line.clear();
    }
    let inputs: Vec<(&Input, Option<&Counts>)> =
        part.inputs.iter().map(|(input, counts)| (input, counts.as_ref())).collect();
    write_end(out, &inputs, &part.sources, &part.notes, facts.written)
}

fn write_line(out: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// Writes the facts of one source or log, in the order in which they are given.
#[derive(Debug, Default)]
pub struct Facts {
    connection: Option<Arc<Connection>>,
    connections: u32,
    /// For one value at a time.
    text: String,
    /// How many were written.
    pub written: u64,
}

impl Facts {
    /// Writes one fact, and before it the connection that it is about, when the last one was about another.
    ///
    /// # Errors
    /// When the lines cannot be written.
    pub fn write(&mut self, out: &mut Vec<u8>, fact: &Fact) -> io::Result<()> {
        let connection = match &fact.subject {
            Subject::Connection(connection) => Some(self.captured(out, connection, false)?),
            Subject::Udp(transport) => Some(self.captured(out, transport, true)?),
            Subject::Record(_) => None,
        };
        self.written += 1;
        fact_line::write(out, &mut self.text, fact, connection);
        Ok(())
    }

    /// The source and the number of a connection, which is written when the last fact was about another.
    fn captured(
        &mut self,
        out: &mut impl Write,
        connection: &Arc<Connection>,
        udp: bool,
    ) -> io::Result<(u32, u32)> {
        let known = self.connection.as_ref().is_some_and(|known| Arc::ptr_eq(known, connection));
        if !known {
            self.connections += 1;
            self.connection = Some(Arc::clone(connection));
            let number = self.connections - 1;
            write_line(out, &Line::Connection(ConnectionLine::of(connection, number, udp)))?;
        }
        Ok((connection.witness_index, self.connections.saturating_sub(1)))
    }
}

/// What one file holds; indices are the file's own.
#[derive(Debug, Default)]
pub struct Part {
    /// Inputs and what they held.
    pub inputs: Vec<(Input, Option<Counts>)>,
    /// Which captures are one.
    pub sources: Vec<Source>,
    /// Facts, in the order of the file.
    pub facts: Vec<Fact>,
    /// How many facts beyond those that one run keeps were left out, by input.
    pub cut: BTreeMap<u32, u64>,
    /// What was lost.
    pub notes: Vec<Note>,
    /// The names are pseudonyms, and these are the hosts in the order of their real names.
    pub hosts: Option<Vec<String>>,
}

/// Why a file of facts cannot be read.
#[derive(Debug)]
pub enum ExchangeError {
    /// Reading failed.
    Io(io::Error),
    /// A line is not what it should be: its number from 1, what was found, what was expected.
    Line(u64, String),
    /// The last line is not there, or counts something else than what was read.
    Cut(String),
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot read: {error}"),
            Self::Line(number, found) => write!(f, "line {number}: {found}"),
            Self::Cut(found) => write!(f, "the file is cut or damaged: {found}"),
        }
    }
}

impl std::error::Error for ExchangeError {}

/// Reads one file, whatever its form.
///
/// # Errors
/// As [`read`] and [`read_table`].
pub fn read_file(file: FactsFile) -> Result<Part, ExchangeError> {
    match file {
        FactsFile::Lines(lines) => read(lines),
        FactsFile::Table(file) => read_table(file),
    }
}

/// Reads JSON lines.
///
/// # Errors
/// Names the line that is not of this format or version, or says that the file is cut.
pub fn read(mut reader: impl BufRead) -> Result<Part, ExchangeError> {
    let mut incoming = Incoming::default();
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let mut limited = (&mut reader).take(LINE_BYTES_MAX);
        if limited.read_until(b'\n', &mut text).map_err(ExchangeError::Io)? == 0 {
            break;
        }
        let line = line_of(&text).map_err(|found| ExchangeError::Line(number, found))?;
        let is_head = matches!(line, Line::Facts(_));
        if is_head != (number == 1) {
            let found = "expected exactly one line of the kind `facts`, at the beginning".to_owned();
            return Err(ExchangeError::Line(number, found));
        }
        incoming.take(line).map_err(|found| ExchangeError::Line(number, found))?;
    }
    incoming.finish()
}

/// Reads a Parquet file.
///
/// # Errors
/// Names the row that is not of this format or version, or says that the file is cut or damaged.
pub fn read_table<R: ChunkReader + 'static>(file: R) -> Result<Part, ExchangeError> {
    // The reader of the package takes some damaged files for whole ones and panics on them; nothing that it began is
    // used then.
    let read = panic::catch_unwind(AssertUnwindSafe(|| rows_of(file)));
    read.unwrap_or_else(|_| Err(ExchangeError::Cut("the Parquet file is damaged".to_owned())))
}

fn rows_of<R: ChunkReader + 'static>(file: R) -> Result<Part, ExchangeError> {
    let mut incoming = Incoming::default();
    let mut number = 0;
    let mut refused = None;
    let taken = columns::read(file, tabled::COLUMNS, |row| {
        number += 1;
        let line = serde_json::from_value(tabled::line_of(row)).map_err(|error| error.to_string());
        let is_first = number == 1;
        let took = line.and_then(|line: Line| match matches!(line, Line::Facts(_)) == is_first {
            true => incoming.take(line),
            false => Err("expected exactly one line of the kind `facts`, at the beginning".to_owned()),
        });
        took.inspect_err(|found| refused = Some(ExchangeError::Line(number, found.clone())))
    });
    match (taken, refused) {
        (_, Some(refused)) => Err(refused),
        (Err(found), None) => Err(ExchangeError::Cut(format!(
            "expected what `rdpwhy facts` writes, a Parquet file of facts with its directory and PAR1 at its end: {found}"
        ))),
        (Ok(()), None) => incoming.finish(),
    }
}

fn line_of(text: &[u8]) -> Result<Line, String> {
    if text.last() != Some(&b'\n') {
        return Err("the line does not end: the file is cut, or the line is longer than 16 MiB".to_owned());
    }
    // Which line it is, the caller says.
    let found = |error: &serde_json::Error| error.to_string().replace(" at line 1 column ", ", byte ");
    serde_json::from_slice(text).map_err(|error| format!("not a line of this format: {}", found(&error)))
}

#[derive(Default)]
struct Incoming {
    part: Part,
    /// TCP connections and UDP transports, by source and number.
    connections: BTreeMap<(u32, u32), Subject>,
    keys: Option<Arc<crate::fact::Keys>>,
    end: Option<Totals>,
}

impl Incoming {
    fn take(&mut self, line: Line) -> Result<(), String> {
        if self.end.is_some() {
            return Err("nothing is expected behind the line of the kind `end`".to_owned());
        }
        match line {
            Line::Facts(head) if head.version != VERSION => {
                return Err(format!("version {} of the format, expected {VERSION}", head.version));
            }
            Line::Facts(head) => self.part.hosts = Some(head.hosts).filter(|_| head.redacted),
            Line::Connection(line) => {
                let connection = Arc::new(line.connection()?);
                let subject =
                    if line.udp { Subject::Udp(connection) } else { Subject::Connection(connection) };
                self.connections.insert((line.source, line.connection), subject);
            }
            Line::Fact(line) => self.fact(*line)?,
            Line::Input(line) => {
                self.in_order("input", line.input, self.part.inputs.len())?;
                self.part.inputs.push(line.input());
            }
            Line::Source(line) => {
                self.in_order("source", line.source, self.part.sources.len())?;
                self.part.sources.push(Source { inputs: line.inputs });
            }
            Line::Note(line) => self.part.notes.push(line.note()),
            Line::End(totals) => self.end = Some(totals),
        }
        Ok(())
    }

    fn in_order(&self, kind: &str, number: u32, expected: usize) -> Result<(), String> {
        match usize::try_from(number) == Ok(expected) {
            true => Ok(()),
            false => Err(format!("{kind} {number}, expected {expected}")),
        }
    }

    fn fact(&mut self, line: FactLine) -> Result<(), String> {
        let (place, at, reading) = (line.place(), line.at(), line.reading()?);
        let what = line.what().map_err(|error| format!("fact `{}`: {error}", line.fact))?;
        let subject = match (line.source.zip(line.connection), line.about) {
            (Some(which), None) => {
                let known = self.connections.get(&which).ok_or("a fact of a connection without its line")?;
                known.clone()
            }
            (None, Some(about)) => {
                let keys = about.keys();
                let same = self.keys.take().filter(|known| **known == keys);
                let keys = same.unwrap_or_else(|| Arc::new(keys));
                self.keys = Some(Arc::clone(&keys));
                Subject::Record(keys)
            }
            _ => return Err("a fact is about a connection or about a record".to_owned()),
        };
        if self.part.facts.len() < FACTS_MAX {
            self.part.facts.push(Fact { at, place, subject, reading, what });
        } else {
            *self.part.cut.entry(place.input_index).or_default() += 1;
        }
        Ok(())
    }

    fn finish(self) -> Result<Part, ExchangeError> {
        let part = self.part;
        let Some(end) = self.end else {
            return Err(ExchangeError::Cut("the line of the kind `end` is not there".to_owned()));
        };
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let facts = count(part.facts.len()).saturating_add(part.cut.values().sum());
        let held = [count(part.inputs.len()), facts, count(part.notes.len())];
        let told = [end.inputs, end.facts, end.notes];
        if held != told {
            let found = format!("found {held:?} inputs, facts and notes, expected {told:?}");
            return Err(ExchangeError::Cut(found));
        }
        // What a fact or a source names must be there.
        let inputs = part.inputs.len();
        let there = |index: u32| usize::try_from(index).is_ok_and(|index| index < inputs);
        let known = part.facts.iter().all(|fact| there(fact.place.input_index))
            && part.cut.keys().all(|index| there(*index))
            && part.sources.iter().flat_map(|source| &source.inputs).all(|index| there(*index));
        match known {
            true => Ok(part),
            false => {
                Err(ExchangeError::Cut("a fact or a source names an input that is not there".to_owned()))
            }
        }
    }
}
