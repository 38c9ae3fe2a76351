//! `--redact`: the same answer about pseudonyms, and no real name in any form of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rdpwhy::diagnosis::{Verdict, diagnose_all};
use rdpwhy::exchange::{self, Part, columns};
use rdpwhy::fact::{Fact, Keys, Reading, Subject, What};
use rdpwhy::note::{Place, Spot};
use rdpwhy::read::{Inventory, Source, Unwatched};
use rdpwhy::redact::{Map, Redact, Redaction, Search, key_of};
use rdpwhy::report::parquet::{self, Table};
use rdpwhy::report::{csv, html, json, jsonl, markdown, text, timesketch};
use rdpwhy::session::{Story, join};
use rdpwhy::step::Step;
use rdpwhy::time::{UTC, UnixNanos};
use rdpwhy::{Analysis, Options, analyze_inventory, analyze_redacted};
use serde_json::Value;

use crate::cases;
use crate::support::{children, corpus, root, run, scratch};

fn redact(secret: &str) -> Redact {
    let map = Map { key: key_of(secret.as_bytes()), ..Map::default() };
    Redact { map, is_key_fixed: true }
}

/// What must be the same: of each session and attempt the outcome, the steps, every cause and how sure it is.
fn told(story: &Story, verdicts: &[Vec<Verdict>]) -> Vec<String> {
    let step = |step: Option<Step>| step.map_or("-", Step::name);
    let mut told: Vec<String> = Vec::new();
    for (session, verdicts) in story.sessions.iter().zip(verdicts) {
        let causes = verdicts.iter().map(|verdict| format!("{} {}", verdict.rule.id, verdict.confidence()));
        let causes: Vec<String> = causes.collect();
        told.push(format!(
            "session {} {} broke {} reached {} of {} facts: {}",
            session.start,
            session.outcome.name(),
            step(session.broke_at),
            step(session.reached),
            session.facts.len(),
            causes.join(", ")
        ));
    }
    for attempt in &story.attempts {
        let starts = attempt.sessions.iter().map(|index| story.sessions[*index].start.to_string());
        let starts: Vec<String> = starts.collect();
        told.push(format!("attempt {} of {}", attempt.outcome.name(), starts.join(", ")));
    }
    told.sort();
    told
}

fn options(path: &Path) -> Options {
    Options { paths: vec![path.to_owned()], key_logs: Vec::new(), zip_password: None }
}

fn differs(path: &Path) -> Option<String> {
    let inventory = rdpwhy::inventory(&options(path));
    let plain = analyze_inventory(inventory.clone(), &Unwatched);
    let (given, _) = analyze_redacted(inventory, &Unwatched, redact("a key of tests"));
    let (plain, given) = (told(&plain.story, &plain.verdicts), told(&given.story, &given.verdicts));
    (plain != given).then(|| format!("{}:\n{plain:#?}\n{given:#?}", path.display()))
}

#[test]
fn every_case_gives_the_same_answer_about_pseudonyms() {
    let mut wrong = Vec::new();
    for (name, folder) in cases::folders() {
        let text = std::fs::read_to_string(folder.join("facts.txt")).unwrap();
        let (story, verdicts) = cases::judged(&text);
        let (mut facts, mut witnesses) = cases::facts(&text);
        let mut inventory = Inventory::default();
        let mut redaction = Redaction::of(redact("a key of tests"), &facts, &inventory);
        redaction.apply(&mut facts, &mut [], &mut inventory, &mut []);
        for witness in &mut witnesses {
            witness.host = witness.host.as_deref().map(|host| redaction.asked(host));
        }
        let given = join(facts, &witnesses);
        let given_verdicts = diagnose_all(&given);
        let (plain, given) = (told(&story, &verdicts), told(&given, &given_verdicts));
        if plain != given {
            wrong.push(format!("{name}:\n{plain:#?}\n{given:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn folders_of(folder: PathBuf) -> Vec<PathBuf> {
    children(&folder).into_iter().filter(|path| path.is_dir()).collect()
}

#[test]
fn real_evidence_gives_the_same_answer_about_pseudonyms() {
    let mut folders = folders_of(root().join("samples"));
    folders.extend(folders_of(root().join("tests/captures/lab")));
    for part in ["lab", "public/pcap", "public/evtx"] {
        folders.extend(corpus(part).map(|folder| children(&folder)).unwrap_or_default());
    }
    let wrong: Vec<String> = folders.iter().filter_map(|folder| differs(folder)).collect();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every form of an answer, by name.
fn forms(analysis: &Analysis) -> Vec<(String, Vec<u8>)> {
    let arguments = ["analyze".to_owned(), "--redact".to_owned()];
    let layout = text::Layout { verbose: true, ..text::Layout::default() };
    let page = markdown::Layout { verbose: true, only_failed: false, zone: &UTC };
    let asked =
        html::Asked { arguments: arguments.to_vec(), only_failed: false, limits: html::Limits::default() };
    let mut all = vec![
        ("text".to_owned(), text::answer(analysis, layout).into_bytes()),
        ("json".to_owned(), json::document(analysis, &arguments).unwrap().into_bytes()),
        ("markdown".to_owned(), markdown::page(analysis, page).into_bytes()),
        ("html".to_owned(), html::page(analysis, &asked).unwrap().into_bytes()),
    ];
    let mut written = |name: &str, write: &dyn Fn(&mut Vec<u8>) -> std::io::Result<()>| {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        all.push((name.to_owned(), out));
    };
    written("jsonl", &|out| jsonl::write(out, analysis, &arguments));
    written("csv", &|out| csv::write(out, analysis));
    written("timesketch", &|out| timesketch::write(out, analysis));
    for table in Table::ALL {
        written(table.name(), &|out| parquet::write_rows(out, analysis, table));
    }
    all
}

/// Where a real name is left, or a word of the program is taken for one.
fn found(analysis: &Analysis, search: &Search) -> Vec<String> {
    let left = |(name, bytes): &(String, Vec<u8>)| Some(format!("{name}: {:?}", search.find(bytes)?));
    forms(analysis).iter().filter_map(left).collect()
}

#[test]
fn no_form_of_any_case_has_a_real_name() {
    let mut wrong = Vec::new();
    for (name, folder) in cases::folders() {
        let text = std::fs::read_to_string(folder.join("facts.txt")).unwrap();
        let (facts, witnesses) = cases::facts(&text);
        let captures = witnesses.iter().filter(|witness| witness.host.is_none());
        let sources = captures.map(|_| Source { inputs: Vec::new() }).collect();
        let part = Part { facts, sources, ..Part::default() };
        let (analysis, mut redaction) = rdpwhy::diagnose_redacted(vec![part], redact("a key of tests"));
        let search = redaction.search().unwrap();
        wrong.extend(found(&analysis, &search).into_iter().map(|left| format!("{name}: {left}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_form_of_real_evidence_has_a_real_name() {
    let mut folders = folders_of(root().join("samples"));
    folders.extend(folders_of(root().join("tests/captures/lab")));
    for part in ["lab", "public/pcap", "public/evtx"] {
        folders.extend(corpus(part).map(|folder| children(&folder)).unwrap_or_default());
    }
    let mut wrong = Vec::new();
    for folder in folders {
        let inventory = rdpwhy::inventory(&options(&folder));
        let (analysis, mut redaction) = analyze_redacted(inventory, &Unwatched, redact("a key of tests"));
        let search = redaction.search().unwrap();
        wrong.extend(
            found(&analysis, &search).into_iter().map(|left| format!("{}: {left}", folder.display())),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn sample(folder: &Path) -> PathBuf {
    let to = folder.join("contoso-ticket");
    std::fs::create_dir_all(&to).unwrap();
    for file in children(&root().join("samples/denied-0x7")) {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
    std::fs::write(folder.join("key"), "0123456789abcdef").unwrap();
    to
}

fn ran(folder: &Path, arguments: &str) -> Vec<u8> {
    let output = run(folder, &arguments.split(' ').collect::<Vec<_>>());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments}\n{said}");
    output.stdout
}

fn refused(folder: &Path, arguments: &str, status: i32, why: &str) {
    let before = children(folder);
    let output = run(folder, &arguments.split(' ').collect::<Vec<_>>());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{arguments}\n{said}");
    assert!(said.contains(why), "{arguments}\n{said}");
    assert!(output.stdout.is_empty(), "{arguments}");
    assert_eq!(children(folder), before, "{arguments} left something");
}

/// Names and addresses of the ends and the users, as the plain answer has them.
fn names(document: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for session in document["sessions"].as_array().unwrap() {
        let texts = |value: &Value| match value {
            Value::String(text) => vec![text.clone()],
            Value::Array(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        for pointer in [
            "client/ip",
            "client/name",
            "client/aliases",
            "server/ip",
            "server/name",
            "server/aliases",
            "user/name",
            "user/domain",
        ] {
            names.extend(session.pointer(&format!("/{pointer}")).map(texts).unwrap_or_default());
        }
    }
    names
}

/// Whatever its capitals are, and no part of another word.
fn has_word(text: &str, name: &str) -> bool {
    let (text, name) = (text.to_lowercase(), name.to_lowercase());
    let mut found = text.match_indices(&name).map(|(at, _)| (&text[..at], &text[at + name.len()..]));
    found.any(|(before, behind)| {
        !before.ends_with(char::is_alphanumeric) && !behind.starts_with(char::is_alphanumeric)
    })
}

#[test]
fn every_file_of_a_run_has_the_same_pseudonyms_and_no_real_name() {
    let folder = scratch("redact-forms");
    sample(&folder);
    let plain: Value = serde_json::from_slice(&ran(&folder, "contoso-ticket -q --format json")).unwrap();
    let files =
        ["a.json", "a.jsonl", "a.csv", "a.html", "a.md", "a.txt", "timesketch:a.ts", "parquet:tables"];
    let files = files.map(|file| format!("-o {file}")).join(" ");
    ran(
        &folder,
        &format!(
            "contoso-ticket -v --redact --redact-map map --redact-key key --user alice --server rdsh {files}"
        ),
    );
    let mut real = names(&plain);
    real.insert("contoso".to_owned());
    assert!(real.len() >= 5, "{real:?}");
    let given: Value = serde_json::from_slice(&std::fs::read(folder.join("a.json")).unwrap()).unwrap();
    let pseudonyms = names(&given);
    assert_eq!(pseudonyms.len(), names(&plain).len());
    let mut texts: Vec<(String, String)> = ["a.json", "a.jsonl", "a.csv", "a.html", "a.md", "a.txt", "a.ts"]
        .iter()
        .map(|file| ((*file).to_owned(), std::fs::read_to_string(folder.join(file)).unwrap()))
        .collect();
    for table in Table::ALL {
        let file =
            std::fs::File::open(folder.join("tables").join(table.name()).with_extension("parquet")).unwrap();
        let mut rows = String::new();
        columns::read(file, table.columns(), |row| {
            rows.push_str(&row.to_string());
            Ok(())
        })
        .unwrap();
        texts.push((table.name().to_owned(), rows));
    }
    for (file, text) in &texts {
        for name in &real {
            assert!(!has_word(text, name), "{name} stands in {file}");
        }
    }
    for file in ["a.jsonl", "a.csv", "a.html", "a.ts", "sessions"] {
        let (_, text) = texts.iter().find(|(name, _)| name == file).unwrap();
        let user = given.pointer("/sessions/0/user/name").and_then(Value::as_str).unwrap();
        assert!(text.contains(user), "{file} has another pseudonym than {user}");
    }
    let map = Map::read(&std::fs::read(folder.join("map")).unwrap()).unwrap();
    assert!(map.names.iter().any(|(_, real, _)| real == "alice"));
}

#[test]
fn the_same_key_gives_the_same_bytes_and_none_gives_others() {
    let folder = scratch("redact-key");
    sample(&folder);
    let base = "contoso-ticket -q --format json --redact";
    let one = ran(&folder, &format!("{base} --redact-map one --redact-key key --threads 1"));
    let two = ran(&folder, &format!("{base} --redact-map two --redact-key key --threads 4"));
    assert!(one == two, "the answers differ");
    let map = |name: &str| std::fs::read(folder.join(name)).unwrap();
    assert!(map("one") == map("two"), "the maps differ");
    let three = ran(&folder, &format!("{base} --redact-map three"));
    let four = ran(&folder, &format!("{base} --redact-map four"));
    assert!(three != four && three != one, "a key drawn at random gave the same pseudonyms");
    // The map of that run gives them again.
    assert!(ran(&folder, &format!("{base} --redact-map four")) == four, "the map gave other pseudonyms");
}

#[test]
fn a_map_is_its_owner_s_and_grows_and_nothing_else_is_overwritten() {
    let folder = scratch("redact-map");
    sample(&folder);
    let base = "-q --format json --redact --redact-map map";
    ran(&folder, &format!("contoso-ticket/server.pcap {base}"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |name: &str| std::fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode("map"), 0o600);
        // One that others could read is put right.
        std::fs::set_permissions(folder.join("map"), std::fs::Permissions::from_mode(0o644)).unwrap();
        ran(&folder, &format!("contoso-ticket/server.pcap {base}"));
        assert_eq!(mode("map"), 0o600);
    }
    let map = || Map::read(&std::fs::read(folder.join("map")).unwrap()).unwrap();
    let before = map();
    ran(&folder, &format!("contoso-ticket {base}"));
    let after = map();
    assert!(after.names.len() > before.names.len());
    let kept = |row: &&(rdpwhy::redact::Class, String, String)| row.0.name() != "input";
    assert!(before.names.iter().filter(kept).all(|row| after.names.contains(row)));
    assert_eq!(before.key, after.key);

    std::fs::write(folder.join("mine"), "something else").unwrap();
    refused(&folder, "contoso-ticket --redact --redact-map mine", 3, "is no map of --redact");
    assert_eq!(std::fs::read(folder.join("mine")).unwrap(), b"something else");
    refused(&folder, "contoso-ticket --redact --redact-map map --redact-key key", 3, "another key");
    refused(&folder, "contoso-ticket --redact --redact-map map --redact-shift 1h", 3, "another shift");
    refused(&folder, "contoso-ticket --redact --redact-map new -o json:new", 3, "--redact-map");
    refused(&folder, "contoso-ticket --redact --redact-map contoso-ticket/server.pcap", 3, "--redact-map");
    refused(&folder, "contoso-ticket --redact", 2, "--redact-map");
    std::fs::write(folder.join("short"), "0123").unwrap();
    refused(&folder, "contoso-ticket --redact --redact-map new --redact-key short", 2, "16 to 65536");
    refused(&folder, "slice 1 contoso-ticket -o x.pcapng --redact", 2, "packets as they were");
}

/// A file of facts in which a component is called by the user's name in hexadecimal digits.
fn smuggled(file: &Path) {
    let keys =
        Keys { host: "rdsh01.lab.test".to_owned(), user: Some("jdoe12".to_owned()), ..Keys::default() };
    let subject = Subject::Record(Arc::new(keys));
    let fact = |number: i64, text: &str| Fact {
        at: UnixNanos(1_795_168_800_000_000_000 + number),
        place: Place { input_index: 0, spot: Spot::Record(u64::try_from(number).unwrap()) },
        subject: subject.clone(),
        reading: Reading::Clear,
        what: What::parse(text).unwrap(),
    };
    let facts = vec![
        fact(1, "accepted"),
        fact(2, "user-named user=jdoe12"),
        fact(3, "protocol-error component=6a646f653132"),
        fact(4, "disconnected reason=0x7"),
    ];
    let input = rdpwhy::read::Input::elsewhere("a.evtx", "evtx", false, 1);
    let part = Part { inputs: vec![(input, None)], facts, ..Part::default() };
    let mut out = Vec::new();
    exchange::write_part(&mut out, &part).unwrap();
    std::fs::write(file, out).unwrap();
}

#[test]
fn an_answer_in_which_a_name_is_left_is_not_written() {
    let folder = scratch("redact-refused");
    smuggled(&folder.join("facts.jsonl"));
    let shown = String::from_utf8(ran(&folder, "diagnose facts.jsonl --format json")).unwrap();
    assert!(shown.contains("6a646f653132"), "{shown}");
    let why = "still has a real label, spelled in hexadecimal digits";
    refused(&folder, "diagnose facts.jsonl --format json --redact --redact-map map", 3, why);
    refused(
        &folder,
        "diagnose facts.jsonl --redact --redact-map map -o a.csv -o a.json -o parquet:tables",
        3,
        why,
    );
    refused(&folder, "diagnose facts.jsonl --redact --redact-map map -o parquet:tables", 3, why);
}

#[test]
fn facts_and_inputs_are_redacted_too_and_give_the_same_answer() {
    let folder = scratch("redact-facts");
    sample(&folder);
    let plain: Value = serde_json::from_slice(&ran(&folder, "contoso-ticket -q --format json")).unwrap();
    let base = "--redact --redact-map map --redact-key key";
    ran(&folder, &format!("facts contoso-ticket -o facts.jsonl {base}"));
    ran(&folder, &format!("facts contoso-ticket -o facts.parquet {base}"));
    let held = String::from_utf8(ran(&folder, &format!("inputs contoso-ticket {base}"))).unwrap();
    let lines = std::fs::read_to_string(folder.join("facts.jsonl")).unwrap();
    for name in names(&plain).into_iter().chain(["contoso".to_owned()]) {
        for text in [&lines, &held] {
            assert!(!has_word(text, &name), "{name} is left");
        }
    }
    let whole = ran(&folder, &format!("contoso-ticket -q --format json {base}"));
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    for facts in ["facts.jsonl", "facts.parquet"] {
        let apart: Value =
            serde_json::from_slice(&ran(&folder, &format!("diagnose {facts} --format json"))).unwrap();
        assert_eq!(apart["sessions"], whole["sessions"], "{facts}");
        assert_eq!(apart["attempts"], whole["attempts"], "{facts}");
    }
}

/// Whoever reads a redacted answer asks for what stands in it.
#[test]
fn what_a_redacted_answer_names_is_found_by_its_map_and_hinted_at_without() {
    let folder = scratch("redact-back");
    sample(&folder);
    let redacted = "contoso-ticket -q --format json --redact --redact-map map --redact-key key";
    let given: Value = serde_json::from_slice(&ran(&folder, redacted)).unwrap();
    let id = given.pointer("/sessions/0/id").and_then(Value::as_str).unwrap();
    let (client, _) = id.split_once('-').unwrap();
    let address = client.rsplit_once(':').unwrap().0;
    let user = given.pointer("/sessions/0/user/name").and_then(Value::as_str).unwrap();
    for asked in [id, client] {
        let said = ran(&folder, &format!("slice {asked} contoso-ticket -o a.pcapng -q --redact-map map"));
        assert!(String::from_utf8(said).unwrap().contains("198.51.100.10"), "{asked}");
    }
    refused(&folder, &format!("slice {id} contoso-ticket -o b.pcapng -q"), 2, "--redact-map");
    refused(
        &folder,
        &format!("slice {id} contoso-ticket -o b.pcapng -q --redact-map none"),
        2,
        "no such map",
    );
    refused(&folder, &format!("slice {id} contoso-ticket -o b.pcapng -q --redact-map key"), 2, "no map");
    for (option, value) in [("--client", address), ("--user", user)] {
        let again: Value =
            serde_json::from_slice(&ran(&folder, &format!("{redacted} {option} {value}"))).unwrap();
        assert_eq!(again["sessions"].as_array().unwrap().len(), 1, "{option} {value}");
        let arguments: Vec<&str> = ["contoso-ticket", option, value].into();
        let output = run(&folder, &arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("if what is asked for is a pseudonym"), "{said}");
    }
    let output = run(&folder, &["contoso-ticket", "--user", "nobody"]);
    assert!(!String::from_utf8(output.stderr).unwrap().contains("pseudonym"));
}

#[test]
fn a_redacted_answer_says_what_its_names_are() {
    let folder = scratch("redact-says");
    sample(&folder);
    std::fs::rename(
        folder.join("contoso-ticket/RDSH01-RdpCoreTS.evtx"),
        folder.join("contoso-ticket/Microsoft-Windows-RemoteDesktopServices-RdpCoreTS%4Operational.evtx"),
    )
    .unwrap();
    let base = "contoso-ticket -q --redact --redact-map map --redact-key key";
    ran(&folder, &format!("{base} -o a.txt -o a.md -o a.html"));
    let text = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        text.split_whitespace().collect::<Vec<&str>>().join(" ")
    };
    for name in ["a.txt", "a.md", "a.html"] {
        assert!(text(name).contains("names and addresses are pseudonyms"), "{name}");
    }
    let text = text("a.txt");
    assert!(text.contains("Microsoft-Windows-RemoteDesktopServices-RdpCoreTS%4Operational.evtx"), "{text}");
    assert!(text.contains("wevtutil qe \"input-") && text.contains("/lf:true"), "{text}");
    assert!(text.contains("--redact-map MAP"), "{text}");
    assert!(!text.contains("moved by the same span"));
    let plain = String::from_utf8(ran(&folder, "contoso-ticket -q")).unwrap();
    assert!(!plain.contains("pseudonym") && !plain.contains("redact"), "{plain}");
}

/// The document with the real names again, in small letters: what is written in capitals has a pseudonym in capitals, and
/// other capitals are lost.
fn led_back(value: &Value, map: &Map) -> Value {
    match value {
        Value::String(text) => Value::String(map.real(text).to_lowercase()),
        Value::Array(all) => all.iter().map(|value| led_back(value, map)).collect(),
        Value::Object(all) => {
            let one = |(key, value): (&String, &Value)| match key.as_str() {
                // Made of the pseudonyms.
                "community_id" => (key.clone(), Value::Null),
                _ => (key.clone(), led_back(value, map)),
            };
            all.iter().map(one).collect()
        }
        other => other.clone(),
    }
}

/// Where two documents differ.
fn difference(plain: &Value, given: &Value, at: &str) -> Option<String> {
    match (plain, given) {
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).enumerate().find_map(|(n, (a, b))| difference(a, b, &format!("{at}/{n}")))
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().find_map(|(key, value)| difference(value, &b[key], &format!("{at}/{key}")))
        }
        _ if plain == given => None,
        _ => Some(format!("{at}: {plain} and {given}")),
    }
}

#[test]
fn a_redacted_answer_led_back_by_its_map_is_the_plain_answer() {
    let mut folders = folders_of(root().join("samples"));
    folders.extend(folders_of(root().join("tests/captures/lab")));
    folders.extend(corpus("lab").map(|folder| children(&folder)).unwrap_or_default());
    let arguments = ["analyze".to_owned()];
    let document = |analysis: &Analysis| -> Value {
        serde_json::from_str(&json::document(analysis, &arguments).unwrap()).unwrap()
    };
    let mut wrong = Vec::new();
    for folder in &folders {
        let inventory = rdpwhy::inventory(&options(folder));
        let plain = document(&analyze_inventory(inventory.clone(), &Unwatched));
        let (given, mut redaction) =
            analyze_redacted(inventory.clone(), &Unwatched, redact("a key of tests"));
        let map = redaction.map();
        // Facts that were redacted, written and read back are judged in the same order.
        let (part, _) = rdpwhy::redacted_facts(inventory, &Unwatched, redact("a key of tests"));
        let mut lines = Vec::new();
        exchange::write_part(&mut lines, &part).unwrap();
        let apart = rdpwhy::diagnose(vec![exchange::read(lines.as_slice()).unwrap()]);
        let plain = led_back(&plain, &Map::default());
        for (given, way) in [(given, "at once"), (apart, "apart")] {
            let found = difference(&plain, &led_back(&document(&given), &map), "");
            wrong.extend(found.map(|found| format!("{} {way}: {found}", folder.display())));
        }
    }
    assert!(!folders.is_empty() && wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_shift_moves_every_time_and_nothing_else() {
    let folder = scratch("redact-shift");
    sample(&folder);
    let base = "contoso-ticket -q --format json --redact --redact-key key";
    let document = |arguments: &str| -> Value { serde_json::from_slice(&ran(&folder, arguments)).unwrap() };
    let mut still = document(&format!("{base} --redact-map still"));
    let moved = document(&format!("{base} --redact-map moved --redact-shift -36h"));
    assert_eq!(moved["tool"]["arguments"], serde_json::json!(["analyze", "--redact", "--redact-shift"]));
    still["tool"] = moved["tool"].clone();
    let mut times = 0;
    shift(&mut still, -36 * 3_600 * 1_000_000_000, &mut times);
    assert!(times > 20);
    assert_eq!(still, moved);
    assert_eq!(
        Map::read(&std::fs::read(folder.join("moved")).unwrap()).unwrap().shift_ns,
        -129_600_000_000_000
    );
    // Times that are asked for are those of the evidence.
    let found = document(&format!("{base} --redact-map moved --at 2026-11-22T09:12Z+-10m"));
    assert!(!found["attempts"].as_array().unwrap().is_empty());
    let found = document(&format!("{base} --redact-map moved --at 2026-11-20T21:12Z+-10m"));
    assert!(found["attempts"].as_array().unwrap().is_empty());
}

/// Moves every time of a document.
fn shift(value: &mut Value, by: i64, times: &mut u32) {
    match value {
        Value::String(text) if text.len() == 27 && text.ends_with('Z') => {
            if let Some(at) = UnixNanos::parse(text) {
                *text = at.plus(by).to_string();
                *times += 1;
            }
        }
        Value::String(text) if text.contains("Z to ") => {
            let part = |part: &str| match UnixNanos::parse(part.trim_end_matches(',')) {
                Some(at) if part.contains('T') => at.plus(by).to_string(),
                _ => part.to_owned(),
            };
            *text = text.split(' ').map(part).collect::<Vec<String>>().join(" ");
        }
        Value::Array(all) => all.iter_mut().for_each(|value| shift(value, by, times)),
        Value::Object(all) => all.values_mut().for_each(|value| shift(value, by, times)),
        _ => {}
    }
}

/// A name that is a word of the answers anyway cannot be sought.
#[test]
fn every_writer_of_answers_is_known_by_its_words() {
    let source = root().join("src");
    let told = std::fs::read_to_string(source.join("redact/words.rs")).unwrap();
    let mut folders = vec![source.join("report"), source.join("diagnosis")];
    while let Some(folder) = folders.pop() {
        for path in children(&folder) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&source).unwrap().display().to_string().replace('\\', "/");
            // They write what is never redacted, or nothing of their own.
            let others = ["report/slice", "report/explained", "report/safe"];
            let other = others.iter().any(|other| name.starts_with(other));
            let known = told.contains(&format!("\"../{name}\""));
            assert!(other || known, "add {name} to WRITERS in src/redact/words.rs");
        }
    }
}
