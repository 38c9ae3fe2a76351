//! Guessers and scanners are summed up by address, and a user's failure stands beside them.

use serde_json::Value;

use crate::support::{corpus, root, run, scratch};

/// The facts of one refused logon, once for each client address.
fn facts_of(clients: &[&str]) -> String {
    let folder = scratch("sources-facts");
    let sample = root().join("samples/nla-wrong-password/server.pcap");
    let output = run(&folder, &["facts", "-q", sample.to_str().unwrap()]);
    let lines: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    let is = |line: &Value, kind: &str| line["line"] == kind;
    let connections = lines.iter().filter(|line| is(line, "connection")).count();
    let mut out = vec![lines[0].to_string()];
    let mut facts = 0_u64;
    for (number, client) in clients.iter().enumerate() {
        for line in lines.iter().filter(|line| is(line, "connection") || is(line, "fact")) {
            let mut line = line.clone();
            let index = line["connection"].as_u64().unwrap() + u64::try_from(number * connections).unwrap();
            line["connection"] = index.into();
            if is(&line, "connection") {
                let port = 40_000 + index;
                line["client"] = if client.contains(':') {
                    format!("[{client}]:{port}")
                } else {
                    format!("{client}:{port}")
                }
                .into();
                line["client_isn"] = (1_000 + index).into();
                line["server_isn"] = (9_000 + index).into();
            } else {
                facts += 1;
            }
            out.push(line.to_string());
        }
    }
    out.extend(lines.iter().filter(|line| is(line, "input") || is(line, "source")).map(Value::to_string));
    let mut end = lines.last().unwrap().clone();
    end["facts"] = facts.into();
    end["notes"] = 0.into();
    out.push(end.to_string());
    out.join("\n") + "\n"
}

fn diagnosed(name: &str, clients: &[&str], more: &[&str]) -> String {
    let folder = scratch(name);
    std::fs::write(folder.join("facts.jsonl"), facts_of(clients)).unwrap();
    let mut arguments = vec!["diagnose", "-q", "facts.jsonl"];
    arguments.extend(more);
    let output = run(&folder, &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_crowd_is_summed_up_and_a_colleague_is_not() {
    let strangers: Vec<String> = (1..=12).map(|last| format!("192.0.2.{last}")).collect();
    let mut clients: Vec<&str> = strangers.iter().map(String::as_str).collect();
    clients.extend(["10.1.2.3", "fd00::7"]);
    let text = diagnosed("sources-crowd", &clients, &[]);
    assert!(
        text.contains("GUESSING OR SCANNING: 12 failed attempts with 24 connections from 12 sources"),
        "{text}"
    );
    assert_eq!(text.matches(" x 192.0.2.").count(), 12, "{text}");
    assert!(
        text.contains("[2/2] ") && text.contains(": 10.1.2.3:") && text.contains(": [fd00::7]:"),
        "{text}"
    );
    assert!(text.contains("14 attempts: 14 failed."), "{text}");
    let whole = diagnosed("sources-crowd-whole", &clients, &["-v"]);
    assert!(whole.contains("[14/14] ") && !whole.contains("GUESSING"), "-v shows each");
    let json: Value =
        serde_json::from_str(&diagnosed("sources-crowd-json", &clients, &["--format", "json"])).unwrap();
    assert_eq!(json["attempts"].as_array().unwrap().len(), 14);
}

#[test]
fn a_few_failures_from_few_addresses_are_told_one_by_one() {
    let text = diagnosed("sources-few", &["192.0.2.1", "192.0.2.2", "192.0.2.3"], &[]);
    assert!(text.contains("[3/3] ") && !text.contains("GUESSING"), "{text}");
}

#[test]
fn a_log_of_a_server_on_the_internet_fits_on_a_screen() {
    let Some(folder) = corpus("public/evtx") else { return };
    let name =
        "hayabusa-evtx_samples__2-vss_0-Microsoft-Windows-RemoteDesktopServices-RdpCoreTS%4Operational.evtx";
    let output = run(&folder, &["-q", "--only-failed", name]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(" from 62 sources"), "{text}");
    assert!(text.lines().count() < 60, "{} lines", text.lines().count());
    let text = String::from_utf8(run(&folder, &["-q", name]).stdout).unwrap();
    assert!(text.contains(" more unknown from "), "{text}");
    assert!(text.lines().count() < 80, "{} lines", text.lines().count());
    let whole = String::from_utf8(run(&folder, &["-q", "-v", name]).stdout).unwrap();
    assert!(!whole.contains(" more unknown from ") && whole.lines().count() > 1_000);
}

#[test]
fn many_connections_of_one_attempt_are_a_guesser_too() {
    let [text, few] = [60, 9].map(|count| {
        let clients = vec!["192.0.2.1"; count];
        diagnosed(&format!("sources-connections-{count}"), &clients, &[])
    });
    assert!(text.contains("1 failed attempt with 120 connections from 1 source"), "{text}");
    assert!(text.contains(" 120 x 192.0.2.1 -> "), "{text}");
    assert!(!few.contains("GUESSING"), "a client that tries eighteen times by itself: {few}");
}
