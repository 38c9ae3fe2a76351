//! Every form of an answer: JSON, JSON lines, facts and Timesketch against their schemas, CSV and Markdown read back by
//! other programs, and what of the command line changes how an answer looks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use jsonschema::Validator;
use rdpwhy::diagnosis::diagnose_all;
use rdpwhy::fact::What;
use rdpwhy::read::{Inventory, Unwatched};
use rdpwhy::report::{csv, json, jsonl, markdown, timesketch};
use rdpwhy::session::{Outcome, join};
use rdpwhy::step::LADDER;
use rdpwhy::time::{Stretch, UTC};
use rdpwhy::{Analysis, Naming, Options, analyze_inventory};
use serde_json::{Map, Value, json};

use crate::cases::{facts, folders};
use crate::support::{children, corpus, root, run, scratch};

fn schema(name: &str) -> Value {
    let path = root().join(format!("docs/schema/{name}.schema.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Every schema, ready to check.
struct Schemas {
    json: Validator,
    jsonl: Validator,
    facts: Validator,
    timesketch: Validator,
}

impl Schemas {
    fn read() -> Self {
        let of = |name: &str| jsonschema::draft202012::new(&schema(name)).unwrap();
        Self { json: of("json"), jsonl: of("jsonl"), facts: of("facts"), timesketch: of("timesketch") }
    }
}

fn valid(schema: &Validator, value: &Value, what: &str) {
    let wrong: Vec<String> =
        schema.iter_errors(value).take(3).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(wrong.is_empty(), "{what}: {wrong:#?}");
}

fn lines(text: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(text).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn jsonl_of(analysis: &Analysis) -> Vec<Value> {
    let mut out = Vec::new();
    jsonl::write(&mut out, analysis, &[]).unwrap();
    lines(&out)
}

fn csv_of(analysis: &Analysis) -> Vec<u8> {
    let mut out = Vec::new();
    csv::write(&mut out, analysis).unwrap();
    out
}

/// All forms of one answer hold what they promise.
fn check(schemas: &Schemas, analysis: &Analysis, name: &str) {
    let document: Value = serde_json::from_str(&json::document(analysis, &[]).unwrap()).unwrap();
    valid(&schemas.json, &document, name);
    in_order(&document, &schema("json"), &schema("json"), name);
    check_lines(schemas, &jsonl_of(analysis), &document, name);
    let mut out = Vec::new();
    timesketch::write(&mut out, analysis).unwrap();
    let events = lines(&out);
    for event in &events {
        valid(&schemas.timesketch, event, name);
    }
    let entries: usize =
        rows(&document, "sessions").iter().map(|session| rows(session, "timeline").len()).sum();
    assert_eq!(events.len(), entries + rows(&document, "attempts").len(), "{name}");
    check_csv(&csv_of(analysis), &document, name);
    let layout = markdown::Layout { verbose: true, only_failed: false, zone: &UTC };
    only_text(&markdown::page(analysis, layout), name);
}

fn rows<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().unwrap()
}

/// The lines are the rows of the document.
fn check_lines(schemas: &Schemas, lines: &[Value], document: &Value, name: &str) {
    let mut told: Vec<(String, Value)> = Vec::new();
    for line in lines {
        valid(&schemas.jsonl, line, name);
        let mut row = line.as_object().unwrap().clone();
        let Some(Value::String(kind)) = row.shift_remove("type") else { panic!("{name}: {line}") };
        told.push((kind, Value::Object(row)));
    }
    let mut tool = Map::from_iter([("schema_version".to_owned(), document["schema_version"].clone())]);
    tool.extend(document["tool"].as_object().unwrap().clone());
    let mut expected = vec![("tool".to_owned(), Value::Object(tool))];
    for (key, kind) in ["inputs", "clocks", "attempts", "sessions", "notes"]
        .iter()
        .zip(["input", "clock", "attempt", "session", "note"])
    {
        expected.extend(rows(document, key).iter().map(|row| (kind.to_owned(), row.clone())));
    }
    assert!(told == expected, "{name}: the lines are not the rows of the document");
}

/// Keys stand in the order of the schema, in every object.
fn in_order(value: &Value, schema: &Value, whole: &Value, name: &str) {
    let schema = match schema.get("$ref").and_then(Value::as_str) {
        Some(to) => whole.pointer(to.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    if let Some(either) = schema.get("anyOf").and_then(Value::as_array).filter(|_| !value.is_null()) {
        return in_order(value, &either[0], whole, name);
    }
    match value {
        Value::Object(object) => {
            let properties = schema["properties"].as_object().unwrap();
            let expected: Vec<&String> = properties.keys().filter(|key| object.contains_key(*key)).collect();
            assert_eq!(object.keys().collect::<Vec<_>>(), expected, "{name}");
            for (key, inner) in object {
                in_order(inner, &properties[key], whole, name);
            }
        }
        Value::Array(items) if schema.get("items").is_some_and(Value::is_object) => {
            for item in items {
                in_order(item, &schema["items"], whole, name);
            }
        }
        _ => {}
    }
}

fn check_csv(table: &[u8], document: &Value, name: &str) {
    let text = std::str::from_utf8(table).unwrap();
    assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{name}: lines end in CR LF");
    let mut reader = ::csv::ReaderBuilder::new().from_reader(table);
    let header: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(header.len(), csv::ATTEMPT_COLUMNS.len() + csv::CAUSE_COLUMNS.len());
    let records: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let attempts = rows(document, "attempts");
    assert_eq!(records.len(), attempts.len(), "{name}");
    for (record, attempt) in records.iter().zip(attempts) {
        assert_eq!(record.get(0), attempt["id"].as_str(), "{name}");
        let formula = |cell: &str| cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
        assert!(!record.iter().any(formula), "{name}: {record:?}");
        let cause = header.iter().position(|column| column == "cause").unwrap();
        assert_eq!(record.get(cause).unwrap(), attempt["cause"].as_str().unwrap_or_default());
    }
}

/// Another program finds no HTML, link, picture or the like in the page, and no table has more columns than its head.
fn only_text(page: &str, name: &str) {
    use pulldown_cmark::{Event, Options, Parser, Tag};
    for event in Parser::new_ext(page, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        let markup = match &event {
            Event::Html(_) | Event::InlineHtml(_) => true,
            Event::Start(tag) => !matches!(
                tag,
                Tag::Paragraph
                    | Tag::Heading { .. }
                    | Tag::CodeBlock(_)
                    | Tag::List(None)
                    | Tag::Item
                    | Tag::Table(_)
                    | Tag::TableHead
                    | Tag::TableRow
                    | Tag::TableCell
                    | Tag::Strong
            ),
            _ => false,
        };
        assert!(!markup, "{name}: {event:?}");
    }
}

/// The answer to facts of a case, as if they came from files.
fn analysis_of(text: &str) -> Analysis {
    let (facts, witnesses) = facts(text);
    let story = join(facts, &witnesses);
    let verdicts = diagnose_all(&story);
    let (inventory, timeline) = (Inventory::default(), Stretch::default());
    let (counts, notes) = (Vec::new(), Vec::new());
    Analysis {
        inventory,
        counts,
        witnesses,
        story,
        verdicts,
        notes,
        left_out: 0,
        unmatched: None,
        said: None,
        timeline,
        naming: Naming::Real,
    }
}

fn answered(path: PathBuf) -> Analysis {
    let mut inventory =
        rdpwhy::inventory(&Options { paths: vec![path], key_logs: Vec::new(), ..Options::default() });
    inventory.hash();
    analyze_inventory(inventory, &Unwatched)
}

fn check_facts(schemas: &Schemas, path: PathBuf) {
    let name = path.display().to_string();
    let inventory =
        rdpwhy::inventory(&Options { paths: vec![path], key_logs: Vec::new(), ..Options::default() });
    let mut out = Vec::new();
    rdpwhy::write_facts(&inventory, &Unwatched, &mut out).unwrap();
    for line in lines(&out) {
        valid(&schemas.facts, &line, &name);
    }
}

#[test]
fn the_schema_of_lines_is_that_of_the_document_in_rows() {
    let document = schema("json");
    let defs = document["$defs"].as_object().unwrap();
    let kinds = ["tool", "input", "clock", "attempt", "session", "note"];
    let mut own = defs.clone();
    for kind in kinds {
        let row = own.get_mut(kind).unwrap();
        let version = (kind == "tool").then(|| ("schema_version", json!({ "const": 1 })));
        let first = [("type", json!({ "const": kind }))].into_iter().chain(version);
        let first: Vec<(String, Value)> = first.map(|(key, value)| (key.to_owned(), value)).collect();
        let keys: Vec<Value> = first.iter().map(|(key, _)| Value::from(key.as_str())).collect();
        let rest = row["properties"].as_object().unwrap().clone();
        row["properties"] = Value::Object(first.into_iter().chain(rest).collect());
        let required = row["required"].as_array().unwrap().clone();
        row["required"] = Value::Array(keys.into_iter().chain(required).collect());
    }
    let either: Vec<Value> = kinds.iter().map(|kind| json!({ "$ref": format!("#/$defs/{kind}") })).collect();
    let lines = json!({
        "$schema": document["$schema"],
        "title": "a line of rdpwhy --format jsonl",
        "description": "The rows of the JSON document, each with its type in front; `tool` comes first. Keys stand in this order.",
        "oneOf": either,
        "$defs": own,
    });
    let text = serde_json::to_string_pretty(&lines).unwrap() + "\n";
    expect_file![root().join("docs/schema/jsonl.schema.json")].assert_eq(&text);
}

#[test]
fn the_schemas_know_every_step_and_outcome() {
    let steps: Vec<Value> = LADDER.iter().map(|rung| Value::from(rung.name)).collect();
    assert_eq!(schema("json").pointer("/$defs/step/enum"), Some(&Value::Array(steps.clone())));
    assert_eq!(
        schema("facts").pointer("/$defs/fact/properties/step/enum"),
        Some(&Value::Array(steps.clone()))
    );
    assert_eq!(schema("timesketch").pointer("/properties/step/enum"), Some(&Value::Array(steps)));
    let outcomes = [
        Outcome::Active,
        Outcome::Broke,
        Outcome::Refused,
        Outcome::Probe,
        Outcome::Closed,
        Outcome::Unknown,
    ];
    let outcomes = Value::Array(outcomes.iter().map(|outcome| Value::from(outcome.name())).collect());
    assert_eq!(schema("json").pointer("/$defs/outcome/enum"), Some(&outcomes));
    assert_eq!(schema("timesketch").pointer("/properties/outcome/enum"), Some(&outcomes));
    let pattern = schema("facts").pointer("/$defs/fact/properties/fact/pattern").cloned().unwrap();
    let names = jsonschema::draft202012::new(&json!({ "pattern": pattern })).unwrap();
    for name in What::NAMES {
        assert!(names.is_valid(&Value::from(*name)), "{name}");
    }
}

/// Every object is closed: a key that nobody wrote down is wrong.
#[test]
fn the_schemas_are_tight() {
    fn closed(schema: &Value) {
        if let Some(object) = schema.as_object() {
            if object.get("type") == Some(&Value::from("object")) {
                assert!(object.contains_key("additionalProperties"), "{schema}");
            }
            object.values().for_each(closed);
        } else if let Some(items) = schema.as_array() {
            items.iter().for_each(closed);
        }
    }
    for name in ["json", "jsonl", "facts", "timesketch"] {
        closed(&schema(name));
    }
    let schemas = Schemas::read();
    let good = json!({ "type": "note", "input": "a", "place": "frame 3", "text": "x" });
    assert!(schemas.jsonl.is_valid(&good));
    for (key, wrong) in
        [("more", json!(1)), ("place", json!("line 3")), ("text", json!("")), ("type", json!("notes"))]
    {
        let mut bad = good.clone();
        bad[key] = wrong;
        assert!(!schemas.jsonl.is_valid(&bad), "{key}");
    }
}

#[test]
fn every_case_gives_answers_as_the_schemas_have_them() {
    let schemas = Schemas::read();
    let mut seen = 0;
    for (name, folder) in folders() {
        let text = std::fs::read_to_string(folder.join("facts.txt")).unwrap();
        check(&schemas, &analysis_of(&text), &name);
        seen += 1;
    }
    assert!(seen > 300, "{seen} cases");
}

#[test]
fn every_sample_gives_answers_as_the_schemas_have_them() {
    let schemas = Schemas::read();
    let samples = root().join("samples");
    check(&schemas, &answered(samples.clone()), "samples");
    for sample in children(&samples).into_iter().filter(|path| path.is_dir()) {
        check_facts(&schemas, sample);
    }
}

#[test]
fn the_corpus_gives_answers_as_the_schemas_have_them() {
    let schemas = Schemas::read();
    for part in ["lab", "public/pcap", "public/evtx"] {
        let Some(folder) = corpus(part) else { continue };
        for path in children(&folder) {
            let name = path.display().to_string();
            check(&schemas, &answered(path.clone()), &name);
            check_facts(&schemas, path);
        }
    }
}

/// A user, a computer and a certificate with names made to be taken for something else.
fn hostile() -> Vec<String> {
    let names = [
        "=HYPERLINK(\"http://evil.example\",\"x\")",
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(1+1)",
        "\tTAB",
        "\rCR",
        "a,b;c\"d\"\r\ne",
        "</td><script>alert(1)</script>",
        "![x](http://evil.example) [y](javascript:alert(1)) <http://z>",
        "a|b|c `code` **bold** _it_ ~~no~~ $x$ # head",
        "www.evil.example @everyone &lt; &#64; \\",
        "\u{1b}[31mred\u{7}\u{202e}exe.txt\u{200b}\u{0}",
        "```\n# out",
        "ＡＬＩＣＥ ＝1 日本 🙂",
        "null",
        "",
    ];
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Facts in which every name is this one.
fn of_name(name: &str) -> Analysis {
    let case = "connection 198.51.100.10:50112 > 203.0.113.20:3389
+0.000 syn tries=1 over_ms=0
+0.001 syn-ack after_ms=1
+0.002 connected
+0.003 request protocols=0xb flags=0 cookie=NAME
+0.020 confirm protocol=0x2 flags=0 acceptable=yes
+0.030 client-hello version=0x303 suites=3 sni=NAME offered=c030,c02f,009d
+0.040 server-hello version=0x303 suite=0xc030
+0.041 certificate by=server subject=NAME issuer=NAME not_before=1793000000000000000 not_after=1803000000000000000 self_signed=yes key=NAME signature=NAME
+0.049 tls-opened client_records=9 server_records=9 closed_records=0
+0.050 tls-finished
+0.081 user-named user=NAME domain=NAME workstation=NAME
+0.090 credssp-refused by=server round=2 bytes=15 status=0xc000006a
+0.091 reset by=client ttl=128 usual_ttl=128";
    let (mut facts, witnesses) = facts(&case.replace("=NAME", "=rdsh01"));
    for fact in &mut facts {
        let named: Vec<(&str, String)> = fact
            .what
            .fields()
            .into_iter()
            .map(|(field, text)| (field, if text == "rdsh01" { name.to_owned() } else { text }))
            .collect();
        fact.what = What::of_fields(fact.what.name(), named.into_iter()).unwrap();
    }
    let story = join(facts, &witnesses);
    let verdicts = diagnose_all(&story);
    let paths = vec![(name.to_owned(), name.as_bytes().to_vec())];
    let inventory = rdpwhy::read::inputs::held(paths);
    let (counts, notes) = (vec![None], inventory.notes.clone());
    let timeline = Stretch::default();
    Analysis {
        inventory,
        counts,
        witnesses,
        story,
        verdicts,
        notes,
        left_out: 0,
        unmatched: None,
        said: None,
        timeline,
        naming: Naming::Real,
    }
}

#[test]
fn hostile_names_stay_data_in_every_form() {
    let schemas = Schemas::read();
    for name in hostile() {
        let analysis = of_name(&name);
        check(&schemas, &analysis, &name);
        let document: Value = serde_json::from_str(&json::document(&analysis, &[]).unwrap()).unwrap();
        assert_eq!(document["sessions"][0]["legs"][0]["tls"]["certificate"]["subject"], name.as_str());
        let page =
            markdown::page(&analysis, markdown::Layout { verbose: true, only_failed: false, zone: &UTC });
        assert!(!page.contains(['\u{1b}', '\u{202e}', '\r', '\0']), "{name}");
        let table = String::from_utf8(csv_of(&analysis)).unwrap();
        assert!(!table.contains(['\u{1b}', '\u{202e}', '\0']), "{name}");
    }
}

#[test]
fn header_names_of_the_table_are_keys_of_the_document() {
    let schema = schema("json");
    let properties = |of: &str| schema["$defs"][of]["properties"].clone();
    for column in csv::ATTEMPT_COLUMNS {
        let (key, inner) = column.split_once('.').map_or((*column, None), |(key, inner)| (key, Some(inner)));
        let found = properties("attempt")[key].clone();
        assert!(found.is_object(), "{column}");
        let of =
            ["end", "user"].iter().any(|of| inner.is_some_and(|inner| properties(of)[inner].is_object()));
        assert!(inner.is_none() || of || found["properties"][inner.unwrap()].is_object(), "{column}");
    }
    for column in csv::CAUSE_COLUMNS {
        assert!(properties("cause")[*column].is_object(), "{column}");
    }
}

fn said(arguments: &[&str]) -> String {
    let output = run(&root(), &[&["-q", "samples"], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn forms_are_the_same_for_any_number_of_threads() {
    for format in ["json", "jsonl", "csv", "markdown", "timesketch"] {
        let with = |threads: &str| said(&["--format", format, "--hash", "--threads", threads]);
        let one = with("1");
        assert!(one.len() > 1_000, "{format}");
        assert_eq!(with("4"), one, "{format}");
    }
}

#[test]
fn a_time_zone_changes_text_and_markdown_and_no_data() {
    let text = said(&["--timezone", "America/New_York"]);
    assert!(text.contains("  when      2026-11-22T01:27:45.806551-05:00, lasted"), "{text}");
    let page = said(&["--timezone", "Europe/Berlin", "--format", "markdown"]);
    assert!(page.contains("| when | 2026-11-22T07:27:45.806551+01:00, lasted"), "{page}");
    for format in ["json", "jsonl", "csv", "timesketch"] {
        assert_eq!(said(&["--timezone", "Asia/Tokyo", "--format", format]), said(&["--format", format]));
    }
    let output = run(&root(), &["samples", "--timezone", "Mars/Olympus"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("expected a name such as Europe/Berlin"));
}

#[test]
fn the_timeline_is_cut_where_it_is_asked_for_and_nothing_else_is() {
    let (start, end) = ("2026-11-22T06:41:03.45Z", "2026-11-22T06:41:03.6Z");
    let cut = said(&["--format", "json", "--timeline-start", start, "--timeline-end", end]);
    let (cut, whole): (Value, Value) =
        (serde_json::from_str(&cut).unwrap(), serde_json::from_str(&said(&["--format", "json"])).unwrap());
    assert_eq!(cut["attempts"], whole["attempts"]);
    let (mut left, mut all) = (0, 0);
    for (cut, whole) in rows(&cut, "sessions").iter().zip(rows(&whole, "sessions")) {
        let held = |entry: &&Value| {
            let time = entry["time"].as_str().unwrap();
            ("2026-11-22T06:41:03.450000Z"..="2026-11-22T06:41:03.600000Z").contains(&time)
        };
        let expected: Vec<&Value> = rows(whole, "timeline").iter().filter(held).collect();
        assert_eq!(rows(cut, "timeline").iter().collect::<Vec<_>>(), expected);
        (left, all) = (left + expected.len(), all + rows(whole, "timeline").len());
    }
    assert!(left > 5 && left < all, "{left} of {all}");
}

#[test]
fn colours_are_for_terminals_and_who_asks_for_them() {
    let plain = said(&[]);
    assert!(!plain.contains('\u{1b}'));
    assert_eq!(said(&["--color", "never"]), plain);
    let painted = said(&["--color", "always"]);
    assert!(painted.contains("\u{1b}[1m\u{1b}[31mBROKE at X.224 negotiation\u{1b}[0m"), "{painted}");
    let mut bare = String::new();
    for part in painted.split('\u{1b}') {
        bare.push_str(
            part.split_once('m').filter(|(code, _)| code.starts_with('[')).map_or(part, |(_, rest)| rest),
        );
    }
    assert_eq!(bare, plain);
    assert!(!said(&["--color", "always", "--format", "json"]).contains('\u{1b}'));
    let with = |name: &str, value: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rdpwhy"));
        command.current_dir(root()).args(["-q", "samples"]).env(name, value);
        String::from_utf8(command.output().unwrap().stdout).unwrap().contains('\u{1b}')
    };
    assert!(with("CLICOLOR_FORCE", "1") && !with("CLICOLOR_FORCE", "0") && !with("NO_COLOR", "1"));
}

/// As `sha256sum` says of files made here.
#[test]
fn hashes_are_those_that_sha256sum_gives() {
    let folder = scratch("hashes");
    let sample = root().join("samples/nla-required/server.pcap");
    std::fs::copy(&sample, folder.join("a.pcap")).unwrap();
    std::fs::write(folder.join("b.pcap"), "abc").unwrap();
    let known = |name: &str| {
        let output = std::process::Command::new("sha256sum").arg(name).current_dir(&folder).output().unwrap();
        String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
    };
    let hash = |answer: &[u8], index: usize| {
        let answer: Value = serde_json::from_slice(answer).unwrap();
        answer["inputs"][index]["sha256"].as_str().map(str::to_owned)
    };
    let output = run(&folder, &["-q", "--hash", "--format", "json", "a.pcap", "b.pcap"]);
    assert_eq!(hash(&output.stdout, 0), Some(known("a.pcap")));
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(hash(&output.stdout, 1).as_deref(), Some(abc));
    let without = run(&folder, &["-q", "--format", "json", "a.pcap"]);
    assert_eq!(hash(&without.stdout, 0), None);
    assert!(run(&folder, &["facts", "-q", "--hash", "a.pcap", "-o", "f.jsonl"]).status.success());
    let output = run(&folder, &["diagnose", "f.jsonl", "--format", "json"]);
    assert_eq!(hash(&output.stdout, 0), Some(known("a.pcap")));
    let stdin = std::process::Command::new(env!("CARGO_BIN_EXE_rdpwhy"))
        .args(["-", "-q", "--hash", "--format", "json"])
        .stdin(std::fs::File::open(&sample).unwrap())
        .output()
        .unwrap();
    assert_eq!(hash(&stdin.stdout, 0), Some(known("a.pcap")));
    assert!(
        String::from_utf8(run(&folder, &["inputs", "--hash", "a.pcap"]).stdout)
            .unwrap()
            .contains(&known("a.pcap"))
    );
}

#[test]
fn ids_of_attempts_in_a_table_are_each_once() {
    let table = said(&["--format", "csv"]);
    let mut reader = ::csv::Reader::from_reader(table.as_bytes());
    let ids: Vec<String> = reader.records().map(|row| row.unwrap().get(0).unwrap().to_owned()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 5);
    assert!(Path::new(&root()).join("docs/schema").is_dir());
}
