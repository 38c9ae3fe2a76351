//! Parquet: facts cross machines in it as they do in JSON lines, and its tables are read by DuckDB and pyarrow.

use std::path::{Path, PathBuf};
use std::process::Command;

use rdpwhy::exchange::{self, ExchangeError, Tabled};
use rdpwhy::read::Unwatched;
use rdpwhy::read::facts::{self, FactsFile};
use rdpwhy::report::json;
use rdpwhy::report::parquet::Table;
use rdpwhy::{Options, analyze};
use serde_json::Value;

use crate::support::{children, corpus, root, run, scratch};

fn options(path: &Path) -> Options {
    Options { paths: vec![path.to_owned()], key_logs: Vec::new(), ..Options::default() }
}

fn tabled(path: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    let mut table = Tabled::new(&mut out).unwrap();
    rdpwhy::write_facts(&rdpwhy::inventory(&options(path)), &Unwatched, &mut table).unwrap();
    table.finish().unwrap();
    out
}

fn read(file: &Path) -> Result<exchange::Part, ExchangeError> {
    let opened = facts::open(file).unwrap();
    assert!(matches!(opened, FactsFile::Table(_)));
    exchange::read_file(opened)
}

/// The facts of a path, written as a table and read back, give the answer of one run.
fn crosses(path: &Path, file: &Path) {
    let whole = json::document(&analyze(&options(path), &Unwatched), &[]).unwrap();
    std::fs::write(file, tabled(path)).unwrap();
    let apart = json::document(&rdpwhy::diagnose(vec![read(file).unwrap()]), &[]).unwrap();
    assert!(whole == apart, "{}: the answers differ", path.display());
}

#[test]
fn facts_in_a_table_give_the_answer_of_one_run() {
    let file = scratch("parquet-facts").join("facts.parquet");
    for path in children(&root().join("samples")).into_iter().filter(|path| path.is_dir()) {
        crosses(&path, &file);
    }
    for part in ["lab", "public/pcap", "public/evtx"] {
        for path in corpus(part).map(|folder| children(&folder)).unwrap_or_default() {
            crosses(&path, &file);
        }
    }
}

/// Every line of the JSON lines stands in the table, value for value.
#[test]
fn a_table_holds_what_the_lines_hold() {
    let samples = root().join("samples");
    let mut inventory = rdpwhy::inventory(&options(&samples));
    inventory.hash();
    let mut lines = Vec::new();
    rdpwhy::write_facts(&inventory, &Unwatched, &mut lines).unwrap();
    let file = scratch("parquet-lines").join("facts.parquet");
    let mut out = Vec::new();
    let mut table = Tabled::new(&mut out).unwrap();
    // However the bytes come.
    for part in lines.chunks(77) {
        std::io::Write::write_all(&mut table, part).unwrap();
    }
    table.finish().unwrap();
    std::fs::write(&file, out).unwrap();
    let (told, read) = (exchange::read(lines.as_slice()).unwrap(), read(&file).unwrap());
    assert_eq!((told.inputs.len(), told.notes), (read.inputs.len(), read.notes));
    assert!(told.inputs == read.inputs && told.sources == read.sources && told.facts == read.facts);
    assert!(told.inputs.iter().all(|(input, _)| input.sha256.is_some()));
}

#[test]
fn the_two_commands_pass_tables_on() {
    let folder = scratch("parquet-commands");
    let sample = root().join("samples/denied-0x7");
    let sample = sample.to_str().unwrap();
    assert!(run(&folder, &["facts", "-q", sample, "-o", "one.parquet"]).status.success());
    assert!(run(&folder, &["facts", "-q", sample, "-o", "parquet:two"]).status.success());
    assert!(run(&folder, &["facts", "-q", sample, "-o", "three.jsonl"]).status.success());
    let answer = |file: &str| run(&folder, &["diagnose", "-q", "--format", "json", file]).stdout;
    assert!(answer("one.parquet").starts_with(b"{"));
    assert_eq!(answer("one.parquet"), answer("three.jsonl"));
    assert_eq!(
        std::fs::read(folder.join("one.parquet")).unwrap(),
        std::fs::read(folder.join("two")).unwrap()
    );
    for wrong in [["-o", "csv:x"], ["-o", "parquet:-"]] {
        let output = run(&folder, &["facts", sample, wrong[0], wrong[1]]);
        assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(run(&folder, &["-q", sample, "--format", "parquet"]).status.code(), Some(2));
}

#[test]
fn a_table_that_is_cut_or_none_of_facts_is_refused() {
    let folder = scratch("parquet-cut");
    let sample = root().join("samples/nla-required");
    let whole = tabled(&sample);
    let file = folder.join("x.parquet");
    let refused = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        read(&file).map(|_| ()).unwrap_err()
    };
    for end in [8, whole.len() / 2, whole.len() - 1] {
        assert!(matches!(refused(&whole[..end]), ExchangeError::Cut(_)), "{end}");
    }
    assert!(run(&folder, &["-q", sample.to_str().unwrap(), "-o", "parquet:why"]).status.success());
    let other = std::fs::read(folder.join("why/causes.parquet")).unwrap();
    let said = refused(&other).to_string();
    assert!(said.contains("`rdpwhy facts` writes") && said.ends_with(": no column `line`"), "{said}");
    let output = run(&folder, &["diagnose", "x.parquet"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: x.parquet: "));
}

/// One line for each damaged file, whatever the package that reads them does.
#[test]
fn damage_is_said_in_one_line() {
    let folder = scratch("parquet-damaged");
    let whole = tabled(&root().join("samples/nla-required"));
    let mut refused = 0;
    for place in (4..whole.len()).step_by(whole.len() / 40) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x55;
        std::fs::write(folder.join("x.parquet"), bytes).unwrap();
        let output = run(&folder, &["diagnose", "-q", "x.parquet"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            refused += 1;
            assert_eq!(output.status.code(), Some(2), "{place}: {said}");
            assert!(said.starts_with("error: x.parquet: ") && said.lines().count() == 1, "{place}: {said}");
        }
    }
    assert!(refused > 10, "{refused}");
}

fn answered(folder: &Path, threads: &str) -> PathBuf {
    let out = folder.join(format!("why{threads}"));
    let to = format!("parquet:{}", out.display());
    let output = run(&root(), &["-q", "samples", "--threads", threads, "-o", &to]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty());
    out
}

#[test]
fn tables_are_the_same_for_any_number_of_threads_and_replace_only_themselves() {
    let folder = scratch("parquet-threads");
    let (one, four) = (answered(&folder, "1"), answered(&folder, "4"));
    let names: Vec<String> =
        children(&one).iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(names, ["causes.parquet", "facts.parquet", "sessions.parquet"]);
    for name in names {
        assert_eq!(
            std::fs::read(one.join(&name)).unwrap(),
            std::fs::read(four.join(&name)).unwrap(),
            "{name}"
        );
    }
    std::fs::write(one.join("mine.txt"), "mine").unwrap();
    answered(&folder, "1");
    assert_eq!(children(&one).len(), 4);
    for threads in ["1", "3"] {
        let file = folder.join(format!("facts{threads}.parquet"));
        let arguments = ["facts", "-q", "samples", "--threads", threads, "-o", file.to_str().unwrap()];
        assert!(run(&root(), &arguments).status.success());
    }
    let bytes = |threads: &str| std::fs::read(folder.join(format!("facts{threads}.parquet"))).unwrap();
    assert_eq!(bytes("1"), bytes("3"));
}

#[test]
fn a_folder_that_cannot_be_written_leaves_nothing() {
    let folder = scratch("parquet-not-written");
    std::fs::write(folder.join("file"), "x").unwrap();
    let sample = root().join("samples/nla-required");
    let sample = sample.to_str().unwrap();
    assert_eq!(run(&folder, &["-q", sample, "-o", "parquet:file"]).status.code(), Some(3));
    assert_eq!(std::fs::read(folder.join("file")).unwrap(), b"x");
    assert_eq!(run(&folder, &["-q", sample, "-o", "new.parquet", "-o", "no/x.json"]).status.code(), Some(3));
    assert_eq!(children(&folder).len(), 1);
    let twice = ["-q", sample, "-o", "parquet:new", "-o", "json:new/facts.parquet"];
    assert_eq!(run(&folder, &twice).status.code(), Some(2));
}

/// What DuckDB and pyarrow say of the tables, or `None` where they are not there.
fn python(folder: &Path, facts: &Path) -> Option<Value> {
    let python = std::env::var_os("RDPWHY_PYTHON").unwrap_or_else(|| "python3".into());
    let there = Command::new(&python).args(["-c", "import duckdb, pyarrow.parquet"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("RDPWHY_REQUIRE_TOOLS").is_none(), "no Python with duckdb and pyarrow");
        aloud!("SKIPPED: no Python with duckdb and pyarrow (set RDPWHY_PYTHON)");
        return None;
    }
    let script = root().join("tests/it/parquet_tables.py");
    let output = Command::new(&python).arg(script).args([folder, facts]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().unwrap()
}

#[test]
fn duckdb_and_pyarrow_read_what_json_says() {
    let folder = scratch("parquet-read-back");
    let (tables, facts) = (answered(&folder, "2"), folder.join("facts.parquet"));
    std::fs::write(&facts, tabled(&root().join("samples"))).unwrap();
    let Some(told) = python(&tables, &facts) else { return };
    for table in Table::ALL {
        let names: Vec<&str> = table.columns().iter().map(|column| column.name).collect();
        assert_eq!(told["columns"][table.name()], Value::from(names));
    }
    let micros = "timestamp[us, tz=UTC]";
    assert_eq!(told["types"]["sessions"]["start"], micros);
    assert_eq!(told["types"]["facts"]["time"], micros);
    let nanos = "timestamp[ns, tz=UTC]";
    assert_eq!(told["exchanged"]["time"], nanos);
    assert!(told["types"]["facts"]["fields"].as_str().unwrap().starts_with("map<string, string"));
    assert_eq!(told["types"]["facts"]["frame"], "uint64");
    assert_eq!(told["types"]["causes"]["missing"], "list<element: string not null>");
    assert_eq!(told["exchanged"]["client_mark_times"], format!("list<element: {nanos} not null>"));

    let output = run(&root(), &["-q", "samples", "--format", "json"]);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut sessions: Vec<&Value> = list(&document, "sessions").iter().collect();
    sessions.sort_by_key(|session| session["id"].as_str().unwrap());
    let is_failure = |session: &Value| ["broke", "refused"].contains(&session["outcome"].as_str().unwrap());
    let mut lists = Vec::new();
    for (index, session) in sessions.iter().enumerate() {
        let cause = &session["causes"][0]["id"];
        let cause = if is_failure(session) { cause.clone() } else { Value::Null };
        let row = &told["sessions"][index];
        let expected = [&session["id"], &session["outcome"], &session["broke_at"], &cause];
        let found = [&row[0], &row[1], &row[2], &row[3]];
        assert_eq!(found, expected);
        assert_eq!((&row[4], &row[5]), (&session["user"]["name"], &session["aliases"]));
        let start = rdpwhy::time::UnixNanos::parse(session["start"].as_str().unwrap()).unwrap();
        assert_eq!(told["micros"][index][1], start.0 / 1_000);
        let counted = list(&told, "by_session").iter().find(|row| row[0] == session["id"]).unwrap();
        assert_eq!(counted[1], list(session, "timeline").len());
        for (rank, cause) in (1..).zip(list(session, "causes")) {
            let lengths = ["for", "against", "missing"].map(|key| list(cause, key).len());
            lists.push(serde_json::json!([session["id"], rank, lengths[0], lengths[1], lengths[2]]));
        }
    }
    assert_eq!(told["lists"], Value::Array(lists));
    assert_eq!(told["rows"]["sessions"], sessions.len());
    let causes: Vec<&str> = list(&told, "best").iter().filter_map(|row| row[1].as_str()).collect();
    assert!(causes.contains(&"bad-password") && causes.contains(&"hybrid-required"), "{causes:?}");
    let request = list(&told, "fields").iter().find(|row| row[0] == "request").unwrap();
    assert_eq!(request[1]["cookie"], "labuser");
    let lines = String::from_utf8(run(&root(), &["facts", "-q", "samples"]).stdout).unwrap();
    for row in list(&told, "lines") {
        let kind = format!("{{\"line\":\"{}\"", row[0].as_str().unwrap());
        let count = lines.lines().filter(|line| line.starts_with(&kind)).count();
        assert_eq!(row[1], count, "{kind}");
    }
}
