//! Files of facts that `rdpwhy facts` wrote, opened as what they are, and files of a redaction.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

/// A file of facts.
pub enum FactsFile {
    /// JSON lines.
    Lines(Box<dyn BufRead>),
    /// A Parquet file, which is read from its end.
    Table(File),
}

/// What a Parquet file begins with.
const PARQUET: &[u8] = b"PAR1";

/// Opens a file that steers the run and is no evidence: a key or a map of a redaction.
///
/// # Errors
/// When the file cannot be opened.
#[expect(clippy::disallowed_methods, reason = "this module is one that opens files")]
pub fn open_bytes(path: &Path) -> io::Result<impl Read> {
    File::open(path)
}

/// Opens a file of facts, told apart by its first bytes; standard input, where the path is `-`, is JSON lines.
///
/// # Errors
/// When the file cannot be opened.
#[expect(clippy::disallowed_methods, reason = "this module is one that opens files")]
pub fn open(path: &Path) -> io::Result<FactsFile> {
    if path.as_os_str() == "-" {
        return Ok(FactsFile::Lines(Box::new(BufReader::new(io::stdin()))));
    }
    let mut file = File::open(path)?;
    let mut first = Vec::new();
    (&mut file).take(u64::try_from(PARQUET.len()).unwrap_or(0)).read_to_end(&mut first)?;
    if first == PARQUET {
        return Ok(FactsFile::Table(file));
    }
    // What cannot go back, such as a pipe, is given on with the bytes that were taken.
    match file.rewind() {
        Ok(()) => Ok(FactsFile::Lines(Box::new(BufReader::new(file)))),
        Err(_) => Ok(FactsFile::Lines(Box::new(BufReader::new(io::Cursor::new(first).chain(file))))),
    }
}
