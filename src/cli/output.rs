//! Where answers go: standard output, or a file that appears only when it is whole.

use std::fs::{self, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use rdpwhy::read::{Input, Inventory};

/// Bytes written at a time.
const BUFFER_BYTES: usize = 256 * 1024;

/// An answer on its way out. Without `finish` a file that was begun is removed.
pub(super) struct Output {
    out: BufWriter<Box<dyn Write + Send>>,
    /// The file that is written, and the name that it gets.
    partial: Option<(PathBuf, PathBuf)>,
}

impl Output {
    /// To standard output, or to `path`.
    pub(super) fn to(path: Option<&Path>) -> io::Result<Self> {
        let Some(path) = path else { return Ok(Self::over(Box::new(io::stdout()), None)) };
        // Only what is a file, or is not there yet, may be replaced: not a link, a device or a pipe.
        if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
            return Ok(Self::over(Box::new(create(path)?), None));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".part");
        let partial = PathBuf::from(partial);
        Ok(Self::over(Box::new(create(&partial)?), Some((partial, path.to_owned()))))
    }

    fn over(out: Box<dyn Write + Send>, partial: Option<(PathBuf, PathBuf)>) -> Self {
        Self { out: BufWriter::with_capacity(BUFFER_BYTES, out), partial }
    }

    /// Writes what is left, and gives the file its name.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.out.flush()?;
        if let Some((partial, path)) = self.partial.take() {
            fs::rename(&partial, path).inspect_err(|_| {
                let _ = fs::remove_file(&partial);
            })?;
        }
        Ok(())
    }
}

fn create(path: &Path) -> io::Result<fs::File> {
    OpenOptions::new().write(true).create(true).truncate(true).open(path)
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
            let _ = fs::remove_file(partial);
        }
    }
}

/// The input that stands where the answer is to go.
pub(super) fn overwritten<'a>(output: &Path, inventory: &'a Inventory) -> Option<&'a str> {
    let target = fs::canonicalize(output).ok()?;
    let same = |input: &&Input| {
        input.path.as_ref().is_some_and(|path| fs::canonicalize(path).is_ok_and(|path| path == target))
    };
    inventory.inputs.iter().find(same).map(|input| input.shown.as_str())
}
