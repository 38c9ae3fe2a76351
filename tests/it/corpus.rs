//! Where the corpus of real files is: outside of the repository, as several of its files have no licence.

use std::path::{Path, PathBuf};

/// A folder of the corpus, or `None`, said aloud, where it is not there.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = std::env::var_os("RDPWHY_CORPUS").map_or_else(|| here.join("../shared/corpus"), PathBuf::from);
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: {} is not there; set RDPWHY_CORPUS to the folder that holds it", folder.display());
    None
}
