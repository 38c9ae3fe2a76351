//! Event logs and captures together: scenarios played by the lab lie beside real captures.

use std::path::{Path, PathBuf};

use rdpwhy_lab::scenario::Scenario;
use serde_json::Value;

use crate::support::{children, corpus, root, run, scratch};

/// The samples that have captures and a scenario for the logs beside them, with the step and the cause.
const STORIES: [(&str, &str, &str); 4] = [
    ("nla-wrong-password", "credssp", "bad-password"),
    ("nla-required", "negotiation", "hybrid-required"),
    ("cert-expired", "tls", "cert-expired"),
    ("denied-0x7", "licensing", "broker-redirect-failed"),
];

fn scenario(name: &str) -> Scenario {
    let path = root().join(format!("lab/scenarios/{name}.scenario"));
    Scenario::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The file name of a log in a sample: host and the last word of the channel's provider.
fn short(host: &str, name: &str) -> String {
    let channel = name.trim_end_matches(".evtx").split('%').next().unwrap();
    format!("{host}-{}.evtx", channel.rsplit('-').next().unwrap())
}

/// Captures of a sample and the logs of its scenario in a folder of their own.
fn story(name: &str, folder: &Path) {
    for path in children(&root().join("samples").join(name)) {
        if path.extension().is_none_or(|end| end != "evtx") {
            std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
        }
    }
    for log in scenario(name).logs().unwrap() {
        std::fs::write(folder.join(short(&log.host, &log.name)), &log.bytes).unwrap();
    }
}

fn answer(folder: &Path) -> Value {
    let output = run(folder, &["--format", "json", "-q", "."]);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn failed(answer: &Value) -> Vec<(&str, &str)> {
    let failed = |a: &&Value| matches!(a["outcome"].as_str(), Some("broke" | "refused"));
    let told = |a| {
        let a: &Value = a;
        (a["broke_at"].as_str().unwrap_or("-"), a["cause"].as_str().unwrap_or("-"))
    };
    answer["attempts"].as_array().unwrap().iter().filter(failed).map(told).collect()
}

#[test]
fn the_logs_of_the_samples_are_those_of_their_scenarios() {
    for (name, ..) in STORIES {
        let folder = root().join("samples").join(name);
        for log in scenario(name).logs().unwrap() {
            let path = folder.join(short(&log.host, &log.name));
            if std::env::var_os("UPDATE_EXPECT").is_some() {
                std::fs::write(&path, &log.bytes).unwrap();
            }
            assert_eq!(
                std::fs::read(&path).unwrap(),
                log.bytes,
                "{}: UPDATE_EXPECT=1 writes it anew",
                path.display()
            );
        }
    }
}

#[test]
fn captures_and_logs_become_one_attempt_with_the_offsets_of_all_clocks() {
    for (name, step, cause) in STORIES {
        let folder = scratch(&format!("story-{name}"));
        story(name, &folder);
        let answer = answer(&folder);
        assert_eq!(failed(&answer), [(step, cause)], "{name}");
        assert_eq!(answer["attempts"].as_array().unwrap().len(), 1, "{name}");
        let sessions = answer["sessions"].as_array().unwrap();
        let told = |s: &Value| {
            s["witnesses"]
                .as_array()
                .unwrap()
                .iter()
                .map(|w| w.as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let last = told(sessions.last().unwrap());
        assert!(
            last.iter().any(|w| w == "client01.lab.test") && last.iter().any(|w| w == "rdsh01.lab.test"),
            "{name}: {last:?}"
        );
        for (host, seconds) in [("client01.lab.test", 137_i64), ("rdsh01.lab.test", -3605)] {
            let clock = answer["clocks"].as_array().unwrap().iter().find(|c| c["witness"] == host).unwrap();
            let off = clock["offset_us"].as_i64().unwrap() - seconds * 1_000_000;
            assert!(off.abs() <= 50_000, "{name}: {host} is found {off} µs from the truth");
        }
    }
}

#[test]
fn without_any_one_witness_the_step_stays_right_and_what_is_gone_is_named() {
    let gone = [
        ("pcap", "a capture of this connection"),
        ("RDPClient", "the client's log"),
        ("RdpCoreTS", "RdpCoreTS of the server"),
        ("RemoteConnectionManager", "RemoteConnectionManager of the server"),
        ("Security", "Security of the server"),
    ];
    for (name, step, _) in STORIES {
        for (part, said) in gone {
            let folder = scratch(&format!("without-{name}-{part}"));
            story(name, &folder);
            let removed: Vec<PathBuf> = children(&folder)
                .into_iter()
                .filter(|path| path.to_string_lossy().rsplit('/').next().unwrap().contains(part))
                .collect();
            if removed.is_empty() {
                continue;
            }
            removed.iter().for_each(|path| std::fs::remove_file(path).unwrap());
            let answer = answer(&folder);
            let found = failed(&answer);
            assert_eq!(found.len(), 1, "{name} without {part}: {found:?}");
            assert_eq!(found[0].0, step, "{name} without {part}");
            let sessions = answer["sessions"].as_array().unwrap();
            let causes = sessions.iter().flat_map(|s| s["causes"].as_array().unwrap());
            let missing: Vec<&str> =
                causes.flat_map(|c| c["missing"].as_array().unwrap()).filter_map(Value::as_str).collect();
            assert!(missing.iter().any(|line| line.starts_with(said)), "{name} without {part}: {missing:?}");
        }
    }
}

#[test]
fn shifting_a_clock_changes_no_verdict_and_is_found() {
    for shift in ["-86399s", "-0.25s", "+7200s"] {
        let text = std::fs::read_to_string(root().join("lab/scenarios/nla-wrong-password.scenario")).unwrap();
        let folder = scratch(&format!("shift{shift}"));
        story("nla-wrong-password", &folder);
        for log in Scenario::parse(&text.replace("-3605s", shift)).unwrap().logs().unwrap() {
            std::fs::write(folder.join(short(&log.host, &log.name)), &log.bytes).unwrap();
        }
        let answer = answer(&folder);
        assert_eq!(failed(&answer), [("credssp", "bad-password")], "{shift}");
        let clock =
            answer["clocks"].as_array().unwrap().iter().find(|c| c["witness"] == "rdsh01.lab.test").unwrap();
        let wanted = shift.trim_end_matches('s').parse::<f64>().unwrap() * 1e6;
        let (offset, error) = (clock["offset_us"].as_f64().unwrap(), clock["error_us"].as_f64().unwrap());
        assert!((offset - wanted).abs() <= error.max(1_000.0), "{shift}: found {offset}, error {error}");
    }
}

/// One log of the public corpus.
fn public(part: &str) -> Option<PathBuf> {
    let folder = corpus("public/evtx")?;
    children(&folder).into_iter().find(|path| path.to_string_lossy().contains(part))
}

#[test]
fn a_real_set_of_logs_gives_its_one_session_and_no_console_logon() {
    let Some(folder) = corpus("public/evtx") else { return };
    let logs: Vec<String> = children(&folder)
        .into_iter()
        .map(|path| path.to_string_lossy().into_owned())
        .filter(|name| name.contains("velociraptor") && name.contains("RDPAuth"))
        .collect();
    assert_eq!(logs.len(), 4);
    let mut arguments = vec!["--format", "json", "-q"];
    arguments.extend(logs.iter().map(String::as_str));
    let answer: Value = serde_json::from_slice(&run(&folder, &arguments).stdout).unwrap();
    let sessions = answer["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 1);
    assert_eq!(
        (&sessions[0]["outcome"], &sessions[0]["client"]["ip"]),
        (&"active".into(), &"192.168.38.1".into())
    );
}

#[test]
fn a_real_log_of_guessed_passwords_tells_each_connection_by_its_activity() {
    let Some(log) = public("2-vss_0-Microsoft-Windows-RemoteDesktopServices-RdpCoreTS") else { return };
    let output = run(log.parent().unwrap(), &["--format", "json", "-q", log.to_str().unwrap()]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sessions = answer["sessions"].as_array().unwrap();
    let credssp: Vec<&Value> = sessions.iter().filter(|s| s["broke_at"] == "credssp").collect();
    assert_eq!(credssp.len(), 126);
    let mut addresses: Vec<&str> = credssp.iter().filter_map(|s| s["client"]["ip"].as_str()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 62);
    let count = |outcome: &str| sessions.iter().filter(|s| s["outcome"] == outcome).count();
    assert_eq!((count("closed"), count("active"), count("unknown")), (1, 1, 22));
    let holes = answer["notes"]
        .as_array()
        .unwrap()
        .iter()
        .any(|note| note["text"].as_str().unwrap().starts_with("10 holes"));
    assert!(holes, "{}", answer["notes"]);
}

#[test]
fn two_real_logs_of_one_host_tell_each_connection_once_and_sum_up_what_only_the_listener_saw() {
    let core = public("2-vss_0-Microsoft-Windows-RemoteDesktopServices-RdpCoreTS");
    let manager = public("2-vss_0-Microsoft-Windows-TerminalServices-RemoteConnectionManager");
    let (Some(core), Some(manager)) = (core, manager) else { return };
    let files = [core.to_str().unwrap(), manager.to_str().unwrap()];
    let folder = core.parent().unwrap();
    let output = run(folder, &["--format", "json", "-q", files[0], files[1]]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sessions = answer["sessions"].as_array().unwrap();
    let refused = |s: &&Value| s["broke_at"] == "credssp" && s["outcome"] == "refused";
    assert_eq!(sessions.iter().filter(refused).count(), 126);
    assert!(sessions.iter().all(|s| s["outcome"] != "broke"), "nothing is broken by what is not known of it");
    // The five that the connection manager has a user of stand by themselves.
    let known = |s: &&Value| {
        s["timeline"].as_array().unwrap().iter().any(|l| l["says"].as_str().unwrap().contains("has a user"))
    };
    let users: Vec<(&str, &str)> = sessions
        .iter()
        .filter(known)
        .map(|s| (s["outcome"].as_str().unwrap(), s["reached"].as_str().unwrap()))
        .collect();
    assert_eq!(users, [("unknown", "credssp"); 5]);
    let said = answer["notes"].as_array().unwrap().iter().filter_map(|note| note["text"].as_str());
    let listened: Vec<&str> = said.filter(|text| text.contains("only the listener tells")).collect();
    assert_eq!(listened.len(), 1, "{listened:?}");
    // All records of the connection manager but five 1149, their five 261 and the 27 of connections that RdpCoreTS tells of.
    let inputs = answer["inputs"].as_array().unwrap();
    let records = inputs.iter().find(|i| i["path"].as_str().unwrap().contains("ConnectionManager")).unwrap()
        ["records"]
        .as_u64()
        .unwrap();
    assert!(listened[0].contains(&format!("of {} connections", records - 37)), "{records}: {listened:?}");
    let text = String::from_utf8(run(folder, &["-q", files[0], files[1]]).stdout).unwrap();
    assert_eq!(text.matches("only the listener tells").count(), 1);
    assert_eq!(
        text.matches("RdpCoreTS of this host is here, and its part").count(),
        5,
        "of the five, what is not there"
    );
}
