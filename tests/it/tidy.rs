//! What the house promises of itself, held by reading the source.

use std::path::{Path, PathBuf};

use crate::support::{children, root};

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in children(folder) {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files
}

fn source() -> Vec<(String, String)> {
    let src = root().join("src");
    let named = |path: PathBuf| {
        let name = path.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
        (name, std::fs::read_to_string(path).unwrap())
    };
    rust_files(&src).into_iter().map(named).collect()
}

/// The modules of the library in the order of the pipe.
fn layers() -> Vec<String> {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let module = |line: &str| line.strip_prefix("pub mod ")?.strip_suffix(';').map(str::to_owned);
    lib.lines().filter_map(module).collect()
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let mut files = source();
    for folder in ["tests/it", "lab/src", "fuzz/src"] {
        for path in rust_files(&root().join(folder)) {
            files.push((path.display().to_string(), std::fs::read_to_string(path).unwrap()));
        }
    }
    for (name, text) in files {
        let first = text.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("//! ") && first.len() > 15,
            "{name}: the first line says nothing: {first}"
        );
    }
}

#[test]
fn a_module_uses_only_those_above_it() {
    let layers = layers();
    assert!(layers.len() >= 10, "{layers:?}");
    for (name, text) in source() {
        let own = name.split(['/', '.']).next().unwrap();
        let Some(own) = layers.iter().position(|layer| layer == own) else { continue };
        for (below, layer) in layers.iter().enumerate().skip(own + 1) {
            let uses = format!("crate::{layer}::");
            assert!(
                !text.contains(&uses),
                "{name} (layer {own}) uses {layer} (layer {below}), which stands below it"
            );
        }
    }
}

#[test]
fn wire_sees_no_file_and_nothing_prints_outside_of_the_command_line() {
    for (name, text) in source() {
        let code = text.split("#[cfg(test)]").next().unwrap();
        if name.starts_with("wire") {
            assert!(!code.contains("std::fs") && !code.contains("std::io"), "{name}: wire is pure");
        }
        let may_touch_files = name.starts_with("read") || name.starts_with("cli") || name == "main.rs";
        assert!(may_touch_files || !code.contains("std::fs"), "{name}: only read opens files");
        let may_know_clap = name.starts_with("cli") || name == "main.rs";
        assert!(may_know_clap || !(code.contains("clap::") || code.contains("indicatif::")), "{name}");
    }
}

#[test]
fn files_fit_in_a_head() {
    /// One list each.
    const LISTS: &[&str] = &["fact.rs"];
    for (name, text) in source() {
        let lines = text.lines().count();
        assert!(lines <= 600 || LISTS.contains(&name.as_str()), "{name} has {lines} lines");
    }
}

#[test]
fn the_architecture_names_every_room() {
    let told = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for layer in layers() {
        assert!(told.contains(&format!("`{layer}")), "ARCHITECTURE.md does not name {layer}");
    }
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, dependencies) = manifest.split_once("[dependencies]").unwrap();
    let (dependencies, _) = dependencies.split_once("\n[").unwrap();
    for name in dependencies.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name) {
        assert!(told.contains(&format!("`{name}`")), "ARCHITECTURE.md does not say why {name}");
    }
}

#[test]
fn no_path_of_a_machine_stands_in_the_repository() {
    let home = ["/ho", "me/"].concat();
    for folder in ["src", "tests", "lab", "fuzz", "samples", ".ci"] {
        let folder = root().join(folder);
        for path in text_files(&folder) {
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            assert!(!text.contains(&home), "{}: names a home folder", path.display());
        }
    }
}

fn text_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    if folder.is_dir() {
        for path in children(folder) {
            if path.is_dir() { files.extend(text_files(&path)) } else { files.push(path) }
        }
    }
    files
}
