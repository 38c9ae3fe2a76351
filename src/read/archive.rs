//! Zip archives: their files are inputs of their own, named `a.zip!/b.evtx`, and read without being written anywhere.

use std::fmt;
use std::io::{self, Read, Seek};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use zip::read::OwnedZipFileEntry;
use zip::result::ZipError;
use zip::{ZipArchive, ZipReadOptions};

/// Files of one archive that are looked at.
const MEMBERS_MAX: usize = 100_000;
/// Bytes that are unpacked at a time, and how many times ahead of who reads them.
const CHUNK_BYTES: usize = 128 * 1024;
const CHUNKS_AHEAD: usize = 4;

/// What an archive is read from.
pub trait Bytes: Read + Seek + Send {}

impl<T: Read + Seek + Send> Bytes for T {}

/// A file in an archive.
pub struct Member {
    /// Its place in the archive's directory, from 0.
    number: usize,
    /// Bytes when it is unpacked, as the directory says.
    pub bytes: u64,
    entry: OwnedZipFileEntry,
    password: Option<String>,
}

/// The password is nobody's business.
impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("number", &self.number)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// Of one archive: which one stands beside it.
impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        (self.number, self.bytes) == (other.number, other.bytes)
    }
}

impl Eq for Member {}

/// A file that was found in an archive.
#[derive(Debug)]
pub struct Found {
    /// Its path in the archive, with `/`.
    pub name: String,
    /// Its first bytes.
    pub first: Vec<u8>,
    /// How it is read.
    pub member: Arc<Member>,
}

/// Files of an archive that cannot be read, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Closed {
    /// Encrypted, and no password was given.
    pub without_password: u64,
    /// Encrypted with another password, or damaged.
    pub wrong_password: u64,
    /// Others: how many, and the name and error of the first.
    pub unreadable: u64,
    /// That name and error.
    pub first: Option<(String, String)>,
    /// Beyond the limit of files.
    pub left_out: u64,
}

/// Everything in an archive, in the order of its directory.
#[derive(Debug, Default)]
pub struct Listing {
    /// Its files.
    pub found: Vec<Found>,
    /// What cannot be read of it.
    pub closed: Closed,
}

/// What is wrong with an archive, in words of people: what was looked for and not found, and what that means.
fn plain(error: &ZipError) -> String {
    match error {
        ZipError::Io(error) => error.to_string(),
        ZipError::CompressionMethodNotSupported(method) => format!(
            "it is compressed by method {method}, and only stored (0), deflate (8) and deflate64 (9) are unpacked: \
             unpack it with another program"
        ),
        ZipError::UnsupportedArchive(found) => format!("this kind of zip is not read: {found}"),
        ZipError::InvalidArchive(found) if found.contains("EOCD") => format!(
            "found no whole directory at the end of this zip, expected its end record (bytes 50 4b 05 06): the file is cut \
             or its end is damaged; copy it again, or `zip -FF` saves what is there ({found})"
        ),
        ZipError::InvalidArchive(found) => format!("the zip is damaged, and unpacking ended there: {found}"),
        other => other.to_string(),
    }
}

/// Unpacking failed inside of a file.
fn damaged(error: io::Error) -> io::Error {
    let found = error.get_ref().and_then(|found| found.downcast_ref::<ZipError>()).map(plain);
    match (error.kind(), found) {
        (io::ErrorKind::Interrupted, _) => error,
        (kind, Some(found)) => io::Error::new(kind, found),
        (kind, None) => {
            let text = format!("what the zip holds of it is damaged, it was read up to there: {error}");
            io::Error::new(kind, text)
        }
    }
}

/// Lists an archive, with the first `sniffed` bytes of each file.
///
/// # Errors
/// When it has no directory that can be read.
pub fn listing(bytes: &mut dyn Bytes, password: Option<&str>, sniffed: u64) -> io::Result<Listing> {
    let archive = ZipArchive::new(&mut *bytes).map_err(|error| io::Error::other(plain(&error)))?;
    let mut entries = Vec::new();
    let count = archive.len();
    for number in 0..count.min(MEMBERS_MAX) {
        entries.push(archive.by_index_data(number).map(OwnedZipFileEntry::from));
    }
    drop(archive);
    let mut listing = Listing::default();
    listing.closed.left_out = u64::try_from(count.saturating_sub(MEMBERS_MAX)).unwrap_or(u64::MAX);
    for (number, entry) in entries.into_iter().enumerate() {
        match entry {
            Ok(entry) if entry.is_dir() || entry.is_symlink() => {}
            Ok(entry) => listing.add(bytes, Member::new(number, entry, password), sniffed),
            Err(error) => listing.closed.add(&format!("file {}", number + 1), &plain(&error)),
        }
    }
    Ok(listing)
}

impl Closed {
    fn add(&mut self, name: &str, error: &str) {
        self.unreadable += 1;
        self.first.get_or_insert_with(|| (name.to_owned(), error.to_owned()));
    }
}

impl Listing {
    fn add(&mut self, bytes: &mut dyn Bytes, member: Member, sniffed: u64) {
        let name = member.name();
        let encrypted = member.entry.encrypted();
        if encrypted && member.password.is_none() {
            self.closed.without_password += 1;
            return;
        }
        let mut first = Vec::new();
        let mut bytes = bytes;
        let read = match member.reader(&mut bytes) {
            Ok(reader) => reader.take(sniffed).read_to_end(&mut first).map(|_| ()).map_err(damaged),
            Err(error) => Err(io::Error::other(plain(&error))),
        };
        match read {
            Ok(()) => {}
            Err(_) if encrypted => {
                self.closed.wrong_password += 1;
                return;
            }
            // What is damaged further behind is told by whoever reads it.
            Err(_) if !first.is_empty() => {}
            Err(error) => return self.closed.add(&name, &error.to_string()),
        }
        self.found.push(Found { name, first, member: Arc::new(member) });
    }
}

impl Member {
    fn new(number: usize, entry: OwnedZipFileEntry, password: Option<&str>) -> Self {
        let bytes = entry.size();
        Self { number, bytes, entry, password: password.map(str::to_owned) }
    }

    /// Windows PowerShell wrote `\` between folders for years.
    fn name(&self) -> String {
        let name = self.entry.name().map_or_else(
            |_| String::from_utf8_lossy(self.entry.name_raw()).into_owned(),
            std::borrow::Cow::into_owned,
        );
        name.replace('\\', "/")
    }

    /// It can be opened only with a password.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.entry.encrypted()
    }

    fn reader<'r, R: Read + Seek>(&'r self, bytes: &'r mut R) -> Result<impl Read + use<'r, R>, ZipError> {
        let password = self.password.as_deref().filter(|_| self.entry.encrypted()).map(str::as_bytes);
        let file = self.entry.as_ref().with_reader(bytes, ZipReadOptions::new().password(password))?;
        Ok(file)
    }

    /// Reads it from its first byte, unpacked on a thread of its own; who drops the reader ends that thread. Its checksum is
    /// looked at at the end.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn open(self: Arc<Self>, bytes: Box<dyn Bytes>) -> io::Result<Box<dyn Read + Send>> {
        let (to, from) = sync_channel(CHUNKS_AHEAD);
        let unpack = move || {
            if let Err(error) = self.pour(bytes, &to) {
                // Nobody reads any more.
                let _ = to.send(Err(error));
            }
        };
        thread::Builder::new().name("unpack".to_owned()).spawn(unpack)?;
        Ok(Box::new(Unpacked { from, chunk: Vec::new(), at: 0, has_ended: false }))
    }

    /// Sends it in chunks; the empty one is the end.
    fn pour(&self, mut bytes: Box<dyn Bytes>, to: &SyncSender<io::Result<Vec<u8>>>) -> io::Result<()> {
        let mut reader = self.reader(&mut bytes).map_err(|error| io::Error::other(plain(&error)))?;
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let read = reader.read(&mut chunk).map_err(damaged)?;
            chunk.truncate(read);
            if to.send(Ok(chunk)).is_err() || read == 0 {
                return Ok(());
            }
        }
    }
}

/// What the thread sends, as a reader.
struct Unpacked {
    from: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    at: usize,
    has_ended: bool,
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() && !self.has_ended && !buffer.is_empty() {
            let sent = self.from.recv();
            self.chunk = sent.unwrap_or_else(|_| Err(io::Error::other("unpacking it failed")))?;
            self.at = 0;
            self.has_ended = self.chunk.is_empty();
        }
        let rest = self.chunk.get(self.at..).unwrap_or_default();
        let most = rest.len().min(buffer.len());
        let (Some(from), Some(to)) = (rest.get(..most), buffer.get_mut(..most)) else { return Ok(0) };
        to.copy_from_slice(from);
        self.at += most;
        Ok(most)
    }
}
