//! Facts that were read apart and are judged together give the answer of one run over everything.

use std::path::Path;

use rdpwhy::exchange::{self, ExchangeError};
use rdpwhy::read::Unwatched;
use rdpwhy::report::json;
use rdpwhy::{Options, analyze};

use crate::support::{children, corpus, root, run, scratch};

fn options(paths: &[std::path::PathBuf]) -> Options {
    Options { paths: paths.to_vec(), key_logs: Vec::new(), ..Options::default() }
}

fn written(paths: &[std::path::PathBuf]) -> Vec<u8> {
    let mut out = Vec::new();
    rdpwhy::write_facts(&rdpwhy::inventory(&options(paths)), &Unwatched, &mut out).unwrap();
    out
}

/// Groups of paths, read apart.
pub(crate) fn apart_is_together(groups: &[Vec<std::path::PathBuf>]) {
    let all: Vec<_> = groups.iter().flatten().cloned().collect();
    let together = json::document(&analyze(&options(&all), &Unwatched), &[]).unwrap();
    let mut parts: Vec<exchange::Part> =
        groups.iter().map(|group| exchange::read(written(group).as_slice()).unwrap()).collect();
    parts.reverse();
    let apart = json::document(&rdpwhy::diagnose(parts), &[]).unwrap();
    assert!(together == apart, "{groups:?}: the answers differ");
}

fn each_apart(folder: &Path) {
    apart_is_together(&children(folder).into_iter().map(|path| vec![path]).collect::<Vec<_>>());
}

#[test]
fn samples_read_apart_give_the_answer_of_all_together() {
    let samples: Vec<_> =
        children(&root().join("samples")).into_iter().filter(|path| path.is_dir()).collect();
    for sample in &samples {
        apart_is_together(&[vec![sample.clone()]]);
    }
    apart_is_together(&samples.into_iter().map(|path| vec![path]).collect::<Vec<_>>());
}

#[test]
fn logs_read_apart_give_the_answer_of_all_together() {
    if let Some(folder) = corpus("public/evtx") {
        each_apart(&folder);
    }
}

#[test]
fn captures_read_apart_give_the_answer_of_all_together() {
    let Some(folder) = corpus("lab") else { return };
    let named =
        ["fail-nla-bad-password-nat-clockskew", "ok-auto-reconnect", "fail-mtu-blackhole-server-flight"];
    for name in named {
        let files = children(&folder.join(name));
        let is_capture = |path: &&std::path::PathBuf| path.extension().is_some_and(|end| end == "pcapng");
        let (captures, rest): (Vec<_>, Vec<_>) = files.iter().partition(is_capture);
        assert!(!captures.is_empty(), "{name}");
        let keys: Vec<_> = rest.into_iter().filter(|path| path.ends_with("keys.log")).cloned().collect();
        if keys.is_empty() {
            apart_is_together(&captures.into_iter().map(|path| vec![path.clone()]).collect::<Vec<_>>());
        } else {
            apart_is_together(std::slice::from_ref(&files));
        }
    }
}

#[test]
fn the_two_commands_give_the_answer_of_one() {
    let folder = scratch("exchange");
    let sample = root().join("samples/denied-0x7");
    let sample = sample.to_str().unwrap();
    assert!(run(&folder, &["facts", "-q", sample, "-o", "facts.jsonl"]).status.success());
    let diagnosed = run(&folder, &["diagnose", "-q", "facts.jsonl", "--format", "json"]);
    let analysed = run(&folder, &["-q", sample, "--format", "json"]);
    assert!(diagnosed.status.success());
    assert_eq!(String::from_utf8_lossy(&diagnosed.stdout), String::from_utf8_lossy(&analysed.stdout));
    let lines = std::fs::read_to_string(folder.join("facts.jsonl")).unwrap();
    assert!(lines.starts_with(r#"{"line":"facts","version":1,"#), "{lines}");
    assert!(lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    assert!(!folder.join("facts.jsonl.part").exists());
    let mistaken = run(&folder, &["facts.jsonl"]);
    assert_eq!(mistaken.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&mistaken.stderr).contains("`rdpwhy diagnose` takes them"));
}

#[test]
fn a_file_that_is_cut_or_changed_is_refused_with_its_line() {
    let whole = written(&[root().join("samples/denied-0x7")]);
    let text = String::from_utf8(whole).unwrap();
    let refused = |text: &str| exchange::read(text.as_bytes()).map(|_| ()).unwrap_err();
    let lines: Vec<&str> = text.lines().collect();
    let without_end = lines[..lines.len() - 1].join("\n") + "\n";
    assert!(matches!(refused(&without_end), ExchangeError::Cut(_)));
    let without_fact: Vec<&str> =
        lines.iter().enumerate().filter(|(index, _)| *index != 3).map(|(_, line)| *line).collect();
    assert!(matches!(refused(&(without_fact.join("\n") + "\n")), ExchangeError::Cut(_)));
    assert!(matches!(refused(text.trim_end()), ExchangeError::Line(..)));
    let newer = text.replacen("\"version\":1", "\"version\":2", 1);
    assert_eq!(refused(&newer).to_string(), "line 1: version 2 of the format, expected 1");
    assert!(refused("").to_string().contains("cut"));
    assert!(refused("{}\n").to_string().starts_with("line 1: not a line of this format"));
    let unknown = text.replacen("\"fact\":\"syn\"", "\"fact\":\"sin\"", 1);
    assert!(refused(&unknown).to_string().contains("no fact is called `sin`"), "{}", refused(&unknown));
}

#[test]
fn facts_given_to_diagnose_that_are_no_facts_get_one_line_and_exit_2() {
    let folder = scratch("no-facts");
    std::fs::write(folder.join("x.jsonl"), "hello\n").unwrap();
    let output = run(&folder, &["diagnose", "x.jsonl"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("error: x.jsonl: line 1: not a line of this format"), "{said}");
    assert_eq!(said.lines().count(), 1);
}
