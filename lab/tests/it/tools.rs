//! Runs other people's readers, and says so aloud where they are not installed.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Set where a missing tool must fail the test instead of skipping it.
const REQUIRE: &str = "RDPWHY_REQUIRE_TOOLS";

/// Runs `command`; `None` after saying what was skipped when the tool is absent.
pub fn run_if_present(what: &str, probe: &mut Command, command: &mut Command) -> Option<String> {
    let present = probe.output().is_ok_and(|out| out.status.success());
    if !present {
        assert!(std::env::var_os(REQUIRE).is_none(), "{what} is not installed and {REQUIRE} is set");
        // Past the capture that keeps the output of tests that pass.
        let text = format!("SKIPPED: {what} is not installed, so what was written is not read back by it\n");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
        return None;
    }
    let out = command.output().unwrap();
    let errors = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{what} failed: {errors}");
    Some(String::from_utf8(out.stdout).unwrap())
}

/// A file of this test process, removed when dropped.
pub struct TempFile(PathBuf);

impl TempFile {
    /// Writes `bytes` under a name made of the process id and `name`.
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("rdpwhy-lab-{}-{name}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        Self(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// The Python interpreter to ask for Python readers.
pub fn python() -> Command {
    Command::new(std::env::var_os("RDPWHY_PYTHON").unwrap_or_else(|| "python3".into()))
}
