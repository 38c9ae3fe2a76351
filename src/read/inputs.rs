//! Paths to a sorted list of inputs, told apart by their first bytes, and to sources: what must be read as one.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use super::archive::{Bytes, Member};
use super::export;
use super::hashes::{Hashed, Running};
use crate::note::Note;
use crate::wire::keylog::starts_key_log;

mod ring;
mod zipped;

use ring::{RingName, ring_number};
use zipped::{Archive, of_archives};

/// Folders below each other that are read.
const DEPTH_MAX: usize = 64;
/// Bytes that tell what a file is: an event log whose header is damaged has its first chunk behind 4,096 bytes.
const SNIFFED: usize = 4096 + 8;
/// Decompressed bytes read of one file, or of all files of one archive.
pub const EXPANSION_MAX: u64 = 64 * 1024 * 1024 * 1024;
/// Files of one run.
const FILES_MAX: usize = 100_000;

/// What a file is, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A libpcap capture.
    Pcap,
    /// A pcapng capture.
    Pcapng,
    /// A Windows event log.
    Evtx,
    /// A zip archive; what lies in it are inputs of their own.
    Zip,
    /// A TLS key log: not evidence of its own, but it opens what captures hold.
    KeyLog,
    /// An event log as text: what it is saved as.
    Export(&'static str),
    /// An event trace log, or another thing that is known and not evidence of its own.
    Known(&'static str),
    /// No bytes at all.
    Empty,
    /// Nothing this program knows.
    Unknown,
    /// It could not be opened.
    Unreadable,
}

impl Kind {
    /// The name in the JSON output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcap => "pcap",
            Self::Pcapng => "pcapng",
            Self::Evtx => "evtx",
            Self::Zip => "zip",
            Self::KeyLog => "key log",
            Self::Export(_) => "event log as text",
            Self::Known(name) => name,
            Self::Empty => "empty",
            Self::Unknown => "unknown",
            Self::Unreadable => "unreadable",
        }
    }

    /// The kind of that name; of one that another version knew, `Unknown`.
    fn of_name(name: &str) -> Self {
        let plain = [
            Self::Pcap,
            Self::Pcapng,
            Self::Evtx,
            Self::Zip,
            Self::KeyLog,
            Self::Empty,
            Self::Unknown,
            Self::Unreadable,
        ];
        let known = KNOWN.iter().copied().map(Self::Known);
        plain.into_iter().chain(known).find(|kind| kind.name() == name).unwrap_or(Self::Unknown)
    }

    /// It is a capture.
    #[must_use]
    pub const fn is_capture(self) -> bool {
        matches!(self, Self::Pcap | Self::Pcapng)
    }
}

/// Names of what is known and not read.
const KNOWN: &[&str] = &["7z", "zstd", "gzip", "parquet", FACTS];
/// What `rdpwhy facts` writes.
const FACTS: &str = "facts";

/// One file, or standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The path to open, of a file in an archive that of the archive; `None` for standard input and for bytes held in memory.
    pub path: Option<PathBuf>,
    /// Where it lies in that archive.
    pub member: Option<Arc<Member>>,
    /// The path as it is shown, with `/`.
    pub shown: String,
    /// What it is.
    pub kind: Kind,
    /// It is compressed with gzip.
    pub gzip: bool,
    /// Size of the file in bytes; 0 when nobody knows.
    pub bytes: u64,
    /// Of an input without path: the bytes already at hand.
    taken: Vec<u8>,
    /// `taken` is all of it; otherwise standard input goes on behind it.
    whole: bool,
    /// SHA-256 in lower case, where it is wanted and known.
    pub sha256: Option<String>,
    /// Of standard input, where it is wanted: grows with what is read.
    pub(super) running: Option<Running>,
}

/// What all inputs are made from.
const NOTHING: Input = Input {
    path: None,
    member: None,
    shown: String::new(),
    kind: Kind::Unknown,
    gzip: false,
    bytes: 0,
    taken: Vec::new(),
    whole: false,
    sha256: None,
    running: None,
};

impl Input {
    /// An input that was read elsewhere, and is known by what was written of it.
    #[must_use]
    pub fn elsewhere(shown: &str, kind: &str, gzip: bool, bytes: u64) -> Self {
        let kind = Kind::of_name(kind);
        Self {
            path: None,
            shown: shown.to_owned(),
            kind,
            gzip,
            bytes,
            taken: Vec::new(),
            whole: true,
            ..NOTHING
        }
    }

    /// It can be opened more than once, which standard input cannot.
    #[must_use]
    pub const fn is_read_again(&self) -> bool {
        self.path.is_some() || self.whole
    }
}

/// Files that are read as one, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Indices of the inputs.
    pub inputs: Vec<u32>,
}

/// Everything that the given paths hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inventory {
    /// INVARIANT: sorted by `shown`, each file once.
    pub inputs: Vec<Input>,
    /// Captures that must be read as one.
    pub sources: Vec<Source>,
    /// Indices of the event logs.
    pub logs: Vec<u32>,
    /// What could not be read or is not evidence.
    pub notes: Vec<Note>,
    /// Files found in folders that are not evidence.
    pub other_files: u64,
    /// Paths as they were given, and key logs. INVARIANT: sorted, each once.
    pub given: (BTreeSet<String>, BTreeSet<String>),
    /// SHA-256 of the inputs is wanted.
    pub hashed: bool,
}

impl Inventory {
    /// At least one input can be read.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        !self.sources.is_empty() || !self.logs.is_empty()
    }
}

/// Path with `/` on every system.
#[must_use]
pub fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    if std::path::MAIN_SEPARATOR == '/' {
        text.into_owned()
    } else {
        text.replace(std::path::MAIN_SEPARATOR, "/")
    }
}

/// Finds out what `paths` hold. `-` is standard input. `key_logs` are taken for what they are said to be.
#[must_use]
pub fn inventory(paths: &[PathBuf], key_logs: &[PathBuf]) -> Inventory {
    inventory_with(paths, key_logs, None)
}

/// The same with a password that opens what is encrypted in zip archives.
#[must_use]
pub fn inventory_with(paths: &[PathBuf], key_logs: &[PathBuf], zip_password: Option<&str>) -> Inventory {
    let mut walk = Walk { zip_password, ..Walk::default() };
    for path in paths {
        if path.as_os_str() == "-" {
            // It can be read once.
            if !std::mem::replace(&mut walk.has_stdin, true) {
                walk.found.push(stdin());
            }
        } else {
            walk.path(path, 0, true);
        }
    }
    for path in key_logs {
        walk.key_log(path);
    }
    let mut inputs = walk.found;
    inputs.sort_by(|a, b| (&a.shown, a.kind).cmp(&(&b.shown, b.kind)));
    let mut seen = BTreeSet::new();
    inputs.retain(|input| seen.insert(identity(input)));
    let mut inventory = Inventory { inputs, other_files: walk.other_files, ..Inventory::default() };
    inventory.notes = notes(&inventory.inputs, walk.unreadable, walk.cut);
    inventory.notes.extend(of_archives(&inventory.inputs, &walk.archives));
    inventory.sources = sources(&inventory.inputs);
    inventory.logs = logs(&inventory.inputs);
    let named = |paths: &[PathBuf]| paths.iter().map(|path| shown(path)).collect();
    inventory.given = (named(paths), named(key_logs));
    inventory
}

/// The same for files that lie in memory, each with its name: what is found in archives, made by tests or by a fuzzer.
#[must_use]
pub fn held(files: Vec<(String, Vec<u8>)>) -> Inventory {
    let mut inputs: Vec<Input> = files.into_iter().map(|(shown, taken)| input_held(shown, taken)).collect();
    inputs.sort_by(|a, b| a.shown.cmp(&b.shown));
    let (notes, sources) = (notes(&inputs, Vec::new(), false), sources(&inputs));
    Inventory { logs: logs(&inputs), inputs, sources, notes, ..Inventory::default() }
}

fn input_held(shown: String, taken: Vec<u8>) -> Input {
    let (kind, gzip) = kind_of(taken.get(..SNIFFED).unwrap_or(&taken));
    let bytes = u64::try_from(taken.len()).unwrap_or(u64::MAX);
    Input { path: None, shown, kind, gzip, bytes, taken, whole: true, ..NOTHING }
}

/// What tells a file from another, however its path is written: standard input has none.
fn identity(input: &Input) -> Option<(PathBuf, String)> {
    let path = input.path.as_ref().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone()))?;
    // Of a file in an archive its name there counts, too.
    let inside = input.shown.split_once(INSIDE).filter(|_| input.member.is_some());
    Some((path, inside.map_or_else(String::new, |(_, name)| name.to_owned())))
}

/// What stands between an archive and the name of a file in it.
const INSIDE: &str = "!/";

#[derive(Default)]
struct Walk<'p> {
    zip_password: Option<&'p str>,
    archives: Vec<Archive>,
    has_stdin: bool,
    found: Vec<Input>,
    other_files: u64,
    unreadable: Vec<(String, String)>,
    cut: bool,
}

impl Walk<'_> {
    fn path(&mut self, path: &Path, depth: usize, asked_for: bool) {
        if self.found.len() >= FILES_MAX {
            self.cut = true;
            return;
        }
        match fs::metadata(path) {
            Err(error) => self.unreadable(path, &error),
            Ok(metadata) if metadata.is_dir() => self.folder(path, depth),
            Ok(metadata) if is_stream(&metadata) && depth > 0 => self.other_files += 1,
            Ok(metadata) if is_stream(&metadata) => self.unreadable(path, &io::Error::other(A_STREAM)),
            Ok(metadata) => self.file(path, metadata.len(), asked_for),
        }
    }

    fn key_log(&mut self, path: &Path) {
        let before = self.found.len();
        if path.is_dir() {
            return self.unreadable(path, &io::ErrorKind::IsADirectory.into());
        }
        self.path(path, 0, true);
        let is_none_else = |input: &&mut Input| matches!(input.kind, Kind::Unknown | Kind::Empty);
        if let Some(input) = self.found.get_mut(before).filter(is_none_else) {
            input.kind = Kind::KeyLog;
        }
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.unreadable.push((shown(path), error.to_string()));
        let kind = Kind::Unreadable;
        let path = Some(path.to_owned());
        let shown = path.as_deref().map(shown).unwrap_or_default();
        self.found.push(Input { path, shown, kind, gzip: false, bytes: 0, ..NOTHING });
    }

    #[expect(clippy::disallowed_methods, reason = "this module is the one that lists folders")]
    fn folder(&mut self, path: &Path, depth: usize) {
        if depth >= DEPTH_MAX {
            self.cut = true;
            return;
        }
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(path, &error),
        };
        let mut children: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        children.sort();
        for child in children {
            let link_to_folder = child.is_symlink() && child.is_dir();
            if !link_to_folder {
                self.path(&child, depth + 1, false);
            }
        }
    }

    fn file(&mut self, path: &Path, bytes: u64, asked_for: bool) {
        let mut input = Input {
            path: Some(path.to_owned()),
            shown: shown(path),
            kind: Kind::Unknown,
            gzip: false,
            bytes,
            ..NOTHING
        };
        match sniff(path) {
            Err(error) => return self.unreadable(path, &error),
            Ok((kind, gzip)) => (input.kind, input.gzip) = (kind, gzip),
        }
        if input.kind == Kind::Zip {
            return self.archive(input, asked_for);
        }
        let damaged = is_named_as_evidence(path);
        if asked_for || damaged || !matches!(input.kind, Kind::Unknown | Kind::Empty) {
            self.found.push(input);
        } else {
            self.other_files += 1;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this module is the one that opens files")]
fn archive_bytes(input: &Input) -> io::Result<Box<dyn Bytes>> {
    Ok(match &input.path {
        Some(path) => Box::new(File::open(path)?),
        None => Box::new(io::Cursor::new(input.taken.clone())),
    })
}

const A_STREAM: &str = "a pipe or socket, where a file is expected, as inputs are opened more than once: give what it says to standard input, with `-` as PATH";

/// Opening a pipe would wait for somebody who writes to it, and what is read of it is gone.
#[cfg(unix)]
fn is_stream(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    metadata.file_type().is_fifo() || metadata.file_type().is_socket()
}

#[cfg(not(unix))]
const fn is_stream(_: &fs::Metadata) -> bool {
    false
}

/// A file in a folder that claims to be evidence is worth a line when it is not.
fn is_named_as_evidence(path: &Path) -> bool {
    let known = ["pcap", "pcapng", "cap", "evtx"];
    path.extension().is_some_and(|end| known.iter().any(|k| end.eq_ignore_ascii_case(k)))
}

fn stdin() -> Input {
    let mut taken = Vec::new();
    let limit = u64::try_from(SNIFFED).unwrap_or(0);
    let read = io::stdin().lock().take(limit).read_to_end(&mut taken);
    let (kind, gzip) = read.map_or((Kind::Unreadable, false), |_| kind_of(&taken));
    Input { path: None, shown: "-".to_owned(), kind, gzip, taken, ..NOTHING }
}

#[expect(clippy::disallowed_methods, reason = "this module is the one that opens files")]
fn sniff(path: &Path) -> io::Result<(Kind, bool)> {
    let mut first = Vec::new();
    File::open(path)?.take(u64::try_from(SNIFFED).unwrap_or(0)).read_to_end(&mut first)?;
    Ok(kind_of(&first))
}

/// What a file is, by its first bytes, and whether gzip lies around it.
fn kind_of(first: &[u8]) -> (Kind, bool) {
    if first.starts_with(&[0x1f, 0x8b]) {
        let mut inner = Vec::new();
        // The bytes at hand end inside of the compressed stream: what came out before the error is enough.
        let limit = u64::try_from(SNIFFED).unwrap_or(0);
        let _ = MultiGzDecoder::new(first).take(limit).read_to_end(&mut inner);
        let kind = plain_kind(&inner);
        return (
            if kind == Kind::Unknown { Kind::Known("gzip") } else { kind },
            kind.is_capture() || matches!(kind, Kind::KeyLog | Kind::Evtx),
        );
    }
    (plain_kind(first), false)
}

fn plain_kind(first: &[u8]) -> Kind {
    match first {
        [] => Kind::Empty,
        [0xd4, 0xc3, 0xb2, 0xa1, ..]
        | [0xa1, 0xb2, 0xc3, 0xd4, ..]
        | [0x4d, 0x3c, 0xb2, 0xa1, ..]
        | [0xa1, 0xb2, 0x3c, 0x4d, ..]
        | [0x34, 0xcd, 0xb2, 0xa1, ..]
        | [0xa1, 0xb2, 0xcd, 0x34, ..] => Kind::Pcap,
        [0x0a, 0x0d, 0x0d, 0x0a, ..] => Kind::Pcapng,
        [b's', b'n', b'o', b'o', b'p', 0, 0, 0, ..] => Kind::Known("snoop capture"),
        [b'G', b'M', b'B', b'U', ..] | [b'R', b'T', b'S', b'S', ..] => Kind::Known("Network Monitor capture"),
        [b'E', b'l', b'f', b'F', b'i', b'l', b'e', 0, ..]
        | [b'E', b'l', b'f', b'C', b'h', b'n', b'k', 0, ..] => Kind::Evtx,
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Kind::Zip,
        [b'7', b'z', 0xbc, 0xaf, ..] => Kind::Known("7z"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Kind::Known("zstd"),
        [b'P', b'A', b'R', b'1', ..] => Kind::Known("parquet"),
        [b'{', b'"', b'l', b'i', b'n', b'e', b'"', b':', b'"', b'f', b'a', b'c', b't', b's', b'"', ..] => {
            Kind::Known(FACTS)
        }
        _ if first.get(4096..).is_some_and(|chunk| chunk.starts_with(b"ElfChnk\0")) => Kind::Evtx,
        _ if starts_key_log(first) => Kind::KeyLog,
        _ => export::of(first).map_or(Kind::Unknown, Kind::Export),
    }
}

fn notes(inputs: &[Input], unreadable: Vec<(String, String)>, cut: bool) -> Vec<Note> {
    let mut notes = Vec::new();
    for (index, input) in (0_u32..).zip(inputs) {
        match input.kind {
            Kind::Empty => notes.push(Note::empty(index)),
            Kind::Unknown => notes.push(Note::unknown_kind(index, &first_bytes(input))),
            Kind::Known(FACTS) => notes.push(Note::facts_given(index)),
            Kind::Export(kind) => notes.push(Note::log_export(index, kind)),
            Kind::Known(name) => notes.push(Note::kind_not_read(index, name)),
            Kind::Zip if input.member.is_some() => notes.push(Note::zip_in_zip(index)),
            Kind::Zip if input.path.is_none() => notes.push(Note::zip_not_seekable(index)),
            Kind::Unreadable => {
                let error = unreadable.iter().find(|(shown, _)| *shown == input.shown);
                notes.push(Note::unreadable(index, error.map_or("standard input failed", |(_, text)| text)));
            }
            Kind::Pcap | Kind::Pcapng | Kind::Evtx | Kind::KeyLog | Kind::Zip => {}
        }
    }
    if cut {
        notes.push(Note::too_many_files(FILES_MAX, DEPTH_MAX));
    }
    notes
}

/// The first bytes of a file, for a message.
fn first_bytes(input: &Input) -> String {
    let mut first = input.taken.clone();
    if let Ok(mut reader) = open(input) {
        first.clear();
        let _ = reader.by_ref().take(8).read_to_end(&mut first);
    }
    first.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// Opens an input for reading from its first byte, decompressed.
///
/// # Errors
/// When the file cannot be opened.
pub fn open(input: &Input) -> io::Result<Box<dyn Read + Send>> {
    let raw = open_raw(input)?;
    let raw = match input.running.clone() {
        Some(running) => Box::new(Hashed { reader: raw, running }),
        None => raw,
    };
    Ok(if input.gzip { decompressed(raw) } else { raw })
}

/// What gzip lies around, within the limit.
pub(super) fn decompressed<'w>(raw: impl Read + Send + 'w) -> Box<dyn Read + Send + 'w> {
    Box::new(Bounded { reader: MultiGzDecoder::new(raw), left: EXPANSION_MAX })
}

/// The same, compressed or not.
#[expect(clippy::disallowed_methods, reason = "this module is the one that opens files")]
pub(super) fn open_raw(input: &Input) -> io::Result<Box<dyn Read + Send>> {
    if let Some(member) = &input.member {
        let reader = Arc::clone(member).open(archive_bytes(input)?)?;
        // A directory that lies of a size is found out.
        return Ok(Box::new(Bounded { reader, left: member.bytes }));
    }
    Ok(match &input.path {
        Some(path) => Box::new(File::open(path)?),
        None if input.whole => Box::new(io::Cursor::new(input.taken.clone())),
        None => Box::new(io::Cursor::new(input.taken.clone()).chain(io::stdin())),
    })
}

/// Fails where more comes than is read, so that the cut is told and not taken for the end.
struct Bounded<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !buffer.is_empty() {
            let more = self.reader.read(&mut [0])? > 0;
            let cut = || Err(io::Error::other("it expands to more than is read of one file"));
            return if more { cut() } else { Ok(0) };
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.reader.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.left = self.left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

fn logs(inputs: &[Input]) -> Vec<u32> {
    let logs = (0_u32..).zip(inputs).filter(|(_, input)| input.kind == Kind::Evtx);
    logs.map(|(index, _)| index).collect()
}

/// Groups captures of one ring buffer; every other capture is a source of its own.
fn sources(inputs: &[Input]) -> Vec<Source> {
    let mut sources: Vec<(Option<RingName>, Source)> = Vec::new();
    for (index, input) in (0_u32..).zip(inputs) {
        if !input.kind.is_capture() {
            continue;
        }
        let name = RingName::of(&input.shown);
        let same = |known: &RingName| Some(known) == name.as_ref();
        match sources.iter_mut().find(|(known, _)| known.as_ref().is_some_and(same)) {
            Some((_, source)) => source.inputs.push(index),
            None => sources.push((name, Source { inputs: vec![index] })),
        }
    }
    for (name, source) in &mut sources {
        if name.is_some() {
            let number =
                |i: &u32| usize::try_from(*i).ok().and_then(|i| inputs.get(i)).map(|i| ring_number(&i.shown));
            source.inputs.sort_by_key(number);
        }
    }
    sources.into_iter().map(|(_, source)| source).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_expands_beyond_the_limit_fails_and_does_not_end() {
        let read = |bytes: &[u8], left: u64| {
            let mut taken = Vec::new();
            let end = Bounded { reader: bytes, left }.read_to_end(&mut taken);
            (taken, end.is_ok())
        };
        assert_eq!(read(b"12345", 5), (b"12345".to_vec(), true));
        assert_eq!(read(b"12345", 4), (b"1234".to_vec(), false));
    }

    #[test]
    fn kinds_are_told_by_content() {
        assert_eq!(kind_of(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0]), (Kind::Pcap, false));
        assert_eq!(kind_of(b"ElfFile\0rest"), (Kind::Evtx, false));
        assert_eq!(kind_of(b"ElfChnk\0rest"), (Kind::Evtx, false));
        assert_eq!(kind_of(&[&[0; 4096][..], b"ElfChnk\0"].concat()), (Kind::Evtx, false));
        assert_eq!(kind_of(b"Event[0]\r\n  Log Name: System\r\n"), (Kind::Export("text"), false));
        assert_eq!(kind_of(b""), (Kind::Empty, false));
        assert_eq!(kind_of(b"# secrets\nEXPORTER_SECRET 00 01\n"), (Kind::KeyLog, false));
        assert_eq!(kind_of(b"hello"), (Kind::Unknown, false));
        assert_eq!(kind_of(b"snoop\0\0\0\0\0\0\x02").0, Kind::Known("snoop capture"));
        assert_eq!(kind_of(&[0xa1, 0xb2, 0xcd, 0x34, 0, 2]), (Kind::Pcap, false));
    }
}
