//! Facts for pages: a batch of any size, and names that try to be markup or to mislead.

use serde_json::{Map, Value, json};

use crate::support::{root, run};

/// Samples of which each connection of a batch is a copy, by turns.
const SAMPLES: &[&str] = &["nla-required", "cert-expired", "nla-wrong-password", "middlebox-reset"];

/// The lines of facts of a sample's capture at the server.
fn sample(name: &str) -> Vec<Value> {
    let capture = root().join("samples").join(name).join("server.pcap");
    let output = run(&root().join("samples"), &["facts", "-q", capture.to_str().unwrap()]);
    output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn is(line: &Value, kind: &str) -> bool {
    line["line"] == kind
}

/// The last connection of a sample with its facts.
fn template(name: &str) -> Vec<Value> {
    let lines = sample(name);
    let last = lines.iter().filter_map(|line| line["connection"].as_u64()).max().unwrap();
    let own = |line: &&Value| (is(line, "connection") || is(line, "fact")) && line["connection"] == last;
    lines.iter().filter(own).cloned().collect()
}

/// The template as connection `number`, from another client and at another time, with at most `most` facts.
fn copy(template: &[Value], number: u64, most: usize) -> Vec<Value> {
    let first = template[0]["opened_ns"].as_i64().unwrap();
    let begin = 1_790_000_000_000_000_000 + i64::try_from(number).unwrap() * 20_000_000_000;
    let moved = |line: &mut Value, key: &str| {
        if let Some(at) = line[key].as_i64() {
            line[key] = (at - first + begin).into();
        }
    };
    let client = format!("10.{}.{}.{}", number / 40_000, number / 200 % 200, number % 200 + 1);
    let mut lines: Vec<Value> = template.iter().take(most + 1).cloned().collect();
    for line in &mut lines {
        line["connection"] = number.into();
        line["source"] = 0.into();
        line["input"] = 0.into();
        moved(line, "at_ns");
        if is(line, "connection") {
            moved(line, "opened_ns");
            moved(line, "last_ns");
            line["last"]["input"] = 0.into();
            line["client"] = format!("{client}:{}", 40_000 + number % 20_000).into();
            line["client_isn"] = (1_000 + number).into();
            line["server_isn"] = (9_000_000 + number).into();
            for side in line.get_mut("sent").and_then(Value::as_array_mut).into_iter().flatten() {
                side["marks"] = json!([]);
            }
        }
        if let Some(fields) = line["fields"].as_object_mut().filter(|fields| fields.contains_key("cookie")) {
            fields.insert("cookie".to_owned(), format!("user{number}").into());
        }
    }
    lines
}

/// A connection whose desktop ran, in the place of what a template's TLS leads to.
fn worked(lines: &mut Vec<Value>) {
    let end = lines.iter().position(|line| line["fact"] == "tls-finished").unwrap_or(lines.len() - 1);
    lines.truncate(end + 1);
    let mut last = lines[end].clone();
    last["fact"] = "running".into();
    last["step"] = "active".into();
    last["fields"] = json!({"server_bytes": "500000", "over_ms": "60000"});
    last["at_ns"] = (last["at_ns"].as_i64().unwrap() + 60_000_000_000).into();
    lines.push(last);
}

/// All as a file that `diagnose` reads.
fn file(connections: Vec<Vec<Value>>) -> String {
    let lines = sample(SAMPLES[0]);
    let mut out = vec![lines[0].to_string()];
    let facts = connections.iter().flatten().filter(|line| is(line, "fact")).count();
    out.extend(connections.iter().flatten().map(Value::to_string));
    out.extend(lines.iter().filter(|line| is(line, "input") || is(line, "source")).map(Value::to_string));
    let mut end: Map<String, Value> = lines.last().unwrap().as_object().unwrap().clone();
    end.insert("facts".to_owned(), facts.into());
    end.insert("notes".to_owned(), 0.into());
    out.push(Value::Object(end).to_string());
    out.join("\n") + "\n"
}

/// So many connections, each an attempt, every fifth of which worked; with at most `most` facts each.
pub(super) fn batch(count: u64, most: usize) -> String {
    let templates: Vec<Vec<Value>> = SAMPLES.iter().map(|name| template(name)).collect();
    let connection = |number: u64| {
        let template = &templates[usize::try_from(number).unwrap() % templates.len()];
        let mut lines = copy(template, number, most);
        if number % 5 == 4 {
            worked(&mut lines);
        }
        lines
    };
    file((0..count).map(connection).collect())
}

/// Names that a person or a program on the path can choose.
pub(super) const HOSTILE: &[&str] = &[
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "\"onload=\"alert(1)",
    "<img src=x onerror=alert(1)>",
    "a\u{202e}gpj.exe\u{0}\u{2028}\u{feff}",
    "<x-hostile>&lt;&amp;{{ 7*7 }}{% raw %}",
];

/// A connection for each hostile name, as its user and as the server's name.
pub(super) fn hostile() -> String {
    let template = template("cert-expired");
    let one = |(number, name): (u64, &&str)| {
        let mut lines = copy(&template, number * 200, usize::MAX - 1);
        for line in &mut lines {
            if let Some(fields) = line["fields"].as_object_mut() {
                for key in ["cookie", "sni", "subject", "issuer", "names"] {
                    if fields.contains_key(key) {
                        fields.insert(key.to_owned(), (*name).into());
                    }
                }
            }
        }
        lines
    };
    file((0_u64..).zip(HOSTILE).map(one).collect())
}
