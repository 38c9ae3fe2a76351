//! TLS secrets: where they may come from, and what happens when they do not fit or bytes are missing.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{corpus, run, scratch};

/// A refused NLA logon under TLS 1.3, with its secrets.
const REFUSED: &str = "fail-nla-status-locked";
/// Sessions that work, under TLS 1.3 and 1.2.
const WORKS: [&str; 2] = ["ok-nla-tls13-shadow2", "ok-tls12-xrdp"];

/// A folder with the captures of a case of the corpus, without its keys.
fn folder(case: &str, test: &str, files: &[&str]) -> Option<(PathBuf, PathBuf)> {
    let from = corpus("lab")?.join(case);
    let to = scratch(&format!("keys-{test}-{case}"));
    for name in files {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
    Some((from, to))
}

fn answer(folder: &Path, arguments: &[&str]) -> (Value, String) {
    let output = run(folder, &[&["--format", "json"], arguments].concat());
    (serde_json::from_slice(&output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn cause(answer: &Value) -> Option<&str> {
    answer.pointer("/attempts/0/cause").and_then(Value::as_str)
}

fn decrypted(answer: &Value) -> bool {
    answer.pointer("/sessions/0/legs/0/tls/decrypted") == Some(&Value::Bool(true))
}

fn kinds(answer: &Value) -> Vec<&str> {
    let inputs = answer["inputs"].as_array().unwrap();
    inputs.iter().filter_map(|input| input["kind"].as_str()).collect()
}

#[test]
fn a_key_log_is_used_wherever_it_lies() {
    let Some((from, to)) = folder(REFUSED, "places", &["client.pcapng"]) else { return };
    assert_ne!(cause(&answer(&to, &["."]).0), Some("account-locked"));
    std::fs::copy(from.join("keys.log"), to.join("notes.txt")).unwrap();
    let (among_paths, _) = answer(&to, &["."]);
    assert_eq!((cause(&among_paths), decrypted(&among_paths)), (Some("account-locked"), true));
    assert_eq!(kinds(&among_paths), ["pcapng", "key log"]);
    let (named, _) = answer(&to, &["client.pcapng", "--keylog", "notes.txt"]);
    assert_eq!(cause(&named), Some("account-locked"));
    assert_eq!(named.pointer("/sessions/0/user/name"), among_paths.pointer("/sessions/0/user/name"));
}

/// A decryption secrets block, little-endian.
fn secrets_block(secrets: &[u8]) -> Vec<u8> {
    let mut body = 0x544c_534b_u32.to_le_bytes().to_vec();
    body.extend(u32::try_from(secrets.len()).unwrap().to_le_bytes());
    body.extend(secrets);
    body.resize(body.len().next_multiple_of(4), 0);
    let length = u32::try_from(body.len() + 12).unwrap().to_le_bytes();
    [10_u32.to_le_bytes().as_slice(), &length, &body, &length].concat()
}

#[test]
fn secrets_inside_of_a_capture_are_used_for_all_captures() {
    let Some((from, to)) = folder(REFUSED, "block", &["server.pcap"]) else { return };
    let mut capture = std::fs::read(from.join("client.pcapng")).unwrap();
    let section = usize::try_from(u32::from_le_bytes(capture[4..8].try_into().unwrap())).unwrap();
    let secrets = std::fs::read(from.join("keys.log")).unwrap();
    capture.splice(section..section, secrets_block(&secrets));
    std::fs::write(to.join("client.pcapng"), &capture).unwrap();
    let (both, notes) = answer(&to, &["."]);
    assert_eq!((cause(&both), decrypted(&both)), (Some("account-locked"), true), "{notes}");
    assert!(!notes.contains("secrets"), "{notes}");
}

#[test]
fn wrong_secrets_change_nothing_and_are_named() {
    let Some((from, to)) = folder(REFUSED, "wrong", &["client.pcapng"]) else { return };
    let (without, _) = answer(&to, &["client.pcapng"]);
    let keys = std::fs::read_to_string(from.join("keys.log")).unwrap();
    let wrong: Vec<String> = keys
        .lines()
        .map(|line| match line.rsplit_once(' ') {
            Some((start, secret)) if !line.starts_with('#') => {
                format!("{start} {}", secret.chars().rev().collect::<String>())
            }
            _ => line.to_owned(),
        })
        .collect();
    std::fs::write(to.join("wrong.log"), wrong.join("\n")).unwrap();
    let (with, notes) = answer(&to, &["client.pcapng", "--keylog", "wrong.log"]);
    assert_eq!(with["sessions"], without["sessions"]);
    assert!(notes.contains("no tag verifies"), "{notes}");
    std::fs::write(
        to.join("other.log"),
        format!("CLIENT_RANDOM {} {}\nx y\n", "00".repeat(32), "11".repeat(48)),
    )
    .unwrap();
    let (_, notes) = answer(&to, &["client.pcapng", "--keylog", "other.log"]);
    assert!(
        notes.contains("belong to other connections") && notes.contains("1 line of the key log"),
        "{notes}"
    );
}

/// A pcap file without its packets of these numbers, counted from 1.
fn without_packets(capture: &[u8], left_out: &[usize]) -> Vec<u8> {
    let (mut kept, mut at, mut number) = (capture[..24].to_vec(), 24, 0);
    while at < capture.len() {
        let length =
            16 + usize::try_from(u32::from_le_bytes(capture[at + 8..at + 12].try_into().unwrap())).unwrap();
        number += 1;
        if !left_out.contains(&number) {
            kept.extend(&capture[at..at + length]);
        }
        at += length;
    }
    kept
}

#[test]
fn records_behind_missing_packets_are_opened_again() {
    for case in WORKS {
        let Some((from, to)) = folder(case, "gap", &[]) else { return };
        let capture = std::fs::read(from.join("server.pcap")).unwrap();
        std::fs::copy(from.join("keys.log"), to.join("k.log")).unwrap();
        for first in (30..90).step_by(10) {
            let name = format!("{first}.pcap");
            std::fs::write(to.join(&name), without_packets(&capture, &[first, first + 1])).unwrap();
            let (with, notes) = answer(&to, &[&name, "--keylog", "k.log"]);
            let timeline = with["sessions"][0]["timeline"].to_string();
            assert!(decrypted(&with), "{case} {first}: {notes}");
            assert!(!notes.contains("stay closed"), "{case} without packets {first} and the next: {notes}");
            assert!(timeline.contains("client confirms capabilities"), "{case} {first}: {timeline}");
            let outcome = with["attempts"][0]["outcome"].as_str();
            // Without the message that completes the sequence nobody knows that it was completed.
            assert!(matches!(outcome, Some("active" | "unknown")), "{case} {first}: {timeline}");
        }
    }
}
