//! README's blocks are what the program says: `UPDATE_EXPECT=1 cargo test readme` writes them anew.

use crate::support::{root, run};

/// The text between a fence that opens with `tag` and its end.
fn block<'t>(text: &'t str, tag: &str) -> &'t str {
    let (_, rest) = text.split_once(&format!("```{tag}\n")).unwrap_or_else(|| panic!("no block `{tag}`"));
    rest.split_once("```").unwrap().0
}

#[test]
fn the_run_on_a_sample_is_what_the_readme_shows() {
    let path = root().join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let output = run(&root(), &["-q", "samples/denied-0x7"]);
    let said = String::from_utf8(output.stdout).unwrap();
    let said: String = said.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let shown = block(&readme, "text samples");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let fence = |inner: &str| format!("```text samples\n{inner}```");
        std::fs::write(path, readme.replacen(&fence(shown), &fence(&said), 1)).unwrap();
        return;
    }
    assert_eq!(shown, said);
}

#[test]
fn every_sample_folder_has_its_line() {
    let readme = std::fs::read_to_string(root().join("samples/README.md")).unwrap();
    for folder in crate::support::children(&root().join("samples")).into_iter().filter(|path| path.is_dir()) {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        assert!(readme.contains(&format!("`{name}/`")), "samples/README.md says nothing of {name}");
    }
}
