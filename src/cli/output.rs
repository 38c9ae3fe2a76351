//! Where answers go: standard output, or files that appear only when they are whole.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rdpwhy::read::inputs::shown;
use rdpwhy::read::{Input, Inventory};

use super::progress::Progress;
use super::status;

/// Bytes written at a time.
const BUFFER_BYTES: usize = 256 * 1024;

/// Files that are begun and not whole yet; an interrupt takes them away.
#[derive(Debug, Clone, Default)]
pub(super) struct Partials(Arc<Mutex<BTreeSet<PathBuf>>>);

impl Partials {
    /// Removes what is begun when the program is interrupted, says how far it came, and ends it.
    pub(super) fn on_interrupt(&self, progress: &Progress) {
        let (begun, progress) = (self.clone(), progress.clone());
        // A signal that is ignored (nohup, a job in the background) stays ignored.
        let _ = ctrlc::try_set_handler(move || begun.give_up(&progress));
    }

    fn give_up(&self, progress: &Progress) {
        // The lock is kept to the end: nothing is begun or gets its name behind this.
        let begun = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Folders stand before what is in them.
        for path in begun.iter().rev() {
            gone(path);
        }
        let left = if begun.is_empty() { "" } else { "; the files that were begun are removed" };
        // Standard error that is closed leaves nobody to tell.
        let _ = writeln!(io::stderr(), "interrupted: {}{left}", progress.told());
        std::process::exit(i32::from(status::INTERRUPTED));
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeSet<PathBuf>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Begins the file that gets the name `path` when it is whole: in the same folder, so that renaming is all it takes.
    fn begin(&self, path: &Path, whose: Whose) -> io::Result<(File, PathBuf)> {
        let mut name = OsString::from(".");
        name.push(path.file_name().ok_or(io::ErrorKind::InvalidFilename)?);
        name.push(format!(".{}.part", std::process::id()));
        let partial = path.with_file_name(name);
        self.with(|begun| {
            let made = whose.options().write(true).create_new(true).open(&partial);
            let file = made.map_err(|error| named(path, error))?;
            begun.insert(partial.clone());
            Ok((file, partial))
        })
    }

    /// Makes the folder for several files; one that was not there goes away with them when they do not become whole.
    pub(super) fn folder(&self, path: &Path) -> io::Result<()> {
        self.with(|begun| match fs::create_dir(path) {
            Ok(()) => {
                begun.insert(path.to_owned());
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Err(error) => Err(named(path, error)),
        })
    }

    fn name(&self, partial: &Path, path: &Path) -> io::Result<()> {
        self.with(|begun| {
            fs::rename(partial, path)?;
            begun.remove(partial);
            Ok(())
        })
    }

    fn remove(&self, partial: &Path) {
        self.with(|begun| {
            gone(partial);
            begun.remove(partial);
            // The folder goes with the last of its files; one that holds others stays.
            if let Some(folder) = partial.parent().filter(|folder| begun.contains(*folder)) {
                gone(folder);
            }
        });
    }
}

/// The error, or where it is that the folder of `path` is not there, that folder's name.
fn named(path: &Path, error: io::Error) -> io::Error {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists());
    match folder {
        Some(folder) if error.kind() == io::ErrorKind::NotFound => {
            io::Error::new(io::ErrorKind::NotFound, format!("the folder {} does not exist", shown(folder)))
        }
        _ => error,
    }
}

/// A file, or a folder in which nothing is.
fn gone(path: &Path) {
    let _ = if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) };
}

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// Whom the system lets.
    Usual,
    /// Only its owner, from its beginning; on Windows the folder decides.
    Owner,
}

impl Whose {
    fn options(self) -> OpenOptions {
        let mut options = OpenOptions::new();
        #[cfg(unix)]
        if self == Self::Owner {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        options
    }
}

/// An answer on its way out. Without `finish` a file that was begun is removed.
pub(super) struct Output {
    out: BufWriter<Sink>,
    partials: Partials,
    /// The file that is written, and the name that it gets.
    partial: Option<(PathBuf, PathBuf)>,
}

enum Sink {
    Stdout(io::Stdout),
    File(File),
}

impl Output {
    /// To standard output, or to `path`.
    pub(super) fn to(path: Option<&Path>, partials: &Partials) -> io::Result<Self> {
        Self::of(path, partials, Whose::Usual)
    }

    /// To a file that only its owner may read and write.
    pub(super) fn owned(path: &Path, partials: &Partials) -> io::Result<Self> {
        Self::of(Some(path), partials, Whose::Owner)
    }

    /// Nobody sees what is written before `finish`.
    pub(super) const fn is_taken_back(&self) -> bool {
        self.partial.is_some()
    }

    fn of(path: Option<&Path>, partials: &Partials, whose: Whose) -> io::Result<Self> {
        let over = |sink, partial| {
            let out = BufWriter::with_capacity(BUFFER_BYTES, sink);
            Self { out, partials: partials.clone(), partial }
        };
        let Some(path) = path else { return Ok(over(Sink::Stdout(io::stdout()), None)) };
        // A link stays, and what it leads to is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        // A device or a pipe cannot be replaced.
        if fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
            return Ok(over(Sink::File(OpenOptions::new().write(true).open(&path)?), None));
        }
        let (file, partial) = partials.begin(&path, whose)?;
        Ok(over(Sink::File(file), Some((partial, path))))
    }

    /// Writes what is left, and gives the file its name.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.flush()?;
        if let Some((partial, path)) = &self.partial {
            if let Sink::File(file) = self.out.get_ref() {
                file.sync_all()?;
            }
            self.partials.name(partial, path)?;
            self.partial = None;
        }
        Ok(())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(file) => file.flush(),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some((partial, _)) = self.partial.take() {
            self.partials.remove(&partial);
        }
    }
}

/// The same path for the same file, also of one that is not there yet.
pub(super) fn identity(path: &Path) -> PathBuf {
    let there = fs::canonicalize(path).ok();
    let folder = || match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => fs::canonicalize(parent).ok(),
        _ => fs::canonicalize(".").ok(),
    };
    let beside = || folder().zip(path.file_name()).map(|(folder, name)| folder.join(name));
    there.or_else(beside).unwrap_or_else(|| path.to_owned())
}

/// The input that stands where the answer is to go.
pub(super) fn overwritten<'a>(output: &Path, inventory: &'a Inventory) -> Option<&'a str> {
    let target = fs::canonicalize(output).ok()?;
    let same = |input: &&Input| {
        input.path.as_ref().is_some_and(|path| fs::canonicalize(path).is_ok_and(|path| path == target))
    };
    inventory.inputs.iter().find(same).map(|input| input.shown.as_str())
}
