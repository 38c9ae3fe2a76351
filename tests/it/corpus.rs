//! The lab corpus by the rules of its judge: for every capture with a known cause the attempts, steps, outcomes and
//! best causes must be right together. What is not right yet is listed, and the list only shrinks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{children, corpus, root, run, scratch};

/// Cases whose cause this version cannot tell.
const NOT_YET: &[&str] = &[];

/// The same without keys, where the gateway is not to be told from any HTTPS.
const NOT_YET_WITHOUT_KEYS: &[&str] = &[];

fn text<'v>(value: &'v Value, key: &str) -> Option<&'v str> {
    value.get(key).and_then(Value::as_str)
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn holds(values: &[Value], wanted: Option<&str>) -> bool {
    values.iter().any(|value| value.as_str() == wanted)
}

fn is_failed(attempt: &Value) -> bool {
    matches!(text(attempt, "outcome"), Some("broke" | "refused"))
}

/// What is wrong with an answer, by the judge's rules.
fn miss(answer: &Value, expect: &Value) -> Option<String> {
    let attempts = list(answer, "attempts");
    let failed: Vec<&Value> = attempts.iter().filter(|attempt| is_failed(attempt)).collect();
    let range: Vec<u64> = list(expect, "failed_attempts").iter().filter_map(Value::as_u64).collect();
    if attempts.is_empty() {
        return (!holds(list(expect, "outcome"), Some("none"))).then(|| "no attempt".to_owned());
    }
    let mut owned: Vec<&str> =
        attempts.iter().flat_map(|a| list(a, "sessions")).filter_map(Value::as_str).collect();
    let mut sessions: Vec<&str> = list(answer, "sessions").iter().filter_map(|s| text(s, "id")).collect();
    owned.sort_unstable();
    sessions.sort_unstable();
    if owned != sessions {
        return Some("a session stands in no attempt, or in two".to_owned());
    }
    let count = u64::try_from(failed.len()).unwrap();
    if count < range[0] || count > range[1] {
        return Some(format!("{count} failed attempts, want {range:?}"));
    }
    if range[1] == 0 {
        let right = attempts.iter().any(|attempt| holds(list(expect, "outcome"), text(attempt, "outcome")));
        return (!right).then(|| "no attempt has the right outcome".to_owned());
    }
    failed.into_iter().find_map(|attempt| attempt_miss(answer, attempt, expect))
}

fn attempt_miss(answer: &Value, attempt: &Value, expect: &Value) -> Option<String> {
    let got = (text(attempt, "outcome"), text(attempt, "broke_at"), text(attempt, "cause"));
    let right = holds(list(expect, "outcome"), got.0) && holds(list(expect, "broke_at"), got.1);
    let best = list(answer, "sessions")
        .iter()
        .filter(|session| holds(list(attempt, "sessions"), text(session, "id")))
        .filter_map(|session| list(session, "causes").first())
        .find(|cause| text(cause, "id") == got.2);
    let confidence = best.and_then(|cause| cause.get("confidence")).and_then(Value::as_f64).unwrap_or(0.0);
    if !right || (holds(list(expect, "forbid"), got.2) && got.2.is_some() && confidence >= 0.5) {
        return Some(format!("got {got:?} at {confidence}"));
    }
    let wanted = list(expect, "cause_any_of");
    if wanted.is_empty() {
        return None;
    }
    let most = expect.get("confidence_max").and_then(Value::as_f64).unwrap_or(1.0);
    let packets: u64 = list(answer, "inputs").iter().filter_map(|input| input.get("packets")?.as_u64()).sum();
    let frames: Vec<u64> = best
        .map(|cause| list(cause, "for"))
        .unwrap_or_default()
        .iter()
        .filter_map(|r| r.get("frame")?.as_u64())
        .collect();
    let proven = !frames.is_empty() && frames.iter().all(|frame| (1..=packets).contains(frame));
    let sure = (0.0..=most).contains(&confidence);
    (!(holds(wanted, got.2) && proven && sure))
        .then(|| format!("got {got:?} at {confidence}, frames {frames:?}"))
}

/// The expectation of a case.
fn expectation(case: &Path, with_keys: bool) -> Value {
    let mut expect: Value =
        serde_json::from_slice(&std::fs::read(case.join("expect.json")).unwrap()).unwrap();
    let mut expect = expect["expect"].take();
    if !with_keys && let Some(keyless) = expect.get("keyless").cloned() {
        for (key, value) in keyless.as_object().unwrap() {
            expect[key] = value.clone();
        }
    }
    expect
}

/// The answer to a case; inputs are handed over under names that tell nothing.
fn answered(case: &Path, expect: &Value, with_keys: bool) -> Value {
    // Tests that run at the same time use the same cases: each has folders of its own.
    let test = format!("{:?}", std::thread::current().id()).replace(['(', ')'], "-");
    let name = case.file_name().unwrap().to_string_lossy();
    let folder = scratch(&format!("corpus-{test}{with_keys}-{name}"));
    let mut arguments = vec!["analyze".to_owned(), "--format".to_owned(), "json".to_owned(), "-q".to_owned()];
    for (letter, name) in ('a'..).zip(list(expect, "use").iter().filter_map(Value::as_str)) {
        let neutral = format!("{letter}.{}", name.rsplit('.').next().unwrap());
        std::fs::copy(case.join(name), folder.join(&neutral)).unwrap();
        arguments.push(neutral);
    }
    let keys = case.join("keys.log");
    if with_keys && keys.is_file() {
        std::fs::copy(keys, folder.join("k.log")).unwrap();
        arguments.extend(["--keylog".to_owned(), "k.log".to_owned()]);
    }
    let output = run(&folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    serde_json::from_slice(&output.stdout).unwrap()
}

fn cases(lab: &Path) -> Vec<PathBuf> {
    children(lab).into_iter().filter(|case| case.join("expect.json").is_file()).collect()
}

#[test]
fn captures_with_known_causes_are_judged_right() {
    let Some(lab) = corpus("lab") else { return };
    for (with_keys, not_yet) in [(true, NOT_YET), (false, NOT_YET_WITHOUT_KEYS)] {
        let mut missed = BTreeSet::new();
        let cases = cases(&lab);
        for case in &cases {
            let expect = expectation(case, with_keys);
            if let Some(why) = miss(&answered(case, &expect, with_keys), &expect) {
                let name = case.file_name().unwrap().to_string_lossy().into_owned();
                assert!(not_yet.contains(&name.as_str()), "{name} (keys given: {with_keys}): {why}");
                missed.insert(name);
            }
        }
        assert!(cases.len() >= 54, "{} cases found", cases.len());
        let listed: BTreeSet<String> = not_yet.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(missed, listed, "a case listed as not yet told is told now: take it off the list");
    }
}

/// Id, last step passed and step that broke, of every session.
fn steps(answer: &Value) -> Vec<(String, Option<String>, Option<String>)> {
    let owned = |session: &Value, key: &str| text(session, key).map(str::to_owned);
    let row = |session: &Value| {
        (owned(session, "id").unwrap(), owned(session, "reached"), owned(session, "broke_at"))
    };
    list(answer, "sessions").iter().map(row).collect()
}

#[test]
fn sizes_tell_the_same_steps_as_the_opened_records() {
    let Some(lab) = corpus("lab") else { return };
    let mut opened = 0;
    for case in cases(&lab).into_iter().filter(|case| case.join("keys.log").is_file()) {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let expect = expectation(&case, true);
        let (with, without) = (answered(&case, &expect, true), answered(&case, &expect, false));
        let decrypted = |leg: &Value| leg.pointer("/tls/decrypted") == Some(&Value::Bool(true));
        let legs = list(&with, "sessions").iter().flat_map(|session| list(session, "legs"));
        opened += usize::from(legs.into_iter().any(decrypted));
        // What only secrets prove to be a gateway is no session without them.
        let of_gateway = |session: &Value| text(&list(session, "legs")[0], "role") == Some("to_gateway");
        let sealed: Vec<&str> =
            list(&with, "sessions").iter().filter(|s| of_gateway(s)).filter_map(|s| text(s, "id")).collect();
        let mut told = steps(&with);
        told.retain(|(id, ..)| !sealed.contains(&id.as_str()));
        assert_eq!(told, steps(&without), "{name}");
    }
    assert!(opened >= 25, "records of {opened} cases were opened");
}

/// A session that worked has no cause, and no rule weighs more than a doubt on one.
#[test]
fn no_rule_speaks_up_on_a_success() {
    let mut folders: Vec<PathBuf> = children(&root().join("samples"));
    folders.retain(|path| path.is_dir());
    folders.extend(corpus("lab").map(|lab| cases(&lab)).unwrap_or_default());
    let mut worked = 0;
    for folder in folders {
        let name = folder.display().to_string();
        let output = run(&folder, &["--format", "json", "-q", "."]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{name}: {e}"));
        for attempt in list(&answer, "attempts").iter().filter(|a| text(a, "outcome") == Some("active")) {
            assert_eq!(text(attempt, "cause"), None, "{name}");
        }
        for session in list(&answer, "sessions").iter().filter(|s| text(s, "outcome") == Some("active")) {
            worked += 1;
            for cause in list(session, "causes") {
                let confidence = cause.get("confidence").and_then(Value::as_f64).unwrap();
                assert!(confidence < 0.3, "{name}: {cause}");
            }
        }
    }
    assert!(worked > 0 || corpus("lab").is_none(), "no session worked");
}

/// Every known cause has a rule, or stands in the list of those that have none, with the reason.
#[test]
fn every_known_cause_has_a_rule_or_a_reason() {
    let Some(corpus) = corpus("") else { return };
    let path = corpus.parent().unwrap().join("knowledge/failures.toml");
    let Ok(table) = std::fs::read_to_string(&path) else {
        aloud!("SKIPPED: no table of causes at {}", path.display());
        return;
    };
    let ids: Vec<&str> =
        table.lines().filter_map(|line| line.trim().strip_prefix("id = \"")?.strip_suffix('"')).collect();
    assert!(ids.len() > 100, "only {} causes are read", ids.len());
    let reasons = std::fs::read_to_string(root().join("docs/causes-not-told.md")).unwrap();
    let excused: BTreeSet<&str> = reasons
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | ").map(|(id, _)| id))
        .collect();
    let missing: Vec<&&str> =
        ids.iter().filter(|id| rdpwhy::diagnosis::rule(id).is_none() && !excused.contains(**id)).collect();
    assert!(missing.is_empty(), "neither rule nor reason: {missing:?}");
    for id in excused {
        assert!(ids.contains(&id), "{id} is no known cause");
    }
}

#[test]
fn formats_and_link_types_give_the_same_answer() {
    let Some(public) = corpus("public/pcap") else { return };
    let answer = |path: &Path| {
        let folder = path.parent().unwrap();
        let output = run(folder, &["--format", "json", "-q", path.file_name().unwrap().to_str().unwrap()]);
        let mut answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        without_inputs(&mut answer["sessions"]);
        (answer["sessions"].clone(), answer["attempts"].clone())
    };
    let base = answer(&public.join("fmt_us_le.pcap"));
    assert_eq!(base.1[0]["cause"], "hybrid-required");
    let mut variants = 0;
    for path in children(&public) {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("fmt_") || name.starts_with("link_") || name.starts_with("enc_") {
            assert_eq!(answer(&path), base, "{name}");
            variants += 1;
        }
    }
    assert!(variants >= 10, "{variants} variants found");
}

/// References name the file, which differs, and times differ below the microsecond.
fn without_inputs(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, child) in map.iter_mut() {
                if matches!(key.as_str(), "input" | "seen_by" | "witness" | "witnesses") {
                    *child = Value::Null;
                } else {
                    without_inputs(child);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_inputs),
        _ => {}
    }
}

#[test]
fn captures_without_rdp_give_no_session_and_cut_ones_no_guess() {
    let Some(public) = corpus("public") else { return };
    for path in children(&public.join("pcap-negative")) {
        let output = run(&public, &["--format", "json", "-q", path.to_str().unwrap()]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(list(&answer, "sessions").len(), 0, "{}", path.display());
    }
    for (name, outcome) in [("cut_after_cr.pcap", "unknown"), ("nosecrets_ok.pcapng", "active")] {
        let output = run(&public.join("pcap"), &["--format", "json", "-q", name]);
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(text(&list(&answer, "attempts")[0], "outcome"), Some(outcome), "{name}");
    }
}
