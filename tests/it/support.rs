//! Where things are, and how tests say aloud what they skip.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

/// The package's folder.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The corpus of real captures, by `RDPWHY_CORPUS` or beside the checkout. Says aloud when it is not there; under
/// `RDPWHY_REQUIRE_CORPUS` that is a failure.
pub(crate) fn corpus(part: &str) -> Option<PathBuf> {
    let given = std::env::var_os("RDPWHY_CORPUS").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| root().join("../shared/corpus")).join(part);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("RDPWHY_REQUIRE_CORPUS").is_none(),
        "{} is not there and is required",
        folder.display()
    );
    aloud!("SKIPPED: no corpus at {} (set RDPWHY_CORPUS)", folder.display());
    None
}

/// Runs the built program in a folder.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rdpwhy")).current_dir(folder).args(arguments).output().unwrap()
}

/// Sends a child what Ctrl-C sends, by the shell's own `kill`: a small system has no program of that name.
pub(crate) fn interrupt(child: &Child) {
    let sent = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(sent.success());
}

/// Files and folders directly below a folder, sorted.
pub(crate) fn children(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// A folder of one test's own, empty.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
