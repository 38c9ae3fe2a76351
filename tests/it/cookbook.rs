//! Every command of docs/cookbook.md is run as it stands there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{children, root, scratch};

/// The inner text of every fence of this kind, in order.
fn blocks(text: &str, tag: &str) -> Vec<String> {
    let fence = format!("```{tag}\n");
    let parts = text.split(&fence).skip(1);
    parts.map(|part| part.split_once("```").unwrap().0.to_owned()).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in children(from) {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

/// The folder that the page speaks of, out of the samples.
fn prepared() -> PathBuf {
    let folder = scratch("cookbook");
    let samples = root().join("samples");
    copy(&samples.join("denied-0x7"), &folder.join("case-4711"));
    for host in children(&samples).into_iter().filter(|path| path.is_dir()) {
        copy(&host, &folder.join("hosts").join(host.file_name().unwrap()));
    }
    folder
}

fn shell(folder: &Path, line: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_rdpwhy")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(program.to_owned()).chain(std::env::split_paths(&path));
    Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(paths).unwrap())
        .output()
        .unwrap()
}

fn is_there(program: &Path, arguments: &[&str]) -> bool {
    let there = Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success());
    if !there {
        let name = program.display();
        assert!(std::env::var_os("RDPWHY_REQUIRE_TOOLS").is_none(), "{name} is not there and is required");
        aloud!("SKIPPED: {name} {} does not run", arguments.join(" "));
    }
    there
}

#[cfg(unix)]
#[test]
fn every_command_does_what_the_page_says() {
    let page = std::fs::read_to_string(root().join("docs/cookbook.md")).unwrap();
    let folder = prepared();
    let mut ran = 0;
    for line in blocks(&page, "sh").iter().flat_map(|block| block.lines()) {
        if line.starts_with("tshark ") && !is_there(Path::new("tshark"), &["--version"]) {
            continue;
        }
        let output = shell(&folder, line);
        let (said, complained) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{line}\n{complained}");
        let words: Vec<&str> = line.split_whitespace().collect();
        let files: Vec<&str> =
            words.windows(2).filter(|two| matches!(two[0], "-o" | ">")).map(|two| two[1]).collect();
        for file in files.iter().map(|file| file.rsplit(':').next().unwrap()).filter(|f| *f != "/dev/null") {
            let path = folder.join(file);
            let size = if path.is_dir() {
                u64::try_from(children(&path).len()).unwrap()
            } else {
                std::fs::metadata(&path).unwrap().len()
            };
            assert!(size > 0, "{line}: {file} is empty");
        }
        assert!(!files.is_empty() || !said.is_empty(), "{line} says nothing");
        if line.starts_with("tshark ") {
            assert!(said.contains("BROKE HERE"), "{line}\n{said}");
        }
        ran += 1;
    }
    assert!(ran >= 15, "{ran} commands");
    queries(&page, &folder);
}

/// The queries, by DuckDB for Python; each gives rows over the samples.
fn queries(page: &str, folder: &Path) {
    const SCRIPT: &str =
        "import duckdb, sys\nprint(duckdb.sql(f'SELECT count(*) FROM ({sys.argv[1]})').fetchall()[0][0])";
    let python = std::env::var_os("RDPWHY_PYTHON").unwrap_or_else(|| "python3".into());
    let python = Path::new(&python);
    let queries = blocks(page, "sql");
    assert_eq!(queries.len(), 3);
    if !is_there(python, &["-c", "import duckdb"]) {
        return;
    }
    for query in queries {
        let query = query.trim_end().trim_end_matches(';');
        let output = Command::new(python).args(["-c", SCRIPT, query]).current_dir(folder).output().unwrap();
        let rows: u32 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or(0);
        assert!(rows > 0, "{query}\n{}", String::from_utf8_lossy(&output.stderr));
    }
}
